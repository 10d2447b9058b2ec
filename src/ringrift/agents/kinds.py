"""The table of agent kinds: their arguments, defaults, evaluators and versions (`agents.md` 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ringrift.agents.temperature import PRESETS

Value = int | float | str

LARGE_BOARDS = ("square19", "hexagonal")
NO_MODEL = "none"
OF_MODELS = ("net", "nnue", "nnue-policy")
"""Evaluators that are a model; every other one stands without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One argument of a kind.

    `default` None means none: no limit, or what the caller's purpose decides. `default_large` is
    the default on the large boards where it is another. Beside the argument `unless` there is no
    default.
    """

    type: type[int] | type[float] | type[str] | type[Path]
    default: Value | None
    low: float = 0
    high: float = math.inf
    choices: tuple[str, ...] = ()
    help: str = ""
    default_large: Value | None = None
    unless: str | None = None

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        if self.type is Path:
            return "a file"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        word = "whole number" if self.type is int else "number"
        if self.high == math.inf:
            return f"a {word} of at least {write_value(float(self.low))}"
        return f"a {word} from {write_value(float(self.low))} to {write_value(float(self.high))}"

    def default_beside(self, args: Mapping[str, Value], board: str | None = None) -> Value | None:
        """Return the default beside other arguments, on `board` where that matters."""
        if self.unless is not None and self.unless in args:
            return None
        if self.default_large is not None and board in LARGE_BOARDS:
            return self.default_large
        return self.default


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of agent. `version` rises whenever its decisions change.

    A kind with an `eval` key takes a model; `alone` is its evaluator without one, None where it
    must be named, and `with_model` its evaluator with one, None where the model's kind says it.
    """

    name: str
    version: int
    help: str
    principal: str | None = None
    keys: Mapping[str, Key] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    alone: str | None = None
    with_model: str | None = None

    @property
    def takes_model(self) -> bool:
        """Whether a spec may name a model."""
        return "eval" in self.keys

    @property
    def modelless(self) -> tuple[str, ...]:
        """The evaluators that need no model."""
        if not self.takes_model:
            return ()
        return tuple(name for name in self.keys["eval"].choices if name not in OF_MODELS)


def write_value(value: Value) -> str:
    """Write a value in its one form: whole numbers without a point."""
    if isinstance(value, float):
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return str(value)


def _eval(*choices: str) -> Key:
    return Key(type=str, default=None, choices=choices, help="the evaluator")


def _sims(default: int, what: str = "simulations", unless: str | None = None) -> Key:
    text = what if unless is None else f"{what}; no limit where only {unless} is given"
    return Key(type=int, default=default, low=1, high=10_000_000, help=text, unless=unless)


_MS = Key(type=float, default=None, low=1, high=3_600_000, help="time limit in ms")
_TEMP = Key(type=str, default=None, choices=tuple(PRESETS), help="temperature schedule")
_TAU = Key(type=float, default=None, high=10, help="draws by visits to the power 1 / tau")


def _alpha_beta(depth: int) -> dict[str, Key]:
    return {
        "depth": Key(type=int, default=depth, low=1, high=64, help="choices looked ahead"),
        "eval": _eval("heuristic", "nnue"),
        "ms": _MS,
        "nodes": Key(type=int, default=None, low=1, high=10**12, help="limit of positions"),
        "q": Key(type=int, default=8, high=32, help="choices of the search for a quiet position"),
        "tt_mb": Key(type=int, default=64, high=65_536, help="size of the table in MB, 0 = none"),
        "width": Key(
            type=int, default=0, high=4096, default_large=64, help="moves kept inside, 0 = all"
        ),
    }


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(name="random", version=1, help="every legal move alike"),
        Kind(
            name="heuristic",
            version=2,
            help="the best position right after a move",
            principal="persona",
            keys={
                "eps": Key(type=float, default=0.0, high=1, help="rate of random moves"),
                "mode": Key(
                    type=str, default="full", choices=("full", "light"), help="27 or 19 features"
                ),
                "noise": Key(type=float, default=0.0, high=10, help="weight noise, once per game"),
                "persona": Key(
                    type=str,
                    default="balanced",
                    choices=("balanced", "aggressive", "territorial", "defensive"),
                    help="factors on the weights",
                ),
                "tau": Key(type=float, default=0.0, high=100, help="softmax temperature, 0 = best"),
                "weights": Key(type=Path, default=None, help="file of weights, or a profile's id"),
            },
        ),
        Kind(
            name="blend",
            version=1,
            help="the best position right after a move, by NNUE and heuristic together",
            principal="share",
            with_model="nnue",
            keys={
                "eval": _eval("nnue"),
                "share": Key(type=float, default=0.5, high=1, help="weight of the NNUE"),
            },
        ),
        Kind(
            name="alphabeta",
            version=1,
            help="deepening alpha-beta search; `multi` says how three and four players are searched",
            principal="depth",
            alone="heuristic",
            with_model="nnue",
            keys={
                **_alpha_beta(3),
                "multi": Key(
                    type=str,
                    default="paranoid",
                    choices=("paranoid", "maxn", "brs"),
                    help="search for 3-4 players",
                ),
            },
        ),
        *(
            Kind(
                name=name,
                version=1,
                help=text,
                principal="depth",
                alone="heuristic",
                with_model="nnue",
                keys=_alpha_beta(2),
            )
            for name, text in (
                ("paranoid", "alpha-beta search, all others against the mover"),
                ("maxn", "deepening search, every seat for itself"),
                ("brs", "alpha-beta search, one opponent at a time answers with its best reply"),
            )
        ),
        Kind(
            name="mcts",
            version=1,
            help="tree search by PUCT",
            principal="sims",
            alone="heuristic",
            keys={
                "alpha": Key(
                    type=str, default="auto", choices=("auto", "fixed"), help="shape of root noise"
                ),
                "c": Key(type=float, default=1.25, high=100, help="weight of exploration"),
                "eval": _eval("rollout", "heuristic", "nnue", "net"),
                "fpu": Key(type=float, default=0.2, high=2, help="reduction of unvisited moves"),
                "ms": _MS,
                "noise": Key(
                    type=float, default=None, high=1, help="root noise [0.25, in matches 0]"
                ),
                "reuse": Key(type=str, default="on", choices=("on", "off"), help="keep the tree"),
                "rollout": Key(type=int, default=3, low=1, high=1000, help="choices of a rollout"),
                "sims": _sims(100, unless="ms"),
                "tau": _TAU,
                "temp": _TEMP,
            },
        ),
        Kind(
            name="gumbel",
            version=2,
            help="tree search with Gumbel sampling and sequential halving at the root",
            principal="sims",
            keys={
                "c_scale": Key(type=float, default=1.0, high=1000, help="weight of values"),
                "c_visit": Key(type=float, default=50.0, high=10_000, help="visits added to it"),
                "eval": _eval("net", "nnue", "heuristic"),
                "m": Key(type=int, default=16, low=1, high=4096, help="moves considered at once"),
                "scale": Key(
                    type=float, default=None, high=100, help="Gumbel noise [1, in matches 0]"
                ),
                "sims": _sims(150),
                "temp": _TEMP,
            },
        ),
        Kind(
            name="policy",
            version=1,
            help="a move drawn from a model's policy, without search",
            principal="tau",
            keys={
                "eval": _eval("net", "nnue-policy"),
                "tau": Key(type=float, default=1.0, low=0.01, high=10, help="temperature"),
                "temp": _TEMP,
            },
        ),
        Kind(
            name="descent",
            version=1,
            help="best-first search to the ends of games",
            principal="sims",
            alone="heuristic",
            keys={
                "eval": _eval("rollout", "heuristic", "nnue", "net"),
                "max_depth": Key(type=int, default=500, low=1, high=10_000, help="longest line"),
                "ms": _MS,
                "sims": _sims(200, "expansions", unless="ms"),
                "width": Key(
                    type=int, default=0, high=4096, default_large=48, help="moves kept, 0 = all"
                ),
            },
        ),
        Kind(
            name="ladder",
            version=1,
            help="a difficulty level; see `ringrift agents ladder`",
            principal="level",
            required=("level",),
            keys={"level": Key(type=int, default=None, low=1, high=10, help="level 1 to 10")},
        ),
    )
}

SEARCHES_BY_DEPTH = ("alphabeta", "paranoid", "maxn", "brs")
