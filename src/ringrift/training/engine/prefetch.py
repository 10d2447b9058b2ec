"""Make batches in a thread of their own, ahead of the steps that take them.

They are made and handed over several at a time: tables that making one has read lie in the nearest
cache for the next, and the threads meet less often. A batch of a NNUE takes half the time that way.
"""

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

BURST, BURST_BYTES = 4, 1 << 22
"""A burst ends at so many batches, or with the one that reaches so many bytes; one lies ready while
one is made and one is taken from."""
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
        self._queue: Queue[list[B] | BaseException | None] = Queue(1)
        self._burst: Iterator[B] = iter(())
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._work, args=(task, epoch, epochs, first), name="batches", daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator[B]:
        return self

    def __next__(self) -> B:
        for batch in self._burst:
            return to_device(batch, self._device)
        found = self._queue.get()
        if found is None:
            raise StopIteration
        if isinstance(found, BaseException):
            raise found
        self._burst = iter(found)
        return next(self)

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
        burst: list[B] = []
        size = 0
        try:
            for number in range(epoch, epochs):
                batches = task.batches(number, first=first if number == epoch else 0)
                for batch in batches:
                    burst.append(self._pinned(batch))
                    size += _size(batch)
                    if len(burst) < BURST and size < BURST_BYTES:
                        continue
                    if not self._put(burst):
                        return
                    burst, size = [], 0
            self._put(burst)
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            self._put(burst)
            self._put(error)

    def _put(self, item: list[B] | BaseException | None) -> bool:
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


def _size(batch: Any) -> int:
    return sum(part.nbytes for part in batch if isinstance(part, Tensor))


def _each(batch: B, change: Any) -> B:
    parts: Any = batch
    moved = (change(part) if isinstance(part, Tensor) else part for part in parts)
    return type(parts)(*moved)  # type: ignore[no-any-return]
