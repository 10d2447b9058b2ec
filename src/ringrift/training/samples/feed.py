"""Batches of samples that are prepared once, or a few at a time, for every kind of net."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ringrift.core.readings import read_memory
from ringrift.training.samples.symmetry import draw

if TYPE_CHECKING:
    from ringrift.rules import BoardSpec
    from ringrift.training.engine.settings import TrainSettings
    from ringrift.training.samples.table import SampleTable

CHUNK = 1024
"""Samples that are prepared at a time."""
STREAM_FROM = 0.25
"""Share of the free memory from which prepared samples are not kept."""

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)


class Prepared(Protocol[B_co]):
    """Samples from which batches are made."""

    def batch(self, chosen: NDArray[np.int64], maps: NDArray[np.int64]) -> B_co:
        """Return the samples `chosen`, each under its symmetry of `maps`."""
        ...


class Feed(Generic[B]):
    """Makes batches of a table; order and symmetries follow from seed and epoch alone.

    Prepared once, or with `streamed` a few batches at a time, `at_once` samples at least: the packed
    table stays in memory, and the batches are the same.
    """

    def __init__(
        self,
        table: SampleTable,
        prepare: Callable[[SampleTable], Prepared[B]],
        *,
        mirrored: bool,
        streamed: bool,
        at_once: int = CHUNK,
    ) -> None:
        self.table = table
        self._prepare = prepare
        self._at_once = at_once
        self._masks = table.sym_mask if mirrored else np.ones(len(table), np.uint16)
        self.prepared = None if streamed else prepare(table)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def spec(self) -> BoardSpec:
        """The configuration of the samples."""
        return self.table.spec

    def epoch(self, size: int, *, seed: int, epoch: int, first: int = 0) -> Iterator[B]:
        """Yield the whole batches of an epoch in random order from batch `first` on."""
        rng = np.random.Generator(np.random.PCG64([seed, epoch]))
        order = rng.permutation(len(self))
        maps = draw(self._masks, rng)
        whole = len(order) - len(order) % size
        return self._batches(order[first * size : whole], maps, size)

    def in_order(self, size: int) -> Iterator[B]:
        """Yield all samples once, as they are."""
        return self._batches(np.arange(len(self)), np.zeros(len(self), np.int64), size)

    def _batches(self, order: NDArray[np.int64], maps: NDArray[np.int64], size: int) -> Iterator[B]:
        if self.prepared is not None:
            for at in range(0, len(order), size):
                chosen = order[at : at + size]
                yield self.prepared.batch(chosen, maps[chosen])
            return
        ahead = size * max(1, self._at_once // size)
        for begin in range(0, len(order), ahead):
            some = order[begin : begin + ahead]
            made = self._prepare(self.table.take(some))
            for at in range(0, len(some), size):
                here = np.arange(at, min(at + size, len(some)))
                yield made.batch(here, maps[some[here]])


class Fed(Generic[B]):
    """What every task has that learns from a feed; see `training.engine.task.Task`."""

    settings: TrainSettings
    train_feed: Feed[B]

    @property
    def batch_samples(self) -> int:
        """Number of samples of a batch."""
        return min(self.settings.batch_size, len(self.train_feed))

    @property
    def batches_per_epoch(self) -> int:
        """Number of whole batches of an epoch."""
        return len(self.train_feed) // self.batch_samples

    def batches(self, epoch: int, *, first: int = 0) -> Iterator[B]:
        """Yield the batches of an epoch from batch `first` on."""
        return self.train_feed.epoch(
            self.batch_samples, seed=self.settings.seed, epoch=epoch, first=first
        )


def is_large(needed_bytes: int) -> bool:
    """Tell whether prepared samples would take too much of the free memory."""
    memory = read_memory()
    return memory is not None and needed_bytes > STREAM_FROM * memory.available_bytes
