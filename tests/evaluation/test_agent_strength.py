"""Who beats whom among the agents without a net: the figures that a search must earn.

Run from the shell, it measures other pairs:

    python tests/evaluation/test_agent_strength.py square8_2p 200 alphabeta:depth=2 heuristic
"""

import sys

import pytest

from ringrift.evaluation.participants import participant
from ringrift.evaluation.plans import MatchPlan
from ringrift.evaluation.players import MatchPlayers, play_match
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec, parse_config

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(7200)]


def measured(folder, config, games, first, second):
    """Play a match in worker processes and return its result."""
    spec = BoardSpec.create(*parse_config(config))
    agents = (participant(first, spec), participant(second, spec))
    plan = MatchPlan.of_games(games, purpose="full", spec=spec, agents=agents, seed=11)
    with MatchPlayers() as players, GameStore.open(folder / "match.db", writer=True) as store:
        return play_match(plan, store, players)


@pytest.mark.parametrize(
    ("config", "games", "stronger", "weaker"),
    [
        ("square8_2p", 200, "heuristic", "random"),
        ("square8_2p", 200, "alphabeta:depth=2", "heuristic"),
        ("square8_2p", 200, "alphabeta:depth=4", "alphabeta:depth=2"),
        ("square8_2p", 200, "mcts:sims=400,eval=heuristic", "mcts:sims=100,eval=heuristic"),
        ("square8_2p", 200, "gumbel:sims=64,eval=heuristic", "gumbel:sims=16,eval=heuristic"),
        ("hex8_3p", 801, "paranoid:depth=2", "heuristic"),
    ],
)
def test_the_stronger_agent_wins_more_than_its_share(tmp_path, config, games, stronger, weaker):
    result = measured(tmp_path, config, games, stronger, weaker)
    assert result.interval.low > 0.5, result.as_tree()


if __name__ == "__main__":
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        config, games, first, second = sys.argv[1:]
        found = measured(Path(folder), config, int(games), first, second)
        low, high = found.interval.low, found.interval.high
        print(
            f"{config} {first} vs {second}: {found.score:.3f} [{low:.3f}, {high:.3f}] in {found.games}"
        )
