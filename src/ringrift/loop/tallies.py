"""The counts of matches as games arrive: each stored game is read once (`loop.md` 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ringrift.core.errors import DataError
from ringrift.core.log import get_logger
from ringrift.evaluation.matches import check_game
from ringrift.evaluation.results import PlayedGame
from ringrift.evaluation.tally import Tally
from ringrift.loop.facts import MOST_MISSING, MatchFacts

if TYPE_CHECKING:
    from ringrift.evaluation.plans import MatchPlan
    from ringrift.evaluation.promotion import NamedMatch
    from ringrift.evaluation.results import MatchResult
    from ringrift.loop.facts import MatchKey
    from ringrift.records.store import GameStore

log = get_logger(__name__)


@dataclass(slots=True)
class Counted:
    """What is stored of a plan.

    `tally` is None once the match is over: its games are forgotten, its `result` stays. `upto` is
    how far the store was read, `ended` when the last counted game ended (Unix s).
    """

    tally: Tally | None
    result: MatchResult
    upto: int = 0
    ended: float | None = None

    @property
    def complete(self) -> bool:
        """Whether the match is over."""
        return self.tally is None

    @property
    def begun(self) -> bool:
        """Whether a game is stored."""
        return self.tally is None or bool(self.tally.games)


class Tallies:
    """What the store holds of the matches of a configuration; `refresh` before each look.

    A game that names a plan but is not one of its games is left out, with a warning.
    """

    def __init__(self, store: GameStore) -> None:
        self.store = store
        self.top = 0
        self._counted: dict[str, Counted] = {}

    def refresh(self) -> None:
        """See the games that were stored since the last time."""
        self.top = self.store.max_seq()

    def of(self, plan: MatchPlan) -> Counted:
        """Return what is stored of a plan."""
        found = self._counted.get(plan.hash)
        if found is None:
            tally = Tally(plan)
            found = self._counted[plan.hash] = Counted(tally, tally.result())
        if found.tally is None or found.upto >= self.top:
            return found
        over, before = False, found.tally.counted
        for seq, record, _ in self.store.records(after_seq=found.upto, run=plan.hash):
            found.upto = seq
            try:
                check_game(plan, record)
            except DataError as error:
                log.warning("a game of a match is left out", why=str(error))
                continue
            over = found.tally.add(PlayedGame.of(record))
            if record.meta.started is not None:
                end = record.meta.started + (record.meta.ms or 0) / 1000.0
                found.ended = max(end, found.ended or end)
            if over:
                break
        found.upto = max(found.upto, self.top)
        if found.tally.counted != before:
            found.result = found.tally.result()
        if over:
            found.tally = None
        return found

    def result(self, match: NamedMatch) -> MatchResult:
        """Return the result of a match as it stands."""
        return replace(self.of(match.plan).result, title=match.title)

    def facts(self, key: MatchKey, match: NamedMatch, *, name: str = "") -> MatchFacts:
        """Return a match as the loop shows and plans it."""
        plan, result = match.plan, self.result(match)
        subject, opponent = plan.participants[:2]
        standing = result.standing
        elo = result.elo_ci95
        return MatchFacts(
            key=key,
            title=match.title,
            name=name,
            plan=plan.hash,
            plan_text=plan.text.decode(),
            purpose=plan.purpose,
            subject=subject.model_id or subject.spec,
            opponent=opponent.model_id or opponent.spec,
            games=plan.games,
            played=result.games,
            block=plan.players,
            missing=missing_games(self.of(plan).tally),
            complete=result.complete,
            score=result.score,
            interval=None
            if result.interval is None
            else (result.interval.low, result.interval.high),
            elo=result.elo,
            elo_ci95=elo if elo is not None and all(map(math.isfinite, elo)) else None,
            llr=None if standing is None or not standing.games else standing.llr,
            bounds=None if standing is None else standing.bounds,
            verdict=result.verdict,
            wins_losses_capped=(result.wins, result.losses, result.capped),
        )


def missing_games(tally: Tally | None, most: int = MOST_MISSING) -> tuple[int, ...]:
    """Return the games of the next blocks that are not whole, in plan order; none once it is over."""
    found: list[int] = []
    if tally is None:
        return ()
    players = tally.plan.players
    for block in range(tally.counted // players, tally.plan.blocks):
        games = range(block * players, (block + 1) * players)
        if any(game not in tally.games for game in games):
            found += games
        if len(found) + players > most:
            break
    return tuple(found)
