"""Tournaments that begin by themselves: who takes part, and when one is due."""

import pytest

from ringrift.evaluation.auto import APART_S, field_of, tournament_of, why_not
from ringrift.evaluation.contenders import Contender, ModelRow, Search
from ringrift.evaluation.matches import run_match, stored
from ringrift.evaluation.plans import OpeningChoice
from ringrift.evaluation.ratings.games import read_games
from ringrift.evaluation.tournaments import Tournament, play_tournament
from ringrift.records.store import GameStore

from .played import SQUARE
from .test_matches import Player

IDS = [f"{number:02x}" * 32 for number in range(1, 9)]
ROWS = [ModelRow(id=name, kind="nnue", config="square8_2p") for name in IDS]


def model(name):
    row = ModelRow(id=name, kind="nnue", config="square8_2p")
    return Contender.of_model(row, SQUARE, Search()).agent


def test_the_field_is_the_newest_models_the_champion_and_the_baselines():
    champions = [IDS[7], "ff" * 32, IDS[6]]
    field = field_of(
        SQUARE, ROWS, champions, search=Search(), baselines=("random", "mcts_100"), newest=2
    )
    assert [a.model_id for a in field.agents] == [None, None, IDS[6], IDS[0], IDS[1]]
    assert field.newest == model(IDS[0])
    assert field.champions == (model(IDS[7]), model(IDS[6]))  # the other one has no file here
    alone = field_of(SQUARE, [], [], search=Search(), baselines=("random",), newest=5)
    assert (len(alone.agents), alone.newest) == (1, None)


@pytest.fixture
def store(tmp_path):
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        yield store


def planned(*names):
    baselines = ("random", "heuristic", *names)
    field = field_of(SQUARE, [], [], search=Search(), baselines=baselines)
    made = tournament_of(field, SQUARE, games=2, seed=1)
    return Tournament(spec=SQUARE, agents=made.agents, games=2, seed=1, openings=OpeningChoice())


def look(tournament, store, *, play=False, stop=lambda: False):
    def matches(meetings):
        return [
            run_match(m.plan, store, Player(store), stop=stop)
            if play
            else stored(m.plan, store).result()
            for m in meetings
        ]

    return play_tournament(tournament, matches, lambda: read_games(store.path, "square8_2p"))


def test_it_is_due_once_and_after_two_hours_when_somebody_is_new(store):
    made = next(iter(store.plans.all()), None)
    assert made is None
    first, second = planned("mcts_100"), planned("mcts_100", "alphabeta:depth=2")
    assert why_not(look(first, store), None, 0.0) is None
    assert why_not(look(first, store), store, 0.0) is None
    look(first, store, play=True)
    began = max(plan.made_at for plan in store.plans.all())
    assert why_not(look(first, store), store, began + 9 * APART_S) == "nothing is new"
    told = why_not(look(second, store), store, began + APART_S - 60)
    assert told == "the last tournament began 119 minutes ago"
    assert why_not(look(second, store), store, began + APART_S) is None


def test_one_that_was_begun_goes_on_at_once(store):
    tournament = planned("mcts_100")
    assert not look(tournament, store, play=True, stop=lambda: True).complete
    began = max(plan.made_at for plan in store.plans.all())
    assert why_not(look(tournament, store), store, began + 1) is None
