"""A second fit of ratings for tests: loops over games, plain gradient ascent, no Hessian."""

import math
from itertools import pairwise, permutations

import numpy as np


def log_likelihood_and_slope(theta, gamma, games, draws, weight, places="full"):
    """Value and gradient by (theta, gamma); games are (agents of the seats, ranks)."""
    value, by_agent, by_seat = 0.0, np.zeros_like(theta), np.zeros_like(gamma)
    for agents, ranks in games:
        players = len(agents)
        eta = [theta[agent] + gamma[seat] for seat, agent in enumerate(agents)]
        orders = [
            order
            for order in permutations(range(players))
            if all(ranks[a] <= ranks[b] for a, b in pairwise(order))
        ]
        for order in orders:
            for stage in range(1 if places == "winner" else players - 1):
                left = order[stage:]
                total = sum(math.exp(eta[seat]) for seat in left)
                value += (eta[left[0]] - math.log(total)) / len(orders)
                for seat in left:
                    change = ((seat == left[0]) - math.exp(eta[seat]) / total) / len(orders)
                    by_agent[agents[seat]] += change
                    by_seat[seat] += change
    for one, other in draws:
        share = 1.0 / (1.0 + math.exp(theta[other] - theta[one]))
        value += weight * (0.5 * math.log(share) + 0.5 * math.log(1.0 - share))
        by_agent[one] += weight * (0.5 - share)
        by_agent[other] -= weight * (0.5 - share)
    return value, by_agent, by_seat


def plain_fit(games, agents, players, *, anchor=0, draws=(), weight=1.0, places="full", steps=4000):
    """Maximise by accelerated gradient ascent with backtracking; returns (theta, gamma)."""
    theta, gamma = np.zeros(agents), np.zeros(players)
    looked = (theta, gamma)
    rate, momentum, before = 0.05, 1.0, -math.inf
    for _ in range(steps):
        value, by_agent, by_seat = log_likelihood_and_slope(*looked, games, draws, weight, places)
        by_agent[anchor] = 0.0
        by_seat -= by_seat.mean()  # the seats' effects sum to 0
        square = float(by_agent @ by_agent + by_seat @ by_seat)
        if math.sqrt(square) < 1e-9:
            break
        while True:
            moved = (looked[0] + rate * by_agent, looked[1] + rate * by_seat)
            new, *_ = log_likelihood_and_slope(*moved, games, draws, weight, places)
            if new >= value + 0.5 * rate * square - 1e-12 * abs(value):
                break
            rate /= 2.0
        if new < before:  # momentum carried too far: start again from here
            momentum, looked, before = 1.0, (theta, gamma), -math.inf
            continue
        after = (1.0 + math.sqrt(1.0 + 4.0 * momentum * momentum)) / 2.0
        pull = (momentum - 1.0) / after
        looked = (moved[0] + pull * (moved[0] - theta), moved[1] + pull * (moved[1] - gamma))
        theta, gamma = moved
        momentum, before = after, new
    return theta, gamma
