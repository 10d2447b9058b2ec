"""Search control: playout caps, temperatures, diversity, best-move openings, agents of a job."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ringrift.agents.factory import make_agent
from ringrift.agents.protocol import Batch, Budget, Rngs
from ringrift.core.errors import UsageError
from ringrift.records.verify import verify
from ringrift.rules import Position
from ringrift.selfplay.agents_of import played_spec
from ringrift.selfplay.control import Resignation, SearchControl, soft_of
from ringrift.selfplay.generator import play_here, selfplay_plans
from ringrift.selfplay.openings import Openings
from ringrift.selfplay.plans import GamePlan

from .jobs import SEARCH, SQUARE8, job

NET_FREE = "mcts:eval=heuristic,reuse=off,sims=16"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"full_fraction": 1.5}, "full_fraction"),
        ({"cheap_sims": 0}, "cheap_sims"),
        ({"full_sims": 0}, "full_sims"),
        ({"opening_top_k": -1}, "opening_top_k"),
        ({"temperature": "warm"}, "unknown temperature preset"),
        ({"temperature_value": 11}, "temperature_value"),
        ({"temperature": "default", "temperature_value": 1.0}, "exclude each other"),
        ({"swap_probability": 2}, "swap_probability"),
        ({"weight_noise": float("nan")}, "weight_noise"),
        ({"noise_scale": -1}, "noise_scale"),
    ],
)
def test_controls_that_cannot_be(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        SearchControl(**fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"mode": "never"}, "resign"), ({"threshold": 2}, "threshold"), ({"plies": 0}, "plies")],
)
def test_resignations_that_cannot_be(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Resignation(**fields)


@pytest.mark.parametrize(
    ("spec", "control", "played"),
    [
        ("gumbel:eval=heuristic", {"full_sims": 32}, "gumbel:eval=heuristic,sims=32"),
        ("heuristic", {"full_sims": 32}, "heuristic"),
        ("mcts", {"temperature": "cosine"}, "mcts:temp=cosine"),
        ("mcts:tau=1", {"temperature": "cosine"}, "mcts:temp=cosine"),
        ("mcts:temp=cosine", {"temperature_value": 0.5}, "mcts:tau=0.5"),
        ("heuristic", {"temperature_value": 0.5, "noise_scale": 0.1}, "heuristic:tau=0.5"),
        ("heuristic", {"noise_scale": 0.1, "weight_noise": 0.2}, "heuristic:noise=0.2,tau=0.1"),
        ("alphabeta:depth=1", {"noise_scale": 0.1, "weight_noise": 0.2}, "alphabeta:depth=1"),
        (
            "mix(mcts:sims=8*1;heuristic*2)",
            {"full_sims": 16, "weight_noise": 0.2},
            "mix(mcts:sims=16*1;heuristic:noise=0.2*2)",
        ),
    ],
)
def test_what_belongs_to_an_agent_stands_in_its_spec(
    spec: str, control: dict[str, Any], played: str
) -> None:
    assert str(played_spec(spec, SearchControl(**control))) == played


def test_cheap_and_soft_budgets() -> None:
    assert [SearchControl().cheap_of(n) for n in (4, 32, 200)] == [4, 8, 33]
    assert SearchControl(cheap_sims=64).cheap_of(32) == 32
    assert [soft_of(n) for n in (4, 16, 200)] == [4, 8, 50]


def test_a_quarter_of_the_choices_is_searched_in_full() -> None:
    control = SearchControl(full_fraction=0.25, cheap_sims=2)
    kinds: Counter[str] = Counter()
    for _, (analysis,) in play_here(
        job("gumbel:eval=heuristic,m=4,sims=4", control=control),
        selfplay_plans(SQUARE8, range(100), 9),
    ):
        kinds.update(p.kind for p in analysis.plies)
        assert dict(analysis.budget) == {"full_fraction": 0.25, "cheap_sims": 2}
    assert kinds.total() > 5000
    assert kinds["full"] / kinds.total() == pytest.approx(0.25, abs=0.02)


def test_cheap_searches_have_no_dirichlet_noise() -> None:
    states = np.array([Position.of(SQUARE8).record()])
    batch = Batch(SQUARE8, states, [5])

    def visits(spec: str, kind: Any) -> object:
        agent = make_agent(f"mcts:eval=heuristic,reuse=off,sims=40,tau=0,{spec}", SQUARE8)
        return agent.choose(batch, Budget(kind=kind), Rngs())[0].visits

    assert visits("noise=0.25", "full") != visits("noise=0", "full")
    assert visits("noise=0.25", "cheap") == visits("noise=0", "full")


def test_temperatures_are_those_of_the_game_and_say_so() -> None:
    plans = selfplay_plans(SQUARE8, range(6), 4, openings=Openings(choices=(0, 0)))
    spec = "gumbel:eval=heuristic,m=4,scale=0,sims=4"
    cold = {r.meta.index: r for r, _ in play_here(job(spec), plans)}
    warm_plans = [replace(p, tau=0.0 if p.index < 3 else 1.5) for p in plans]
    for games in (64, 2):
        for record, _ in play_here(job(spec), warm_plans, games=games):
            index = record.meta.index
            assert index is not None
            same = record.moves == cold[index].moves
            assert (same, record.meta.tags) == (
                (True, ("tau:0",)) if index < 3 else (False, ("tau:1.5",))
            )
    fixed = SearchControl(temperature_value=1.5)
    hot = {r.meta.index: r for r, _ in play_here(job(spec, control=fixed), plans)}
    assert hot[0].meta.tags == ("tau:1.5",)  # no key of a Gumbel spec holds it
    assert hot[0].moves != cold[0].moves
    assert hot[5].moves == next(
        r.moves for r, _ in play_here(job(spec), warm_plans) if r.meta.index == 5
    )


@pytest.mark.parametrize("spec", ["heuristic", NET_FREE])
def test_a_temperature_of_a_game_is_taken_by_every_agent_that_has_one(spec: str) -> None:
    plans = selfplay_plans(SQUARE8, range(2), 4, openings=Openings(choices=(0, 0)))
    found = {}
    for tau in (0.0, 0.3, 2.0):
        games = play_here(job(spec, max_plies=40), [replace(p, tau=tau) for p in plans])
        found[tau] = [r.moves for r, _ in sorted(games, key=lambda g: g[0].meta.index or 0)]
    assert len({tuple(moves) for moves in found.values()}) == 3
    in_spec = SearchControl(temperature_value=2.0)
    games = play_here(job(spec, max_plies=40, control=in_spec), plans)
    again = [r.moves for r, _ in sorted(games, key=lambda g: g[0].meta.index or 0)]
    assert again == found[2.0]


def test_weight_noise_gives_each_game_and_seat_weights_of_its_own() -> None:
    j = job("heuristic", control=SearchControl(weight_noise=0.3))
    plans = selfplay_plans(SQUARE8, range(8), 4, openings=Openings(choices=(0, 0)))
    noisy = {r.meta.index: r for r, _ in play_here(j, plans)}
    assert {r.agents[0].spec for r in noisy.values()} == {"heuristic:noise=0.3"}
    assert len({r.moves for r in noisy.values()}) == 8
    again = {r.meta.index: r.id for r, _ in play_here(j, plans, games=3)}
    assert again == {i: r.id for i, r in noisy.items()}


@pytest.mark.parametrize("spec", [SEARCH, "heuristic", "ladder:2", "random"])
def test_openings_among_the_best_moves(spec: str) -> None:
    control = SearchControl(opening_top_k=2)
    openings = Openings(choices=(4, 4), top_k=True)
    j = job(spec, control=control, max_plies=60)
    plans = selfplay_plans(SQUARE8, range(12), 4, openings=openings)
    records = []
    for record, analyses in play_here(j, plans):
        verify(record, analyses[0] if analyses else None)
        assert list(record.marks.values()) == ["random"] * 4
        if analyses:
            policies = {p.ply: p.policy for p in analyses[0].plies}
            for ply in record.marks:
                best = sorted(policies[ply].values(), reverse=True)[:2]
                assert policies[ply][record.moves[ply]] >= best[-1]
        records.append(record)
    assert len({r.moves[: max(r.marks)] for r in records}) > 4
    few = {r.id for r, _ in play_here(j, plans[::-1], games=5)}
    assert few == {r.id for r in records}
    with pytest.raises(UsageError, match="opening_top_k"):
        list(play_here(job(spec), plans[:1]))


def test_each_agent_that_searched_has_its_own_statistics() -> None:
    j = job(SEARCH, "random", NET_FREE, max_plies=60)
    plans = [
        GamePlan(index=0, seed=1, seats=(0, 2)),
        GamePlan(index=1, seed=2, seats=(1, 0)),
        GamePlan(index=2, seed=3, seats=(2, 2)),
    ]
    for record, analyses in play_here(j, plans):
        plies = [p.ply for a in analyses for p in a.plies]
        assert len(plies) == len(set(plies))
        assert [a.agent for a in analyses] == {
            0: [record.agents[0].agent_hash, record.agents[1].agent_hash],
            1: [record.agents[1].agent_hash],
            2: [record.agents[0].agent_hash],
        }[record.meta.index or 0]
        position = Position.of(SQUARE8)
        movers = []
        for move in record.moves:
            movers.append(position.current_player)
            position.play(move)
        for analysis in analyses:
            verify(record, analysis)
            seats = {movers[p.ply] for p in analysis.plies}
            assert {record.agents[seat - 1].agent_hash for seat in seats} == {analysis.agent}
