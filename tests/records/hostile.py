"""Real games, changed: bytes flipped, cut and moved; trees with a value put in the wrong place."""

import copy
import json

import msgspec
from hypothesis import strategies as st

from ringrift.records import (
    analysis_from_bytes,
    analysis_to_bytes,
    analysis_to_json,
    from_bytes,
    to_bytes,
    to_json,
)
from ringrift.records.analysis_bytes import ANALYSIS_FORMAT
from ringrift.records.envelope import seal, unseal
from ringrift.records.game_bytes import GAME_FORMAT

from .conftest import make_analysis, make_game

GAMES = [
    make_game(seed=1, limit=30),
    make_game(seed=2, limit=24, swap_rule=True),
    make_game("hex8", 3, seed=3, limit=40),
    make_game("square19", 4, seed=4, limit=12),
]
PAIRS = [(game, make_analysis(game, every=4, entries=3)) for game in GAMES]
RAW_PAIRS = [(to_bytes(game), analysis_to_bytes(analysis)) for game, analysis in PAIRS]
LINES = [
    line
    for game, analysis in PAIRS
    for line in (to_json(game).encode(), analysis_to_json(analysis, game).encode())
]
TREES = [json.loads(line) for line in LINES]
SEALED = [(kind, data) for pair in RAW_PAIRS for kind, data in zip("ga", pair, strict=True)]

REASONS = {
    "malformed",
    "truncated",
    "unknown_board",
    "bad_players",
    "spec",
    "rules_version",
    "zero_moves",
    "error_status",
    "non_canonical",
    "illegal_move",
    "ambiguous_move",
    "hash",
    "result",
    "incomplete",
    "invariant",
    "bad_policy",
    "id_mismatch",
}
"""Of data.md 2."""


def damaged(data, rng):
    """Return the bytes with one to three faults: flips, cuts, doublings, foreign bytes."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(made) + 1)
        length = min(len(made) - at, rng.choice((1, 1, 2, 8, 64)))
        kind = rng.randrange(6)
        if kind <= 2 and length:
            made[at] ^= rng.randrange(1, 256)
        elif kind == 3:
            del made[at : at + length]
        elif kind == 4:
            made[at:at] = made[at : at + length]
        elif kind == 5 and rng.random() < 0.3:
            del made[at:]
        else:
            made[at:at] = rng.randbytes(rng.randrange(1, 9))
    return bytes(made)


texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["square8", "hex8", "P 3,3 2", "T", "NL", "0" * 64, "f" * 16, "-0", "\x00", "é"]
    ),
)
numbers = st.one_of(
    st.integers(-3, 70),
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**31, 2**32, 2**40, 2**63, 2**64 - 1, 2**64, 10**300]),
    st.floats(),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts, st.binary(max_size=40)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
changes = st.tuples(
    st.integers(0, 2**30),
    st.sampled_from(["put", "put", "put", "drop", "double", "add", "swap"]),
    values,
)


def places(tree):
    """List (container, key) of everything inside a tree."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            found.append((node, key))
            if isinstance(node[key], dict | list):
                waiting.append(node[key])
    return found


def changed(tree, change):
    """Return a copy of a tree with one thing in it changed."""
    number, kind, value = change
    made = copy.deepcopy(tree)
    found = places(made)
    node, key = found[number % len(found)]
    if kind == "drop":
        del node[key]
    elif kind == "add":
        if isinstance(node, dict):
            node[str(value)[:9]] = value
        else:
            node.insert(key, value)
    elif kind == "double" and isinstance(node, list):
        node.insert(key, node[key])
    elif kind == "swap":
        other, place = found[number * 7919 % len(found)]
        node[key], other[place] = copy.deepcopy(other[place]), node[key]
    else:
        node[key] = value
    return made


def as_line(tree):
    """Return a tree as a line of JSON, however little it may be one."""
    return json.dumps(tree, default=lambda data: data.hex(), ensure_ascii=False).encode(
        errors="surrogatepass"
    )


def resealed(number, change):
    """Change a real record inside and seal it again with the digest of what it holds now."""
    kind, data = SEALED[number % len(SEALED)]
    identity, body = unseal(data, GAME_FORMAT if kind == "g" else ANALYSIS_FORMAT)
    tree = changed(msgspec.msgpack.decode(body), change)
    try:
        made = msgspec.msgpack.encode(tree)
    except (TypeError, ValueError, OverflowError, UnicodeError):
        made = body[:-1]
    made = seal(GAME_FORMAT if kind == "g" else ANALYSIS_FORMAT, identity, made)
    game, analysis = RAW_PAIRS[number % len(SEALED) // 2]
    return (made, analysis) if kind == "g" else (game, made)


def identity_of(game):
    """What a game is, whoever describes it: the parts that its id and its replay guard."""
    return (game.id, game.spec, game.moves, game.seed, game.start, game.result, game.check)


def decoded(game, analysis):
    return from_bytes(game), None if analysis is None else analysis_from_bytes(analysis)
