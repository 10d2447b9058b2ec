"""Many simulated matches at once, to measure error rates of tests.

Openings favour seats: the log-odds between two seats of an opening vary with a spread of 0.5. The
log-likelihood ratios are those of the formulas, by bisection for all runs together.
"""

import math

import numpy as np

from ringrift.evaluation.elo import score_from_elo
from ringrift.evaluation.sprt import EMPTY_CELL

OPENING_SD = 0.5
HALVINGS = 50


def block_wins(rng, elo, players, runs, blocks):
    """Wins of the measured agent in blocks of one game from each seat: int[runs, blocks]."""
    seats = np.exp(rng.normal(0, OPENING_SD / math.sqrt(2), (runs, blocks, players)))
    strength = 10 ** (elo / 400)
    share = strength * seats / (seats.sum(axis=2, keepdims=True) + (strength - 1) * seats)
    return (rng.random(share.shape) < share).sum(axis=2)


def block_cells(wins, players):
    """Places on the grid of block scores: pairs have five cells, of which wins alone take three."""
    return wins * 2 if players == 2 else wins


def projected(shares, values, mean):
    """The shares under a hypothesis on the mean, for all runs: float[runs, cells]."""
    distances = values - mean
    low = np.full((len(shares), 1), -1 / distances.max())
    high = np.full((len(shares), 1), -1 / distances.min())
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = (shares * distances / (1 + middle * distances)).sum(axis=1, keepdims=True) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return shares / (1 + middle * distances)


def ratios(counts, test, players):
    """The log-likelihood ratio of each run: float[runs] of int[runs, cells]."""
    values = np.linspace(0, 1, counts.shape[1])
    weights = np.where(counts > 0, counts, EMPTY_CELL)
    shares = weights / weights.sum(axis=1, keepdims=True)
    null, alternative = (
        projected(shares, values, score_from_elo(elo, players)) for elo in (test.elo0, test.elo1)
    )
    return (weights * np.log(alternative / null)).sum(axis=1)


def judged(test, wins, players):
    """Verdict (1 accept, -1 reject, 0 neither) and games of each run of int[runs, blocks]."""
    runs, blocks = wins.shape
    cells = block_cells(wins, players)
    counts = np.zeros((runs, 5 if players == 2 else players + 1))
    verdicts, games = np.zeros(runs, int), np.full(runs, blocks * players)
    alive = np.arange(runs)
    low, high = test.bounds
    for block in range(blocks):
        counts[alive, cells[alive, block]] += 1
        if (block + 1) * players < test.min_games:
            continue
        found = ratios(counts[alive], test, players)
        verdicts[alive] = np.where(found >= high, 1, np.where(found <= low, -1, 0))
        ended = verdicts[alive] != 0
        games[alive[ended]] = (block + 1) * players
        alive = alive[~ended]
        if not len(alive):
            break
    return verdicts, games
