"""Counts from real stores and manifests; rounds in real processes."""

import json
import time

import pytest

from ringrift.core.files import lock
from ringrift.data.auto_export.counting import count_games, games_upto
from ringrift.data.auto_export.deciding import EXPORT, Decision, decide
from ringrift.data.auto_export.running import Job, remove_leftovers, run_round, write_state
from ringrift.data.dataset import Dataset, ExportOptions, plan_export
from ringrift.data.export.run import Exporter

from ..distributed.games import make_store

CONFIG = "square8_2p"


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "games.db", 20)


def job(store, tmp_path):
    return Job(store=store, npz=tmp_path / "npz", cache=tmp_path / "cache")


def decided(config=CONFIG):
    return Decision(
        config=config, games=9, new=9, minimum=0, representation=0.1, decision=EXPORT, reason=""
    )


def export(store, npz, **options):
    return Exporter(output=npz).export(plan_export([store], CONFIG, ExportOptions(**options)))


def test_new_games_are_those_since_the_last_dataset(store, tmp_path):
    npz = tmp_path / "npz"
    (before,) = count_games(store, npz, [CONFIG])
    assert before.new == before.games > 0
    export(store, npz)
    (after,) = count_games(store, npz, [CONFIG])
    assert (after.games, after.new) == (before.games, 0)
    make_store(store, 10, first=50)
    (more,) = count_games(store, npz, [CONFIG])
    assert more.new == more.games - before.games > 0


def test_datasets_of_some_games_and_of_the_holdout_do_not_count(store, tmp_path):
    npz = tmp_path / "npz"
    export(store, npz, max_games=3)
    export(store, npz, splits=("holdout",))
    assert games_upto(npz / CONFIG, store) == 0
    export(store, npz, min_moves=10)
    assert games_upto(npz / CONFIG, store) > 0


def test_another_store_and_a_damaged_manifest_do_not_count(store, tmp_path):
    other = make_store(tmp_path / "other.db", 5, first=80)
    done = export(other, tmp_path / "npz")
    assert games_upto(tmp_path / "npz" / CONFIG, store) == 0
    (done.path / "manifest.json").write_text("{")
    assert games_upto(tmp_path / "npz" / CONFIG, other) == 0


def test_a_store_that_is_not_there_has_no_games(tmp_path):
    (found,) = count_games(tmp_path / "games.db", tmp_path / "npz", [CONFIG])
    assert (found.games, found.new) == (0, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.acceptance
def test_a_round_exports_in_processes_and_tells_what_failed(store, tmp_path):
    make_store(store, 4, board="hex8", players=3)
    work = job(store, tmp_path)
    outcomes = run_round(work, [decided(), decided("hex8_3p"), decided("square8_4p")])
    by_config = {outcome.config: outcome for outcome in outcomes}
    for config in (CONFIG, "hex8_3p"):
        assert by_config[config].error is None
        assert len(Dataset.open(work.npz / config / by_config[config].id)) > 0
    assert "zero samples" in by_config["square8_4p"].error
    write_state(tmp_path / "data" / "state.json", [decided()], outcomes, target_games=1000)
    state = json.loads((tmp_path / "data" / "state.json").read_text())
    assert state["configurations"][0]["outcome"]["id"] == by_config[CONFIG].id
    counts = count_games(store, work.npz, [CONFIG])
    assert [d.reason for d in decide(counts, target_games=1000)] == ["no new games"]


def test_told_to_stop_it_leaves_no_dataset_in_part(store, tmp_path):
    work = job(store, tmp_path)
    deadline_s = time.monotonic() + 0.5
    outcomes = run_round(work, [decided()], stop=lambda: time.monotonic() > deadline_s)
    assert outcomes == []
    assert list(work.npz.glob("*/[0-9a-f]*")) == []


def test_leftovers_go_unless_an_export_runs_there(tmp_path):
    left = tmp_path / ".0123.abc.partial"
    left.mkdir()
    with lock(tmp_path / ".export-1.lock"):
        remove_leftovers(tmp_path)
        assert left.exists()
    remove_leftovers(tmp_path)
    assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".export-1.lock"]
