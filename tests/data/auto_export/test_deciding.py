"""Which configurations are exported, in which order, with planted counts."""

import pytest

from ringrift.core.settings import CONFIGURATIONS
from ringrift.data.auto_export.counting import Count
from ringrift.data.auto_export.deciding import decide


def planted(**games):
    """Counts of all twelve; a pair is (games, new), one number both."""
    pairs = {name: (n, n) if isinstance(n, int) else n for name, n in games.items()}
    return [
        Count(config=config, games=pairs.get(config, (0, 0))[0], new=pairs.get(config, (0, 0))[1])
        for config in CONFIGURATIONS
    ]


def exported(counts, **options):
    decisions = decide(counts, target_games=1000, **options)
    return [decision.config for decision in decisions if decision.exported]


def reason(counts, config, **options):
    (found,) = [d for d in decide(counts, target_games=1000, **options) if d.config == config]
    return found.reason


def test_the_least_represented_comes_first():
    counts = planted(square8_2p=900, hex8_2p=300, square8_3p=60, hexagonal_4p=500)
    assert exported(counts) == ["square8_3p", "hex8_2p", "hexagonal_4p", "square8_2p"]


@pytest.mark.parametrize(
    ("config", "minimum"),
    [("square8_2p", 200), ("hex8_2p", 100), ("square8_3p", 50), ("hexagonal_4p", 50)],
)
def test_each_has_its_minimum_of_new_games(config, minimum):
    assert exported(planted(**{config: (500, minimum)})) == [config]
    assert exported(planted(**{config: (500, minimum - 1)})) == []
    told = reason(planted(**{config: (500, minimum - 1)}), config)
    assert told == f"{minimum - 1} new games; the minimum is {minimum}"
    assert exported(planted(**{config: (500, 1)}), force=True) == [config]


def test_one_that_has_enough_is_left_out():
    assert exported(planted(square8_2p=1000)) == []
    assert reason(planted(square8_2p=1000), "square8_2p").startswith("well represented")
    assert exported(planted(square8_2p=999)) == ["square8_2p"]


def test_below_the_median_is_too_few_even_above_the_target():
    games = dict.fromkeys(CONFIGURATIONS, 3000) | {"hex8_3p": 1500}
    assert exported(planted(**games)) == ["hex8_3p"]


def test_without_new_games_it_says_so():
    assert reason(planted(hex8_3p=(500, 0)), "hex8_3p") == "no new games"
    assert reason(planted(), "hex8_3p") == "no games"
    assert exported(planted(), force=True) == []


def test_the_median_is_that_of_all_enabled_whatever_is_asked_for():
    games = dict.fromkeys(CONFIGURATIONS, 3000) | {"hex8_3p": 1500, "hex8_4p": 1200}
    assert exported(planted(**games), only={"hex8_3p"}) == ["hex8_3p"]
    assert len(decide(planted(**games), target_games=1000, only={"hex8_3p"})) == 1
