"""Results of matches that nobody played: who wins each game is given by a function."""

import hashlib
import random

from ringrift.evaluation.results import PlayedGame
from ringrift.evaluation.tally import Tally


def by_rates(rates, seed=0):
    """Return who plays: the first participant wins with the rate against the second's spec."""

    def play(wanted):
        return [result_of(each.plan, rates, seed, title=each.title) for each in wanted]

    return play


def result_of(plan, rates, seed=0, *, title="match", games=None):
    """Return the result of a plan's first `games` games; `rates` maps opponents to win rates."""
    tally = Tally(plan)
    rate = rate_of(rates, plan.participants[1].spec)
    for index in range(plan.games if games is None else games):
        game = plan.game(index)
        own = game.seats.index(0)
        rng = random.Random(f"{seed} {plan.hash} {index}")
        winner = own if rng.random() < rate else (own + 1) % plan.players
        moves = hashlib.sha256(f"{plan.hash} {index}".encode()).digest()[:16]
        tally.add(
            PlayedGame(
                index=index,
                winner=winner,
                capped=False,
                reason="last_player_standing",
                plies=50,
                moves=moves,
            )
        )
        if tally.complete:
            break
    return tally.result(title)


def rate_of(rates, spec):
    """The rate against an opponent by the first word of its spec."""
    return rates[spec.partition(":")[0]]
