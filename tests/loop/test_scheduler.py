"""How time is divided: the shares, the stride, and a simulated day."""

import heapq

import pytest

from ringrift.core.settings.configurations import CONFIGURATIONS
from ringrift.loop.plan import STAGES
from ringrift.loop.scheduler import Claim, Stride, collecting_triggers, order, shares

from .rules_scene import conditions, facts, run, settings

DAY_S = 86_400.0
COSTS = dict(zip(CONFIGURATIONS, (4, 6, 9, 5, 7, 11, 60, 80, 110, 150, 200, 260), strict=True))
"""Core-seconds of a job, as different as the boards are."""


def claim(config, *, weight=1.0, new=0, trigger=100, **more):
    return Claim(config=config, weight=weight, new_games=new, trigger=trigger, **more)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("both", {"a": 0.6 / 2.1, "b": 1.5 / 2.1}),
        ("balance", {"a": 0.6 / 1.6, "b": 1.0 / 1.6}),
        ("elo", {"a": 1.0 / 2.5, "b": 1.5 / 2.5}),
    ],
)
def test_shares_follow_weight_and_need(mode, expected):
    claims = [claim("a", new=40), claim("b", weight=1.5)]
    assert shares(claims, mode) == pytest.approx(expected)


def test_nobody_falls_below_a_quarter_of_an_equal_part():
    claims = [claim("a", new=5000, weight=0.7), *(claim(name, weight=1.5) for name in "bcd")]
    found = shares(claims, "both")
    assert found["a"] == pytest.approx(1 / 16)
    assert sum(found.values()) == pytest.approx(1)
    assert found["b"] == pytest.approx(5 / 16)
    assert shares([], "both") == {}


def day(claims, mode, slots=2):
    """Core-seconds by configuration after a day of jobs, given out as slots become free."""
    parts = shares(claims, mode)
    used = dict.fromkeys(COSTS, 0.0)
    done = dict.fromkeys(COSTS, 0)
    free = [(0.0, slot, None) for slot in range(slots)]
    running = dict.fromkeys(COSTS, 0)
    while free[0][0] < DAY_S:
        now, slot, ended = heapq.heappop(free)
        if ended is not None:
            used[ended] += COSTS[ended]
            done[ended] += 1
            running[ended] -= 1
        told = [
            Claim(
                config=one.config,
                weight=one.weight,
                new_games=one.new_games,
                trigger=one.trigger,
                used_s=used[one.config],
                job_s=COSTS[one.config] if done[one.config] else None,
                open_jobs=running[one.config],
            )
            for one in claims
        ]
        (chosen,) = Stride(told, parts, mode).picks(1)
        running[chosen] += 1
        heapq.heappush(free, (now + COSTS[chosen], slot, chosen))
    return used, parts


@pytest.mark.parametrize("mode", ["both", "balance", "elo"])
def test_a_day_of_twelve_configurations_keeps_to_the_shares(mode):
    claims = [
        claim(name, weight=0.7 + 0.07 * at, new=8 * at) for at, name in enumerate(CONFIGURATIONS)
    ]
    used, parts = day(claims, mode)
    total = sum(used.values())
    assert total == pytest.approx(2 * DAY_S, rel=0.01)
    for name, part in parts.items():
        assert abs(used[name] / total - part) < 0.02
        assert used[name] / total == pytest.approx(part, rel=0.05)
        assert used[name] > 0.9 * total / (4 * 12)


def test_ties_go_to_the_earlier_and_in_balance_to_the_poorer():
    claims = [claim("a", games=10), claim("b", games=5), claim("c", games=5, models=3)]
    even = dict.fromkeys("abc", 1 / 3)
    assert list(Stride(claims, even).picks(4)) == ["a", "b", "c", "a"]
    assert list(Stride(claims, even, "balance").picks(4)) == ["b", "c", "a", "b"]
    assert list(Stride([], {}).picks(3)) == []


def test_who_comes_first():
    claims = [claim("a", new=50, games=9), claim("b", weight=1.2, new=50, games=5), claim("c")]
    assert [one.config for one in order(claims, "both")] == ["b", "a", "c"]
    assert [one.config for one in order(claims, "elo")] == ["b", "a", "c"]
    assert [one.config for one in order(claims, "balance")] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("config", "new", "state"),
    [
        ("square8_2p", 0, "collecting"),
        ("square8_2p", 40, "collecting"),
        ("square8_2p", 200, "ready"),
        ("square8_3p", 40, "collecting"),
        ("square8_4p", 200, "ready"),
        ("hex8_2p", 29, "collecting"),
        ("hex8_2p", 40, "ready"),
        ("hexagonal_4p", 30, "ready"),
    ],
)
def test_collecting_and_training_alone_select_by_their_own_thresholds(config, new, state):
    moment = conditions(
        stages=frozenset({"collect", "train", "curriculum"}),
        triggers=collecting_triggers(CONFIGURATIONS),
    )
    plan = run(facts(config=config, new_games=new), when=moment)
    assert plan.configs[0].state == state
    assert len(plan.jobs) == (state == "ready")
    trained = run(facts(config=config, new_games=0), when=moment)
    assert trained.jobs == ()


def test_self_play_goes_to_whom_has_had_least():
    both = [facts(), facts(config="hex8_2p")]
    assert [job.config for job in run(both).jobs] == ["square8_2p", "hex8_2p"] * 2
    uneven = [facts(new_games=100), facts(config="hex8_2p")]
    plan = run(uneven, when=conditions(slots=3))
    assert [found.share for found in plan.configs] == pytest.approx([1 / 3, 2 / 3])
    assert [job.config for job in plan.jobs].count("hex8_2p") == 4
    without = run(uneven, when=conditions(stages=STAGES - {"selfplay"}))
    assert [found.share for found in without.configs] == [0, 0]


def test_a_held_configuration_takes_no_share():
    both = [facts(), facts(config="hex8_2p")]
    plan = run(both, chosen=settings(), when=conditions(held={"hex8_2p": "no"}))
    assert [found.share for found in plan.configs] == [1, 0]
