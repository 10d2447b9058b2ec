"""What is in a dataset: every selected decision, whole, with the target that was recorded."""

import numpy as np
import pytest

from ringrift.data.dataset import (
    Dataset,
    ExportOptions,
    blocks,
    check_dataset,
    plan_export,
    write_dataset,
)
from ringrift.data.dataset.blocks import SYMMETRIES, sample_offset
from ringrift.data.dataset.npz import read_npz
from ringrift.rules import BoardSpec, Position
from ringrift.rules import moves as mv
from ringrift.rules.layout import PHASE_NAMES
from ringrift.training.samples.symmetry import symmetries

from .made_games import SQUARE8, game, played, store_of, trainable

SPECS = [SQUARE8, BoardSpec.create("hex8", 3), BoardSpec.create("square8", 4)]


def export(folder, stores, config="square8_2p", **options):
    plan = plan_export(stores, config, ExportOptions(**options))
    manifest = write_dataset(plan, dict(blocks(plan, plan.ids)), folder)
    return Dataset.open(folder), manifest


@pytest.fixture(scope="module", params=SPECS, ids=lambda spec: spec.config)
def made(request, tmp_path_factory):
    """(pairs by id, dataset) of a few games, most plies searched."""
    spec = request.param
    folder = tmp_path_factory.mktemp("made")
    pairs = [game(seed, spec, searched=0.8) for seed in range(12)]
    store = store_of(folder / "g.db", pairs)
    dataset, _ = export(folder / "out", [store], spec.config)
    return {record.id: (record, analysis) for record, analysis in pairs}, dataset


def samples_of(dataset):
    """Yield (record id, sample number) in order."""
    arrays = dataset.arrays
    for i in range(len(dataset)):
        yield dataset.manifest.game_ids[arrays["game"][i]], i


def test_the_samples_are_the_decisions_of_the_games_in_order(made):
    pairs, dataset = made
    arrays = dataset.arrays
    found = [(identity, int(arrays["ply"][i])) for identity, i in samples_of(dataset)]
    expected = []
    for identity in dataset.manifest.game_ids:
        record, _ = pairs[identity]
        _, decisions, movers = played(record.spec, record.seed)
        expected += [(identity, ply) for ply in decisions]
        rows = [i for other, i in samples_of(dataset) if other == identity]
        assert arrays["mover"][rows].tolist() == [movers[ply] for ply in decisions]
        assert arrays["legal_count"][rows].tolist() == [len(x) for x in decisions.values()]
        assert set(arrays["total_plies"][rows]) == {len(record.moves)}
    assert found == expected
    assert sorted(found) == found


def test_packed_positions_read_back_have_the_same_legal_sets(made):
    pairs, dataset = made
    arrays = dataset.arrays
    for identity, i in samples_of(dataset):
        record, _ = pairs[identity]
        position = Position.unpack(record.spec, arrays["states"][i].tobytes())
        assert len(position.legal_packed()) == arrays["legal_count"][i]
        assert PHASE_NAMES[arrays["phase"][i]] == position.phase
        assert position.ply == arrays["ply"][i]


def test_recorded_distributions_survive_bit_exactly(made):
    pairs, dataset = made
    arrays = dataset.arrays
    pointer = arrays["policy_ptr"]
    searched = 0
    for identity, i in samples_of(dataset):
        record, analysis = pairs[identity]
        ply = int(arrays["ply"][i])
        entries = slice(int(pointer[i]), int(pointer[i + 1]))
        shares = np.rint(arrays["policy_probs"][entries] * 65_535.0).astype(int).tolist()
        target = dict(zip(arrays["policy_moves"][entries].tolist(), shares, strict=True))
        said = {p.ply: p for p in analysis.plies}.get(ply)
        if said is None:
            assert target == {record.moves[ply]: 65_535}
            assert arrays["policy_source"][i] == 0
            assert not arrays["q_mask"][i]
            assert arrays["sims"][i] == 0
        else:
            searched += 1
            assert target == said.policy
            assert arrays["policy_source"][i] == 1
            assert arrays["q"][i, : record.spec.players].tolist() == [
                np.float32(v) for v in said.root_value
            ]
            assert arrays["prior_kl"][i] == np.float32(said.prior_kl)
            assert arrays["sims"][i] == 8
    assert 0 < searched < len(dataset)
    assert dataset.manifest.policy["searched"] == searched


def test_results_stand_at_every_sample(made):
    pairs, dataset = made
    arrays = dataset.arrays
    for identity, i in samples_of(dataset):
        record, _ = pairs[identity]
        result, n = record.result, record.spec.players
        assert arrays["values_mp"][i, :n].tolist() == [np.float32(v) for v in result.values]
        assert arrays["values"][i] == arrays["values_mp"][i, arrays["mover"][i] - 1]
        assert arrays["win"][i, :n].tolist() == [float(rank == 1) for rank in result.ranks]
        assert not arrays["values_mp"][i, n:].any()
        assert arrays["final_terr"][i, :n].tolist() == list(result.terr)
        assert arrays["final_elim"][i, :n].tolist() == list(result.elim)
        assert arrays["final_hand"][i, :n].tolist() == list(result.hand)
        names = dataset.manifest.victory_types
        assert names[arrays["victory_type"][i]] == result.reason


def test_owners_at_the_end_are_those_of_the_final_position(made):
    pairs, dataset = made
    arrays = dataset.arrays
    seen = 0
    for identity in dataset.manifest.game_ids:
        record, _ = pairs[identity]
        position = Position.of(record.spec)
        for move in record.moves:
            position.play(move)
        row = next(i for other, i in samples_of(dataset) if other == identity)
        owners = arrays["final_owner"][row]
        assert sorted(owners[owners > 0].tolist()) == sorted(position.collapsed.values())
        seen += len(position.collapsed)
    assert seen


def test_symmetries_are_all_but_where_a_slide_is_legal(made):
    pairs, dataset = made
    spec = next(iter(pairs.values()))[0].spec
    assert len(symmetries(spec.board)) == SYMMETRIES[spec.board]
    full = (1 << len(symmetries(spec.board))) - 1
    masks = dataset.arrays["sym_mask"]
    for _, i in samples_of(dataset):
        position = Position.unpack(spec, dataset.arrays["states"][i].tobytes())
        slides = any(mv.kind_of(m) == mv.RECOVER for m in position.legal_packed().tolist())
        assert masks[i] == (1 if slides else full)


def test_validation_games_are_marked(tmp_path):
    pairs = [*trainable(5), *trainable(2, split="val", first=100)]
    val = {record.id for record, _ in pairs[5:]}
    dataset, manifest = export(tmp_path / "out", [store_of(tmp_path / "g.db", pairs)])
    marked = {identity for identity, i in samples_of(dataset) if dataset.arrays["split_val"][i]}
    assert marked == val
    assert (manifest.games, manifest.val_games) == (7, 2)
    assert manifest.val_samples == int(dataset.arrays["split_val"].sum())


def test_the_holdout_is_a_dataset_of_its_own(tmp_path):
    pairs = [*trainable(3), *trainable(2, split="holdout")]
    store = store_of(tmp_path / "g.db", pairs)
    dataset, _ = export(tmp_path / "out", [store], splits=("holdout",))
    assert set(dataset.manifest.game_ids) == {record.id for record, _ in pairs[3:]}
    assert not dataset.arrays["split_val"].any()
    assert check_dataset(tmp_path / "out") == []


def test_every_k_th_decision_offset_by_the_game(tmp_path):
    pairs = trainable(6)
    store = store_of(tmp_path / "g.db", pairs)
    dataset, _ = export(tmp_path / "out", [store], sample_every=5, seed=7)
    offsets = set()
    for record, _ in pairs:
        _, decisions, _ = played(record.spec, record.seed)
        offset = sample_offset(record.id, 5, 7)
        offsets.add(offset)
        rows = [i for identity, i in samples_of(dataset) if identity == record.id]
        assert dataset.arrays["ply"][rows].tolist() == list(decisions)[offset::5]
    assert len(offsets) > 1
    other, _ = export(tmp_path / "other", [store], sample_every=5, seed=8)
    assert other.manifest.id != dataset.manifest.id


def test_no_sample_after_the_last_ply_wanted(tmp_path):
    pairs = trainable(3)
    dataset, _ = export(tmp_path / "out", [store_of(tmp_path / "g.db", pairs)], max_move_index=20)
    for record, _ in pairs:
        _, decisions, _ = played(record.spec, record.seed)
        rows = [i for identity, i in samples_of(dataset) if identity == record.id]
        assert dataset.arrays["ply"][rows].tolist() == [ply for ply in decisions if ply <= 20]


def test_parts_are_cut_between_games_and_joined_again(tmp_path, monkeypatch):
    pairs = trainable(8)
    store = store_of(tmp_path / "g.db", pairs)
    whole, _ = export(tmp_path / "whole", [store])
    monkeypatch.setattr("ringrift.data.dataset.write.PART_BYTES", 150_000)
    several, manifest = export(tmp_path / "several", [store])
    assert len(manifest.parts) > 2
    assert manifest.id == whole.manifest.id
    assert all(part.size_bytes < 170_000 for part in manifest.parts)
    for name, array in whole.arrays.items():
        assert np.array_equal(array, several.arrays[name], equal_nan=array.dtype.kind == "f"), name
    assert check_dataset(tmp_path / "several") == []


def test_no_part_holds_objects(made):
    _, dataset = made
    for part in dataset.manifest.parts:
        with np.load(dataset.path / part.name, allow_pickle=False) as file:
            assert all(not file[name].dtype.hasobject for name in file.files)
        assert read_npz(dataset.path / part.name).keys() == dataset.arrays.keys()


def test_the_blocks_of_a_dataset_are_those_it_was_made_from(tmp_path):
    store = store_of(tmp_path / "g.db", trainable(5, searched=0.5))
    plan = plan_export([store], "square8_2p", ExportOptions())
    found = dict(blocks(plan, plan.ids))
    write_dataset(plan, found, tmp_path / "out")
    again = {identity: block for identity, _, block in Dataset.open(tmp_path / "out").blocks()}
    assert again == found


def test_a_sound_dataset_has_no_problems(made):
    _, dataset = made
    assert check_dataset(dataset.path) == []
