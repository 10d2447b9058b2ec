"""Chunks that came back become the dataset that a single process would have written (`data.md` 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.core.errors import DataError
from ringrift.data.dataset.pack import SUFFIX as PACK
from ringrift.data.dataset.pack import PackedBlocks
from ringrift.data.dataset.places import answered, answered_by_file
from ringrift.data.distributed.chunks import SUFFIX, Chunk, join, read_chunk
from ringrift.data.export.run import Exported, Exporter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ringrift.data.dataset.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A plan with the files that hold the blocks of all its games."""

    plan: Plan
    packs: tuple[Path, ...]


def publish(merged: Merged, exporter: Exporter) -> Exported:
    """Write the dataset of a plan; raises `NegativeResult` as `Exporter.export` does."""
    return exporter.export(merged.plan, merged.packs)


def existing(plan: Plan, exporter: Exporter) -> Exported | None:
    """Return the dataset of a plan that is there already, None where it is to be made."""
    if exporter.force:
        return None
    output = exporter.output
    if output.suffix == ".npz":
        manifest = answered_by_file(output, plan.request)
        return None if manifest is None else Exported(path=output, manifest=manifest, existing=True)
    found = answered(output / plan.config, plan.request)
    return None if found is None else Exported(path=found[0], manifest=found[1], existing=True)


def check_blocks(path: Path, chunk: Chunk) -> None:
    """Raise `DataError` unless a file holds the blocks of all games of a chunk, undamaged."""
    blocks = PackedBlocks(chunk.plan, [path])
    try:
        missing = [identity for identity in chunk.plan.ids if identity not in blocks]
        if missing:
            raise DataError(
                f"the blocks of {len(missing)} games of {chunk.name} are missing, "
                f"the first {missing[0]}",
                where=str(path),
            )
        for identity in chunk.plan.ids:
            _ = blocks[identity]
    finally:
        blocks.close()


def merge(paths: Sequence[Path]) -> list[Merged]:
    """Return the plans whose chunks these files and folders hold, by configuration.

    A chunk is a pair of files, `NAME.chunk.json` and `NAME.pack` with its blocks; either names it.
    Raises `DataError` for a chunk without blocks, damaged blocks, and a plan of which a chunk is
    missing or there twice.
    """
    by_request: dict[str, list[tuple[Chunk, Path]]] = {}
    for path in _chunk_files(paths):
        chunk = read_chunk(path)
        blocks = path.with_name(path.name.removesuffix(SUFFIX) + PACK)
        check_blocks(blocks, chunk)
        by_request.setdefault(chunk.request, []).append((chunk, blocks))
    found = [
        Merged(
            plan=join([chunk for chunk, _ in pairs]),
            packs=tuple(blocks for _, blocks in sorted(pairs, key=lambda pair: pair[0].number)),
        )
        for pairs in by_request.values()
    ]
    return sorted(found, key=lambda merged: merged.plan.config)


def _chunk_files(paths: Sequence[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(path.glob(f"*{SUFFIX}"))
            if not inside:
                raise DataError(f"a folder without a chunk (*{SUFFIX})", where=str(path))
            found.update(dict.fromkeys(inside))
        elif path.name.endswith(SUFFIX):
            found[path] = None
        elif path.name.endswith(PACK):
            found[path.with_name(path.name.removesuffix(PACK) + SUFFIX)] = None
        else:
            raise DataError(f"expected NAME{SUFFIX}, NAME{PACK} or a folder", where=str(path))
    return list(found)
