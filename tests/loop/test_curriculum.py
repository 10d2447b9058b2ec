"""The curriculum's weights against a table computed by hand."""

import pytest

from ringrift.core.settings import Settings
from ringrift.loop.curriculum import weights

from .rules_scene import FIRST, NOW, SECOND, begun, decision, facts, rated

HOUR = 3600


def config(name, elo, games=200, ago=1):
    """A configuration whose only champion came `ago` hours back."""
    return facts(
        config=name,
        decisions=(begun(ago=ago * HOUR),),
        ratings=(rated(FIRST, elo, games),) if elo is not None else (),
    )


def test_one_step_by_hand():
    # mean 600: raw 2 ** 0.5 = 1.41421, 1, 2 ** -0.5 = 0.70711; w = 0.3 raw + 0.7
    given = [config("square8_2p", 500), config("hex8_2p", 600), config("square8_3p", 700)]
    found = weights(given, Settings(), NOW)
    assert found["square8_2p"] == pytest.approx(1.1242640687119285, abs=1e-9)
    assert found["hex8_2p"] == pytest.approx(1.0, abs=1e-9)
    assert found["square8_3p"] == pytest.approx(0.9121320343559643, abs=1e-9)


def test_three_steps_by_hand():
    # raw 2 ** 0.5 each hour from 1: 1.1242640687, 1.2112489168, 1.2721383105
    given = [config("square8_2p", 500, ago=3), config("hex8_2p", 700, ago=3)]
    assert weights(given, Settings(), NOW)["square8_2p"] == pytest.approx(
        1.2721383104702783, abs=1e-9
    )


def test_raw_weights_are_clamped_before_they_are_mixed():
    # 1 / 4 -> 0.7, 4 -> 1.5 with 0.3: 0.91 and 1.15
    given = [config("square8_2p", 1400), config("hex8_2p", 600)]
    found = weights(given, Settings(), NOW)
    assert found == {
        "square8_2p": pytest.approx(0.91, abs=1e-9),
        "hex8_2p": pytest.approx(1.15, abs=1e-9),
    }


def test_few_rated_games_weigh_most_and_leave_the_mean_alone():
    given = [config("square8_2p", 500), config("hex8_2p", 9000, games=99), config("hex8_3p", None)]
    assert weights(given, Settings(), NOW) == {"square8_2p": 1.0, "hex8_2p": 1.5, "hex8_3p": 1.5}


def test_before_the_first_hour_and_without_decisions_all_weigh_one():
    assert weights([config("square8_2p", 500, ago=0.99)], Settings(), NOW) == {"square8_2p": 1.0}
    assert weights([facts(decisions=())], Settings(), NOW) == {"square8_2p": 1.0}
    off = Settings.model_validate({"curriculum": {"adaptive": False}})
    assert weights([config("hex8_3p", None)], off, NOW) == {"hex8_3p": 1.0}


def test_each_hour_uses_the_champion_of_that_hour():
    # hours -2 and -1: 500 against 600 (mean 550); hour 0: 700 against 600 (mean 650)
    moving = facts(
        decisions=(begun(ago=3 * HOUR), decision("promoted", SECOND, ago=HOUR / 2)),
        ratings=(rated(FIRST, 500.0), rated(SECOND, 700.0)),
    )
    found = weights([moving, config("hex8_2p", 600, ago=3)], Settings(), NOW)
    up, down = 2**0.25, 2**-0.25
    expected = 0.3 * down + 0.7 * (0.3 * up + 0.7 * (0.3 * up + 0.7))
    assert found["square8_2p"] == pytest.approx(expected, abs=1e-9)


def test_a_long_history_is_cut_where_it_does_not_matter():
    # from 1 over any number of equal hours: raw + (1 - raw) * 0.7 ** n
    given = [config("square8_2p", 500, ago=2000), config("hex8_2p", 700, ago=2000)]
    assert weights(given, Settings(), NOW)["square8_2p"] == pytest.approx(2**0.5, abs=1e-9)
