"""Ten games counted by hand; the numbers here were written down from their move lists."""

import sys
from pathlib import Path

import pytest

from ringrift.data.statistics.cache import SummaryCache
from ringrift.data.statistics.gathering import Inputs
from ringrift.data.statistics.report import count_inputs, report

sys.path.insert(0, str(Path(__file__).parent))
from known_games import GAMES, known_games
from random_games import store
from recount import differences, recount

sys.path.pop(0)

CONFIG = "square8_2p"


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    path = store(tmp_path_factory.mktemp("known") / "games.db", known_games().values())
    with SummaryCache(None) as cache:
        inputs = Inputs(stores=[path])
        tree = report(count_inputs(inputs, cache, workers=1), inputs)
    return tree["configurations"][CONFIG]


def nonzero(parts):
    return {name: part["count"] for name, part in parts.items() if part["count"]}


def test_each_game_ends_as_it_is_called(sections):
    ends = {name: 1 for name in GAMES if name != "swapped"} | {"max_plies": 2}
    assert nonzero(sections["victory"]["types"]) == ends
    assert nonzero(sections["victory"]["classes"]) == {
        "ring_elimination": 2,
        "territory_control": 2,
        "last_player_standing": 3,
    }
    assert (sections["games"], sections["completed"]) == (10, 8)
    assert sections["ply_limit"] == {"games": 2, "by_plies": {"8": 1, "9": 1}}


def test_seats_and_the_pie_rule(sections):
    (table,) = sections["seats"]["by_players"]
    assert [seat["count"] for seat in table["wins"]] == [8, 0]
    assert (table["games"], table["without_winner"]) == (8, 2)
    pie = sections["seats"]["pie_rule"]
    assert (pie["offered"], pie["used"], pie["won_by_swapper"]["of"]) == (1, 1, 0)


def test_moves_turns_and_activity(sections):
    assert nonzero(sections["moves"]["types"]) == {
        "place_ring": 4,
        "skip_placement": 1,
        "no_placement_action": 7,
        "swap_sides": 1,
        "move_stack": 10,
        "overtaking_capture": 1,
        "continue_capture_segment": 1,
        "no_movement_action": 1,
        "process_line": 1,
        "no_line_action": 12,
        "no_territory_action": 11,
        "eliminate_rings_from_stack": 1,
        "forced_elimination": 1,
    }
    assert sections["moves"]["plies"] == 52
    activity = sections["activity"]
    assert (activity["turns"], activity["empty_turns"]) == (12, 0)
    assert activity["acting_plies"]["count"] == 20
    assert activity["lines"] == {"count": 1, "by_size": {"4": 1}}
    assert activity["regions"] == {"count": 0, "by_size": {}}
    assert sections["lengths"]["time"]["total_s"] == 2.5


def test_captures_and_forced_eliminations(sections):
    captures = sections["captures"]
    assert (captures["segments"], captures["captures"], captures["chains"]) == (2, 1, 1)
    assert captures["longest_chain"]["max"] == 2
    first = captures["first_capture"][0]
    assert (first["seat"], first["games"], first["won"]["count"]) == (1, 1, 1)
    forced = sections["swings"]["forced_eliminations"]
    assert forced == {"count": 1, "by_seat": [0, 1, 0, 0], "games": 1, "winners_who_suffered": 0}


def test_an_agent_keeps_its_game_after_a_swap(sections):
    random, heuristic = sorted(sections["agents"]["agents"], key=lambda a: a["name"], reverse=True)
    assert (random["games"], random["wins"]["count"], random["wins"]["of"]) == (10, 8, 8)
    assert (heuristic["games"], heuristic["wins"]["count"]) == (10, 0)
    assert sections["quality"]["hosts"] == {"here": 10}


def test_the_recount_agrees(sections):
    assert differences(sections, recount(list(known_games().values()))) == []
