"""JSON lines -> shards -> store -> JSON lines: the same bytes in the order of the ids."""

import pytest

from ringrift.records import GameStore, write_jsonl
from ringrift.records.merging import merge_games
from ringrift.records.shards import write_shards
from ringrift.records.sources import read_games, scan_games

from .conftest import CONFIGS, make_analysis, make_game


def games(count, limit):
    """Random games, each third with analyses."""
    for number in range(count):
        board, players = CONFIGS[number % len(CONFIGS)]
        game = make_game(board, players, seed=number, limit=limit)
        searches = number % 3 if number % 2 else 0
        yield game, [make_analysis(game, sims=8 + n, every=9, entries=5) for n in range(searches)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "limit"),
    [
        (60, 60),
        pytest.param(1000, None, marks=[pytest.mark.acceptance, pytest.mark.timeout(3600)]),
    ],
)
def test_games_come_back_byte_for_byte(tmp_path, count, limit):
    write_jsonl(tmp_path / "made.jsonl", games(count, limit))
    merge_games(tmp_path / "first.jsonl", [tmp_path / "made.jsonl"])
    made = write_shards(tmp_path / "shards", read_games(tmp_path / "made.jsonl"))
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        for shard in made:
            report = store.ingest(scan_games(shard.path), source=str(shard.path))
            assert (report.added, report.quarantined) == (shard.games, 0)
        assert store.count() == count
    merge_games(tmp_path / "back.jsonl", [tmp_path / "games.db"])
    first = (tmp_path / "first.jsonl").read_bytes()
    assert first == (tmp_path / "back.jsonl").read_bytes()
    lines = (tmp_path / "made.jsonl").read_bytes().splitlines()
    assert sorted(first.splitlines()) == sorted(lines)
    print(f"{count} games, {len(lines)} lines, {len(first)} bytes, {len(made)} shards")
