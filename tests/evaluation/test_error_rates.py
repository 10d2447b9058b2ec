"""Error rates and lengths of tests: simulated, and as the power of their plans states them."""

import numpy as np
import pytest
from scipy.stats import binom

from ringrift.evaluation.elo import elo_from_score, score_from_elo
from ringrift.evaluation.gate import estimate
from ringrift.evaluation.group_sequential import WilsonTest
from ringrift.evaluation.intervals import ConfidenceSequence
from ringrift.evaluation.power import block_distribution, sprt_chances
from ringrift.evaluation.sprt import SequentialTest, judge

from .simulation import block_wins, judged

QUICK = SequentialTest(elo0=0, elo1=50, min_games=40, max_games=400)
FULL = SequentialTest(elo0=0, elo1=20, min_games=40, max_games=800)


def simulated(test, elo, players, runs, seed):
    rng = np.random.default_rng((seed, players, round(elo)))
    verdicts, games = judged(
        test, block_wins(rng, elo, players, runs, -(-test.max_games // players)), players
    )
    return (verdicts == 1).mean(), (verdicts == -1).mean(), games


@pytest.mark.parametrize("players", [2, 3, 4])
def test_simulated_verdicts_are_those_of_the_test_itself(players):
    rng = np.random.default_rng(players)
    wins = block_wins(rng, 60, players, 12, 120 // players)
    test = SequentialTest(elo0=0, elo1=50, min_games=12, max_games=120)
    verdicts, games = judged(test, wins, players)
    for row, verdict, length in zip(wins, verdicts, games, strict=True):
        standing = judge(test, [w / players for w in row.tolist()], players)
        wanted = {"accept": 1, "reject": -1, "inconclusive": 0}[standing.verdict]
        assert (verdict, length) == (wanted, standing.games)


@pytest.mark.parametrize("players", [2, 3, 4])
def test_power_is_stated_for_the_blocks_that_are_simulated(players):
    wins = block_wins(np.random.default_rng(1), 70, players, 1, 200_000)[0]
    stated = block_distribution(70.0, players)
    for score, chance in stated.items():
        seen = (wins == float(score) * players).mean()
        assert seen == pytest.approx(chance, abs=5 * (0.25 / len(wins)) ** 0.5)
    mean = sum(float(score) * chance for score, chance in block_distribution(0.0, players).items())
    assert mean == pytest.approx(1 / players, abs=1e-6)


def test_power_of_a_test_is_what_the_documentation_says():
    endless = SequentialTest(elo0=0, elo1=20, max_games=20_000)
    wide = SequentialTest(elo0=0, elo1=50, max_games=10_000)
    games = {elo: sprt_chances(endless, elo).mean_games for elo in (0.0, 10.0, 20.0, 100.0)}
    assert 1500 < games[0.0] < 1700
    assert 1500 < games[20.0] < 1750
    assert 2450 < games[10.0] < 2700
    assert 200 < games[100.0] < 280
    assert 240 < sprt_chances(wide, 0.0).mean_games < 280
    assert 100 < sprt_chances(wide, 100.0).mean_games < 130
    assert sprt_chances(QUICK, 0.0).accept <= 0.05
    capped = sprt_chances(QUICK, 25.0)
    assert capped.accept + capped.reject + capped.inconclusive == pytest.approx(1)
    assert capped.games_90 == 400


@pytest.mark.slow
@pytest.mark.parametrize("players", [2, 4])
def test_error_rates_and_length_hold(players):
    accept, _, _ = simulated(QUICK, 0, players, 400, 7)
    assert accept <= binom.ppf(0.995, 400, 0.05) / 400
    accept, _, games = simulated(QUICK, 100, players, 400, 7)
    assert accept >= 0.97
    assert games.mean() <= 145


@pytest.mark.acceptance
@pytest.mark.parametrize("players", [2, 3, 4])
@pytest.mark.parametrize("test", [QUICK, FULL], ids=["0-50", "0-20"])
def test_error_rates_of_2000_runs_are_those_that_the_plan_states(players, test):
    runs = 2000
    for elo in (0, 50, 100):
        accept, reject, games = simulated(test, elo, players, runs, 11)
        stated = sprt_chances(test, float(elo), players)
        print(
            f"\nH1 {test.elo1:g}, {players} players, {elo:+d} Elo: accept {accept:.4f} "
            f"(stated {stated.accept:.4f}), reject {reject:.4f} ({stated.reject:.4f}), "
            f"games {games.mean():.1f} ({stated.mean_games:.1f}), "
            f"90 % {np.quantile(games, 0.9):.0f} ({stated.games_90})",
            end="",
        )
        error = 2.58 * max(stated.accept * (1 - stated.accept), 0.001) ** 0.5 / runs**0.5
        # What the plan approximates costs 0.02 at most; see the module `power`.
        assert abs(accept - stated.accept) <= error + 0.02
        assert games.mean() == pytest.approx(stated.mean_games, rel=0.05)
        if elo == 0:
            assert accept <= 0.07
            assert accept <= binom.ppf(0.99, runs, 0.05) / runs
        if elo == 100:
            assert accept >= 0.98
            if test is QUICK:
                assert games.mean() <= 145


@pytest.mark.acceptance
@pytest.mark.parametrize("players", [2, 3, 4])
def test_many_candidates_are_promoted_as_the_plan_states(players):
    candidates = 1000
    false, _, none = simulated(QUICK, 0, players, candidates, 23)
    clear, _, short = simulated(QUICK, 100, players, candidates, 23)
    accept, _, games = simulated(QUICK, 50, players, candidates, 23)
    stated = sprt_chances(QUICK, 50.0, players)
    print(
        f"\n{players} players: {false:.3f} of candidates at 0 Elo, {accept:.3f} at +50 (stated "
        f"{stated.accept:.3f}), {clear:.3f} at +100 are promoted after {none.mean():.0f}, "
        f"{games.mean():.0f}, {short.mean():.0f} games (stated "
        f"{', '.join(f'{sprt_chances(QUICK, e, players).mean_games:.0f}' for e in (0.0, 50.0, 100.0))})",
        end="",
    )
    assert false * candidates <= binom.ppf(0.99, candidates, QUICK.alpha)
    assert clear >= 0.98
    power = stated.accept - 0.02
    assert accept * candidates >= binom.ppf(0.01, candidates, power)


def gated(share, players, runs, seed, threshold=0.55):
    """Decisions and games of simulated gates with independent games."""
    rng = np.random.default_rng((seed, players, round(1000 * share)))
    test = WilsonTest(threshold=threshold)
    blocks = test.looks(players)[-1] // players
    decisions, games = [], []
    for row in rng.binomial(players, share, (runs, blocks)):
        running = test.start(players)
        for wins in row.tolist():
            if running.add(wins / players).verdict is not None:
                break
        decisions.append(running.standing.verdict)
        games.append(running.standing.games)
    return decisions, np.array(games)


@pytest.mark.slow
def test_400_simulated_gates_are_as_their_table_says():
    rows = {row.rate: row.chances for row in estimate(WilsonTest(), 2, 0.6)}
    for rate, least, most in ((0.70, 0.95, 1.0), (0.50, 0.0, 0.0099), (0.55, 0.0, 0.04)):
        decisions, games = gated(rate, 2, 400, 5)
        promoted = decisions.count("accept") / 400
        assert least <= promoted <= most
        stated = rows[rate]
        # Blocks that happen to vary more than games do only widen the interval.
        error = 2.58 * max(stated.accept * (1 - stated.accept), 1e-3) ** 0.5 / 20
        assert abs(promoted - stated.accept) <= error + 0.01
        assert games.mean() == pytest.approx(stated.mean_games, abs=2.58 * games.std() / 20 + 4)


@pytest.mark.acceptance
@pytest.mark.parametrize("players", [2, 3, 4])
def test_the_confidence_sequence_covers_at_every_time_up_to_1000(players):
    mean = score_from_elo(60, players)
    rng = np.random.default_rng(players)
    runs, missed = 300, np.zeros(1000)
    for row in rng.binomial(players, mean, (runs, 1000)):
        running = ConfidenceSequence()
        for t, wins in enumerate(row.tolist()):
            running.add(wins / players)
            missed[t] += mean not in running.interval
    print(f"\n{players} players: worst coverage {1 - missed.max() / runs:.4f}", end="")
    assert missed.max() / runs <= 0.05
    assert elo_from_score(mean, players) == pytest.approx(60)
