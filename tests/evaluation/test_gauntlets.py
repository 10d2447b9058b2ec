"""Gauntlets: plans by content, floors by interval, the score, what is read back from a store."""

import pytest
from tests.evaluation.made_results import result_of

from ringrift.core.errors import UsageError
from ringrift.core.intervals import wilson
from ringrift.evaluation.contenders import Contender, ModelRow, Search
from ringrift.evaluation.elo import rate_for_players
from ringrift.evaluation.gauntlets import (
    DIVERSE,
    FLOORS,
    Gauntlet,
    gauntlet_result,
    stored_gauntlets,
)
from ringrift.evaluation.plans import OpeningChoice, plan_of_text
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec

SQUARE = BoardSpec.create("square8", 2)
MODEL = ModelRow(id="ab" * 32, kind="nnue", config="square8_2p", place="models/x.safetensors")
EVEN = {"random": 1.0, "heuristic": 0.5, "mcts": 0.5}


def played(rates, *, spec=SQUARE, seed=0, **values):
    settings = Gauntlet(openings=OpeningChoice(), **values)
    who = Contender.of_agent("policy:tau=0.5", spec) if spec is not SQUARE else contender()
    plans = settings.plans(who)
    return gauntlet_result(who, {name: result_of(p, rates, seed) for name, p in plans.items()})


def contender(sims=16):
    return Contender.of_model(MODEL, SQUARE, Search(sims=sims))


def test_each_opponent_is_one_match_on_open_openings_and_mcts_is_mcts_100():
    plans = Gauntlet().plans(contender())
    assert list(plans) == ["random", "heuristic", "mcts"]
    assert {plan.purpose for plan in plans.values()} == {"gauntlet"}
    assert {plan.openings.part for plan in plans.values()} == {"open"}
    assert [plan.games for plan in plans.values()] == [10, 10, 10]
    other = Gauntlet(opponents=("mcts_100", "mcts")).plans(contender())
    assert {name: plan.hash for name, plan in other.items()} == {"mcts": plans["mcts"].hash}
    assert plans["mcts"].participants[1].spec.startswith("mcts")
    assert "sims=16" in plans["mcts"].participants[0].spec
    assert "sims" not in plans["mcts"].participants[1].spec  # the default is 100: it is frozen
    assert all(plan_of_text(plan.text).hash == plan.hash for plan in plans.values())


def test_a_diverse_gauntlet_adds_opponents_without_floors():
    result = played(
        {**EVEN, "alphabeta": 0.4}, opponents=("random", "heuristic", "mcts", *DIVERSE), games=4
    )
    assert len(result.bouts) == 3 + len(DIVERSE)
    assert {bout.status for bout in result.bouts[3:]} == {None}
    assert set(result.as_tree()["others"]) == {b.opponent for b in result.bouts[3:]}
    assert "heuristic:persona=aggressive" in result.as_tree()["others"]


def test_another_configuration_is_refused_naming_both():
    with pytest.raises(UsageError, match=r"square8_2p.*hex8_2p"):
        Contender.of_model(MODEL, BoardSpec.create("hex8", 2), Search())


@pytest.mark.parametrize("players", [2, 3, 4])
def test_the_score_counts_two_player_rates(players):
    spec = BoardSpec.create("square8", players)
    settings = Gauntlet(games=24, openings=OpeningChoice())
    who = Contender.of_agent("heuristic:tau=0.3", spec)
    share = rate_for_players(0.5, players)
    results = {
        name: result_of(plan, {"random": 1.0, "heuristic": 1.0, "mcts": 0.0})
        for name, plan in settings.plans(who).items()
    }
    found = gauntlet_result(who, results)
    assert found.score == pytest.approx(3 * 0 + 2 * 1 + 1)
    assert found.bout("mcts").floor == pytest.approx(share)
    assert found.bout("mcts").status == "missed"


def test_a_floor_is_met_or_missed_only_where_the_interval_excludes_it():
    few = played({"random": 1.0, "heuristic": 1.0, "mcts": 0.0})
    statuses = {bout.opponent: bout.status for bout in few.bouts}
    assert statuses == {"random": "open", "heuristic": "met", "mcts": "missed"}
    assert few.missed
    assert few.bout("random").interval == wilson(1.0, 10)
    assert few.bout("heuristic").interval.low > FLOORS["heuristic"]


def test_above_20_games_an_opponent_is_left_once_its_floor_is_decided():
    many = played({"random": 0.2, "heuristic": 1.0, "mcts": 0.5}, games=200)
    games = {bout.opponent: bout.match.games for bout in many.bouts}
    assert games["random"] == 20
    assert games["heuristic"] == 20
    assert games["mcts"] > 20
    assert many.bout("random").status == "missed"
    assert many.bout("heuristic").status == "met"
    assert many.complete


def test_what_was_not_played_is_null():
    who = contender()
    plan = Gauntlet(openings=OpeningChoice()).plans(who)["random"]
    tree = gauntlet_result(who, {"random": result_of(plan, EVEN, games=1)}).as_tree()
    assert tree["vs_random"] is None
    assert tree["vs_mcts"] is None
    assert tree["score"] is None
    assert tree["games_played"] == 0
    assert tree["intervals"] == {"random": None}
    assert tree["model_type"] == "nnue"
    assert tree["model_path"] == "models/x.safetensors"


def test_the_table_follows_from_the_stored_plans_and_games(tmp_path):
    from tests.evaluation.test_matches import Player

    from ringrift.evaluation.matches import run_match

    first, second = Contender.of_agent("random", SQUARE), contender()
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        for who, games in ((first, 2), (second, 2), (second, 4)):
            settings = Gauntlet(opponents=("mcts", "random"), games=games)
            for plan in settings.plans(who).values():
                run_match(plan, store, Player(store))
        found = stored_gauntlets(store, [MODEL])
        assert [(r.model_id, r.games) for r in found] in (
            [(None, 4), (MODEL.id, 8)],
            [(MODEL.id, 8), (None, 4)],
        )
        (model,) = [r for r in found if r.model_id]
        assert model.model == MODEL
        assert [bout.opponent for bout in model.bouts] == ["random", "mcts"]
        assert model.score is None
        assert model.as_tree()["timestamp"].endswith("Z")
        assert stored_gauntlets(store, [], "hex8_2p") == []
