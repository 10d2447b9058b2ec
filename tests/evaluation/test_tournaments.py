"""Tournaments: a table from games alone, the same after any stop."""

import json

import pytest

from ringrift.core.errors import UsageError
from ringrift.evaluation.matches import run_match, stored
from ringrift.evaluation.plans import OpeningChoice
from ringrift.evaluation.ratings.games import read_games
from ringrift.evaluation.tournaments import Tournament, play_tournament
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec, parse_config

from .played import agent
from .test_matches import Player

NAMES = ("random", "heuristic", "mcts_100", "alphabeta:depth=2")


def tournament(config="square8_2p", names=NAMES, **changes):
    spec = BoardSpec.create(*parse_config(config))
    values = {"games": 2, "seed": 5, "openings": OpeningChoice(), **changes}
    return Tournament(spec=spec, agents=tuple(agent(name, spec) for name in names), **values)


class Place:
    """A store in which tournaments are played with random moves, at most `games` of them."""

    def __init__(self, path):
        self.path = path
        self.played = 0

    def play(self, planned, games=10**9):
        with GameStore.open(self.path, writer=True) as store:
            left = [games]

            def stop():
                left[0] -= 1
                return left[0] < 1

            def matches(meetings):
                found = []
                for meeting in meetings:
                    if left[0] < 1:
                        found.append(stored(meeting.plan, store).result())
                        continue
                    player = Player(store)
                    found.append(run_match(meeting.plan, store, player, stop=stop))
                    self.played += len(player.played)
                return found

            return play_tournament(planned, matches, self.read(planned))

    def read(self, planned):
        return lambda: read_games(self.path, planned.spec.config)

    def look(self, planned):
        with GameStore.open(self.path) as store:
            return play_tournament(
                planned,
                lambda meetings: [stored(m.plan, store).result() for m in meetings],
                self.read(planned),
            )


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "games.db")


def report(outcome):
    return json.dumps(outcome.as_tree(), sort_keys=True)


@pytest.mark.parametrize("matchmaking", [False, True])
def test_stopped_at_any_game_it_comes_to_the_same_report(tmp_path, matchmaking):
    planned = tournament(matchmaking=matchmaking)
    whole = Place(tmp_path / "whole.db")
    expected = whole.play(planned)
    assert expected.complete
    assert expected.games == planned.most_games == whole.played
    halting = Place(tmp_path / "halting.db")
    for games in (1, 2, 3):
        assert not halting.play(planned, games).complete
    assert report(halting.play(planned)) == report(expected)
    assert report(halting.look(planned)) == report(expected)
    assert halting.played == whole.played


def test_other_games_of_the_store_change_no_table(place, tmp_path):
    planned = tournament(matchmaking=True)
    place.play(tournament(seed=6))
    alone = Place(tmp_path / "alone.db")
    assert report(place.play(planned)) == report(alone.play(planned))


def test_every_two_meet_and_the_table_counts_their_games(place):
    outcome = place.play(tournament())
    assert len(outcome.meetings) == 6
    assert {row.agent.spec for row in outcome.table} == {a.spec for a in tournament().agents}
    assert all(row.games == 6 for row in outcome.table)
    assert sum(row.wins for row in outcome.table) == outcome.games == 12
    assert sum(row.ahead for row in outcome.table) == pytest.approx(2.0)
    rated = [row.elo for row in outcome.table]
    assert 400.0 in rated
    places = [row.field_elo for row in outcome.table]
    assert places == sorted(places, reverse=True)


def test_without_random_there_is_a_table_without_ratings(place):
    outcome = place.play(tournament(names=NAMES[1:]))
    assert all(row.elo is None and row.field_elo is not None for row in outcome.table)


@pytest.mark.parametrize(("config", "names"), [("square8_3p", NAMES), ("square8_4p", NAMES[:2])])
def test_larger_games_have_groups(place, config, names):
    outcome = place.play(tournament(config, names, games=3))
    assert outcome.complete
    players = int(config[-2])
    assert all(result.games % players == 0 for result in outcome.results)
    assert {len(m.group) for m in outcome.meetings} == {min(players, len(names))}


def test_meetings_again_have_other_openings(place):
    outcome = place.play(tournament(matchmaking=True, names=NAMES[:3]))
    assert outcome.as_tree()["rounds"] > 1
    assert len({m.plan.hash for m in outcome.meetings}) == len(outcome.meetings)


def test_the_most_meetings_bound_it(place):
    for matchmaking in (False, True):
        outcome = place.play(tournament(most_meetings=4, matchmaking=matchmaking))
        assert len(outcome.meetings) == 4
        assert outcome.complete


def test_a_field_needs_two_different_agents():
    with pytest.raises(UsageError, match="1 agents"):
        tournament(names=("random",))
    with pytest.raises(UsageError, match="mcts:noise=0 takes part twice"):
        tournament(names=("random", "mcts_100", "mcts"))
