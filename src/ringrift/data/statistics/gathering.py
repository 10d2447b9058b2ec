"""Summaries of the games of all inputs, each game once (data.md 10)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ringrift.data.statistics.cache import SummaryCache
from ringrift.data.statistics.files import Found, Outcome, read_file
from ringrift.data.statistics.filters import Filters
from ringrift.data.statistics.layout import ROW
from ringrift.data.statistics.pages import Known, Page
from ringrift.data.statistics.stored import (
    PAGE,
    count_stored,
    quarantined,
    read_quarantined,
    read_stored,
)
from ringrift.data.statistics.summary import Summary, agrees
from ringrift.data.statistics.workers import Answer, Summarisers, Task
from ringrift.records.record import GameRecord, VerificationError

EXAMPLES = 20
"""Refused games that a report names."""
UNFINISHED = "unfinished"
"""End of a game of which only a winner is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What is read.

    `quarantined` takes refused games of the stores too, as far as they replay; `outcomes` takes
    lines that state a winner and no moves.
    """

    stores: Sequence[Path] = ()
    files: Sequence[Path] = ()
    filters: Filters = field(default_factory=Filters)
    quarantined: bool = False
    outcomes: bool = False


@dataclass(slots=True)
class Intake:
    """What was not counted as a game, or not again.

    `malformed` are games that cannot be read or do not replay, `quarantined` those that the stores
    have refused, by reason; `repeated` are further copies of a game.
    """

    repeated: int = 0
    malformed: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, str | int | None]] = field(default_factory=list)

    def refuse(self, error: VerificationError) -> None:
        """Count what is no game, and name the first."""
        self.malformed[error.reason] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(
                {
                    "reason": error.reason,
                    "where": error.where,
                    "ply": error.ply,
                    "detail": error.detail,
                }
            )


@dataclass(frozen=True, slots=True)
class _Game:
    """A game on its way; `outcome` has no moves to summarise."""

    id: str
    known: Known
    task: Task | None
    outcome: Outcome | None = None


def gather(
    inputs: Inputs,
    cache: SummaryCache,
    summarisers: Summarisers,
    intake: Intake,
    *,
    on_games: Callable[[int], None] = lambda games: None,
) -> Iterator[Page]:
    """Yield the games of all inputs in pages; what is missing in the cache is replayed and kept.

    `on_games` is told how many more were read. Raises `DataError` for an input that cannot be read.
    """
    under_way: deque[tuple[list[_Game], dict[str, Summary], Callable[[], list[Answer]]]] = deque()
    for games in _unrepeated(_batches(inputs, intake), inputs, intake):
        known = cache.get([game.id for game in games if game.task is not None])
        usable = {game.id: known[game.id] for game in games if _usable(game, known)}
        tasks = [g.task for g in games if g.task is not None and g.id not in usable]
        under_way.append((games, usable, summarisers.submit(tasks)))
        on_games(len(games))
        while len(under_way) >= summarisers.ahead:
            yield _page(*under_way.popleft(), cache, intake)
    while under_way:
        yield _page(*under_way.popleft(), cache, intake)


def remember(store: Path, cache: Path, *, workers: int | None = None) -> int:
    """Summarise the games of a store that nobody has summarised yet; return how many games it has."""
    games = 0
    inputs = Inputs(stores=[store])
    with SummaryCache(cache) as summaries, Summarisers(workers) as summarisers:
        for page in gather(inputs, summaries, summarisers, Intake()):
            games += len(page.known)
    return games


def count_games(inputs: Inputs) -> int | None:
    """Return about how many games there are to read, None where only reading tells."""
    if inputs.files:
        return None
    return sum(count_stored(store, inputs.filters) for store in inputs.stores)


def _page(
    games: list[_Game],
    usable: dict[str, Summary],
    answers: Callable[[], list[Answer]],
    cache: SummaryCache,
    intake: Intake,
) -> Page:
    fresh: dict[str, Summary] = {}
    page = Page([], [])
    computed = iter(answers())
    for game in games:
        if game.outcome is not None:
            answer: Answer = _of_outcome(game.outcome)
        elif game.id in usable:
            answer = usable[game.id]
        else:
            answer = next(computed)
        if isinstance(answer, VerificationError):
            intake.refuse(answer.at(f"game {game.id}"))
            continue
        if game.outcome is None and game.id not in usable and game.known.end != "aborted":
            fresh[game.id] = answer
        page.known.append(game.known)
        page.summaries.append(answer)
    cache.put(fresh)
    return page


def _usable(game: _Game, known: dict[str, Summary]) -> bool:
    """Tell whether a kept summary stands for a game: an unverified one must claim the same."""
    summary = known.get(game.id)
    if summary is None or game.task is None:
        return False
    if isinstance(game.task, bytes):
        return True
    record, analyses = game.task
    return not analyses and record.result.end != "aborted" and agrees(record, summary)


def _of_outcome(outcome: Outcome) -> Summary:
    row = np.zeros(1, ROW)
    row["players"] = outcome.players
    row["winner"] = outcome.winner
    return Summary(row.tobytes(), b"")


# --- what is read


def _batches(inputs: Inputs, intake: Intake) -> Iterator[list[_Game]]:
    for store in inputs.stores:
        intake.quarantined.update(quarantined(store))
        for page in read_stored(store, inputs.filters):
            yield [_Game(game.id, game.known, game.data) for game in page]
        if inputs.quarantined:
            refused = (_pair(found) for found in read_quarantined(store))
            yield from _in_batches(refused, inputs.filters, intake)
    for file in inputs.files:
        found = read_file(file, inputs.filters, outcomes=inputs.outcomes)
        yield from _in_batches(_placed(found, file), inputs.filters, intake)


def _pair(found: GameRecord | VerificationError) -> Found:
    return found if isinstance(found, VerificationError) else (found, ())


def _placed(found: Iterable[Found], file: Path) -> Iterator[Found]:
    for game in found:
        if isinstance(game, VerificationError) and game.where is None:
            yield game.at(str(file))
        else:
            yield game


def _in_batches(found: Iterable[Found], filters: Filters, intake: Intake) -> Iterator[list[_Game]]:
    games: list[_Game] = []
    for number, game in enumerate(found):
        if isinstance(game, VerificationError):
            intake.refuse(game)
        elif isinstance(game, Outcome):
            games.append(_Game(f"outcome {number}", _known_outcome(game), None, game))
        elif filters.fits_record(game[0]):
            games.append(_Game(game[0].id, Known.of_record(*game), game))
        if len(games) == PAGE:
            yield games
            games = []
    if games:
        yield games


def _known_outcome(outcome: Outcome) -> Known:
    return Known(
        config=outcome.config,
        end=UNFINISHED,
        reason=outcome.reason or "",
        specs=(),
        started=outcome.started,
        inferred=True,
    )


def _unrepeated(
    batches: Iterable[list[_Game]], inputs: Inputs, intake: Intake
) -> Iterator[list[_Game]]:
    """Leave out further copies of a game; one store alone has none."""
    if len(inputs.stores) == 1 and not inputs.files and not inputs.quarantined:
        yield from batches
        return
    seen: set[int] = set()
    for games in batches:
        new = []
        for game in games:
            key = int(game.id[:16], 16) if game.outcome is None else -1
            if key in seen:
                intake.repeated += 1
                continue
            if key >= 0:
                seen.add(key)
            new.append(game)
        yield new
