"""Parity with the recorded games of the reference engine, and what a damaged record gets."""

import gzip
import json
from pathlib import Path

import pytest

from ringrift.core.errors import DataError
from ringrift.records import parity
from ringrift.records.traces import packaged_traces, read_traces, trace_files

ALL_TRACES = Path(__file__).resolve().parents[3] / "shared" / "traces"
CONFIGS = {(b, n) for b in ("square8", "hex8", "square19", "hexagonal") for n in (2, 3, 4)}
MOVES = {
    "P",
    "SP",
    "NP",
    "SW",
    "M",
    "C",
    "K",
    "SC",
    "NM",
    "R",
    "SR",
    "L",
    "O",
    "NL",
    "T",
    "ST",
    "NT",
    "E",
    "F",
}
REASONS = {"ring_elimination", "territory_control", "last_player_standing", "lps_rounds"}


@pytest.fixture
def game():
    """One short recorded game, free to be altered."""
    path = next(p for p in packaged_traces() if p.name == "scenario_square8.jsonl.gz")
    return next(read_traces(path)).game


def write(path, *games):
    data = "".join(json.dumps(g) + "\n" for g in games).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def first_difference(path):
    (trace,) = read_traces(path)
    return parity.replay(trace, parity.Report())


def test_packaged_games_replay_without_a_difference():
    report = parity.check(packaged_traces())
    assert report.differences == []
    assert report.games >= 100
    assert report.skipped == 0


def test_packaged_games_show_every_configuration_move_and_end():
    configs, variants, moves, reasons = set(), set(), set(), set()
    for path in packaged_traces():
        for trace in read_traces(path):
            game = trace.game
            configs.add((game["board_type"], game["num_players"]))
            variants.add((game["board_type"], game["engine_variant"]))
            moves |= {p["m"].split(" ")[0] for p in game["positions"]}
            reasons.add(game["result"]["reason"])
    assert configs == CONFIGS
    assert ("hex8", "hex8line3") in variants
    assert moves == MOVES
    assert reasons >= REASONS
    assert sum(p.stat().st_size for p in packaged_traces()) <= 2_000_000


@pytest.mark.slow
@pytest.mark.skipif(
    not ALL_TRACES.is_dir(), reason="the full recordings are not beside this checkout"
)
def test_all_recorded_games_replay_without_a_difference():
    report = parity.check(trace_files([ALL_TRACES]))
    assert report.differences == []
    assert report.games + report.skipped == 2200
    assert report.skipped <= 38


@pytest.mark.slow
def test_plain_python_replays_the_packaged_games():
    files = [p for p in packaged_traces() if "hexagonal" not in p.name and "19" not in p.name]
    report = parity.check(files, engine="plain", limit=2)
    assert report.differences == []
    assert report.games >= 20


def test_each_kind_of_record_is_compared(game, tmp_path):
    """Alter one recorded fact at a time; each must be reported, with its ply."""
    last = len(game["positions"]) - 1
    faults = {
        "phase": (3, {"ph": "capture"}),
        "player": (3, {"c": 2 if game["positions"][3]["c"] == 1 else 1}),
        "legal set": (3, {"L": "NP"}),
        "legal moves": (3, {"n": 999}),
        "state hash": (3, {"h": "0" * 16}),
        "lps": (3, {"lps": "9/9/9/9/9/9:9"}),
        "border": (3, {"tb": "0,0:1"}),
    }
    for what, (ply, change) in faults.items():
        altered = json.loads(json.dumps(game))
        altered["positions"][ply].update(change)
        found = first_difference(write(tmp_path / "altered.jsonl", altered))
        assert found is not None, what
        assert (found.what, found.ply) == (what, ply)
    altered = json.loads(json.dumps(game))
    altered["result"]["winner"] = 3 - (altered["result"]["winner"] or 1)
    found = first_difference(write(tmp_path / "altered.jsonl", altered))
    assert (found.what, found.ply) == ("winner", last)


def test_an_illegal_recorded_move_is_a_difference_not_a_crash(game, tmp_path):
    game["positions"][2]["m"] = "F 0,0"
    found = first_difference(write(tmp_path / "illegal.jsonl", game))
    assert found.ply == 2
    assert "not legal" in found.got


def test_other_line_length_is_found_on_hex8_of_three_players():
    """The option that tells the two recorded variants apart must matter."""
    path = next(p for p in packaged_traces() if p.name == "special_hex8_3p.jsonl.gz")
    differing = 0
    for trace in read_traces(path):
        trace.game["engine_variant"] = "stock"
        differing += parity.replay(trace, parity.Report()) is not None
    assert differing > 0


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[: len(data) // 2], "damaged file"),
        (lambda data: b"\x1f\x8b" + bytes(200), "damaged file"),
        (lambda data: gzip.compress(b"{not json}\n"), "malformed JSON"),
        (lambda data: gzip.compress(b'{"format": 9}\n'), "format 1"),
        (lambda data: gzip.compress(b'{"format": 1}\n'), "missing"),
        (lambda data: gzip.compress(b"\xff\xfe\n"), "damaged file"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(damage, said, tmp_path):
    path = tmp_path / "broken.jsonl.gz"
    path.write_bytes(damage(packaged_traces()[0].read_bytes()))
    with pytest.raises(DataError) as caught:
        parity.replay_batch(list(read_traces(path)))
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("board_type", "square9"),
        ("num_players", 5),
        ("engine_variant", "other"),
        ("initial", "ph=lines"),
        ("initial_hash", "0" * 16),
        ("positions", []),
        ("moves", None),
        ("result", {}),
    ],
)
def test_a_malformed_game_is_a_data_error(game, field, value, tmp_path):
    game[field] = value
    (trace,) = read_traces(write(tmp_path / "bad.jsonl", game))
    with pytest.raises(DataError) as caught:
        parity.replay(trace, parity.Report())
    assert str(tmp_path) in str(caught.value)


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        trace_files([tmp_path / "absent"])
    with pytest.raises(DataError, match="without recorded games"):
        trace_files([tmp_path])
