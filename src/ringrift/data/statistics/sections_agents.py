"""Sections 11 and 12 of the report: who played, and how good the data are (data.md 10)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from typing import cast

from ringrift.agents.kinds import KINDS
from ringrift.data.statistics.counting import TYPES
from ringrift.data.statistics.filters import family_of
from ringrift.data.statistics.layout import SEATS
from ringrift.data.statistics.measures import Tree, rated, share
from ringrift.data.statistics.tally import Tally

OPENINGS = ("opening_4", "opening_8", "opening_12")
_SEARCHING = frozenset(name for name, kind in KINDS.items() if "sims" in kind.keys)


class _Agent:
    """Counts of one agent, or of a family of them."""

    def __init__(self) -> None:
        self.games = self.held = 0
        self.seats = [[0, 0] for _ in range(SEATS)]  # decided games and wins
        self.types: Counter[str] = Counter()
        self.decisions = self.searched = self.full = 0

    def tree(self, name: str, *, searches: bool) -> Tree:
        known = searches or self.searched > 0
        return {
            "name": name,
            "games": self.games,
            "seats": self.held,
            "wins": rated(sum(won for _, won in self.seats), sum(n for n, _ in self.seats)),
            "by_seat": [
                {"seat": place + 1, **rated(won, n)} for place, (n, won) in enumerate(self.seats)
            ],
            "types": {t: self.types[t] for t in TYPES if self.types[t]},
            "decision_plies": self.decisions,
            "searched": self.searched if known else None,
            "searched_full": self.full if known else None,
            "coverage": share(self.searched, self.decisions) if known else None,
        }


def agents(tally: Tally) -> Tree:
    """Section 11: games, wins and ends by agent and by family; budgets; policy coverage.

    A game counts once for an agent, its wins and seats once for each seat that it had. Coverage is
    the share of decision plies with a distribution, of agents that search.
    """
    specs: defaultdict[str, _Agent] = defaultdict(_Agent)
    families: defaultdict[str, _Agent] = defaultdict(_Agent)
    for table, games in tally.counters["tables"].items():
        names, kind, winner = _table(table)
        for group, members in (
            (specs, names),
            (families, tuple(family_of(name) for name in names)),
        ):
            _add_table(group, members, TYPES[kind], winner, games)
    for counter in ("decisions", "searched", "full"):
        for spec, plies in tally.counters[counter].items():
            for agent in (specs[str(spec)], families[family_of(str(spec))]):
                setattr(agent, counter, getattr(agent, counter) + plies)
    searching = [agent for spec, agent in specs.items() if _searches(spec) or agent.searched]
    decisions = sum(agent.decisions for agent in searching)
    return {
        "agents": [
            agent.tree(spec, searches=_searches(spec)) for spec, agent in _most_first(specs)
        ],
        "families": [
            agent.tree(name, searches=name in _SEARCHING) for name, agent in _most_first(families)
        ],
        "search_budgets": _sorted(tally.counters["budgets"]),
        "searched_games": tally.number("searched_games"),
        "policy_coverage": rated(sum(agent.searched for agent in searching), decisions),
        "full_coverage": rated(sum(agent.full for agent in searching), decisions),
    }


def quality(tally: Tally, score: Tree | None) -> Tree:
    """Section 12: what is missing or repeated, where games come from, how much openings differ.

    `score` is the data quality score of data.md 7, None where it is unknown.
    """
    games, played = tally.number("games"), tally.number("played")
    missing = sum(tally.vector(f"winners:{players}", 1)[0] for players in (2, 3, 4))
    inferred = tally.number("inferred")
    return {
        "metadata": {"explicit": games - inferred, "inferred": inferred},
        "missing_winner": missing,
        "missing_moves": tally.number("without_moves"),
        "hosts": _sorted(tally.counters["hosts"]),
        "duplicate_plays": played - tally.distinct("play"),
        "openings": {
            name.removeprefix("opening_"): {
                "distinct": tally.distinct(name),
                "games": played,
                "share": share(tally.distinct(name), played),
            }
            for name in OPENINGS
        },
        "score": score,
    }


def _table(key: Hashable) -> tuple[tuple[str, ...], int, int]:
    return cast("tuple[tuple[str, ...], int, int]", key)  # as `counting` made it


def _add_table(
    group: Mapping[str, _Agent], names: tuple[str, ...], kind: str, winner: int, games: int
) -> None:
    for name in set(names):
        group[name].games += games
        group[name].types[kind] += games
    for place, name in enumerate(names):
        group[name].held += games
        if winner:
            seat = group[name].seats[place]
            seat[0] += games
            seat[1] += games if winner == place + 1 else 0


def _searches(spec: str) -> bool:
    return family_of(spec) in _SEARCHING


def _most_first(group: Mapping[str, _Agent]) -> list[tuple[str, _Agent]]:
    return sorted(group.items(), key=lambda item: (-item[1].games, item[0]))


def _sorted(counter: Counter[Hashable]) -> dict[str, int]:
    """Return counts by value: numbers ascending, then names, `unknown` for none."""
    named = {"unknown" if key is None else str(key): n for key, n in counter.items()}
    return dict(sorted(named.items(), key=lambda i: (not i[0].isdigit(), len(i[0]), i[0])))
