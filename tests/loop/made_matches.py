"""Matches whose results are given by rates: simulated, or as real games of a store."""

import hashlib
import random

from ringrift.core.settings import Settings
from ringrift.evaluation.results import PlayedGame
from ringrift.loop.tallies import Tallies
from ringrift.records import GameMeta, build_record
from ringrift.rules import Position

CONFIG = "square8_2p"
START = 1_760_000_000.0


def settings(**sections):
    """The default settings with some values changed, by section."""
    found = Settings()
    changed = {
        name: getattr(found, name).model_copy(update=values) for name, values in sections.items()
    }
    return found.model_copy(update=changed)


class Simulated(Tallies):
    """Tallies of games that nobody played; `rates` gives the first agent's wins by the opponent.

    `until` bounds the games of each match by the second's name. Names are models or fixed agents.
    """

    def __init__(self, store, rates, *, until=None, seed=0):
        super().__init__(store)
        self.rates = rates
        self.until = until or {}
        self.seed = seed

    def of(self, plan):
        found = super().of(plan)
        names = tuple(agent.model_id or agent.spec for agent in plan.participants)
        rate = self.rates.get(names)
        if rate is None:
            return found
        if found.tally is None:
            return found
        for index in range(min(plan.games, self.until.get(names, plan.games))):
            if index not in found.tally.games:
                found.ended = START + index
                if found.tally.add(simulated_game(plan, index, rate, self.seed)):
                    break
        found.result = found.tally.result()
        if found.tally.complete:
            found.tally = None
        return found


def simulated_game(plan, index, rate, seed=0):
    own = plan.game(index).seats.index(0)
    won = random.Random(f"{seed} {plan.hash} {index}").random() < rate
    return PlayedGame(
        index=index,
        winner=own if won else (own + 1) % plan.players,
        capped=False,
        reason="last_player_standing",
        plies=50,
        moves=hashlib.sha256(f"{seed} {plan.hash} {index}".encode()).digest()[:16],
    )


def store_games(store, plan, rate, *, games=None, seed=0, started=START):
    """Store real games of a plan, each a minute after the one before: random moves, chosen winners."""
    store.plans.add(plan.text, config=plan.spec.config, purpose=plan.purpose)
    wanted = range(plan.games) if games is None else games
    report = store.ingest(
        [(played(plan, index, rate, seed=seed, started=started), None) for index in wanted]
    )
    assert report.quarantined == 0


def played(plan, index, rate, *, seed=0, started=START):
    """A real game of random moves that the first agent wins with a rate."""
    game = plan.game(index)
    won = random.Random(f"{seed} {plan.hash} {index}").random() < rate
    for turn in range(1000):
        rng = random.Random(f"{seed} {plan.hash} {index} {turn}")
        position, moves = Position.of(plan.spec), []
        while not position.is_over:
            legal = position.legal_packed().tolist()
            move = game.opening[len(moves)] if len(moves) < len(game.opening) else rng.choice(legal)
            moves.append(int(move))
            position.play(moves[-1])
        record = build_record(
            plan.spec,
            game.seed,
            game.agents,
            moves,
            meta=GameMeta(
                purpose="match", run=plan.hash, index=index, started=started + 60 * index, ms=1000
            ),
        )
        if (PlayedGame.of(record).winner == game.seats.index(0)) == won:
            return record
    raise AssertionError("no such game")
