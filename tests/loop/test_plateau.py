"""Plateaus of a history, and the way back from a champion that got weaker."""

from dataclasses import replace

import pytest

from ringrift.core.settings import Settings
from ringrift.loop.actions import RollBack
from ringrift.loop.plateau import plateaus
from ringrift.loop.regression import regression, rollback

from .rules_scene import (
    CONFIG,
    FIRST,
    NOW,
    SECOND,
    THIRD,
    begun,
    conditions,
    decision,
    facts,
    rated,
    run,
    settings,
    tournament,
)


def count(kinds, elos=None):
    """The plateaus after decisions named by a letter each: x rejected, or a champion's name."""
    champion, made = FIRST, [begun()]
    for at, letter in enumerate(kinds):
        if letter == "x":
            made.append(decision("rejected", SECOND, before=champion, ago=900 - at))
        else:
            made.append(decision("promoted", letter * 64, before=champion, ago=900 - at))
            champion = letter * 64
    ratings = tuple(rated(name * 64, elo) for name, elo in (elos or {}).items())
    found = plateaus(facts(champion=champion, decisions=tuple(made), ratings=ratings), Settings())
    return found.standing.count


@pytest.mark.parametrize(
    ("kinds", "elos", "expected"),
    [
        ("", None, 0),
        ("xxxx", None, 0),
        ("xxxxx", None, 1),
        ("xxxxxxxxx", None, 1),
        ("xxxxxxxxxx", None, 2),
        ("xxxxx" * 4, None, 4),
        ("xxbxx", {"a": 400.0, "b": 410.0}, 1),  # a promotion of 10 Elo is no gain
        ("xxbxx", {"a": 400.0, "b": 450.0}, 0),  # it clears, and begins anew
        ("xxbxxxxx", {"a": 400.0, "b": 450.0}, 1),
        ("xxxxxb", {"a": 400.0, "b": 450.0}, 0),
        ("xxxxxb", {"a": 400.0, "b": 415.0}, 1),
        ("xxxxb", {"a": 400.0}, 0),  # the rise is unknown
        ("xxxxbxxxxx", {"a": 400.0}, 1),
        ("bcxxx", {"a": 400.0, "b": 410.0, "c": 420.0}, 0),  # two small steps make 20
        ("bcxxx", {"a": 400.0, "b": 405.0, "c": 410.0}, 1),
    ],
)
def test_plateaus(kinds, elos, expected):
    assert count(kinds, elos) == expected


def test_a_promotion_without_ratings_counts_by_its_test():
    made = [begun(), *(decision("rejected", SECOND, ago=50 - i) for i in range(5))]
    won = decision("promoted", SECOND, ago=1, elo=60.0)
    assert plateaus(facts(decisions=tuple(made)), Settings()).standing.count == 1
    assert plateaus(facts(decisions=(*made, won)), Settings()).standing.count == 0


def test_when_it_began():
    made = [begun(), *(decision("rejected", SECOND, ago=50 - i) for i in range(10))]
    found = plateaus(facts(decisions=tuple(made)), Settings())
    assert (found.standing.since, found.last_at) == (made[5].at, made[10].at)


REIGNS = facts(
    champion=THIRD,
    decisions=(
        begun(),
        decision("promoted", SECOND, ago=9000),
        decision("promoted", THIRD, before=SECOND, ago=8000),
    ),
    ratings=(rated(FIRST, 650.0), rated(SECOND, 600.0), rated(THIRD, 500.0)),
)


def rounds(*drops, after=8000, champion=THIRD):
    return tuple(
        tournament(
            champion,
            SECOND,
            ago=after - 3600 * (at + 1),
            champion_elo=600 - drop,
            before_elo=600,
        )
        for at, drop in enumerate(drops)
    )


def back(given, chosen=None, now=NOW):
    chosen = chosen or Settings()
    return rollback(given, regression(given, chosen), chosen, now=now, term=3)


def test_two_tournaments_bring_the_best_of_the_last_champions_back():
    found, why = back(replace(REIGNS, tournaments=rounds(100, 100)))
    assert (found.target, found.term, found.config, why) == (FIRST, 3, CONFIG, "")
    assert "100 and 100 Elo below" in found.reason
    unrated = replace(REIGNS, tournaments=rounds(100, 100), ratings=(rated(SECOND, None),))
    assert back(unrated)[0].target == SECOND


@pytest.mark.parametrize(
    "given",
    [
        rounds(100),
        rounds(49, 100),
        rounds(100, 49),
        rounds(100, 100, champion=SECOND),
        rounds(100, 100, after=16_000),  # before it reigned
    ],
)
def test_nothing_else_does(given):
    assert back(replace(REIGNS, tournaments=given)) == (None, "")


def test_a_former_champion_is_judged_by_tournaments_of_its_new_reign():
    again = decision("rolled_back", THIRD, before=THIRD, champion=SECOND, ago=4000)
    given = replace(
        REIGNS,
        champion=SECOND,
        decisions=(*REIGNS.decisions, again),
        tournaments=rounds(100, 100, after=8000, champion=SECOND),
    )
    assert regression(given, Settings()) is None


def rolled(*agos):
    made = tuple(
        decision("rolled_back", FIRST, before=FIRST, champion=SECOND, ago=ago) for ago in agos
    )
    first, second, third = REIGNS.decisions
    return replace(REIGNS, decisions=(first, second, *made, third), tournaments=rounds(100, 100))


@pytest.mark.parametrize(
    ("agos", "words"),
    [((3599,), "3599 s ago"), ((3601,), ""), ((40_000, 30_000, 20_000), "3 ways back in a day")],
)
def test_ways_back_are_rare(agos, words):
    found, why = back(rolled(*agos))
    assert words in why
    assert (found is None) == bool(words)


def test_going_back_by_itself_can_be_off():
    off = Settings.model_validate({"regression": {"auto_rollback": False}})
    found, why = back(replace(REIGNS, tournaments=rounds(100, 100)), off)
    assert found is None
    assert "is off" in why


def test_a_planted_drop_gives_one_way_back():
    """Hour by hour: a drop of 100 Elo is undone after the second full tournament, once."""
    given, asked = REIGNS, []
    for hour in range(1, 6):
        now = NOW - 8000 + 3600 * hour + 1
        played = rounds(*[100] * hour)
        plan = run(
            replace(given, tournaments=tuple(t for t in played if t.at <= now)),
            chosen=settings(),
            when=conditions(now=now),
        )
        found = [action for action in plan.actions if isinstance(action, RollBack)]
        if found:
            asked.append(hour)
            moved = decision("rolled_back", THIRD, before=THIRD, champion=found[0].target)
            moved = replace(moved, at=now)
            given = replace(given, champion=found[0].target, decisions=(*given.decisions, moved))
    assert asked == [2]
