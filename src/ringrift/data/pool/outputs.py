"""Where judged games go: the pool's store, or nowhere in a dry run (data.md 2)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Protocol

from ringrift.data.pool.inputs import InputFile
from ringrift.data.pool.request import PoolRequest
from ringrift.records.columns import split_of
from ringrift.records.gate import Gate
from ringrift.records.ingest import IngestReport
from ringrift.records.inputs import START, Mark
from ringrift.records.preparing import Outcome, Prepared, prepare
from ringrift.records.refused import Refused
from ringrift.records.schema import HOLDOUT_PERCENT, VAL_PERCENT
from ringrift.records.store import COMMIT_EVERY, GameStore


class Taker(Protocol):
    """Takes the games of one input."""

    @property
    def report(self) -> IngestReport:
        """What became of the games so far."""

    def take(self, outcomes: Iterable[Outcome], mark: Mark | None = None) -> None:
        """Take games, with how far the input was read; all or nothing."""


class Output(Protocol):
    """Knows games and takes new ones."""

    def known(self, game: str, analysis: str | None) -> bool:
        """Tell whether a game is here, with that analysis if one is given."""

    def mark(self, input_file: InputFile) -> Mark | None:
        """Return how far an earlier run read an input, None if it never did."""

    def taker(self, input_file: InputFile) -> Taker:
        """Return what takes the games of an input."""


class IntoStore:
    """Writes into the pool's store."""

    def __init__(self, store: GameStore, request: PoolRequest) -> None:
        self._store = store
        self._request = request

    def known(self, game: str, analysis: str | None) -> bool:
        """Tell whether a game is here, with that analysis if one is given."""
        return self._store.has(game, analysis)

    def mark(self, input_file: InputFile) -> Mark | None:
        """Return how far an earlier run read an input, None if it never did."""
        return self._store.mark(input_file.name, self._request.key)

    def taker(self, input_file: InputFile) -> Taker:
        """Return what takes the games of an input."""
        return self._store.admission(
            source=input_file.name,
            request=self._request.key,
            gate=self._request.rules.gate,
            shard=input_file.shard(),
        )


class Trial:
    """Counts what a store would hold, and writes nothing. A context manager."""

    def __init__(self, request: PoolRequest) -> None:
        self._request = request
        self._closing = ExitStack()
        self._store: GameStore | None = None
        self.percents = (HOLDOUT_PERCENT, VAL_PERCENT)
        if request.output.is_file():
            self._store = self._closing.enter_context(GameStore.open(request.output))
            self.percents = self._store.percents
        self.games: set[bytes] = set()
        self.plays: set[bytes] = set()

    def __enter__(self) -> Trial:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.close()

    def known(self, game: str, analysis: str | None) -> bool:
        """Tell whether a game is in the store, with that analysis if one is given."""
        return self._store is not None and self._store.has(game, analysis)

    def mark(self, input_file: InputFile) -> Mark | None:
        """Return how far an earlier run read an input, None if it never did."""
        if self._store is None:
            return None
        return self._store.mark(input_file.name, self._request.key)

    def taker(self, input_file: InputFile) -> Taker:
        """Return what counts the games of an input."""
        del input_file
        return _TrialTaker(self, self._request.rules.gate)


class _TrialTaker:
    def __init__(self, trial: Trial, gate: Gate) -> None:
        self.report = IngestReport()
        self._trial = trial
        self._gate = gate

    def take(self, outcomes: Iterable[Outcome], mark: Mark | None = None) -> None:
        del mark
        for outcome in outcomes:
            self._count(outcome)

    def _count(self, outcome: Outcome) -> None:
        report, trial = self.report, self._trial
        if isinstance(outcome, Refused):
            report.quarantined += 1
            report.reasons[outcome.error.reason] += 1
            return
        game = bytes.fromhex(outcome.id)
        if isinstance(outcome, Prepared) and outcome.analysis is not None:
            report.analyses += 1
        if (
            not isinstance(outcome, Prepared)
            or game in trial.games
            or trial.known(outcome.id, None)
        ):
            report.duplicate += not outcome.further
            return
        trial.games.add(game)
        play = bytes.fromhex(outcome.play)
        report.duplicate_play += play in trial.plays
        trial.plays.add(play)
        holdout, val = trial.percents
        split = split_of(
            outcome.play,
            outcome.purpose,
            holdout_percent=holdout,
            val_percent=val,
            admit_imports=self._gate.admit_imports,
        )
        report.added += 1
        report.splits[split] += 1
        report.purposes[outcome.purpose] += 1


def copy_sides(store: GameStore, *, holdout: Path | None, quarantine: Path | None) -> None:
    """Bring separate stores of the hold-out and of the quarantine up to what a store holds."""
    if holdout is not None:
        with GameStore.open(holdout, writer=True) as side:
            _copy_holdout(store, side)
    if quarantine is not None:
        with GameStore.open(quarantine, writer=True) as side:
            for rows in store.copies.quarantined():
                side.keep_quarantined(rows)


def _copy_holdout(store: GameStore, side: GameStore) -> None:
    """Copy the games that came since the last time; all of them if the share has risen."""
    percent = store.percents[0]
    if side.percents[0] != percent:
        side.raise_holdout(percent)
    source, request = str(store.path.resolve()), f"hold-out {percent}"
    gate = Gate(admit_imports=True)
    admission = side.admission(source=source, request=request, gate=gate)
    mark = side.mark(source, request) or START
    copies = store.copies.after(mark.offset, split="holdout")
    while page := list(islice(copies, COMMIT_EVERY)):
        outcomes = [
            prepare((copy.game, analysis), gate, side.has)
            for copy in page
            for analysis in (copy.analyses or (None,))
        ]
        admission.take(outcomes, Mark(offset=page[-1].seq, digest=page[-1].id))
