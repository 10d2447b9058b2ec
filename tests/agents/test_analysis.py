"""Analysis: searches that grow, values and lines that hold, and time that is kept."""

from __future__ import annotations

import time

import pytest

from ringrift.agents.factory import make_agent
from ringrift.agents.hosting.analysis import analyse, line_of
from ringrift.agents.hosting.searching import batch_of, decide, searches, steps
from ringrift.agents.protocol import Budget, Rngs
from ringrift.agents.values import values_of_ranks
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec, Position

from .games import choices, random_game

SPEC = BoardSpec.create("square8", 2)
THREE = BoardSpec.create("hex8", 3)
GUMBEL = "gumbel:eval=heuristic"


def agent(text=GUMBEL, spec=SPEC):
    return make_agent(text, spec)


def test_simulations_double_up_to_the_budget_or_the_agents_own():
    sizes = [step.sims for step in steps(agent(), Budget(sims=100))]
    assert sizes == [16, 32, 64, 100]
    assert [step.sims for step in steps(agent("gumbel:9,eval=heuristic"), Budget())] == [9]
    assert [step.sims for step in steps(agent(), Budget(nodes=20))] == [16, 20]


def test_a_budget_that_an_agent_cannot_keep_is_refused():
    with pytest.raises(UsageError, match="depth"):
        list(steps(agent(), Budget(depth=2)))


def test_the_last_step_is_the_search_of_that_size():
    (position,) = choices(SPEC, 1)
    *_, last = searches(agent(), position, 3, Budget(sims=40))
    (single,) = agent().choose(batch_of([position], 3), Budget(sims=40), Rngs())
    assert (last.move, last.policy, last.visits) == (single.move, single.policy, single.visits)


@pytest.mark.parametrize("spec", [SPEC, THREE], ids=lambda spec: spec.config)
def test_each_update_has_the_best_moves_with_values_visits_policy_and_legal_lines(spec):
    for position in choices(spec, 3, seed=5):
        updates = list(analyse(agent(spec=spec), position, 1, Budget(sims=32), top=3))
        assert [update.sims for update in updates] == [16, 32]
        assert updates[0].time_ms <= updates[1].time_ms
        for update in updates:
            assert len(update.moves) == min(3, len(position.legal_packed()))
            assert sum(update.value) == pytest.approx(0, abs=1e-5)
            for candidate in update.moves:
                assert candidate.line[0] == candidate.text
                assert 0 <= candidate.policy <= 1
                if candidate.value is not None:
                    assert sum(candidate.value) == pytest.approx(0, abs=1e-5)
                at = position.copy()
                for text in candidate.line:
                    at.play(text)
        best = agent(spec=spec).choose(batch_of([position], 1), Budget(sims=32), Rngs())[0]
        assert updates[-1].moves[0].text == position.move_text(best.move)


def test_other_moves_than_the_first_come_by_visits():
    (position,) = choices(SPEC, 1, seed=2)
    (*_, update) = analyse(agent(), position, 1, Budget(sims=64), top=8)
    visits = [candidate.visits for candidate in update.moves[1:]]
    assert visits == sorted(visits, reverse=True)


def test_a_move_that_ends_the_game_has_the_value_of_the_ranking():
    for seed in range(20):
        game = random_game(SPEC, seed)
        before, over = game[-2], game[-1]
        found = analyse(agent(), before, 0, Budget(sims=16), top=50)
        for candidate in list(found)[-1].moves:
            after = before.after(candidate.text)
            if str(after) == str(over):
                assert candidate.value == values_of_ranks(over.result.ranking)
                return
    pytest.fail("no game whose last move was analysed")


def test_one_ply_agents_list_their_scores_and_play_the_first():
    (position,) = choices(SPEC, 1, seed=3)
    player = agent("heuristic")
    (update,) = analyse(player, position, 1, Budget(), top=4)
    scores, moves, _ = player.scores(batch_of([position], 1))
    mover = position.current_player - 1
    shown = [candidate.value[mover] for candidate in update.moves]
    assert shown == pytest.approx(sorted(scores.tolist(), reverse=True)[:4])
    assert update.moves[0].text == position.move_text(decide(player, position, 1, Budget()).move)
    assert len(moves) >= 4


def test_random_has_no_opinion():
    (update,) = analyse(agent("random"), Position.of(SPEC), 1, Budget())
    (candidate,) = update.moves
    assert (candidate.value, candidate.policy, candidate.visits) == (None, None, None)


def test_a_forced_position_answers_once_and_a_finished_one_not_at_all():
    game = random_game(SPEC, 1)
    forced = next(p for p in game[:-1] if len(p.legal_packed()) == 1)
    (update,) = analyse(agent(), forced, 1, Budget(sims=500))
    assert update.kind == "forced"
    assert update.moves[0].text == forced.legal_moves()[0].text
    with pytest.raises(UsageError, match="over"):
        next(analyse(agent(), game[-1], 1, Budget()))


def test_a_line_stops_where_it_is_not_legal():
    position = Position.of(SPEC)
    first = position.pack("P 3,3 2")
    assert line_of(position, [first, first]) == ("P 3,3 2",)


@pytest.mark.timed
@pytest.mark.parametrize("kind", ["mcts", "descent"])
def test_a_spec_with_time_alone_is_searched_until_then(kind):
    (position,) = choices(SPEC, 1, seed=4)
    player = agent(f"{kind}:ms=400")
    assert [d.sims for d in searches(player, position, 3, Budget(sims=20))] == [16, 20]
    begun_s = time.perf_counter()
    sizes = [d.sims for d in searches(player, position, 3, Budget())]
    assert 0.4 <= time.perf_counter() - begun_s < 2
    assert sizes[:2] == [16, 32]


@pytest.mark.timed
def test_time_bounds_a_search_that_counts_simulations():
    (position,) = choices(SPEC, 1, seed=4)
    player = agent()
    decide(player, position, 0, Budget(sims=16))  # loads what is compiled
    begun_s = time.perf_counter()
    decision = decide(player, position, 0, Budget(time_ms=200))
    took_ms = (time.perf_counter() - begun_s) * 1000
    assert decision.sims >= 16
    assert took_ms < 1000, "each step begins only if twice the last would still end in time"
