"""Trees of JSON lines: broken lines counted and named, the others go on; nothing is taken twice."""

import json

import pytest

from ringrift.core.errors import UsageError
from ringrift.data.ingest.trees import tree_files
from ringrift.records import GameStore
from ringrift.records.foreign import write_lines

from ..pool.files import lines_of, make_game, pool, refused, stored

BROKEN = [b"", b"{", b"[1, 2]", b'{"type":"game"}', b"\xff\xfe", b"null", b"not json"]


@pytest.fixture
def output(tmp_path):
    return tmp_path / "aggregated.db"


def thousand(folder, games):
    """Lines with 7 broken ones among them, in three files."""
    lines = lines_of(*games)
    places = [5 + i * (len(lines) // 8) for i in range(7)]
    for place, broken in zip(places, BROKEN, strict=True):
        lines.insert(place, (broken or lines[place][:300]) + b"\n")
    third = len(lines) // 3
    files = []
    for i, part in enumerate((lines[:third], lines[third : 2 * third], lines[2 * third :])):
        path = folder / f"source{i}" / "games.jsonl"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"".join(part))
        files.append(path)
    return files


def take(tmp_path, output, count):
    games = [make_game(seed=seed, limit=30) for seed in range(count)]
    thousand(tmp_path / "tree", games)
    files = tree_files(tmp_path / "tree")
    report = pool(output, *files, completed=False, leave_torn=True)
    assert report["totals"]["games_considered"] == count
    assert sum(report["totals"]["quarantined"].values()) == 7
    named = [example["where"].split()[0] for one in report["inputs"] for example in one["examples"]]
    assert len(set(named)) == 7
    for place in named:
        file, number = place.rsplit(":", 1)
        line = open(file, "rb").read().split(b"\n")[int(number) - 1]  # noqa: SIM115, PTH123
        assert line not in {bytes(made).strip() for made in lines_of(*games)}
    assert len(stored(output)) == count
    again = pool(output, *tree_files(tmp_path / "tree"), completed=False, leave_torn=True)
    assert (again["totals"]["games_considered"], again["totals"]["duplicates"]) == (0, 0)


def test_of_lines_with_7_broken_the_others_are_considered_and_7_named(tmp_path, output):
    take(tmp_path, output, 93)


@pytest.mark.acceptance
def test_of_1000_lines_with_7_broken_993_are_considered_and_7_named(tmp_path, output):
    take(tmp_path, output, 993)


def test_sources_are_folders_of_the_tree(tmp_path):
    files = thousand(tmp_path / "tree", [make_game(seed=0, limit=8)] * 16)
    (tmp_path / "tree" / "source1" / "notes.txt").write_text("x")
    (tmp_path / "tree" / "source1" / ".hidden.jsonl").write_text("x")
    assert tree_files(tmp_path / "tree") == files
    assert tree_files(tmp_path / "tree", ["source2", "source0"]) == [files[2], files[0]]
    with pytest.raises(UsageError, match="source0, source1, source2"):
        tree_files(tmp_path / "tree", ["source9"])
    with pytest.raises(UsageError, match="no folder"):
        tree_files(tmp_path / "nope")


def foreign(tmp_path, games, change):
    path = tmp_path / "foreign.jsonl"
    write_lines(path, "selfplay-jsonl", [(game, None) for game in games])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        change(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_legacy_inserts_bookkeeping_plies_that_are_left_out_and_counts_them(tmp_path, output):
    games = [make_game(seed=seed) for seed in range(3)]

    def strip(row):
        row["moves"] = [m for m in row["moves"] if m["type"] != "no_line_action"]
        row.pop("move_count", None)
        row.pop("total_moves", None)

    path = foreign(tmp_path, games, strip)
    strict = pool(output, path)
    assert strict["totals"]["quarantined"] == {"non_canonical": 3}
    report = pool(output, path, legacy=True)
    assert report["inputs"][0]["notes"]["inserted"] > 0
    with GameStore.open(output) as store:
        found = {game.moves: game.meta.tags for _, game, _ in store.records()}
    assert set(found) == {game.moves for game in games}
    assert all(any(tag.startswith("inserted:") for tag in tags) for tags in found.values())


def test_distributions_by_place_in_a_list_are_dropped_and_counted(tmp_path, output):
    def search(row):
        row["mcts_policy"] = [
            {"0": 0.5, "1": 0.5} if i == 4 else None for i in range(len(row["moves"]))
        ]

    report = pool(output, foreign(tmp_path, [make_game(seed=1)], search))
    assert report["inputs"][0]["notes"] == {"policy_dropped": 1}
    assert report["totals"]["analyses"] == 0
    assert len(stored(output)) == 1


@pytest.mark.parametrize("length", [3, 4])
def test_hex8_games_of_several_players_are_tried_with_both_line_lengths(tmp_path, output, length):
    games = [make_game("hex8", 3, seed=seed, base_line_length=length) for seed in range(4)]

    def forget(row):
        for name in ("base_line_length", "baseLineLength", "rulesOptions", "rules_options"):
            row.pop(name, None)
            if isinstance(row.get("initial_state"), dict):
                row["initial_state"].pop(name, None)

    report = pool(output, foreign(tmp_path, games, forget))
    assert refused(output) == []
    with GameStore.open(output) as store:
        lengths = {game.spec.base_line_length for _, game, _ in store.records()}
    # a game in which no line decides replays with 3, which is tried first
    assert lengths == {3} if length == 3 else lengths <= {3, 4} and 4 in lengths
    notes = report["inputs"][0]["notes"]
    assert sum(notes[name] for name in notes if name.startswith("line_length_")) == 4
