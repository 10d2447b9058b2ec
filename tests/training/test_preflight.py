"""Preflight: a healthy root passes, and each thing that is broken is named, and nothing else."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch

from ringrift.core.errors import DataError
from ringrift.core.readings import read
from ringrift.core.settings.limits import Limits
from ringrift.data.dataset import (
    Dataset,
    ExportOptions,
    Manifest,
    blocks,
    plan_export,
    write_dataset,
)
from ringrift.data.dataset.npz import read_npz, write_npz
from ringrift.data.dataset.write import file_digest
from ringrift.nets.model_file import init_model, load_model, save_model
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec
from ringrift.training.preflight import CHECKS, Context, compute, run_preflight, stored
from ringrift.training.preflight import Dataset as Given

from .games import games

SPEC = BoardSpec.create("square8", 2)
CONFIG = SPEC.config
GAMES = 40
PLANES = "planes1-basic"
NAMES = [name for name, _ in CHECKS]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store, a dataset with features, a champion, and a game by search, made once."""
    folder = tmp_path_factory.mktemp("healthy")
    with GameStore.open(folder / "games.db", writer=True) as store:
        store.ingest(games(SPEC, GAMES))
    plan = plan_export(
        [folder / "games.db"], CONFIG, ExportOptions(contents="both", encoder=PLANES)
    )
    write_dataset(plan, dict(blocks(plan, plan.ids)), folder / "dataset")
    model = init_model(SPEC, size="micro", seed=1, folder=folder / "objects")
    return folder, model.relative_to(folder), compute.play_one(SPEC)


@pytest.fixture
def healthy(made, tmp_path):
    """A copy of it that a test may break, and the context of a run over it."""
    folder, model, game = made
    root = tmp_path / "root"
    shutil.copytree(folder, root)
    limits = Limits(disk_critical=100, memory_critical=100, disk_warning=99, memory_warning=99)
    return Context(
        root=root,
        stores=(root / "games.db",),
        configs=(CONFIG,),
        datasets=(Given(folder=root / "dataset", config=CONFIG),),
        champions={CONFIG: root / model},
        limits=limits,
        read=read,
        quality=lambda stores, config: 0.9,
        min_games=20,
        notes={"game": game},
    )


def failed(context):
    """Run all checks and return those that fail by name, with what they found."""
    report = run_preflight(context)
    assert [check.name for check in report.checks] == NAMES
    found = {check.name: check for check in report.checks if check.state == "FAIL"}
    assert report.ready == (not found)
    assert all(check.remedy for check in found.values())
    return {name: check.found for name, check in found.items()}


def only(context, name):
    """Assert that one check alone fails; return what it found."""
    found = failed(context)
    assert list(found) == [name], found
    return found[name]


@pytest.mark.timed
def test_a_healthy_root_is_ready_in_less_than_a_minute(healthy):
    report = run_preflight(replace(healthy, notes={}))
    assert {check.state for check in report.checks} == {"ok"}, report
    assert report.ready
    assert all(check.found for check in report.checks)
    assert report.seconds < 60


def test_nothing_is_written(healthy):
    def contents():
        files = sorted(path for path in healthy.root.rglob("*") if path.is_file())
        return {path: path.read_bytes() for path in files if "-shm" not in path.name}

    before = contents()
    run_preflight(healthy)
    assert contents() == before


# --- the eight broken ones


def test_a_corrupt_store(healthy):
    path = healthy.stores[0]
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 8192] = b"\xa5" * 8192
    path.write_bytes(data)
    assert str(path) in only(healthy, "store")


def test_a_store_whose_game_was_altered(healthy):
    with closing(sqlite3.connect(healthy.stores[0])) as connection:
        connection.execute("DROP TRIGGER games_fixed")
        rows = connection.execute("SELECT id, record FROM trainable").fetchall()
        for one, other in zip(rows, rows[1:] + rows[:1], strict=True):
            connection.execute("UPDATE games SET record = ? WHERE id = ?", (other[1], one[0]))
        connection.commit()
    assert "id_mismatch" in only(healthy, "store")


def test_too_few_games(healthy):
    assert "trainable games" in only(replace(healthy, min_games=10_000), "volume")


def rewrite(folder, change):
    """Change the arrays of every part of a dataset, and the manifest so that its hashes fit."""
    manifest = Manifest.read(folder)
    parts = []
    for part in manifest.parts:
        path = folder / part.name
        arrays = change(read_npz(path))
        with path.open("wb") as file:
            write_npz(file, arrays)
        parts.append(replace(part, sha256=file_digest(path), size_bytes=path.stat().st_size))
    (folder / "manifest.json").write_bytes(replace(manifest, parts=tuple(parts)).to_bytes())


def test_a_wrong_plane_count(healthy):
    folder = healthy.datasets[0].folder
    planes = Dataset.open(folder).arrays["features"].shape[1]
    rewrite(folder, lambda arrays: {**arrays, "features": arrays["features"][:, 1:]})
    assert f"{planes - 1} planes; expected {planes}" in only(healthy, "dataset")


def test_a_full_disk(healthy):
    found = only(
        replace(healthy, limits=healthy.limits.model_copy(update={"disk_critical": 1})), "resources"
    )
    assert "limit 1 %" in found


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_missing_gpu(healthy):
    assert only(replace(healthy, require_gpu=True), "GPU") == "no CUDA device"


def test_a_truncated_checkpoint(healthy):
    path = healthy.champions[CONFIG]
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[: len(data) // 2])
    assert "truncated" in only(healthy, "checkpoints")


def test_a_leaked_hold_out(healthy):
    """Two stores of the same games that keep different shares out."""
    other = healthy.root / "other.db"
    shutil.copy(healthy.stores[0], other)
    with GameStore.open(other, writer=True) as store:
        assert store.raise_holdout(60) > 0
    found = only(replace(healthy, stores=(*healthy.stores, other)), "split")
    assert "games for training are hold-out games too" in found
    assert "of its games are hold-out games" in found


def test_a_skew_of_seats_in_the_samples(healthy):
    folder = healthy.datasets[0].folder

    def skewed(arrays):
        movers = arrays["mover"].copy()
        movers[::3] = 1
        return {**arrays, "mover": movers}

    rewrite(folder, skewed)
    assert "seat 1" in only(healthy, "dataset")


def test_a_skew_of_seats(healthy):
    folder = healthy.datasets[0].folder
    manifest = Manifest.read(folder)
    counts = {**manifest.samples_by, "seat": {"1": 1300, "2": 700}}
    (folder / "manifest.json").write_bytes(replace(manifest, samples_by=counts).to_bytes())
    assert "seat 1 has 65.0 % of the samples" in only(healthy, "dataset")


# --- and what else may be wrong


def test_games_of_other_rules(healthy):
    with closing(sqlite3.connect(healthy.stores[0])) as connection:
        connection.execute("DROP TRIGGER games_fixed")
        connection.execute("UPDATE games SET rules_hash = ?", ("0" * 64,))
        connection.commit()
    assert "games of rules 000000000000" in only(healthy, "environment")


def test_a_store_of_selfplay_is_no_source(healthy):
    with closing(sqlite3.connect(healthy.stores[0])) as connection:
        connection.execute("UPDATE meta SET value = 'selfplay' WHERE key = 'kind'")
        connection.commit()
    assert "not_canonical" in only(healthy, "sources")


def test_a_champion_that_has_seen_all_games(healthy):
    with GameStore.open(healthy.stores[0]) as store:
        upto = store.max_seq()
    net = load_model(healthy.champions[CONFIG], SPEC).net
    objects = healthy.root / "objects"
    for games_upto, wanted in ((upto - 5, []), (upto, ["volume"])):
        path = save_model(net, SPEC, objects, training={"games_upto": games_upto})
        assert list(failed(replace(healthy, champions={CONFIG: path}))) == wanted


@pytest.mark.parametrize(
    ("score", "state"), [(0.71, "ok"), (0.69, "FAIL"), (None, "warn"), (DataError("lost"), "warn")]
)
def test_the_quality(healthy, score, state):
    def quality(stores, config):
        if isinstance(score, Exception):
            raise score
        return score

    check = stored.check_volume(replace(healthy, quality=quality))
    assert check.state == state


def test_missing_stores_datasets_and_games(healthy):
    nothing = replace(
        healthy, stores=(), configs=(), datasets=(), champions={}, problems=("no game store x",)
    )
    assert only(nothing, "store") == "no game store x"
    with GameStore.open(healthy.root / "empty.db", writer=True):
        pass
    empty = replace(nothing, stores=(healthy.root / "empty.db",), problems=())
    assert only(empty, "volume") == "no trainable game"


def test_an_altered_part_and_a_missing_manifest(healthy):
    folder = healthy.datasets[0].folder
    (part,) = Manifest.read(folder).parts
    data = bytearray((folder / part.name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / part.name).write_bytes(data)
    assert "expected" in only(healthy, "dataset")
    (folder / "manifest.json").unlink()
    assert "no dataset" in only(healthy, "dataset")


def test_another_layout(healthy):
    folder = healthy.datasets[0].folder
    manifest = Manifest.read(folder)
    (folder / "manifest.json").write_bytes(replace(manifest, layout="0" * 64).to_bytes())
    assert "policy layout 000000000000; expected" in only(healthy, "dataset")


def test_few_searched_samples_are_a_warning(healthy):
    folder = healthy.datasets[0].folder
    manifest = Manifest.read(folder)
    policy = {**manifest.policy, "coverage": 0.2}
    (folder / "manifest.json").write_bytes(replace(manifest, policy=policy).to_bytes())
    report = run_preflight(healthy)
    assert report.ready
    (check,) = [check for check in report.checks if check.state == "warn"]
    assert "20 % of the samples have a searched distribution" in check.found
    assert not run_preflight(healthy, strict=True).ready


def test_weights_that_are_no_numbers(healthy, monkeypatch):
    real = compute.fresh_net

    def spoilt(*args, **options):
        net = real(*args, **options)
        with torch.no_grad():
            net.win.weight.fill_(float("nan"))
        return net

    monkeypatch.setattr(compute, "fresh_net", spoilt)
    assert "not finite" in only(healthy, "net")


def test_an_integer_net_that_is_another(healthy, monkeypatch):
    real = compute.network.quantise

    def other(weights, shape):
        integers = dict(real(weights, shape))
        integers["last.bias"] = integers["last.bias"] + np.int32(1)
        integers["last.weight"] = -integers["last.weight"] * 3
        return integers

    monkeypatch.setattr(compute.network, "quantise", other)
    assert "NNUE" in only(healthy, "net")


def test_a_check_that_stumbles_fails_and_the_others_go_on(healthy, monkeypatch):
    def stumble(*_):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(compute, "play_one", stumble)
    report = run_preflight(replace(healthy, notes={}))
    found = {check.name: check for check in report.checks}
    assert found["pipeline"].state == "FAIL"
    assert found["pipeline"].found == "ZeroDivisionError: oh"
    assert found["checkpoints"].state == "ok"
    assert json.dumps([check.state for check in report.checks]).count("FAIL") == 2
