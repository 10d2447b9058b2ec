"""Samples of a NNUE: inputs of every seat, targets and rows of legal moves, and their images."""

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from ringrift.core.errors import RefusedError
from ringrift.nets.nnue import reference
from ringrift.nets.nnue.rows import policy_rows
from ringrift.rules import BOARDS, BoardSpec, Position
from ringrift.rules import moves as mv
from ringrift.training.samples.nnue import NnueFeed, prepare_samples, sample_bytes
from ringrift.training.samples.symmetry import symmetries

from ..nnue.positions import CONFIGS, positions, rows_of
from ..nnue.tables import first, table_for, table_from
from .test_symmetry import image_text, images, sampled


def inputs_of(batch, at, players):
    """The inputs of each seat of one sample, sorted."""
    bounds = batch.input_ptr.tolist()[at * players : (at + 1) * players + 1]
    return [sorted(batch.inputs[a:b].tolist()) for a, b in pairwise(bounds)]


def moves_of(batch, at, rows):
    """The rows of each legal move of one sample, sorted, with its target."""
    most = batch.legal.shape[1]
    bounds = batch.entry_ptr.tolist()[at * most : (at + 1) * most + 1]
    found = []
    for j in range(int(batch.legal[at].sum())):
        entries = batch.entries[bounds[j] : bounds[j + 1]].tolist()
        found.append((sorted(e - at * rows for e in entries), float(batch.target[at, j])))
    return found


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_samples_are_what_the_reference_lists(board, players):
    spec = BoardSpec.create(board, players)
    chosen = positions(spec, 20)
    table = table_from(chosen)
    samples = prepare_samples(table, policy=True)
    batch = samples.batch(np.arange(20)[::-1].copy(), np.zeros(20, int))
    rows = len(policy_rows(board).names)
    for at, position in enumerate(chosen[::-1]):
        i = 19 - at
        seats = [(position.current_player - 1 + r) % players + 1 for r in range(players)]
        expected = [reference.active_inputs(position._states[0], spec, seat) for seat in seats]
        assert inputs_of(batch, at, players) == expected
        here = slice(table.policy_ptr[i], table.policy_ptr[i + 1])
        told = zip(rows_of(position), table.policy_probs[here].tolist(), strict=True)
        assert moves_of(batch, at, rows) == [(sorted(r), p) for r, p in told]
    assert batch.win.tolist() == table.win[::-1].tolist()


@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 3), ("hexagonal", 2)])
def test_targets_of_a_dataset_lie_on_the_legal_set(board, players):
    table = first(table_for(board, players, 2, 60), 40)
    batch = next(NnueFeed(table, policy=True, mirrored=False).in_order(40))
    for i, row in enumerate(table.states):
        legal = Position.unpack(table.spec, row.tobytes()).legal_packed().tolist()
        here = slice(table.policy_ptr[i], table.policy_ptr[i + 1])
        told = dict(zip(table.policy_moves[here].tolist(), table.policy_probs[here], strict=True))
        assert batch.target[i, : len(legal)].tolist() == [told.get(m, 0.0) for m in legal]
        assert int(batch.legal[i].sum()) == len(legal)


@pytest.mark.slow
@pytest.mark.parametrize("board", BOARDS)
def test_images_are_the_inputs_and_rows_of_the_mirrored_position(board):
    spec = BoardSpec.create(board, 3)
    s = symmetries(board)
    found = list(sampled(spec, 2, 40, 5))
    random.Random(1).shuffle(found)
    chosen, seen = found[:8], set()
    for kind in (mv.OPTION, mv.LINE, mv.REGION):
        having = [p for p in found if (p.legal_packed() & mv.KIND_MASK == kind).any()]
        seen |= {kind} if having else set()
        chosen += having[:6]
    assert mv.REGION in seen
    assert seen & {mv.LINE, mv.OPTION}
    samples = prepare_samples(table_from(chosen), policy=True)
    for k in range(len(s)):
        batch = samples.batch(np.arange(len(chosen)), np.full(len(chosen), k))
        rows = len(policy_rows(board).names)
        for at, position in enumerate(chosen):
            mirrored = Position.parse(image_text(position, s.cells[k]), spec=spec)
            seats = [(position.current_player - 1 + r) % 3 + 1 for r in range(3)]
            state = mirrored._states[0]
            expected = [reference.active_inputs(state, spec, seat) for seat in seats]
            assert inputs_of(batch, at, 3) == expected
            places = mirrored.legal_packed().tolist()
            theirs = [sorted(r) for r in rows_of(mirrored)]
            told = [theirs[places.index(m)] for m in images(position, s, k).tolist()]
            assert [r for r, _ in moves_of(batch, at, rows)] == told


def test_the_order_follows_from_seed_and_epoch():
    table = table_from(positions(BoardSpec.create("square8", 2), 50))
    feed = NnueFeed(table, policy=True, mirrored=True)
    streamed = NnueFeed(table, policy=True, mirrored=True, streamed=True)

    def told(epoch, first=0, feed=feed):
        batches = feed.epoch(8, seed=3, epoch=epoch, first=first)
        return [b"".join(t.numpy().tobytes() for t in batch) for batch in batches]

    whole = told(1)
    assert len(whole) == 6
    assert told(1) == whole
    assert told(1, first=4) == whole[4:]
    assert told(1, first=2, feed=streamed) == whole[2:]
    assert not set(told(2)) & set(whole)
    plain = NnueFeed(table, policy=True, mirrored=False)
    assert not set(told(1, feed=plain)) & set(whole)


def test_moves_of_samples_without_policy_weight_are_left_out():
    table = table_from(positions(BoardSpec.create("square8", 2), 10))
    weight = np.where(np.arange(10) < 4, 1, 0).astype(np.float32)
    feed = NnueFeed(replace(table, policy_weight=weight), policy=True, mirrored=False)
    batch = next(feed.in_order(10))
    assert batch.legal.sum(1).tolist() == [*table.legal_count[:4].tolist(), *[0] * 6]
    assert prepare_samples(table, policy=False).choices is None


def test_a_target_that_is_not_legal_is_refused():
    table = table_from(positions(BoardSpec.create("square8", 2), 10))
    moves = table.policy_moves.copy()
    moves[table.policy_ptr[6]] = mv.pack(mv.MOVE, 63, 0, 0, 0) | 7 << 30
    with pytest.raises(RefusedError) as caught:
        prepare_samples(replace(table, policy_moves=moves), policy=True)
    text = str(caught.value)
    assert "dddddddddddd" in text
    assert "game6" in text
    assert f"ply {table.ply[6]}" in text


def test_a_legal_set_of_other_rules_is_refused():
    table = table_from(positions(BoardSpec.create("square8", 2), 10))
    counts = table.legal_count.copy()
    counts[3] += 1
    with pytest.raises(RefusedError, match=r"number of legal moves.*game3"):
        prepare_samples(replace(table, legal_count=counts), policy=True)


def test_a_damaged_position_is_refused():
    table = table_from(positions(BoardSpec.create("square8", 2), 10))
    states = table.states.copy()
    states[5, 0] = 99
    for policy in (False, True):
        with pytest.raises(RefusedError, match="game5"):
            prepare_samples(replace(table, states=states), policy=policy)


def test_symmetries_that_a_recovery_slide_forbids_are_refused():
    spec = BoardSpec.create("square8", 2)
    found = (p for seed in range(50) for p in positions(spec, 100, seed=seed))
    slide = next(p for p in found if (p.legal_packed() & mv.KIND_MASK == mv.RECOVER).any())
    table = table_from([slide])
    assert table.sym_mask.tolist() == [1]
    prepare_samples(table, policy=True)
    with pytest.raises(RefusedError, match="symmetries"):
        prepare_samples(replace(table, sym_mask=np.array([3], np.uint16)), policy=True)


@pytest.mark.parametrize("policy", [False, True])
def test_memory_is_estimated(policy):
    table = table_from(positions(BoardSpec.create("square8", 2), 200))
    large = table.take(np.arange(5000) % 200)
    needed = prepare_samples(large, policy=policy).size_bytes
    assert sample_bytes(large, policy=policy) == pytest.approx(needed, rel=0.1)
