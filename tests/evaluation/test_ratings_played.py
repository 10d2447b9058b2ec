"""Ratings of agents that really play."""

from itertools import combinations

import pytest

from ringrift.evaluation.participants import participant
from ringrift.evaluation.plans import MatchPlan
from ringrift.evaluation.players import MatchPlayers, play_match
from ringrift.evaluation.ratings.fit import fit
from ringrift.evaluation.ratings.games import read_games
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec

RISING = ("random", "heuristic", "alphabeta:depth=2")


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
def test_three_agents_come_in_order_after_60_games_each(tmp_path):
    spec = BoardSpec.create("square8", 2)
    agents = [participant(name, spec) for name in RISING]
    path = tmp_path / "games.db"
    with MatchPlayers() as players, GameStore.open(path, writer=True) as store:
        for pair in combinations(agents, 2):
            plan = MatchPlan.of_games(30, purpose="manual", spec=spec, agents=pair, seed=5)
            play_match(plan, store, players)
    found = fit(read_games(path, spec.config))
    ratings = {found.games.participants[i].spec: (found.elo(i), found.se(i)) for i in range(3)}
    print(ratings)
    elos = [ratings[agent.spec][0] for agent in agents]
    assert elos[0] < elos[1] < elos[2]
