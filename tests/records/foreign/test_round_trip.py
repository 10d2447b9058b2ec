"""Our games written to each foreign format and read again are the same games."""

import gzip
import json

import pytest

from ringrift.core.errors import UsageError
from ringrift.records import build_record
from ringrift.records.foreign import ImportOptions, ImportReport, import_files, would_import
from ringrift.records.foreign.names import FORMATS
from ringrift.records.store import GameStore
from ringrift.rules import Position

CUT = 60


def play(record):
    result = record.result
    return record.spec, record.start, record.moves, result, record.check


@pytest.fixture
def games(game):
    """The twelve configurations, small boards played out and large ones cut."""
    small = [game(board, n, seed=3) for board in ("square8", "hex8") for n in (2, 3, 4)]
    large = [game(b, n, seed=3, limit=CUT) for b in ("square19", "hexagonal") for n in (2, 3, 4)]
    return small + large


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_all_configurations_come_back(games, write, read, form):
    found, report = read(write(games, form))
    assert (report.considered, report.rejected) == (12, 0), report.examples
    assert [play(one.record) for one in found] == [play(record) for record in games]
    assert {one.record.meta.purpose for one in found} == {"import"}
    assert not any(one.notes for one in found)


@pytest.mark.acceptance
@pytest.mark.parametrize("form", FORMATS)
def test_a_hundred_whole_games_come_back(game, write, read, form):
    boards = ("square8", "hex8", "square19", "hexagonal")
    whole = [game(boards[seed % 4], 2 + seed % 3, seed=seed) for seed in range(100)]
    found, report = read(write(whole, form))
    assert report.rejected == 0, report.examples
    assert [play(one.record) for one in found] == [play(record) for record in whole]


def test_provenance_is_in_the_tags(game, write, read):
    record = game(seed=4)
    path = write([record], "gamerecord-jsonl")
    (found,), _ = read(path)
    meta = found.record.meta
    assert f"id:{record.id}" in meta.tags
    assert f"file:{path}" in meta.tags
    assert "row:1" in meta.tags
    assert "source:self_play" in meta.tags
    assert (meta.started, meta.ms) == (record.meta.started, record.meta.ms)
    assert [agent.kind for agent in found.record.agents] == ["foreign", "foreign"]
    assert found.record.agents[0].agent_hash != record.agents[0].agent_hash


@pytest.mark.parametrize("source", ["tournament", "elo_tournament_7", "nightly-evaluation"])
def test_matches_stay_matches(game, edited, read, source):
    path = edited([game(seed=4)], "selfplay-jsonl", lambda fields: fields.update(source=source))
    (found,), _ = read(path)
    assert found.record.meta.purpose == "match"


@pytest.mark.parametrize("form", ["gamereplaydb", "selfplay-jsonl", "gamerecord-jsonl"])
def test_searches_come_back(game, searched, write, read, form):
    record = game(seed=4)
    analysis = searched(record)
    (found,), _ = read(write([record], form, analyses=[analysis]))
    assert found.analysis is not None
    pairs = zip(found.analysis.plies, analysis.plies, strict=True)
    for ours, written in pairs:
        assert (ours.ply, ours.policy, ours.sims) == (written.ply, written.policy, written.sims)
        assert (ours.value, ours.root_value) == (written.value, written.root_value)


def test_resigned_games_come_back_where_the_format_can_say_it(game, write, read):
    whole = game(seed=4)
    record = build_record(whole.spec, 1, whole.agents, whole.moves[:40], end="resigned", resigned=1)
    for form in ("gamereplaydb", "selfplay-jsonl", "gamerecord-jsonl"):
        (found,), report = read(write([record], form))
        assert report.rejected == 0
        assert found.record.result == record.result
    with pytest.raises(UsageError, match="resigned"):
        write([record], "trace")


@pytest.mark.parametrize("form", FORMATS)
def test_a_start_of_ones_own_comes_back(game, write, read, form):
    whole = game("hex8", 3, seed=5)
    position = Position.of(whole.spec)
    for ply, move in enumerate(whole.moves):
        if position.phase == "chain_capture" or ply == len(whole.moves) // 2:
            break
        position.play(move)
    start, moves = str(position), []
    position = Position.parse(start, spec=whole.spec)
    for move in whole.moves[ply:]:
        if position.is_over or move not in position.legal_packed():
            break
        position.play(move)
        moves.append(move)
    record = build_record(whole.spec, 5, whole.agents, moves, start=start, max_plies=len(moves))
    (found,), report = read(write([record], form))
    assert report.rejected == 0
    assert play(found.record) == play(record)


def test_a_second_import_adds_nothing(games, write, tmp_path):
    store, path = tmp_path / "store.db", write(games[:4], "selfplay-jsonl")
    first, second = ImportReport(), ImportReport()
    would_import([path, path], ImportOptions(), store, planned := ImportReport())
    assert not store.exists()
    import_files([path], ImportOptions(), store, first)
    import_files([path], ImportOptions(), store, second)
    assert (planned.imported, planned.duplicate) == (4, 4)
    assert (first.imported, first.duplicate) == (4, 0)
    assert (second.imported, second.duplicate) == (0, 4)
    with GameStore.open(store) as opened:
        assert opened.count() == 4
        assert {row["split"] for row in opened.rows()} == {"never"}


def test_lines_may_be_compressed(games, write, read, tmp_path):
    path = tmp_path / "games.jsonl.gz"
    path.write_bytes(gzip.compress(write(games[:2], "trace").read_bytes()))
    found, _ = read(path)
    assert [one.record.moves for one in found] == [record.moves for record in games[:2]]


@pytest.mark.parametrize("form", ["gamerecord-jsonl", "selfplay-jsonl", "trace"])
def test_a_malformed_line_is_counted_and_named_and_the_others_go_on(games, write, read, form):
    path = write(games[:3], form)
    lines = path.read_text().splitlines()
    lines[1] = lines[1][:-100]
    path.write_text("\n".join(lines) + "\n")
    found, report = read(path)
    assert [one.record.moves for one in found] == [games[0].moves, games[2].moves]
    assert report.reasons == {"malformed": 1}
    (example,) = report.examples
    assert (example["file"], example["row"], example["game"]) == (str(path), 2, None)


def test_rejected_lines_go_to_quarantine_with_their_bytes(games, write, tmp_path):
    path, store = write(games[:1], "selfplay-jsonl"), tmp_path / "store.db"
    fields = json.loads(path.read_text())
    fields["winner"] = 3 - (fields["winner"] or 1)
    path.write_text(json.dumps(fields) + "\n")
    import_files([path], ImportOptions(), store, report := ImportReport())
    assert report.reasons == {"result": 1}
    with GameStore.open(store) as opened:
        (row,) = opened.quarantined()
    assert (row["reason"], row["source"]) == ("result", str(path))
    assert f"{path}:1" in row["detail"]
