"""`ringrift games` as a user runs it."""

import dataclasses
import json
import random
import sqlite3
import subprocess
import sys
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
from ringrift.rules import BoardSpec, Position


def make_game(seed, purpose):
    spec, rng = BoardSpec.create("square8", 2), random.Random(seed)
    position, moves = Position.of(spec), []
    while not position.is_over:
        moves.append(int(rng.choice(position.legal_packed().tolist())))
        position.play(moves[-1])
    agents = [AgentRef(spec=f"random:a={seat}", agent_hash=f"{seat:064x}") for seat in (1, 2)]
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


def ringrift(*arguments):
    return subprocess.run(
        [str(Path(sys.executable).with_name("ringrift")), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def answer(*arguments):
    done = ringrift(*arguments, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_list_shows_the_newest_first(db):
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


def test_show_draws_a_ply(db, tmp_path):
    game, svg = GAMES[2], tmp_path / "board.svg"
    code, found = answer("games", "show", game.id[:8], "--db", db, "--ply", 0, "--svg", svg)
    assert code == 0
    assert found["id"] == game.id
    assert found["position"] == str(Position.of(game.spec))
    assert len(found["moves"]) == len(game.moves)
    assert len(found["search"]["policy"]) == 3
    assert svg.read_text(encoding="utf-8").startswith("<svg")
    done = ringrift("games", "show", game.id, "--db", db)
    assert done.returncode == 0, done.stderr
    assert game.result.reason in done.stdout
    code, found = answer("games", "show", game.id, "--db", db)
    assert (found["ply"], found["search"]) == (len(game.moves), None)


def test_verify_replays_everything(db):
    code, found = answer("games", "verify", "--db", db)
    assert (code, found["ok"], found["games"], found["failures"]) == (0, True, 6, [])
    assert found["plies"] == sum(len(game.moves) for game in GAMES)
    assert answer("games", "verify", "--db", db, "--config-key", "hex8_2p")[0] == 1


def test_a_tampered_game_is_named_and_withdrawn(tmp_path):
    path = tmp_path / "games.db"
    with GameStore.open(path, writer=True) as store:
        store.ingest([(game, None) for game in GAMES])
    moves = list(GAMES[1].moves)
    moves[8] = 5
    forged = dataclasses.replace(GAMES[1], moves=tuple(moves))
    connection = sqlite3.connect(path)
    connection.execute("UPDATE games SET record = ? WHERE seq = 2", (to_bytes(forged),))
    connection.commit()
    connection.close()
    code, found = answer("games", "verify", "--db", path)
    assert (code, found["ok"]) == (1, False)
    assert [(f["id"], f["reason"], f["ply"]) for f in found["failures"]] == [
        (GAMES[1].id, "illegal_move", 8)
    ]
    assert answer("games", "list", "--db", path)[1]["total"] == 5
    refused = answer("games", "list", "--db", path, "--quarantined")[1]["quarantined"]
    assert [(row["reason"], row["ply"]) for row in refused] == [("illegal_move", 8)]
    assert answer("games", "verify", "--db", path)[0] == 0


def test_export_and_verify_the_file(db, tmp_path):
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
def test_mistakes_are_one_line(db, arguments, code):
    words = ["games", *arguments]
    if "--db" not in words and "verify" not in words:
        words += ["--db", str(db)]
    done = ringrift(*words)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_is_no_store_is_bad_data(tmp_path):
    path = tmp_path / "games.db"
    path.write_text("this is not SQLite at all" * 100, encoding="utf-8")
    for command in (["list"], ["verify"], ["show", "abcdef"]):
        done = ringrift("games", *command, "--db", path)
        assert done.returncode == 6, done.stderr
        assert str(path) in done.stderr
