"""What the loop knows of each configuration: plain numbers, read from games, models and decisions.

Control decides from these alone (`loop.md` 3). The process that holds the store makes them
(`keeper`), so nothing here loads a compiler. An unknown number is None; no rule takes it for a value.
Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

MatchKey = Literal[
    "candidate_random",
    "candidate_heuristic",
    "champion_random",
    "champion_heuristic",
    "against_champion",
    "regression",
    "shadow",
    "full",
    "tournament",
    "calibration",
    "milestone",
]
"""What a match is for: a field of the evidence of a promotion, or something to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchFacts:
    """One match that is wanted, and what is stored of it.

    `plan` is the hash of its plan, `plan_text` its text. `missing` are the numbers of games to be
    played next, in the plan's order, whole blocks of `block` games and at most `MOST_MISSING`; empty
    once the match is `complete`. `verdict` is that of its test, `accept`, `reject` or
    `inconclusive`. `subject` is the model that it measures, `opponent` whom against.
    """

    key: MatchKey
    title: str
    plan: str
    plan_text: str
    purpose: str
    subject: str
    opponent: str
    games: int
    played: int
    block: int
    missing: tuple[int, ...]
    complete: bool
    name: str = ""
    score: float | None = None
    interval: tuple[float, float] | None = None
    elo: float | None = None
    elo_ci95: tuple[float, float] | None = None
    llr: float | None = None
    bounds: tuple[float, float] | None = None
    verdict: str | None = None
    wins_losses_capped: tuple[int, int, int] = (0, 0, 0)


MOST_MISSING = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFacts:
    """One decision; what the test against the champion said is None where there was none."""

    sequence: int
    kind: str
    candidate: str
    champion_before: str | None
    champion: str
    at: float
    by: str
    reason: str
    score: float | None = None
    elo: float | None = None
    elo_ci95: tuple[float, float] | None = None
    games: int | None = None
    simulations: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model of a configuration, from its card.

    `games_upto` is the store's sequence number up to which its dataset looked, `trained_from` the
    model whose weights it went on with, `random` whether its weights are random, `unfinished` whether
    they are those of a training under way. `losses` are the mean training losses of its epochs, nats.
    """

    id: str
    kind: str
    made_at: float
    dataset: str | None = None
    games_upto: int | None = None
    trained_from: str | None = None
    random: bool = False
    unfinished: bool = False
    games: int | None = None
    samples: int | None = None
    seconds: float | None = None
    losses: tuple[float, ...] = ()
    validation_loss: float | None = None
    overfit_gap: float | None = None
    coverage: float | None = None
    ece: float | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """What the gates of a training look at (`loop.md` 3); None is unknown and blocks.

    Rates and shares are 0 to 1. `seat_wins` are the wins of each seat in the last `seat_games` games.
    `preflight` are the faults found, empty where there are none. `policy_share` is the share of full
    searches that carry a policy target, None where no engine has a policy.
    """

    quality: float | None = None
    failure_rate: float | None = None
    policy_share: float | None = None
    needs_policy: bool = True
    seat_wins: tuple[int, ...] = ()
    seat_games: int = 0
    preflight: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayFacts:
    """How self-play goes: games a kind of ending and of opening takes, over the last 1,000 games."""

    games_last_hour: int = 0
    move_limit_share: float | None = None
    distinct_openings: float | None = None
    next_index: Mapping[str, int] = field(default_factory=dict)
    """By run: one above the highest index that is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedModel:
    """A champion's rating in its configuration's fit (`evaluation.md` 5)."""

    model: str
    elo: float | None
    ci95: tuple[float, float] | None
    games: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TournamentFacts:
    """One finished full tournament: Elo of the champion of its time and of the one before."""

    at: float
    champion: RatedModel
    predecessor: RatedModel | None
    difference_ci95: tuple[float, float] | None
    games: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFacts:
    """The newest study of hyper-parameters that the loop filed, and when it ended.

    It learned from games up to the sequence number `upto` and made `trials` in all. `gain` is by how
    much the best set's loss was lower, nats; `score` that of its nets in `games` games.
    """

    job: str
    at: float
    upto: int
    trials: int
    written: bool
    outcome: str
    gain: float | None = None
    score: float | None = None
    games: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningFacts:
    """How far a configuration's hyper-parameters are tuned (`training.md` 10).

    `confidence` is None where it is unknown, and `error` says why; `tuned_at` is ISO 8601.
    `trials_of_medium` are the trials that make a set of confidence medium.
    """

    confidence: str | None = "none"
    trials: int = 0
    tuned_at: str | None = None
    trials_of_medium: int = 30
    study: StudyFacts | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFacts:
    """All that is known of one configuration.

    `decisions` are in order. `models` are those in the registry, oldest first; `undecided` those of
    the loop's lineage without a decision, oldest first, with whether a match of theirs has begun.
    `new_games` counts verified trainable games above `games_upto` of the newest trained model.
    `matches` are those that the newest candidate needs for its decision, in their order, as far as
    earlier results ask for them; `side_matches` those that are due beside (`shadow`, `full`,
    `tournament`, `calibration`, `milestone`). `ready_to_decide`: nothing is missing.
    """

    config: str
    champion: str | None
    decisions: tuple[DecisionFacts, ...] = ()
    models: tuple[ModelFacts, ...] = ()
    undecided: tuple[tuple[str, bool], ...] = ()
    games: int = 0
    new_games: int = 0
    max_seq: int = 0
    gates: GateFacts = GateFacts()
    play: PlayFacts = PlayFacts()
    matches: tuple[MatchFacts, ...] = ()
    side_matches: tuple[MatchFacts, ...] = ()
    holdout_missing: tuple[str, ...] = ()
    ready_to_decide: bool = False
    ratings: tuple[RatedModel, ...] = ()
    tournaments: tuple[TournamentFacts, ...] = ()
    tests: int = 0
    tests_expected_false: float = 0.0
    """Tests since the last promotion, and how many of them chance alone would pass."""
    last_shadow_at: float | None = None
    last_full_at: float | None = None
    milestones: Mapping[str, float] = field(default_factory=dict)
    """By name: when it was reached first."""
    tuning: TuningFacts = TuningFacts()
    error: str | None = None
    """What is wrong, where the facts could not be read; nothing else is known then."""

    @property
    def candidate(self) -> str | None:
        """The model that waits for its decision; older undecided ones are superseded."""
        return self.undecided[-1][0] if self.undecided else None

    @property
    def generation(self) -> int:
        """How many champions there were after the first."""
        return sum(1 for d in self.decisions if d.kind == "promoted" and d.champion_before)

    def model(self, identity: str | None) -> ModelFacts | None:
        """Return what is known of a model."""
        return next((m for m in self.models if m.id == identity), None)
