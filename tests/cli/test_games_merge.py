"""`ringrift games merge`, `diff` and `split-shards` as a user runs them."""

import dataclasses
import json
import random
from pathlib import Path

import pytest

from ringrift.records import AgentRef, GameMeta, GameStore, build_record, write_jsonl
from ringrift.records.shards import read_shard
from ringrift.rules import BoardSpec, Position


def make_game(seed, board="square8", host="here"):
    spec, rng = BoardSpec.create(board, 2), random.Random(seed)
    position, moves = Position.of(spec), []
    while len(moves) < 20:
        moves.append(int(rng.choice(position.legal_packed().tolist())))
        position.play(moves[-1])
    agents = [
        AgentRef(spec=f"random:a={seat}", agent_hash=f"{seat:064x}", model_id=f"{seed:064x}")
        for seat in (1, 2)
    ]
    purpose = "match" if seed % 2 else "selfplay"
    meta = GameMeta(purpose=purpose, run="r1", host=host, started=1.7e9 + seed)
    return build_record(spec, seed, agents, moves, meta=meta, max_plies=20)


GAMES = [make_game(seed, "hex8" if seed == 4 else "square8") for seed in range(6)]
IDS = [game.id for game in GAMES]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A store of games 0 to 4 and JSON lines of 3 to 5."""
    folder = tmp_path_factory.mktemp("games")
    with GameStore.open(folder / "games.db", writer=True) as store:
        store.ingest([(game, None) for game in GAMES[:5]])
    write_jsonl(folder / "games.jsonl", [(game, []) for game in GAMES[3:]])
    return folder / "games.db", folder / "games.jsonl"


@pytest.fixture
def answer(ringrift):
    def ask(*arguments):
        code, out, err = ringrift(*arguments, "--json")
        assert out, err
        return code, json.loads(out)

    return ask


def test_merge_and_diff(ringrift, answer, files, tmp_path):
    out = tmp_path / "all.jsonl"
    code, found = answer("games", "merge", out, *files)
    assert (code, found["games"], found["kind"], found["shards"]) == (0, 6, "jsonl", [])
    assert [(i["kind"], i["games"], i["new"]) for i in found["inputs"]] == [
        ("store", 5, 5),
        ("jsonl", 3, 1),
    ]
    code, found = answer("games", "diff", files[0], out)
    assert (code, found["ok"], found["both"]) == (1, False, 5)
    assert (found["only_a"], found["only_b"]) == ([], [IDS[5]])
    code, text, _ = ringrift("games", "diff", out, files[0])
    assert code == 1
    assert text.splitlines()[0] == f"- {IDS[5]}"
    code, found = answer("games", "diff", files[0], out, "--purpose", "selfplay")
    assert (code, found["ok"], found["both"]) == (0, True, 3)


def test_merge_into_a_store_and_into_shards(ringrift, answer, files, tmp_path):
    code, found = answer("games", "merge", tmp_path / "new.db", *files, "--model", f"{5:064x}")
    assert (code, found["games"], found["added"], found["quarantined"]) == (0, 1, 1, {})
    folder = tmp_path / "shards"
    assert answer("games", "merge", folder, *files, "--dry-run")[1]["games"] == 6
    assert not folder.exists()
    code, found = answer("games", "merge", folder, *files)
    assert (code, len(found["shards"])) == (0, 2)
    assert {game.id for path in found["shards"] for game, _ in read_shard(path)} == set(IDS)
    assert ringrift("games", "diff", *found["shards"])[0] == 1


def test_games_that_do_not_verify_are_said_with_5(answer, files, tmp_path):
    result = dataclasses.replace(GAMES[5].result, terr=(9, 9))
    game = dataclasses.replace(GAMES[5], result=result)
    bad = tmp_path / "bad.jsonl"
    write_jsonl(bad, [(game, []), (GAMES[3], [])])
    code, found = answer("games", "merge", tmp_path / "new.db", bad)
    assert (code, found["ok"], found["quarantined"], found["added"]) == (5, False, {"result": 1}, 1)


def test_the_same_id_with_other_bytes_is_exit_4(ringrift, files, tmp_path):
    other = tmp_path / "other.jsonl"
    write_jsonl(other, [(make_game(0, host="elsewhere"), [])])
    code, _, err = ringrift("games", "merge", tmp_path / "all.jsonl", files[0], other)
    assert code == 4
    assert IDS[0] in err
    assert str(other) in err
    assert not (tmp_path / "all.jsonl").exists()


def test_split_shards(answer, files, tmp_path):
    folder = tmp_path / "shards"
    assert (
        answer("games", "split-shards", "--db", files[0], "--output", folder, "--dry-run")[0] == 0
    )
    assert not folder.exists()
    code, found = answer("games", "split-shards", "--db", files[0], "--output", folder)
    assert (code, found["games"]) == (0, 5)
    assert sorted((s["config"], s["games"]) for s in found["shards"]) == [
        ("hex8_2p", 1),
        ("square8_2p", 4),
    ]
    for shard in found["shards"]:
        path = Path(shard["path"])
        assert path.stat().st_size == shard["bytes"]
        assert path.name == f"games-{shard['config']}-{shard['sha256'][:32]}.rrshard"
    few = tmp_path / "few"
    code, found = answer(
        *("games", "split-shards", "--db", files[0], "--output", few, "--max-mb", 1),
        *("--config-key", "sq8_2p", "--limit", 2),
    )
    assert [game.id for s in found["shards"] for game, _ in read_shard(s["path"])] == IDS[2:4]


def test_damage_is_named_with_file_and_place(ringrift, answer, files, tmp_path):
    code, found = answer("games", "split-shards", "--db", files[0], "--output", tmp_path)
    assert code == 0
    path = Path(found["shards"][0]["path"])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    lines = files[1].read_text().splitlines()
    text = tmp_path / "bad.jsonl"
    text.write_text("\n".join([lines[0], lines[1].replace('"swap_rule"', '"swop_rule"')]) + "\n")
    for bad, place in ((path, f"{path} byte "), (text, f"{text}:2 field spec")):
        for words in (["merge", tmp_path / "out.jsonl", bad], ["diff", files[0], bad]):
            code, _, err = ringrift("games", *words)
            assert code == 6, err
            assert place in err
            assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("merge {tmp}/x.jsonl none.jsonl", 6),
        ("merge {tmp}/x.rrshard {db}", 2),
        ("merge {tmp}/x.jsonl {db} --run none", 1),
        ("merge {tmp}/x.jsonl {db} --model nobody", 2),
        ("diff {db}", 2),
        ("diff {db} none.db", 6),
        ("split-shards --db {db} --output {tmp}/s --max-mb 65", 2),
        ("split-shards --db {db} --output {tmp}/s --run none", 1),
        ("split-shards --db {db} --output {db}", 2),
    ],
)
def test_mistakes_are_one_line(ringrift, files, tmp_path, words, code):
    found, _, err = ringrift("games", *words.format(tmp=tmp_path, db=files[0]).split())
    assert found == code, err
    assert "error: " in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
