"""What `ringrift eval two-stage` does: play both stages, write the views, show them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ringrift.cli.eval.contending import (
    DEFAULT_CONFIG,
    contenders,
    looked_up,
    looking,
    named,
    registered,
    store_of,
    table,
)
from ringrift.cli.output import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.cli.eval.two_stage_promotion import Promotion
    from ringrift.cli.invocation import Invocation
    from ringrift.core.intervals import Interval
    from ringrift.evaluation.contenders import ModelRow
    from ringrift.evaluation.results import MatchResult
    from ringrift.evaluation.two_stage import Candidate, Titled, TwoStage

STAGE1, STAGE2, FINAL = "gauntlet_stage1", "gauntlet_stage2", "gauntlet_final_results.json"


@dataclass(slots=True, kw_only=True)
class Steps:
    """Carry out one call; `plays` tells which stages are played, the others are looked up.

    `names` are the models asked for; without any the registry is measured, `part` (shard, shards)
    of it.
    """

    run: Invocation
    settings: TwoStage
    config: str | None
    names: Sequence[str]
    part: tuple[int, int]
    limit: int
    sims: int | None
    workers: int
    plays: tuple[bool, bool]
    dry_run: bool
    ranking: list[Candidate] = field(default_factory=list)
    _planned: list[tuple[Titled, MatchResult]] = field(default_factory=list)

    def sift(self) -> int:
        """Take the models through the stages; return the exit code after a signal, else 0."""
        rows = self._rows()
        if self.dry_run or not any(self.plays):
            self.ranking = self._looked_up(rows)
            if not self.dry_run:
                self._write(FINAL, self.ranking)
            return 0
        exit_code = self._play(rows)
        if not self.names:
            for folder in (STAGE1, STAGE2):
                self._write(f"{folder}/{self.part[0]}.json", self.ranking)
        self._planned.clear()
        self._write(FINAL, self._looked_up(self._registry(rows)))
        return exit_code

    def show(self, promotions: Sequence[Promotion], *, ok: bool) -> None:
        """Print the ranking and what came of the promotions."""
        from dataclasses import asdict

        from rich.console import Group

        planned = [
            {
                "run": each.plan.hash,
                "title": each.title,
                "games": each.plan.games,
                "stored": result.games,
            }
            for each, result in self._planned
        ]
        lines = [self.run.out.table(_COLUMNS, [_row(c) for c in self.ranking])]
        if self.dry_run:
            due = [each.plan.games - r.games for each, r in self._planned if not r.complete]
            lines.append(f"{len(due)} matches are due now, at most {sum(due)} more games")
        lines += [promotion.words for promotion in promotions]
        self.run.out.result(
            {
                "settings": self.settings.as_tree(),
                "shard": self.part[0],
                "num_shards": self.part[1],
                "models": [candidate.as_tree() for candidate in self.ranking],
                "promotions": [asdict(promotion) for promotion in promotions],
                "plans": planned if self.dry_run else [],
                "dry_run": self.dry_run,
            },
            human=Group(*lines) if self.ranking else "no model to measure",
            ok=ok,
        )

    def _rows(self) -> list[ModelRow]:
        """Return the models of this call."""
        from ringrift.evaluation.two_stage import of_shard

        if self.names:
            return named(self.run, self.names, self.config, register=not self.dry_run)
        rows = registered(self.run, self.config or DEFAULT_CONFIG)
        rows = rows[: self.limit] if self.limit else rows
        played = any(self.plays)
        return of_shard(rows, *self.part) if played else rows

    def _registry(self, rows: Sequence[ModelRow]) -> list[ModelRow]:
        """Return all models of the configurations of this call."""
        configs = dict.fromkeys(row.config for row in rows)
        return [row for config in configs for row in registered(self.run, config)]

    def _looked_up(self, rows: Sequence[ModelRow]) -> list[Candidate]:
        from ringrift.evaluation.two_stage import sift

        with looking(store_of(self.run)) as store:

            def look(wanted: Sequence[Titled]) -> list[MatchResult]:
                found = looked_up(store, wanted)
                self._planned += zip(wanted, found, strict=True)
                return found

            measured = contenders(self.run, rows, self.sims)
            return sift(measured, self.settings, first=look, second=look)

    def _play(self, rows: Sequence[ModelRow]) -> int:
        from ringrift.evaluation.two_stage import sift

        measured = contenders(self.run, rows, self.sims)
        with table(self.run, rows, self.workers) as place:
            first, second = (place.play if plays else place.look for plays in self.plays)
            self.ranking = sift(measured, self.settings, first=first, second=second)
            exit_code: int = place.stop.exit_code
        return exit_code

    def _write(self, name: str, ranking: Sequence[Candidate]) -> None:
        """Write a view; it follows from the games alone."""
        from ringrift.core.files import write_atomic

        tree = {
            "settings": self.settings.as_tree(),
            "models": [candidate.as_tree() for candidate in ranking],
        }
        path = self.run.paths().data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(tree, indent=1, allow_nan=False).encode() + b"\n")


_COLUMNS = (
    Column("model"),
    Column("stage 1"),
    Column("heuristic"),
    Column("random"),
    Column("stage 2: random"),
    Column("heuristic"),
    Column("mcts_100"),
    Column("together"),
    Column("games", number=True),
    Column("passed"),
)


def _row(candidate: Candidate) -> list[Any]:
    from ringrift.evaluation.two_stage import FIRST_OPPONENTS, SECOND_OPPONENTS

    words = {True: "passed", False: "failed", None: "open"}
    intervals = candidate.intervals
    return [
        candidate.contender.name,
        words[candidate.passed_first],
        *(_points(candidate.first.get(name)) for name in FIRST_OPPONENTS),
        *(_share(candidate.second.get(name), intervals.get(name)) for name in SECOND_OPPONENTS),
        "-" if candidate.pooled is None else _text(candidate.pooled, candidate.pooled_interval),
        candidate.games,
        words[candidate.passed].replace("passed", "yes").replace("failed", "no"),
    ]


def _points(match: MatchResult | None) -> str:
    if match is None or match.score is None:
        return "-"
    return f"{match.score * match.games:g}/{match.games}"


def _share(match: MatchResult | None, interval: Interval | None) -> str:
    if match is None or match.score is None:
        return "-"
    return f"{_text(match.score, interval)}{' invalid' if match.invalid else ''}"


def _text(share: float, interval: Interval | None) -> str:
    ends = "" if interval is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
    return f"{share:.2f}{ends}"
