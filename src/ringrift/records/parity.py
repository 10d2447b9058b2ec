"""Parity with the reference engine: replay its recorded games, compare everything they hold."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from ringrift.core.errors import DataError, RingriftError
from ringrift.records.traces import Trace, read_traces
from ringrift.rules import InvalidPosition, Position
from ringrift.rules.cpu import core_count
from ringrift.rules.warm import warm_up

BATCH = 4
"""Games per task: small, so that the last worker is not left with a long queue."""

QUEUED = 3
"""Tasks kept waiting per worker, so that none is idle and few games are held in memory."""

Engine = Literal["compiled", "plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first ply at which a game departs from its record; ply -1 is the position before it."""

    file: str
    game: int
    ply: int
    what: str
    wanted: str
    got: str

    def as_json(self) -> dict[str, Any]:
        """Return the difference as a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.file} game {self.game} ply {self.ply} {self.what}: "
            f"wanted {self.wanted!r:.300}, got {self.got!r:.300}"
        )


@dataclass(slots=True)
class Report:
    """Totals of a parity run."""

    games: int = 0
    plies: int = 0
    skipped: int = 0
    seconds: float = 0.0
    differences: list[Difference] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)

    def add(self, other: Report) -> None:
        """Add the totals of another report."""
        self.games += other.games
        self.plies += other.plies
        self.skipped += other.skipped
        self.differences += other.differences
        self.kinds += other.kinds
        self.ends += other.ends


def short_hash(text: str) -> str:
    """First 16 hex digits of SHA-256, as the records use."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def legal_text(position: Position) -> str:
    """Write a legal set as the records do: texts in byte order joined by `;`."""
    return ";".join(sorted(m.text for m in position.legal_moves()))


def _at_ply(position: Position, wanted: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (what, wanted, got) for each difference before the move of a ply."""
    yield "phase", wanted["ph"], position.phase
    yield "player", str(wanted["c"]), str(position.current_player)
    legal = legal_text(position)
    if "L" in wanted:
        yield "legal set", wanted["L"], legal
    elif "lh" in wanted:
        yield "legal set hash", wanted["lh"], short_hash(legal)
    yield "legal moves", str(wanted["n"]), str(legal.count(";") + 1 if legal else 0)


def _after_ply(position: Position, wanted: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (what, wanted, got) for each thing recorded after the move of a ply."""
    state = str(position)
    if "s" in wanted:
        yield "state", wanted["s"], state
    yield "state hash", wanted["h"], short_hash(state)
    yield "lps", str(wanted.get("lps")), position.lps if position.lps_updated else "None"
    yield "border", str(wanted.get("tb")), str(position.last_border)


def _at_end(position: Position, trace: Trace) -> Iterator[tuple[str, str, str]]:
    """Yield (what, wanted, got) for the recorded result."""
    wanted = trace.field("result", dict)
    yield "final state", wanted["final"], str(position)
    ended = wanted["end"] == "game_over"
    yield "game over", str(ended), str(position.is_over)
    yield "winner", str(wanted["winner"] or 0), str(position.winner)
    result = position.result
    yield "reason", str(wanted["reason"]), result.reason if result else "None"
    if wanted["end"] == "no_legal_moves":
        yield "legal set", "", legal_text(position)


def _initial(trace: Trace) -> Position:
    """Return the position a game starts from."""
    try:
        return Position.parse(trace.field("initial", str), spec=trace.spec())
    except InvalidPosition as error:
        raise DataError(f"initial: {error}", where=trace.where) from None


def _compared(trace: Trace, report: Report) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """Replay a game, yielding (ply, (what, wanted, got)) for all that its record holds."""
    moves, plies = trace.field("moves", list), trace.field("positions", list)
    position = _initial(trace)
    if position.fingerprint != trace.field("initial_hash", str):
        raise DataError("initial does not have the hash initial_hash", where=trace.where)
    if len(plies) != len(moves):
        raise DataError(f"{len(moves)} moves but {len(plies)} positions", where=trace.where)
    ply = -1
    for ply, wanted in enumerate(plies):
        text = wanted["m"]
        for pair in _at_ply(position, wanted):
            yield ply, pair
        packed = position.pack(text)
        yield ply, ("move text", text, position.move_text(packed))
        position.play(packed)
        report.plies += 1
        report.kinds[text.split(" ")[0]] += 1
        for pair in _after_ply(position, wanted):
            yield ply, pair
    for pair in _at_end(position, trace):
        yield ply, pair
    report.ends[f"{trace.field('result.end', str)}:{trace.game['result'].get('reason')}"] += 1


def replay(trace: Trace, report: Report) -> Difference | None:
    """Replay one game, counting its plies in `report`; return its first difference.

    Raises `DataError` where the record itself is damaged.
    """
    at = -1
    found: tuple[str, str, str] | None = None
    try:
        for ply, pair in _compared(trace, report):
            at = ply
            if pair[1] != pair[2]:
                found = pair
                break
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"malformed record after ply {at}: {error!r}", where=trace.where) from None
    except RingriftError as error:
        if error.where == trace.where:
            raise
        found = ("replay", "a legal move", str(error))
    if found is None:
        return None
    what, wanted, got = found
    return Difference(file=trace.file, game=trace.line, ply=at, what=what, wanted=wanted, got=got)


def replay_batch(traces: list[Trace]) -> Report:
    """Replay some games; the task of one worker process."""
    report = Report()
    for trace in traces:
        if not trace.on_standard_board():
            report.skipped += 1
            continue
        report.games += 1
        found = replay(trace, report)
        if found:
            report.differences.append(found)
    return report


def _batches(files: list[Path], limit: int | None) -> Iterator[list[Trace]]:
    for path in files:
        games = islice(read_traces(path), limit)
        while batch := list(islice(games, BATCH)):
            yield batch


@contextmanager
def _plain_children(engine: Engine) -> Iterator[None]:
    """Let processes spawned meanwhile run the rules uncompiled, if `engine` says so."""
    if engine == "plain":
        before = os.environ.get("NUMBA_DISABLE_JIT")
        os.environ["NUMBA_DISABLE_JIT"] = "1"
        try:
            yield
        finally:
            if before is None:
                del os.environ["NUMBA_DISABLE_JIT"]
            else:
                os.environ["NUMBA_DISABLE_JIT"] = before
    else:
        yield


def _run(files: list[Path], engine: Engine, workers: int, limit: int | None) -> Iterator[Report]:
    """Replay batches on spawned processes, yielding their reports in the order they finish."""
    if engine == "compiled":
        warm_up()  # one process compiles, the others load
    with (
        _plain_children(engine),
        ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool,
    ):
        running: set[Future[Report]] = set()
        try:
            for batch in _batches(files, limit):
                running.add(pool.submit(replay_batch, batch))
                if len(running) >= workers * QUEUED:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (f.result() for f in done)
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (f.result() for f in done)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def check(
    files: list[Path],
    *,
    engine: Engine = "compiled",
    workers: int | None = None,
    stop_after: int | None = None,
    limit: int | None = None,
    on_progress: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Replay the games of the files, at most `limit` of each, on `workers` processes.

    Ends early once `stop_after` differences are found; raises `DataError` for a damaged record.
    """
    begin = time.monotonic()
    total = Report()
    for part in _run(files, engine, workers or core_count(), limit):
        total.add(part)
        on_progress(total)
        if stop_after is not None and len(total.differences) >= stop_after:
            break
    total.differences.sort(key=lambda d: (d.file, d.game))
    total.seconds = time.monotonic() - begin
    return total
