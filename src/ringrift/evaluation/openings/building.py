"""Build books of openings: draw, play on, keep what is fair and new (`evaluation.md` 2).

Candidate `k` follows from the settings and `k` alone, and whether it is kept from the candidates
before it, so a book is the same on any number of processes. Each candidate is written down as it is
decided: a build that was ended goes on where it was, and a larger book continues a smaller one.
"""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import BusyError, DataError, NegativeResult, UsageError
from ringrift.core.files import lock, write_atomic
from ringrift.core.ids import canonical_json, content_id
from ringrift.core.processes import begin_worker, threads_of_children
from ringrift.evaluation.openings.books import Book, line_of, read_book
from ringrift.evaluation.openings.drawing import MAX_CHOICES, MIN_CHOICES, draw
from ringrift.evaluation.openings.playouts import Player
from ringrift.evaluation.openings.symmetry import position_id
from ringrift.rules import BoardSpec, Position, parse_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

COUNT = 2000
SEED = 42
FORMAT = "ringrift.openings/1"
"""Rises whenever the same settings give another book."""
CHUNK = 4
"""Candidates of one task: about a third of a second."""
AHEAD = 3
POLL_S = 0.2
MOST_FAILURES = 1000
FOLDER = ".candidates"

Candidate = dict[str, Any] | None
"""`None` for a drawn game that is over or has a swap pending, `{"id"}` for a position that is not
fair, `{"id", "moves", "shares"}` for a fair one."""


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """What fixes a book; `min_choices` and `max_choices` are those of two players."""

    config: str
    count: int = COUNT
    seed: int = SEED
    min_choices: int = MIN_CHOICES
    max_choices: int = MAX_CHOICES

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(f"a book of {self.count} openings; expected at least 1")
        if not 1 <= self.min_choices <= self.max_choices:
            raise UsageError(
                f"openings of {self.min_choices} to {self.max_choices} choices; expected at least 1 "
                "and no fewer at most than at least"
            )

    @cached_property
    def spec(self) -> BoardSpec:
        """Rules of the openings."""
        return BoardSpec.create(*parse_config(self.config))

    @property
    def digest(self) -> str:
        """Name the candidates: what a book follows from, except for its size."""
        method = Player(self.spec).method
        named = [FORMAT, self.spec.hash, method, self.seed, self.min_choices, self.max_choices]
        return content_id("openings", canonical_json(named))[:12]


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a build is: openings kept of the candidates drawn, and why others were left out.

    `ended` counts games that ended or owed a swap, `known` positions that came before.
    """

    kept: int = 0
    candidates: int = 0
    ended: int = 0
    unfair: int = 0
    known: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A book that is complete, and how it came about."""

    path: Path
    book: Book
    progress: Progress


def build(
    settings: BuildSettings,
    folder: Path,
    *,
    workers: int = 1,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Built | None:
    """Write the book `<config>.jsonl` of `folder`; `None` if `stop` ended it before.

    What it tried stays in `folder/.candidates`. Raises `BusyError` while another build of the same
    book runs, `NegativeResult` where the last thousand candidates gave no opening.
    """
    trail = folder / FOLDER / f"{settings.config}-{settings.digest}.jsonl"
    with lock(trail.with_suffix(".lock"), what=f"the build of {trail.stem}"), _Trail(trail) as kept:
        chosen = _Chosen(settings)
        with _Source(settings, kept, workers, stop) as candidates:
            for candidate in candidates:
                chosen.add(candidate)
                on_progress(chosen.progress)
                if chosen.is_complete:
                    return _write(settings, folder, chosen)
    return None


def _write(settings: BuildSettings, folder: Path, chosen: _Chosen) -> Built:
    path = folder / f"{settings.config}.jsonl"
    data = b"".join(chosen.lines)
    write_atomic(path, data)
    book = read_book(data, settings.spec, where=str(path))
    return Built(path=path, book=book, progress=chosen.progress)


class _Chosen:
    """The openings of a book, taken from its candidates in their order."""

    def __init__(self, settings: BuildSettings) -> None:
        self._settings = settings
        self._seen: set[str] = set()
        self._failures = 0
        self.lines: list[bytes] = []
        self.progress = Progress()

    @property
    def is_complete(self) -> bool:
        return len(self.lines) == self._settings.count

    def add(self, candidate: Candidate) -> None:
        progress = self.progress
        progress.candidates += 1
        self._failures += 1
        if candidate is None:
            progress.ended += 1
        elif candidate["id"] in self._seen:
            progress.known += 1
        else:
            self._seen.add(candidate["id"])
            if "moves" in candidate:
                self.lines.append(line_of(candidate["id"], candidate["moves"], candidate["shares"]))
                progress.kept += 1
                self._failures = 0
            else:
                progress.unfair += 1
        if self._failures >= MOST_FAILURES:
            raise NegativeResult(
                f"{self._settings.config}: {progress.kept} openings of "
                f"{self._settings.min_choices} to {self._settings.max_choices} choices found, and none "
                f"among the last {MOST_FAILURES:,} candidates; expected {self._settings.count:,}",
                hint="a larger --max-choices",
            )


class _Trail:
    """The file of the candidates decided so far, one line each; a torn last line is dropped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes]

    def __enter__(self) -> _Trail:
        self._file = self._path.open("a+b")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self) -> Iterator[Candidate]:
        """Yield what is there; call it once, before anything is added."""
        self._file.seek(0)
        data = self._file.read()
        whole = data.rfind(b"\n") + 1
        self._file.truncate(whole)
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            try:
                candidate = json.loads(line)
                if candidate is None or isinstance(candidate["id"], str):
                    yield candidate
                    continue
            except (ValueError, TypeError, KeyError):
                pass
            raise DataError(
                f"candidates of a book: found {line[:40]!r}; expected null or an object with id",
                where=f"{self._path}:{number}",
                hint="deleting the file, which begins the build anew",
            )

    def append(self, candidate: Candidate) -> None:
        """Write down one more, so that a process killed now keeps it."""
        self._file.write(json.dumps(candidate, separators=(",", ":")).encode() + b"\n")
        self._file.flush()


class _Source:
    """All candidates in order: those on file, then new ones made by spawned processes."""

    def __init__(
        self, settings: BuildSettings, trail: _Trail, workers: int, stop: Callable[[], bool]
    ) -> None:
        self._settings = settings
        self._trail = trail
        self._workers = workers
        self._stop = stop
        self._closing = ExitStack()

    def __enter__(self) -> Iterator[Candidate]:
        return self._all()

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _all(self) -> Iterator[Candidate]:
        number = 0
        for candidate in self._trail.read():
            yield candidate
            number += 1
        for candidate in self._made(number):
            self._trail.append(candidate)
            yield candidate

    def _made(self, first: int) -> Iterator[Candidate]:
        self._closing.enter_context(threads_of_children(1))
        pool = ProcessPoolExecutor(
            self._workers, mp_context=get_context("spawn"), initializer=begin_worker
        )
        self._closing.callback(pool.shutdown, wait=True, cancel_futures=True)
        running: deque[Future[list[Candidate]]] = deque()
        ahead = 1  # the first process compiles what the others load
        while not self._stop():
            try:
                while len(running) < ahead:
                    running.append(pool.submit(make, self._settings, first, CHUNK))
                    first += CHUNK
                if not wait([running[0]], timeout=POLL_S).done:
                    continue
                made = running.popleft().result()
            except BrokenProcessPool:
                raise BusyError(
                    "a process that plays from openings was ended from outside",
                    hint="the same command again, which goes on",
                ) from None
            ahead = self._workers * AHEAD
            yield from made


def make(settings: BuildSettings, first: int, count: int) -> list[Candidate]:
    """Draw the candidates from number `first` on and play from each."""
    return [_candidate(settings, number) for number in range(first, first + count)]


def _candidate(settings: BuildSettings, number: int) -> Candidate:
    spec = settings.spec
    with_swap = replace(spec, swap_rule=spec.players == 2)  # fit for games with and without it
    drawn = draw(with_swap, settings.seed, number, settings.min_choices, settings.max_choices)
    if drawn is None:
        return None
    position, texts = Position.of(spec), []
    for move in drawn[0]:
        texts.append(position.move_text(move))
        position.play(move)
    identity = position_id(position)
    shares = _player(spec).fair_shares(position, f"{settings.seed} {number}")
    if shares is None:
        return {"id": identity}
    return {"id": identity, "moves": ";".join(texts), "shares": shares}


@lru_cache(maxsize=1)
def _player(spec: BoardSpec) -> Player:
    return Player(spec)
