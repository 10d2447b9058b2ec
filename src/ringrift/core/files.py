"""Write files whole, lock them against a second writer, open SQLite the one way (`core.md` 4)."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from ringrift.core.errors import BusyError, DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARTIAL_SUFFIX = ".partial"
BUSY_TIMEOUT_S = 20.0
NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "lustre",
        "glusterfs",
        "fuse.sshfs",
    }
)


def write_atomic(path: Path, data: bytes | Callable[[IO[bytes]], Any]) -> None:
    """Write `path` so that readers and crashes see the old or the new bytes, never a mixture.

    `data` is the content or a function that writes it to the open file. The bytes go to a file
    beside, are fsynced, renamed, and the folder is fsynced. An error removes the partial file;
    after `kill -9` it stays, named `.NAME.RANDOM.partial`.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(6)}{PARTIAL_SUFFIX}")
    try:
        with partial.open("xb") as file:
            if callable(data):
                data(file)
            else:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Fsync a folder, so that renames in it survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_partial(folder: Path) -> list[Path]:
    """Delete what killed writers left in `folder`; only for a folder's single writer."""
    left = sorted(folder.glob(f".*{PARTIAL_SUFFIX}"))
    for path in left:
        path.unlink(missing_ok=True)
    return left


@dataclass(frozen=True, slots=True, kw_only=True)
class LockOwner:
    """Say who holds a lock, as written into the lock file."""

    pid: int
    started_at: str
    locked_at: str
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, started {self.started_at}"


# File descriptors of held locks. A forked child closes its copies: otherwise a worker that outlives
# its killed parent would keep the parent's lock.
_held: set[int] = set()


def _close_held() -> None:
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_close_held)


@contextmanager
def lock(path: Path, *, timeout_s: float = 0.0, what: str = "lock") -> Iterator[LockOwner]:
    """Hold an exclusive lock on `path` while the block runs.

    The kernel releases it with the process, however that ends; the file itself stays. Raises
    `BusyError` naming the holder when it is not free within `timeout_s`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(handle, path, time.monotonic() + timeout_s, what)
        owner = LockOwner(
            pid=os.getpid(),
            started_at=_process_start(),
            locked_at=_utc(time.time()),
            host=socket.gethostname(),
        )
        text = json.dumps(
            {
                "pid": owner.pid,
                "started_at": owner.started_at,
                "locked_at": owner.locked_at,
                "host": owner.host,
            }
        )
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(), 0)
    except BaseException:
        os.close(handle)
        raise
    _held.add(handle)
    try:
        yield owner
    finally:
        if handle in _held:  # not in a forked child that left the block
            _held.discard(handle)
            os.ftruncate(handle, 0)
            os.close(handle)


def _acquire(handle: int, path: Path, deadline_s: float, what: str) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline_s:
                owner = read_owner(path)
                raise BusyError(
                    f"{what} held by {owner or 'another process'}", where=str(path)
                ) from None
            time.sleep(0.05)


def is_locked(path: Path) -> bool:
    """Look whether somebody has the lock; lookers share it, so they do not see each other."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def read_owner(path: Path) -> LockOwner | None:
    """Return who wrote themselves into a lock file; `None` if nobody or not yet.

    After a `kill -9` the name stays although the lock is free: only `lock` tells whether it is.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return LockOwner(
            pid=int(content["pid"]),
            started_at=str(content["started_at"]),
            locked_at=str(content["locked_at"]),
            host=str(content["host"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _process_start() -> str:
    import psutil

    return _utc(psutil.Process().create_time())


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def open_sqlite(
    path: Path, *, readonly: bool = False, one_thread: bool = True
) -> sqlite3.Connection:
    """Open a database: WAL, busy timeout 20 s, foreign keys on, synchronous FULL.

    The connection is in autocommit mode; group writes with `transaction`. Without `one_thread` it is
    for several threads, which take turns by a lock of the caller's. Raises `DataError` for a
    file that is no database or, with `readonly`, is missing; `UsageError` on a network file system.
    """
    kind = file_system(path.parent)
    if kind in NETWORK_FILE_SYSTEMS:
        raise UsageError(
            f"a database on a network file system ({kind}) is refused",
            where=str(path),
            hint="--root on a local disk",
        )
    mode = "ro" if readonly else "rwc"
    uri = f"file:{quote(str(path.resolve()))}?mode={mode}"
    try:
        connection = sqlite3.connect(
            uri,
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=one_thread,
        )
    except sqlite3.OperationalError as error:
        raise DataError(f"cannot open the database: {error}", where=str(path)) from error
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        if not readonly:
            _switch_to_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if "locked" in str(error):
            raise BusyError(f"the database is busy: {error}", where=str(path)) from error
        raise DataError(f"cannot open the database: {error}", where=str(path)) from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DataError(f"not a usable SQLite database: {error}", where=str(path)) from error
    return connection


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Set the write-ahead log; SQLite's busy timeout does not cover this statement."""
    deadline_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= deadline_s:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Write all of the block or nothing; takes the write lock at once."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        raise BusyError(f"the database is busy: {error}") from error
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def file_system(path: Path) -> str | None:
    """Return the type of the file system that holds `path`; `None` where Linux does not tell."""
    try:
        table = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    target = str(path.resolve())
    best, kind = "", None
    for line in table.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind
