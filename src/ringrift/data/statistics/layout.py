"""The row that one game gives: names, places and sizes, shared by compiled and vectorised code.

A row is a vector of whole numbers. Fields of four numbers have one for each seat.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ringrift.rules.moves import KINDS

SUMMARY_VERSION = 1
"""Rises whenever a row or a word means something else, so that no older one is read."""

SEATS = 4

COUNTED = (
    ("kinds", KINDS),  # plies by kind of move
    ("eligible", SEATS),  # movement plies of a seat that could recover (rules.md 12.1)
    ("offered", SEATS),  # of them with a slide
    ("by_line", SEATS),  # recovery slides by mode
    ("by_fallback", SEATS),
    ("by_stack_strike", SEATS),
    ("forced", SEATS),  # forced eliminations
    ("first_capture", 1),  # seat, 0 none
    ("chains", 1),  # captures of two segments or more
    ("longest_chain", 1),  # segments
    ("territory_leads", 1),  # changes of the one seat with most territory
    ("elimination_leads", 1),
    ("territory_half", 1),  # that seat after half of the plies, 0 none or several
    ("elimination_half", 1),
    ("acting", 1),  # plies that act (rules.md 2.4)
    ("decisions", 1),  # plies with two legal moves or more
    ("turns", 1),  # turns begun
    ("empty_turns", 1),  # turns in which nothing acted
    ("empty_streak", 1),  # most of them in a row, whoever's they were
    ("step", 1),  # step of rules.md 15 that ended the game, `BY_ROUNDS_STEP`, 0 not over
)
BY_ROUNDS_STEP = 10

CLAIMED = (
    ("plies", 1),
    ("players", 1),
    ("winner", 1),
    ("ranks", SEATS),  # 0 where there are none
    ("elim", SEATS),
    ("terr", SEATS),
    ("hand", SEATS),
    ("rings_per_player", 1),
    ("ring_threshold", 1),
    ("territory_minimum", 1),
    ("lps_rounds", 1),
    ("line_length", 1),
    ("base_line_length", 1),
    ("swap_rule", 1),
)
"""What the record says; verification has compared it with the moves."""

HASHED = ("opening_4", "opening_8", "opening_12", "play", "final", "checks")
"""64-bit hashes: the first moves, all of them with specification and start, and the states."""


def _places(fields: tuple[tuple[str, int], ...]) -> Iterator[tuple[str, int]]:
    at = 0
    for name, size in fields:
        yield name, at
        at += size


PLACE = dict(_places(COUNTED))
"""Where each counted field begins."""
COUNTERS = sum(size for _, size in COUNTED)

ROW = np.dtype(
    [
        *((name, "<i4", (size,) if size > 1 else ()) for name, size in (*COUNTED, *CLAIMED)),
        *((name, "<u8") for name in HASHED),
    ]
)

# A ply as one number: bits 0-2 phase | 3-4 seat - 1 | 5-13 cells of the line or region | 14-31 legal moves
WORD = np.dtype("<u4")
SEAT_SHIFT = 3
SIZE_SHIFT = 5
LEGAL_SHIFT = 14
PHASE_MASK = 7
SEAT_MASK = 3
SIZE_MASK = 511
MOST_LEGAL = (1 << (32 - LEGAL_SHIFT)) - 1
"""Larger legal sets count as this many."""
