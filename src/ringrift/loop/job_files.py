"""A job that somebody wrote by hand: a JSON file, checked to its last key before it is filed."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ringrift.cluster.jobs import NORMAL, URGENT, Job, JobKind, Needs
from ringrift.core.errors import DataError, UsageError
from ringrift.core.settings import CONFIGURATIONS
from ringrift.loop.job_specs import checked

HOUR_S = 3600.0


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Needs(_Table):
    cpu: Annotated[int, Field(ge=1)] = 1
    mem_gb: Annotated[float, Field(gt=0)] = 2.0
    gpu: Annotated[int, Field(ge=0)] = 0
    gpu_mem_gb: Annotated[float, Field(ge=0)] = 0.0
    disk_gb: Annotated[float, Field(ge=0)] = 0.0


class _JobFile(_Table):
    kind: JobKind
    config: str
    spec: dict[str, Any]
    needs: _Needs = _Needs()
    prio: Annotated[int, Field(ge=URGENT, le=NORMAL)] = NORMAL
    timeout_s: Annotated[float, Field(gt=0)] = HOUR_S
    max_attempts: Annotated[int, Field(ge=1)] = 3
    min_version: str = "0"
    reason: str = "by hand"


def read_job(data: bytes, *, where: str, rules_hash: str) -> Job:
    """Read a job from the bytes of a file; `where` names it.

    Raises `DataError` for what is no JSON object, `UsageError` with the path of a key that is
    unknown, missing or of another kind.
    """
    try:
        tree = json.loads(data)
    except ValueError as error:
        raise DataError(f"no JSON: {error}", where=where) from None
    if not isinstance(tree, dict):
        raise DataError(f"found {type(tree).__name__}; expected an object", where=where)
    try:
        read = _JobFile.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, first["loc"]))
        unknown = first["type"] == "extra_forbidden"
        said = "unknown key" if unknown else first["msg"]
        raise UsageError(f"{path}: {said}", where=where) from None
    if read.config not in CONFIGURATIONS:
        names = ", ".join(CONFIGURATIONS)
        raise UsageError(f"config: found {read.config!r}; expected one of {names}", where=where)
    try:
        told = checked(read.kind, read.spec)
    except UsageError as error:
        raise UsageError(error.message, where=where, hint=error.hint) from None
    if read.config != (other := getattr(told, "config", read.config)):
        raise UsageError(f"spec.config: found {other!r}; expected {read.config!r}", where=where)
    return Job(
        **{**read.model_dump(), "spec": read.spec, "needs": Needs(**read.needs.model_dump())},
        rules_hash=rules_hash,
    )
