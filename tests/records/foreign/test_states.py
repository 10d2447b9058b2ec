"""Serialized states: which end of a ring list is the top, and the reference's fingerprint."""

import pytest

from ringrift.records import VerificationError
from ringrift.records.foreign.states import (
    hash_agrees,
    read_state,
    reference_fingerprint,
    state_json,
)
from ringrift.rules import Position

TEXT = (
    "ph=movement;cur=1;only=3,3;pend=-;act=1;rec=0;st=active;win=0;hand=15,15;elim=0,1;terr=0,1;"
    "S=0,0:{0} 3,3:1;M=5,5:2;C=7,7:2"
)


def state_of(rings):
    position = Position.parse(TEXT.format(rings))
    fields = {**state_json(position, game_id="g")}
    del fields["canonicalState"]
    return fields


@pytest.mark.parametrize("rings", ["21", "211", "1221", "12211", "1", "122"])
def test_both_orders_are_told_by_controller_and_cap(rings):
    fields = state_of(rings)
    assert read_state(fields, "square8", 2).stacks[0] == rings
    stack = fields["board"]["stacks"]["0,0"]
    stack["rings"] = stack["rings"][::-1]
    assert read_state(fields, "square8", 2).stacks[0] == rings


def test_a_list_that_may_be_either_is_an_error():
    fields = state_of("122121")  # one ring of player 1 on top, from either end
    with pytest.raises(VerificationError, match="may be top first or bottom first"):
        read_state(fields, "square8", 2)


def test_another_stack_of_the_state_tells():
    fields = state_of("122121")
    fields["board"]["stacks"]["1,1"] = {
        "rings": [2, 1],
        "stackHeight": 2,
        "capHeight": 1,
        "controllingPlayer": 2,
    }
    assert read_state(fields, "square8", 2).stacks[0] == "122121"


@pytest.mark.parametrize(
    "wrong", [{"controllingPlayer": 3}, {"capHeight": 2}, {"rings": [1, 5]}, {"rings": []}]
)
def test_stacks_that_contradict_themselves_are_errors(wrong):
    fields = state_of("21")
    fields["board"]["stacks"]["0,0"].update(wrong)
    with pytest.raises(VerificationError, match="found"):
        read_state(fields, "square8", 2)


def test_the_reference_fingerprint_has_the_documented_form():
    position = Position.parse(TEXT.format("211"))
    text = reference_fingerprint(position)
    assert text == "1:movement:active:0#1:15:0:0|2:15:1:1#0,0:1:3:2|3,3:1:1:1#5,5:2#7,7:2"
    assert hash_agrees(text, position)
    assert hash_agrees(position.fingerprint, position)
    assert hash_agrees("0" * 16, position) is False
    assert hash_agrees(text.replace("15", "14"), position) is False
    assert hash_agrees("md5:77", position) is None
