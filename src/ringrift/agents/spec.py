"""The words that name agents: `kind[@model][:key=value,...]`, read strictly and written one way.

    spec := kind [ "@" model ] [ ":" arg { "," arg } ]
    arg  := key "=" value | bare            # bare: the value of the kind's principal key

An unknown kind, key or value is a `UsageError` with the place of the fault, what is known, and the
nearest spelling; nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal, NoReturn

from ringrift.core.errors import UsageError
from ringrift.core.ids import canonical_json, content_id

Value = int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One argument of a kind: `default` None means that the caller's purpose decides."""

    type: type[int] | type[float] | type[str]
    default: Value | None
    low: float = 0
    high: float = math.inf
    choices: tuple[str, ...] = ()
    help: str = ""

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        word = "whole number" if self.type is int else "number"
        if self.high == math.inf:
            return f"a {word} of at least {_write(float(self.low))}"
        return f"a {word} from {_write(float(self.low))} to {_write(float(self.high))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of agent. `version` rises whenever its decisions change."""

    name: str
    version: int
    help: str
    model: Literal["none", "net"] = "none"
    principal: str | None = None
    keys: Mapping[str, Key] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSpec:
    """An agent's identity: canonical text with every model named by its id, and the hash of it."""

    text: str
    agent_hash: str
    model_id: str | None = None

    @property
    def kind(self) -> str:
        """The first word of the text."""
        return self.text.partition(":")[0].partition("@")[0]


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(name="random", version=1, help="every legal move alike"),
        Kind(
            name="heuristic",
            version=1,
            help="the best position right after a move, by the light evaluator",
            keys={
                "eps": Key(type=float, default=0.0, high=1, help="rate of random moves"),
                "tau": Key(type=float, default=0.0, high=100, help="softmax temperature, 0 = best"),
            },
        ),
        Kind(
            name="gumbel",
            version=1,
            help="tree search with Gumbel sampling and sequential halving at the root",
            model="net",
            principal="sims",
            keys={
                "c_scale": Key(type=float, default=1.0, high=1000, help="weight of values"),
                "c_visit": Key(type=float, default=50.0, high=10_000, help="visits added to it"),
                "eval": Key(
                    type=str, default="net", choices=("net", "heuristic"), help="the evaluator"
                ),
                "m": Key(type=int, default=16, low=1, high=4096, help="moves considered at once"),
                "scale": Key(type=float, default=None, high=100, help="Gumbel noise at the root"),
                "sims": Key(type=int, default=150, low=1, high=1_000_000, help="simulations"),
            },
        ),
    )
}


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """A parsed spec; `args` are the given values that differ from their defaults, by key."""

    kind: str
    model: str | None = None
    args: tuple[tuple[str, Value], ...] = ()

    def get(self, key: str) -> Value | None:
        """Return the value of `key`, the kind's default where none was given."""
        known = KINDS[self.kind].keys[key]
        return dict(self.args).get(key, known.default)

    def number(self, key: str) -> float:
        """Return a numeric value that is given or has a default."""
        value = self.get(key)
        if isinstance(value, str) or value is None:
            raise UsageError(f"agent spec {self}: {key} is {value!r}; expected a number")
        return float(value)

    def with_value(self, key: str, value: Value) -> AgentSpec:
        """Return the spec with one argument set."""
        args = {**dict(self.args), key: value}
        return AgentSpec(self.kind, self.model, tuple(sorted(args.items())))

    def __str__(self) -> str:
        return format_spec(self)


def _refuse(text: str, at: int, message: str, known: list[str], found: str) -> NoReturn:
    near = get_close_matches(found.lower(), known, n=1, cutoff=0.5)
    raise UsageError(
        f"agent spec {text!r}: {message}",
        where=f"position {at + 1}",
        hint=near[0] if near else None,
    )


def _read_value(text: str, at: int, name: str, key: Key, found: str) -> Value:
    def bad() -> NoReturn:
        message = f"{name} is {found!r}; expected {key.expected}"
        _refuse(text, at, message, list(key.choices), found)

    if key.type is str:
        if found.lower() not in key.choices:
            bad()
        return found.lower()
    try:
        value = key.type(found)
    except ValueError:
        bad()
    if isinstance(value, str) or not math.isfinite(value) or not key.low <= value <= key.high:
        bad()
    if found != found.strip() or "_" in found:
        bad()
    return value


def _read_args(text: str, start: int, kind: Kind) -> dict[str, Value]:
    args: dict[str, Value] = {}
    known = sorted(kind.keys)
    listed = ", ".join(known) if known else "none"
    at = start
    for part in text[start:].split(","):
        name, equals, found = part.partition("=")
        value_at = at + len(name) + 1
        name = name.lower()
        if not equals:
            if kind.principal is None:
                _refuse(
                    text,
                    at,
                    f"{part!r} is not key=value; keys of {kind.name}: {listed}",
                    known,
                    name,
                )
            name, found, value_at = kind.principal, part, at
        if name not in kind.keys:
            _refuse(text, at, f"unknown key {name!r}; keys of {kind.name}: {listed}", known, name)
        if name in args:
            _refuse(text, at, f"{name} is given twice", [], name)
        args[name] = _read_value(text, value_at, name, kind.keys[name], found)
        at += len(part) + 1
    return args


def parse_spec(text: str) -> AgentSpec:
    """Read a spec; raises `UsageError` naming the place of the fault."""
    head, colon, _ = text.partition(":")
    name, sign, model = head.partition("@")
    kind = KINDS.get(name.lower())
    if kind is None:
        listed = ", ".join(KINDS)
        _refuse(text, 0, f"unknown agent kind {name!r}; known: {listed}", list(KINDS), name)
    at = len(name) + 1
    if sign and not model.strip():
        _refuse(text, at, "no model after '@'", [], "")
    if sign and kind.model == "none":
        _refuse(text, at, f"{kind.name} takes no model", [], "")
    if sign and model != model.strip():
        _refuse(text, at, f"blanks around the model {model!r}", [], "")
    args = _read_args(text, len(head) + 1, kind) if colon else {}
    if kind.model == "net":
        wants_net = args.get("eval", "net") == "net"
        if wants_net and not sign:
            _refuse(text, len(head), f"{kind.name} needs a model, or eval=heuristic", [], "")
        if sign and not wants_net:
            _refuse(text, at, f"eval={args['eval']} takes no model", [], "")
    given = tuple((k, args[k]) for k in sorted(args) if args[k] != kind.keys[k].default)
    return AgentSpec(kind.name, model if sign else None, given)


def _write(value: Value) -> str:
    if isinstance(value, float):
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return str(value)


def format_spec(spec: AgentSpec) -> str:
    """Write a spec in its one form: lower case, keys sorted, defaults left out."""
    head = spec.kind if spec.model is None else f"{spec.kind}@{spec.model}"
    args = ",".join(f"{key}={_write(value)}" for key, value in sorted(spec.args))
    return f"{head}:{args}" if args else head


def resolve(spec: AgentSpec, *, model_id: str | None = None, weights: str = "") -> ResolvedSpec:
    """Name an agent by content: its spec with the model's id, the kind's version, its weights."""
    text = format_spec(AgentSpec(spec.kind, model_id, spec.args))
    named = [text, KINDS[spec.kind].version, weights]
    return ResolvedSpec(
        text=text,
        agent_hash=content_id("agent", canonical_json(named)),
        model_id=model_id,
    )
