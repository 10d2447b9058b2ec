"""Samples of the convolutional net: encoder, targets and symmetries to the bit, whatever makes them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ringrift.core.errors import RefusedError
from ringrift.nets.encoder import cell_places, grid
from ringrift.rules import Position
from ringrift.rules.geometry import board_tables
from ringrift.rules.policy import entries, policy_layout
from ringrift.training.convnet.loss import scene_of
from ringrift.training.samples.cnn import CnnFeed, prepare, sample_bytes
from ringrift.training.samples.symmetry import draw, symmetries

from ..encoding import encoded
from ..nnue.tables import table_for
from .test_symmetry import image_text, images

CONFIGS = [("square8", 2), ("square8", 4), ("hex8", 3), ("square19", 2), ("hexagonal", 2)]


def table_of_config(board, players):
    large = board in ("square19", "hexagonal")
    return table_for(board, players, 2 if large else 6, 160 if large else None)


def net_indices(spec, pairs):
    """Turn entries of the policy layout into indices of the net's table."""
    layout, places = policy_layout(spec.board), cell_places(spec.board)
    planes, area = len(layout.planes), grid(spec.board)[0] * grid(spec.board)[1]
    plane, cell = np.divmod(pairs, layout.cells)
    on_grid = places[np.minimum(cell, layout.cells - 1)] * planes + plane
    return np.where(pairs < 0, -1, np.where(plane < planes, on_grid, area * planes + cell))


def positions_of(table, rows):
    return [Position.unpack(table.spec, table.states[i].tobytes()) for i in rows]


@pytest.mark.parametrize("encoder", ["planes1", "planes1-basic"])
@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_a_batch_holds_what_encoder_and_table_say(board, players, encoder):
    table = table_of_config(board, players)
    rows = np.arange(0, len(table), max(1, len(table) // 150))
    batch = prepare(table, encoder).batch(rows, np.zeros(len(rows), np.int64))
    positions = positions_of(table, rows)
    planes, numbers = encoded(positions, encoder)
    assert batch.planes.dtype == torch.uint8
    assert (scene_of(batch.planes).permute(0, 2, 3, 1).numpy() == planes).all()
    assert (batch.numbers.numpy() == numbers).all()
    spec, places = table.spec, cell_places(board)
    for k, i in enumerate(rows):
        legal = positions[k].legal_packed()
        n = len(legal)
        assert batch.legal_count[k] == n
        first, second = net_indices(spec, entries(positions[k]._states, board_tables(spec), legal))
        assert (batch.first[k, :n].numpy() == first).all()
        if batch.second.shape[1]:
            assert (batch.second[k, :n].numpy() == second).all()
        else:
            assert (second == -1).all()
        pointer = slice(table.policy_ptr[i], table.policy_ptr[i + 1])
        said = dict(zip(table.policy_moves[pointer], table.policy_probs[pointer], strict=True))
        expected = np.array([said.get(m, 0) for m in legal.tolist()], np.float32)
        assert (batch.target[k, :n].numpy() == expected).all()
        assert not batch.target[k, n:].any()
        owner = batch.owner[k].flatten().numpy()
        assert (owner[places] == table.owner[i]).all()
        assert (np.delete(owner, places) == -1).all()
    for name in ("win", "rank", "margins", "policy_weight", "value_weight"):
        assert (getattr(batch, name).numpy() == getattr(table, name)[rows]).all()


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_a_symmetric_sample_is_that_of_the_image(board, players):
    table = table_of_config(board, players)
    s, spec = symmetries(board), table.spec
    made = prepare(table, "planes1")
    places = cell_places(board)
    special = np.flatnonzero((np.diff(made.special_ptr) > 0) & (table.sym_mask > 1))
    rows = np.unique(np.concatenate((np.arange(3, len(table), len(table) // 12), special[:12])))
    rows = rows[table.sym_mask[rows] > 1]
    assert len(rows) >= 8
    if board == "square8":
        assert len(special)
    for i, position in zip(rows, positions_of(table, rows), strict=True):
        for k in range(len(s)):
            mirrored = Position.parse(image_text(position, s.cells[k]), spec=spec)
            batch = made.batch(np.array([i]), np.array([k]))
            found = scene_of(batch.planes)[0].permute(1, 2, 0).numpy()
            # last player standing is not in the text; it has no planes
            assert (found == encoded([mirrored])[0][0]).all()
            moved = entries(mirrored._states, board_tables(spec), images(position, s, k))
            assert (batch.first[0].numpy() == net_indices(spec, moved[0])).all()
            assert batch.target[0].numpy() == pytest.approx(
                made.target[made.offsets[i] : made.offsets[i + 1]]
            )
            owner = batch.owner[0].flatten().numpy()
            assert (owner[places[s.cells[k]]] == table.owner[i]).all()


def test_slides_have_two_entries_and_no_symmetry_but_the_identity():
    table = table_for("square8", 3, 24)
    made = prepare(table, "planes1")
    assert made.slides.any()
    assert (table.sym_mask[made.slides] == 1).all()
    rows = np.flatnonzero(made.slides)[:20]
    batch = made.batch(rows, np.zeros(len(rows), np.int64))
    for k, position in enumerate(positions_of(table, rows)):
        slides = [m.text.startswith("R ") for m in position.legal_moves()]
        assert any(slides)
        assert (batch.second[k, : len(slides)] >= 0).tolist() == slides
        assert (batch.second[k, len(slides) :] == -1).all()
    drawn = draw(table.sym_mask, np.random.default_rng(1))
    assert (drawn[made.slides] == 0).all()
    assert set(drawn[~made.slides].tolist()) == set(range(8))


@pytest.mark.parametrize("size", [16, 1000])
def test_streamed_batches_are_those_of_memory(size):
    table = table_for("square8", 2, 6)
    kept = CnnFeed(table, "planes1", mirrored=True)
    streamed = CnnFeed(table, "planes1", mirrored=True, streamed=True, workers=2)
    assert streamed.prepared is None
    for epoch in (0, 1):
        options = {"seed": 3, "epoch": epoch}
        one, other = (list(feed.epoch(size, **options)) for feed in (kept, streamed))
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_epochs_visit_each_sample_once_and_go_on_where_they_stopped():
    table = table_for("square8", 2, 6)
    numbered = replace(table, policy_weight=np.arange(len(table), dtype=np.float32))
    feed = CnnFeed(numbered, "planes1", mirrored=True)
    batches = list(feed.epoch(10, seed=1, epoch=0))
    seen = torch.cat([b.policy_weight for b in batches]).tolist()
    assert len(set(seen)) == len(seen) == len(table) // 10 * 10
    again = torch.cat([b.policy_weight for b in feed.epoch(10, seed=1, epoch=1)]).tolist()
    assert again != seen
    rest = list(feed.epoch(10, seed=1, epoch=0, first=7))
    assert len(rest) == len(batches) - 7
    for a, b in zip(batches[7:], rest, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_threads_make_the_same_samples():
    table = table_for("hex8", 3, 18)
    one, two = (prepare(table, "planes1", workers=w) for w in (1, 2))
    assert len(table) > 1024
    for name in ("planes", "numbers", "index", "target"):
        assert (getattr(one, name) == getattr(two, name)).all()
    assert (one.special_first == two.special_first).all()
    assert sample_bytes(table, "planes1") == sum(
        getattr(one, name).nbytes for name in ("planes", "numbers", "index", "target")
    )


@pytest.mark.parametrize("fault", ["illegal target", "legal set", "position", "symmetries"])
def test_a_sample_that_does_not_fit_is_named(fault):
    table = table_for("square8", 2, 6)
    at = len(table) // 2
    if fault == "illegal target":
        moves = table.policy_moves.copy()
        moves[table.policy_ptr[at]] = 9
        bad, said = replace(table, policy_moves=moves), "names a move that is not legal"
    elif fault == "legal set":
        counts = table.legal_count.copy()
        counts[at] += 1
        bad, said = replace(table, legal_count=counts), "another number of legal moves"
    elif fault == "position":
        states = table.states.copy()
        states[at] = 255
        bad, said = replace(table, states=states), "cannot be read"
    else:
        at = int(np.flatnonzero(np.isin(table.phase, (4, 5)))[0])
        bad, said = replace(table, phase=np.zeros_like(table.phase)), "symmetries"
    game = table.games[table.game[at]]
    with pytest.raises(RefusedError, match=said) as caught:
        prepare(bad, "planes1")
    assert caught.value.where == f"dataset {table.dataset[:12]}, game {game}, ply {table.ply[at]}"


def test_masks_say_what_may_be_drawn():
    masks = np.array([0b1, 0b101, 0b1000_0000_0010] * 400, np.uint16)
    drawn = draw(masks, np.random.default_rng(1)).reshape(400, 3)
    assert set(drawn[:, 0]) == {0}
    assert set(drawn[:, 1]) == {0, 2}
    assert set(drawn[:, 2]) == {1, 11}
    assert 150 < (drawn[:, 1] == 0).sum() < 250


def test_no_samples_make_no_batches():
    none = table_for("square8", 2, 6).take(np.zeros(0, np.int64))
    feed = CnnFeed(none, "planes1", mirrored=False)
    assert len(feed) == 0
    assert list(feed.in_order(8)) == []
