"""Sift many models: a few games to sort out the weak, then many to rank the others.

`evaluation.md` 8. Stage 1 asks for a rate of the model alone against each of two opponents and ends
as soon as its outcome is fixed; stage 2, with search, ranks by the lower bound of the pooled Wilson
interval. Everything follows from the results of plans, so games played elsewhere count and none is
played twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ringrift.core.errors import UsageError
from ringrift.core.intervals import Interval, wilson
from ringrift.evaluation.elo import rate_for_players
from ringrift.evaluation.intervals import design_effect, wilson_of_blocks
from ringrift.evaluation.participants import participant
from ringrift.evaluation.plans import MatchPlan, OpeningChoice
from ringrift.evaluation.rate_test import ROUNDING, RateTest

if TYPE_CHECKING:
    from ringrift.evaluation.contenders import Contender, ModelRow
    from ringrift.evaluation.results import MatchResult
    from ringrift.rules import BoardSpec

FIRST_OPPONENTS = ("heuristic", "random")
"""Of stage 1, the stronger first: whoever fails against it need not play the other."""
SECOND_OPPONENTS = ("random", "heuristic", "mcts_100")


class Titled(NamedTuple):
    """A match and the words that progress bars use for it."""

    plan: MatchPlan
    title: str


Play = Callable[[Sequence[Titled]], Sequence["MatchResult"]]
"""Plays matches, or looks up what is stored of them; results in the order of the plans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStage:
    """Fix both stages; thresholds are two-player rates, used at equal odds for more players.

    `openings` are those of stages 1 and 2; None means the open and the reserved shipped ones.
    """

    stage1_games: int = 10
    stage1_threshold: float = 0.40
    stage2_games: int = 50
    confidence: float = 0.95
    promote_threshold: float = 0.70
    seed: int = 42
    openings: tuple[OpeningChoice, OpeningChoice] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.stage1_games < 1 or self.stage2_games < 1:
            raise UsageError("a stage without games; expected at least 1", where="--stage1-games")
        for name in ("stage1_threshold", "promote_threshold"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UsageError(
                    f"found {getattr(self, name):g}; expected a rate from 0 to 1",
                    where=f"--{name.replace('_', '-')}",
                )
        if not 0.5 <= self.confidence < 1.0:
            raise UsageError(
                f"found {self.confidence:g}; expected a share from 0.5 to 1", where="--confidence"
            )

    def stage1(self, contender: Contender, opponent: str) -> MatchPlan:
        """Return the match of stage 1 against an opponent, by the model alone."""
        test = RateTest(threshold=self.stage1_threshold, max_games=self.stage1_games)
        return self._plan(contender, opponent, 1, self.stage1_games, test)

    def stage2(self, contender: Contender, opponent: str) -> MatchPlan:
        """Return the match of stage 2 against an opponent."""
        return self._plan(contender, opponent, 2, self.stage2_games, None)

    def as_tree(self) -> dict[str, Any]:
        """Return the settings as they are published."""
        tree = asdict(self)
        del tree["openings"]
        return tree

    def _plan(
        self, contender: Contender, opponent: str, stage: int, games: int, test: RateTest | None
    ) -> MatchPlan:
        spec = contender.spec
        return MatchPlan.of_games(
            games,
            purpose="gauntlet",
            spec=spec,
            agents=(
                contender.alone if stage == 1 else contender.agent,
                participant(opponent, spec),
            ),
            seed=self.seed,
            openings=self._openings(spec, stage),
            test=test,
        )

    def _openings(self, spec: BoardSpec, stage: int) -> OpeningChoice:
        if self.openings is not None:
            return self.openings[stage - 1]
        return OpeningChoice.of_book(spec, "open" if stage == 1 else "reserved")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What both stages say of a contender so far; results are by opponent."""

    contender: Contender
    settings: TwoStage
    first: Mapping[str, MatchResult]
    second: Mapping[str, MatchResult] = field(default_factory=dict)

    @property
    def passed_first(self) -> bool | None:
        """Whether stage 1 is passed against each opponent; None while that is not known."""
        share = self.share(self.settings.stage1_threshold)
        found = {name: _reached(result, share) for name, result in self.first.items()}
        if False in found.values():
            return False
        whole = all(found.get(name) for name in FIRST_OPPONENTS)
        return True if whole else None

    @property
    def second_complete(self) -> bool:
        """Whether every match of stage 2 is over and valid."""
        matches = [self.second.get(name) for name in SECOND_OPPONENTS]
        return all(m is not None and m.complete and m.invalid is None for m in matches)

    @property
    def pooled(self) -> float | None:
        """Win share over all games of stage 2; None until they are all there."""
        if not self.second_complete:
            return None
        games = sum(match.games for match in self.second.values())
        return sum((m.score or 0.0) * m.games for m in self.second.values()) / games

    @property
    def pooled_interval(self) -> Interval | None:
        """Wilson interval of the pooled share; each opponent's games count by their design effect."""
        if self.pooled is None:
            return None
        effective = sum(
            m.games / design_effect(_scores(m), self._players) for m in self.second.values()
        )
        return wilson(min(1.0, self.pooled), effective, confidence=self.settings.confidence)

    @property
    def intervals(self) -> dict[str, Interval | None]:
        """Wilson interval of the win share against each opponent of stage 2."""
        return {
            name: wilson_of_blocks(
                _scores(match), self._players, confidence=self.settings.confidence
            )
            for name, match in self.second.items()
        }

    @property
    def passed(self) -> bool | None:
        """Whether stage 1 is passed and the pooled lower bound reaches the threshold to promote."""
        if self.passed_first is not True:
            return self.passed_first
        interval = self.pooled_interval
        if interval is None:
            broken = any(match.complete and match.invalid for match in self.second.values())
            return False if broken else None
        return interval.low >= self.share(self.settings.promote_threshold)

    @property
    def games(self) -> int:
        """Games of complete blocks of both stages."""
        return sum(match.games for match in (*self.first.values(), *self.second.values()))

    def share(self, rate: float) -> float:
        """Return the win share that a two-player rate is among the players of the game."""
        return rate_for_players(rate, self._players)

    @property
    def _players(self) -> int:
        return self.contender.spec.players

    def as_tree(self) -> dict[str, Any]:
        """Return the row as it is published; unknown numbers are None."""
        pooled = self.pooled_interval
        model = self.contender.model
        return {
            "model_id": self.contender.agent.model_id,
            "model_path": None if model is None else model.place,
            "agent": self.contender.agent.spec,
            "stage1": {
                "passed": self.passed_first,
                "matches": {name: _match_tree(m, m.interval) for name, m in self.first.items()},
            },
            "stage2": {
                "complete": self.second_complete,
                "share": self.pooled,
                "interval": _ends(pooled),
                "matches": {
                    name: _match_tree(self.second[name], interval)
                    for name, interval in self.intervals.items()
                },
            },
            "passed": self.passed,
            "games": self.games,
        }


def sift(
    contenders: Sequence[Contender], settings: TwoStage, *, first: Play, second: Play
) -> list[Candidate]:
    """Take contenders through both stages and return them ranked.

    `first` plays, or looks up, the matches of stage 1: it is called once for each opponent with
    those that are still in. `second` is called once, for whoever passed.
    """
    found = [Candidate(contender=c, settings=settings, first={}) for c in contenders]
    for opponent in FIRST_OPPONENTS:
        found = _played(
            found,
            first,
            lambda c: c.passed_first is not False,
            lambda c, name=opponent: {name: settings.stage1(c.contender, name)},  # type: ignore[misc]
            stage=1,
        )
    return ranked(
        _played(
            found,
            second,
            lambda c: c.passed_first is True,
            lambda c: {name: settings.stage2(c.contender, name) for name in SECOND_OPPONENTS},
            stage=2,
        )
    )


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return candidates by the pooled lower bound, then those of stage 1 that passed, then others."""

    def place(candidate: Candidate) -> tuple[float, int, str]:
        pooled = candidate.pooled_interval
        order = {True: 0, None: 1, False: 2}[candidate.passed_first]
        return (
            0.0 if pooled is None else -1.0 - pooled.low,
            order,
            candidate.contender.agent.agent_hash,
        )

    return sorted(candidates, key=place)


def promotable(candidates: Iterable[Candidate], *, most: int) -> list[Candidate]:
    """Return the best of those that passed, `most` of them, models only."""
    found = [c for c in ranked(candidates) if c.passed and c.contender.model is not None]
    return found[:most]


def of_shard(models: Iterable[ModelRow], shard: int, shards: int) -> list[ModelRow]:
    """Return the models of one of `shards` parts: id mod n, so that parts never share one."""
    if not 0 <= shard < shards:
        raise UsageError(f"shard {shard} of {shards}; expected 0 to {shards - 1}", where="--shard")
    return [model for model in models if int(model.id, 16) % shards == shard]


def _played(
    candidates: Sequence[Candidate],
    play: Play,
    wanted: Callable[[Candidate], bool],
    plans: Callable[[Candidate], Mapping[str, MatchPlan]],
    *,
    stage: int,
) -> list[Candidate]:
    """Play one wave: the plans of all candidates that are still in, together."""
    order = [
        (place, opponent, plan)
        for place, candidate in enumerate(candidates)
        if wanted(candidate)
        for opponent, plan in plans(candidate).items()
    ]
    titled = [
        Titled(plan, f"stage {stage}: {candidates[place].contender.name} vs {opponent}")
        for place, opponent, plan in order
    ]
    results = play(titled) if titled else []
    found: list[dict[str, MatchResult]] = [{} for _ in candidates]
    for (place, opponent, _), result in zip(order, results, strict=True):
        found[place][opponent] = result
    return [
        Candidate(
            contender=candidate.contender,
            settings=candidate.settings,
            first={**candidate.first, **new} if stage == 1 else candidate.first,
            second={**candidate.second, **new} if stage == 2 else candidate.second,
        )
        for candidate, new in zip(candidates, found, strict=True)
    ]


def _reached(result: MatchResult, share: float) -> bool | None:
    if result.verdict in ("accept", "reject"):
        return result.verdict == "accept"
    if not result.complete:
        return None
    return result.score is not None and result.score >= share - ROUNDING


def _scores(match: MatchResult) -> list[float]:
    """Return the block scores that count."""
    return [value for value, count in match.counts for _ in range(count)]


def _match_tree(match: MatchResult, interval: Interval | None) -> dict[str, Any]:
    return {
        "run": match.plan,
        "games": match.games,
        "wins": match.wins,
        "capped": match.capped,
        "share": match.score,
        "interval": _ends(interval),
        "verdict": match.verdict,
        "status": match.status,
    }


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]
