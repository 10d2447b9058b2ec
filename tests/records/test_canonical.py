"""The checks of a canonical store: hand-made positions, whole histories, tampered games."""

import dataclasses
import json
import sqlite3
from pathlib import Path

import pytest

from ringrift.core.errors import DataError
from ringrift.records import GameStore
from ringrift.records.canonical import (
    check_canonical,
    check_positions,
    history_fault,
    load_positions,
)
from ringrift.records.canonical.fixtures import PACKAGED
from ringrift.records.parity import compare, recorded
from ringrift.records.parity.games import KIND_OF_TYPE
from ringrift.records.traces import packaged_traces, read_traces
from ringrift.rules import BOARDS
from ringrift.rules import moves as mv

from .conftest import CONFIGS, make_game

FIELDS = [
    "board_type",
    "num_players",
    "db_path",
    "num_games_requested",
    "db_stats",
    "parity_gate",
    "canonical_config",
    "canonical_history",
    "fe_territory_fixtures_ok",
    "anm_ok",
    "canonical_ok",
]
ORACLE = Path(__file__).resolve().parents[3] / "shared" / "oracle"
TEXT_KINDS = dict(
    zip(
        KIND_OF_TYPE.values(),
        (
            mv.PLACE,
            mv.SKIP_PLACE,
            mv.NO_PLACE,
            mv.SWAP,
            mv.MOVE,
            mv.CAPTURES,
            mv.CONTINUE,
            mv.SKIP_CAPTURE,
            mv.NO_MOVE,
            mv.RECOVER,
            mv.SKIP_RECOVER,
            mv.LINE,
            mv.OPTION,
            mv.NO_LINE,
            mv.REGION,
            mv.SKIP_REGION,
            mv.NO_REGION,
            mv.PAY,
            mv.FORCE,
        ),
        strict=True,
    )
)


# --- the hand-made positions


@pytest.mark.parametrize("board", BOARDS)
def test_the_hand_made_positions_play_as_written(board):
    assert check_positions(board) == []


@pytest.mark.parametrize("board", BOARDS)
def test_there_are_twelve_of_each_kind_with_forced_eliminations_and_regions(board):
    cases = load_positions(board)
    assert len({case["name"] for case in cases}) == len(cases)
    by_first = {
        kind: [c for c in cases if c["state"].startswith(f"ph={kind};")]
        for kind in ("ring_placement", "territory_processing")
    }
    assert all(len(found) >= 12 for found in by_first.values())
    played = {step["play"].split(" ")[0] for case in cases for step in case["steps"]}
    assert {"NP", "NM", "NL", "NT", "SR", "ST", "F", "T", "E"} <= played
    assert {case["players"] for case in cases} == {2, 3, 4}
    assert all(case["why"] and case["rules"] and case["final"] for case in cases)


def test_the_positions_fit_in_the_package():
    assert sum(path.stat().st_size for path in PACKAGED.iterdir()) <= 200_000


@pytest.mark.skipif(not ORACLE.is_dir(), reason="the second engine is not beside this checkout")
@pytest.mark.parametrize("board", BOARDS)
def test_the_second_engine_agrees_with_the_written_outcomes(board, monkeypatch):
    monkeypatch.syspath_prepend(str(ORACLE))
    from slow_engine import Game

    for case in load_positions(board):
        game = Game.parse(case["state"], board, case["players"])
        for step in case["steps"]:
            legal = sorted(game.legal())
            assert legal == step.get("legal", legal), case["name"]
            assert set(step.get("has", ())) <= set(legal)
            assert not set(step.get("lacks", ())) & set(legal)
            game.play(step["play"])
        fields = dict(part.split("=", 1) for part in str(game).split(";"))
        fields["reason"] = game.reason or "-"
        assert {name: fields[name] for name in case["final"]} == case["final"], case["name"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["final"].update(elim="9,9"), "elim: expected '9,9'"),
        (lambda c: c["steps"][-1].update(play="F 0,0"), "not legal"),
        (lambda c: c["steps"][0].update(legal=["NM"]), "legal set: missing ['NM']"),
        (lambda c: c["steps"][0].update(has=["NM"]), "not legal: 'NM'"),
        (lambda c: c["steps"][0].update(lacks=["NP"]), "legal: 'NP'"),
        (lambda c: c.update(state="ph=lines"), "InvalidPosition"),
    ],
)
def test_a_position_that_plays_otherwise_is_named(change, said, tmp_path):
    tree = json.loads((PACKAGED / "square8.json").read_text())
    case = next(c for c in tree["positions"] if c["name"] == "no-stack-no-elimination")
    case["steps"][0].pop("legal")
    if "legal" in said and "legal set" in said:
        case["steps"][0]["legal"] = ["NP"]
    change(case)
    (tmp_path / "square8.json").write_text(json.dumps(tree))
    (found,) = check_positions("square8", tmp_path)
    assert found.startswith("square8 no-stack-no-elimination")
    assert said in found


def test_a_missing_or_foreign_file_of_positions_is_an_error(tmp_path):
    with pytest.raises(DataError):
        load_positions("square8", tmp_path)
    (tmp_path / "square8.json").write_text((PACKAGED / "hex8.json").read_text())
    with pytest.raises(DataError):
        load_positions("square8", tmp_path)


# --- history


def kinds(*texts):
    return [TEXT_KINDS[text] for text in texts]


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_games_as_played_have_whole_histories(board, players):
    game = make_game(board, players, seed=3, limit=400)
    finished = game.result.end == "game_over"
    assert history_fault(game.moves, finished=finished) is None


def test_recorded_games_of_the_reference_have_whole_histories():
    checked = 0
    for path in packaged_traces():
        if path.name.startswith("scenario"):
            continue
        for trace in read_traces(path):
            moves = [TEXT_KINDS[p["m"].split(" ")[0]] for p in trace.game["positions"]]
            ended = trace.game["result"]["end"] == "game_over"
            assert history_fault(moves, finished=ended) is None, trace.where
            checked += 1
    assert checked > 50


TURNS = [
    kinds("P", "M", "NL", "NT"),
    kinds("NP", "NM", "NL", "F"),
    kinds("P", "M", "C", "K", "O", "E", "L", "E", "NL", "T", "E", "T", "E", "ST"),
    kinds("SP", "SR", "NL", "NT"),
    kinds("NP", "NM", "NL", "ST", "F"),
]


@pytest.mark.parametrize("turn", TURNS)
def test_a_turn_without_one_of_its_phases_is_found(turn):
    """Each bookkeeping ply, left out, must show; so must one that is doubled."""
    whole = [*TURNS[0], *turn, *TURNS[0]]
    assert history_fault(whole, finished=True) is None
    first = len(TURNS[0])
    for at, move in enumerate(turn, first):
        if move in kinds("NP", "NM", "NL", "NT", "SR"):
            found = history_fault(whole[:at] + whole[at + 1 :], finished=True)
            assert found is not None
            assert found[0] == at
            doubled = history_fault(whole[: at + 1] + whole[at:], finished=True)
            assert doubled is not None


def test_a_finished_game_ends_with_a_turn_and_a_cut_one_may_not():
    assert history_fault(kinds("P", "M", "NL"), finished=False) is None
    assert history_fault(kinds("P", "M", "NL"), finished=True)[0] == 2
    assert history_fault([], finished=False) == (0, "no move")
    assert history_fault(kinds("SW", "P", "M", "NL", "NT"), finished=True) is None


def test_a_game_that_lost_a_bookkeeping_ply_is_found_by_both_ways():
    path = next(p for p in packaged_traces() if p.name == "special_square8_2p.jsonl.gz")
    trace = max(read_traces(path), key=lambda t: len(t.game["moves"]))
    plies = trace.game["positions"]
    ply = next(i for i, p in enumerate(plies) if p["m"] == "NL")
    del plies[ply], trace.game["moves"][ply]
    moves = [TEXT_KINDS[p["m"].split(" ")[0]] for p in plies]
    assert history_fault(moves, finished=True)[0] == ply
    assert compare(recorded(trace)).diverged_at == ply


# --- stores


def fill(path, games):
    with GameStore.open(path, writer=True) as store:
        assert store.ingest([(game, None) for game in games]).quarantined == 0
    return path


def tamper(path, sql, *values):
    """Change rows as somebody with an editor would, whatever the store's own guards say."""
    with sqlite3.connect(path) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in names.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(sql, values)
    connection.close()


@pytest.fixture(scope="module")
def games():
    return [make_game("hex8", 2, seed=seed) for seed in range(2)]


def check(path, config="hex8_2p", *, quick=True, **options):
    """Check with little of the corpora on the engine of this process."""
    if quick:
        options = {"engines": ["compiled"], "workers": 1, "parity_limit": 1, **options}
    return check_canonical(path, config, **options)


@pytest.mark.slow
def test_a_good_store_is_canonical_and_its_summary_has_the_documented_fields(tmp_path, games):
    stages = []
    report = check(
        fill(tmp_path / "games.db", games),
        quick=False,
        engines=["compiled"],
        games_requested=2,
        on_progress=lambda stage, done, total: stages.append(stage),
    )
    assert report.problems == ()
    assert report.canonical_ok
    found = report.as_json()
    assert list(found) == FIELDS
    json.dumps(found)
    assert found["db_stats"] == {
        "games_total": 2,
        "games_completed": 2,
        "moves_total": sum(len(game.moves) for game in games),
        "swap_sides": 0,
    }
    assert found["parity_gate"]["passed"]
    assert found["parity_gate"]["corpora"]["games"] >= 20
    assert found["canonical_history"] == {
        "games_checked": 2,
        "non_canonical_games": 0,
        "sample_issues": [],
    }
    assert set(stages) == {"verify", "parity", "history", "fixtures"}


def test_a_stage_that_is_cut_is_not_ok(tmp_path, games):
    path = fill(tmp_path / "games.db", games)
    cut = check(path)
    assert not cut.canonical_ok
    assert cut.parity_gate["cut"] == ["parity"]
    assert cut.problems == ("the stage parity was cut by a limit",)
    assert (cut.anm_ok, cut.fe_territory_fixtures_ok) == (True, True)
    stopped = check(path, stop=lambda: True)
    assert not stopped.canonical_ok
    assert {"parity", "history", "fixtures"} <= set(stopped.parity_gate["cut"])
    assert not stopped.anm_ok
    assert not stopped.fe_territory_fixtures_ok


@pytest.mark.parametrize("damage", ["column", "move", "byte", "withdrawn"])
def test_a_tampered_game_is_named(tmp_path, games, damage):
    from ringrift.records import to_bytes

    path = fill(tmp_path / "games.db", games)
    victim = games[1]
    if damage == "column":
        tamper(path, "UPDATE games SET winner = 3 - winner WHERE id = ?", victim.id)
    elif damage == "move":
        moves = (*victim.moves[:8], mv.FORCE, *victim.moves[9:])
        changed = dataclasses.replace(victim, moves=moves)
        sql = "UPDATE games SET record = ?, id = ? WHERE id = ?"
        tamper(path, sql, to_bytes(changed), changed.id, victim.id)
        victim = changed
    elif damage == "byte":
        data = bytearray(to_bytes(victim))
        data[len(data) // 2] ^= 1
        tamper(path, "UPDATE games SET record = ? WHERE id = ?", bytes(data), victim.id)
    else:
        data = bytearray(to_bytes(victim))
        data[len(data) // 2] ^= 1
        tamper(
            path,
            "UPDATE games SET record = ?, status = 'quarantined' WHERE id = ?",
            bytes(data),
            victim.id,
        )
    report = check(path)
    assert not report.canonical_ok
    assert not report.parity_gate["passed"]
    assert any(victim.id in problem for problem in report.problems)
    assert not any(games[0].id in problem for problem in report.problems)


def test_too_few_games_other_options_and_an_empty_store_are_not_canonical(tmp_path, games):
    path = fill(tmp_path / "games.db", games)
    assert "fewer games than the 3 asked for" in check(path, games_requested=3).problems
    empty = check(path, "square8_2p")
    assert not empty.canonical_ok
    assert not empty.anm_ok
    assert "no game" in empty.problems[0]
    other = make_game("hex8", 2, seed=9, lps_rounds=2)
    swapped = make_game("hex8", 2, seed=9, swap_rule=True)
    path = fill(tmp_path / "other.db", [other, swapped])
    found = check(path)
    assert f"{other.id} has other rule options" in found.problems
    assert found.canonical_config["games_under_others"] == 1


def test_what_is_no_store_is_a_data_error(tmp_path):
    path = tmp_path / "games.db"
    path.write_text("no store")
    with pytest.raises(DataError):
        check(path)


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_eight_games_of_each_configuration_are_canonical(tmp_path, board, players):
    games = [make_game(board, players, seed=seed) for seed in range(8)]
    config = f"{board}_{players}p"
    report = check(fill(tmp_path / "games.db", games), config, quick=False, games_requested=8)
    assert report.canonical_ok, report.problems
