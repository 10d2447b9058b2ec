"""What a page of games adds to the sums of its configuration (data.md 10, sections 1 to 12)."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ringrift.data.statistics.counting_plies import count_plies
from ringrift.data.statistics.layout import BY_ROUNDS_STEP, SEATS
from ringrift.data.statistics.pages import Array, Known, Page
from ringrift.data.statistics.tally import Tally
from ringrift.records.foreign.names import BY_LIMIT, reason_word
from ringrift.rules import BoardSpec, parse_config
from ringrift.rules.moves import CAPTURES, CONTINUE, SWAP

TYPES = (
    "ring_elimination",
    "territory_control",
    "last_player_standing_early",
    "last_player_standing_rounds",
    "tie_break_territory",
    "tie_break_rings",
    "tie_break_markers",
    "tie_break_last_mover",
    "max_plies",
    "resignation",
    "aborted",
    "unknown",
)
"""How a game ended; the tie-break steps are those of rules.md 15, 6 to 9."""

_UNKNOWN = TYPES.index("unknown")
_BY_STEP = np.full(BY_ROUNDS_STEP + 1, _UNKNOWN)
_BY_STEP[[1, 2, 3, BY_ROUNDS_STEP, 6, 7, 8, 9]] = range(8)
_BY_END = {"max_plies": "max_plies", "resigned": "resignation", "aborted": "aborted"}
_BY_WORD = {
    "ring_elimination": "ring_elimination",
    "elimination": "ring_elimination",
    "territory_control": "territory_control",
    "territory": "territory_control",
    "lps_rounds": "last_player_standing_rounds",
    **dict.fromkeys(BY_LIMIT, "max_plies"),
}

RULES = (
    "rings_per_player",
    "ring_threshold",
    "territory_minimum",
    "lps_rounds",
    "line_length",
    "base_line_length",
    "swap_rule",
)
"""Options of the rules whose values are counted."""
OPTIONAL = "swap_rule"
"""An option that has no value of its own on a board."""

SLIDES = ("by_line", "by_fallback", "by_stack_strike")
SUMMED = ("acting", "turns", "empty_turns", "chains", "territory_leads", "elimination_leads")


def count_page(tally: Tally, config: str, page: Page) -> None:
    """Add games of one configuration."""
    rows = page.rows
    types = types_of(page)
    players = parse_config(config)[1]
    tally.add("games", len(rows))
    tally.count("types", types)
    tally.count(f"winners:{players}", rows["winner"])
    _count_sources(tally, page.known)
    played = rows["plies"] > 0
    tally.add("without_moves", int((~played).sum()))
    if not played.all():
        keep = np.flatnonzero(played).tolist()
        page = Page([page.known[i] for i in keep], [page.summaries[i] for i in keep])
        rows, types = page.rows, types[played]
    if not len(rows):
        return
    winner = rows["winner"]
    tally.add("played", len(rows))
    _count_seats(tally, rows, players)
    _count_rules(tally, rows, types, config)
    _count_recovery(tally, rows, winner, players)
    _count_moves(tally, rows, winner)
    for name in ("plies", "decisions", "turns"):
        tally.count(f"lengths:{name}", rows[name])
    tally.count("cut", rows["plies"][types == TYPES.index("max_plies")])
    for name in ("opening_4", "opening_8", "opening_12", "play"):
        tally.hashes[name].append(rows[name].copy())
    swapped = rows["kinds"][:, SWAP] % 2 == 1
    specs = [
        (k.specs[1], k.specs[0], *k.specs[2:]) if moved else k.specs
        for k, moved in zip(page.known, swapped.tolist(), strict=True)
    ]
    tally.counters["tables"].update(zip(specs, types.tolist(), winner.tolist(), strict=True))
    count_plies(tally, page, specs)


def types_of(page: Page) -> Array:
    """Return the index in `TYPES` of how each game ended."""
    types: Array = _BY_STEP[page.rows["step"]]
    for place, known in enumerate(page.known):
        if known.end == "game_over":
            continue
        by_word = _BY_WORD.get(reason_word(known.reason), "unknown")
        types[place] = TYPES.index(_BY_END.get(known.end, by_word))
    return types


def _count_sources(tally: Tally, known: list[Known]) -> None:
    tally.counters["hosts"].update(k.host for k in known)
    tally.add("inferred", sum(k.inferred for k in known))
    hours = Counter(int(k.started // 3600) for k in known if k.started is not None)
    tally.counters["hours"].update(hours)


def _count_seats(tally: Tally, rows: Array, players: int) -> None:
    ranks = rows["ranks"][:, :players]
    for seat in range(players):
        ranked = ranks[:, seat][ranks[:, seat] > 0]
        tally.count(f"ranks:{players}:{seat + 1}", ranked)
    offered = (rows["swap_rule"] != 0) & (players == 2)
    used = rows["kinds"][:, SWAP] > 0
    tally.add("pie_offered", int(offered.sum()))
    tally.add("pie_used", int(used.sum()))
    decided = used & (rows["winner"] > 0)
    tally.add("pie_decided", int(decided.sum()))
    tally.add("pie_won", int((decided & (rows["winner"] == 1)).sum()))  # who swaps sits at seat 1


def _count_rules(tally: Tally, rows: Array, types: Array, config: str) -> None:
    board, players = parse_config(config)
    usual = BoardSpec.create(board, players)
    for name in RULES:
        values = rows[name]
        for value in np.unique(values).tolist():
            found = types[values == value]
            tally.count(f"rules:{name}:{value}", found)
            if name != OPTIONAL and value != getattr(usual, name):
                tally.counters["mismatches"][name] += len(found)


def _count_recovery(tally: Tally, rows: Array, winner: Array, players: int) -> None:
    eligible: Array = rows["eligible"][:, :players]
    any_seat = eligible.sum(axis=1) > 0
    tally.add("recovery_games", int(any_seat.sum()))
    won: Array = winner[:, None] == np.arange(1, players + 1)
    slides: Array = np.stack([rows[name][:, :players] for name in SLIDES])
    used = slides.sum(axis=0) > 0
    decided = any_seat[:, None] & (winner > 0)[:, None]
    groups = {
        "users": used,
        "eligible_non_users": (eligible > 0) & ~used,
        "never_eligible": (eligible == 0) & ~used,
    }
    for name, members in groups.items():
        counted = members & decided
        tally.add(f"recovery:{name}", [int(counted.sum()), int((counted & won).sum())])
    for name in ("eligible", "offered", *SLIDES):
        tally.add(name, rows[name].sum(axis=0))


def _count_moves(tally: Tally, rows: Array, winner: Array) -> None:
    kinds = rows["kinds"]
    tally.add("kinds", kinds.sum(axis=0))
    tally.add("plies", int(rows["plies"].sum()))
    for name in SUMMED:
        tally.add(name, int(rows[name].sum()))
    tally.count("longest_chain", rows["longest_chain"])
    tally.count("empty_streak", rows["empty_streak"])
    tally.add("capture_games", int(((kinds[:, CAPTURES] + kinds[:, CONTINUE]) > 0).sum()))
    first = rows["first_capture"]
    decided = (first > 0) & (winner > 0)
    tally.count("first_capture", first)
    tally.count("first_capture_decided", first[decided])
    tally.count("first_capture_won", first[decided & (first == winner)])
    forced = rows["forced"]
    tally.add("forced", forced.sum(axis=0))
    tally.add("forced_games", int(forced.any(axis=1).sum()))
    of_winner = forced[np.arange(len(rows)), np.clip(winner, 1, SEATS) - 1]
    tally.add("forced_winners", int(((of_winner > 0) & (winner > 0)).sum()))
    for name in ("territory", "elimination"):
        half = rows[f"{name}_half"]
        led = (half > 0) & (winner > 0)
        tally.add(f"{name}_led_half", int(led.sum()))
        tally.add(f"{name}_comebacks", int((led & (half != winner)).sum()))
        tally.add(f"{name}_changed", int((rows[f"{name}_leads"] > 0).sum()))
