"""Play random games on our engine and on the slow oracle side by side; report the first difference.

Run as a script by the acceptance test, one process per core:

    python differential.py --seed 1 --plies 50000

prints a progress line every few seconds and exits 1 at a difference.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ORACLE = Path(__file__).resolve().parents[3] / "shared" / "oracle"

if __package__:
    from .playouts import Game, plies, random_games
else:  # run as a script: the folder above `tests` makes this a package
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.rules.playouts import Game, plies, random_games


class Difference(AssertionError):
    """Engine and oracle disagree; the message says where and about what."""


def oracle_game(game: Game) -> Any:
    """Start the same game on the oracle."""
    if str(ORACLE) not in sys.path:
        sys.path.insert(0, str(ORACLE))
    from slow_engine import Game as Oracle

    if game.text is None:
        return Oracle.start(game.board, game.players, **game.options)
    return Oracle.parse(game.text, game.board, game.players, **game.options)


def compare_states(ours: Any, oracle: Any, where: str) -> None:
    """Compare everything both sides can say about one position."""
    facts = {
        "state": (str(ours), str(oracle)),
        "counters": (ours.lps, oracle.lps),
        "border": (ours.last_border, oracle.border),
        "over": (ours.is_over, oracle.over),
        "winner": (ours.winner or None, oracle.winner or None),
        "reason": (ours.result.reason if ours.result else None, oracle.reason or None),
    }
    for name, (got, wanted) in facts.items():
        if got != wanted:
            raise Difference(f"{name}: oracle {wanted!r}, engine {got!r} {where}")


def compare_legal(ours: Any, oracle: Any, where: str) -> None:
    """Compare the complete legal sets."""
    got = sorted(str(move) for move in ours.legal_moves())
    wanted = sorted(oracle.legal())
    if got != wanted:
        missing, extra = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
        raise Difference(f"legal set: missing {missing[:5]}, extra {extra[:5]} {where}")


def compare_game(game: Game, seed: int, limit: int, kinds: Counter[str] | None = None) -> int:
    """Compare at every ply; return the number of plies played."""
    oracle = oracle_game(game)
    played: list[str] = []
    last = None
    for pos, text in plies(game, seed, limit):
        where = f"in {pos} ({game}, after {'; '.join(played)})"
        compare_states(pos, oracle, where)
        compare_legal(pos, oracle, where)
        oracle.play(text)
        played.append(text)
        last = (pos, text)
        if kinds is not None:
            kinds[text.split()[0]] += 1
    if last is not None:  # `plies` plays in place: the yielded position has moved on
        compare_states(last[0], oracle, f"after {'; '.join(played)} of {game}")
    return len(played)


def run(seed: int, total: int, every_s: float = 5.0) -> Counter[str]:
    """Compare so many plies of random games of all configurations; print progress."""
    done = 0
    kinds: Counter[str] = Counter()
    said = started = time.monotonic()
    for number, game in enumerate(random_games(seed)):
        small = game.board.endswith("8")
        done += compare_game(
            game, seed * 1_000_003 + number, min(400 if small else 150, total - done), kinds
        )
        now = time.monotonic()
        if now - said > every_s or done >= total:
            print(
                f"seed {seed}: {done} of {total} plies, {number + 1} games, {now - started:.0f} s",
                flush=True,
            )
            said = now
        if done >= total:
            return kinds
    raise AssertionError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plies", type=int, default=50_000)
    arguments = parser.parse_args()
    try:
        kinds = run(arguments.seed, arguments.plies)
    except Difference as difference:
        print(f"DIFFERENCE {difference}", flush=True)
        return 1
    print(" ".join(f"{kind}={count}" for kind, count in sorted(kinds.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
