"""Games that are decided: the trigger, what it leaves behind, and how often it is wrong.

What follows from the trigger depends on the game and the job's threshold alone. A threshold is
fixed for all games of a job; from what the audited games of finished jobs say the caller makes the
next one with `raised`, such as from one generation to the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ringrift.agents import streams
from ringrift.agents.protocol import Rngs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.records.record import GameRecord
    from ringrift.selfplay.control import Resignation

AUDITED = "resign:audit"
_AT = "resign:at="
MOST_WRONG = 0.05
THRESHOLD_STEP = 0.01
HIGHEST_THRESHOLD = 0.99

_AUDIT = Rngs(streams.SCHEDULE | (1 << 8))


@dataclass(slots=True)
class Trigger:
    """The trigger of one game: fed with the value of every searched choice.

    `ply` and `seat` say where it fell and whose value was best, None before; `loser` is the seat
    that resigns there, None if the game goes on.
    """

    rule: Resignation
    audited: bool
    ply: int | None = None
    seat: int | None = None
    loser: int | None = None
    _best: int = 0
    _times: int = 0

    def see(self, ply: int, values: Sequence[float]) -> bool:
        """Take the values of a choice, one per seat; return whether the trigger falls here."""
        if self.ply is not None or self.rule.mode == "off":
            return False
        best = max(range(len(values)), key=values.__getitem__) + 1
        if values[best - 1] <= self.rule.threshold:
            self._times = 0
            return False
        self._times = self._times + 1 if best == self._best else 1
        self._best = best
        if self._times < self.rule.plies:
            return False
        self.ply, self.seat = ply, best
        if self.rule.mode == "hard" and not self.audited:
            self.loser = min(range(len(values)), key=values.__getitem__) + 1
        return True

    @property
    def reduces(self) -> bool:
        """Whether the rest of the game is searched less."""
        return self.ply is not None and not self.audited and self.rule.mode == "soft"

    @property
    def soft_from(self) -> int | None:
        """The first ply that is searched less; None if none is."""
        return self.ply + 1 if self.ply is not None and self.reduces else None

    @property
    def tags(self) -> list[str]:
        """What the record says: whether the game was audited, where the trigger fell and for whom."""
        said = [AUDITED] if self.audited else []
        return said if self.ply is None else [*said, f"{_AT}{self.ply}:{self.seat}"]


def trigger(rule: Resignation, seed: int) -> Trigger:
    """Make the trigger of the game with `seed`, which also says whether the game is audited."""
    on = rule.mode != "off"
    return Trigger(rule, audited=on and _AUDIT.uniform(seed, 0, 0) < rule.audit)


@dataclass(frozen=True, slots=True)
class Audit:
    """How often the trigger fell in audited games, and how often its seat did not win."""

    games: int = 0
    wrong: int = 0


def audit(records: Iterable[GameRecord]) -> Audit:
    """Count the audited games of `records` in which the trigger fell."""
    games = wrong = 0
    for record in records:
        seat = _triggered(record)
        if seat is not None and AUDITED in record.meta.tags:
            games += 1
            wrong += record.result.winner != seat
    return Audit(games, wrong)


def raised(rule: Resignation, found: Audit) -> Resignation:
    """Return the rule for later games: .01 higher where over 5 % of the audits were wrong."""
    if found.wrong <= MOST_WRONG * found.games:
        return rule
    higher = round(min(HIGHEST_THRESHOLD, rule.threshold + THRESHOLD_STEP), 6)
    return replace(rule, threshold=max(rule.threshold, higher))


def _triggered(record: GameRecord) -> int | None:
    """Return the seat whose value was best where the trigger fell; None where it did not."""
    for tag in record.meta.tags:
        if tag.startswith(_AT):
            return int(tag.rpartition(":")[2])
    return None
