"""The same request on the same games gives the same id and bytes, whoever makes the dataset."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from ringrift.core.errors import DataError, RefusedError
from ringrift.data.dataset import (
    Dataset,
    ExportOptions,
    Manifest,
    blocks,
    check_dataset,
    dataset_id,
    game_block,
    plan_export,
    write_dataset,
)
from ringrift.data.dataset.block import read_block, read_header, write_block
from ringrift.data.dataset.npz import read_npz, write_npz
from ringrift.data.dataset.pack import PackedBlocks, block_key, merge_packs, write_pack

from .made_games import store_of, trainable

SCRIPT = """
import sys
from pathlib import Path
from ringrift.data.dataset import ExportOptions, blocks, plan_export, write_dataset
plan = plan_export([Path(sys.argv[1])], "square8_2p", ExportOptions())
print(write_dataset(plan, dict(blocks(plan, plan.ids[::-1])), Path(sys.argv[2])).id)
"""


@pytest.fixture(scope="module")
def pairs():
    return trainable(6)


@pytest.fixture(scope="module")
def made(pairs, tmp_path_factory):
    """(plan, blocks, folder) of a dataset."""
    folder = tmp_path_factory.mktemp("made")
    plan = plan_export([store_of(folder / "g.db", pairs)], "square8_2p", ExportOptions())
    found = dict(blocks(plan, plan.ids))
    write_dataset(plan, found, folder / "out")
    return plan, found, folder / "out"


def test_another_process_with_another_store_writes_the_same_bytes(made, pairs, tmp_path):
    _, _, folder = made
    other = store_of(tmp_path / "other.db", pairs[::-1])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(other), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    mine, theirs = Manifest.read(folder), Manifest.read(tmp_path / "out")
    assert done.stdout.split() == [mine.id]
    assert mine.parts == theirs.parts
    for part in mine.parts:
        assert (folder / part.name).read_bytes() == (tmp_path / "out" / part.name).read_bytes()


def test_a_block_is_the_same_alone(made):
    plan, found, _ = made
    assert game_block(plan, plan.ids[3]) == found[plan.ids[3]]


def test_the_id_follows_games_plies_options_and_searches(made, pairs, tmp_path):
    plan, found, folder = made
    manifest = Manifest.read(folder)
    assert manifest.id == dataset_id(plan, found)
    store = store_of(tmp_path / "g.db", pairs)
    ids = {manifest.id}
    for options in ({"sample_every": 2}, {"analysis": "newest"}, {"max_move_index": 40}):
        other = plan_export([store], "square8_2p", ExportOptions(**options))
        ids.add(dataset_id(other, dict(blocks(other, other.ids))))
    assert len(ids) == 4


def test_a_dataset_takes_the_place_of_another_whole(made, tmp_path):
    plan, found, folder = made
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    (tmp_path / ".out.abc.partial").mkdir()  # of a writer that was killed
    write_dataset(plan, found, target)
    names = sorted(path.name for path in target.iterdir())
    assert names == sorted(path.name for path in folder.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_an_altered_or_missing_part_is_named(made, tmp_path):
    plan, found, _ = made
    write_dataset(plan, found, tmp_path / "out")
    part = tmp_path / "out" / "part-00000.npz"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    with pytest.raises(DataError, match=r"found SHA-256.*part-00000"):
        Dataset.open(tmp_path / "out")
    assert any("SHA-256" in problem for problem in check_dataset(tmp_path / "out"))
    part.unlink()
    with pytest.raises(DataError, match="missing"):
        Dataset.open(tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("legal_count", "another number of legal moves"),
        ("policy_moves", "illegal target"),
        ("policy_probs", "no distribution"),
        ("states", "is no position"),
        ("ply", "not in the order"),
    ],
)
def test_what_a_dataset_says_wrongly_is_found(made, tmp_path, name, told):
    plan, found, _ = made
    write_dataset(plan, found, tmp_path / "out")
    part = tmp_path / "out" / "part-00000.npz"
    arrays = read_npz(part)
    arrays[name] = arrays[name].copy()
    if name == "ply":
        arrays[name][3] = arrays[name][2]
    elif name == "states":
        arrays[name][5, 0] = 77
    elif name == "policy_moves":
        arrays[name][5] = 17
    else:
        arrays[name][5] += 1
    with part.open("wb") as file:
        write_npz(file, arrays)
    tree = json.loads((tmp_path / "out" / "manifest.json").read_text())
    tree["parts"][0] |= {
        "sha256": hashlib.sha256(part.read_bytes()).hexdigest(),
        "size_bytes": part.stat().st_size,
    }
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(tree))
    assert any(told in problem for problem in check_dataset(tmp_path / "out"))


@pytest.mark.parametrize("change", [{"schema": 9}, {"spec": None}, {"parts": 3}, "drop", "text"])
def test_a_damaged_manifest_is_refused(made, tmp_path, change):
    plan, found, _ = made
    write_dataset(plan, found, tmp_path / "out")
    path = tmp_path / "out" / "manifest.json"
    tree = json.loads(path.read_text())
    if change == "drop":
        del tree["request"]
        path.write_text(json.dumps(tree))
    elif change == "text":
        path.write_text("{")
    else:
        path.write_text(json.dumps(tree | change))
    with pytest.raises((DataError, RefusedError)):
        Dataset.open(tmp_path / "out")


def test_blocks_that_were_cut_or_changed_are_refused(made):
    _, found, _ = made
    data = next(iter(found.values()))
    header, arrays = read_block(data)
    assert read_header(data) == header
    assert write_block(header, arrays) == data
    for bad in (b"", data[:3], data[:50], data[:-1], data + b"\0", b"RRB9" + data[4:]):
        with pytest.raises(DataError):
            read_block(bad)


def test_packs_hold_the_blocks_of_a_plan_and_no_others(made, tmp_path):
    plan, found, _ = made
    rows = [(i, block_key(plan.by_id[i]), data) for i, data in found.items()]
    write_pack(tmp_path / "a.pack", rows[:3])
    write_pack(tmp_path / "b.pack", [*rows[3:], ("f" * 64, "0" * 32, rows[0][2])])
    packed = PackedBlocks(plan, [tmp_path / "a.pack", tmp_path / "b.pack"])
    assert dict(packed) == found
    assert packed.samples() == {i: read_header(data).samples for i, data in found.items()}
    stale = [(i, "0" * 32, data) for i, _, data in rows]  # made from other searches
    write_pack(tmp_path / "c.pack", stale)
    assert len(PackedBlocks(plan, [tmp_path / "c.pack"])) == 0
    (tmp_path / "merged").mkdir()
    merge_packs([tmp_path / "a.pack", tmp_path / "b.pack"], tmp_path / "merged")
    (merged,) = (tmp_path / "merged").iterdir()
    assert dict(PackedBlocks(plan, [merged])) == found
    data = bytearray(merged.read_bytes())
    data[100] ^= 1
    merged.write_bytes(data)
    with pytest.raises(DataError, match="wrong checksum"):
        dict(PackedBlocks(plan, [merged]))
    merged.write_bytes(data[:-5])
    with pytest.raises(DataError):
        PackedBlocks(plan, [merged])


def test_the_manifest_counts_what_is_inside(made, pairs):
    _, _, folder = made
    manifest, dataset = Manifest.read(folder), Dataset.open(folder)
    arrays = dataset.arrays
    assert manifest.games == len(pairs)
    assert manifest.samples == len(arrays["ply"]) == len(dataset)
    assert manifest.samples_by["seat"] == {
        str(seat): int((arrays["mover"] == seat).sum()) for seat in (1, 2)
    }
    assert manifest.samples_by["phase"] == {
        name: int((arrays["phase"] == i).sum())
        for i, name in enumerate(manifest.phases)
        if (arrays["phase"] == i).any()
    }
    assert manifest.samples_by["agent"] == {"gumbel:sims=8": manifest.samples}
    assert manifest.samples_by["sims"] == {"8": manifest.samples}
    assert manifest.policy["coverage"] == 1.0
    assert manifest.q["coverage"] == 1.0
    assert sum(part.samples for part in manifest.parts) == manifest.samples
    assert np.array_equal(np.unique(arrays["game"]), np.arange(manifest.games))
    assert list(manifest.games_upto.values()) == [len(pairs)]
