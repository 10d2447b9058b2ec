"""Learn the game part by part: five stages of plies, each until its moves are predicted well enough.

A stage that misses its minimum is trained once more from where it ended. What stands is kept in one
file, so that a run that was killed goes on with the attempt it was in.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from ringrift.core.errors import DataError, UsageError
from ringrift.core.files import lock, write_atomic
from ringrift.core.ids import canonical_json, content_id

BASE_PLIES = 130.0
"""Median length of the square8 games for which the bounds of the stages were written."""
ATTEMPTS = 2
STATE_FILE = "stages.json"
FORMAT = "ringrift.curriculum-stages/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One part of the game; bounds in plies, both included, None without an end.

    `minimum` is the share of validation positions whose best move is predicted.
    """

    number: int
    name: str
    first_ply: int
    last_ply: int | None
    minimum: float
    epochs: int
    learning_rate: float

    def holds(self, ply: int) -> bool:
        """Say whether a position before decision `ply`, from 0, belongs to the stage."""
        return self.first_ply <= ply and (self.last_ply is None or ply <= self.last_ply)


def _stage(
    number: int, name: str, plies: tuple[int, int | None], minimum: float, epochs: int, rate: float
) -> Stage:
    return Stage(
        number=number, name=name, first_ply=plies[0], last_ply=plies[1], minimum=minimum,
        epochs=epochs, learning_rate=rate,
    )  # fmt: skip


STAGES: tuple[Stage, ...] = (
    _stage(1, "placement", (0, 39), 0.60, 15, 1e-3),
    _stage(2, "early", (40, 99), 0.55, 15, 5e-4),
    _stage(3, "mid", (100, 199), 0.50, 20, 3e-4),
    _stage(4, "late", (200, 499), 0.45, 20, 2e-4),
    _stage(5, "full", (0, None), 0.45, 30, 1e-4),
)


def stages_for(board: str, lengths: Sequence[int]) -> tuple[Stage, ...]:
    """Return the stages of a board; `lengths` are the plies of the games to be learned from.

    Off square8 the bounds grow with the median length. Raises `DataError` without a game.
    """
    if board == "square8":
        return STAGES
    if not lengths:
        raise DataError("no game to take the median length from", where="curriculum stages")
    factor = statistics.median(lengths) / BASE_PLIES
    return tuple(_scaled(stage, factor) for stage in STAGES)


def _scaled(stage: Stage, factor: float) -> Stage:
    if stage.last_ply is None:
        return stage
    first = round(stage.first_ply * factor)
    last = max(first, round((stage.last_ply + 1) * factor) - 1)
    return replace(stage, first_ply=first, last_ply=last)


def chosen(stages: Sequence[Stage], first: int, *, onward: bool) -> tuple[Stage, ...]:
    """Return stage `first` alone, or with all that follow; raises `UsageError`."""
    if not 1 <= first <= len(stages):
        raise UsageError(f"stage {first}; expected 1 to {len(stages)}", where="--stage")
    return tuple(stages[first - 1 :] if onward else stages[first - 1 : first])


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What one attempt gave: the model, its file, and its share of predicted moves.

    The share is None where there were no validation positions.
    """

    model: str
    path: str
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """How a stage ended: after how many attempts, with which model, and whether well enough.

    Without a sample of its plies there was no attempt, and the model is that of the stage before.
    """

    stage: Stage
    attempts: int
    model: str | None
    accuracy: float | None

    @property
    def passed(self) -> bool:
        """Whether the minimum was reached; never without a measurement."""
        return self.accuracy is not None and self.accuracy >= self.stage.minimum

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            **asdict(self.stage),
            "attempts": self.attempts,
            "model": self.model,
            "accuracy": self.accuracy,
            "passed": self.passed,
        }


class TrainStage(Protocol):
    """Train one stage: from a model, into a run folder of its own that can be gone on with."""

    def __call__(self, stage: Stage, *, parent: str | None, run_dir: Path) -> Trained | None:
        """Return what the training gave; None where no sample lies in the stage."""
        ...


def run_stages(
    stages: Sequence[Stage],
    train: TrainStage,
    folder: Path,
    *,
    key: dict[str, Any],
    parent: str | None = None,
    strict: bool = False,
    fresh: bool = False,
    on_result: Callable[[StageResult], None] = lambda _: None,
) -> list[StageResult]:
    """Train the stages in order, each from the model of the one before; `parent` is a file.

    Below its minimum a stage is repeated once; then the next one begins, or with `strict` the
    results end there. `key` is what else decides the outcome. Attempts that `folder` holds are not
    made again. Raises `UsageError` for a folder of another curriculum unless `fresh`, `BusyError`
    where somebody works in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with lock(folder / ".curriculum.lock", what="curriculum"):
        state = _State.open(
            folder, {**key, "stages": [asdict(s) for s in stages], "parent": parent}, fresh=fresh
        )
        results: list[StageResult] = []
        for stage in stages:
            result = StageResult(
                stage=stage, attempts=0, model=results[-1].model if results else None, accuracy=None
            )
            for attempt in range(1, ATTEMPTS + 1):
                trained = state.made(stage, attempt)
                if trained is None:
                    run_dir = folder / f"stage{stage.number}-{attempt}-{state.name}"
                    trained = train(stage, parent=parent, run_dir=run_dir)
                    if trained is None:
                        break
                    state.add(stage, attempt, trained)
                parent = trained.path
                result = StageResult(
                    stage=stage, attempts=attempt, model=trained.model, accuracy=trained.accuracy
                )
                if result.passed:
                    break
            results.append(result)
            on_result(result)
            if strict and not result.passed:
                break
    return results


class _State:
    """The attempts that were made, in one file that is replaced whole."""

    def __init__(self, path: Path, key: str, attempts: list[dict[str, Any]]) -> None:
        self._path = path
        self._key = key
        self._attempts = attempts

    @classmethod
    def open(cls, folder: Path, key: dict[str, Any], *, fresh: bool) -> _State:
        path, digest = folder / STATE_FILE, content_id("curriculum", canonical_json(key))
        if fresh or not path.exists():
            return cls(path, digest, [])
        try:
            tree = json.loads(path.read_bytes())
            known, attempts = tree["key"], list(tree["attempts"])
        except (ValueError, KeyError, TypeError):
            raise DataError(
                "not a list of attempts", where=str(path), hint="--fresh to begin anew"
            ) from None
        if known != digest:
            raise UsageError(
                "the folder holds a curriculum with other settings",
                where=str(path),
                hint="--fresh, or another --output-dir",
            )
        return cls(path, digest, attempts)

    @property
    def name(self) -> str:
        return self._key[:8]

    def made(self, stage: Stage, attempt: int) -> Trained | None:
        for one in self._attempts:
            if (one["stage"], one["attempt"]) == (stage.number, attempt):
                return Trained(model=one["model"], path=one["path"], accuracy=one["accuracy"])
        return None

    def add(self, stage: Stage, attempt: int, trained: Trained) -> None:
        self._attempts.append({"stage": stage.number, "attempt": attempt, **asdict(trained)})
        tree = {"format": FORMAT, "key": self._key, "attempts": self._attempts}
        write_atomic(self._path, (json.dumps(tree, indent=2) + "\n").encode())
