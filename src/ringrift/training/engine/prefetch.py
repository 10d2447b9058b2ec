"""Make batches in a thread of their own, ahead of the steps that take them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, Full, Queue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from torch import Tensor

if TYPE_CHECKING:
    import torch

    from ringrift.training.engine.task import Task

B = TypeVar("B")

DEPTH = 4
"""Batches that may lie ready."""
JOIN_S = 10.0
_LOOK_S = 0.05


class Prefetch(Generic[B]):
    """The batches of epochs `epoch` to `epochs`, the first from batch `first` on; an iterator.

    What fails in the thread is raised by `next`. A context manager; leaving it ends the thread.
    """

    def __init__(
        self, task: Task[B], *, epoch: int, epochs: int, first: int, device: torch.device
    ) -> None:
        self._device = device
        self._queue: Queue[B | BaseException | None] = Queue(DEPTH)
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._work, args=(task, epoch, epochs, first), name="batches", daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator[B]:
        return self

    def __next__(self) -> B:
        found = self._queue.get()
        if found is None:
            raise StopIteration
        if isinstance(found, BaseException):
            raise found
        return to_device(found, self._device)

    def __enter__(self) -> Prefetch[B]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread; what lies ready is dropped."""
        self._stopped.set()
        try:
            while True:
                self._queue.get_nowait()
        except Empty:
            pass
        self._thread.join(JOIN_S)

    def _work(self, task: Task[B], epoch: int, epochs: int, first: int) -> None:
        try:
            for number in range(epoch, epochs):
                batches = task.batches(number, first=first if number == epoch else 0)
                for batch in batches:
                    if not self._put(self._pinned(batch)):
                        return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            self._put(error)

    def _put(self, item: B | BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=_LOOK_S)
            except Full:
                continue
            return True
        return False

    def _pinned(self, batch: B) -> B:
        if self._device.type != "cuda":
            return batch
        return _each(batch, lambda tensor: tensor.pin_memory())


def to_device(batch: B, device: torch.device) -> B:
    """Return a batch on a device; copies from pinned memory do not wait."""
    if device.type == "cpu":
        return batch
    return _each(batch, lambda tensor: tensor.to(device, non_blocking=True))


def _each(batch: B, change: Any) -> B:
    parts: Any = batch
    moved = (change(part) if isinstance(part, Tensor) else part for part in parts)
    return type(parts)(*moved)  # type: ignore[no-any-return]
