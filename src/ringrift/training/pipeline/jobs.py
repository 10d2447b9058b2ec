"""Finished jobs of a pipeline, each named by the hash of its inputs (training.md 11)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic
from ringrift.core.ids import canonical_json, content_id

SCHEMA = 1
DIGITS = 16
ANEW = "deleting it: the stage is done anew"


def job_id(stage: str, inputs: Mapping[str, Any]) -> str:
    """Return the id of a stage's job: 64 hex digits over its inputs."""
    return content_id(f"pipeline {stage}", canonical_json(inputs))


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedJob:
    """What a job came to: `result` for the stages behind it, `told` for people."""

    stage: str
    id: str
    inputs: Mapping[str, Any]
    result: Mapping[str, Any]
    told: str
    seconds: float
    finished_at: str


class JobBook:
    """The finished jobs of one configuration: a file `STAGE-ID.json` each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, stage: str, identity: str) -> FinishedJob | None:
        """Return a job that was finished; raises `DataError` for a damaged file."""
        path = self._path(stage, identity)
        return _read(path) if path.is_file() else None

    def newest(self, stage: str) -> FinishedJob | None:
        """Return the job of a stage that was finished last."""
        found = [_read(path) for path in self._folder.glob(f"{stage}-*.json")]
        return max(found, key=lambda job: job.finished_at, default=None)

    def write(
        self,
        stage: str,
        identity: str,
        inputs: Mapping[str, Any],
        *,
        result: Mapping[str, Any],
        told: str,
        seconds: float,
    ) -> None:
        """Note that a job is finished."""
        self._folder.mkdir(parents=True, exist_ok=True)
        job = FinishedJob(
            stage=stage,
            id=identity,
            inputs=inputs,
            result=result,
            told=told,
            seconds=round(seconds, 3),
            finished_at=datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        )
        text = json.dumps({"schema": SCHEMA, **asdict(job)}, indent=1, allow_nan=False)
        write_atomic(self._path(stage, identity), text.encode() + b"\n")

    def _path(self, stage: str, identity: str) -> Path:
        return self._folder / f"{stage}-{identity[:DIGITS]}.json"


def _read(path: Path) -> FinishedJob:
    try:
        tree = json.loads(path.read_bytes())
        schema, job = tree.pop("schema"), FinishedJob(**tree)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"no finished job: {error}", where=str(path), hint=ANEW) from None
    if schema != SCHEMA:
        raise DataError(f"found schema {schema!r}; expected {SCHEMA}", where=str(path), hint=ANEW)
    return job
