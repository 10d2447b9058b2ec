"""Exports: nothing is made twice, and however it was made the dataset is the same to the byte."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ringrift.core.errors import BusyError, NegativeResult, RefusedError, UsageError
from ringrift.core.files import lock
from ringrift.data.dataset import (
    Dataset,
    ExportOptions,
    check_dataset,
    find_datasets,
    plan_export,
)
from ringrift.data.export.append import dataset_to_extend, extended
from ringrift.data.export.cache import BlockCache
from ringrift.data.export.inputs import input_files, store_of_lines
from ringrift.data.export.run import Exporter
from ringrift.records import GameStore, write_jsonl
from ringrift.rules import BoardSpec

from ..dataset.made_games import game, store_of, trainable

SCRIPT = str(Path(__file__).with_name("export_process.py"))
GAMES = 40


@pytest.fixture(scope="module")
def pairs():
    return trainable(GAMES, searched=0.5)


@pytest.fixture(scope="module")
def store(pairs, tmp_path_factory):
    return store_of(tmp_path_factory.mktemp("store") / "g.db", pairs)


def plan_of(*stores, **options):
    return plan_export(stores, "square8_2p", ExportOptions(**options))


@pytest.fixture(scope="module")
def unbroken(store, tmp_path_factory):
    """What an export in one go and one process gives."""
    return Exporter(output=tmp_path_factory.mktemp("unbroken")).export(plan_of(store))


def bytes_of(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def same(exported, unbroken):
    return exported.manifest.id == unbroken.manifest.id and bytes_of(exported.path) == bytes_of(
        unbroken.path
    )


def left(folder):
    """What stands beside the datasets of a configuration."""
    return sorted(p.name for p in (folder / "square8_2p").iterdir() if p.name != ".requests")


def test_the_dataset_stands_under_its_id_and_nothing_beside_it(unbroken):
    assert unbroken.path.name == unbroken.manifest.id
    assert left(unbroken.path.parents[1]) == [unbroken.manifest.id]
    assert (unbroken.made, unbroken.kept, unbroken.existing) == (GAMES, 0, False)
    assert unbroken.samples_made == unbroken.manifest.samples
    assert check_dataset(unbroken.path) == []


def test_an_export_again_makes_nothing(store, tmp_path):
    exporter = Exporter(output=tmp_path)
    first = exporter.export(plan_of(store))
    times = {path: path.stat().st_mtime_ns for path in first.path.iterdir()}
    again = exporter.export(plan_of(store))
    assert (again.existing, again.made, again.manifest) == (True, 0, first.manifest)
    assert {path: path.stat().st_mtime_ns for path in first.path.iterdir()} == times


def test_a_dataset_that_lost_a_part_is_made_again(store, tmp_path, unbroken):
    exporter = Exporter(output=tmp_path)
    first = exporter.export(plan_of(store))
    (first.path / "part-00000.npz").unlink()
    again = exporter.export(plan_of(store))
    assert not again.existing
    assert same(again, unbroken)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(store, tmp_path, unbroken):
    exported = Exporter(output=tmp_path, workers=2, interval=7).export(plan_of(store))
    assert same(exported, unbroken)
    assert exported.made == GAMES


def test_blocks_of_earlier_exports_are_used_again(store, tmp_path, unbroken):
    cache = BlockCache(tmp_path / "cache")
    first = Exporter(output=tmp_path / "a", cache=cache).export(plan_of(store))
    second = Exporter(output=tmp_path / "b", cache=cache).export(plan_of(store))
    assert (first.made, second.made, second.kept) == (GAMES, 0, GAMES)
    assert same(second, unbroken)
    weighted = Exporter(output=tmp_path / "c", cache=cache).export(
        plan_of(store, surprise_weight=0.0, contents="both", encoder="planes1-basic")
    )
    assert weighted.made == 0  # neither weights nor features are in a block
    other = Exporter(output=tmp_path / "d", cache=cache).export(plan_of(store, sample_every=2))
    assert other.made == GAMES
    forced = Exporter(output=tmp_path / "b", cache=cache, force=True).export(plan_of(store))
    assert (forced.made, forced.existing) == (GAMES, False)
    assert same(forced, unbroken)


def test_only_new_games_are_made(pairs, tmp_path):
    cache = BlockCache(tmp_path / "cache")
    store = store_of(tmp_path / "g.db", pairs[:30])
    Exporter(output=tmp_path / "out", cache=cache).export(plan_of(store))
    store_of(store, pairs[30:])
    grown = Exporter(output=tmp_path / "out", cache=cache).export(plan_of(store))
    assert (grown.made, grown.kept) == (10, 30)
    assert len(find_datasets(tmp_path / "out", "square8_2p")) == 2
    assert find_datasets(tmp_path / "out", "square8_2p")[0] == grown.path


def test_a_game_searched_again_is_made_again(pairs, tmp_path):
    cache = BlockCache(tmp_path / "cache")
    store = store_of(tmp_path / "g.db", [(record, None) for record, _ in pairs[:5]])
    first = Exporter(output=tmp_path / "out", cache=cache).export(plan_of(store))
    store_of(store, pairs[:2])
    second = Exporter(output=tmp_path / "out", cache=cache).export(plan_of(store))
    assert (second.made, second.kept) == (2, 3)
    assert first.manifest.policy["searched"] == 0 < second.manifest.policy["searched"]
    assert first.manifest.id != second.manifest.id


def test_the_least_recently_used_blocks_go(store, tmp_path):
    small = BlockCache(tmp_path / "cache", limit_bytes=1_200_000)
    for every in (1, 2, 3):
        Exporter(output=tmp_path / "out", cache=small).export(plan_of(store, sample_every=every))
        time.sleep(0.01)
    size = sum(path.stat().st_size for path in (tmp_path / "cache").glob("*/*"))
    assert 0 < size <= 1_200_000
    assert small.packs(ExportOptions(sample_every=3))
    assert not small.packs(ExportOptions(sample_every=1))


def test_a_damaged_file_of_the_cache_is_made_again(store, tmp_path, unbroken):
    cache = BlockCache(tmp_path / "cache")
    Exporter(output=tmp_path / "a", cache=cache).export(plan_of(store))
    (pack,) = cache.packs(ExportOptions())
    pack.write_bytes(pack.read_bytes()[:-20])
    again = Exporter(output=tmp_path / "b", cache=cache).export(plan_of(store))
    assert again.made == GAMES
    assert same(again, unbroken)


# --- interrupted


class Export:
    """An export in a process of its own."""

    def __init__(self, store, output, *, cache="", workers=1, interval=4):
        self.process = subprocess.Popen(
            [
                sys.executable,
                SCRIPT,
                str(store),
                str(output),
                str(cache),
                str(workers),
                str(interval),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert self.process.stdout.readline() == "ready\n"

    def kill(self, after_lines, then_s=None):
        """SIGKILL at a checkpoint, or some time after it."""
        for line in range(after_lines):
            self.process.stdout.readline()
            if line + 1 < after_lines or then_s is not None:
                self.process.stdin.write("\n")
                self.process.stdin.flush()
        time.sleep(then_s or 0.0)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def finish(self):
        """(games made, games kept) once it is done."""
        self.process.stdin.close()
        lines = self.process.stdout.read().splitlines()
        assert self.process.wait() == 0, lines
        word, _, made, kept = lines[-1].split()
        assert word == "done"
        return int(made), int(kept)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "lines"), [(1, 3), (1, 8), pytest.param(2, 3, marks=pytest.mark.acceptance)]
)
def test_a_killed_export_goes_on_after_its_checkpoints(store, tmp_path, unbroken, workers, lines):
    Export(store, tmp_path, workers=workers).kill(lines)  # the first line says what was there
    assert find_datasets(tmp_path, "square8_2p") == []
    made, kept = Export(store, tmp_path, workers=workers).finish()
    assert kept >= 8
    assert made + kept == GAMES
    (folder,) = find_datasets(tmp_path, "square8_2p")
    assert bytes_of(folder) == bytes_of(unbroken.path)
    assert left(tmp_path) == [folder.name]


def kill_at_many_instants(store, unbroken, folder, moments):
    for number, (lines, then_s) in enumerate(moments):
        output = folder / str(number)
        Export(store, output, cache=folder / "cache", interval=4).kill(lines, then_s)
        whole = bool(find_datasets(output, "square8_2p"))
        made, kept = Export(store, output, cache=folder / "cache", interval=4).finish()
        assert made + kept == (0 if whole else GAMES)
        (found,) = find_datasets(output, "square8_2p")
        assert bytes_of(found) == bytes_of(unbroken.path)
        assert left(output) == [found.name]
        shutil.rmtree(folder / "cache")


@pytest.mark.acceptance
def test_ten_kills_lose_nothing(store, unbroken, tmp_path):
    rng = np.random.default_rng(5)
    moments = [(int(rng.integers(0, 13)), float(rng.random() * 0.05)) for _ in range(10)]
    kill_at_many_instants(store, unbroken, tmp_path, moments)


def test_the_same_export_does_not_run_twice_at_once(store, tmp_path):
    plan = plan_of(store)
    held = tmp_path / "square8_2p" / f".export-{plan.request[:16]}.lock"
    with lock(held), pytest.raises(BusyError, match="the same export"):
        Exporter(output=tmp_path).export(plan)


def test_an_export_that_fails_leaves_nothing(pairs, tmp_path):
    store = store_of(tmp_path / "g.db", pairs[:3])
    plan = plan_of(store, max_move_index=0, sample_every=1000)
    with pytest.raises(NegativeResult, match="zero samples"):
        Exporter(output=tmp_path / "out").export(plan)
    assert left(tmp_path / "out") == []


def test_checkpoints_may_stand_elsewhere(store, tmp_path, unbroken):
    exported = Exporter(output=tmp_path / "out", checkpoints=tmp_path / "blocks").export(
        plan_of(store)
    )
    assert same(exported, unbroken)
    assert list((tmp_path / "blocks").iterdir()) == []


# --- one file


def test_a_dataset_in_one_file_holds_the_same(store, tmp_path, unbroken, monkeypatch):
    path = tmp_path / "one.npz"
    exported = Exporter(output=path).export(plan_of(store))
    assert exported.path == path
    assert exported.manifest.id == unbroken.manifest.id
    whole, several = Dataset.open(path), Dataset.open(unbroken.path)
    for name, array in several.arrays.items():
        assert np.array_equal(array, whole.arrays[name], equal_nan=array.dtype.kind == "f"), name
    assert Exporter(output=path).export(plan_of(store)).existing
    assert check_dataset(path) == []
    monkeypatch.setattr("ringrift.data.dataset.write.FILE_BYTES", 10_000)
    with pytest.raises(UsageError, match="bytes in one file"):
        Exporter(output=tmp_path / "two.npz").export(plan_of(store))
    assert not (tmp_path / "two.npz").exists()


# --- extended


def extend(output, *stores, **options):
    plan = plan_of(*stores, **options)
    dataset = dataset_to_extend(output, plan)
    joined, pack = extended(plan, dataset, output / "work")
    exported = Exporter(output=output).export(joined, (pack,))
    shutil.rmtree(output / "work")
    return exported


def test_day_two_appended_to_day_one_is_both_exported_at_once(pairs, tmp_path):
    day1 = store_of(tmp_path / "day1.db", [*pairs[:25], *trainable(1, most=40)])
    day2 = store_of(tmp_path / "day2.db", [*pairs[20:], *trainable(2, split="val")])
    Exporter(output=tmp_path / "out").export(plan_of(day1))
    appended = extend(tmp_path / "out", day2)
    assert appended.made == 15 + 2
    both = Exporter(output=tmp_path / "both").export(plan_of(day1, day2))
    assert appended.manifest.id == both.manifest.id
    assert appended.manifest.parts == both.manifest.parts
    assert appended.manifest.games_upto == both.manifest.games_upto
    assert appended.manifest.excluded == both.manifest.excluded == {"incomplete": 1}
    for part in both.manifest.parts:
        assert (appended.path / part.name).read_bytes() == (both.path / part.name).read_bytes()


def test_of_a_play_on_both_days_the_smallest_id_stays(pairs, tmp_path):
    from ringrift.records import AgentRef

    agents = [AgentRef(spec="gumbel:sims=8", agent_hash="9" * 64)] * 2
    copies = [game(record.seed, agents=agents) for record, _ in pairs[:6]]
    day1 = store_of(tmp_path / "day1.db", pairs[:8])
    day2 = store_of(tmp_path / "day2.db", copies)
    Exporter(output=tmp_path / "out").export(plan_of(day1))
    appended = extend(tmp_path / "out", day2)
    both = Exporter(output=tmp_path / "both").export(plan_of(day1, day2))
    assert appended.manifest.game_ids == both.manifest.game_ids
    assert appended.manifest.id == both.manifest.id


def test_a_store_that_holds_an_old_game_out_stops_the_append(pairs, tmp_path):
    day1 = store_of(tmp_path / "day1.db", pairs[:10])
    day2 = store_of(tmp_path / "day2.db", [*pairs[:10], *pairs[10:20]])
    Exporter(output=tmp_path / "out").export(plan_of(day1))
    with GameStore.open(day2, writer=True) as opened:
        assert opened.raise_holdout(60) > 0
    with pytest.raises(NegativeResult, match="hold-out leak"):
        extend(tmp_path / "out", day2)


def test_what_cannot_be_extended_is_said(pairs, tmp_path):
    store = store_of(tmp_path / "g.db", pairs[:4])
    out = tmp_path / "out"
    Exporter(output=out).export(plan_of(store))
    with pytest.raises(UsageError, match="newer games"):
        dataset_to_extend(out, plan_of(store, max_games=3))
    assert dataset_to_extend(out, plan_of(store, sample_every=2)) is None
    features = {"contents": "features", "encoder": "planes1-basic"}
    Exporter(output=out).export(plan_of(store, **features))
    with pytest.raises(RefusedError, match="features alone"):
        extend(out, store, **features)


# --- lines


def test_lines_of_the_same_games_give_the_same_dataset(pairs, store, tmp_path, unbroken):
    lines = tmp_path / "lines"
    lines.mkdir()
    for number, part in enumerate((pairs[:17], pairs[17:])):
        write_jsonl(
            lines / f"{number}.jsonl",
            ((record, [] if analysis is None else [analysis]) for record, analysis in part),
        )
    with (lines / "1.jsonl").open("a") as file:
        file.write('{"type": "game", "format": "ringrift.game/1"}\n')
    files = input_files([], lines)
    report = store_of_lines(files, tmp_path / "l.db", legacy=False, completed=True)
    assert report.added == GAMES
    assert sum(found.failed for found in report.inputs) == 1
    exported = Exporter(output=tmp_path / "out").export(plan_of(tmp_path / "l.db"))
    assert exported.manifest.id == unbroken.manifest.id
    assert exported.manifest.parts == unbroken.manifest.parts
    with pytest.raises(UsageError, match="no file"):
        input_files([tmp_path / "absent.jsonl"], None)


def test_configurations_have_their_own_places(tmp_path):
    spec = BoardSpec.create("hex8", 3)
    store = store_of(tmp_path / "g.db", trainable(2, spec))
    plan = plan_export([store], "hex8_3p", ExportOptions())
    exported = Exporter(output=tmp_path / "out").export(plan)
    assert exported.path.parent == tmp_path / "out" / "hex8_3p"
    assert find_datasets(tmp_path / "out", "hex8_3p") == [exported.path]
