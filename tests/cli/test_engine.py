"""`ringrift engine` and `ringrift bench` as a user runs them."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ringrift.records.traces import packaged_traces

START = (
    "ph=ring_placement;cur=1;only=-;pend=-;act=0;rec=0;st=active;win=0;"
    "hand=18,18;elim=0,0;terr=0,0;S=;M=;C="
)


def ringrift(*arguments, stdin=""):
    return subprocess.run(
        [str(Path(sys.executable).with_name("ringrift")), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def answer(*arguments, stdin=""):
    done = ringrift(*arguments, "--json", stdin=stdin)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def small_corpus():
    return next(str(p) for p in packaged_traces() if p.name == "special_square8_4p.jsonl.gz")


def test_parity_reports_games_and_plies():
    code, found = answer("engine", "parity", small_corpus())
    assert code == 0
    assert found["ok"]
    assert found["games"] >= 1
    assert found["plies"] > 0
    assert found["differences"] == []


def test_parity_exits_1_and_names_the_difference(tmp_path):
    games = gzip.decompress(Path(small_corpus()).read_bytes()).splitlines()
    game = json.loads(games[0])
    game["positions"][5]["h"] = "0" * 16
    path = tmp_path / "altered.jsonl"
    path.write_text(json.dumps(game) + "\n")
    code, found = answer("engine", "parity", str(path))
    assert code == 1
    assert not found["ok"]
    (difference,) = found["differences"]
    assert (difference["game"], difference["ply"], difference["what"]) == (1, 5, "state hash")
    assert difference["file"] == str(path)
    human = ringrift("engine", "parity", str(path))
    assert human.returncode == 1
    assert "ply 5 state hash" in human.stdout


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08garbage", b'{"format": 1}\n'])
def test_parity_of_bad_data_exits_6_in_one_line_or_checks_no_game(tmp_path, content):
    path = tmp_path / "bad.jsonl.gz"
    path.write_bytes(content if content.startswith(b"\x1f") else gzip.compress(content))
    done = ringrift("engine", "parity", str(path))
    assert done.returncode == (6 if content else 1)
    if content:
        (line,) = [text for text in done.stderr.splitlines() if text.startswith("error:")]
        assert str(path) in line
    assert "Traceback" not in done.stderr


def test_perft_counts():
    code, found = answer("engine", "perft", "--config-key", "hex8_3p", "--depth", "3")
    assert code == 0
    assert found["counts"] == [1, 183, 2430, 2430]


def test_show_draws_text_svg_and_state(tmp_path):
    code, found = answer("engine", "show", START)
    assert code == 0
    assert found["state"] == START
    assert found["legal_moves"] == 192
    piped = ringrift("engine", "show", "-", "--format", "state", stdin=START)
    assert piped.stdout.strip() == START
    target = tmp_path / "position.svg"
    done = ringrift(
        "engine", "show", "--moves", "P 3,3 2;M 3,3 3,6", "--format", "svg", "--output", str(target)
    )
    assert done.returncode == 0
    assert target.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("engine", "show", "--board", "square9"), 2, "square8"),
        (("engine", "show", "--players", "5"), 2, "players"),
        (("engine", "show", "--config-key", "square8"), 2, "configuration"),
        (("engine", "show", "--option", "rings_per_player=0"), 2, "rings_per_player"),
        (("engine", "show", "--option", "colour=red"), 2, "lps_rounds"),
        (("engine", "show", "ph=placement"), 6, "field"),
        (("engine", "show", "nowhere.txt"), 6, "nowhere.txt"),
        (("engine", "show", "--moves", "M 0,0 1,1"), 6, "not legal"),
        (("engine", "show", "--moves", "Q 0,0"), 6, "malformed move"),
        (("engine", "parity", "nowhere"), 6, "nowhere"),
        (("engine", "perft", "--depth", "99"), 2, "depth"),
        (("bench", "engine", "--playouts-only", "--boards", "go"), 2, "square8"),
        (("bench", "engine", "--playouts-only", "--players", "1"), 2, "players"),
    ],
)
def test_bad_input_is_one_line_and_the_documented_code(arguments, code, said):
    done = ringrift(*arguments)
    assert done.returncode == code, done.stderr
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("error:")]
    assert said in line
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_bench_prints_what_the_document_promises():
    code, found = answer(
        "bench", "engine", "--playouts-only", "--boards", "square8,hexagonal", "--players", "2",
        "--seconds", "0.2", "--threads", "1",
    )  # fmt: skip
    assert code == 0
    assert [r["configuration"] for r in found["results"]] == ["square8_2p", "hexagonal_2p"]
    for result in found["results"]:
        assert result["plies_per_s"] > 0
        assert result["games_per_s"] > 0
        assert result["threads"] == 1
    assert found["machine"]["cores"] >= 1
    assert "numba" in json.dumps(found)
