"""Let the nets of the best set play those of the present one: a lower loss is not yet better play.

The games are those of a gate: both sides search alike, each opening is played from every seat, and
openings are of the half of the book that nobody learns from or tunes on (`tuning.md` 9).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.ids import derived_seed
from ringrift.evaluation.elo import elo_from_score
from ringrift.evaluation.participants import participant
from ringrift.evaluation.plans import MatchPlan, OpeningChoice
from ringrift.evaluation.players import MatchPlayers, play_matches
from ringrift.models.registry import find_model
from ringrift.records.schema import SELFPLAY
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec, parse_config

if TYPE_CHECKING:
    from ringrift.evaluation.contenders import Search
    from ringrift.evaluation.results import MatchResult
    from ringrift.evaluation.sprt import SequentialTest
    from ringrift.tuning.hp.confirm import Confirmation, Trained

GAMES_STORE = "games.db"
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestRules:
    """How nets are compared: `search` of both sides, and how many games decide.

    Without a `test` the nets of each seed meet in `games` games together, in whole blocks, at least
    one a pair; the best set must not score below even odds. With one the net of the lowest loss
    of each side meets the other's, and the test must accept.
    """

    search: Search
    games: int
    test: SequentialTest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """What the games say; `score` is the best set's share, 0 to 1, `even` that of equal sides.

    `verdict` is that of the test, None without one or before its end.
    """

    games: int
    wins: int
    losses: int
    capped: int
    score: float | None
    even: float
    tested: bool
    verdict: str | None
    complete: bool

    @property
    def passes(self) -> bool:
        """Whether the best set may take the place of the present one."""
        if self.tested:
            return self.verdict == "accept"
        return self.score is not None and self.score >= self.even - ROUNDING

    @property
    def elo(self) -> float | None:
        """Elo difference of the score; None where it is beyond all bounds or unknown."""
        if self.score is None or not 0.0 < self.score < 1.0:
            return None
        return elo_from_score(self.score, round(1 / self.even))

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "games": self.games,
            "wins": self.wins,
            "losses": self.losses,
            "capped": self.capped,
            "score": self.score,
            "even": self.even,
            "elo": self.elo,
            "verdict": self.verdict,
            "passes": self.passes,
        }


def contest(
    sides: Confirmation,
    rules: ContestRules,
    *,
    config: str,
    folder: Path,
    seed: int,
    workers: int = 1,
    device: str = "cpu",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> Contest:
    """Play what is missing of the games of both sides and count them.

    The models lie below `objects` of the study's `folder`, the games in a store of its own, which
    no training reads; a contest that was killed goes on there. Raises `MatchAborted` for a game
    that was aborted twice.
    """
    spec = BoardSpec.create(*parse_config(config))
    pairs = paired(sides, rules)
    plans = _plans(pairs, spec, rules, seed)
    total = sum(plan.games for plan in plans)
    played: dict[str, int] = {}
    models = {
        one.model: find_model(folder / "objects", one.model) for pair in pairs for one in pair
    }
    with (
        GameStore.open(folder / GAMES_STORE, writer=True, kind=SELFPLAY) as store,
        MatchPlayers(models, workers=workers, device=device) as players,
    ):

        def told(tally: Any) -> None:
            played[tally.plan.hash] = tally.counted
            on_progress(sum(played.values()), total)

        found = play_matches(plans, store, players, on_progress=told, stop=stop)
    return counted(found, players=spec.players, tested=rules.test is not None)


def paired(sides: Confirmation, rules: ContestRules) -> list[tuple[Trained, Trained]]:
    """Return who meets whom, the net of the best set first."""
    if rules.test is None:
        return list(zip(sides.best, sides.present, strict=True))
    return [
        (
            min(sides.best, key=lambda one: one.loss),
            min(sides.present, key=lambda one: one.loss),
        )
    ]


def _plans(
    pairs: Sequence[tuple[Trained, Trained]], spec: BoardSpec, rules: ContestRules, seed: int
) -> list[MatchPlan]:
    games = rules.games if rules.test is None else rules.test.max_games
    blocks = -(-games // spec.players)
    plans = []
    for number, pair in enumerate(pairs):
        own = max(1, (blocks + len(pairs) - 1 - number) // len(pairs))
        plans.append(
            MatchPlan.of_games(
                own * spec.players,
                purpose="tune",
                spec=spec,
                agents=tuple(participant(rules.search.spec(one.model), spec) for one in pair),
                openings=OpeningChoice.of_book(spec, "reserved"),
                seed=derived_seed(seed, spec.config, "tune", number),
                test=rules.test,
            )
        )
    return plans


def counted(found: Sequence[MatchResult], *, players: int, tested: bool) -> Contest:
    """Return what some matches say together."""
    scored = [(one.score, one.games) for one in found if one.score is not None]
    games = sum(weight for _, weight in scored)
    return Contest(
        games=sum(one.games for one in found),
        wins=sum(one.wins for one in found),
        losses=sum(one.losses for one in found),
        capped=sum(one.capped for one in found),
        score=sum(score * weight for score, weight in scored) / games if games else None,
        even=1 / players,
        tested=tested,
        verdict=found[0].verdict if tested else None,
        complete=all(one.complete for one in found),
    )
