"""How many games each configuration has, and how many of them no dataset has read (`data.md` 8)."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.core.errors import RingriftError
from ringrift.core.log import get_logger
from ringrift.data.dataset.manifest import NAME, Manifest
from ringrift.data.reading import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

log = get_logger(__name__)

_COUNT = "SELECT count(*), coalesce(sum(seq > ?), 0) FROM trainable WHERE config = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The trainable games of a configuration, and those since its last dataset."""

    config: str
    games: int
    new: int


def count_games(store: Path, npz: Path, configurations: Sequence[str]) -> list[Count]:
    """Count for each configuration; a store that does not exist has no games.

    The last dataset of a configuration is that below `npz/<configuration>` which has read most of
    this store.
    """
    found = []
    with ExitStack() as stack:
        connection = stack.enter_context(reading(store)) if store.is_file() else None
        for config in configurations:
            games = new = 0
            if connection is not None:
                upto = games_upto(npz / config, store)
                games, new = connection.execute(_COUNT, (upto, config)).fetchone()
            found.append(Count(config=config, games=games, new=new))
    return found


def games_upto(folder: Path, store: Path) -> int:
    """Return the newest sequence number of a store that the datasets in a folder have read.

    Datasets of the hold-out, and of some games only (`--max-games`), do not count. A manifest that
    cannot be read is logged and passed over: then more is exported, not less.
    """
    upto = 0
    for manifest in _manifests(folder):
        options = manifest.options
        if "train" not in options.get("splits", ()) or options.get("max_games") is not None:
            continue
        for path, seq in manifest.games_upto.items():
            if _same(path, store):
                upto = max(upto, int(seq))
    return upto


def _manifests(folder: Path) -> Iterator[Manifest]:
    for path in sorted(folder.glob(f"*/{NAME}")):
        if path.parent.name.startswith("."):
            continue
        try:
            yield Manifest.read(path.parent)
        except RingriftError as error:
            log.warning("a manifest that cannot be read", error=str(error))


def _same(path: str, store: Path) -> bool:
    from pathlib import Path

    return Path(path).resolve() == store.resolve()
