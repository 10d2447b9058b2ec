"""What each kind of the loop's jobs is told; checked where it is filed and where it is done.

An unknown key or a value of another kind is an error with the key's path (`cluster.md` 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ringrift.core.errors import UsageError

Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
NetKind = Literal["nnue-policy", "nnue", "cnn"]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SelfplaySpec(_Spec):
    """Games `first` to `first + games - 1` of the run `run`, whose seed is `seed`.

    `agent` plays all seats; `model` is the id of the model in it. `preset` names the exploration in
    force; `tau` is its temperature, None for the agent's own.
    """

    config: str
    agent: str
    model: str | None
    run: str
    seed: Number
    first: Number
    games: Count
    full_fraction: Share = 1.0
    cheap_sims: Count | None = None
    random_choices: Number = 8
    preset: str = "default"
    tau: Annotated[float, Field(ge=0)] | None = None


class MatchSpec(_Spec):
    """Games of a match: the plan's text and the numbers of the games; `attempt` counts from 1.

    `capped` games count to the tenth of a configuration's time that looking on may take.
    """

    config: str
    plan: str
    games: Annotated[tuple[Number, ...], Field(min_length=1, strict=False)]
    attempt: Count = 1
    capped: bool = False


class TrainingValues(_Spec):
    """The numbers of a training; None is the trainer's own default.

    `max_reuse` bounds the passes over one game in the lineage's life; `passes_factor` scales those
    of this training.
    """

    hidden_dim: Count | None = None
    model_size: str | None = None
    batch_size: Count | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    max_reuse: Annotated[float, Field(gt=0)] = 8.0
    passes_factor: Annotated[float, Field(gt=0)] = 1.0
    window_games: Count | None = None
    window_factor: Annotated[float, Field(gt=0)] = 1.0
    options: dict[str, Any] = Field(default_factory=dict)


class DatasetSpec(_Spec):
    """The samples of one training: games of the store up to sequence number `upto`."""

    config: str
    kind: NetKind
    parent: str | None
    upto: Number
    values: TrainingValues


class TrainSpec(_Spec):
    """A model: of random weights where `init` says so, else from `parent` over `dataset`."""

    config: str
    kind: NetKind
    seed: Number
    init: Literal["random"] | None = None
    parent: str | None = None
    dataset: str | None = None
    values: TrainingValues = TrainingValues()


class VerifySpec(_Spec):
    """Hold-out numbers of one model, over games of the store up to sequence number `upto`.

    None: over all that there are.
    """

    config: str
    model: str
    upto: Number | None = None


SPECS: dict[str, type[_Spec]] = {
    "selfplay": SelfplaySpec,
    "match": MatchSpec,
    "dataset": DatasetSpec,
    "train": TrainSpec,
    "verify": VerifySpec,
}


def checked(kind: str, spec: Mapping[str, Any]) -> _Spec:
    """Read the spec of a job; raises `UsageError` naming the key and what is wrong with it."""
    if kind not in SPECS:
        raise UsageError(f"unknown kind of job {kind!r}", hint=", ".join(SPECS))
    try:
        return SPECS[kind].model_validate(dict(spec))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(("spec", *map(str, first["loc"])))
        found = first.get("input")
        raise UsageError(
            f"{path}: {first['msg']}; found {found!r:.80}", where=f"{kind} job"
        ) from None
