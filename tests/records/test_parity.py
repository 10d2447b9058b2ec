"""Parity with the recorded games of the reference engine, and what a damaged record gets."""

import dataclasses
import gzip
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from ringrift.core.errors import DataError
from ringrift.records import GameStore, build_record
from ringrift.records.foreign import write_replay_db
from ringrift.records.parity import (
    Options,
    Report,
    check_engines,
    compare,
    read_scenario,
    recorded,
    write_bundle,
    write_fixture,
)
from ringrift.records.parity.compare import verdict
from ringrift.records.parity.run import check_item
from ringrift.records.parity.sources import Selection, Sources, as_recorded
from ringrift.records.parity.stored import StoredGame, check_stored, read_store
from ringrift.records.traces import Trace, packaged_traces, read_traces, trace_files
from ringrift.rules import Position
from ringrift.rules import moves as mv

from .conftest import agents, make_game

ALL_TRACES = Path(__file__).resolve().parents[3] / "shared" / "traces"
CONFIGS = {(b, n) for b in ("square8", "hex8", "square19", "hexagonal") for n in (2, 3, 4)}
MOVES = {
    "P",
    "SP",
    "NP",
    "SW",
    "M",
    "C",
    "K",
    "SC",
    "NM",
    "R",
    "SR",
    "L",
    "O",
    "NL",
    "T",
    "ST",
    "NT",
    "E",
    "F",
}
REASONS = {"ring_elimination", "territory_control", "last_player_standing", "lps_rounds"}


@pytest.fixture
def game():
    """One short recorded game, free to be altered."""
    path = next(p for p in packaged_traces() if p.name == "scenario_square8.jsonl.gz")
    return next(read_traces(path)).game


def write(path, *games):
    data = "".join(json.dumps(g) + "\n" for g in games).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def checked(game, **options):
    """Compare one game object on the engine of this process."""
    trace = Trace(file="game.jsonl", line=1, game=game)
    return check_item(trace, "compiled", Options(**options))


def altered(game, ply, **change):
    copy = json.loads(json.dumps(game))
    copy["positions"][ply].update(change)
    return copy


def items(paths, limit=0):
    return lambda: Sources(corpora=paths).items(Selection(limit_per_file=limit))


def small_files():
    return [p for p in packaged_traces() if "hexagonal" not in p.name and "19" not in p.name]


# --- the recorded games


@pytest.mark.slow
def test_packaged_games_replay_without_a_difference():
    report = check_engines(items(packaged_traces()), ["compiled"])
    assert report.failures == []
    assert report.passed
    assert report.games >= 100
    assert report.skipped == 0


def test_packaged_games_show_every_configuration_move_and_end():
    configs, variants, moves, reasons = set(), set(), set(), set()
    for path in packaged_traces():
        for trace in read_traces(path):
            game = trace.game
            configs.add((game["board_type"], game["num_players"]))
            variants.add((game["board_type"], game["engine_variant"]))
            moves |= {p["m"].split(" ")[0] for p in game["positions"]}
            reasons.add(game["result"]["reason"])
    assert configs == CONFIGS
    assert ("hex8", "hex8line3") in variants
    assert moves == MOVES
    assert reasons >= REASONS
    assert sum(p.stat().st_size for p in packaged_traces()) <= 2_000_000


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    not ALL_TRACES.is_dir(), reason="the full recordings are not beside this checkout"
)
def test_all_recorded_games_replay_without_a_difference():
    report = check_engines(items(trace_files([ALL_TRACES])), ["compiled"])
    assert report.failures == []
    assert report.games + report.skipped == 2200
    assert report.skipped <= 38


@pytest.mark.slow
def test_plain_python_replays_the_packaged_games():
    report = check_engines(items(small_files(), limit=2), ["plain"])
    assert report.failures == []
    assert report.games >= 20


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_all_packaged_games_replay_on_both_engines():
    report = check_engines(items(packaged_traces()), ["compiled", "plain"])
    assert report.failures == []
    assert report.by_engine == {"compiled": report.games, "plain": report.games}


# --- what is compared


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("phase", {"ph": "capture"}),
        ("current player", {"c": 4}),
        ("legal set", {"L": "NP"}),
        ("legal moves", {"n": 999}),
        ("state hash", {"h": "0" * 16}),
        ("lps", {"lps": "9/9/9/9/9/9:9"}),
        ("border", {"tb": "0,0:1"}),
        ("verdict", {"v": "1:ring_elimination"}),
    ],
)
def test_each_kind_of_record_is_compared(game, kind, change):
    """Alter one recorded fact at a time; each must be reported, with its ply."""
    copy = altered(game, 1, **change)
    if kind == "current player":
        copy["moves"][1]["player"] = 4
    found = checked(copy)
    assert found.diverged
    assert (found.mismatch_kinds, found.diverged_at) == ([kind], 1)
    assert str(next(iter(change.values()))) in found.expected[kind]
    assert found.got[kind] != found.expected[kind]


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("winner", 3, "winner"),
        ("reason", "lps_rounds", "reason"),
        ("end", "max_plies", "status"),
    ],
)
def test_the_result_is_compared(game, field, value, kind):
    game["result"][field] = value
    found = checked(game)
    assert (found.mismatch_kinds, found.diverged_at) == ([kind], len(game["positions"]) - 1)


def test_an_illegal_recorded_move_is_a_difference_not_a_crash(game):
    copy = altered(game, 2, m="F 0,0")
    copy["moves"][2] = {"type": "forced_elimination", "player": copy["positions"][2]["c"]}
    found = checked(copy)
    assert found.diverged_at == 2
    assert "not legal" in found.got["replay"]


def test_other_line_length_is_found_on_hex8_of_three_players():
    """The option that tells the two recorded variants apart must matter."""
    path = next(p for p in packaged_traces() if p.name == "special_hex8_3p.jsonl.gz")
    differing = 0
    for trace in read_traces(path):
        trace.game["engine_variant"] = "stock"
        differing += compare(recorded(trace)).diverged
    assert differing > 0


# --- missing bookkeeping plies, and hosts that test for the end after every move


def without(game, ply):
    copy = json.loads(json.dumps(game))
    del copy["moves"][ply], copy["positions"][ply]
    return copy


def bookkeeping_ply(game):
    """A forced ply in mid-game: the only legal move, and nothing on the board changes."""
    return next(
        i
        for i, p in enumerate(game["positions"])
        if i > 1 and p["n"] == 1 and p["m"] in ("NL", "NT", "NM")
    )


def long_game():
    path = next(p for p in packaged_traces() if p.name == "special_square8_2p.jsonl.gz")
    return max((t.game for t in read_traces(path)), key=lambda g: len(g["moves"]))


def test_a_missing_bookkeeping_ply_is_not_canonical_and_inserted_in_legacy_mode():
    whole = long_game()
    ply = bookkeeping_ply(whole)
    short = without(whole, ply)
    found = checked(short)
    assert (found.structure, found.diverged_at, found.diverged) == ("non_canonical", ply, False)
    assert not found.ok
    assert found.got["move"] == whole["positions"][ply]["m"]
    report = Report()
    report.add(found)
    assert (report.non_canonical, report.divergences, report.passed) == (1, 0, False)
    legacy = checked(short, mode="legacy")
    assert (legacy.ok, legacy.inserted) == (True, 1)


def test_states_after_the_bookkeeping_need_the_other_view():
    """A host that plays the forced ply by itself records the state after both."""
    whole = long_game()
    ply = bookkeeping_ply(whole)
    short = without(whole, ply)
    after = whole["positions"][ply]
    short["positions"][ply - 1].update({"h": after["h"], "lps": after.get("lps")})
    short["positions"][ply - 1].pop("s", None)
    assert checked(short, mode="legacy").mismatch_kinds[0] == "state hash"
    bridged = checked(short, mode="legacy", view="post_bridge")
    assert (bridged.ok, bridged.inserted) == (True, 1), bridged
    assert checked(whole, view="post_bridge").ok


def test_the_other_view_still_finds_a_wrong_state():
    whole = long_game()
    texts = [p["m"] for p in whole["positions"]]
    ply = next(i for i, text in enumerate(texts) if text == "NT" and texts[i + 1][0] == "P")
    assert checked(altered(whole, ply, h="0" * 16), view="post_bridge").diverged_at == ply


def cut_at_verdict(game):
    """The game as a host records it that ends it at the first ply with a verdict."""
    ply, said = next((i, p["v"]) for i, p in enumerate(game["positions"]) if "v" in p)
    copy = json.loads(json.dumps(game))
    copy["moves"], copy["positions"] = copy["moves"][: ply + 1], copy["positions"][: ply + 1]
    winner, reason = said.split(":")[:2]
    copy["result"].update({"end": "game_over", "winner": int(winner), "reason": reason})
    copy["positions"][ply].update({"h": "0" * 16, "s": "ph=game_over"})
    return copy, ply


def early_verdict():
    for path in small_files():
        for trace in read_traces(path):
            plies = trace.game["positions"]
            first = next((i for i, p in enumerate(plies) if "v" in p), len(plies))
            if first < len(plies) - 1:
                return trace.game
    raise AssertionError("no packaged game with a verdict before its end")


def test_a_game_ended_at_the_first_verdict_differs_at_its_end_only():
    short, ply = cut_at_verdict(early_verdict())
    found = checked(short)
    assert (found.is_end_of_game_only, found.diverged_at, found.ok) == (True, ply, True)
    short["result"]["winner"] = 3 - short["result"]["winner"] % 2
    other = checked(short)
    assert (other.is_end_of_game_only, other.diverged) == (False, True)


# --- damaged records


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[: len(data) // 2], "damaged file"),
        (lambda data: b"\x1f\x8b" + bytes(200), "damaged file"),
        (lambda data: gzip.compress(b"{not json}\n"), "malformed JSON"),
        (lambda data: gzip.compress(b'{"format": 9}\n'), "format 1"),
        (lambda data: gzip.compress(b"\xff\xfe\n"), "damaged file"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(damage, said, tmp_path):
    path = tmp_path / "broken.jsonl.gz"
    path.write_bytes(damage(packaged_traces()[0].read_bytes()))
    with pytest.raises(DataError) as caught:
        list(read_traces(path))
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("board_type", "square9"),
        ("num_players", 5),
        ("engine_variant", "other"),
        ("initial", "ph=lines"),
        ("initial_hash", "0" * 16),
        ("positions", []),
        ("positions", [1]),
        ("moves", None),
        ("result", {}),
        ("options", {"ringsPerPlayer": "many"}),
    ],
)
def test_a_malformed_game_is_a_structural_issue_that_is_named(game, field, value):
    game[field] = value
    found = checked(game)
    assert (found.structure, found.diverged, found.ok) == ("invalid", False, False)
    assert "game.jsonl:1" in found.detail


@pytest.mark.parametrize(
    "change", [{"h": None}, {"h": 5}, {"c": "1"}, {"m": 3}, {"L": ["NP"]}, {"n": True}]
)
def test_a_malformed_ply_is_named(game, change):
    copy = altered(game, 2, **change)
    if change == {"h": None}:
        del copy["positions"][2]["h"]
    found = checked(copy)
    assert found.structure == "invalid"
    assert "ply 2" in found.detail


@pytest.mark.parametrize("change", [{"type": "swap_sides"}, {"type": "jump"}, {"player": 9}])
def test_a_move_that_is_not_its_text_is_structural(game, change):
    game["moves"][2].update(change)
    assert checked(game).structure == "invalid"


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        trace_files([tmp_path / "absent"])
    with pytest.raises(DataError, match="without recorded games"):
        trace_files([tmp_path])


# --- scenarios, fixtures and bundles


def test_a_fixture_replays_to_the_same_divergence(game, tmp_path):
    trace = Trace(file="game.jsonl", line=1, game=altered(game, 3, h="0" * 16))
    found = check_item(trace, "compiled", Options())
    fixture = write_fixture(tmp_path / "f", found, as_recorded(trace))
    again = compare(read_scenario(fixture))
    assert (again.diverged_at, again.mismatch_kinds) == (3, ["state hash"])
    assert (again.expected, again.got) == (found.expected, found.got)
    bundle = json.loads(write_bundle(tmp_path / "b", found).read_text())
    assert bundle["states"]["recorded"] is not None
    assert (
        Position.parse(bundle["states"]["before"], spec=trace.spec())
        .after(trace.game["positions"][3]["m"])
        .fingerprint
        == found.got["state hash"]
    )


@pytest.mark.parametrize(
    ("tree", "kinds"),
    [
        ({"config": "square8_2p", "moves": "P 3,3 2;M 3,3 3,6"}, []),
        (
            {"config": "square8_2p", "moves": ["P 3,3 2", {"m": "M 3,3 3,6", "n": 24}]},
            ["legal moves"],
        ),
        ({"config": "sq8_2p", "plies": [{"m": "P 3,3 2", "ph": "movement"}]}, ["phase"]),
        ({"spec": {"board": "hex8", "players": 3}, "moves": ["NP"]}, ["replay"]),
        ({"spec": "square8_2p", "seed": 7, "moves": [], "result": {"winner": 1}}, ["winner"]),
    ],
)
def test_scenarios_say_as_much_as_they_like(tree, kinds, tmp_path):
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps(tree))
    assert compare(read_scenario(path)).mismatch_kinds == kinds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "object"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"config": "square8"}', "config"),
        ('{"config": "square8_2p", "plys": []}', "plys"),
        ('{"config": "square8_2p", "options": {"colour": 1}}', "colour"),
        ('{"config": "square8_2p", "options": {"lps_rounds": 0}}', "lps_rounds"),
        ('{"config": "square8_2p", "start": "ph=x"}', "start"),
        ('{"config": "square8_2p", "moves": 3}', "moves"),
        ('{"config": "square8_2p", "plies": [{"h": "0"}]}', "field m"),
        ('{"config": "square8_2p", "plies": [], "moves": []}', "both"),
        ('{"config": "square8_2p", "result": {"winner": "me"}}', "result.winner"),
        ('{"config": "square8_2p", "result": {"loser": 1}}', "result.loser"),
        ('{"format": "other/1"}', "format"),
    ],
)
def test_a_bad_scenario_is_one_named_error(text, said, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_scenario(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


# --- stores


def stored(record, **changes):
    """The row of a game as the store holds it, with some of it changed."""
    from ringrift.records import to_bytes

    row = StoredGame(file="games.db", id=record.id, data=to_bytes(record), columns={})
    return dataclasses.replace(row, **changes)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "games.db"
    with GameStore.open(path, writer=True) as opened:
        opened.ingest([(make_game(seed=seed), None) for seed in range(4)])
    return path


def test_stored_games_are_verified_on_both_engines(store):
    report = check_engines(
        lambda: Sources(stores=[store]).items(Selection()), ["compiled", "plain"], workers=1
    )
    assert report.passed
    assert report.by_engine == {"compiled": 4, "plain": 4}


def test_a_changed_row_is_found_and_named(store, tmp_path):
    path = tmp_path / "games.db"
    shutil.copyfile(store, path)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER IF EXISTS games_fixed")
        first, second = [row[0] for row in connection.execute("SELECT id FROM games LIMIT 2")]
        connection.execute("UPDATE games SET winner = 3 - winner WHERE id = ?", (first,))
        data = connection.execute("SELECT record FROM games WHERE id = ?", (second,)).fetchone()[0]
        connection.execute(
            "UPDATE games SET record = ? WHERE id = ?", (data[:-9] + b"\x00" + data[-8:], second)
        )
    connection.close()
    found = {row.id: check_stored(row) for row in read_store(path)}
    assert {identity for identity, check in found.items() if not check.ok} == {first, second}
    assert "winner" in str(found[first].got) or "winner" in str(found[first])
    assert found[second].structure == "invalid"


def test_an_illegal_stored_move_is_named_with_its_ply():
    game = make_game(seed=5)
    moves = list(game.moves)
    moves[4] = int(mv.FORCE)
    found = check_stored(stored(dataclasses.replace(game, moves=tuple(moves))), mode="canonical")
    assert not found.ok


def test_a_stored_game_without_a_bookkeeping_ply_is_not_canonical():
    game = make_game(seed=5)
    ply = next(i for i, m in enumerate(game.moves) if m & mv.KIND_MASK == mv.NO_LINE)
    short = dataclasses.replace(game, moves=game.moves[:ply] + game.moves[ply + 1 :])
    row = stored(short)
    found = check_stored(row)
    assert (found.structure, found.diverged_at) == ("non_canonical", ply)
    legacy = check_stored(row, mode="legacy")
    assert (legacy.ok, legacy.inserted) == (True, 1)


# --- GameReplayDBs


@pytest.fixture
def replay_db(tmp_path):
    path = tmp_path / "replay.db"
    write_replay_db(path, [(make_game(seed=seed), None) for seed in range(2)])
    return path


def foreign(path, **options):
    return [
        check_item(item, "compiled", Options(**options))
        for item in Sources(stores=[path]).items(Selection())
    ]


def test_games_of_a_gamereplaydb_are_compared_with_what_it_holds(replay_db):
    found = foreign(replay_db)
    assert [check.ok for check in found] == [True, True]
    assert all(check.plies > 20 for check in found)
    with sqlite3.connect(replay_db) as connection:
        connection.execute("UPDATE games SET winner = 3 - winner WHERE rowid = 1")
    connection.close()
    wrong, right = foreign(replay_db)
    assert right.ok
    assert wrong.diverged
    assert wrong.mismatch_kinds == ["result"]
    assert wrong.diverged_at == wrong_last(replay_db)


def wrong_last(path):
    """The last ply of the first game."""
    with sqlite3.connect(path) as connection:
        sql = (
            "SELECT count(*) FROM game_moves"
            " WHERE game_id = (SELECT game_id FROM games WHERE rowid = 1)"
        )
        (count,) = connection.execute(sql).fetchone()
    connection.close()
    return count - 1


def decided_early():
    """A game cut at a ply within a turn after which a host that tests each move ends it."""
    for seed in range(50):
        game = make_game(seed=seed)
        position = Position.of(game.spec)
        for ply, move in enumerate(game.moves, 1):
            position.play(int(move))
            if not position.is_over and verdict(position) is not None:
                cut = build_record(game.spec, seed, agents(2), game.moves[:ply], max_plies=ply)
                return cut, int(verdict(position).split(":")[0])
    raise AssertionError("no such game")


@pytest.mark.parametrize("wrong", [False, True])
def test_a_gamereplaydb_game_ended_within_a_turn_differs_at_its_end_only(tmp_path, wrong):
    cut, winner = decided_early()
    path = tmp_path / "replay.db"
    write_replay_db(path, [(cut, None)])
    named = 3 - winner if wrong else winner
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE games SET winner = ?, game_status = 'completed',"
            " termination_reason = 'ring_elimination'",
            (named,),
        )
    connection.close()
    (found,) = foreign(path)
    assert (found.is_end_of_game_only, found.ok) == (not wrong, not wrong), found


# --- selection


def test_games_are_selected_by_number_and_id(store):
    path = next(p for p in packaged_traces() if p.name == "special_square8_4p.jsonl.gz")
    sources = Sources(corpora=[path], stores=[store])
    assert len(list(sources.items(Selection(limit_per_file=1)))) == 2
    one = next(read_store(store)).id
    chosen = sources.items(Selection(ids=frozenset({"special_square8_4p:2", one[:8]})))
    assert [item.id for item in chosen] == ["special_square8_4p:2", one]
    assert list(sources.items(Selection(ids=frozenset({one[:5]})))) == []


def test_tracing_keeps_what_was_compared(game):
    found = checked(game, trace_plies=2)
    assert {row[0] for row in found.rows} == {0, 1}
    assert {"phase", "legal set", "state hash"} <= {row[1] for row in found.rows}
    assert all(row[2] == row[3] for row in found.rows)
