"""What each kind of the loop's jobs is told; checked where it is filed and where it is done.

An unknown key or a value of another kind is an error with the key's path (`cluster.md` 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ringrift.core.errors import UsageError

Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
NetKind = Literal["nnue-policy", "nnue", "cnn"]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ModeSpec(_Spec):
    """An engine mode (`selfplay.md` 4), whose searches have `sims` simulations.

    `band` are the levels of `mixed`, `pool` the models of `best-vs-pool`, newest first, `weights`
    those of the agents of `diverse`.
    """

    name: str
    sims: Count
    band: Literal["canonical", "light"] = "canonical"
    pool: Annotated[tuple[str, ...], Field(strict=False)] = ()
    weights: dict[str, float] | None = None


class SelfplaySpec(_Spec):
    """Games `first` to `first + games - 1` of the run `run`, whose seed is `seed`.

    `agent` plays all seats, or `mode` says who does; `model` is the id of the best model in them.
    `preset` names the exploration in force; `tau` is its temperature, None for the agent's own.
    `max_plies` cuts games, None where board and players say.
    """

    config: str
    agent: str | None
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
    mode: ModeSpec | None = None
    max_plies: Count | None = None

    @model_validator(mode="after")
    def _check_who_plays(self) -> Self:
        if (self.agent is None) == (self.mode is None):
            raise ValueError("expected one of agent and mode")
        return self

    def told(self) -> dict[str, Any]:
        """Return the spec as a job has it: what was not asked for does not stand in it."""
        unused = {name for name in ("mode", "max_plies") if getattr(self, name) is None}
        return self.model_dump(mode="json", exclude=unused)


class BoardOptions(_Spec):
    """The rule options of a configuration, as `rules.BoardSpec.create` takes them."""

    rings_per_player: Count
    lps_rounds: Count
    swap_rule: bool
    base_line_length: Count


class ResignSpec(_Spec):
    """`selfplay.control.Resignation`."""

    mode: Literal["off", "soft", "hard"] = "off"
    threshold: Share = 0.95
    plies: Count = 6
    audit: Share = 0.1


class ControlSpec(_Spec):
    """`selfplay.control.SearchControl`."""

    full_fraction: Share = 1.0
    full_sims: Count | None = None
    cheap_sims: Count | None = None
    opening_top_k: Number = 0
    temperature: str | None = None
    temperature_value: Annotated[float, Field(ge=0)] | None = None
    temperature_scale_board: bool = False
    resign: ResignSpec = ResignSpec()
    swap_probability: Share | None = None
    weight_noise: Share = 0.0
    noise_scale: Annotated[float, Field(ge=0)] = 0.0


class GameSpec(_Spec):
    """One game, fixed before its first ply: `selfplay.plans.GamePlan`."""

    index: Number
    seed: Number
    seats: Annotated[tuple[Number, ...], Field(strict=False)]
    opening: Annotated[tuple[int, ...], Field(strict=False)] = ()
    start: str | None = None
    random_choices: Number = 0
    top_k_choices: Number = 0
    tau: Annotated[float, Field(ge=0)] | None = None
    tags: Annotated[tuple[str, ...], Field(strict=False)] = ()


class PlannedSelfplaySpec(_Spec):
    """Games of a run that somebody else than the loop plans, each of them fixed.

    `agents` are the specs that play, `hashes` what they must be, `models` the ids of the models in
    them; `attempt` counts from 1.
    """

    config: str
    options: BoardOptions
    agents: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    hashes: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    models: Annotated[tuple[str, ...], Field(strict=False)] = ()
    max_plies: Count
    run: str
    purpose: Literal["selfplay", "soak"] = "selfplay"
    tags: Annotated[tuple[str, ...], Field(strict=False)] = ()
    control: ControlSpec = ControlSpec()
    check_invariants: bool = False
    games: Annotated[tuple[GameSpec, ...], Field(min_length=1, strict=False)]
    attempt: Count = 1


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
    """A model: of random weights where `init` says so, else from `parent` over `dataset`.

    Every `snapshot_s` seconds an epoch becomes a model too, for shadow evaluations.
    """

    config: str
    kind: NetKind
    seed: Number
    init: Literal["random"] | None = None
    parent: str | None = None
    dataset: str | None = None
    snapshot_s: Annotated[float, Field(gt=0)] | None = None
    values: TrainingValues = TrainingValues()


class VerifySpec(_Spec):
    """Hold-out numbers of a candidate and the champion over the same games."""

    config: str
    model: str
    champion: str


class TuneSpec(_Spec):
    """A study of hyper-parameters over games of the store up to sequence number `upto`.

    `values` are the present set and what else a training of the configuration has. `trials` are those
    in all, each of so many `epochs`; none begins after `timeout_s`. The nets of both sets search with
    `sims` simulations, over `considered` moves, values scaled by `c_scale`, in at most `test_games`.
    """

    config: str
    kind: NetKind
    seed: Number
    upto: Number
    trials: Count
    epochs: Count
    timeout_s: Annotated[float, Field(gt=0)]
    sims: Count
    considered: Count
    c_scale: Annotated[float, Field(gt=0)]
    test_games: Count
    values: TrainingValues = TrainingValues()


SPECS: dict[str, type[_Spec]] = {
    "selfplay": SelfplaySpec,
    "match": MatchSpec,
    "dataset": DatasetSpec,
    "train": TrainSpec,
    "companion": TrainSpec,
    "verify": VerifySpec,
    "tune": TuneSpec,
}


def checked(kind: str, spec: Mapping[str, Any]) -> _Spec:
    """Read the spec of a job; raises `UsageError` naming the key and what is wrong with it.

    Self-play that lists its games is a `PlannedSelfplaySpec`.
    """
    if kind not in SPECS:
        raise UsageError(f"unknown kind of job {kind!r}", hint=", ".join(SPECS))
    planned = kind == "selfplay" and isinstance(spec.get("games"), list | tuple)
    try:
        return (PlannedSelfplaySpec if planned else SPECS[kind]).model_validate(dict(spec))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(("spec", *map(str, first["loc"])))
        found = first.get("input")
        raise UsageError(
            f"{path}: {first['msg']}; found {found!r:.80}", where=f"{kind} job"
        ) from None
