"""The words that name agents: `kind[@model][:key=value,...]`, read strictly and written one way.

    spec := kind [ "@" model ] [ ":" arg { "," arg } ]
    arg  := key "=" value | bare            # bare: the value of the kind's principal key
    mix  := "mix(" spec "*" weight { ";" spec "*" weight } ")"

An unknown kind, key or value is a `UsageError` with the place of the fault, what is known, and the
nearest spelling; nothing is guessed. The kinds are those of `kinds.KINDS`, older names those of
`old_names`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from ringrift.agents.kinds import KINDS, NO_MODEL, OF_MODELS, Key, Kind, Value, write_value
from ringrift.agents.old_names import known_names, old_name
from ringrift.core.errors import UsageError
from ringrift.core.ids import canonical_json, content_id

__all__ = [
    "KINDS",
    "AgentSpec",
    "Key",
    "Kind",
    "ResolvedSpec",
    "Value",
    "format_spec",
    "parse_spec",
    "parse_specs",
    "resolve",
    "resolve_mix",
]

MIX = "mix"
MIX_VERSION = 1
_OPEN = f"{MIX}("
_WORD_END = re.compile(r"[@:(=,]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSpec:
    """An agent's identity: canonical text with every model named by its id, and the hash of it."""

    text: str
    agent_hash: str
    model_id: str | None = None

    @property
    def kind(self) -> str:
        """The first word of the text."""
        return re.split(r"[@:(]", self.text, maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """A parsed spec; `args` are the given values that differ from their defaults, by key.

    A mix has the kind `mix`, no arguments, and `parts`: specs with their weights.
    """

    kind: str
    model: str | None = None
    args: tuple[tuple[str, Value], ...] = ()
    parts: tuple[tuple[AgentSpec, float], ...] = ()

    def get(self, key: str, *, board: str | None = None) -> Value | None:
        """Return the value of `key`, else its default, on `board` where that matters."""
        given = dict(self.args)
        if key in given:
            return given[key]
        return KINDS[self.kind].keys[key].default_beside(given, board)

    def number(self, key: str, *, board: str | None = None) -> float:
        """Return a numeric value that is given or has a default."""
        value = self.get(key, board=board)
        if isinstance(value, str) or value is None:
            raise UsageError(f"agent spec {self}: {key} is {value!r}; expected a number")
        return float(value)

    def with_value(self, key: str, value: Value) -> AgentSpec:
        """Return the spec with one argument set."""
        args = {**dict(self.args), key: value}
        return AgentSpec(self.kind, self.model, tuple(sorted(args.items())))

    def without(self, *keys: str) -> AgentSpec:
        """Return the spec without some arguments."""
        left = tuple(entry for entry in self.args if entry[0] not in keys)
        return AgentSpec(self.kind, self.model, left)

    @property
    def models(self) -> tuple[str, ...]:
        """What the spec and its parts say after `@`, each once."""
        own = [] if self.model is None else [self.model]
        below = [name for part, _ in self.parts for name in part.models]
        return tuple(dict.fromkeys([*own, *below]))

    @property
    def evaluator(self) -> str | None:
        """Name of the evaluator; None for a kind without one, or where the model's kind says it."""
        if self.kind == MIX or not KINDS[self.kind].takes_model:
            return None
        named = dict(self.args).get("eval")
        if named is not None:
            return str(named)
        kind = KINDS[self.kind]
        return kind.alone if self.model is None else kind.with_model

    def __str__(self) -> str:
        return format_spec(self)


def parse_spec(text: str) -> AgentSpec:
    """Read a spec or a mix; raises `UsageError` naming the place of the fault."""
    return _read(text, 0, len(text))


def parse_specs(text: str) -> list[AgentSpec]:
    """Read a comma list, in which a word that is a kind begins the next spec."""
    starts = [0, *(at for at in _commas(text) if _begins_spec(text, at))]
    ends = [*(at - 1 for at in starts[1:]), len(text)]
    return [_read(text, *_bare(text, start, end)) for start, end in zip(starts, ends, strict=True)]


def format_spec(spec: AgentSpec) -> str:
    """Write a spec in its one form: lower case, keys sorted, defaults left out."""
    if spec.kind == MIX:
        return _mix_text([(format_spec(part), weight) for part, weight in spec.parts])
    head = spec.kind if spec.model is None else f"{spec.kind}@{spec.model}"
    args = ",".join(f"{key}={write_value(value)}" for key, value in sorted(spec.args))
    return f"{head}:{args}" if args else head


def resolve(
    spec: AgentSpec,
    *,
    board: str | None = None,
    model_id: str | None = None,
    weights: str = "",
    settings: Sequence[Value] = (),
) -> ResolvedSpec:
    """Name an agent by content: its spec with the model's id, the kind's version, its weights.

    `board` tells the defaults that depend on it. An evaluator that is the model goes without
    saying. A file of weights stays in the text, which can so be played again, but the hash takes
    its content instead of its name. `settings` are further numbers that change decisions.
    """
    kept = AgentSpec(spec.kind, model_id, _telling(spec, board, model_id))
    text = format_spec(kept)
    named = [format_spec(kept.without("weights")), KINDS[spec.kind].version, weights, *settings]
    return ResolvedSpec(
        text=text, agent_hash=content_id("agent", canonical_json(named)), model_id=model_id
    )


def resolve_mix(parts: Sequence[tuple[ResolvedSpec, float]]) -> ResolvedSpec:
    """Name a mix by its parts, in their order: it says who is drawn."""
    named = [MIX, MIX_VERSION, [[part.agent_hash, weight] for part, weight in parts]]
    return ResolvedSpec(
        text=_mix_text([(part.text, weight) for part, weight in parts]),
        agent_hash=content_id("agent", canonical_json(named)),
    )


def _telling(
    spec: AgentSpec, board: str | None, model_id: str | None
) -> tuple[tuple[str, Value], ...]:
    """Return the arguments that the board's defaults and the model do not say already."""
    keys, args = KINDS[spec.kind].keys, dict(spec.args)
    return tuple(
        (name, value)
        for name, value in spec.args
        if not (name == "eval" and model_id is not None and value in OF_MODELS)
        and not (board is not None and value == keys[name].default_beside(args, board))
    )


def _mix_text(parts: Sequence[tuple[str, float]]) -> str:
    return _OPEN + ";".join(f"{text}*{write_value(weight)}" for text, weight in parts) + ")"


# --- reading; every position counts from the beginning of the whole text


def _refuse(
    text: str, at: int, message: str, known: Sequence[str], found: str, hint: str | None = None
) -> NoReturn:
    near = get_close_matches(found.lower(), known, n=1, cutoff=0.5)
    raise UsageError(
        f"agent spec {text!r}: {message}",
        where=f"position {at + 1}",
        hint=hint or (near[0] if near else None),
    )


def _commas(text: str) -> list[int]:
    """Return the places right after commas outside parentheses."""
    depth, found = 0, []
    for at, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 0:
            found.append(at + 1)
    return found


def _bare(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the ends of a part of a list without the blanks around it."""
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    return start, start + len(part.strip())


def _begins_spec(text: str, at: int) -> bool:
    end = _WORD_END.search(text, at)
    word = text[at : end.start() if end else len(text)].strip().lower()
    if end is not None and end[0] == "=":
        return False
    if end is not None and end[0] == "(":
        return word == MIX
    return word in KINDS or old_name(word) is not None


def _read(text: str, start: int, end: int) -> AgentSpec:
    if text[start : start + len(_OPEN)].lower() == _OPEN:
        return _read_mix(text, start, end)
    head, colon, _ = text[start:end].partition(":")
    name, sign, model = head.partition("@")
    former = old_name(name.lower())
    kind = KINDS.get(name.lower() if former is None else former.kind)
    if kind is None:
        known = [*KINDS, MIX]
        message = f"unknown agent kind {name!r}; known: {', '.join(known)}"
        _refuse(text, start, message, [*known, *known_names()], name)
    at = start + len(name) + 1
    if sign and not model.strip():
        _refuse(text, at, "no model after '@'", [], "")
    if sign and model != model.strip():
        _refuse(text, at, f"blanks around the model {model!r}", [], "")
    if sign and not kind.takes_model:
        _refuse(text, at, f"{kind.name} takes no model", [], "")
    args: dict[str, Value] = {}
    for key, value in ({} if former is None else former.args).items():
        args[key] = _read_value(text, start, key, kind.keys[key], value)
    if colon:
        _read_args(text, start + len(head) + 1, end, kind, args)
    named = model if sign else (None if former is None else former.model)
    if named is not None and named.lower() == NO_MODEL:
        named = None
    _check_whole(text, start, start + len(head), kind, named, args)
    return AgentSpec(kind.name, named, _differing(kind, named, args))


def _read_mix(text: str, start: int, end: int) -> AgentSpec:
    if text[end - 1] != ")":
        _refuse(text, end, "a mix ends with ')'", [], "")
    parts, at = [], start + len(_OPEN)
    for part in text[at : end - 1].split(";"):
        body, star, weight = part.rpartition("*")
        weight_at = at + len(body) + 1
        if not star:
            _refuse(text, at, f"{part!r} is not spec*weight", [], "", "mix(random*1;heuristic*2)")
        if body[: len(_OPEN)].lower() == _OPEN:
            _refuse(text, at, "a mix in a mix", [], "")
        spec = _read(text, at, at + len(body))
        share = _read_value(text, weight_at, "weight", _WEIGHT, weight)
        if float(share) == 0:
            _refuse(text, weight_at, "weight is '0'; expected a number above 0", [], "")
        parts.append((spec, float(share)))
        at += len(part) + 1
    return AgentSpec(MIX, parts=tuple(parts))


_WEIGHT = Key(type=float, default=1.0, high=1e6)


def _read_args(text: str, start: int, end: int, kind: Kind, args: dict[str, Value]) -> None:
    known = sorted(kind.keys)
    listed = ", ".join(known) if known else "none"
    at = start
    for part in text[start:end].split(","):
        name, equals, found = part.partition("=")
        value_at = at + len(name) + 1
        name = name.lower()
        if not equals:
            if kind.principal is None or not part:
                message = f"{part!r} is not key=value; keys of {kind.name}: {listed}"
                _refuse(text, at, message, known, name)
            name, found, value_at = kind.principal, part, at
        if name not in kind.keys:
            _refuse(text, at, f"unknown key {name!r}; keys of {kind.name}: {listed}", known, name)
        if name in args:
            _refuse(text, at, f"{name} is given twice", [], name)
        if not equals and kind.keys[name].choices and found.lower() not in kind.keys[name].choices:
            message = f"{part!r} is neither key=value nor a {name}; keys of {kind.name}: {listed}"
            _refuse(text, at, message, [*known, *kind.keys[name].choices], found)
        args[name] = _read_value(text, value_at, name, kind.keys[name], found)
        at += len(part) + 1


def _read_value(text: str, at: int, name: str, key: Key, found: str) -> Value:
    def bad() -> NoReturn:
        message = f"{name} is {found!r}; expected {key.expected}"
        _refuse(text, at, message, list(key.choices), found)

    if key.type is Path:
        if not found or found != found.strip():
            bad()
        return found
    if key.type is str:
        if found.lower() not in key.choices:
            bad()
        return found.lower()
    try:
        value: int | float = int(found) if key.type is int else float(found)
    except ValueError:
        bad()
    if not math.isfinite(value) or not key.low <= value <= key.high:
        bad()
    if found != found.strip() or "_" in found:
        bad()
    return value


def _check_whole(
    text: str, start: int, at: int, kind: Kind, model: str | None, args: dict[str, Value]
) -> None:
    """Refuse what no single argument shows: a missing model or key, keys that exclude others."""
    named = args.get("eval")
    if kind.takes_model and model is not None and named in kind.modelless:
        _refuse(text, start, f"eval={named} takes no model", [], "")
    if kind.takes_model and model is None and (named in OF_MODELS or (named or kind.alone) is None):
        others = " or ".join(f"eval={name}" for name in kind.modelless)
        message = f"{kind.name} needs a model" + (f", or {others}" if others else "")
        _refuse(text, at, message, [], "", others or f"{kind.name}@champion")
    for name in kind.required:
        if name not in args:
            message = f"{kind.name} needs {name}, {kind.keys[name].expected}"
            _refuse(text, at, message, [], "")
    if "tau" in args and "temp" in args:
        _refuse(text, at, "tau and temp exclude each other", [], "")


def _differing(
    kind: Kind, model: str | None, args: dict[str, Value]
) -> tuple[tuple[str, Value], ...]:
    """Return the arguments that are not their defaults; one that depends on the board is kept."""
    implied = kind.alone if model is None else kind.with_model
    return tuple(
        (name, args[name])
        for name in sorted(args)
        if args[name] != (implied if name == "eval" else kind.keys[name].default_beside(args))
        or kind.keys[name].default_large is not None
    )
