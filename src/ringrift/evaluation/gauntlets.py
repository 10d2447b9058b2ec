"""Measure contenders against fixed opponents with floors to pass (`evaluation.md` 8).

A gauntlet is one match for each opponent on open openings. With more than 20 games the match
against an opponent that has a floor ends as soon as looks at a Wilson interval decide the floor.
Plans follow from the contender and the settings; what is published follows from the stored games.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from ringrift.agents.spec import parse_spec
from ringrift.agents.weights import PERSONAS
from ringrift.core.ids import canonical_json, content_id
from ringrift.core.intervals import Interval, wilson
from ringrift.evaluation.elo import elo_from_score, rate_for_players, score_from_elo
from ringrift.evaluation.group_sequential import WilsonStanding, WilsonTest
from ringrift.evaluation.matches import stored
from ringrift.evaluation.participants import participant
from ringrift.evaluation.plans import MatchPlan, OpeningChoice, plan_of_text

if TYPE_CHECKING:
    from ringrift.evaluation.contenders import Contender, ModelRow
    from ringrift.evaluation.matches import Store
    from ringrift.evaluation.results import MatchResult
    from ringrift.rules import BoardSpec

RANDOM, HEURISTIC, MCTS = "random", "heuristic", "mcts"
SCORED = (RANDOM, HEURISTIC, MCTS)
FLOORS = {RANDOM: 0.95, HEURISTIC: 0.70, MCTS: 0.50}
"""Two-player rates that a good model exceeds."""
WEIGHTS = {RANDOM: 1.0, HEURISTIC: 2.0, MCTS: 3.0}
DIVERSE = (
    "alphabeta:depth=2",
    "mcts_500",
    *(f"heuristic:{persona}" for persona in PERSONAS if persona != "balanced"),
)
"""Further opponents of a diverse gauntlet; they have no floors."""
UNTESTED_GAMES = 20
"""Most games of a match that is always played to its end."""

Status = Literal["met", "missed", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauntlet:
    """Fix the opponents and games of every contender; `openings` None means the open shipped ones."""

    opponents: tuple[str, ...] = SCORED
    games: int = 10
    seed: int = 42
    openings: OpeningChoice | None = None

    def plans(self, contender: Contender) -> dict[str, MatchPlan]:
        """Return the match against each opponent, by its name."""
        names = dict.fromkeys(opponent_name(text) for text in self.opponents)
        return {name: self._plan(contender, name) for name in names}

    def _plan(self, contender: Contender, opponent: str) -> MatchPlan:
        spec = contender.spec
        tested = opponent in FLOORS and self.games > UNTESTED_GAMES
        return MatchPlan.of_games(
            self.games,
            purpose="gauntlet",
            spec=spec,
            agents=(contender.agent, participant(opponent, spec)),
            seed=self.seed,
            openings=OpeningChoice.of_book(spec, "open")
            if self.openings is None
            else self.openings,
            test=WilsonTest(
                threshold=FLOORS[opponent], min_games=UNTESTED_GAMES, max_games=self.games
            )
            if tested
            else None,
        )


def opponent_name(text: str) -> str:
    """Return the one form of an opponent's spec, so that `mcts_100` is `mcts`."""
    return str(parse_spec(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bout:
    """The match against one opponent; `share` is the win share, `floor` the one to exceed."""

    opponent: str
    match: MatchResult
    players: int

    @property
    def share(self) -> float | None:
        """Win share, None without a complete block."""
        return self.match.score

    @property
    def rate(self) -> float | None:
        """The two-player rate at the odds of the win share."""
        if self.share is None:
            return None
        return score_from_elo(elo_from_score(self.share, self.players))

    @property
    def floor(self) -> float | None:
        """The win share to exceed, None for an opponent without a floor."""
        rate = FLOORS.get(self.opponent)
        return None if rate is None else rate_for_players(rate, self.players)

    @property
    def interval(self) -> Interval | None:
        """The Wilson interval of the win share; of several looks the last one's."""
        standing = self.match.standing
        if isinstance(standing, WilsonStanding) and standing.looks:
            return standing.looks[-1].interval
        return wilson(self.share, self.match.games) if standing else self.match.interval

    @property
    def status(self) -> Status | None:
        """Whether the interval lies above or below the floor; `open` where it holds it."""
        if self.floor is None:
            return None
        standing, interval = self.match.standing, self.interval
        if self.match.invalid or not self.match.complete or interval is None:
            return "open"
        if standing is not None and standing.verdict == "inconclusive":
            return "open"
        if interval.high < self.floor:
            return "missed"
        return "met" if interval.low >= self.floor else "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class GauntletResult:
    """What the games of one contender say; `started_at_s` is when its last match was planned."""

    config: str
    players: int
    spec: str
    model_id: str | None
    model: ModelRow | None
    bouts: tuple[Bout, ...]
    started_at_s: float | None = None

    @property
    def name(self) -> str:
        """The first digits of its model, else its spec."""
        return self.spec if self.model_id is None else self.model_id[:12]

    @property
    def run(self) -> str:
        """Names the gauntlet by its matches."""
        return content_id("gauntlet", canonical_json(sorted(b.match.plan for b in self.bouts)))

    @property
    def games(self) -> int:
        """Games of complete blocks."""
        return sum(bout.match.games for bout in self.bouts)

    @property
    def complete(self) -> bool:
        """Whether every match is over."""
        return all(bout.match.complete for bout in self.bouts)

    @property
    def missed(self) -> bool:
        """Whether a floor was missed."""
        return any(bout.status == "missed" for bout in self.bouts)

    @property
    def score(self) -> float | None:
        """`3 r_mcts + 2 r_heuristic + r_random`, 0 to 6; None while one is unknown."""
        rates = {bout.opponent: bout.rate for bout in self.bouts}
        found = [(WEIGHTS[name], rates.get(name)) for name in SCORED]
        known = [weight * rate for weight, rate in found if rate is not None]
        return sum(known) if len(known) == len(SCORED) else None

    def bout(self, opponent: str) -> Bout | None:
        """Return the match against an opponent, None where it is no part of the gauntlet."""
        return next((bout for bout in self.bouts if bout.opponent == opponent), None)

    def as_tree(self) -> dict[str, Any]:
        """Return the row as it is published; what was not played is None."""
        scored = {name: self.bout(name) for name in SCORED}
        return {
            "model_path": None if self.model is None else self.model.place,
            "model_id": self.model_id,
            "model_type": None if self.model is None else self.model.kind,
            "config": self.config,
            "agent": self.spec,
            **{f"vs_{name}": None if bout is None else bout.share for name, bout in scored.items()},
            "games_played": self.games,
            "score": self.score,
            "timestamp": None if self.started_at_s is None else _utc(self.started_at_s),
            "intervals": {bout.opponent: _ends(bout.interval) for bout in self.bouts},
            "floors": {bout.opponent: bout.status for bout in self.bouts if bout.floor},
            "others": {b.opponent: b.share for b in self.bouts if b.opponent not in SCORED},
            "complete": self.complete,
            "run": self.run,
        }


def gauntlet_result(
    contender: Contender,
    results: Mapping[str, MatchResult],
    *,
    started_at_s: float | None = None,
) -> GauntletResult:
    """Return what the results against opponents, by name, say of a contender."""
    players = contender.spec.players
    return GauntletResult(
        config=contender.spec.config,
        players=players,
        spec=contender.agent.spec,
        model_id=contender.agent.model_id,
        model=contender.model,
        bouts=tuple(
            Bout(opponent=name, match=match, players=players) for name, match in results.items()
        ),
        started_at_s=started_at_s,
    )


def stored_gauntlets(
    store: Store, models: Iterable[ModelRow], config: str | None = None
) -> list[GauntletResult]:
    """Return the newest stored gauntlet of each contender, the highest score first.

    `models` are the registry's rows, for the files and kinds that are shown.
    """
    known = {model.id: model for model in models}
    newest: dict[tuple[str, str], _Found] = {}
    for plan, made_at_s in _gauntlet_plans(store, config):
        first = plan.participants[0]
        found = _Found(plan, made_at_s)
        before = newest.setdefault((first.agent_hash, plan.spec.config), found)
        if before.settings != found.settings:
            newest[first.agent_hash, plan.spec.config] = found
        else:
            before.take(found)
    results = [found.result(store, known) for found in newest.values()]
    return sorted(results, key=lambda r: (r.score is None, -(r.score or 0.0), r.config, r.spec))


class _Found:
    """The stored plans of one gauntlet."""

    def __init__(self, plan: MatchPlan, made_at_s: float) -> None:
        self.plans = {_opponent(plan): plan}
        self.made_at_s = made_at_s
        self.settings = (plan.seed, plan.blocks, plan.openings)

    def take(self, other: _Found) -> None:
        """Add the plans of the same gauntlet that were made later."""
        self.plans |= other.plans
        self.made_at_s = max(self.made_at_s, other.made_at_s)

    def result(self, store: Store, models: Mapping[str, ModelRow]) -> GauntletResult:
        """Return what the stored games say."""
        plan = next(iter(self.plans.values()))
        first, players = plan.participants[0], plan.players
        names = sorted(self.plans, key=_place)
        return GauntletResult(
            config=plan.spec.config,
            players=players,
            spec=first.spec,
            model_id=first.model_id,
            model=None if first.model_id is None else models.get(first.model_id),
            bouts=tuple(
                Bout(
                    opponent=name,
                    match=stored(self.plans[name], store).result(),
                    players=players,
                )
                for name in names
            ),
            started_at_s=self.made_at_s,
        )


def _gauntlet_plans(store: Store, config: str | None) -> Iterator[tuple[MatchPlan, float]]:
    """Yield the plans of gauntlets, oldest first; those of two stages are left out."""
    for row in store.plans.all(config, purpose="gauntlet"):
        plan = plan_of_text(row.text)
        first_stage = plan.test is not None and plan.test.as_tree()["kind"] == "rate"
        second_stage = plan.openings.part == "reserved"
        if not (first_stage or second_stage):
            yield plan, row.made_at


def _opponent(plan: MatchPlan) -> str:
    """Return the name under which a plan's opponent is asked for."""
    spec = plan.spec
    return next(
        (name for name in SCORED if _agent_hash(name, spec) == plan.participants[1].agent_hash),
        plan.participants[1].spec,
    )


def _agent_hash(name: str, spec: BoardSpec) -> str:
    return participant(name, spec).agent_hash


def _place(name: str) -> tuple[int, str]:
    return (SCORED.index(name) if name in SCORED else len(SCORED), name)


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
