"""Which configurations are exported, in which order, and why the others are not (`data.md` 8)."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ringrift.data.auto_export.counting import Count

MINIMUMS = {"square8_2p": 200, "hex8_2p": 100}
OTHER_MINIMUM = 50

EXPORT, SKIP = "export", "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is done about one configuration. `minimum` counts new games.

    `representation` is the number of its games over the number aimed at.
    """

    config: str
    games: int
    new: int
    minimum: int
    representation: float
    decision: str
    reason: str

    @property
    def exported(self) -> bool:
        """Whether it is exported."""
        return self.decision == EXPORT


def decide(
    counts: Sequence[Count],
    *,
    target_games: int,
    only: Collection[str] | None = None,
    force: bool = False,
) -> list[Decision]:
    """Decide about the configurations of `counts`, which are all that are enabled.

    A configuration is exported when it has fewer games than `target_games`, or than the median of
    all, and at least its minimum of new ones (0 with `force`). `only` narrows what is decided
    about. Those with least representation come first.
    """
    shares = {count.config: count.games / target_games for count in counts}
    middle = median(shares.values()) if shares else 0.0
    decisions = [
        _decide(count, shares[count.config], middle, force=force)
        for count in counts
        if only is None or count.config in only
    ]
    return sorted(decisions, key=lambda decision: decision.representation)


def _decide(count: Count, share: float, middle: float, *, force: bool) -> Decision:
    minimum = 0 if force else MINIMUMS.get(count.config, OTHER_MINIMUM)
    decision, reason = SKIP, ""
    if not count.games:
        reason = "no games"
    elif share >= 1.0 and share >= middle:
        reason = f"well represented: 1.0 and the median, {middle:.2f}, are reached"
    elif not count.new and not force:
        reason = "no new games"
    elif count.new < minimum:
        reason = f"{count.new:,} new games; the minimum is {minimum:,}"
    else:
        decision, reason = EXPORT, f"{count.new:,} new games"
    return Decision(
        config=count.config,
        games=count.games,
        new=count.new,
        minimum=minimum,
        representation=share,
        decision=decision,
        reason=reason,
    )
