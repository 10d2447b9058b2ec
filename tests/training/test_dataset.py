"""Samples: one per searched ply, exact policies, targets by seat, symmetries that match the encoder."""

from dataclasses import replace

import numpy as np
import pytest

from ringrift.core.errors import DataError, NegativeResult, RefusedError
from ringrift.nets.encoder import GLOBALS, PLANES, STEPS, cell_places, encode_batch, grid
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec, Position
from ringrift.rules.geometry import board_tables
from ringrift.rules.policy import entries, policy_layout
from ringrift.selfplay.findings import SOFT_FROM
from ringrift.training.batches import Feed
from ringrift.training.dataset import build_samples, rank_shares, window
from ringrift.training.symmetry import symmetries

from .games import game, games
from .test_symmetry import image_text, images

SPEC = BoardSpec.create("square8", 2)


def replayed(record, analysis):
    """Yield the position of each searched ply."""
    position, searched = Position.of(record.spec), {p.ply: p for p in analysis.plies}
    for ply, move in enumerate(record.moves):
        if ply in searched:
            yield position.copy(), searched[ply]
        position.play(move)


def encoded(position):
    height, width = grid(position.spec.board)
    planes = np.zeros((1, height, width, PLANES), np.float32)
    numbers = np.zeros((1, GLOBALS), np.float32)
    encode_batch(position._states, board_tables(position.spec), planes, numbers)
    return planes[0], numbers[0]


def table_indices(spec, pairs):
    """Turn entries of the policy layout into indices of the net's table."""
    layout, places = policy_layout(spec.board), cell_places(spec.board)
    planes, area = len(layout.planes), grid(spec.board)[0] * grid(spec.board)[1]
    plane, cell = np.divmod(pairs, layout.cells)
    on_grid = places[np.minimum(cell, layout.cells - 1)] * planes + plane
    return np.where(pairs < 0, -1, np.where(plane < planes, on_grid, area * planes + cell))


@pytest.mark.parametrize(
    ("board", "players"), [("square8", 2), ("square8", 4), ("hex8", 3), ("hexagonal", 2)]
)
def test_samples_are_the_searched_plies_with_their_exact_policies(board, players):
    spec = BoardSpec.create(board, players)
    played = games(spec, 2, max_plies=60)
    samples = build_samples(played, spec)
    assert len(samples) == sum(len(a.plies) for _, a in played)
    i = 0
    for record, analysis in played:
        for position, ply in replayed(record, analysis):
            planes, numbers = encoded(position)
            assert (samples.planes[i] == planes * STEPS).all()
            assert (samples.numbers[i] == numbers).all()
            legal = position.legal_packed()
            here = slice(samples.offsets[i], samples.offsets[i + 1])
            pairs = table_indices(spec, entries(position._states, board_tables(spec), legal))
            assert (samples.first[0, here] == pairs[0]).all()
            assert (samples.second[here] == pairs[1]).all()
            expected = np.array([ply.policy.get(m, 0) for m in legal.tolist()])
            assert (np.rint(samples.probabilities[here] * 65535) == expected).all()
            i += 1


def test_targets_are_seen_from_the_mover():
    played = games(SPEC, 3)
    samples = build_samples(played, SPEC, q_mix=0.3)
    i = 0
    for record, analysis in played:
        assert record.result.end == "game_over"
        for position, ply in replayed(record, analysis):
            mover = position.current_player
            z = 1.0 if record.result.winner == mover else 0.0
            win = 0.7 * z + 0.3 * (1 + ply.root_value[mover - 1]) / 2
            assert samples.win[i] == pytest.approx([win, 1 - win], abs=1e-6)
            assert samples.rank[i, 0].tolist() == ([1, 0] if z else [0, 1])
            i += 1
    assert (samples.value_weight == 1).all()
    assert (samples.policy_weight == 1).all()


def test_targets_of_four_players_keep_the_seats():
    spec = BoardSpec.create("square8", 4)
    record, analysis = game(spec, 1)
    samples = build_samples([(record, analysis)], spec)
    ranks = record.result.ranks
    for i, (position, _) in enumerate(replayed(record, analysis)):
        mover = position.current_player
        for r in range(4):
            seat = (mover - 1 + r) % 4
            assert samples.rank[i, r].tolist() == rank_shares(ranks)[seat].tolist()
        assert samples.win[i].sum() == pytest.approx(1)
        assert int(samples.win[i].argmax()) == (record.result.winner - mover) % 4


def test_tied_ranks_share_the_places_they_hold():
    assert rank_shares((1, 2, 2, 4)).tolist() == [
        [1, 0, 0, 0],
        [0, 0.5, 0.5, 0],
        [0, 0.5, 0.5, 0],
        [0, 0, 0, 1],
    ]


def test_cheap_unchosen_and_unfinished_have_no_weight():
    record, analysis = game(SPEC, 3, cheap=0.5)
    marked = replace(record, marks={p.ply: "random" for p in analysis.plies[:5]})
    samples = build_samples([(marked, analysis)], SPEC)
    expected = [p.kind == "full" and k >= 5 for k, p in enumerate(analysis.plies)]
    assert samples.policy_weight.tolist() == [float(e) for e in expected]
    cut = build_samples([game(SPEC, 4, max_plies=30)], SPEC)
    assert (cut.value_weight == 0).all()
    assert (cut.policy_weight == 1).all()


def test_a_decided_game_weighs_a_tenth_from_its_ply_on():
    record, analysis = game(SPEC, 3, cheap=0.3)
    whole = build_samples([(record, analysis)], SPEC)
    at = analysis.plies[20].ply
    soft = replace(analysis, budget={**analysis.budget, SOFT_FROM: at})
    samples = build_samples([game(SPEC, 5), (record, soft)], SPEC)
    first = len(samples) - len(whole)
    assert (samples.value_weight[:first] == 1).all()
    share = np.array([1.0] * 20 + [0.1] * (len(whole) - 20), np.float32)
    assert samples.value_weight[first:] == pytest.approx(share)
    assert samples.policy_weight[first:] == pytest.approx(share * whole.policy_weight)
    with pytest.raises(DataError, match="soft_from is 'late'"):
        build_samples([(record, replace(soft, budget={SOFT_FROM: "late"}))], SPEC)


@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 2), ("hexagonal", 3)])
def test_symmetric_samples_are_those_of_the_image(board, players):
    spec = BoardSpec.create(board, players)
    record, analysis = game(spec, 5, max_plies=120)
    samples, s = build_samples([(record, analysis)], spec), symmetries(board)
    feed = Feed(samples)
    assert samples.first.shape[0] == len(s)
    for i, (position, _) in enumerate(replayed(record, analysis)):
        if i % 9 or not samples.symmetric[i]:
            continue
        for k in range(len(s)):
            mirrored = Position.parse(image_text(position, s.cells[k]), spec=spec)
            batch = feed.batch(np.array([i]), np.array([k]))
            planes = batch.planes[0].permute(1, 2, 0).numpy()
            assert (planes == encoded(mirrored)[0]).all()
            moved = entries(mirrored._states, board_tables(spec), images(position, s, k))
            n = samples.offsets[i + 1] - samples.offsets[i]
            assert (batch.first[0, :n].numpy() == table_indices(spec, moved[0])).all()


def test_a_recovery_slide_keeps_the_identity_only():
    played = games(SPEC, 40)
    samples = build_samples(played, SPEC)
    i, seen = 0, 0
    for record, analysis in played:
        for position, _ in replayed(record, analysis):
            slides = any(m.text.startswith("R ") for m in position.legal_moves())
            assert samples.symmetric[i] == (not slides)
            seen += slides
            i += 1
    assert 0 < seen < i


def test_what_cannot_be_learned_from_is_refused():
    record, analysis = game(SPEC, 1, max_plies=20)
    with pytest.raises(NegativeResult, match="square8_2p"):
        build_samples([], SPEC)
    with pytest.raises(RefusedError, match="specification"):
        build_samples([(record, analysis)], BoardSpec.create("square8", 2, swap_rule=True))
    wrong = replace(analysis.plies[3], policy={**analysis.plies[3].policy, 9: 1})
    bad = replace(analysis, plies=(*analysis.plies[:3], wrong, *analysis.plies[4:]))
    with pytest.raises(RefusedError, match=f"ply {wrong.ply} "):
        build_samples([(record, bad)], SPEC)


def test_the_id_names_games_not_their_order():
    a, b = game(SPEC, 1, max_plies=20), game(SPEC, 2, max_plies=20)
    ids = {build_samples(g, SPEC).id for g in ([a, b], [b, a])}
    assert len(ids) == 1
    assert build_samples([a], SPEC).id not in ids


def test_windows_are_the_newest_games_of_the_split(tmp_path):
    played = games(SPEC, 30, max_plies=24)
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        store.ingest(played)
        everything = {record.id for record, _ in played}
        train = window(store, SPEC, split="train")
        val = window(store, SPEC, split="val")
        seen = [r.id for r, _ in train] + [r.id for r, _ in val]
        assert len(set(seen)) == len(seen)
        assert set(seen) <= everything
        order = [r.id for _, r, _ in store.records(SPEC.config, split="train")]
        assert [r.id for r, _ in train] == order
        assert [r.id for r, _ in window(store, SPEC, games=5)] == order[-5:]
        seqs = [seq for seq, _, _ in store.records(SPEC.config, split="train")]
        early = window(store, SPEC, games=3, up_to_seq=seqs[9])
        assert [r.id for r, _ in early] == order[7:10]
        assert [r.id for r, _ in window(store, SPEC, after_seq=seqs[9])] == order[10:]
        assert window(store, SPEC, run="other") == []
