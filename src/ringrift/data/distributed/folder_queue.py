"""A queue of chunks in a folder, for all processes of one host (`data.md` 6).

    NAME.chunk.json     a chunk; `job.json` comes last and says that all are there
    NAME.try-1          attempt 1, locked by the process that works on it
    NAME.try-1.failed   why that attempt was given up
    NAME.pack           what the chunk gave: the blocks of its games

An attempt's file appears locked, and only one process can make it; the kernel unlocks it with the
process, however that ends. A chunk is open while it has no blocks, its last attempt is unlocked or
older than the time limit, and attempts are left. Whoever delivers, and however often, the blocks
of a chunk are the same bytes.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError, RingriftError
from ringrift.core.files import (
    PARTIAL_SUFFIX,
    LockOwner,
    is_locked,
    lock,
    read_owner,
    remove_partial,
    write_atomic,
)
from ringrift.data.dataset.pack import SUFFIX as PACK
from ringrift.data.distributed.chunks import SUFFIX, Chunk, read_chunk, write_chunk
from ringrift.data.distributed.publishing import check_blocks
from ringrift.data.distributed.queue import ATTEMPTS, TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ringrift.data.dataset.plan import Plan

JOB = "job.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt at a chunk: since when (Unix seconds), whose, and how it was given up."""

    number: int
    running: bool
    since_s: float
    owner: LockOwner | None
    failure: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkState:
    """How far a chunk is."""

    name: str
    done: bool
    attempts: tuple[Attempt, ...]

    def open(self, timeout_s: float, most: int) -> bool:
        """Tell whether somebody may take it."""
        if self.done or len(self.attempts) >= most:
            return False
        return not self.busy(timeout_s)

    def busy(self, timeout_s: float) -> bool:
        """Tell whether somebody works on it and is within the time limit."""
        last = self.attempts[-1] if self.attempts else None
        running = last is not None and last.running
        return running and last is not None and time.time() - last.since_s <= timeout_s


class FolderQueue:
    """Hold the chunks of one plan; any number of processes may open the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            job = json.loads((folder / JOB).read_bytes())
            self.names: tuple[str, ...] = tuple(map(str, job["chunks"]))
            self.timeout_s = float(job["timeout_s"])
            self.attempts = int(job["attempts"])
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", where=str(folder / JOB)) from None
        except (ValueError, LookupError, TypeError) as error:
            raise DataError(f"no queue of chunks: {error}", where=str(folder / JOB)) from None

    @classmethod
    def file(
        cls,
        folder: Path,
        cut: Sequence[Chunk],
        *,
        timeout_s: float = TIMEOUT_S,
        attempts: int = ATTEMPTS,
    ) -> FolderQueue:
        """Put chunks into a folder that only this process files in.

        Blocks that are there from an interrupted export of the same chunks are kept; its attempts
        are forgotten.
        """
        folder.mkdir(parents=True, exist_ok=True)
        names = [chunk.name for chunk in cut]
        kept = {f"{name}{PACK}" for name in names}
        (folder / JOB).unlink(missing_ok=True)
        remove_partial(folder)
        for path in folder.iterdir():
            if path.name not in kept and path.is_file():
                path.unlink(missing_ok=True)
        for chunk in cut:
            blocks = folder / f"{chunk.name}{PACK}"
            if blocks.exists() and not _holds(blocks, chunk):
                blocks.unlink()
            write_chunk(folder, chunk)
        job = {"chunks": names, "timeout_s": timeout_s, "attempts": attempts}
        write_atomic(folder / JOB, json.dumps(job).encode() + b"\n")
        return cls(folder)

    def remove(self) -> None:
        """Delete the folder; whoever still works there finds the job gone."""
        (self.folder / JOB).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def take(self) -> FolderLease | None:
        """Return the right to an open chunk, None where there is none now."""
        if not (self.folder / JOB).exists():
            return None
        for name in self.names:
            state = self.state(name)
            if state.open(self.timeout_s, self.attempts):
                lease = self._begin(name, len(state.attempts) + 1)
                if lease is not None:
                    return lease
        return None

    def finished(self) -> bool:
        """Tell whether every chunk is done or has failed for good, or the job was removed."""
        if not (self.folder / JOB).exists():
            return True
        states = self.states()
        return not any(
            state.open(self.timeout_s, self.attempts)
            or (not state.done and state.busy(self.timeout_s))
            for state in states
        )

    def states(self) -> list[ChunkState]:
        """Return how far each chunk is, in their order."""
        return [self.state(name) for name in self.names]

    def state(self, name: str) -> ChunkState:
        """Return how far one chunk is."""
        attempts = []
        for number in range(1, self.attempts + 1):
            path = self._attempt(name, number)
            try:
                since_s = path.stat().st_mtime
            except FileNotFoundError:
                break
            running = is_locked(path)
            attempts.append(
                Attempt(
                    number=number,
                    running=running,
                    since_s=since_s,
                    owner=read_owner(path),
                    failure=None if running else _failure(path),
                )
            )
        done = (self.folder / f"{name}{PACK}").exists()
        return ChunkState(name=name, done=done, attempts=tuple(attempts))

    def results(self) -> list[Path]:
        """Return the files of blocks that are there, in the order of the chunks."""
        paths = [self.folder / f"{name}{PACK}" for name in self.names]
        return [path for path in paths if path.exists()]

    def _attempt(self, name: str, number: int) -> Path:
        return self.folder / f"{name}.try-{number}"

    def _begin(self, name: str, number: int) -> FolderLease | None:
        """Make the file of an attempt, locked; None if somebody else made it first."""
        path = self._attempt(name, number)
        made = path.with_name(f".{path.name}.{secrets.token_hex(6)}.partial")
        with ExitStack() as stack:
            try:
                stack.enter_context(lock(made, what="chunk"))
                os.link(made, path)
                chunk = read_chunk(self.folder / f"{name}{SUFFIX}")
            except (FileExistsError, FileNotFoundError):
                return None
            except DataError:
                if not (self.folder / JOB).exists():  # removed meanwhile
                    return None
                raise
            finally:
                made.unlink(missing_ok=True)
            return FolderLease(path, chunk, stack.pop_all())


class FolderLease:
    """The right to work on a chunk of a folder; it ends with this process."""

    def __init__(self, attempt: Path, chunk: Chunk, held: ExitStack) -> None:
        self.chunk = chunk
        self.attempt = attempt
        self._held = held

    @property
    def plan(self) -> Plan:
        """The chunk's plan: its stores are files of this host."""
        return self.chunk.plan

    @property
    def scratch(self) -> Path:
        """A file beside the place of the blocks."""
        return self.attempt.with_name(f".{self.attempt.name}{PARTIAL_SUFFIX}")

    def deliver(self) -> None:
        """Move the file of blocks to its place and end the lease; for nothing if the job is gone."""
        with suppress(FileNotFoundError):
            self.scratch.replace(self.attempt.with_name(f"{self.chunk.name}{PACK}"))
        self.release()

    def give_up(self, error: RingriftError) -> None:
        """Note why and end the lease; the chunk is tried again while attempts are left."""
        told = {
            "message": error.message,
            "where": error.where,
            "hint": error.hint,
            "code": error.exit_code,
        }
        self.scratch.unlink(missing_ok=True)
        if self.attempt.exists():
            path = self.attempt.with_name(f"{self.attempt.name}.failed")
            write_atomic(path, json.dumps(told).encode())
        self.release()

    def release(self) -> None:
        """End the lease without a word: as if the process had died."""
        self._held.close()


def queues_below(folder: Path) -> list[FolderQueue]:
    """Return the queues in the folders below `folder` that are not finished."""
    queues = [FolderQueue(path.parent) for path in sorted(folder.glob(f"*/{JOB}"))]
    return [queue for queue in queues if not queue.finished()]


def _failure(attempt: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(attempt.with_name(f"{attempt.name}.failed").read_bytes())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _holds(blocks: Path, chunk: Chunk) -> bool:
    try:
        check_blocks(blocks, chunk)
    except DataError:
        return False
    return True
