"""The matches of a round, and what the stored games of rounds say (`evaluation.md` 10).

The seed of a round's matches says when it began and of which type it is, so that the plans in the
store are all that is needed to know the rounds of the past.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from ringrift.core.ids import short
from ringrift.evaluation.contenders import Contender, ModelRow, Search
from ringrift.evaluation.group_sequential import WilsonTest
from ringrift.evaluation.participants import participant
from ringrift.evaluation.plans import MatchPlan, OpeningChoice, plan_of_text
from ringrift.rules import BoardSpec, parse_config

if TYPE_CHECKING:
    from ringrift.evaluation.matches import Store
    from ringrift.evaluation.plans import Purpose
    from ringrift.evaluation.results import MatchResult
    from ringrift.records.record import AgentRef

Type = Literal["shadow", "full", "quick"]
TYPES: tuple[str, ...] = get_args(Type)
PURPOSES: dict[Type, Purpose] = {"shadow": "shadow", "full": "full", "quick": "shadow"}
HEURISTIC = "heuristic"
LEAST_TIME_S, MOST_TIME_S = 10**9, 10**11
FURTHER = 4 / 3
"""A round of 15 games goes on to 20 while the champion's score lies in the interval."""
FORMER_CHAMPIONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSettings:
    """Fix the games of rounds; `openings` None means the open shipped ones."""

    shadow_games: int = 15
    full_games: int = 50
    quick_games: int = 10
    baselines: tuple[str, ...] = ("random", HEURISTIC, "mcts_100", "mcts_500")
    search: Search = field(default_factory=Search)
    openings: OpeningChoice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrants:
    """Who may play in a configuration: models, the newest first, and ids of champions, likewise."""

    models: tuple[ModelRow, ...]
    champions: tuple[str, ...] = ()

    def model(self, model_id: str) -> ModelRow | None:
        """Return a model whose file is here."""
        return next((m for m in self.models if m.id == model_id and m.path is not None), None)

    def predecessor(self, model_id: str) -> ModelRow | None:
        """Return the champion, or for the champion itself the one before it."""
        others = (m for m in map(self.model, self.champions) if m is not None)
        return next((m for m in others if m.id != model_id), None)


def round_seed(kind: Type, started_s: float) -> int:
    """Return the seed of all matches of a round."""
    return int(started_s) * len(TYPES) + TYPES.index(kind)


def of_seed(seed: int) -> tuple[Type, int] | None:
    """Return type and start (Unix seconds) of the round that has this seed, None for no round."""
    started_s, place = divmod(seed, len(TYPES))
    if not LEAST_TIME_S <= started_s < MOST_TIME_S:
        return None
    kinds: tuple[Type, ...] = get_args(Type)
    return kinds[place], started_s


def round_plans(
    kind: Type, model: ModelRow, entrants: Entrants, settings: RoundSettings, started_s: float
) -> list[MatchPlan]:
    """Return the matches of a round of a model.

    Against its predecessor and `heuristic`; a full round against the baselines and the last five
    champions.
    """
    spec = BoardSpec.create(*parse_config(model.config))
    subject = Contender.of_model(model, spec, settings.search).agent
    seed = round_seed(kind, started_s)
    openings = settings.openings or OpeningChoice.of_book(spec, "open")

    def match(opponent: AgentRef, games: int, test: WilsonTest | None = None) -> MatchPlan:
        return MatchPlan.of_games(
            games if test is None else test.max_games,
            purpose=PURPOSES[kind],
            spec=spec,
            agents=(subject, opponent),
            seed=seed,
            openings=openings,
            test=test,
        )

    def opposing(found: ModelRow) -> AgentRef:
        return Contender.of_model(found, spec, settings.search).agent

    if kind == "full":
        formers = [
            found
            for model_id in entrants.champions[:FORMER_CHAMPIONS]
            if model_id != model.id and (found := entrants.model(model_id)) is not None
        ]
        others = [participant(text, spec) for text in settings.baselines]
        return [match(who, settings.full_games) for who in (*others, *map(opposing, formers))]
    games = settings.quick_games if kind == "quick" else settings.shadow_games
    plans = [match(participant(HEURISTIC, spec), games)]
    predecessor = entrants.predecessor(model.id)
    if predecessor is not None:
        test = _until_decided(games, spec.players) if kind == "shadow" else None
        plans.insert(0, match(opposing(predecessor), games, test))
    return plans


def _until_decided(games: int, players: int) -> WilsonTest:
    """Return what ends a match after `games` where its interval excludes an equal share."""
    least = -(-games // players) * players
    return WilsonTest(threshold=0.5, min_games=least, max_games=max(least, round(games * FURTHER)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowResult:
    """What one match of a round says; rates are None unless `success`.

    Elo numbers are differences to the opponent, None at no win and no loss. `duration` is the time
    from the first game to the last stored one in s, `at` the start of the round, `run` the match.
    """

    config: str | None
    model_id: str | None
    opponent: str | None
    games_played: int
    wins: int
    losses: int
    draws: int
    win_rate: float | None
    win_rate_ci95: tuple[float, float] | None
    elo_estimate: float | None
    elo_ci95: tuple[float | None, float | None] | None
    duration: float | None
    tournament_type: Type
    success: bool
    error: str | None
    run: str | None
    at: float

    @classmethod
    def of_match(cls, plan: MatchPlan, result: MatchResult, duration: float | None) -> ShadowResult:
        """Return the result of a round's match; an unfinished or invalid one is no success."""
        found = of_seed(plan.seed)
        assert found is not None
        kind, at = found
        error = result.invalid
        if not result.complete:
            error = f"incomplete: {result.games} of {plan.games} games"
        good = error is None and result.score is not None
        ends, interval = result.elo_ci95, result.interval
        subject, opponent = plan.participants
        return cls(
            config=plan.spec.config,
            model_id=subject.model_id,
            opponent=opponent.model_id or opponent.spec,
            games_played=result.games,
            wins=result.wins,
            losses=result.losses,
            draws=result.capped,
            win_rate=result.score if good else None,
            win_rate_ci95=(interval.low, interval.high) if good and interval else None,
            elo_estimate=result.elo if good else None,
            elo_ci95=(_finite(ends[0]), _finite(ends[1])) if good and ends else None,
            duration=duration,
            tournament_type=kind,
            success=good,
            error=error,
            run=plan.hash,
            at=float(at),
        )

    @classmethod
    def failure(
        cls, error: str, *, at: float, kind: Type = "shadow", config: str | None = None
    ) -> ShadowResult:
        """Return what is told of a round that could not be played."""
        return cls(
            config=config,
            model_id=None,
            opponent=None,
            games_played=0,
            wins=0,
            losses=0,
            draws=0,
            win_rate=None,
            win_rate_ci95=None,
            elo_estimate=None,
            elo_ci95=None,
            duration=None,
            tournament_type=kind,
            success=False,
            error=error,
            run=None,
            at=at,
        )

    @property
    def words(self) -> str:
        """One line for people."""
        who = "" if self.model_id is None else f" {short(self.model_id)} vs {self._opponent}"
        if not self.success or self.win_rate is None:
            return f"{self.config or ''} {self.tournament_type}{who}: {self.error}".strip()
        return (
            f"{self.config} {self.tournament_type}{who}: {self.win_rate:.2f} in "
            f"{self.games_played} games"
        )

    @property
    def _opponent(self) -> str:
        name = self.opponent or ""
        return short(name) if len(name) == 64 and ":" not in name else name

    def as_tree(self) -> dict[str, Any]:
        """Return the result as it is published."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round of a configuration: its type, when it began (Unix s), whom it measured."""

    config: str
    kind: Type
    started_s: int
    model_id: str
    results: tuple[ShadowResult, ...]

    @property
    def complete(self) -> bool:
        """Whether every match of it is over and valid."""
        return all(result.success for result in self.results)

    def against(self, opponent: str) -> ShadowResult | None:
        """Return the successful match against an opponent."""
        found = (r for r in self.results if r.opponent == opponent and r.success)
        return next(found, None)

    @property
    def against_model(self) -> ShadowResult | None:
        """Return the successful match against the predecessor, the first model among opponents."""
        found = (r for r in self.results if r.success and len(r.opponent or "") == 64)
        return next(found, None)


ResultOf = Callable[[MatchPlan], ShadowResult]


def stored_rounds(
    store: Store, config: str, result_of: ResultOf, *, most: int | None = None
) -> list[Round]:
    """Return the rounds of a configuration, oldest first, the last `most` of them.

    `result_of` tells the result of a plan from the stored games.
    """
    grouped: dict[int, list[MatchPlan]] = {}
    for purpose in dict.fromkeys(PURPOSES.values()):
        for row in store.plans.all(config, purpose=purpose):
            plan = plan_of_text(row.text)
            if of_seed(plan.seed) is not None and plan.participants[0].model_id is not None:
                grouped.setdefault(plan.seed, []).append(plan)
    chosen = sorted(grouped)[-most if most else 0 :]
    return [_round(config, seed, grouped[seed], result_of) for seed in chosen]


def _round(config: str, seed: int, plans: Iterable[MatchPlan], result_of: ResultOf) -> Round:
    kind, started_s = of_seed(seed) or ("shadow", 0)
    found = list(plans)
    return Round(
        config=config,
        kind=kind,
        started_s=started_s,
        model_id=str(found[0].participants[0].model_id),
        results=tuple(result_of(plan) for plan in found),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
