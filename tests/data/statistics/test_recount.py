"""Every number of the report against a recount that knows the rules' positions and nothing else."""

import sys
from pathlib import Path

import pytest

from ringrift.data.statistics.cache import SummaryCache
from ringrift.data.statistics.gathering import Inputs
from ringrift.data.statistics.report import count_inputs, report

sys.path.insert(0, str(Path(__file__).parent))
from random_games import CONFIGS, play, store
from recount import differences, recount

sys.path.pop(0)


def counted(**inputs):
    with SummaryCache(None) as cache:
        given = Inputs(**inputs)
        return report(count_inputs(given, cache, workers=1), given)


def games_of(config, number):
    """Games of a configuration, one of them cut by a limit, two-player ones with swap and resigned."""
    two = config.endswith("2p")
    games = [play(config, seed, swap=two and seed % 3 > 0) for seed in range(number)]
    games.append(play(config, 101, limit=60))
    if two:
        games.append(play(config, 102, resign=True))
    return games


@pytest.fixture(scope="module")
def games():
    """More than 60 games of all configurations."""
    return {config: games_of(config, 8 if "8_" in config else 2) for config in CONFIGS}


@pytest.fixture(scope="module")
def tree(games, tmp_path_factory):
    found = [game for of_config in games.values() for game in of_config]
    return counted(stores=[store(tmp_path_factory.mktemp("random") / "games.db", found)])


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS)
def test_every_count_of_random_games(games, tree, config):
    assert differences(tree["configurations"][config], recount(games[config])) == []


@pytest.mark.slow
def test_the_games_show_what_is_counted(games, tree):
    total = tree["total"]
    assert tree["games"] == sum(map(len, games.values())) >= 60
    assert [name for name, n in total["moves"]["types"].items() if not n["count"]] == []
    assert [name for name, n in total["recovery"]["slides"].items() if not n] == []
    rare = {"tie_break_rings", "tie_break_markers", "tie_break_last_mover", "aborted", "unknown"}
    ends = {name for name, n in total["victory"]["types"].items() if n["count"]}
    assert ends >= total["victory"]["types"].keys() - rare
    assert total["swings"]["forced_eliminations"]["winners_who_suffered"]
    assert total["activity"]["empty_turns"]
    assert total["seats"]["pie_rule"]["won_by_swapper"]["of"]
    assert total["agents"]["searched_games"]


@pytest.mark.slow
def test_other_rules_than_the_boards_are_counted(tmp_path):
    games = [play("hex8_3p", seed, base_line_length=4) for seed in range(2)]
    games += [play("hex8_3p", seed, lps_rounds=2) for seed in range(2, 4)]
    found = counted(stores=[store(tmp_path / "games.db", games)])["configurations"]["hex8_3p"]
    assert differences(found, recount(games)) == []
    assert {name: n for name, n in found["rules"]["mismatches"].items() if n} == {
        "base_line_length": 2,
        "lps_rounds": 2,
    }
