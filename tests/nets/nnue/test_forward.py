"""Compiled inference is the integer reference, bit for bit, however its accumulators came about."""

import random

import numba
import numpy as np
import pytest

from ringrift.nets.nnue import forward, network, reference
from ringrift.nets.nnue.accumulate import refresh, update
from ringrift.nets.nnue.arrays import new_work
from ringrift.nets.nnue.network import Shape
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables

from ..sampling import batch, positions
from .nets import CONFIGS, made, reference_x, rows_of

compiled = numba.njit(error_model="numpy")
"""Compiles a test's own kernel without the cache, which would not see it change."""


@compiled
def refresh_one(states, boards, net, work, place):
    refresh(states[0], boards[0], net, work, place)


@compiled
def update_one(states, boards, net, work, source, place):
    update(states[0], boards[0], net, work, source, place)


@compiled
def evaluate_one(states, boards, net, work, source, place, out):
    forward.evaluate_from(states[0], boards[0], net, work, source, place, out)


def assert_exact(position, integers, net, work, place):
    """Compare sums and outputs of what `place` holds with the reference of a position."""
    players = position.spec.players
    x = reference_x(integers, position)
    forward.outputs(net.layers, net.small[0], work.sums, work.x, players, place, work.spare[0])
    assert np.array_equal(work.x, x)
    assert work.spare[0]["z"][:players].tolist() == reference.outputs(integers, x).tolist()
    return x


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_a_position_anew(board, players):
    spec, _, integers, net = made(board, players)
    work = new_work(net, players, places=3)
    for i, position in enumerate(positions(spec, 12)):
        refresh_one(position._states, board_tables(spec), net, work, i % 3)
        assert_exact(position, integers, net, work, i % 3)


@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 3), ("square8", 4)])
def test_every_number_of_layers(board, players):
    nets = all_depths(board, players, hidden=32)
    spec = nets[0][0]
    for position in positions(spec, 12):
        found = [assert_outputs(position, integers, net) for _, _, integers, net in nets]
        assert len({tuple(z) for z in found}) == len(nets)


def all_depths(board, players, hidden):
    """Nets of two to six hidden layers; they have the same accumulators."""
    return [made(board, players, hidden=hidden, layers=layers) for layers in range(2, 7)]


def assert_outputs(position, integers, net):
    """Compare the outputs of a position made anew with the reference; return them."""
    players = position.spec.players
    work = new_work(net, players)
    refresh_one(position._states, board_tables(position.spec), net, work, 0)
    assert_exact(position, integers, net, work, 0)
    return work.spare[0]["z"][:players].tolist()


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_two_hundred_plies_by_differences(board, players):
    spec, _, integers, net = made(board, players)
    work, tables = new_work(net, players, places=2), board_tables(spec)
    rng, position, place = random.Random(f"{board}{players}"), Position.of(spec), 0
    for ply in range(200):
        # in place, and from place to place as a search keeps them
        update_one(position._states, tables, net, work, place, (place + ply) % 2)
        place = (place + ply) % 2
        if ply % 20 == 19 or ply < 5:
            assert_exact(position, integers, net, work, place)
        position._play_legal(rng.choice(position.legal_packed().tolist()))
        if position.is_over:
            position = Position.of(spec)


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_ten_thousand_positions_by_differences_and_anew(board, players):
    nets = all_depths(board, players, hidden=128)
    spec, _, integers, net = nets[0]
    work, tables = new_work(net, players, places=2), board_tables(spec)
    rng, position = random.Random(f"acceptance {board}{players}"), Position.of(spec)
    for _ in range(10_000):
        update_one(position._states, tables, net, work, 0, 0)
        x = assert_exact(position, integers, net, work, 0)
        for _, _, deeper, other in nets[1:]:
            spare = work.spare[0]
            forward.outputs(other.layers, other.small[0], work.sums, work.x, players, 0, spare)
            assert spare["z"][:players].tolist() == reference.outputs(deeper, x).tolist()
        refresh_one(position._states, tables, net, work, 1)
        assert np.array_equal(work.sums[:players], work.sums[players:])
        position._play_legal(rng.choice(position.legal_packed().tolist()))
        if position.is_over:
            position = Position.of(spec)


def test_any_position_may_follow_any_other():
    spec, _, integers, net = made("hex8", 3)
    work = new_work(net, 3)
    for position in positions(spec, 30):
        update_one(position._states, board_tables(spec), net, work, 0, 0)
        assert_exact(position, integers, net, work, 0)


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_logits_of_legal_moves(board, players):
    spec, _, integers, net = made(board, players)
    chosen = positions(spec, 12)
    states, moves, offsets = batch(chosen)
    work = new_work(net, players, places=5)
    logits = np.zeros(len(moves), np.float32)
    values = np.zeros((len(chosen), players), np.float32)
    forward.evaluate_policy(
        states, board_tables(spec), lay.zeros(1, lay.SCRATCH), net, work, moves, offsets, logits,
        values,
    )  # fmt: skip
    for i, position in enumerate(chosen):
        x = reference_x(integers, position)
        mover = position.current_player - 1
        exact = reference.move_outputs(integers, x[mover], rows_of(position))
        found = logits[offsets[i] : offsets[i + 1]]
        assert np.array_equal(found, (exact / 8128).astype(np.float32))
        expected = reference.values(reference.outputs(integers, x))
        assert np.allclose(values[i], expected, atol=1e-6)
        assert abs(values[i].sum()) < 1e-6


def test_wide_accumulators_are_exact_where_narrow_ones_overflow():
    spec = BoardSpec.create("square8", 2)
    shape = Shape(board="square8", players=2, hidden=32)
    weights = network.random_weights(shape, seed=1)
    weights["inputs.weight"][:, :16] = 1.98
    integers = network.quantise(weights, shape)
    integers["inputs.weight"][:] *= 100  # far above what training may reach
    net = network.lay_out(integers, shape)
    work = new_work(net, 2, wide=True)
    largest = 0
    for position in positions(spec, 20):
        update_one(position._states, board_tables(spec), net, work, 0, 0)
        assert_exact(position, integers, net, work, 0)
        largest = max(largest, int(work.sums.max()))
    assert largest > 32_767


@pytest.mark.parametrize("players", [2, 3, 4])
def test_seats_that_change_places_change_values(players):
    """A position whose seats move on by one has the same outputs, moved on by one."""
    spec, _, _, net = made("square8", players)
    work, out = new_work(net, players), np.zeros((2, players))
    for position in positions(spec, 20):
        turned = position._states.copy()
        rotate(turned[0], players)
        for states, row in ((position._states, out[0]), (turned, out[1])):
            evaluate_one(states, board_tables(spec), net, work, 0, 0, row)
        assert np.array_equal(np.roll(out[0], 1), out[1])


def rotate(state, players):
    """Give everything of seat p to the seat after it."""
    turn = [0, *(p % players + 1 for p in range(1, players + 1)), *range(players + 1, 5)]
    code = np.arange(lay.CODES)
    for base in (lay.MARKER, lay.STACK, lay.COLLAPSED):
        for p in range(1, players + 1):
            code[base + p] = base + turn[p]
    state["cell"][:] = code[state["cell"]]
    state["owner"][:] = np.array(turn)[state["owner"]]
    for name in ("hand", "elim", "terr", "rings", "out_turn"):
        old = state[name].copy()
        for p in range(1, players + 1):
            state[name][turn[p]] = old[p]
    old = state["count"].copy()
    state["count"][code] = old[: lay.CODES]
    for field in (lay.CUR, lay.LPS_STREAK_SEAT):
        state["misc"][field] = turn[int(state["misc"][field])]


def test_every_active_weight_counts():
    spec, shape, integers, _ = made("square8", 2)
    for position in positions(spec, 10):
        for q in (1, 2):
            for i in reference.active_inputs(position._states[0], spec, q):
                changed = {**integers, "inputs.weight": integers["inputs.weight"].copy()}
                changed["inputs.weight"][i] += 9
                net = network.lay_out(changed, shape)
                work = new_work(net, 2)
                refresh_one(position._states, board_tables(spec), net, work, 0)
                sums = reference.accumulators(
                    integers, [reference.active_inputs(position._states[0], spec, q)]
                )
                assert np.array_equal(work.sums[q - 1], sums[0] + 9)
        break


@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 3), ("square8", 4)])
def test_finished_games_have_the_value_of_their_ranking(board, players):
    spec, _, _, net = made(board, players)
    work, out = new_work(net, players), np.zeros(players)
    for seed in range(5):
        rng, position = random.Random(seed), Position.of(spec)
        while not position.is_over:
            position._play_legal(rng.choice(position.legal_packed().tolist()))
        evaluate_one(position._states, board_tables(spec), net, work, 0, 0, out)
        ranks = position.result.ranking
        expected = [sum((r > own) - (r < own) for r in ranks) / (players - 1) for own in ranks]
        assert out.tolist() == pytest.approx(expected)
