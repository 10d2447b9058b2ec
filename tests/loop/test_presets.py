"""Which exploration is in force, from the stored games' runs and the decisions."""

import pytest

from ringrift.loop.facts import PlayFacts
from ringrift.loop.plan import Signal
from ringrift.loop.presets import preset_of, run_name

from .rules_scene import CONFIG, FIRST, NOW, SECOND, THIRD, begun, decision, facts

TOO_LONG = [Signal(kind="ADJUST_TEMPERATURE", config=CONFIG, value=0.06, reason="6 % too long")]
REIGNS = (
    begun(),
    decision("promoted", SECOND, ago=300),
    decision("promoted", THIRD, before=SECOND, ago=200),
)


def played(*models, distinct=None):
    """Games of models with exploration, and of all without."""
    runs = [run_name(CONFIG, found, "0" * 64, "default") for found in (FIRST, SECOND, THIRD)]
    runs += [run_name(CONFIG, found, "1" * 64, "aggressive_exploration") for found in models]
    return PlayFacts(distinct_openings=distinct, next_index=dict.fromkeys(runs, 32))


@pytest.mark.parametrize(
    ("decisions", "play", "plateau_at", "signals", "expected"),
    [
        (REIGNS, played(), None, [], "default"),
        (REIGNS, played(distinct=0.5), None, [], "default"),
        (REIGNS, played(distinct=0.49), None, [], "aggressive_exploration"),
        (REIGNS, played(THIRD, distinct=0.9), None, [], "aggressive_exploration"),
        (REIGNS, played(SECOND, distinct=0.9), None, [], "aggressive_exploration"),
        (REIGNS, played(SECOND, THIRD, distinct=0.9), None, [], "aggressive_exploration"),
        (REIGNS, played(FIRST, SECOND, distinct=0.9), None, [], "default"),
        (REIGNS, played(FIRST, distinct=0.9), None, [], "default"),
        (REIGNS[:1], played(FIRST), None, [], "aggressive_exploration"),
        (REIGNS, played(), NOW - 100, [], "aggressive_exploration"),
        (REIGNS, played(), NOW - 250, [], "aggressive_exploration"),
        (REIGNS, played(), NOW - 350, [], "default"),
        (REIGNS, played(), None, TOO_LONG, "alphazero"),
        (REIGNS, played(distinct=0.2), None, TOO_LONG, "conservative"),
    ],
)
def test_the_preset_in_force(decisions, play, plateau_at, signals, expected):
    given = facts(decisions=decisions, champion=decisions[-1].champion, play=play)
    preset, why = preset_of(given, signals, plateau_at)
    assert preset == expected
    assert bool(why) == (preset != "default")


def test_every_preset_is_known_to_the_agents():
    from ringrift.agents.temperature import create_scheduler
    from ringrift.loop.presets import EXPLORING, NEXT

    for name in (EXPLORING, *NEXT.values()):
        create_scheduler(name)
