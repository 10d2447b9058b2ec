"""An hour of the quick loop on other boards and more players: it goes on learning (`loop.md` 12)."""

import json
import sys
import time

import pytest
from tests.loop import live

from ringrift.core.paths import Paths
from ringrift.models.decisions import read_chain
from ringrift.rules import parse_config

pytestmark = [pytest.mark.strength, pytest.mark.acceptance]

MINUTES, RANDOM_MINUTES = 62, 20
EARLIER, LATER = 30, 60
BLOCKS = 1000
"""Openings of the match between the two champions: all that no test of the loop uses."""
LIMIT_S = 60 * (MINUTES + 20)


def later_against_earlier(root, config, began_at):
    """Play the champion of minute 60 against that of minute 30 on openings that no test used."""
    chain = read_chain(Paths(root).decisions, config)
    champions = [chain.until(began_at + 60 * minute).champion for minute in (LATER, EARLIER)]
    agents = [f"gumbel@{model}:c_scale=3,scale=0,sims=32" for model in champions]
    assert agents[0] != agents[1], "no promotion in half an hour"
    games = str(BLOCKS * parse_config(config)[1])
    sides = [word for agent in agents for word in ("--agent", agent)]
    match = ["eval", "match", *sides, "--config-key", config, "--games", games]
    code, out, err = live.call(root, "--json", *match, "--seed", "7", small=False, limit_s=LIMIT_S)
    assert code == 0, err
    return json.loads(out)


@pytest.mark.parametrize("config", ["hex8_2p", "square8_3p"])
@pytest.mark.timeout(2 * LIMIT_S)
def test_the_champion_of_an_hour_beats_that_of_half_an_hour(tmp_path, config):
    root = tmp_path / config
    root.mkdir()
    words = ["--profile", "quick", "--no-metrics", "--seed", "1", "--configs", config]
    run = ["--yes", "--json", "loop", "run", *words, "--max-minutes", str(MINUTES)]
    began_at = time.time()
    code, out, err = live.call(root, *run, small=False, limit_s=LIMIT_S)
    assert code == 0, err[-3000:]
    reached = json.loads(out)["milestones"][config]
    assert reached["beats_random"] <= RANDOM_MINUTES, reached
    result = later_against_earlier(root, config, began_at)
    sys.stdout.write(f"{config}: {reached}; {result['elo']} {result['elo_ci95']}\n")
    assert result["elo_ci95"][0] > 0, result
