"""A new model plays the fixed baselines: `--run-elo`, and the stage `elo` of a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringrift.cli.invocation import Invocation
    from ringrift.evaluation.results import MatchResult
    from ringrift.evaluation.tally import Tally

GAMES, SIMS = 50, 16
BASELINES = ("random", "heuristic")
EVALS = {"cnn": "net", "nnue": "nnue", "nnue-policy": "nnue"}


def measure(
    invocation: Invocation, *, model_id: str, kind: str, config: str, seed: int, games: int = GAMES
) -> list[dict[str, Any]]:
    """Play `games` against each baseline; return score and Elo difference with their intervals."""
    from ringrift.evaluation.participants import participant
    from ringrift.evaluation.plans import MatchPlan
    from ringrift.evaluation.players import MatchPlayers, play_match
    from ringrift.models.registry import find_model
    from ringrift.records.store import GameStore
    from ringrift.rules import BoardSpec, parse_config

    spec = BoardSpec.create(*parse_config(config))
    agent = f"gumbel@{model_id}:eval={EVALS[kind]},sims={SIMS},scale=0"
    paths = invocation.paths()
    files = {model_id: find_model(paths.model_objects, model_id)}
    found = []
    with (
        MatchPlayers(files) as players,
        GameStore.open(paths.game_store, writer=True) as store,
        invocation.out.progress() as progress,
    ):
        for baseline in BASELINES:
            plan = MatchPlan.of_games(
                games,
                purpose="calibration",
                spec=spec,
                agents=(participant(agent, spec), participant(baseline, spec)),
                seed=seed,
            )
            title = f"model vs {baseline}"
            task = progress.task(title, total=plan.games, unit="games")

            def show(games: Tally, bar: Any = task) -> None:
                bar.update(games.counted)

            found.append(_told(play_match(plan, store, players, title=title, on_progress=show)))
            task.finish()
    return found


def _told(result: MatchResult) -> dict[str, Any]:
    from ringrift.evaluation.elo import elo_from_score

    ends: list[float | None] = [None, None]
    if result.interval is not None:
        ends = [
            elo_from_score(end, len(result.by_seat)) if 0 < end < 1 else None
            for end in (result.interval.low, result.interval.high)
        ]
    return {
        "title": result.title,
        "games": result.games,
        "score": result.score,
        "elo": result.elo,
        "elo_ci95": ends,
    }


def words_of(match: Mapping[str, Any]) -> str:
    """Say in a line how a match ended."""

    def number(value: float | None) -> str:
        return "beyond measure" if value is None else f"{value:+.0f}"

    ends: Sequence[float | None] = match["elo_ci95"]
    return (
        f"{match['title']}: score {match['score']:.3f} in {match['games']} games, "
        f"{number(match['elo'])} Elo [{number(ends[0])}, {number(ends[1])}]"
    )
