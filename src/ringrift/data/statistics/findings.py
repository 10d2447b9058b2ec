"""Section 13 of the report: what stands out, as sentences with their numbers (data.md 10)."""

from __future__ import annotations

from collections.abc import Iterator

from ringrift.data.statistics.measures import Tree

P_LIMIT = 0.01
TYPE_LIMIT = 0.80
COVERAGE_LIMIT = 0.95
LEAST_GAMES = 20
"""Games below which neither a common end nor a seat without a win says anything."""


def findings(config: str, sections: Tree) -> Iterator[Tree]:
    """Yield what stands out in one configuration."""
    yield from _seats(config, sections)
    yield from _types(config, sections)
    coverage = sections["agents"]["policy_coverage"]
    if coverage["of"] and coverage["share"] < COVERAGE_LIMIT:
        yield {
            "configuration": config,
            "rule": "policy_coverage",
            "text": f"{coverage['share']:.1%} of {coverage['of']:,} decisions of searching agents "
            f"carry a distribution; expected at least {COVERAGE_LIMIT:.0%}.",
            "numbers": {"share": coverage["share"], "plies": coverage["of"]},
        }


def _seats(config: str, sections: Tree) -> Iterator[Tree]:
    for table in sections["seats"]["by_players"]:
        wins, games = table["wins"], table["games"]
        if table["p"] is not None and table["p"] < P_LIMIT:
            best = max(wins, key=lambda seat: seat["count"])
            yield {
                "configuration": config,
                "rule": "seat_advantage",
                "text": f"Seat {best['seat']} wins {best['share']:.1%} of {games:,} games "
                f"(95 % interval {best['low']:.1%} to {best['high']:.1%}); equal seats would do so "
                f"by chance with p = {table['p']:.2g}.",
                "numbers": {
                    "seat": best["seat"],
                    "share": best["share"],
                    "p": table["p"],
                    "games": games,
                },
            }
        for seat in wins:
            if seat["count"] == 0 and games >= LEAST_GAMES:
                yield {
                    "configuration": config,
                    "rule": "seat_without_win",
                    "text": f"Seat {seat['seat']} wins none of {games:,} games.",
                    "numbers": {"seat": seat["seat"], "games": games},
                }


def _types(config: str, sections: Tree) -> Iterator[Tree]:
    games = sections["victory"]["games"]
    for name, ended in sections["victory"]["types"].items():
        if games >= LEAST_GAMES and ended["share"] > TYPE_LIMIT:
            yield {
                "configuration": config,
                "rule": "common_end",
                "text": f"{ended['share']:.1%} of {games:,} games end by {name.replace('_', ' ')}.",
                "numbers": {"share": ended["share"], "games": games},
            }
