"""Two stages: who goes on, how they are ranked, and that nothing depends on the order of games."""

from dataclasses import replace

import pytest
from tests.evaluation.made_results import by_rates, result_of

from ringrift.core.errors import UsageError
from ringrift.core.intervals import wilson
from ringrift.evaluation.contenders import Contender, ModelRow, Search
from ringrift.evaluation.plans import OpeningChoice
from ringrift.evaluation.two_stage import TwoStage, of_shard, promotable, sift
from ringrift.rules import BoardSpec

SQUARE = BoardSpec.create("square8", 2)
DRAWN = OpeningChoice()
SETTINGS = TwoStage(openings=(DRAWN, DRAWN))
GOOD = {"random": 1.0, "heuristic": 0.9, "mcts": 0.7}


def rows(count, config="square8_2p"):
    return [ModelRow(id=f"{n:064x}", kind="nnue", config=config) for n in range(1, count + 1)]


def models(count, spec=SQUARE):
    return [Contender.of_model(row, spec, Search(sims=4)) for row in rows(count, spec.config)]


class Playing:
    """Plays by rates and notes what was asked for."""

    def __init__(self, rates, seed=0):
        self.asked = []
        self._play = by_rates(rates, seed)

    def __call__(self, wanted):
        self.asked += wanted
        return self._play(wanted)


def sifted(rates, *, contenders=None, settings=SETTINGS):
    playing = Playing(rates)
    who = models(1) if contenders is None else contenders
    return sift(who, settings, first=playing, second=playing), playing


def test_a_model_that_fails_against_one_opponent_is_played_no_further():
    (found,), playing = sifted({"random": 1.0, "heuristic": 0.0, "mcts": 1.0})
    assert found.passed_first is False
    assert found.passed is False
    assert [each.plan.participants[1].spec for each in playing.asked] == ["heuristic"]
    assert found.games == 8  # 2 games more cannot reach 4
    assert found.pooled is None


def test_both_opponents_of_stage_1_must_be_met():
    (found,), playing = sifted({"random": 0.0, "heuristic": 1.0, "mcts": 1.0})
    assert found.passed_first is False
    assert len(playing.asked) == 2
    assert found.games == 4 + 8


def test_stage_2_pools_all_games_in_one_wilson_interval():
    (found,), playing = sifted({"random": 1.0, "heuristic": 1.0, "mcts": 1.0})
    assert found.passed_first is True
    assert [len(found.first), len(found.second)] == [2, 3]
    assert found.pooled == 1.0
    assert found.pooled_interval == wilson(1.0, 150)
    assert found.intervals["mcts_100"] == wilson(1.0, 50)
    assert found.passed is True
    stages = {each.plan.openings.part for each in playing.asked}
    assert stages == {"random"}  # as the settings say


def test_confidence_is_that_of_the_intervals():
    (found,), _ = sifted(GOOD, settings=replace(SETTINGS, confidence=0.99))
    (other,), _ = sifted(GOOD, settings=replace(SETTINGS, confidence=0.90))
    assert found.pooled == other.pooled
    assert found.pooled_interval.low < other.pooled_interval.low


def test_stage_1_plays_open_openings_and_stage_2_reserved_ones():
    (who,) = models(1)
    settings = TwoStage()
    assert settings.stage1(who, "random").openings.part == "open"
    assert settings.stage2(who, "random").openings.part == "reserved"
    assert settings.stage1(who, "random").participants[0] == who.alone
    assert settings.stage2(who, "random").participants[0] == who.agent
    assert ("sims=1" in who.alone.spec, "sims=4" in who.agent.spec) == (True, True)


@pytest.mark.parametrize(("players", "games"), [(3, 12), (4, 12)])
def test_thresholds_hold_at_equal_odds_for_more_players(players, games):
    spec = BoardSpec.create("square8", players)
    (found,), _ = sifted({"random": 0.0, "heuristic": 0.3, "mcts": 1.0}, contenders=models(1, spec))
    share = found.share(0.40)
    assert share == pytest.approx({3: 0.25, 4: 0.1818}[players], abs=1e-4)
    match = found.first["heuristic"]
    assert match.games <= games
    assert match.verdict == ("accept" if match.wins >= share * games else "reject")


def test_an_unfinished_match_is_neither_passed_nor_failed():
    def first(wanted):
        return [result_of(each.plan, GOOD, games=1) for each in wanted]

    (found,) = sift(models(1), SETTINGS, first=first, second=first)
    assert found.passed_first is None
    assert found.passed is None
    assert found.as_tree()["stage2"]["share"] is None
    assert found.as_tree()["stage1"]["matches"]["random"]["share"] is None


def test_the_ranking_is_by_the_pooled_lower_bound():
    who = models(3)
    strength = {c.agent.model_id: rate for c, rate in zip(who, (0.5, 0.9, 0.7), strict=True)}

    def play(wanted):
        return [
            result_of(
                each.plan,
                dict.fromkeys(GOOD, strength[each.plan.participants[0].model_id]),
            )
            for each in wanted
        ]

    found = sift(who, SETTINGS, first=play, second=play)
    lows = [c.pooled_interval.low for c in found if c.pooled_interval]
    assert lows == sorted(lows, reverse=True)
    assert found[0].contender == who[1]
    best = promotable(found, most=3)
    assert [c.contender for c in best] == [who[1]]
    assert promotable(found, most=0) == []


def test_shards_share_no_model_and_together_give_the_unsharded_ranking():
    every = rows(12)
    parts = [of_shard(every, shard, 3) for shard in range(3)]
    assert sorted(row.id for part in parts for row in part) == [row.id for row in every]
    assert all(int(row.id, 16) % 3 == shard for shard in range(3) for row in parts[shard])
    rates = {"random": 0.9, "heuristic": 0.45, "mcts": 0.3}
    played = by_rates(rates)
    known = {}

    def play(wanted):
        known.update({e.plan.hash: r for e, r in zip(wanted, played(wanted), strict=True)})
        return [known[each.plan.hash] for each in wanted]

    for part in parts:
        who = [Contender.of_model(row, SQUARE, Search(sims=4)) for row in part]
        sift(who, SETTINGS, first=play, second=play)

    def look(wanted):
        return [known[each.plan.hash] for each in wanted]

    together = sift(models(12), SETTINGS, first=look, second=look)
    whole, _ = sifted(rates, contenders=models(12))
    assert [c.as_tree() for c in together] == [c.as_tree() for c in whole]
    assert {c.passed_first for c in whole} == {True, False}
    with pytest.raises(UsageError, match="shard 3 of 3"):
        of_shard(every, 3, 3)


@pytest.mark.parametrize(
    "values",
    [
        {"stage1_games": 0},
        {"stage1_threshold": 1.5},
        {"promote_threshold": -0.1},
        {"confidence": 1.0},
    ],
)
def test_settings_that_make_no_gauntlet_are_refused(values):
    with pytest.raises(UsageError):
        TwoStage(**values)
