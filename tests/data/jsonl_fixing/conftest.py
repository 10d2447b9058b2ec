"""Files of self-play JSON lines with sound, wrong and broken lines, old enough to be touched."""

import json
import os
import random
from functools import lru_cache

import pytest

from ringrift.records import AgentRef, GameMeta, build_record
from ringrift.records.foreign.line_writers import gamerecord_line, selfplay_line
from ringrift.records.record import default_max_plies
from ringrift.rules import BoardSpec, Position

LONG_AGO_S = 1_600_000_000
STRAY = 7


@lru_cache(maxsize=64)
def make_game(board="square8", players=2, seed=0, limit=None, **end):
    """Play a random game, to its end or to `limit` plies."""
    spec = BoardSpec.create(board, players)
    rng, position, moves = random.Random(f"{board} {players} {seed}"), Position.of(spec), []
    while not position.is_over and len(moves) < (limit or default_max_plies(spec)):
        moves.append(int(rng.choice(position.legal_packed().tolist())))
        position.play(moves[-1])
    return build_record(
        spec,
        seed,
        [AgentRef(spec="random", agent_hash="0" * 64)] * players,
        moves,
        meta=GameMeta(purpose="selfplay", run="test", index=seed, started=1.7e9),
        max_plies=None if end else limit,
        **end,
    )


def fields_of(record, form="selfplay-jsonl", **changes):
    """Return a game as the object of a line, with some fields changed; `...` takes one away."""
    write = selfplay_line if form == "selfplay-jsonl" else gamerecord_line
    fields = {**json.loads(write(record, None)), **changes}
    return {name: value for name, value in fields.items() if value is not ...}


def dumped(fields):
    return json.dumps(fields) if isinstance(fields, dict) else fields


def settle(path):
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    return path


@pytest.fixture
def write(tmp_path):
    """Write objects and texts as the lines of a file that nobody has touched for long."""

    def write(*lines, name="games.jsonl"):
        path = tmp_path / name
        path.write_text("".join(dumped(line) + "\n" for line in lines))
        return settle(path)

    return write


@pytest.fixture
def game():
    return make_game


@pytest.fixture
def fields():
    return fields_of


@pytest.fixture
def seven_broken(fields, game):
    """One line of each reason, and a second that is malformed."""
    sound = fields(game(seed=2))
    cut = game(seed=3, limit=40)
    torn = dumped(sound)[:200]
    stray = json.loads(json.dumps(sound))
    placement = next(move for move in stray["moves"][STRAY:] if move["type"] == "place_ring")
    placement["to"] = {"x": 7, "y": 77}
    return {
        "malformed": [torn, stray],
        "timeout": [fields(cut)],
        "unknown_board": [fields(game(seed=4), board_type="octagon")],
        "no_winner": [
            fields(cut, winner=..., victory_type=..., termination_reason=..., status=...)
        ],
        "zero_moves": [fields(game(seed=5), moves=[], move_count=0)],
        "error_status": [fields(game(seed=6), status="error")],
    }
