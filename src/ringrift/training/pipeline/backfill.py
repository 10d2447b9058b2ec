"""Search games that have no search statistics, for a limited time (training.md 11)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ringrift.core.errors import RingriftError
from ringrift.data.dataset import Plan
from ringrift.records.store import GameStore
from ringrift.selfplay.reanalyze import Item, ReanalyzeJob, reanalyze

LIMIT_S = 30 * 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfilled:
    """Games that were searched with their plies, and games that were not reached."""

    searched: int
    plies: int
    left: int


def without_searches(plan: Plan) -> list[str]:
    """Return the games of a plan that have no analysis, the newest first."""
    found = [game for game in plan.games if not game.analyses]
    return [game.id for game in sorted(found, key=lambda game: -game.seq)]


def backfill(
    store: Path,
    ids: Sequence[str],
    job: ReanalyzeJob,
    *,
    workers: int = 1,
    limit_s: float = LIMIT_S,
    on_games: Callable[[int, int], None] = lambda games, plies: None,
    stop: Callable[[], bool] = lambda: False,
) -> Backfilled:
    """Search some games of one specification into their store, each durable when it is searched.

    Ends after `limit_s` seconds or once `stop` says so. Raises `BusyError` while another process
    writes the store, and as `reanalyze` does.
    """
    if not ids:
        return Backfilled(searched=0, plies=0, left=0)
    deadline_s = time.monotonic() + limit_s
    games = plies = 0
    with GameStore.open(store, writer=True) as opened:

        def items() -> Iterator[Item]:
            for identity in ids:
                found = opened.get(identity)
                if found is not None:
                    yield found[0], ()

        searched = reanalyze(
            items(),
            lambda spec: job,
            workers=workers,
            stop=lambda: stop() or time.monotonic() >= deadline_s,
        )
        for game, analysis in searched:
            if analysis is not None:
                report = opened.ingest([(game, analysis)], source="reanalyze")
                if report.quarantined:
                    raise RingriftError(f"an analysis of game {game.id[:12]} did not verify")
                plies += len(analysis.plies)
            games += 1
            on_games(games, plies)
    return Backfilled(searched=games, plies=plies, left=len(ids) - games)
