"""The gate against nets whose strength is known beforehand (`loop.md` 4)."""

import json

import pytest
from tests.loop import live, planted

from ringrift.core.paths import Paths
from ringrift.models.decisions import read_chain

pytestmark = [pytest.mark.strength, pytest.mark.acceptance]

RUNS = 20
GATE = {"RINGRIFT_EVALUATION__SIMULATIONS": "16", "RINGRIFT_PROMOTION__ELO_THRESHOLD": "50"}
"""The gate of the profile `quick`, for commands that know no profiles."""
PLAIN, MORE = 16, 64
"""Simulations of the champion, and four times as many."""
LIMIT_S = 1800


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A root in which the quick loop has made a net that beats the heuristic; its champion."""
    root = tmp_path_factory.mktemp("known") / "root"
    root.mkdir()
    words = ["--profile", "quick", "--no-metrics", "--seed", "1", "--until", "beats_heuristic"]
    run = ["--yes", "loop", "run", *words, "--max-minutes", "20"]
    code, _, err = live.call(root, *run, small=False, limit_s=LIMIT_S)
    assert code == 0, err[-3000:]
    champion = read_chain(Paths(root).decisions, live.CONFIG).champion
    assert champion is not None
    return root, champion


def quick(root, *words):
    """Run a command with the gate of the profile, not with that of small loops."""
    return live.call(root, *words, small=False, limit_s=LIMIT_S, **GATE)


@pytest.mark.timeout(LIMIT_S)
def test_four_times_the_simulations_are_accepted(learned):
    """The same net, bounds and cap of the profile: at least 19 of 20 tests find it stronger."""
    root, champion = learned
    agents = [f"gumbel@{champion}:c_scale=3,scale=0,sims={sims}" for sims in (MORE, PLAIN)]
    test = ["--test", "sprt", "--elo0", "0", "--elo1", "50", "--max-games", "800"]
    verdicts = []
    for seed in range(RUNS):
        words = ["--config-key", live.CONFIG, "--openings", "reserved", "--seed", str(seed)]
        sides = [word for agent in agents for word in ("--agent", agent)]
        code, out, err = quick(root, "--json", "eval", "match", *sides, *test, *words)
        assert code == 0, err
        result = json.loads(out)
        verdicts.append((result["verdict"], result["games"], result["score"]))
    assert sum(verdict == "accept" for verdict, *_ in verdicts) >= RUNS - 1, verdicts


@pytest.mark.timeout(LIMIT_S)
def test_a_weaker_net_is_rejected(learned):
    """Twenty times the champion's weights with other noise, each judged by the whole procedure."""
    root, champion = learned
    for seed in range(RUNS):
        weak = planted.noised(root, champion, games_upto=live.games(root), seed=seed, scale=1.0)
        words = ["--auto-promote", "--candidate", weak, "--config-key", live.CONFIG]
        code, _, err = quick(root, "models", "promote", *words)
        assert code == 0, err  # it was decided
        chain = read_chain(Paths(root).decisions, live.CONFIG)
        (decision,) = [each for each in chain.decisions if each.candidate == weak]
        assert decision.kind == "rejected", decision
        assert chain.champion == champion
