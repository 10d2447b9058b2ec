"""`ringrift games` as a user runs it."""

import dataclasses
import json
import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ringrift.records import (
    AgentRef,
    Analysis,
    GameMeta,
    GameStore,
    PlyAnalysis,
    build_record,
    quantize,
    read_jsonl,
    to_bytes,
)
from ringrift.records.schema import MIGRATIONS
from ringrift.records.shards import write_shards
from ringrift.rules import BoardSpec, Position

from ..records.tables import tamper


def make_game(seed, purpose):
    spec, rng = BoardSpec.create("square8", 2), random.Random(seed)
    position, moves = Position.of(spec), []
    while not position.is_over:
        moves.append(int(rng.choice(position.legal_packed().tolist())))
        position.play(moves[-1])
    model = "0f" * 32 if seed in (1, 3) else None
    agents = [
        AgentRef(spec=f"random:a={seat}", agent_hash=f"{seat:064x}", model_id=model)
        for seat in (1, 2)
    ]
    meta = GameMeta(purpose=purpose, run="r1", index=seed, started=1.7e9 + seed)
    return build_record(spec, seed, agents, moves, meta=meta)


def make_search(game):
    legal = Position.of(game.spec).legal_packed().tolist()[:3]
    ply = PlyAnalysis(
        ply=0,
        kind="full",
        sims=16,
        value=(0.25, -0.25),
        root_value=(0.5, -0.5),
        policy=quantize(dict.fromkeys(legal, 1.0)),
    )
    return Analysis(game=game.id, agent="a", budget={"sims": 16}, plies=(ply,))


GAMES = [make_game(seed, "match" if seed % 2 else "selfplay") for seed in range(6)]


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    path = tmp_path_factory.mktemp("games") / "games.db"
    with GameStore.open(path, writer=True) as store:
        store.ingest([(game, make_search(game)) for game in GAMES])
    return path


@pytest.fixture
def ringrift(ringrift):
    def run(*arguments):
        return subprocess.CompletedProcess(arguments, *ringrift(*arguments))

    return run


@pytest.fixture
def answer(ringrift):
    def ask(*arguments):
        done = ringrift(*arguments, "--json")
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return ask


def test_list_shows_the_newest_first(db, answer, ringrift):
    code, found = answer("games", "list", "--db", db)
    assert code == 0
    assert [game["id"] for game in found["games"]] == [game.id for game in reversed(GAMES)]
    assert found["total"] == 6
    code, found = answer(
        "games", "list", "--db", db, "--purpose", "match", "--limit", 2, "--config-key", "sq8_2p"
    )
    assert [game["id"] for game in found["games"]] == [GAMES[5].id, GAMES[3].id]
    assert "square8_2p" in ringrift("games", "list", "--db", db).stdout
    assert answer("games", "list", "--db", db, "--since", "2999-01-01")[1]["games"] == []
    assert answer("games", "list", "--db", db, "--quarantined")[1]["quarantined"] == []


def test_show_draws_a_ply(db, tmp_path, answer, ringrift):
    game, svg = GAMES[2], tmp_path / "drawings" / "board.svg"
    code, found = answer("games", "show", game.id[:8], "--db", db, "--ply", 0, "--svg", svg)
    assert code == 0
    assert found["id"] == game.id
    assert found["position"] == str(Position.of(game.spec))
    assert len(found["moves"]) == len(game.moves)
    assert len(found["search"]["policy"]) == 3
    assert (found["search"]["agent"], found["search"]["visits"]) == ("a", None)
    assert found["searched_plies"] == [0]
    drawn = ringrift("games", "show", game.id[:6], "--db", db, "--ply", 0).stdout
    assert "full search of 16 simulations" in " ".join(drawn.split())
    assert "1 with a search" in drawn
    assert all(text in drawn for text in found["search"]["policy"])
    assert svg.read_text(encoding="utf-8").startswith("<svg")
    done = ringrift("games", "show", game.id, "--db", db)
    assert done.returncode == 0, done.stderr
    assert game.result.reason in done.stdout
    code, found = answer("games", "show", game.id, "--db", db)
    assert (found["ply"], found["search"]) == (len(game.moves), None)


def test_verify_replays_everything(db, answer):
    code, found = answer("games", "verify", "--db", db)
    assert (code, found["ok"], found["games"], found["failures"]) == (0, True, 6, [])
    assert found["plies"] == sum(len(game.moves) for game in GAMES)
    assert answer("games", "verify", "--db", db, "--config-key", "hex8_2p")[0] == 1


def test_a_tampered_game_is_named_and_withdrawn(tmp_path, answer, ringrift):
    path = tmp_path / "games.db"
    with GameStore.open(path, writer=True) as store:
        store.ingest([(game, None) for game in GAMES])
    wrong = dataclasses.replace(GAMES[1].result, final_hash="0" * 16)
    forged = dataclasses.replace(GAMES[1], result=wrong)
    tamper(path, "UPDATE games SET record = ? WHERE seq = 2", to_bytes(forged))
    code, found = answer("games", "verify", "--db", path)
    assert (code, found["ok"], found["quarantined"]) == (1, False, 1)
    assert [(f["id"], f["reason"], f["ply"], f["engine"]) for f in found["failures"]] == [
        (GAMES[1].id, "result", len(GAMES[1].moves) - 1, "compiled")
    ]
    assert answer("games", "list", "--db", path)[1]["total"] == 5
    refused = answer("games", "list", "--db", path, "--quarantined")[1]["quarantined"]
    assert [(row["reason"], row["ply"]) for row in refused] == [("result", len(GAMES[1].moves) - 1)]
    listed = ("games", "list", "--db", path, "--quarantined")
    assert answer(*listed, "--reason", "hash")[1]["quarantined"] == []
    assert len(answer(*listed, "--reason", "result", "--limit", 1)[1]["quarantined"]) == 1
    assert ringrift(*listed, "--run", "r1").returncode == 2
    assert answer("games", "verify", "--db", path)[0] == 0


def test_verify_takes_every_filter_and_a_part(db, answer, ringrift):
    def count(*words):
        code, found = answer("games", "verify", "--db", db, *words)
        assert code == (0 if found["games"] else 1)
        return found["games"]

    assert count("--limit", 4, "--purpose", "match") == 3
    assert count("--run", "r1", "--since", "2026-01-01", "--reason", GAMES[0].result.reason) >= 1
    assert count("--since", "2999-01-01") == 0
    assert count("--sample", 0.5) == len([g for g in GAMES if int(g.id[-8:], 16) < 1 << 31])
    assert count("--model", "0f" * 4) == 2
    assert ringrift("games", "list", "--db", db, "--model", "0f" * 4).stdout.count("match") == 2
    for words in (["--sample", "0"], ["--model", "abcdef"], ["--engine", "fast"]):
        done = ringrift("games", "verify", "--db", db, *words)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_verify_on_both_engines(db, answer):
    code, found = answer("games", "verify", "--db", db, "--engine", "both", "--limit", 1)
    assert (code, found["engine"], found["games"]) == (0, "both", 1)
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ringrift")), "games", "verify", "--db", str(db)],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--engine plain" in done.stderr


def test_verify_brings_an_older_store_up_to_date(tmp_path, answer, ringrift):
    path = tmp_path / "games.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 1")
    done = ringrift("games", "list", "--db", path)
    assert done.returncode == 6
    assert "ringrift games verify" in done.stderr
    assert answer("games", "verify", "--db", path)[1]["games"] == 0
    assert answer("games", "list", "--db", path)[1]["total"] == 0


def test_verify_shards_and_other_files(db, tmp_path, answer, ringrift):
    items = [(game, [make_search(game)]) for game in GAMES]
    (shard,) = write_shards(tmp_path, items)
    code, found = answer("games", "verify", shard.path, "--purpose", "match")
    assert (code, found["games"]) == (0, 3)
    assert answer("games", "verify", shard.path, "--limit", 2)[1]["games"] == 2
    assert answer("games", "verify", shard.path, db)[1]["games"] == 12
    content = bytearray(shard.path.read_bytes())
    content[len(content) // 2] ^= 1
    shard.path.write_bytes(content)
    done = ringrift("games", "verify", shard.path)
    assert done.returncode == 6
    assert str(shard.path) in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_export_and_verify_the_file(db, tmp_path, answer, ringrift):
    path = tmp_path / "out" / "games.jsonl"
    code, found = answer("games", "export", "--db", db, "--output", path, "--purpose", "selfplay")
    assert (code, found["games"]) == (0, 3)
    assert [game for game, _ in read_jsonl(path)] == GAMES[::2]
    assert answer("games", "verify", path)[1]["games"] == 3
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"seed":2', '"seed":3'), encoding="utf-8")
    done = ringrift("games", "verify", path)
    assert done.returncode == 6
    assert f"{path}:3" in done.stderr
    assert "Traceback" not in done.stderr
    dry = tmp_path / "dry.jsonl"
    assert answer("games", "export", "--db", db, "--output", dry, "--dry-run")[1]["games"] == 6
    assert not dry.exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["list", "--db", "none.db"], 2),
        (["list", "--config-key", "square9_2p"], 2),
        (["list", "--purpose", "fun"], 2),
        (["show", "zzz"], 2),
        (["show", "abcdef0123"], 2),
        (["show", GAMES[0].id, "--ply", "9999"], 2),
        (["export", "--output", "x.jsonl", "--run", "none"], 1),
        (["verify", "no-such-file.jsonl"], 6),
    ],
)
def test_mistakes_are_one_line(db, arguments, code, ringrift):
    words = ["games", *arguments]
    if "--db" not in words and "verify" not in words:
        words += ["--db", str(db)]
    done = ringrift(*words)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_is_no_store_is_bad_data(tmp_path, ringrift):
    path = tmp_path / "games.db"
    path.write_text("this is not SQLite at all" * 100, encoding="utf-8")
    for command in (["list"], ["verify"], ["show", "abcdef"]):
        done = ringrift("games", *command, "--db", path)
        assert done.returncode == 6, done.stderr
        assert str(path) in done.stderr
