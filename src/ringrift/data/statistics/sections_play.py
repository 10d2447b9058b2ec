"""Sections 5 to 10 of the report: recovery, moves, captures, swings, activity, the ply limit."""

from __future__ import annotations

from ringrift.data.statistics.counting import SLIDES
from ringrift.data.statistics.layout import SEATS
from ringrift.data.statistics.measures import (
    Tree,
    by_value,
    distribution,
    quantile,
    rated,
    share,
)
from ringrift.data.statistics.tally import Tally
from ringrift.records.foreign.names import MOVE_KINDS
from ringrift.rules import moves as mv
from ringrift.rules.layout import OVER, PHASE_NAMES


def recovery(tally: Tally) -> Tree:
    """Section 5: who could recover, who did, and how often they won."""
    eligible, offered = (tally.vector(name, SEATS) for name in ("eligible", "offered"))
    slides = {name: tally.vector(name, SEATS) for name in SLIDES}
    groups = {}
    for name in ("users", "eligible_non_users", "never_eligible"):
        members, won = tally.vector(f"recovery:{name}", 2)
        groups[name] = rated(won, members)
    return {
        "games": tally.number("recovery_games"),
        "of_games": tally.number("played"),
        "opportunities": sum(eligible),
        "with_slide": sum(offered),
        "slides": {name.removeprefix("by_"): sum(counts) for name, counts in slides.items()},
        "by_seat": [
            {
                "seat": seat + 1,
                "opportunities": eligible[seat],
                "with_slide": offered[seat],
                **{name.removeprefix("by_"): counts[seat] for name, counts in slides.items()},
            }
            for seat in range(SEATS)
        ],
        "wins": groups,
    }


def moves(tally: Tally) -> Tree:
    """Section 6: moves by type, legal moves by phase and by ply."""
    kinds = tally.vector("kinds", mv.KINDS)
    total = sum(kinds)
    branching = {}
    for number in range(OVER):
        counts = tally.vector(f"legal:{number}")
        figures = distribution(counts)
        branching[PHASE_NAMES[number]] = {
            "plies": figures["n"],
            "mean": figures["mean"],
            "p95": quantile(counts, 0.95),
            "max": figures["max"],
        }
    return {
        "plies": total,
        "types": {
            name: {"count": kinds[kind], "share": share(kinds[kind], total)}
            for name, kind in MOVE_KINDS.items()
        },
        "branching": branching,
    }


def captures(tally: Tally) -> Tree:
    """Section 7: captures, chains, and what the first one is worth."""
    kinds = tally.vector("kinds", mv.KINDS)
    first, decided, won = (
        tally.vector(f"first_capture{name}", SEATS + 1) for name in ("", "_decided", "_won")
    )
    return {
        "segments": kinds[mv.CAPTURES] + kinds[mv.CONTINUE],
        "captures": kinds[mv.CAPTURES],
        "chains": tally.number("chains"),
        "games": tally.number("capture_games"),
        "longest_chain": distribution(tally.vector("longest_chain")),
        "first_capture": [
            {"seat": seat, "games": first[seat], "won": rated(won[seat], decided[seat])}
            for seat in range(1, SEATS + 1)
        ],
    }


def swings(tally: Tally) -> Tree:
    """Section 8: forced eliminations, changes of the lead, comebacks."""
    forced = tally.vector("forced", SEATS)
    leads = {}
    for name in ("territory", "elimination"):
        leads[name] = {
            "changes": tally.number(f"{name}_leads"),
            "games_with_change": tally.number(f"{name}_changed"),
            "comebacks": rated(tally.number(f"{name}_comebacks"), tally.number(f"{name}_led_half")),
        }
    return {
        "forced_eliminations": {
            "count": sum(forced),
            "by_seat": forced,
            "games": tally.number("forced_games"),
            "winners_who_suffered": tally.number("forced_winners"),
        },
        "leads": leads,
    }


def activity(tally: Tally) -> Tree:
    """Section 9: plies that act, turns that do nothing, lines and regions by size."""
    lines, regions = tally.vector("line_sizes"), tally.vector("region_sizes")
    return {
        "acting_plies": rated(tally.number("acting"), tally.number("plies")),
        "turns": tally.number("turns"),
        "empty_turns": tally.number("empty_turns"),
        "longest_empty_streak": distribution(tally.vector("empty_streak")),
        "lines": {"count": sum(lines), "by_size": by_value(lines)},
        "regions": {"count": sum(regions), "by_size": by_value(regions)},
    }


def ply_limit(tally: Tally) -> Tree:
    """Section 10: how long the games were that the limit cut."""
    counts = tally.vector("cut")
    return {"games": sum(counts), "by_plies": by_value(counts)}
