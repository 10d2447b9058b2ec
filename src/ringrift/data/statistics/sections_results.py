"""Sections 1 to 4 of the report: ends, seats, lengths, rules (data.md 10)."""

from __future__ import annotations

from ringrift.data.statistics.counting import OPTIONAL, RULES, TYPES
from ringrift.data.statistics.measures import Tree, distribution, equal_chances, rated, share
from ringrift.data.statistics.tally import Tally
from ringrift.rules import RULES_VERSION

CLASSES = {
    "ring_elimination": ("ring_elimination", "tie_break_rings"),
    "territory_control": ("territory_control", "tie_break_territory"),
    "last_player_standing": (
        "last_player_standing_early",
        "last_player_standing_rounds",
        "tie_break_markers",
        "tie_break_last_mover",
    ),
}
"""The three reasons that the reference reports, and the ends that count to each."""
COMPLETED = tuple(name for name in TYPES if name not in ("max_plies", "aborted", "unknown"))


def completed(tally: Tally) -> int:
    """Return how many games were ended by the rules or resigned."""
    counts = dict(zip(TYPES, tally.vector("types", len(TYPES)), strict=True))
    return sum(counts[name] for name in COMPLETED)


def victory(tally: Tally) -> Tree:
    """Section 1: how games ended."""
    counts = dict(zip(TYPES, tally.vector("types", len(TYPES)), strict=True))
    total = sum(counts.values())
    classes = {name: sum(counts[t] for t in types) for name, types in CLASSES.items()}
    ended = sum(classes.values())
    return {
        "games": total,
        "types": {name: {"count": n, "share": share(n, total)} for name, n in counts.items()},
        "classes": {name: {"count": n, "share": share(n, ended)} for name, n in classes.items()},
    }


def seats(tally: Tally) -> Tree:
    """Section 2: wins and ranks by seat, one entry for each number of players; the pie rule."""
    tables = []
    for players in (2, 3, 4):
        winners = tally.vector(f"winners:{players}", players + 1)
        if not sum(winners):
            continue
        wins = winners[1:]
        games = sum(wins)
        statistic, p = equal_chances(wins)
        ranks = [
            tally.vector(f"ranks:{players}:{seat}", players + 1)[1:]
            for seat in range(1, players + 1)
        ]
        tables.append(
            {
                "players": players,
                "games": games,
                "without_winner": winners[0],
                "wins": [{"seat": i + 1, **rated(n, games)} for i, n in enumerate(wins)],
                "chi_square": statistic,
                "p": p,
                "ranks": ranks if players > 2 else None,
            }
        )
    return {
        "by_players": tables,
        "pie_rule": {
            "offered": tally.number("pie_offered"),
            "used": tally.number("pie_used"),
            "use_share": share(tally.number("pie_used"), tally.number("pie_offered")),
            "won_by_swapper": rated(tally.number("pie_won"), tally.number("pie_decided")),
        },
    }


def lengths(tally: Tally) -> Tree:
    """Section 3: plies, decisions and turns of a game; time where it was recorded."""
    seconds = tally.number("timed_ms") / 1000
    games, plies = tally.number("timed_games"), tally.number("timed_plies")
    return {
        "plies": distribution(tally.vector("lengths:plies")),
        "decision_plies": distribution(tally.vector("lengths:decisions")),
        "turns": distribution(tally.vector("lengths:turns")),
        "time": {
            "games": games,
            "total_s": seconds if games else None,
            "games_per_s": games / seconds if seconds else None,
            "plies_per_s": plies / seconds if seconds else None,
        },
    }


def rules(tally: Tally) -> Tree:
    """Section 4: the options that games were played with, and how they ended under each."""
    values: Tree = {name: [] for name in RULES}
    for key in sorted(name for name in tally.sums if name.startswith("rules:")):
        _, name, value = key.split(":")
        counts = tally.vector(key, len(TYPES))
        values[name].append(
            {
                "value": int(value),
                "games": sum(counts),
                "outcomes": {t: n for t, n in zip(TYPES, counts, strict=True) if n},
            }
        )
    mismatches = tally.counters["mismatches"]
    return {
        "rules_version": {RULES_VERSION: tally.number("played")},
        "values": {name: sorted(found, key=lambda v: v["value"]) for name, found in values.items()},
        "mismatches": {name: mismatches[name] for name in RULES if name != OPTIONAL},
    }
