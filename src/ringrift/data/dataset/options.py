"""What an export may be asked for: every option that changes its result (data.md 4, 5)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from ringrift.core.errors import UsageError

CONTENTS = ("states", "features", "both")
ENCODERS = ("planes1", "planes1-basic", "nnue1")
ANALYSES = ("best", "own", "newest")
POLICY_TARGETS = ("auto", "played", "mcts_visits", "descent_softmax")
SIDES = ("train", "val", "holdout")

WINDOW_ALL, WINDOW_AUTO = "all", "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """Options of one dataset; two exports of the same games with equal options are equal.

    `splits`: sides that are read, `("train", "val")` or `("holdout",)`. Counts of moves are plies;
    `max_move_index` is the last ply that may give a sample. `window` is `all`, `auto` or a number of
    samples; `window_base` is c of data.md 4. `max_reuse` leaves out games that a lineage has learned
    from so many times. `quality_weights` is the SHA-256 of the file of game weights, `excluded_games`
    that of a list of ids left out.
    """

    contents: str = "states"
    encoder: str = "planes1"
    splits: tuple[str, ...] = ("train", "val")
    sample_every: int = 1
    max_games: int | None = None
    min_moves: int | None = None
    max_moves: int | None = None
    max_move_index: int | None = None
    require_completed: bool = True
    exclude_recovery: bool = False
    exclude_timeout: bool = False
    exclude_random: bool = False
    ai_types: tuple[str, ...] = ()
    min_simulations: int | None = None
    analysis: str = "best"
    policy_target: str = "auto"
    rank_aware_values: bool = True
    decay_half_life: float | None = None
    surprise_weight: float = 0.5
    window: str | int = WINDOW_ALL
    window_base: int = 250_000
    max_reuse: float | None = 8
    quality_weights: str | None = None
    seed: int = 42

    def __post_init__(self) -> None:
        """Check every value; raises `UsageError` naming the option.

        Real numbers become floats: 8 and 8.0 are one request.
        """
        for name in ("max_reuse", "decay_half_life", "surprise_weight"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, float(value))
        _choice("contents", self.contents, CONTENTS)
        _choice("encoder", self.encoder, ENCODERS)
        _choice("analysis", self.analysis, ANALYSES)
        _choice("policy_target", self.policy_target, POLICY_TARGETS)
        for side in self.splits:
            _choice("splits", side, SIDES)
        if not self.splits or ("holdout" in self.splits and len(self.splits) > 1):
            raise UsageError(
                f"splits is {self.splits!r}; expected train and val, or holdout alone",
                where="splits",
            )
        for name in ("sample_every", "window_base"):
            _least(name, getattr(self, name), 1)
        for name in ("max_games", "max_moves", "max_reuse", "decay_half_life", "min_simulations"):
            _least(name, getattr(self, name), 0, above=True)
        for name in ("min_moves", "max_move_index"):
            _least(name, getattr(self, name), 0)
        if not 0 <= self.surprise_weight <= 1:
            raise UsageError(
                f"surprise weight is {self.surprise_weight}; expected 0 to 1",
                where="--surprise-weight",
            )
        if isinstance(self.window, str):
            _choice("window", self.window, (WINDOW_ALL, WINDOW_AUTO))
        else:
            _least("window", self.window, 1)

    @property
    def dense(self) -> bool:
        """Tell whether features are written beside or instead of packed positions."""
        return self.contents != "states"

    def as_dict(self) -> dict[str, Any]:
        """Return the options as they stand in a manifest; `encoder` is None without features."""
        found = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }
        return {**found, "encoder": self.encoder if self.dense else None}

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> ExportOptions:
        """Read what `as_dict` returned; raises `UsageError` for a name that is none."""
        names = {field.name for field in fields(cls)}
        unknown = sorted(tree.keys() - names)
        if unknown:
            raise UsageError(f"unknown option {unknown[0]!r}", where="options")
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in tree.items()
            if value is not None or name != "encoder"
        }
        return cls(**given)


def _choice(name: str, found: str, known: tuple[str, ...]) -> None:
    if found not in known:
        raise UsageError(
            f"{name} is {found!r}; expected one of {', '.join(known)}", where=_option(name)
        )


def _least(name: str, found: float | None, low: int, *, above: bool = False) -> None:
    if found is not None and (found < low or (above and found == low)):
        expected = f"above {low}" if above else f"at least {low}"
        raise UsageError(f"{name} is {found}; expected {expected}", where=_option(name))


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
