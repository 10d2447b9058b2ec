"""The same seed gives the same games: in any batch, in one process and in two, for every agent.

What is compared is the id of each record, which covers every move, and all that the searches found.
A row of the table plays with budgets of simulations, nodes or depth; levels of the ladder, whose own
budget is time, are driven here with a budget of nodes or simulations in its place.
"""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ringrift.agents.factory import make_agent
from ringrift.agents.kinds import KINDS
from ringrift.agents.ladder import LEVELS, best_alias, level_of, nnue_alias
from ringrift.agents.protocol import Budget, Rngs
from ringrift.agents.spec import parse_spec
from ringrift.nets.loading import open_model
from ringrift.nets.model_file import init_model
from ringrift.nets.nnue.file import init_nnue
from ringrift.rules import BoardSpec, Position, parse_config
from ringrift.selfplay.generator import play_here, selfplay_plans
from ringrift.selfplay.plans import PlayJob
from ringrift.selfplay.workers import WorkerPool

from .games import batch_of

RUN_SEED = 23
MODELS = {"aaaaaa": "net", "bbbbbb": "nnue", "cccccc": "nnue-policy"}
"""Names of models in the specs below, and what each is."""


@dataclass(frozen=True, slots=True)
class Row:
    """One job: its agents rotate through the seats of `games` games of at most `plies` plies."""

    agents: str
    config: str = "square8_2p"
    games: int = 64
    plies: int = 500

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(self.agents.split(" "))

    def __str__(self) -> str:
        return f"{self.config} {self.agents}"


QUICK = (
    Row("heuristic:tau=0.2 mcts:sims=6", plies=30),
    Row("gumbel:eval=heuristic,m=4,sims=6", "hex8_3p", plies=24),
    Row("alphabeta:depth=1", plies=24),
    Row("descent:sims=3", plies=20),
)
ROWS = (
    Row("random"),
    Row("heuristic"),
    Row("heuristic:mode=light,persona=aggressive"),
    Row("heuristic:tau=0.2"),
    Row("heuristic:eps=0.1,noise=0.3"),
    Row("heuristic:eps=0.1,noise=0.3,tau=0.1", "hexagonal_4p", games=16, plies=80),
    Row("blend@bbbbbb", games=16),
    Row("alphabeta:depth=2"),
    Row("alphabeta:depth=3,nodes=300,tt_mb=1", plies=120),
    Row("alphabeta@bbbbbb:depth=2", plies=160),
    Row("alphabeta:depth=1,q=2", "square19_2p", games=8, plies=40),
    Row("paranoid:depth=2", "hex8_3p", plies=160),
    Row("paranoid@bbbbbb:depth=1", "square8_4p", plies=160),
    Row("maxn:depth=2", "hex8_3p", plies=160),
    Row("maxn@bbbbbb:depth=1", "square8_4p", plies=160),
    Row("brs:depth=2", "square8_4p", plies=160),
    Row("brs@bbbbbb:depth=1", "hex8_3p", plies=160),
    Row("mcts:sims=12"),
    Row("mcts:sims=12", "square8_4p"),
    Row("mcts:eval=rollout,sims=6", plies=160),
    Row("mcts:alpha=fixed,reuse=off,sims=12,tau=0.5", "hex8_3p", plies=160),
    Row("mcts@aaaaaa:sims=6", plies=160),
    Row("mcts@bbbbbb:sims=12", plies=160),
    Row("mcts@cccccc:sims=12,temp=adaptive", plies=160),
    Row("mcts:sims=4", "square19_3p", games=8, plies=60),
    Row("gumbel:eval=heuristic,sims=12"),
    Row("gumbel:eval=heuristic,sims=12,temp=default", "square8_4p"),
    Row("gumbel@aaaaaa:m=4,sims=6", plies=160),
    Row("gumbel@bbbbbb:m=4,sims=12", "hex8_4p", plies=160),
    Row("gumbel@cccccc:m=4,sims=12", plies=160),
    Row("policy@aaaaaa"),
    Row("policy@aaaaaa:temp=adaptive", "hex8_3p", plies=160),
    Row("policy@cccccc:tau=0.5"),
    Row("policy@cccccc", "hexagonal_2p", games=16, plies=80),
    Row("descent:sims=6", plies=160),
    Row("descent:sims=6", "hex8_3p", plies=100),
    Row("descent:eval=rollout,sims=2", plies=60),
    Row("descent@aaaaaa:sims=2", games=16, plies=60),
    Row("descent@bbbbbb:sims=6", plies=100),
    Row("descent:max_depth=6,sims=3", "hexagonal_2p", games=4, plies=30),
    Row("ladder:level=1"),
    Row("ladder:level=2", "hex8_4p"),
    Row("mix(random*1;heuristic:tau=0.1*1;mcts:sims=6*2)"),
    Row("mcts:sims=12 alphabeta:depth=2 descent:sims=3", "hex8_3p", plies=160),
    Row("gumbel@aaaaaa:m=4,sims=6 mcts:eval=rollout,sims=4", plies=100),
)
BUDGETS = {
    3: Budget(nodes=60),
    4: Budget(nodes=60),
    **{level: Budget(sims=6) for level in (5, 6, 7, 8)},
    **{level: Budget(sims=3) for level in (9, 10)},
}
"""For the levels of the ladder that search."""


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module")
def one() -> Iterator[WorkerPool]:
    with WorkerPool(1) as pool:
        yield pool


@pytest.fixture(scope="module")
def two() -> Iterator[WorkerPool]:
    with WorkerPool(2) as pool:
        yield pool


def model(kind: str, spec: BoardSpec, folder: Path) -> Path:
    """Write a model of random weights; the second time it is there already."""
    if kind == "net":
        return init_model(spec, size="micro", seed=1, folder=folder)
    return init_nnue(spec, folder=folder, seed=1, hidden=64, policy=kind == "nnue-policy")


def job_of(row: Row, folder: Path) -> PlayJob:
    spec = BoardSpec.create(*parse_config(row.config))
    models = {
        name: str(model(kind, spec, folder)) for name, kind in MODELS.items() if name in row.agents
    }
    return PlayJob(spec=spec, agents=row.texts, max_plies=row.plies, models=models, run="test")


def by_index(played: Iterator[Any]) -> dict[int, tuple[str, Any]]:
    found = [(record, analysis) for record, analysis in played]
    for record, _ in found:
        assert record.result.end != "aborted", record.result.reason
    return {record.meta.index: (record.id, analysis) for record, analysis in found}


@pytest.mark.slow
@pytest.mark.timeout(900)  # the first of a kind compiles its search
@pytest.mark.parametrize("row", QUICK, ids=str)
def test_batch_and_processes_change_no_game(row: Row, objects: Path, two: WorkerPool) -> None:
    job = job_of(row, objects)
    plans = selfplay_plans(job.spec, range(row.games), RUN_SEED, agents=len(job.agents))
    together = by_index(play_here(job, plans))
    assert len({game for game, _ in together.values()}) == row.games
    assert by_index(two.play(job, plans)) == together
    few = plans[::16]
    alone = by_index(play_here(job, few, games=1))
    assert alone == {plan.index: together[plan.index] for plan in few}


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_no_agent_plays_other_games_in_other_company(
    row: Row, objects: Path, one: WorkerPool, two: WorkerPool
) -> None:
    job = job_of(row, objects)
    plans = selfplay_plans(job.spec, range(row.games), RUN_SEED, agents=len(job.agents))
    together = by_index(play_here(job, plans))
    assert len(together) == row.games
    assert by_index(play_here(job, plans[::-1], games=1)) == together
    assert by_index(play_here(job, plans[::-1], games=7)) == together
    assert by_index(one.play(job, plans)) == together
    assert by_index(two.play(job, plans)) == together


def test_every_kind_and_evaluator_is_in_the_table() -> None:
    seen = set()
    for row in ROWS:
        for text in row.texts:
            parsed = parse_spec(text)
            for part in [part for part, _ in parsed.parts] or [parsed]:
                seen |= {(part.kind, name) for name in evaluators(part)}
    kinds = {(kind.name, "") for kind in KINDS.values()}
    wanted = kinds | {
        (kind.name, name)
        for kind in KINDS.values()
        if kind.takes_model
        for name in kind.keys["eval"].choices
    }
    assert wanted - seen == set()


def evaluators(part: Any) -> set[str]:
    """Return what evaluates for an agent, by the model's kind where its spec does not say."""
    if part.model is None:
        return {"", part.evaluator or ""}
    return {"", MODELS[part.model].replace("-policy", ""), MODELS[part.model]}


# --- levels of the ladder


def level_games(text: str, config: str, folder: Path, indices: range, size: int) -> list[list[int]]:
    """Play games of a level against itself, `size` at once; return the 40 plies after the opening."""
    spec = BoardSpec.create(*parse_config(config))
    paths = {
        nnue_alias(config): model("nnue", spec, folder),
        best_alias(config): model("net", spec, folder),
    }
    agent = make_agent(text, spec, lambda name: open_model(paths[name], spec))
    budget = BUDGETS[int(parse_spec(text).number("level"))]
    plans = selfplay_plans(spec, indices, RUN_SEED)
    moves: list[list[int]] = []
    for first in range(0, len(plans), size):
        part = plans[first : first + size]
        games = [opened(spec, plan.seed) for plan in part]
        played: list[list[int]] = [[] for _ in part]
        while live := [g for g, p in enumerate(games) if not p.is_over and len(played[g]) < 40]:
            batch = batch_of([games[g] for g in live], [part[g].seed for g in live])
            for g, decision in zip(live, agent.choose(batch, budget, Rngs()), strict=True):
                games[g].play(decision.move)
                played[g].append(decision.move)
        moves += played
    return moves


def opened(spec: BoardSpec, seed: int) -> Position:
    """Return the position after eight random plies."""
    draw, position = random.Random(seed), Position.of(spec)
    for _ in range(8):
        position.play(draw.choice(position.legal_packed().tolist()))
    return position


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("config", ["square8_2p", "hex8_3p"])
@pytest.mark.parametrize("level", BUDGETS)
def test_no_level_plays_other_games_in_other_company(
    level: int, config: str, objects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(
        Path(__file__).parents[1]
    )  # where spawned processes find this module
    text = f"ladder:level={level}"
    model("nnue", BoardSpec.create(*parse_config(config)), objects)
    model("net", BoardSpec.create(*parse_config(config)), objects)
    together = level_games(text, config, objects, range(64), 64)
    assert len({tuple(moves) for moves in together}) > 32
    assert level_games(text, config, objects, range(64), 1) == together
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        halves = [
            pool.submit(level_games, text, config, objects, part, 64)
            for part in (range(32), range(32, 64))
        ]
        assert [moves for half in halves for moves in half.result()] == together


def test_levels_that_do_not_search_are_in_the_table() -> None:
    searching = {
        level
        for level in range(1, LEVELS + 1)
        if level_of("square8_2p", level).agent.kind not in ("random", "heuristic")
    }
    assert searching == set(BUDGETS)
    rows = {text for row in ROWS for text in row.texts}
    assert all(f"ladder:level={n}" in rows for n in range(1, LEVELS + 1) if n not in BUDGETS)
