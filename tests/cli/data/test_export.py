"""`ringrift data export`: datasets, what they print, what they refuse."""

import json
from pathlib import Path

import numpy as np
import pytest

from ringrift.core.paths import Paths
from ringrift.data.dataset import Dataset, check_dataset, find_datasets
from ringrift.data.quality.weights import write_weights
from ringrift.records import GameStore, write_jsonl
from ringrift.rules import BoardSpec

from ...data.dataset.made_games import game, trainable

HEX8 = BoardSpec.create("hex8", 3)


@pytest.fixture(scope="module")
def pairs():
    return trainable(8)


@pytest.fixture
def root(tmp_path, monkeypatch, pairs):
    """A data root whose store has games of two configurations."""
    monkeypatch.setenv("RINGRIFT_ROOT", str(tmp_path))
    paths = Paths(tmp_path)
    paths.create()
    with GameStore.open(paths.games / "games.db", writer=True) as store:
        store.ingest([*pairs, *trainable(2, HEX8)])
    return tmp_path


@pytest.fixture
def export(ringrift, root):
    """Run the command; return its exit code, its JSON and what it said."""

    def run(*arguments):
        code, out, err = ringrift("data", "export", *map(str, arguments), "--json")
        return code, json.loads(out), err

    return run


def files_of(root):
    """All paths but those that SQLite keeps while somebody reads."""
    return sorted(path for path in root.rglob("*") if not path.name.endswith(("-shm", "-wal")))


def test_each_configuration_gets_a_dataset_below_its_name(export, root):
    code, tree, _ = export()
    assert code == 0
    assert [row["config"] for row in tree["datasets"]] == ["hex8_3p", "square8_2p"]
    for row in tree["datasets"]:
        folder = root / "data" / "npz" / row["config"] / row["id"]
        assert Path(row["path"]) == folder
        assert check_dataset(folder) == []
        assert row["samples"] == len(Dataset.open(folder))
        assert row["policy_coverage"] == 1.0
    code, again, _ = export()
    assert [row["existing"] for row in again["datasets"]] == [True, True]
    assert [row["id"] for row in again["datasets"]] == [row["id"] for row in tree["datasets"]]


def test_the_table_and_the_line_tell_the_id(ringrift, root):
    code, out, err = ringrift("data", "export", "--board", "sq8")
    assert code == 0
    (folder,) = find_datasets(root / "data" / "npz", "square8_2p")
    assert f"square8_2p: 8 games read, 0 duplicate, 0 held out; dataset {folder.name}" in err
    assert "square8_2p" in out
    assert "hex8" not in out


def test_a_dry_run_counts_and_writes_nothing(export, root):
    before = files_of(root)
    code, tree, _ = export("--dry-run", "--min-moves", "1000")
    assert code == 1
    code, tree, _ = export("--dry-run")
    assert code == 0
    assert [row["games"] for row in tree["datasets"]] == [2, 8]
    assert {row["id"] for row in tree["datasets"]} == {None}
    assert files_of(root) == before


def test_lines_and_stores_of_the_same_games_give_the_same_dataset(export, root, pairs):
    write_jsonl(root / "games.jsonl", ((record, [analysis]) for record, analysis in pairs))
    with (root / "games.jsonl").open("a") as file:
        file.write("no game\n")
    _, stored, _ = export("--board", "square8")
    code, lines, _ = export("--input", root / "games.jsonl", "--output", root / "out")
    assert code == 0
    assert lines["datasets"][0]["id"] == stored["datasets"][0]["id"]
    assert lines["refused"] == {"malformed": 1}
    one = next((root / "out" / "square8_2p").glob("[0-9a-f]*/part-00000.npz")).read_bytes()
    other = next((root / "data/npz/square8_2p").glob("[0-9a-f]*/part-00000.npz")).read_bytes()
    assert one == other


def test_a_name_ending_in_npz_asks_for_one_file(export, root):
    code, tree, _ = export("--output", root / "one.npz")
    assert code == 2
    assert "one file for 2 configurations" in tree["error"]["message"]
    code, tree, _ = export("--output", root / "one.npz", "--board", "square8", "--players", 2)
    assert code == 0
    assert tree["datasets"][0]["bytes"] == (root / "one.npz").stat().st_size
    assert len(Dataset.open(root / "one.npz")) == tree["datasets"][0]["samples"]


def test_appending_puts_the_new_dataset_in_the_place_of_the_old(export, root, pairs):
    day1, day2 = root / "day1.db", root / "day2.db"
    for path, part in ((day1, pairs[:5]), (day2, pairs[5:])):
        with GameStore.open(path, writer=True) as store:
            store.ingest(part)
    out = root / "out"
    export("--db", day1, "--output", out)
    code, tree, _ = export("--db", day2, "--output", out, "--append")
    assert code == 0
    _, both, _ = export("--db", day1, day2, "--output", root / "both")
    assert tree["datasets"][0]["id"] == both["datasets"][0]["id"]
    assert [path.name for path in find_datasets(out, "square8_2p")] == [tree["datasets"][0]["id"]]


def test_features_come_by_the_names_of_encoders(export, root):
    for name, planes in (("default", 43), ("v3", 43), ("v2", 32)):
        code, tree, _ = export(
            *("--contents", "both", "--encoder-version", name, "--board", "square8"),
            *("--output", root / name),
        )
        assert code == 0
        arrays = Dataset.open(Path(tree["datasets"][0]["path"])).arrays
        assert arrays["features"].shape[1:] == (planes, 8, 8)
    code, tree, _ = export("--encoder", "v9")
    assert code == 2
    assert "unknown encoder 'v9'" in tree["error"]["message"]


def test_weights_of_games_are_read_from_a_file(export, root, pairs):
    ids = [record.id for record, _ in pairs]
    weights = [0.5] * 4 + [1.5] * 4
    path, _ = write_weights(root, "square8_2p", ids, np.float32(weights), {})
    code, tree, _ = export("--weights", path, "--board", "square8", "--surprise-weight", 0)
    assert code == 0
    dataset = Dataset.open(Path(tree["datasets"][0]["path"]))
    arrays, names = dataset.arrays, dataset.manifest.game_ids
    found = {
        names[game]: weight for game, weight in zip(arrays["game"], arrays["weight"], strict=True)
    }
    assert found[ids[7]] / found[ids[0]] == pytest.approx(3.0)
    assert export("--weights", root / "absent.npz")[0] == 2


def test_a_store_that_is_no_source_is_refused_with_the_code(export, root, pairs):
    path = root / "run.db"
    with GameStore.open(path, writer=True, kind="selfplay") as store:
        store.ingest(pairs)
    code, tree, _ = export("--db", path)
    assert code == 4
    assert tree["error"]["message"].startswith("not_canonical")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--db", "absent.db"], 2, "no game store"),
        (["--input", "absent.jsonl"], 2, "no file"),
        (["--gpu-selfplay"], 2, "no JSON lines"),
        (["--window", "0"], 2, "window is '0'"),
        (["--window", "some"], 2, "expected all, auto"),
        (["--max-reuse", "0"], 2, "max_reuse is 0"),
        (["--contents", "all"], 2, "contents is 'all'"),
        (["--analysis", "worst"], 2, "analysis is 'worst'"),
        (["--policy-target", "x"], 2, "policy_target is 'x'"),
        (["--ai-types", "nobody"], 2, "nobody"),
        (["--append", "--max-games", "3"], 2, "newer games"),
        (["--board", "square19"], 1, "zero samples"),
        (["--min-moves", "1000"], 1, "zero samples"),
    ],
)
def test_what_cannot_be_is_one_line_with_its_code(export, root, monkeypatch, words, code, told):
    monkeypatch.chdir(root)
    found, tree, _ = export(*words)
    assert found == code
    assert told in tree["error"]["message"]
    assert not find_datasets(root / "data" / "npz", "square8_2p")


def test_a_match_is_never_exported(export, root):
    with GameStore.open(root / "m.db", writer=True) as store:
        store.ingest([game(700, purpose="match"), game(701, purpose="human")])
    code, tree, _ = export("--db", root / "m.db")
    assert code == 1
    assert "no game to learn from" in tree["error"]["message"]
