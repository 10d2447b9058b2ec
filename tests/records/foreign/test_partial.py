"""Moves recorded in part: one legal sequence fits, or the game is refused."""

import json
import sqlite3

import pytest

from ringrift.rules.moves import KIND_MASK, LINE, NO_REGION, OPTION

STRIPPED = {
    "placementCount": "a placement's count",
    "formedLines": "which line",
    "collapsedMarkers": "which part of it",
    "disconnectedRegions": "which region",
    "extractionStacks": "the extraction stack",
    "recoveryMode": "the kind of slide",
    "eliminationContext": "what a payment is for",
}


def strip(fields, *names):
    for move in fields["moves"]:
        for name in names:
            move.pop(name, None)


def strip_database(path, *names):
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT rowid, move_json FROM game_moves").fetchall()
    for rowid, text in rows:
        fields = json.loads(text)
        for name in names:
            fields.pop(name, None)
        sql = "UPDATE game_moves SET move_json = ? WHERE rowid = ?"
        connection.execute(sql, (json.dumps(fields), rowid))
    connection.commit()
    connection.close()
    return path


def solved(games, found):
    """Return how many came back as they were; fails for one that came back otherwise."""
    originals = {record.id: record.moves for record in games}
    for one in found:
        tag = next(tag for tag in one.record.meta.tags if tag.startswith("id:"))
        assert one.record.moves == originals[tag[3:]], "solved wrongly"
    return len(found)


@pytest.mark.parametrize("name", [name for name in STRIPPED if name != "placementCount"])
def test_what_follows_tells_a_missing_field(game, write, read, name):
    games = [game("square8", 2, seed=1), game("hex8", 3, seed=2)]
    found, report = read(strip_database(write(games, "gamereplaydb"), name))
    assert solved(games, found) == 2, report.examples


SMALL = [("square8", 2), ("square8", 3), ("square8", 4), ("hex8", 2), ("hex8", 3), ("hex8", 4)]


def stripped_counts(game, write, read, count, **options):
    games = [game(*SMALL[seed % 6], seed=seed) for seed in range(count)]
    path = strip_database(write(games, "gamereplaydb", **options), "placementCount")
    found, report = read(path)
    assert set(report.reasons) <= {"ambiguous_move"}
    return solved(games, found)


@pytest.mark.slow
def test_counts_of_30_records_with_final_scores_are_solved(game, write, read):
    assert stripped_counts(game, write, read, 30) == 30


@pytest.mark.acceptance
@pytest.mark.timeout(3000)
def test_counts_of_500_records_with_final_scores_are_solved(game, write, read):
    assert stripped_counts(game, write, read, 500) >= 495


@pytest.mark.acceptance
@pytest.mark.timeout(3000)
def test_a_final_score_alone_leaves_many_counts_open_and_none_is_solved_wrongly(game, write, read):
    assert stripped_counts(game, write, read, 60, snapshots=0) >= 20


def test_counts_that_nothing_tells_apart_are_refused(game, edited, read):
    record = game(seed=1, limit=3)

    def change(fields):
        strip(fields, "placementCount")
        for name in ("finalScore", "finalStateHash"):
            del fields[name]

    found, report = read(edited([record], "gamerecord-jsonl", change))
    assert not found
    assert report.reasons == {"ambiguous_move": 1}
    assert report.examples[0]["ply"] == 0


def test_the_final_hash_tells_a_count(game, edited, read):
    record = game(seed=1, limit=3)
    found, report = read(
        edited([record], "gamerecord-jsonl", lambda fields: strip(fields, "placementCount"))
    )
    assert solved([record], found) == 1, report.examples
    assert found[0].notes["searched"] > 0


def drop_bookkeeping(fields):
    words = ("no_", "skip_placement", "skip_territory")
    fields["moves"] = [m for m in fields["moves"] if not m["type"].startswith(words[0])]
    fields.pop("move_count", None)
    fields.pop("totalMoves", None)


def test_legacy_inserts_lone_bookkeeping_plies_and_counts_them(game, edited, read):
    record = game(seed=1)
    path = edited([record], "gamerecord-jsonl", drop_bookkeeping)
    left = len(json.loads(path.read_text())["moves"])
    found, report = read(path)
    assert not found
    assert report.reasons == {"non_canonical": 1}
    assert "NL" in report.examples[0]["detail"]
    found, report = read(path, legacy=True)
    assert solved([record], found) == 1, report.examples
    assert found[0].notes["inserted"] == len(record.moves) - left
    assert f"inserted:{len(record.moves) - left}" in found[0].record.meta.tags


def test_a_game_that_ends_within_its_last_turn_is_finished_in_legacy_mode(game, edited, read):
    record = next(
        record
        for record in (game(seed=seed) for seed in range(20))
        if record.moves[-1] & KIND_MASK == NO_REGION
    )

    def cut(fields):
        while fields["moves"][-1]["type"].startswith("no_"):
            fields["moves"].pop()
        fields.pop("totalMoves")

    path = edited([record], "gamerecord-jsonl", cut)
    _, report = read(path)
    assert report.reasons == {"result": 1}
    found, report = read(path, legacy=True)
    assert solved([record], found) == 1, report.examples


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("move_stack", "move_ring"),
        ("move_stack", "build_stack"),
        ("continue_capture_segment", "chain_capture"),
        ("choose_line_option", "choose_line_reward"),
        ("process_line", "line_formation"),
        ("choose_territory_option", "process_territory_region"),
        ("choose_territory_option", "territory_claim"),
        ("process_line", "choose_line_option"),
    ],
)
def test_old_names_of_moves_are_known(game, edited, read, old, new):
    records = [game("square8", 2, seed=1), game("hex8", 3, seed=2)]

    def rename(fields):
        for move in fields["moves"]:
            if move["type"] == old:
                move["type"] = new

    found, report = read(edited(records, "gamerecord-jsonl", rename))
    assert solved(records, found) == 2, report.examples


def test_other_names_of_moves_are_errors(game, edited, read):
    def rename(fields):
        fields["moves"][7]["type"] = "teleport"

    _, report = read(edited([game(seed=1)], "gamerecord-jsonl", rename))
    (example,) = report.examples
    assert (example["reason"], example["ply"]) == ("malformed", 7)
    assert "teleport" in example["detail"]


def test_policies_by_list_index_are_dropped_and_counted(game, edited, read):
    def add(fields):
        fields["moves"][0]["mctsPolicy"] = {"0": 0.5, "17": 0.5}
        fields["moves"][1]["mctsPolicy"] = [0.25, 0.75]

    (found,), _ = read(edited([game(seed=1)], "gamerecord-jsonl", add))
    assert found.analysis is None
    assert found.notes["policy_dropped"] == 2


def test_policies_by_move_are_kept_without_their_values(game, edited, read):
    def add(fields):
        fields["moves"][0]["mctsPolicy"] = {"P 0,0 1": 0.5, "P 3,3 2": 0.5}

    (found,), _ = read(edited([game(seed=1)], "gamerecord-jsonl", add))
    (ply,) = found.analysis.plies
    assert sorted(ply.policy.values()) == [32767, 32768]
    assert (ply.value, ply.root_value) == ((), ())


@pytest.mark.parametrize(
    "policy", [{"P 0,0 1": 0.5, "M 0,0 1,0": 0.5}, {"P 0,0 1": 0.7}, {"P 0,0 1": -1, "SP": 2}]
)
def test_policies_that_are_none_reject_the_game(game, edited, read, policy):
    def add(fields):
        fields["moves"][0]["mctsPolicy"] = policy

    _, report = read(edited([game(seed=1)], "gamerecord-jsonl", add))
    assert report.reasons == {"bad_policy": 1}


@pytest.mark.parametrize("players", [2, 3, 4])
def test_the_line_length_of_hex8_is_found(game, edited, read, players):
    def forget(fields):
        del fields["initialState"]
        del fields["initialStateHash"]
        del fields["finalStateHash"]

    record = next(
        record
        for record in (game("hex8", players, seed=seed, base_line_length=4) for seed in range(40))
        if players == 2 or any(move & KIND_MASK in (LINE, OPTION) for move in record.moves)
    )
    path = edited([record], "gamerecord-jsonl", forget)
    (found,), report = read(path)
    assert report.rejected == 0
    assert found.record.moves == record.moves
    if players > 2:
        assert found.record.spec.base_line_length == 4
        assert found.notes["line_length_4"] == 1
        _, report = read(path, line_length=3)
        assert report.rejected == 1
