"""The replay decides what a line says of its game."""

import json

import pytest

from ringrift.data.jsonl_fixing.judge import FIELDS, Judge
from ringrift.records.analysis import Analysis
from ringrift.records.game_json import analysis_to_json, to_json
from ringrift.records.ply_analysis import PlyAnalysis, quantize
from ringrift.rules import Position

FORMS = tuple(FIELDS)


def judged(fields):
    line = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return Judge("file").line(1, line)


def changes(fields):
    found = judged(fields)
    assert found.reason is None, found
    return {change.field: (change.found, change.replayed) for change in found.changes}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("players", [2, 3, 4])
@pytest.mark.parametrize("board", ["square8", "hex8"])
def test_a_sound_line_is_sound(game, fields, form, board, players):
    assert changes(fields(game(board, players), form)) == {}


@pytest.mark.parametrize("form", FORMS)
def test_each_field_is_found_when_it_is_missing_or_wrong(game, fields, form):
    record = game("hex8", 3, seed=1)
    true = dict(
        zip(
            FIELDS[form],
            ("hex8", 3, record.result.winner, None, record.result.plies),
            strict=True,
        )
    )
    wrong = ("square8", 2, record.result.winner % 3 + 1, "ring_elimination", 5)
    for name, other in zip(FIELDS[form], wrong, strict=True):
        sound = fields(record, form)
        value = sound[name]
        assert true[name] in (None, value)
        told = other if other != value else "territory_control"
        assert changes({**sound, name: told}) == {name: (told, value)}
        if name not in ("boardType", "board_type", "num_players", "numPlayers"):
            assert changes({**sound, name: None}) == {name: (None, value)}
        del sound[name]
        assert changes(sound) == {name: (None, value)}


def test_names_that_mean_the_same_are_not_wrong(game, fields):
    record = next(
        record for seed in range(40) if (record := game(seed=seed)).result.reason == "lps_rounds"
    )
    assert changes(fields(record, board_type="sq8", victory_type="lps")) == {}
    assert changes(fields(record, move_count=float(record.result.plies))) == {}


def test_words_nobody_knows_are_replaced(game, fields):
    record = game(seed=1)
    told = fields(record, victory_type="glory", termination_reason=...)
    assert changes(told) == {"victory_type": ("glory", fields(record)["victory_type"])}


def test_a_limit_that_did_not_end_the_game_is_corrected(game, fields):
    record = game(seed=1)
    told = fields(record, victory_type="timeout", termination_reason=...)
    assert changes(told) == {"victory_type": ("timeout", fields(record)["victory_type"])}


def test_a_resigned_game_is_kept_and_its_winner_follows_from_who_left(game, fields):
    record = game(seed=1, limit=20, end="resigned", resigned=1)
    told = fields(record)
    assert changes(told) == {}
    told["moves"].append({"type": "resign", "player": 1})
    told["move_count"] += 1
    assert changes(told) == {}
    assert changes({**told, "winner": 1}) == {"winner": (1, 2)}


def test_moves_without_bookkeeping_are_confirmed_and_counted_as_they_stand(game, fields):
    told = fields(game(seed=1), initial_state=..., initial_state_hash=..., final_state_hash=...)
    idle = ("no_placement_action", "no_movement_action", "no_line_action", "no_territory_action")
    told["moves"] = [move for move in told["moves"] if move["type"] not in idle]
    assert len(told["moves"]) < told["move_count"]
    assert changes(told) == {"move_count": (told["move_count"], len(told["moves"]))}


def test_without_a_board_a_game_that_fits_several_is_taken_out(game, fields):
    told = fields(game(seed=1, limit=6), board_type=..., initial_state=...)
    found = judged(told)
    assert (found.reason, found.changes) == ("malformed", ())
    assert "board_type missing and no configuration fit" in found.detail


def test_each_reason_is_told_with_its_place(seven_broken):
    for reason, lines in seven_broken.items():
        for line in lines:
            found = judged(line.encode() if isinstance(line, str) else line)
            assert found.reason == reason, found
            assert found.detail
            assert found.changes == ()
    _, stray = seven_broken["malformed"]
    assert stray["moves"][judged(stray).ply]["to"]["y"] == 77


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"7", b"\xff\xfe", b'{"moves": 3}', b'{"board_type": "square8"}', b"{}"]
)
def test_what_is_no_game_is_malformed(line):
    assert judged(line).reason == "malformed"


def test_an_illegal_move_names_the_ply(game, fields):
    told = fields(game(seed=1), initial_state_hash=..., final_state_hash=...)
    told["moves"][9], told["moves"][10] = told["moves"][10], told["moves"][9]
    found = judged(told)
    assert found.reason == "malformed"
    assert found.ply in (9, 10)


# --- lines of our own


def analysis_of(record):
    legal = Position.of(record.spec).legal_packed().tolist()
    ply = PlyAnalysis(
        ply=0, kind="full", sims=4, value=(0, 0), root_value=(0, 0), policy=quantize({legal[0]: 1})
    )
    return Analysis(game=record.id, agent="test", plies=(ply,))


def test_our_own_lines_are_never_corrected(game):
    record = game(seed=1)
    line = to_json(record)
    assert judged(line.encode()).reason is None
    told = json.loads(line)
    told["result"]["winner"] = 3 - told["result"]["winner"]
    found = judged(told)
    assert (found.reason, found.changes) == ("malformed", ())
    cut = judged(to_json(game(seed=3, limit=40)).encode())
    assert cut.reason == "timeout"


def test_an_analysis_goes_where_its_game_goes(game):
    record, cut = game(seed=1), game(seed=3, limit=40)
    judge = Judge("file")
    assert judge.line(1, analysis_to_json(analysis_of(record), record).encode()).reason
    assert judge.line(2, to_json(record).encode()).reason is None
    assert judge.line(3, analysis_to_json(analysis_of(record), record).encode()).reason is None
    assert judge.line(4, analysis_to_json(analysis_of(cut), cut).encode()).reason == "malformed"
    assert judge.line(5, to_json(cut).encode()).reason == "timeout"
    assert judge.line(6, analysis_to_json(analysis_of(cut), cut).encode()).reason == "timeout"
