"""Take stored games through a newer gate; say which datasets hold those that fail (data.md 2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic
from ringrift.records.gate import GATE_VERSION
from ringrift.records.recheck import Failure
from ringrift.records.store import GameStore

MANIFEST, STALE = "manifest.json", "stale.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rechecked:
    """Games of an older gate, those that went to quarantine, and the datasets that hold them."""

    games: int
    failures: tuple[Failure, ...]
    stale: tuple[Path, ...]


def recheck_older(
    store_path: Path,
    datasets: Path,
    *,
    dry_run: bool = False,
    on_progress: Callable[[int, int], None] = lambda games, plies: None,
) -> Rechecked:
    """Verify the games that an older gate let in; those that fail leave, the others are noted.

    `datasets` is the folder of all datasets. Games by an up-to-date gate are not read.
    """
    with GameStore.open(store_path, writer=not dry_run) as store:
        report = store.verify_all(gate_below=GATE_VERSION, on_progress=on_progress)
        failed = {failure.id for failure in report.failures}
        holding = tuple(datasets_with(datasets, failed))
        if not dry_run:
            for folder in holding:  # before the games leave: a killed recheck is run again
                mark_stale(folder, failed)
            store.withdraw(report.failures)
            store.pass_gate(GATE_VERSION)
    return Rechecked(games=report.games, failures=report.failures, stale=holding)


def datasets_with(folder: Path, games: Set[str]) -> Iterator[Path]:
    """Yield the datasets below a folder that hold any of these games."""
    if not games:
        return
    for path in sorted(folder.glob(f"*/*/{MANIFEST}")):
        if not games.isdisjoint(_names(path, "game_ids")):
            yield path.parent


def mark_stale(dataset: Path, games: Set[str]) -> None:
    """Write beside a manifest which of its games are no longer verified; earlier ones stay."""
    path = dataset / STALE
    found = {game for game in _names(dataset / MANIFEST, "game_ids") if game in games}
    if path.is_file():
        found |= set(_names(path, "games"))
    text = json.dumps({"reason": "games failed a recheck", "games": sorted(found)}, indent=1)
    write_atomic(path, f"{text}\n".encode())


def _names(path: Path, field: str) -> list[str]:
    try:
        tree = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path)) from None
    names = tree.get(field) if isinstance(tree, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError("found no list of games", where=f"{path} field {field}")
    return names
