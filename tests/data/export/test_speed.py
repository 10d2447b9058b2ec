"""Positions per second of CPU, from stored games to finished shards (data.md 5)."""

import hashlib
import os
import time

import pytest

from ringrift.data.dataset import Dataset, ExportOptions, blocks, plan_export, write_dataset
from ringrift.data.export.run import Exporter
from ringrift.records import GameStore
from ringrift.rules.cpu import core_count

from ..dataset.made_games import game
from ..random_play import random_game

GAMES = 10_000
SQUARE8_PER_CORE = 25_000
HEXAGONAL_PER_CORE = 3_000


def store_of(path, pairs):
    with GameStore.open(path, writer=True) as store:
        store.ingest(pairs)
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """10,000 random games of square8."""
    games = ((random_game("square8", 2, seed), None) for seed in range(GAMES))
    return store_of(tmp_path_factory.mktemp("games") / "g.db", games)


def warmed(plan, folder):
    """Compile what an export runs."""
    few = plan.only(plan.ids[:5])
    write_dataset(few, dict(blocks(few, few.ids)), folder / "warm")
    return plan


def measured(plan, folder):
    """(export, seconds of CPU of this process)."""
    began_s = time.process_time()
    exported = Exporter(output=folder).export(plan)
    return exported, time.process_time() - began_s


def digests(folder):
    return [hashlib.sha256(path.read_bytes()).digest() for path in sorted(folder.iterdir())]


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_ten_thousand_games_at_25_000_positions_a_second_on_each_core(store, tmp_path, capsys):
    began_s = time.process_time()
    plan = plan_export([store], "square8_2p", ExportOptions())
    planned_s = time.process_time() - began_s
    warmed(plan, tmp_path)
    exported, spent_s = measured(plan, tmp_path / "one")
    rate = exported.manifest.samples / (planned_s + spent_s)
    began_s = time.monotonic()
    again = Exporter(output=tmp_path / "two", workers=core_count()).export(plan)
    wall_s = time.monotonic() - began_s
    with capsys.disabled():
        print(
            f"\nsquare8_2p, states: {exported.manifest.samples:,} positions, {rate:,.0f} a second of CPU; "
            f"{core_count()} processes {again.manifest.samples / wall_s:,.0f} a second of time, "
            f"load {os.getloadavg()[0]:.1f}"
        )
    assert digests(again.path) == digests(exported.path)
    assert rate >= SQUARE8_PER_CORE
    assert all(part.size_bytes <= 64_000_000 for part in exported.manifest.parts)
    assert len(exported.manifest.parts) > 1
    assert len(Dataset.open(exported.path)) == exported.manifest.samples


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_searched_games_at_25_000_positions_a_second(tmp_path, capsys):
    pairs = [game(seed) for seed in range(400)]
    path = store_of(tmp_path / "g.db", pairs)
    plan = warmed(plan_export([path], "square8_2p", ExportOptions()), tmp_path)
    exported, spent_s = measured(plan, tmp_path / "out")
    rate = exported.manifest.samples / spent_s
    with capsys.disabled():
        print(f"\nsquare8_2p, every ply searched: {rate:,.0f} positions a second of CPU")
    assert rate >= SQUARE8_PER_CORE


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("encoder", ["planes1", "planes1-basic"])
def test_features_of_hexagonal_at_3_000_positions_a_second(tmp_path, capsys, encoder):
    games = ((random_game("hexagonal", 2, seed), None) for seed in range(12))
    path = store_of(tmp_path / "g.db", games)
    options = ExportOptions(contents="features", encoder=encoder)
    plan = warmed(plan_export([path], "hexagonal_2p", options), tmp_path)
    exported, spent_s = measured(plan, tmp_path / "out")
    rate = exported.manifest.samples / spent_s
    with capsys.disabled():
        print(f"\nhexagonal_2p, {encoder}: {rate:,.0f} positions a second of CPU")
    assert rate >= HEXAGONAL_PER_CORE
