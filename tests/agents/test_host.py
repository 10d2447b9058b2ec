"""Hosted games: whose turn it is, what undo takes back, and files that survive and are checked."""

from __future__ import annotations

import json
import random

import pytest

from ringrift.agents.factory import make_agent
from ringrift.agents.hosting.game import HostedGame
from ringrift.agents.hosting.positions import read_position
from ringrift.agents.hosting.saved import SavedGame, save
from ringrift.agents.hosting.seats import HUMAN, read_seats, split_seats
from ringrift.core.errors import DataError, UsageError
from ringrift.rules import BoardSpec, IllegalMove, Position

SPEC = BoardSpec.create("square8", 2)
PIE = BoardSpec.create("square8", 2, swap_rule=True)
AGAINST = (HUMAN, "heuristic:mode=light")
PEOPLE = (HUMAN, HUMAN)


def hosted(seats=AGAINST, spec=SPEC, seed=7):
    return HostedGame.start(spec, seats, seed=seed, make=lambda text: make_agent(text, spec))


def play_on(game, plies, draw):
    """Play until `plies` are recorded and a person has a choice; people draw their moves."""
    while not game.is_over:
        legal = game.position.legal_packed().tolist()
        if game.mover_is_human and len(legal) > 1:
            if len(game.plies) >= plies:
                return
            game.play(draw.choice(legal))
        elif len(legal) == 1:
            game.play(legal[0])
        else:
            decision = game.decide()
            game.play(decision.move, decision)


@pytest.fixture(scope="module")
def played():
    """The moves of a game between a person and an agent, at a person's choice."""
    game = hosted()
    play_on(game, 40, random.Random(1))
    return game.texts


def replayed(texts, seats=AGAINST):
    game = hosted(seats)
    for text in texts:
        game.play(text)
    return game


# --- seats


@pytest.mark.parametrize(
    ("text", "seats"),
    [
        ("human,random", ["human", "random"]),
        ("HUMAN, Random", ["human", "random"]),
        ("heuristic:mode=light,eps=0.1,human", ["heuristic:eps=0.1,mode=light", "human"]),
        ("human,human,gumbel:8,eval=heuristic", ["human", "human", "gumbel:eval=heuristic,sims=8"]),
        ("random,heuristic:aggressive", ["random", "heuristic:persona=aggressive"]),
    ],
)
def test_a_comma_list_names_people_and_specs(text, seats):
    assert split_seats(text) == seats


@pytest.mark.parametrize("text", ["", "human", "human,human,human", "human,humam", "human,,random"])
def test_seats_that_do_not_fit_two_players_are_refused(text):
    with pytest.raises(UsageError):
        read_seats(text, 2)


# --- undo and redo


def test_undo_against_an_agent_goes_back_to_the_first_choice_of_a_whole_turn(played):
    game = replayed(played)
    before = game.position.fingerprint
    count = game.undo()
    taken = played[len(game.plies) :]
    assert len(taken) == count
    assert game.mover_is_human
    assert game.position.phase == "ring_placement"
    assert game.position.current_player == 1
    placements = [text for text in taken if text.startswith("P ")]
    assert len(placements) == 2, "one turn of the person, one of the agent"
    assert game.redo() == count
    assert game.texts == played
    assert game.position.fingerprint == before


def test_undo_in_the_middle_of_a_turn_takes_back_this_turn_only(played):
    game = replayed(played)
    assert game.position.phase == "ring_placement"
    game.play(game.position.legal_moves()[0].text)
    assert game.undo() == 1
    assert game.texts == played


def test_undo_between_people_takes_back_one_choice():
    game = hosted(PEOPLE)
    game.play("P 3,3 2")
    game.play("M 3,3 3,6")
    game.play("NL")
    game.play("NT")
    assert game.undo() == 3  # the movement and what was forced after it
    assert game.texts == ["P 3,3 2"]
    assert game.undo() == 1
    assert [game.redo(), game.redo()] == [1, 3]
    assert game.texts == ["P 3,3 2", "M 3,3 3,6", "NL", "NT"]


def test_a_new_move_ends_redo_and_nothing_chosen_is_nothing_to_undo():
    game = hosted(PEOPLE)
    with pytest.raises(UsageError, match="nothing to undo"):
        game.undo()
    game.play("P 3,3 2")
    game.undo()
    game.play("P 3,3 1")
    with pytest.raises(UsageError, match="nothing to redo"):
        game.redo()


def test_an_illegal_move_changes_nothing(played):
    game = replayed(played)
    with pytest.raises(IllegalMove):
        game.play("NL")
    assert game.texts == played


# --- ends


def test_a_resignation_is_the_hosts_result_and_can_be_taken_back():
    game = hosted(PEOPLE)
    game.play("P 3,3 2")
    game.resign()
    assert game.is_over
    assert not game.position.is_over
    assert (game.outcome.winner, game.outcome.reason) == (2, "resignation")
    with pytest.raises(UsageError, match="over"):
        game.play("M 3,3 3,6")
    assert game.undo() == 0
    assert game.outcome is None
    assert game.texts == ["P 3,3 2"]


def test_a_game_of_three_cannot_be_resigned():
    game = hosted((HUMAN,) * 3, BoardSpec.create("hex8", 3))
    with pytest.raises(UsageError, match="game of two"):
        game.resign()


def test_agents_play_a_whole_game_and_the_rules_say_who_won():
    game = hosted(("heuristic:mode=light", "random"))
    play_on(game, 0, random.Random(0))
    assert game.outcome.reason == game.position.result.reason
    assert game.outcome.ranking[game.outcome.winner - 1] == 1


def test_occupants_move_with_their_identity_when_seats_are_exchanged():
    game = hosted(PEOPLE, PIE)
    game.seats = ("human", "guest")  # two people with names: seats are only words here
    while "SW" not in [move.text for move in game.position.legal_moves()]:
        game.play(game.position.legal_moves()[-1].text)
    assert [game.occupant(1), game.occupant(2)] == ["human", "guest"]
    ply = game.play("SW")
    assert ply.by == "guest"
    assert [game.occupant(1), game.occupant(2)] == ["guest", "human"]


def test_agents_play_on_by_their_identity_after_an_exchange():
    seats = ("heuristic:mode=light", "random")  # random swaps in half of the games
    found = set()
    for seed in range(4):
        game = hosted(seats, PIE, seed)
        play_on(game, 0, random.Random(0))
        swapped = "SW" in game.texts
        found.add(swapped)
        last = [ply for ply in game.plies if ply.before.current_player == 2][-1]
        assert last.by == seats[0 if swapped else 1]
        assert game.occupant(1) == seats[1 if swapped else 0]
    assert found == {True, False}


# --- files


def test_a_saved_game_resumes_at_the_same_ply_with_the_same_next_move(played, tmp_path):
    game = replayed(played)
    save(game, tmp_path / "g.json")
    saved = SavedGame(tmp_path / "g.json")
    again = saved.resume(lambda text: make_agent(text, saved.spec))
    assert again.texts == played
    assert str(again.position) == str(game.position)
    assert saved.changed(again) == []
    for one in (game, again):
        play_on(one, len(played) + 1, random.Random(5))
    assert again.texts == game.texts
    assert len(game.texts) > len(played)


def test_a_resignation_and_rule_options_are_kept(tmp_path):
    game = hosted(PEOPLE, BoardSpec.create("square8", 2, rings_per_player=9))
    game.play("P 3,3 2")
    game.resign()
    save(game, tmp_path / "g.json")
    again = SavedGame(tmp_path / "g.json").resume(lambda text: make_agent(text, game.spec))
    assert again.spec == game.spec
    assert again.outcome == game.outcome


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("format", "other/1", "format"),
        ("rules", "0", "rules"),
        ("config", "square8_9p", "config"),
        ("options", {"rings": 3}, "options"),
        ("options", {"lps_rounds": "x"}, "options"),
        ("seats", ["human"], "seats"),
        ("seats", ["human", "heurstic"], "seats"),
        ("seed", -1, "seed"),
        ("seed", True, "seed"),
        ("moves", ["P 3,3 2", "M 3,3 9,9"], r"moves\[1\]"),
        ("moves", 3, "moves"),
        ("fingerprint", "0" * 16, "fingerprint"),
        ("resigned", 3, "resigned"),
    ],
)
def test_a_damaged_file_is_refused_naming_the_field(field, value, said, tmp_path):
    game = hosted(PEOPLE)
    game.play("P 3,3 2")
    path = tmp_path / "g.json"
    save(game, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(DataError, match=rf"g\.json {said}"):
        SavedGame(path)


def test_other_weights_than_the_game_began_with_are_noticed(tmp_path):
    save(hosted(), tmp_path / "g.json")
    tree = json.loads((tmp_path / "g.json").read_text())
    tree["agents"][1] = "0" * 64
    (tmp_path / "g.json").write_text(json.dumps(tree))
    saved = SavedGame(tmp_path / "g.json")
    game = saved.resume(lambda text: make_agent(text, saved.spec))
    assert saved.changed(game) == ["heuristic:mode=light"]


# --- positions from outside


def test_positions_come_as_text_and_as_json_with_moves_or_a_state():
    after = Position.of(SPEC).after("P 3,3 2")
    tree = {"config": "square8_2p", "moves": ["P 3,3 2"]}
    state = {"config": "square8_2p", "state": str(after)}
    line = {"config": "square8_2p", "options": {"lps_rounds": 3}, "moves": "P 3,3 2;"}
    for text in (f"{after}\n", *map(json.dumps, (tree, state, line))):
        assert read_position(text, SPEC, where="f").fingerprint == after.fingerprint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "f field ph"),
        ("{", "f"),
        ("{}", "f config"),
        ('{"config": "square8_2p", "move": []}', "f"),
        ('{"config": "square8_2p", "options": 3}', "f options"),
        ('{"config": "square8_2p", "state": "ph="}', "f state field"),
        ('{"config": "square8_2p", "state": 3}', "f state"),
        ('{"config": "square8_2p", "moves": ["NL"]}', r"f moves\[0\]"),
    ],
)
def test_a_bad_position_is_refused_naming_the_field(text, said):
    with pytest.raises(DataError, match=rf"\({said}"):
        read_position(text, SPEC, where="f")
