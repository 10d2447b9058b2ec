"""Play fixed games and print one line per ply; run compiled and with `NUMBA_DISABLE_JIT=1`, both must agree.

    NUMBA_DISABLE_JIT=1 python plain_games.py

A line holds the game, the ply, the fingerprint, the size and hash of the legal set, hash64 and the counters.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path

if __package__:
    from .playouts import KINDS, Game, plies, random_options, random_text
    from .positions import CONFIGURATIONS, RINGS
else:  # run as a script: the folder above `tests` makes this a package
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.rules.playouts import KINDS, Game, plies, random_options, random_text
    from tests.rules.positions import CONFIGURATIONS, RINGS


def games() -> Iterator[tuple[Game, int]]:
    """One game from the start and one from a random position for each configuration, with its length."""
    rng = random.Random(31)
    for number, (board, players) in enumerate(CONFIGURATIONS):
        small = board.endswith("8")
        options = random_options(board, players, rng) | {"rings_per_player": 4}
        yield Game(board=board, players=players, options=options), 300 if small else 80
        kind = KINDS[number % len(KINDS)]
        text = random_text(board, players, kind, rng)
        options = {"rings_per_player": RINGS[board]}
        yield Game(board=board, players=players, options=options, text=text), 80 if small else 25


def lines() -> Iterator[str]:
    for number, (game, limit) in enumerate(games()):
        for ply, (pos, text) in enumerate(plies(game, number, limit)):
            moves = sorted(f"{move} {move.packed}" for move in pos.legal_moves())
            digest = hashlib.sha256(";".join(moves).encode()).hexdigest()[:16]
            facts = (
                pos.fingerprint,
                len(moves),
                digest,
                f"{pos.hash64:016x}",
                pos.lps,
                pos.last_border,
                text,
            )
            yield f"{number} {game.board} {game.players} {ply} {' '.join(map(str, facts))}"


if __name__ == "__main__":
    for line in lines():
        print(line)
