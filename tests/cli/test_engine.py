"""`ringrift engine` and `ringrift bench` as a user runs them."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ringrift.cli import main
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


@pytest.fixture
def program(capsys):
    """Run a command line in this process, which spares the start of another."""

    def run(*arguments):
        code = main.run(list(arguments))
        said = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=said.out, stderr=said.err)

    return run


def told(program, *arguments):
    done = program(*arguments, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def small_corpus():
    return next(str(p) for p in packaged_traces() if p.name == "special_square8_4p.jsonl.gz")


def altered_game(tmp_path, ply=5, **change):
    """A file of one recorded game with one ply changed; returns its path and the game."""
    game = json.loads(gzip.decompress(Path(small_corpus()).read_bytes()).splitlines()[0])
    game["positions"][ply].update(change)
    path = tmp_path / "altered.jsonl"
    path.write_text(json.dumps(game) + "\n")
    return path, game


ONE = ("--engines", "compiled", "--workers", "1")


@pytest.mark.slow
def test_parity_reports_games_and_plies_of_both_engines():
    code, found = answer("engine", "parity", small_corpus(), "--canonical", "--verbose")
    assert code == 0
    assert found["ok"]
    assert found["passed"]
    assert found["games"] >= 1
    assert found["plies"] > 0
    assert found["engines"] == ["compiled", "plain"]
    assert found["failures"] == []


@pytest.mark.acceptance
@pytest.mark.timeout(900)
def test_the_documented_line_exits_0():
    done = ringrift("engine", "parity", "--canonical", "--verbose")
    assert done.returncode == 0, done.stderr
    assert "0 divergences" in done.stdout


def test_parity_exits_1_and_names_the_difference(tmp_path, program):
    path, _ = altered_game(tmp_path, h="0" * 16)
    summary, fixtures, bundles = (tmp_path / name for name in ("sum.json", "fixtures", "bundles"))
    code, found = told(program,
        "engine", "parity", str(path), *ONE, "--summary-json", str(summary),
        "--emit-fixtures-dir", str(fixtures), "--emit-state-bundles-dir", str(bundles),
    )  # fmt: skip
    assert code == 1
    assert not found["ok"]
    (failure,) = found["failures"]
    assert (failure["game"], failure["diverged_at"]) == ("altered:1", 5)
    assert failure["mismatch_kinds"] == ["state hash"]
    assert failure["expected"] == {"state hash": "0" * 16}
    assert failure["file"] == str(path)
    assert json.loads(summary.read_text())["failures"] == [failure]
    (fixture,) = fixtures.iterdir()
    (bundle,) = bundles.iterdir()
    assert {str(fixture), str(bundle)} == set(found["written"])
    human = program("engine", "parity", "--scenario", str(fixture), *ONE)
    assert human.returncode == 1
    assert "ply 5 state hash" in human.stdout
    short = program("engine", "parity", str(path), *ONE, "--compact", "--no-fail")
    assert short.returncode == 0
    assert short.stdout.splitlines()[0] == "altered:1 compiled good ply 5 state hash"


def test_the_environment_says_where_games_go_and_whether_they_fail(tmp_path, monkeypatch, program):
    path, _ = altered_game(tmp_path, h="0" * 16)
    monkeypatch.setenv("RINGRIFT_PARITY_DUMP_DIR", str(tmp_path / "dump"))
    monkeypatch.setenv("RINGRIFT_PARITY_VALIDATION", "warn")
    done = program("engine", "parity", str(path), *ONE)
    assert done.returncode == 0
    assert len(list((tmp_path / "dump").iterdir())) == 1
    assert program("engine", "parity", str(path), *ONE, "--fail-on-divergence").returncode == 1
    monkeypatch.setenv("RINGRIFT_PARITY_VALIDATION", "loud")
    wrong = program("engine", "parity", str(path), *ONE)
    assert wrong.returncode == 78
    assert "RINGRIFT_PARITY_VALIDATION" in wrong.stderr


def test_parity_prints_one_game_side_by_side(tmp_path, program):
    path, game = altered_game(tmp_path, ply=1, h="0" * 16)
    words = ("engine", "parity", str(path), *ONE, "--trace-game", "altered:1")
    _, found = told(program, *words, "--trace-max-k", "2")
    rows = {(row["ply"], row["what"]): row for row in found["trace"]}
    assert max(ply for ply, _ in rows) == 1
    assert rows[1, "state hash"]["recorded"] == "0" * 16
    assert rows[0, "legal set"]["ours"] == game["positions"][0]["L"]
    human = program(*words)
    assert "DIFF  state hash" in human.stdout


def test_an_empty_selection_exits_1(tmp_path, program):
    words = ("engine", "parity", small_corpus(), *ONE, "--include-game-id", "nobody:1")
    done = program(*words)
    assert done.returncode == 1
    assert "no games checked" in done.stdout
    names = tmp_path / "ids.txt"
    names.write_text("special_square8_4p:1\n\n")
    code, found = told(program, *words, "--include-game-ids-file", str(names))
    assert (code, found["games"]) == (0, 1)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08garbage", b'{"format": 2}\n'])
def test_parity_of_bad_data_exits_6_in_one_line_or_checks_no_game(tmp_path, content, program):
    path = tmp_path / "bad.jsonl.gz"
    path.write_bytes(content if content.startswith(b"\x1f") else gzip.compress(content))
    done = program("engine", "parity", str(path), *ONE)
    assert done.returncode == (6 if content else 1)
    if content:
        (line,) = [text for text in done.stderr.splitlines() if text.startswith("error:")]
        assert str(path) in line
    assert "Traceback" not in done.stderr


def test_parity_of_a_damaged_game_exits_1_and_names_the_field(tmp_path, program):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"format": 1}\n')
    code, found = told(program, "engine", "parity", str(path), *ONE)
    assert (code, found["structural"]) == (1, 1)
    assert f"{path}:1" in found["failures"][0]["detail"]


# --- replay


def stored_games(tmp_path):
    """A file of two of our games, the second with a search at ply 3."""
    import random

    from ringrift.records import (
        AgentRef,
        Analysis,
        PlyAnalysis,
        build_record,
        quantize,
        write_jsonl,
    )
    from ringrift.rules import BoardSpec, Position

    spec = BoardSpec.create("square8", 2)
    agents = [AgentRef(spec=f"random:a={n}", agent_hash=f"{n:064x}") for n in (1, 2)]
    games = []
    for seed in range(2):
        rng, position, moves = random.Random(seed), Position.of(spec), []
        for _ in range(12):
            moves.append(int(rng.choice(position.legal_packed().tolist())))
            position.play(moves[-1])
        games.append(build_record(spec, seed, agents, moves, max_plies=12))
    move = games[1].moves[4]
    ply = PlyAnalysis(
        ply=4, kind="full", sims=8, value=(0.5, -0.5), root_value=(0.5, -0.5),
        policy=quantize({move: 1.0}),
    )  # fmt: skip
    analysis = Analysis(game=games[1].id, agent=agents[0].agent_hash, budget={}, plies=(ply,))
    path = tmp_path / "games.jsonl"
    write_jsonl(path, [(games[0], []), (games[1], [analysis])])
    return path, games


def test_replay_of_our_games_shows_a_ply_and_its_search(tmp_path, program):
    path, games = stored_games(tmp_path)
    code, found = told(program, "engine", "replay", str(path), "--ply", "4", "--game", "2")
    assert (code, found["kind"], found["id"]) == (0, "record", games[1].id)
    assert (found["ply"], found["plies"], found["fault"]) == (4, 12, None)
    assert found["search"]["policy"] == {found["move"]: 1.0}
    assert found["moves"][4] == found["move"]
    by_id = program("engine", "replay", str(path), "--game", games[0].id[:8], "--format", "state")
    assert by_id.stdout.startswith("ph=")
    target = tmp_path / "board.svg"
    drawn = program("engine", "replay", str(path), "--format", "svg", "--output", str(target))
    assert drawn.returncode == 0
    assert target.read_text().startswith("<svg")


def test_replay_of_a_game_that_is_not_as_told_exits_1_with_the_ply(tmp_path, program):
    path, _ = altered_game(tmp_path, h="0" * 16)
    code, found = told(program, "engine", "replay", str(path))
    assert (code, found["kind"], found["fault"]["ply"]) == (1, "recorded game", 5)
    games, _ = stored_games(tmp_path)
    line = json.loads(games.read_text().splitlines()[0])
    line["result"]["elim"] = [9, 9]
    games.write_text(json.dumps(line) + "\n")
    code, found = told(program, "engine", "replay", str(games))
    assert code == 6 or found["fault"]["reason"] == "result"


def test_replay_of_a_reproducer_and_of_a_position_with_moves(tmp_path, program):
    path = tmp_path / "anomaly.json"
    path.write_text(
        json.dumps(
            {"spec": {"board": "hex8", "players": 2}, "seed": 7, "moves": ["P 0,0,0 1", "NL"]}
        )
    )
    code, found = told(program, "engine", "replay", str(path))
    assert (code, found["configuration"], found["fault"]["ply"]) == (1, "hex8_2p", 1)
    assert found["state"].startswith("ph=movement;cur=1;only=0,0,0")
    path.write_text(json.dumps({"config": "square8_2p", "state": START, "moves": "P 3,3 2"}))
    code, found = told(program, "engine", "replay", str(path))
    assert (code, found["plies"], found["fault"]) == (0, 1, None)


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
        (("engine", "parity", "--engines", "fast"), 2, "compiled"),
        (("engine", "parity", "--engines", ","), 2, "no engine"),
        (("engine", "parity", "--canonical", "--mode", "legacy"), 2, "--mode"),
        (("engine", "parity", "--db", "nowhere.db", "--workers", "1"), 6, "nowhere.db"),
        (("engine", "parity", "--scenario", "nowhere.json", "--workers", "1"), 6, "nowhere.json"),
        (("engine", "parity", "--include-game-ids-file", "nowhere.txt"), 6, "nowhere.txt"),
        (("engine", "replay", "nowhere.json"), 6, "nowhere.json"),
        (("engine", "replay", small_corpus(), "--game", "99"), 2, "99"),
        (("engine", "replay", small_corpus(), "--ply", "9999"), 2, "9999"),
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
