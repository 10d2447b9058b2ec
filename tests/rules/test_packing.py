"""The packed position: whole, of one size, the same for equal positions, and nothing else readable."""

import random

import numpy as np
import pytest

from ringrift.rules import BOARDS, BoardSpec, InvalidPosition, Position
from ringrift.rules import layout as lay
from ringrift.rules.packing import size_of, unpack_batch
from ringrift.rules.position import board_view

SPECS = [BoardSpec.create(board, players) for board in BOARDS for players in (2, 3, 4)]


def walk(spec, seed):
    """Yield the positions of a random game."""
    rng = random.Random(f"{spec.hash} {seed}")
    position = Position.of(spec)
    while not position.is_over and position.ply < 400:
        yield position
        position.play(int(rng.choice(position.legal_packed())))
    yield position


def same(a, b):
    return (
        str(a) == str(b)
        and a.hash64 == b.hash64
        and a.lps == b.lps
        and a.ply == b.ply
        and a.result == b.result
        and a.legal_packed().tolist() == b.legal_packed().tolist()
    )


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.config)
def test_every_position_of_a_game_comes_back_whole(spec):
    size = size_of(board_view(spec))
    for position in walk(spec, 1):
        data = position.packed()
        again = Position.unpack(spec, data)
        assert len(data) == size
        assert same(position, again)
        assert again.packed() == data


@pytest.mark.parametrize("config", [("square8", 2), ("hex8", 3), ("hexagonal", 4)])
def test_a_game_goes_on_from_a_packed_position_as_it_would_have(config):
    spec = BoardSpec.create(*config, swap_rule=config[1] == 2)
    rng = random.Random(7)
    position = Position.of(spec)
    while not position.is_over and position.ply < 300:
        again = Position.unpack(spec, position.packed())
        for _ in range(8):
            if position.is_over:
                break
            move = int(rng.choice(position.legal_packed()))
            position.play(move)
            again.play(move)
        assert same(position, again)


def test_sizes_are_small():
    sizes = {spec.config: int(size_of(board_view(spec))) for spec in SPECS}
    assert sizes["square8_2p"] == 27 + 20 + 32 + 14
    assert sizes["hexagonal_4p"] == 27 + 40 + 235 + 144


def test_rows_are_read_in_one_call():
    spec = BoardSpec.create("square8", 2)
    positions = [position.copy() for position in walk(spec, 3)]
    rows = np.stack([np.frombuffer(p.packed(), np.uint8) for p in positions])
    states = lay.zeros(len(rows), lay.STATE)
    assert unpack_batch(rows, states, board_view(spec)) == -1
    assert [str(Position(spec, states[i : i + 1])) for i in range(len(rows))] == [
        str(p) for p in positions
    ]
    rows[5, 0] = 9
    assert unpack_batch(rows, states, board_view(spec)) == 5


def test_other_bytes_are_refused():
    spec = BoardSpec.create("square8", 2)
    data = list(walk(spec, 3))[-1].packed()
    for bad in (b"", data[:-1], data + b"\0"):
        with pytest.raises(InvalidPosition, match="bytes; expected 93"):
            Position.unpack(spec, bad)
    for at, value, field in ((0, 2, "format"), (1, 8, "turn"), (2, 3, "turn"), (50, 255, "cells")):
        changed = bytearray(data)
        changed[at] = value
        with pytest.raises(InvalidPosition, match=f"field {field}"):
            Position.unpack(spec, bytes(changed))


def test_random_bytes_never_break_the_reader():
    spec = BoardSpec.create("square8", 3)
    good = [position.packed() for position in walk(spec, 5)]
    rng = random.Random(11)
    read = 0
    for _ in range(20_000):
        data = bytearray(rng.choice(good))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            position = Position.unpack(spec, bytes(data))
        except InvalidPosition:
            continue
        read += 1
        assert len(position.packed()) == len(data)
        assert sum(len(rings) for rings in position.stacks.values()) <= 3 * 18
    assert read > 1_000


def test_more_rings_than_there_are_cannot_be_packed():
    spec = BoardSpec.create("square8", 2)
    fields = str(Position.of(spec)).split(";")
    fields = [f"S=0,0:{'1' * 40}" if field == "S=" else field for field in fields]
    with pytest.raises(InvalidPosition, match="more rings than the 18"):
        Position.parse(";".join(fields), spec=spec).packed()
