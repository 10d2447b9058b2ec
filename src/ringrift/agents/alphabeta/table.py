# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The transposition table: buckets of two, the first kept by depth, the second always replaced.

An entry holds the score of a position searched to exactly its depth, counted from that position;
only equal depths answer, so that the table never changes a value. Its key covers everything that
legality and results depend on (`rules.hashing`: acted and recovered flags, debts, counters of last
player standing, the turn a seat went out) and whose score it is. Nothing is erased between
searches: entries older than the search's `since` are as good as empty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.alphabeta.scores import seen_from
from ringrift.rules.hashing import hash_high, hash_low
from ringrift.rules.jitconf import rule

ENTRY = np.dtype(
    [
        ("key", np.int64),
        ("move", np.int64),
        ("score", np.int32),
        ("depth", np.int8),
        ("bound", np.int8),
        ("age", np.int16),
    ]
)
VECTOR_ENTRY = np.dtype(
    [
        ("key", np.int64),
        ("move", np.int64),
        ("score", np.int32, (4,)),
        ("depth", np.int16),
        ("age", np.int16),
        ("unused", np.int32),
    ]
)

EXACT, AT_LEAST, AT_MOST = range(3)
MAX_AGE = (1 << 15) - 1


class Table:
    """The memory of one table: `entries`: ENTRY[2 * buckets], or VECTOR_ENTRY for max-n.

    The number of buckets is the largest power of two that fits `size_mb`; 0 switches it off.
    """

    def __init__(self, size_mb: int, *, vectors: bool = False) -> None:
        kind = VECTOR_ENTRY if vectors else ENTRY
        room = size_mb * (1 << 20) // (2 * kind.itemsize)
        buckets = 1 << (room.bit_length() - 1) if room else 0
        self.entries: NDArray[Any] = np.zeros(2 * buckets, kind)
        self.age = 0
        self.since = 0

    def next_search(self, *, keep: bool) -> None:
        """Begin a search; `keep` lets it read what the searches before it left."""
        if self.age == MAX_AGE:
            self.entries[:] = 0
            self.age = 0
            keep = False
        self.age += 1
        if not keep:
            self.since = self.age


@rule
def position_key(s, b, whose):
    """Return the 64-bit key of a position whose score is that of `whose` (seats and mode)."""
    low = hash_low(s, b)
    high = hash_high(s, b) ^ (int(whose) << 16)
    return ((high ^ 0x80000000) - 0x80000000) * 4294967296 + low


@rule
def find(table, key, since):
    """Return the index of the entry of `key`, -1 if there is none."""
    at = 2 * (int(key) & (len(table) // 2 - 1))
    for i in range(at, at + 2):
        if table[i].key == key and table[i].age >= since and table[i].age > 0:
            return i
    return -1


@rule
def place_for(table, key, depth, since):
    """Return the index at which an entry of `key` and `depth` is to be written."""
    at = 2 * (int(key) & (len(table) // 2 - 1))
    first = table[at]
    if first.key == key or first.age < since or first.depth <= depth:
        return at
    return at + 1


@rule
def store(table, run, frame, score, bound):
    """Write the score of the node of `frame`, as the seat it belongs to sees it."""
    entry = table[place_for(table, frame.key, frame.depth, run.since)]
    entry.key = frame.key
    entry.move = frame.best_move
    entry.score = seen_from(score, -frame.choices)
    entry.depth = frame.depth
    entry.bound = bound
    entry.age = run.age


@rule
def store_vector(table, run, frame, players):
    """Write the exact scores of all seats at the node of `frame`."""
    entry = table[place_for(table, frame.key, frame.depth, run.since)]
    entry.key = frame.key
    entry.move = frame.best_move
    for p in range(players):
        entry.score[p] = seen_from(frame.vector[p], -frame.choices)
    entry.depth = frame.depth
    entry.age = run.age
