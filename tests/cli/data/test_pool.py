"""`data pool` and `data ingest`: codes, what is written beside the store, what a second run does."""

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ringrift.cli.reference.schemas import schema_of
from ringrift.cli.selfplay.order import _kind_of
from ringrift.core.paths import Paths
from ringrift.records import GameStore

from ...data.pool.files import lines_of, make_game, of_purpose, tampered

sys.path.insert(0, str(Path(__file__).parents[1]))
from json_schema import problems

sys.path.pop(0)

GAMES = [make_game(seed=seed) for seed in range(12)]


@pytest.fixture
def root(tmp_path, monkeypatch):
    folder = tmp_path / "root"
    Paths(folder).create()
    run = folder / "data" / "selfplay" / "square8_2p" / "run-1"
    run.mkdir(parents=True)
    (run / "header.json").write_text("{}")
    (run / "games.jsonl").write_bytes(b"".join(lines_of(*GAMES[:8])))
    monkeypatch.setenv("RINGRIFT_ROOT", str(folder))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def call(ringrift, root):
    def run(*words):
        code, out, err = ringrift("data", *words, "--json")
        fields = json.loads(out)
        if "error" not in fields:
            assert problems(schema_of(f"data {words[0]}"), fields) == []
        return code, fields, err

    return run


def test_without_inputs_it_scans_what_self_play_left_but_not_its_own_outputs(call, root):
    with GameStore.open(root / "data" / "games" / "selfplay.db", writer=True) as store:
        store.ingest([(GAMES[9], None)])
    options = ("--output", "data/games/canonical.db", "--holdout-db", "data/games/h.db")
    code, fields, _ = call("pool", *options)
    assert (code, fields["totals"]["games_considered"]) == (0, 9)
    assert [Path(one["path"]).name for one in fields["inputs"]] == ["games.jsonl", "selfplay.db"]
    registry = json.loads((root / "data" / "registry.json").read_text())
    assert registry["stores"]["data/games/canonical.db"]["games"] == 9
    assert (root / "cache" / "game_summaries.db").is_file()
    code, fields, _ = call("pool", *options)
    assert (code, fields["totals"]["games_considered"]) == (0, 0)
    assert call("verify-sources", "--db", "data/games/canonical.db")[0] == 0


def test_an_input_of_which_more_than_a_tenth_fails_is_code_1(call, root):
    path = root / "mixed.jsonl"
    path.write_bytes(b"".join([*lines_of(*GAMES[:8]), tampered(GAMES[8], 9)]))
    code, fields, _ = call("pool", "--input-db", str(path), "--report-json", "reports/r.json")
    assert (code, fields["failing_inputs"]) == (1, [str(path)])
    assert fields["totals"]["quarantined"] == {"illegal_move": 1}
    written = json.loads((root / "reports" / "r.json").read_text())
    assert written["parity_summary"] == fields["parity_summary"]
    path.write_bytes(b"".join([*lines_of(*GAMES[:11]), tampered(GAMES[11], 9)]))
    assert call("pool", "--input-db", str(path), "--output", "other.db")[0] == 0


def test_several_words_after_the_input_option_and_what_is_not_there(call, root, ringrift):
    for i in range(2):
        (root / f"part{i}.jsonl").write_bytes(lines_of(GAMES[i])[0])
    code, fields, _ = call("pool", "--input-db", "part0.jsonl", "part1.jsonl", "--output", "o.db")
    assert (code, fields["totals"]["games_considered"]) == (0, 2)
    code, fields, _ = call("pool", "--scan-dir", "data/selfplay", "--output", "p.db")
    assert (code, fields["totals"]["games_considered"]) == (0, 8)
    for words, named in (
        (["--input-db", "nope.jsonl"], "nope.jsonl"),
        (["--scan-dir", "nope"], "nope"),
        (["--mode", "loose"], "--mode"),
        (["--board", "square9"], "square9"),
    ):
        code, out, err = ringrift("data", "pool", *words, "--output", "o.db")
        assert (code, out) == (2, "")
        assert named in err


def test_inputs_that_cannot_be_read(call, root):
    with closing(sqlite3.connect(root / "other.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    code, fields, _ = call("pool", "--input-db", "other.db", "--output", "o.db")
    assert (code, fields["error"]["code"]) == (6, 6)
    good = "data/selfplay/square8_2p/run-1/games.jsonl"
    code, fields, _ = call("pool", "--input-db", "other.db", good, "--output", "o.db")
    assert (code, fields["totals"]["games_considered"]) == (5, 8)
    assert "expected games" in fields["inputs"][0]["error"]


def test_a_dry_run_writes_nothing(call, root):
    before = sorted(path for path in root.rglob("*"))
    code, fields, _ = call("pool", "--output", "o.db", "--report-json", "r.json", "--dry-run")
    assert (code, fields["totals"]["games_considered"]) == (0, 8)
    assert sorted(path for path in root.rglob("*")) == before


def test_a_recheck_goes_over_what_an_older_gate_let_in(call, root):
    call("pool", "--output", "o.db")
    with closing(sqlite3.connect(root / "o.db")) as connection, connection:
        connection.execute("UPDATE games SET gate_version = 0")
    code, fields, _ = call("pool", "--output", "o.db", "--recheck-existing")
    assert (code, fields["rechecked"], fields["withdrawn"]) == (0, 8, 0)
    assert call("pool", "--output", "o.db", "--recheck-existing")[1]["rechecked"] == 0


def test_the_text_names_inputs_refusals_and_what_was_taken(ringrift, root):
    path = root / "a.jsonl"
    lines = lines_of(*GAMES[:2], of_purpose(GAMES[3], "match"))
    path.write_bytes(b"".join([*lines, b"{\n"]))
    code, out, _ = ringrift("data", "pool", "--input-db", "a.jsonl", "--output", "o.db")
    assert code == 1
    assert f"{path.name}:4" in out
    assert "o.db took 3 games" in out
    assert "more than 10% failed: a.jsonl (1 of 4)" in out


# --- ingest


def test_ingest_takes_a_tree_and_then_only_what_is_new(call, root):
    folder = root / "data" / "selfplay" / "aggregated"
    for name, games in (("north", GAMES[:4]), ("south", GAMES[4:8])):
        (folder / name).mkdir(parents=True)
        (folder / name / "games.jsonl").write_bytes(b"".join(lines_of(*games)))
    code, fields, _ = call("ingest", "--sources", "north")
    assert (code, fields["totals"]["games_considered"]) == (0, 4)
    assert fields["output"] == str(root / "data" / "games" / "training_aggregated.db")
    assert call("ingest")[1]["totals"]["games_considered"] == 4
    with (folder / "south" / "games.jsonl").open("ab") as file:
        file.write(lines_of(GAMES[8])[0][:99])
    totals = call("ingest", "--sources", "south", "north")[1]["totals"]
    assert (totals["games_considered"], totals["unfinished_lines"]) == (0, 1)
    code, fields, _ = call("ingest", "--sources", "west")
    assert (code, fields["error"]["hint"]) == (2, "north, south")
    code, fields, _ = call("ingest", "--input-dir", "nope")
    assert code == 2


@pytest.mark.slow
def test_a_store_of_self_play_elsewhere_is_no_source_of_training(ringrift, root):
    words = [
        "--engine-mode",
        "random-only",
        "--num-games",
        "1",
        "--workers",
        "1",
        "--seed",
        "3",
        "-q",
    ]
    code, _, err = ringrift("selfplay", "run", *words, "--record-db", "own.db")
    assert code == 0, err
    with GameStore.open(root / "own.db") as store:
        assert store.kind == "selfplay"
    code, fields, _ = ringrift("data", "verify-sources", "--db", "own.db", "--json")
    assert (code, "not_canonical" in fields) == (1, True)
    paths = Paths(root)
    assert _kind_of(Path("data/games/games.db"), paths) == "canonical"
    assert _kind_of(root / "data" / "games" / "selfplay.db", paths) == "selfplay"
