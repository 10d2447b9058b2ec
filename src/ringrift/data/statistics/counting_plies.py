"""What the plies of a page of games add: branching, sizes, searched decisions (data.md 10)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ringrift.data.statistics.layout import (
    LEGAL_SHIFT,
    PHASE_MASK,
    SEAT_MASK,
    SEAT_SHIFT,
    SEATS,
    SIZE_MASK,
    SIZE_SHIFT,
)
from ringrift.data.statistics.pages import Array, Page
from ringrift.data.statistics.tally import Tally
from ringrift.rules.layout import LINES, OVER, TERRITORY


def count_plies(tally: Tally, page: Page, specs: Sequence[tuple[str, ...]]) -> None:
    """Add the plies of games; `specs` are the agents that had the seats at the end of each."""
    words, lengths = page.words, page.lengths
    starts = np.cumsum(lengths) - lengths
    phase = words & PHASE_MASK
    legal = (words >> LEGAL_SHIFT).astype(np.int64)
    _count_branching(tally, phase, legal, np.arange(len(words)) - np.repeat(starts, lengths))
    size = (words >> SIZE_SHIFT) & SIZE_MASK
    for name, where in (("line_sizes", LINES), ("region_sizes", TERRITORY)):
        tally.count(name, size[(phase == where) & (size > 0)])
    seat = (words >> SEAT_SHIFT) & SEAT_MASK
    _count_searched(tally, page, specs, seat.astype(np.int64), legal > 1, starts)
    _count_time(tally, page)


def _count_branching(tally: Tally, phase: Array, legal: Array, ply: Array) -> None:
    most = int(legal.max()) + 1
    table = np.bincount(phase * most + legal, minlength=OVER * most).reshape(OVER, most)
    for number, counts in enumerate(table):
        tally.add(f"legal:{number}", np.trim_zeros(counts, "b"))
    tally.count("plies_at", ply)
    tally.add("legal_at", np.bincount(ply, weights=legal).astype(np.int64))


def _count_searched(
    tally: Tally,
    page: Page,
    specs: Sequence[tuple[str, ...]],
    seat: Array,
    decision: Array,
    starts: Array,
) -> None:
    game = np.repeat(np.arange(len(page.known)), page.lengths)
    by_seat = np.bincount(
        game[decision] * SEATS + seat[decision], minlength=SEATS * len(page.known)
    ).reshape(-1, SEATS)
    decisions, searched, full = (tally.counters[n] for n in ("decisions", "searched", "full"))
    rows = zip(page.known, specs, by_seat.tolist(), starts.tolist(), strict=True)
    for known, names, counts, start in rows:
        for place, name in enumerate(names):
            decisions[name] += counts[place]
        found = known.searched
        if found is None:
            continue
        tally.counters["budgets"][found.sims] += 1
        tally.add("searched_games", 1)
        for counter, plies in ((searched, found.plies), (full, found.full)):
            at = np.fromiter(plies, np.int64, len(plies)) + start
            seats = np.bincount(seat[at[decision[at]]], minlength=SEATS).tolist()
            for place, name in enumerate(names):
                counter[name] += seats[place]


def _count_time(tally: Tally, page: Page) -> None:
    timed = [(k.ms, plies) for k, plies in zip(page.known, page.lengths.tolist(), strict=True)]
    known = [(ms, plies) for ms, plies in timed if ms is not None]
    tally.add("timed_games", len(known))
    tally.add("timed_ms", sum(ms for ms, _ in known))
    tally.add("timed_plies", sum(plies for _, plies in known))
