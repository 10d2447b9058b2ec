"""Do the stages of a pipeline in order, each of them once for the same inputs (training.md 11)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from ringrift.core.errors import NegativeResult
from ringrift.core.files import lock
from ringrift.training.pipeline.jobs import FinishedJob, JobBook, job_id

STAGES = ("collect", "pool", "backfill", "export", "train", "elo", "sync")

State = Literal["done", "finished before", "to do", "skipped"]
Results = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What a stage has before it.

    `inputs` decide what comes out; None while they are not known, before stages that come first.
    """

    inputs: Mapping[str, Any] | None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Needless:
    """Why a stage has nothing to do here."""

    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What a stage came to. With `problems` it is not finished: the next run does it again.

    `inputs` are those that it has now, where its own work changed them.
    """

    result: Mapping[str, Any]
    told: str
    problems: tuple[str, ...] = ()
    inputs: Mapping[str, Any] | None = None


class Stage(Protocol):
    """A stage of a pipeline; `results` are those of stages before it, by name."""

    name: str

    def look(self, results: Results) -> Ahead | Needless:
        """Say what there is to do; changes nothing."""
        ...

    def work(self, identity: str, results: Results) -> Worked:
        """Do it as job `identity`; what a killed process had done is gone on with."""
        ...

    def stands(self, result: Mapping[str, Any]) -> bool:
        """Tell whether what a finished job made is still there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a stage, or with `to do` would become of it."""

    stage: str
    state: State
    job: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    told: str = ""
    problems: tuple[str, ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None


def plan_pipeline(stages: Sequence[Stage], folder: Path) -> list[Outcome]:
    """Say what each stage would do; changes nothing.

    Behind a stage that is to do, counts are those of now and jobs are not known yet.
    """
    book = JobBook(folder)
    results: dict[str, Mapping[str, Any]] = {}
    outcomes: list[Outcome] = []
    waiting: str | None = None
    for stage in stages:
        try:
            ahead = stage.look(results)
        except NegativeResult as error:
            told = str(error) if waiting is None else f"known after {waiting}: {error.message}"
            outcomes.append(Outcome(stage=stage.name, state="to do", told=told))
            waiting = waiting or stage.name
            continue
        outcome = _planned(stage, ahead, book, waiting)
        outcomes.append(outcome)
        if outcome.state == "finished before":
            results[stage.name] = outcome.result
        elif outcome.state == "to do":
            waiting = waiting or stage.name
    return outcomes


def _planned(stage: Stage, ahead: Ahead | Needless, book: JobBook, waiting: str | None) -> Outcome:
    if isinstance(ahead, Needless):
        return Outcome(stage=stage.name, state="skipped", told=ahead.note)
    identity = None
    if waiting is None and ahead.inputs is not None:
        identity = job_id(stage.name, ahead.inputs)
        if (before := _finished(stage, book, identity)) is not None:
            return _unchanged(before, ahead)
    return Outcome(stage=stage.name, state="to do", job=identity, counts=ahead.counts)


def run_pipeline(
    stages: Sequence[Stage],
    folder: Path,
    *,
    on_begin: Callable[[str], None] = lambda stage: None,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Do what is not finished. `folder` keeps the jobs of one configuration.

    Raises what a stage raises, with all before it kept; `BusyError` while another process runs the
    pipeline of this configuration.
    """
    with lock(folder / ".lock", what="the pipeline"):
        book = JobBook(folder)
        results: dict[str, Mapping[str, Any]] = {}
        outcomes: list[Outcome] = []
        for stage in stages:
            outcome = _done(stage, book, results, on_begin)
            results[stage.name] = outcome.result
            outcomes.append(outcome)
            on_outcome(outcome)
    return outcomes


def _done(
    stage: Stage, book: JobBook, results: Results, on_begin: Callable[[str], None]
) -> Outcome:
    ahead = stage.look(results)
    if isinstance(ahead, Needless):
        return Outcome(stage=stage.name, state="skipped", told=ahead.note)
    if ahead.inputs is None:
        raise RuntimeError(f"stage {stage.name} does not know its inputs")
    identity = job_id(stage.name, ahead.inputs)
    before = _finished(stage, book, identity)
    if before is not None:
        return _unchanged(before, ahead)
    on_begin(stage.name)
    began_s = time.monotonic()
    worked = stage.work(identity, results)
    seconds = time.monotonic() - began_s
    inputs = ahead.inputs if worked.inputs is None else worked.inputs
    identity = job_id(stage.name, inputs)
    if not worked.problems:
        book.write(
            stage.name,
            identity,
            inputs,
            result=worked.result,
            told=worked.told,
            seconds=seconds,
        )
    return Outcome(
        stage=stage.name,
        state="done",
        job=identity,
        counts=ahead.counts,
        told=worked.told,
        problems=worked.problems,
        result=worked.result,
        seconds=round(seconds, 3),
    )


def _finished(stage: Stage, book: JobBook, identity: str) -> FinishedJob | None:
    before = book.find(stage.name, identity)
    return before if before is not None and stage.stands(before.result) else None


def _unchanged(before: FinishedJob, ahead: Ahead) -> Outcome:
    return Outcome(
        stage=before.stage,
        state="finished before",
        job=before.id,
        counts=ahead.counts,
        told=before.told,
        result=before.result,
    )
