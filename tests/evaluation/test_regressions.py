"""A champion below an earlier one, and a model that cannot beat the heuristic."""

import numpy as np
import pytest

from ringrift.core.ids import content_id
from ringrift.evaluation.ratings.fit import fit
from ringrift.evaluation.ratings.games import read_games
from ringrift.evaluation.regressions import regressions
from ringrift.records.record import AgentRef

from .rating_stores import Pool, agent_hash

OLD, NEW = "gumbel@old", "gumbel@new"


def ref(name):
    model = agent_hash(name) if "@" in name else None
    return AgentRef(spec=name, agent_hash=agent_hash(name), model_id=model)


def pairs(pool, one, other, elo, games=400):
    """Add games with the expected score of an Elo difference, alike from both seats."""
    wins = round(games / 2 / (1 + 10 ** (-elo / 400)))
    for seats, winner in (((one, other), 0), ((other, one), 1)):
        for number in range(games // 2):
            won = winner if number < wins else 1 - winner
            run = content_id("run", f"{one} {other}".encode())
            pool.add(seats, (1, 2) if won == 0 else (2, 1), run=run)


def found(tmp_path, drop, *, heuristic=200, games=400):
    pool = Pool()
    pairs(pool, "heuristic", "random", 300)
    pairs(pool, OLD, "heuristic", heuristic)
    pairs(pool, NEW, "heuristic", heuristic - drop, games)
    fitted = fit(read_games(pool.write(tmp_path / "games.db"), "square8_2p"))
    return regressions(fitted, champions=[ref(OLD), ref(NEW)], newest=ref(NEW), run="r")


@pytest.mark.parametrize(("drop", "fires"), [(120, True), (60, False), (-50, False)])
def test_the_champion_fires_from_100_elo_below_an_earlier_one(tmp_path, drop, fires):
    champion, _ = found(tmp_path, drop)
    assert champion.fires is fires
    assert champion.subject == "square8_2p champion"
    values = champion.values
    assert values["drop"] == pytest.approx(drop, abs=8)
    assert values["previous_elo"] - values["elo"] == pytest.approx(drop, abs=8)
    assert (values["model_id"], values["previous_id"]) == (ref(NEW).model_id, ref(OLD).model_id)
    assert values["config"] == "square8_2p"


def test_a_drop_that_is_not_sure_does_not_fire(tmp_path):
    champion, _ = found(tmp_path, 120, games=10)
    assert champion.fires is False
    assert champion.values["drop"] >= 100


@pytest.mark.parametrize(("elo", "fires"), [(0, True), (60, False), (300, False)])
def test_the_newest_model_fires_when_it_surely_scores_below_060(tmp_path, elo, fires):
    _, newest = found(tmp_path, 0, heuristic=elo)
    assert newest.fires is fires
    assert newest.values["score_ci95"][0] < newest.values["score"] < newest.values["score_ci95"][1]


def test_what_the_games_do_not_say_is_unknown(tmp_path):
    pool = Pool()
    pairs(pool, "heuristic", "random", 300)
    pairs(pool, OLD, "random", 300)
    fitted = fit(read_games(pool.write(tmp_path / "games.db"), "square8_2p"))
    for champions, newest in (([], None), ([ref(OLD)], ref(OLD)), ([ref(OLD), ref(NEW)], ref(NEW))):
        findings = regressions(fitted, champions=champions, newest=newest)
        assert [finding.fires for finding in findings] == [None, None]


def test_in_larger_games_orders_count(tmp_path):
    pool, rng = Pool("square8_3p"), np.random.default_rng(3)
    for _ in range(200):
        seats = [str(name) for name in rng.permutation(["random", "heuristic", NEW])]
        order = sorted(seats, key=lambda name: (name == NEW, rng.random()))
        pool.add(seats, [order.index(name) + 1 for name in seats])
    fitted = fit(read_games(pool.write(tmp_path / "games.db"), "square8_3p"))
    _, newest = regressions(fitted, champions=[], newest=ref(NEW))
    assert newest.fires is True
    assert newest.values["score"] == 0.0
