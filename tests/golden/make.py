"""Write the golden files from the engine as it is; run by hand when play is meant to change.

    python tests/golden/make.py

`perft.json`: move sequences per depth. `playouts.json`: winner, reason, plies and hash of random
games. `games.jsonl`: whole games of every configuration as move texts with the final state.
"""

import json
import random
from pathlib import Path

from ringrift.rules import BOARDS, RULES_VERSION, BoardSpec, Position
from ringrift.rules.cpu import random_playouts
from ringrift.rules.perft import perft

HERE = Path(__file__).parent
CONFIGS = [(board, players) for board in BOARDS for players in (2, 3, 4)]
PERFT_DEPTH = {"square8": 6, "hex8": 6, "square19": 5, "hexagonal": 5}
PERFT_MIDDLE_PLY = 60
PLAYOUTS = 8


def middle(spec, plies=PERFT_MIDDLE_PLY):
    """Return the position after random plies of a fixed seed."""
    rng = random.Random(spec.config)
    position = Position.of(spec)
    for _ in range(plies):
        position.play(rng.choice(position.legal_packed().tolist()))
    return position


def perft_counts(spec):
    """Return counts from the start, and from a position in mid-game."""
    middle_depth = 3 if spec.cells < 100 else 2
    return {
        "start": [perft(Position.of(spec), d) for d in range(PERFT_DEPTH[spec.board])],
        "middle": [perft(middle(spec), d) for d in range(middle_depth + 1)],
    }


def playout_rows(spec):
    """Return one row per random game."""
    played = random_playouts(spec, PLAYOUTS, seed=2026)
    columns = (played.winner, played.reason, played.plies, played.hash)
    return [[int(v) for v in row] for row in zip(*columns, strict=True)]


def whole_game(spec):
    """Return one game as texts, drawn by kind of move first so that rare kinds come up."""
    rng = random.Random(f"golden {spec.config}")
    position = Position.of(spec)
    moves = []
    while not position.is_over:
        by_kind = {}
        for move in position.legal_moves():
            by_kind.setdefault(move.text.split(" ")[0], []).append(move.text)
        text = rng.choice(by_kind[rng.choice(sorted(by_kind))])
        moves.append(text)
        position.play(text)
    result = position.result
    return {
        "config": spec.config,
        "rules_version": RULES_VERSION,
        "rings_per_player": spec.rings_per_player,
        "moves": ";".join(moves),
        "final": str(position),
        "reason": result.reason,
        "ranking": list(result.ranking),
        "lps": position.lps,
        "hash64": position.hash64,
    }


def games():
    """Return a game of every configuration with few rings, and of the small boards with all."""
    for board, players in CONFIGS:
        small = board in ("square8", "hex8")
        for rings in (5 if small else 8, None) if small else (8,):
            yield whole_game(BoardSpec.create(board, players, rings_per_player=rings))


def main():
    """Write all golden files."""
    specs = [BoardSpec.create(board, players) for board, players in CONFIGS]
    counts = {spec.config: perft_counts(spec) for spec in specs}
    rows = {spec.config: playout_rows(spec) for spec in specs}
    (HERE / "perft.json").write_text(json.dumps(counts, indent=1) + "\n")
    (HERE / "playouts.json").write_text(json.dumps(rows, indent=1) + "\n")
    (HERE / "games.jsonl").write_text("".join(json.dumps(g) + "\n" for g in games()))


if __name__ == "__main__":
    main()
