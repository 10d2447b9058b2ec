"""A new model plays the fixed baselines: `--run-elo`, and the stage `elo` of a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ringrift.cli.invocation import Invocation
    from ringrift.evaluation.matches import MatchGame, MatchPlan, MatchResult
    from ringrift.records.record import GameRecord

GAMES, SIMS = 50, 16
BASELINES = ("random", "heuristic")
EVALS = {"cnn": "net", "nnue": "nnue", "nnue-policy": "nnue"}


def measure(
    invocation: Invocation, *, model_id: str, kind: str, config: str, seed: int, games: int = GAMES
) -> list[dict[str, Any]]:
    """Play `games` against each baseline; return score and Elo difference with their intervals."""
    from ringrift.core.limits import thread_budget
    from ringrift.evaluation.matches import MatchPlan, run_match
    from ringrift.loop.measure import agent_ref
    from ringrift.loop.players import Players
    from ringrift.records.store import GameStore
    from ringrift.rules import BoardSpec, parse_config

    spec = BoardSpec.create(*parse_config(config))
    agent = f"gumbel@{model_id}:eval={EVALS[kind]},sims={SIMS},scale=0"
    paths = invocation.paths()
    players = Players(workers=thread_budget(), objects=paths.model_objects)
    found = []
    with (
        GameStore.open(paths.games / "games.db", writer=True) as store,
        invocation.out.progress() as progress,
    ):

        def play(plan: MatchPlan, wanted: Sequence[MatchGame]) -> Iterator[GameRecord]:
            for record in players.match(plan, wanted, lambda: False):
                store.ingest([(record, None)], source="train")
                yield record

        try:
            for baseline in BASELINES:
                plan = MatchPlan.of_games(
                    games,
                    purpose="calibration",
                    spec=spec,
                    first=agent_ref(agent, spec),
                    second=agent_ref(baseline, spec),
                    seed=seed,
                )
                title = f"model vs {baseline}"
                task = progress.task(title, total=plan.games, unit="games")

                def show(result: MatchResult, bar: Any = task) -> None:
                    bar.update(result.games)

                found.append(_told(run_match(plan, store, play, title=title, on_progress=show)))
                task.finish()
        finally:
            players.close()
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
