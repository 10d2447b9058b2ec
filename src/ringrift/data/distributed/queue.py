"""The seam between chunks and who works on them: a folder, HTTP, or another queue (`data.md` 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ringrift.core.errors import RingriftError
    from ringrift.data.dataset.plan import Plan
    from ringrift.data.distributed.chunks import Chunk

ATTEMPTS = 3
TIMEOUT_S = 300.0


class Lease(Protocol):
    """The right to work on one chunk, until it is delivered or given up, or its time is over."""

    @property
    def chunk(self) -> Chunk:
        """What to work on."""

    @property
    def plan(self) -> Plan:
        """The chunk's plan with stores that this process can read."""

    @property
    def scratch(self) -> Path:
        """A file for the blocks until they are delivered; what is there may be overwritten."""

    def deliver(self) -> None:
        """Hand in what `scratch` holds, and end the lease."""

    def give_up(self, error: RingriftError) -> None:
        """End the lease; the chunk is tried again, `ATTEMPTS` times in all."""


class ChunkQueue(Protocol):
    """Where workers take chunks from."""

    def take(self) -> Lease | None:
        """Return the right to an open chunk, None where there is none now."""

    def finished(self) -> bool:
        """Tell whether nothing will ever be open again."""


class Queues:
    """Several queues as one: chunks of the first that has an open one."""

    def __init__(self, queues: Sequence[ChunkQueue]) -> None:
        self._queues = tuple(queues)

    def take(self) -> Lease | None:
        """Return the right to an open chunk, None where there is none now."""
        leases = (queue.take() for queue in self._queues)
        return next((lease for lease in leases if lease is not None), None)

    def finished(self) -> bool:
        """Tell whether all are finished."""
        return all(queue.finished() for queue in self._queues)
