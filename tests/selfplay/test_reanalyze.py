"""Search games again: which plies, the same answers in any grouping, records that agree."""

from collections import Counter
from dataclasses import replace

import pytest

from ringrift.core.errors import UsageError
from ringrift.records.analysis import Analysis
from ringrift.records.ply_analysis import PlyAnalysis
from ringrift.records.verify import verify
from ringrift.rules import BoardSpec
from ringrift.selfplay.generator import play_here, selfplay_plans
from ringrift.selfplay.plans import PlayJob
from ringrift.selfplay.reanalyze import (
    ReanalyzeJob,
    choice_states,
    reanalyze,
    sampled,
    search_games,
)

JOB = ReanalyzeJob(agent="mcts:eval=heuristic,sims=12", every=7)


@pytest.fixture(scope="module")
def games():
    spec = BoardSpec.create("square8", 3)
    job = PlayJob(spec=spec, agents=("random",), max_plies=60)
    return [game[0] for game in play_here(job, selfplay_plans(spec, range(9), 5), games=9)]


@pytest.mark.slow
def test_every_seventh_choice_is_searched_and_the_record_agrees(games):
    found = search_games([(game, ()) for game in games[:4]], JOB)
    for game, analysis in zip(games, found, strict=False):
        verify(game, analysis)
        assert [p.ply for p in analysis.plies] == sampled(game, choice_states(game), (), JOB)
        assert {p.kind for p in analysis.plies} == {"reanalysis"}
        assert all(p.sims == 12 for p in analysis.plies)
        assert JOB.is_done([analysis], analysis.agent)
        assert not replace(JOB, every=6).is_done([analysis], analysis.agent)
        assert not JOB.is_done([analysis], "0" * 64)


@pytest.mark.slow
def test_the_result_follows_from_the_game_alone(games):
    items = [(game, ()) for game in games]
    alone = [search_games([item], JOB)[0] for item in items]
    together = search_games(items, JOB)
    assert [a.id for a in alone] == [a.id for a in together]
    two = list(reanalyze(items, lambda _spec: JOB, workers=2))
    assert [(game.id, a.id) for game, a in two] == [(a.game, a.id) for a in alone]


def test_surprise_draws_as_many_plies_and_prefers_what_surprised(games):
    game = games[0]
    job = replace(JOB, every=4, priority="surprise")
    choices = list(choice_states(game))
    assert sampled(game, choices, (), replace(JOB, every=1)) == choices
    loud = choices[2 : len(choices) : 9]
    plies = tuple(
        PlyAnalysis(
            ply=ply,
            kind="full",
            sims=1,
            value=(0.0,) * 3,
            root_value=(0.0,) * 3,
            policy={game.moves[ply]: 65535},
            prior_kl=4.0,
        )
        for ply in loud
    )
    analysis = Analysis(game=game.id, agent="0" * 64, plies=plies)
    drawn = Counter()
    for seed in range(200):
        chosen = sampled(replace(game, seed=seed), choices, [analysis], job)
        assert chosen == sorted(set(chosen))
        assert len(chosen) == len(choices) // 4
        drawn.update(chosen)
    quiet = [drawn[ply] for ply in choices if ply not in loud]
    assert min(drawn[ply] for ply in loud) > 1.5 * max(quiet)
    evenly = sampled(game, choices, (), job)
    assert len(evenly) == len(choices) // 4


def test_an_agent_without_a_policy_is_refused(games):
    with pytest.raises(UsageError, match="gives no policy"):
        search_games([(games[0], ())], replace(JOB, agent="random"))


def test_every_zeroth_choice_is_refused():
    with pytest.raises(UsageError, match="every is 0"):
        ReanalyzeJob(agent="mcts", every=0)
