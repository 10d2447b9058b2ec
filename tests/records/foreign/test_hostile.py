"""Whatever stands in a line, reading it ends with a game or with a reason of the gate."""

import copy
import json
import random

import pytest

from ringrift.records import VerificationError
from ringrift.records.foreign.convert import convert
from ringrift.records.foreign.lines import entries

REASONS = {
    "malformed",
    "truncated",
    "unknown_board",
    "bad_players",
    "spec",
    "zero_moves",
    "error_status",
    "non_canonical",
    "illegal_move",
    "ambiguous_move",
    "hash",
    "result",
    "incomplete",
    "bad_policy",
}
VALUES = [None, True, -1, 0, 3, 1.5, "", "x", "99,99", [], {}, [1], {"x": 1}, [[1]], 10**30, [None]]
CHANGES = 80


def places(tree, place=()):
    yield place
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, inner in pairs:
        if isinstance(inner, dict | list):
            yield from places(inner, (*place, key))
        else:
            yield (*place, key)


def changed(tree, place, value):
    """Return the tree with another value, or None for nothing, at a place of it."""
    if not place:
        return value
    tree = inner = copy.deepcopy(tree)
    for key in place[:-1]:
        inner = inner[key]
    if value == "gone":
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return tree


@pytest.mark.parametrize("form", ["gamerecord-jsonl", "selfplay-jsonl", "trace"])
def test_any_value_anywhere_is_a_reason_and_no_traceback(game, searched, write, tmp_path, form):
    record = game("hex8", 3, seed=2, limit=30)
    path = write([record], form, analyses=[searched(record)])
    tree = json.loads(path.read_text())
    rng = random.Random(form)
    chosen = [place for place in places(tree) if "moves" not in place or rng.random() < 0.05]
    bad = tmp_path / "bad.jsonl"
    found = set()
    for _ in range(CHANGES):
        value = rng.choice([*VALUES, "gone"])
        bad.write_text(json.dumps(changed(tree, rng.choice(chosen), value)) + "\n")
        for entry in entries(bad, form):
            if entry.error is not None:
                found.add(entry.error.reason)
                continue
            try:
                convert(entry.game)
            except VerificationError as error:
                found.add(error.reason)
    assert "malformed" in found
    assert found <= REASONS
