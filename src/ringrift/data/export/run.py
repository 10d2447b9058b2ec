"""One export from plan to dataset: what is there is used, what is missing is made (data.md 5)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ringrift.core.errors import DataError, NegativeResult
from ringrift.core.files import lock, remove_partial
from ringrift.core.log import get_logger
from ringrift.data.dataset.manifest import Manifest
from ringrift.data.dataset.pack import SUFFIX, PackedBlocks
from ringrift.data.dataset.places import answered, answered_by_file, note_request
from ringrift.data.dataset.plan import Plan
from ringrift.data.dataset.write import Draft, draft, write_draft, write_single
from ringrift.data.export.cache import BlockCache
from ringrift.data.export.making import make_packs

log = get_logger(__name__)

CHECKPOINT_GAMES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export gave: the dataset in `path`, which games' blocks had to be made.

    `existing`: the dataset was there already. `kept` blocks came from an interrupted run of the same
    export or from the cache; `samples_made` belong to the `made` games.
    """

    path: Path
    manifest: Manifest
    existing: bool = False
    made: int = 0
    kept: int = 0
    samples_made: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """Exports plans to `output`: a folder for `<configuration>/<id>`, or a file `.npz`.

    `checkpoints` is the folder for finished blocks, beside the datasets where it is None; they are
    durable every `interval` games. With `force` nothing made before is used.
    """

    output: Path
    workers: int = 1
    interval: int = CHECKPOINT_GAMES
    cache: BlockCache | None = None
    checkpoints: Path | None = None
    force: bool = False
    on_games: Callable[[int, int], None] = lambda games, samples: None
    on_written: Callable[[int], None] = lambda games: None

    def export(self, plan: Plan, extra: tuple[Path, ...] = ()) -> Exported:
        """Export a plan; `extra` are more files of blocks for it.

        Raises `NegativeResult` where the games make no dataset (nothing is written then),
        `BusyError` where the same export runs already.
        """
        parent = self.output.parent if self._single else self.output / plan.config
        there = None if self.force else self._answered(parent, plan.request)
        if there is not None:
            return there
        staging = (self.checkpoints or parent) / f".export-{plan.request[:16]}"
        with ExitStack() as stack:
            stack.enter_context(lock(staging.with_suffix(".lock"), what="the same export"))
            stack.callback(staging.with_suffix(".lock").unlink, missing_ok=True)
            staging.mkdir(parents=True, exist_ok=True)
            remove_partial(staging)
            try:
                exported = self._run(plan, parent, staging, extra)
            except NegativeResult:
                shutil.rmtree(staging, ignore_errors=True)
                raise
            shutil.rmtree(staging, ignore_errors=True)
        return exported

    @property
    def _single(self) -> bool:
        return self.output.suffix == ".npz"

    def _answered(self, parent: Path, request: str) -> Exported | None:
        if self._single:
            manifest = answered_by_file(self.output, request)
            return (
                None
                if manifest is None
                else Exported(path=self.output, manifest=manifest, existing=True)
            )
        found = answered(parent, request)
        return None if found is None else Exported(path=found[0], manifest=found[1], existing=True)

    def _run(self, plan: Plan, parent: Path, staging: Path, extra: tuple[Path, ...]) -> Exported:
        found = PackedBlocks(plan, extra)
        self._add(found, sorted(staging.glob(f"*{SUFFIX}")))
        if self.cache is not None and not self.force and len(found) < len(plan.games):
            self._add(found, self.cache.packs(plan.options))
        kept = len(found)
        self.on_games(kept, 0)
        missing = [identity for identity in plan.ids if identity not in found]
        packs, made, samples = [], 0, 0
        for one in make_packs(plan, missing, staging, interval=self.interval, workers=self.workers):
            found.add(one.path)
            packs.append(one.path)
            made += one.games
            samples += one.samples
            self.on_games(kept + made, samples)
        with ExitStack() as stack:
            stack.callback(found.close)
            ready = draft(plan, found)
            path, manifest = self._write(ready, found, parent)
            if self.cache is not None:
                self.cache.used(sorted(found.paths()))
                own = sorted(path for path in found.paths() if path.parent == staging)
                self.cache.take(plan.options, own)
        return Exported(path=path, manifest=manifest, made=made, kept=kept, samples_made=samples)

    def _add(self, found: PackedBlocks, paths: list[Path]) -> None:
        for path in paths:
            try:
                found.add(path)
            except DataError as error:
                log.warning("blocks are made again", file=str(path), reason=error.message)
                path.unlink(missing_ok=True)

    def _write(self, ready: Draft, found: PackedBlocks, parent: Path) -> tuple[Path, Manifest]:
        if self._single:
            return self.output, write_single(ready, found, self.output)
        folder = parent / ready.id
        manifest = write_draft(ready, found, folder, on_games=self.on_written)
        note_request(folder, ready.request)
        return folder, manifest
