"""What `ringrift data export` does once its options are read: plan, export, print."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.cli.output import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.cli.data.export_request import Planned
    from ringrift.cli.invocation import Invocation
    from ringrift.data.dataset import Plan
    from ringrift.data.export.run import Exported, Exporter


class ExportWork:
    """One run of the command: its plans, its exports, what it prints."""

    def __init__(
        self,
        invocation: Invocation,
        *,
        output: Path | None,
        workers: int,
        append: bool,
        use_cache: bool,
        force: bool,
        interval: int,
        checkpoints: Path | None,
        dry_run: bool,
    ) -> None:
        self.invocation = invocation
        self.output = output
        self.workers = workers
        self.append = append
        self.use_cache = use_cache
        self.force = force
        self.interval = interval
        self.checkpoints = checkpoints
        self.dry_run = dry_run
        self.refused: dict[str, int] = {}

    def run(self, planned: Planned) -> None:
        """Export each configuration, then print."""
        self.refused = planned.refused
        if self.dry_run:
            self._show([(plan, None, 0.0) for plan in planned.plans])
            return
        self._show([self._export(plan) for plan in planned.plans])

    def _export(self, plan: Plan) -> tuple[Plan, Exported, float]:
        from ringrift.data.export.cache import BlockCache
        from ringrift.data.export.run import Exporter

        paths = self.invocation.paths()
        output = self.output or paths.npz
        began_s = time.monotonic()
        with self.invocation.out.progress() as progress:
            task = progress.task(plan.config, total=len(plan.games), unit="games")

            def made(games: int, samples: int) -> None:
                spent_s = max(time.monotonic() - began_s, 1e-9)
                name = f"{plan.config}: {samples:,} samples, {samples / spent_s:,.0f}/s"
                task.update(games, name=name)

            exporter = Exporter(
                output=output,
                workers=self.workers,
                interval=self.interval,
                cache=BlockCache(paths.cache / "export") if self.use_cache else None,
                checkpoints=self.checkpoints,
                force=self.force,
                on_games=made,
                on_written=lambda games: task.update(games, name=f"{plan.config}: writing"),
            )
            plan, exported = self._run(exporter, plan, output)
            task.finish()
        return plan, exported, time.monotonic() - began_s

    def _run(self, exporter: Exporter, plan: Plan, output: Path) -> tuple[Plan, Exported]:
        from ringrift.data.export.append import dataset_to_extend, extended

        dataset = dataset_to_extend(output, plan) if self.append else None
        if dataset is None:
            return plan, exporter.export(plan)
        import tempfile

        with tempfile.TemporaryDirectory(prefix="ringrift-append-") as folder:
            plan, pack = extended(plan, dataset, Path(folder))
            exported = exporter.export(plan, (pack,))
        if dataset.path.is_dir() and dataset.path != exported.path:
            shutil.rmtree(dataset.path)
        return plan, exported

    def _show(self, found: Sequence[tuple[Plan, Exported | None, float]]) -> None:
        rows = [_row(plan, exported, seconds) for plan, exported, seconds in found]
        columns = [
            Column("configuration"),
            Column("games", number=True),
            Column("samples", number=True),
            Column("searched", number=True),
            Column("samples/s", number=True),
            Column("bytes", number=True),
            Column("dataset"),
        ]
        cells = [
            [
                row["config"],
                row["games"],
                row["samples"],
                row["policy_coverage"],
                row["samples_per_second"],
                row["bytes"],
                row["path"] if row["path"] is not None else "(dry run)",
            ]
            for row in rows
        ]
        for row in rows:
            self.invocation.out.note(_told(row))
        if self.refused:
            names = ", ".join(f"{n:,} {reason}" for reason, n in sorted(self.refused.items()))
            self.invocation.out.note(f"refused by the gate: {names}")
        self.invocation.out.result(
            {"datasets": rows, "refused": self.refused, "dry_run": self.dry_run},
            human=self.invocation.out.table(columns, cells),
        )


def _row(plan: Plan, exported: Exported | None, seconds: float) -> dict[str, Any]:
    manifest = None if exported is None else exported.manifest
    made = 0 if exported is None else exported.samples_made
    path = None if exported is None else exported.path
    size = None
    if manifest is not None and path is not None:
        size = manifest.size_bytes or path.stat().st_size
    return {
        "config": plan.config,
        "id": None if manifest is None else manifest.id,
        "path": None if path is None else str(path),
        "existing": exported is not None and exported.existing,
        "considered": plan.considered,
        "excluded": dict(plan.excluded if manifest is None else manifest.excluded),
        "duplicates": plan.duplicates,
        "held_out": plan.held_out,
        "games": len(plan.games) if manifest is None else manifest.games,
        "samples": None if manifest is None else manifest.samples,
        "val_samples": None if manifest is None else manifest.val_samples,
        "policy_coverage": None if manifest is None else manifest.policy["coverage"],
        "q_coverage": None if manifest is None else manifest.q["coverage"],
        "bytes": size,
        "games_made": 0 if exported is None else exported.made,
        "games_kept": 0 if exported is None else exported.kept,
        "samples_per_second": made / seconds if made else None,
    }


def _told(row: dict[str, Any]) -> str:
    """Say in a line what became of a configuration's games."""
    left_out = "".join(f", {n:,} {reason}" for reason, n in row["excluded"].items())
    text = (
        f"{row['config']}: {row['considered']:,} games read{left_out}, "
        f"{row['duplicates']:,} duplicate, {row['held_out']:,} held out"
    )
    if row["existing"]:
        return f"{text}; nothing new, the dataset is {row['id']}"
    return text if row["id"] is None else f"{text}; dataset {row['id']}"
