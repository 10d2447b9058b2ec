"""The statistics of all inputs as one tree, whose keys are published (data.md 10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ringrift.data.statistics.cache import SummaryCache
from ringrift.data.statistics.counting import count_page
from ringrift.data.statistics.findings import findings
from ringrift.data.statistics.gathering import Inputs, Intake, gather
from ringrift.data.statistics.measures import Tree
from ringrift.data.statistics.sections_agents import agents, quality
from ringrift.data.statistics.sections_play import (
    activity,
    captures,
    moves,
    ply_limit,
    recovery,
    swings,
)
from ringrift.data.statistics.sections_results import completed, lengths, rules, seats, victory
from ringrift.data.statistics.tally import Tally
from ringrift.data.statistics.workers import Summarisers

SCHEMA_VERSION = 1
"""Rises whenever a key of the report means something else."""

BOARD_ORDER = ("square8", "hex8", "square19", "hexagonal")


@dataclass(frozen=True, slots=True)
class Counted:
    """The sums of each configuration, in the order of the boards, and what was left out."""

    tallies: dict[str, Tally]
    intake: Intake

    @property
    def total(self) -> Tally:
        """The sums over all configurations."""
        total = Tally()
        for tally in self.tallies.values():
            total.merge(tally)
        return total


def count_inputs(
    inputs: Inputs,
    cache: SummaryCache,
    *,
    workers: int | None = None,
    on_games: Callable[[int], None] = lambda games: None,
) -> Counted:
    """Read all inputs, page by page; raises `DataError` for one that cannot be read."""
    tallies: dict[str, Tally] = {}
    intake = Intake()
    with Summarisers(workers) as summarisers:
        for page in gather(inputs, cache, summarisers, intake, on_games=on_games):
            for config, part in page.by_config().items():
                count_page(tallies.setdefault(config, Tally()), config, part)
    ordered = sorted(tallies, key=lambda c: (BOARD_ORDER.index(c.rpartition("_")[0]), c))
    return Counted({config: tallies[config] for config in ordered}, intake)


def report(
    counted: Counted, inputs: Inputs, *, scores: Mapping[str, Tree | None] | None = None
) -> Tree:
    """Make the report. `scores` are the data quality scores by configuration (data.md 7)."""
    known = scores or {}
    configurations = {
        config: _sections(tally, known.get(config)) for config, tally in counted.tallies.items()
    }
    total = _sections(counted.total, None)
    intake = counted.intake
    return {
        "schema_version": SCHEMA_VERSION,
        "games": total["games"],
        "completed": total["completed"],
        "inputs": {
            "stores": [str(path) for path in inputs.stores],
            "files": [str(path) for path in inputs.files],
        },
        "left_out": {
            "repeated": intake.repeated,
            "malformed": dict(sorted(intake.malformed.items())),
            "quarantined": dict(sorted(intake.quarantined.items())),
            "examples": intake.examples,
        },
        "configurations": configurations,
        "total": total,
        "findings": [
            found
            for config, sections in configurations.items()
            for found in findings(config, sections)
        ],
    }


def _sections(tally: Tally, score: Tree | None) -> Tree:
    return {
        "games": tally.number("games"),
        "completed": completed(tally),
        "victory": victory(tally),
        "seats": seats(tally),
        "lengths": lengths(tally),
        "rules": rules(tally),
        "recovery": recovery(tally),
        "moves": moves(tally),
        "captures": captures(tally),
        "swings": swings(tally),
        "activity": activity(tally),
        "ply_limit": ply_limit(tally),
        "agents": agents(tally),
        "quality": quality(tally, score),
    }
