"""`ringrift games import` and `export --to` as a user runs them."""

import json
import random
from pathlib import Path

import pytest

from ringrift.records import AgentRef, GameMeta, GameStore, build_record
from ringrift.records.foreign import FORMATS
from ringrift.rules import BoardSpec, Position


def make_game(seed):
    spec, rng = BoardSpec.create("square8", 2), random.Random(seed)
    position, moves = Position.of(spec), []
    while not position.is_over:
        moves.append(int(rng.choice(position.legal_packed().tolist())))
        position.play(moves[-1])
    agents = [AgentRef(spec=f"random:a={seat}", agent_hash=f"{seat:064x}") for seat in (1, 2)]
    return build_record(spec, seed, agents, moves, meta=GameMeta(started=1.7e9 + seed))


GAMES = [make_game(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    path = tmp_path_factory.mktemp("games") / "games.db"
    with GameStore.open(path, writer=True) as store:
        store.ingest([(game, None) for game in GAMES])
    return path


@pytest.fixture
def answer(ringrift):
    """Run a command line in an empty folder; returns (code, JSON object)."""

    def answer(*arguments):
        code, out, err = ringrift(*arguments, "--json")
        assert "Traceback" not in err
        return code, json.loads(out)

    return answer


@pytest.mark.parametrize("form", FORMATS)
def test_export_and_import_of_each_format(db, answer, form):
    out, store = Path("out"), Path("store.db")
    code, wrote = answer("games", "export", "--db", db, "--to", form, "--output", out)
    assert (code, wrote["games"], wrote["format"]) == (0, 3, form)
    code, found = answer("games", "import", out, "--db", store)
    assert (code, found["considered"], found["imported"]) == (0, 3, 3)
    with GameStore.open(store) as opened:
        moves = [record.moves for _, record, _ in opened.records()]
    assert moves == [game.moves for game in GAMES]


def test_rejected_games_are_named_and_strict_counts_them(db, answer):
    out, store, report = Path("out.jsonl"), Path("store.db"), Path("report.json")
    answer("games", "export", "--db", db, "--to", "selfplay-jsonl", "--output", out)
    lines = out.read_text().splitlines()
    out.write_text("\n".join([lines[0], "{broken", *lines[1:]]) + "\n")
    line = ("games", "import", out, "--db", store)
    code, planned = answer(*line, "--dry-run", "--limit", 2)
    assert (code, planned["considered"], planned["imported"]) == (0, 2, 1)
    assert not store.exists()
    code, found = answer(*line, "--strict", "--report", report)
    assert (code, found["imported"], found["reasons"]) == (1, 3, {"malformed": 1})
    assert (found["examples"][0]["row"], found["examples"][0]["file"]) == (2, str(out))
    assert json.loads(report.read_text())["imported"] == 3
    code, found = answer(*line)
    assert (code, found["imported"], found["duplicate"]) == (1, 0, 3)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing.jsonl"], 6, "no such file"),
        (["empty.jsonl"], 6, "no known foreign format"),
        (["empty.jsonl", "--from", "pgn"], 2, "gamerecord-jsonl"),
        (["empty.jsonl", "--from", "gamereplaydb"], 6, "no SQLite database"),
        (["empty.jsonl", "--mode", "loose"], 2, "legacy"),
        (["empty.jsonl", "--line-length", "5"], 2, "auto"),
        (["own.jsonl"], 2, "games merge"),
    ],
)
def test_mistakes_are_named(db, answer, words, code, said):
    Path("empty.jsonl").touch()
    if "own.jsonl" in words:
        answer("games", "export", "--db", db, "--output", "own.jsonl")
    found, told = answer("games", "import", *words, "--db", "store.db")
    assert found == code
    assert said in json.dumps(told["error"])


def test_snapshots_are_for_databases_only(db, answer):
    line = ("games", "export", "--db", db, "--output", "x", "--snapshots", 5)
    code, told = answer(*line)
    assert code == 2
    assert told["error"]["hint"] == "--to gamereplaydb"
