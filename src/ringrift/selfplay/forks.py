"""Positions of stored games to begin new games at (selfplay.md 5, row "opening").

They are taken from the store once, when a run begins, and kept in its folder: a store grows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.errors import UsageError
from ringrift.records.replayer import Replayer
from ringrift.records.store import GameStore
from ringrift.selfplay import draws
from ringrift.selfplay.openings import Opening, fork
from ringrift.selfplay.run_folder import read_object, write_json

if TYPE_CHECKING:
    from ringrift.rules.spec import BoardSpec

MOST_FORKS = 512
FILE = "forks.json"


def forks_of(store: Path, spec: BoardSpec, seed: int) -> tuple[Opening, ...]:
    """Return a position of each of the newest stored games of `spec`, at a ply drawn by `seed`.

    Raises `UsageError` where there is no such game.
    """
    found: list[Opening] = []
    if store.is_file():
        with GameStore.open(store) as games:
            for _, record, _ in games.records(spec.config, newest_first=True):
                if record.spec.hash != spec.hash or len(record.moves) < 2:
                    continue
                ply = draws.whole(1, len(record.moves) - 1, seed, "fork", record.id)
                replayer = Replayer(spec, record.start, record.moves)
                replayer.advance(ply)
                found.append(fork(str(replayer.position), spec, f"fork:{record.id[:12]}:{ply}"))
                if len(found) == MOST_FORKS:
                    break
    if not found:
        raise UsageError(
            f"no stored game of {spec.config} with these rules to begin at",
            where=f"--fork-fraction, {store}",
            hint="leaving it out for the first games",
        )
    return tuple(found)


def keep_forks(folder: Path, forks: tuple[Opening, ...]) -> None:
    """Write the positions into a run folder."""
    write_json(folder / FILE, {"forks": [[one.start, one.tag] for one in forks]})


def kept_forks(folder: Path) -> tuple[Opening, ...] | None:
    """Return the positions that a run began with, None where it has none."""
    path = folder / FILE
    if not path.is_file():
        return None
    return tuple(
        Opening(start=start, tag=tag) for start, tag in read_object(path, "forks")["forks"]
    )
