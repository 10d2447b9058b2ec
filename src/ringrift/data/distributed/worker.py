"""Take chunks from a queue and make the blocks of their games (`data.md` 6)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.core.errors import BusyError, RingriftError
from ringrift.core.log import get_logger
from ringrift.core.processes import begin_worker
from ringrift.data.dataset.blocks import blocks
from ringrift.data.dataset.pack import block_key, write_pack
from ringrift.data.distributed.folder_queue import JOB, FolderQueue
from ringrift.data.distributed.queue import TIMEOUT_S, Queues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ringrift.data.dataset.plan import Plan
    from ringrift.data.distributed.chunks import Chunk
    from ringrift.data.distributed.queue import ChunkQueue

log = get_logger(__name__)

LOOK_EVERY_S = 0.2


@dataclass(slots=True)
class Worked:
    """What a worker did: chunks delivered, their games, and chunks given up."""

    chunks: int = 0
    games: int = 0
    given_up: int = 0


def work(
    queue: ChunkQueue,
    *,
    timeout_s: float = TIMEOUT_S,
    on_games: Callable[[int], None] = lambda count: None,
) -> Worked:
    """Work on chunks until the queue is finished.

    A chunk that takes longer than `timeout_s` is given up, as is one whose games fail; the queue
    decides whether it is tried again.
    """
    done = Worked()
    while True:
        lease = queue.take()
        if lease is None:
            if queue.finished():
                break
            time.sleep(LOOK_EVERY_S)
            continue
        try:
            make_blocks(
                lease.chunk, lease.plan, lease.scratch, timeout_s=timeout_s, on_game=on_games
            )
            lease.deliver()
        except RingriftError as error:
            lease.give_up(error)
            log.warning("a chunk was given up", chunk=lease.chunk.name, error=str(error))
            done.given_up += 1
            continue
        except KeyboardInterrupt:
            lease.give_up(BusyError("its worker was interrupted"))
            raise
        done.chunks += 1
        done.games += len(lease.chunk.plan.games)
    return done


def work_on_folders(folders: Sequence[Path]) -> None:
    """Work on the chunks of folders until they are finished: the whole life of a process."""
    begin_worker()
    queues = [FolderQueue(folder) for folder in folders if (folder / JOB).exists()]
    if queues:
        work(Queues(queues), timeout_s=min(queue.timeout_s for queue in queues))


def make_blocks(
    chunk: Chunk,
    plan: Plan,
    path: Path,
    *,
    timeout_s: float = TIMEOUT_S,
    on_game: Callable[[int], None] = lambda count: None,
) -> None:
    """Write the file of a chunk's blocks; `plan` is its plan with stores that are here.

    Raises `BusyError` after `timeout_s`, and what the games' blocks raise.
    """
    deadline_s = time.monotonic() + timeout_s

    def rows() -> Iterator[tuple[str, str, bytes]]:
        for identity, block in blocks(plan, plan.ids):
            if time.monotonic() > deadline_s:
                raise BusyError(
                    f"not done after {timeout_s:g} s", where=chunk.name, hint="--timeout, --chunks"
                )
            yield identity, block_key(plan.by_id[identity]), block
            on_game(1)

    write_pack(path, rows())
