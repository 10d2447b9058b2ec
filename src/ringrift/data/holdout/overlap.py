"""How many hold-out positions also occur in training, by ply (data.md 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ringrift.data.reading import reading
from ringrift.data.walk import state_hashes
from ringrift.records.game_bytes import from_bytes

BANDS = ((0, 9), (10, 19), (20, 39), (40, 79), (80, None))
"""First and last ply of each band, None for no last."""

_GAMES = 1_000
_FIRSTS = np.array([first for first, _ in BANDS])


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Positions before the plies `first` to `last`, and how many of them training has too."""

    first: int
    last: int | None
    positions: int
    in_training: int

    @property
    def share(self) -> float | None:
        """Share of the positions that training has, None without any."""
        return self.in_training / self.positions if self.positions else None


def position_overlap(
    stores: Sequence[Path], config: str, *, on_game: Callable[[], None] = lambda: None
) -> tuple[Band, ...]:
    """Compare the positions of the hold-out games of a configuration with those of training.

    A position is that before a ply, and the same where its hash is. The hold-out's hashes are held
    in memory, 9 bytes each; training streams past them.
    """
    held: list[NDArray[np.uint64]] = []
    bands: list[NDArray[np.intp]] = []
    for hashes in _hashes(stores, "holdout", config, on_game):
        held.append(hashes)
        bands.append(np.searchsorted(_FIRSTS, np.arange(len(hashes)), side="right") - 1)
    if not held:
        return _bands(np.zeros(len(BANDS), int), np.zeros(len(BANDS), int))
    every = np.concatenate(held)
    known = np.unique(every)
    found = np.zeros(len(known), bool)
    page: list[NDArray[np.uint64]] = []
    for hashes in _hashes(stores, "trainable", config, on_game):
        page.append(hashes)
        if len(page) == _GAMES:
            _mark(known, found, page)
            page.clear()
    _mark(known, found, page)
    band = np.concatenate(bands)
    in_training = found[np.searchsorted(known, every)]
    return _bands(
        np.bincount(band, minlength=len(BANDS)),
        np.bincount(band[in_training], minlength=len(BANDS)),
    )


def _mark(
    known: NDArray[np.uint64], found: NDArray[np.bool_], page: Sequence[NDArray[np.uint64]]
) -> None:
    """Set `found` where a sorted hash of `known` occurs in a page."""
    if not page:
        return
    hashes = np.unique(np.concatenate(page))
    places = np.searchsorted(known, hashes)
    inside = places < len(known)
    places, hashes = places[inside], hashes[inside]
    found[places[known[places] == hashes]] = True


def _bands(positions: NDArray[np.intp], in_training: NDArray[np.intp]) -> tuple[Band, ...]:
    return tuple(
        Band(first=first, last=last, positions=int(n), in_training=int(k))
        for (first, last), n, k in zip(BANDS, positions, in_training, strict=True)
    )


def _hashes(
    stores: Sequence[Path], view: str, config: str, on_game: Callable[[], None]
) -> Iterator[NDArray[np.uint64]]:
    sql = f"SELECT record FROM {view} WHERE config = ? ORDER BY seq"  # noqa: S608 - ours
    for path in stores:
        with reading(path) as connection:
            for (data,) in connection.execute(sql, (config,)):
                yield state_hashes(from_bytes(data))
                on_game()
