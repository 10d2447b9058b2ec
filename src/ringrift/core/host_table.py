"""List the tasks that run on this host and what they need (`core.md` 6 and 7).

One SQLite table in a folder of the user's own, shared by all data roots: what a task will need counts
for every other task that starts here. A row lives as long as its process; nobody has to tidy up.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ringrift.core.errors import BusyError, RefusedError
from ringrift.core.files import BUSY_TIMEOUT_S, open_sqlite, transaction
from ringrift.core.process_reading import read_process

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

FILE_NAME = "host.db"
_OPEN_AGAIN_S = 0.02

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pid INTEGER NOT NULL,
    start_ticks INTEGER NOT NULL,
    started_at REAL NOT NULL,
    category TEXT NOT NULL,
    command TEXT NOT NULL,
    root TEXT,
    job TEXT,
    device INTEGER,
    needs_memory_bytes INTEGER NOT NULL,
    needs_disk_bytes INTEGER NOT NULL,
    disk_path TEXT,
    needs_gpu_bytes INTEGER NOT NULL,
    registered_at REAL NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Describe one running task: its process, what it is and what it will need at most.

    `started_at` and `registered_at` are seconds since the epoch. `start_ticks` is the kernel's own
    start time, which no clock adjustment moves: together with the pid it names one process.
    """

    id: int
    pid: int
    start_ticks: int
    started_at: float
    category: str
    command: str
    root: str | None
    job: str | None
    device: int | None
    needs_memory_bytes: int
    needs_disk_bytes: int
    disk_path: str | None
    needs_gpu_bytes: int
    registered_at: float

    @property
    def alive(self) -> bool:
        """Whether the very process that was registered still runs."""
        return start_ticks(self.pid) == self.start_ticks


_COLUMNS = tuple(field.name for field in fields(Task))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM tasks"  # noqa: S608 - names of our own dataclass
_INSERT = (
    f"INSERT INTO tasks ({', '.join(_COLUMNS[1:])}) "  # noqa: S608 - as above
    f"VALUES ({', '.join('?' * (len(_COLUMNS) - 1))})"
)


def host_folder(*, create: bool = True) -> Path:
    """Return the folder of what all roots of this user share on this host.

    It is `$XDG_RUNTIME_DIR/ringrift`, else `ringrift-UID` in the temporary folder, with mode 0700,
    and is made unless `create` is false.
    Raises `RefusedError` for a link or a folder of another user, who could write into it.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        folder = Path(runtime) / "ringrift"
    else:
        folder = Path(tempfile.gettempdir()) / f"ringrift-{os.getuid()}"
    if create:
        folder.mkdir(mode=0o700, exist_ok=True)
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return folder
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise RefusedError(
            "the folder of the host's table belongs to somebody else",
            where=str(folder),
            hint="removing it, or XDG_RUNTIME_DIR with a folder of your own",
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)
    return folder


def start_ticks(pid: int) -> int | None:
    """Return when a running process started, in kernel ticks since boot; `None` if it has ended."""
    found = read_process(pid)
    return None if found is None or found.ended else found.start_ticks


def _accept_all(_others: list[Task]) -> bool:
    return True


class HostTable:
    """Read and write the table; usable from any thread and after a fork.

    Rows of processes that are gone are never shown, and removed by whoever writes next. As a
    context manager it closes this thread's connection at the end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    @classmethod
    def open(cls) -> HostTable:
        """Return the table of this host, made if need be."""
        return cls(host_folder() / FILE_NAME)

    @classmethod
    def find(cls) -> HostTable | None:
        """Return the table of this host if somebody has made one; creates nothing."""
        path = host_folder(create=False) / FILE_NAME
        return cls(path) if path.exists() else None

    def add(
        self,
        *,
        category: str,
        command: str,
        root: Path | str | None = None,
        job: str | None = None,
        device: int | None = None,
        memory_bytes: int = 0,
        disk_bytes: int = 0,
        disk_path: Path | str | None = None,
        gpu_bytes: int = 0,
        pid: int | None = None,
        accept: Callable[[list[Task]], bool] = _accept_all,
    ) -> Task | None:
        """Register a task of this process, or of `pid`, if `accept` likes what runs already.

        `accept` gets all other living tasks while nobody else can register: two processes that
        start at once cannot both count the same free memory. It should take milliseconds. Returns
        `None` where it refuses. Raises `RefusedError` if `pid` does not run.
        """
        pid = os.getpid() if pid is None else pid
        ticks = start_ticks(pid)
        if ticks is None:
            raise RefusedError(f"process {pid} does not run; only running ones are registered")
        values: dict[str, Any] = {
            "pid": pid,
            "start_ticks": ticks,
            "started_at": _created_at(pid),
            "category": category,
            "command": command,
            "root": None if root is None else str(root),
            "job": job,
            "device": device,
            "needs_memory_bytes": int(memory_bytes),
            "needs_disk_bytes": int(disk_bytes),
            "disk_path": None if disk_path is None else str(disk_path),
            "needs_gpu_bytes": int(gpu_bytes),
        }
        with transaction(self._connection()) as connection:
            if not accept(_living(connection)):
                return None
            values["registered_at"] = time.time()
            row = connection.execute(_INSERT, [values[name] for name in _COLUMNS[1:]])
            return Task(id=row.lastrowid or 0, **values)

    def remove(self, task: Task) -> None:
        """Take a task off the table; one that is off it already is no error."""
        with transaction(self._connection()) as connection:
            connection.execute(
                "DELETE FROM tasks WHERE id = ? AND pid = ? AND start_ticks = ?",
                (task.id, task.pid, task.start_ticks),
            )

    def tasks(self, root: Path | str | None = None, category: str | None = None) -> list[Task]:
        """Return the living tasks, oldest first, of one data root or category if named."""
        # It writes nothing: readers must not wait for somebody who is just registering.
        found = [task for task in _read(self._connection()) if task.alive]
        return [
            task
            for task in found
            if (root is None or task.root == str(root))
            and (category is None or task.category == category)
        ]

    def purge(self) -> list[Task]:
        """Remove the rows of processes that are gone and return them."""
        with transaction(self._connection()) as connection:
            dead = [task for task in _read(connection) if not task.alive]
            _delete(connection, dead)
        return dead

    @contextmanager
    def registered(self, **task: Any) -> Iterator[Task | None]:
        """Keep a task on the table while the block runs; arguments as for `add`."""
        added = self.add(**task)
        opener = os.getpid()
        try:
            yield added
        finally:
            if added is not None and os.getpid() == opener:  # not a forked child's to remove
                self.remove(added)

    def close(self) -> None:
        """Close this thread's connection; the next call opens it again."""
        held = self._held()
        if held is not None:
            held.connection.close()
            self._open.held = None

    def _connection(self) -> sqlite3.Connection:
        held = self._held()
        if held is not None and held.inode == _inode(self.path):
            return held.connection
        self.close()  # somebody tidied the temporary folder: the others use a new file by now
        connection = _open_table(self.path)
        self._open.held = _Held(connection, os.getpid(), _inode(self.path))
        return connection

    def _held(self) -> _Held | None:
        held: _Held | None = getattr(self._open, "held", None)
        if held is not None and held.pid != os.getpid():
            # A forked child may neither use nor close what its parent opened.
            _inherited.append(held)
            held = self._open.held = None
        return held


class _Held(NamedTuple):
    connection: sqlite3.Connection
    pid: int
    inode: int | None


_inherited: list[_Held] = []


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _open_table(path: Path) -> sqlite3.Connection:
    # While the first process turns the new file to WAL, SQLite answers others without waiting.
    deadline_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection = open_sqlite(path)
            break
        except BusyError:
            if time.monotonic() >= deadline_s:
                raise
            time.sleep(_OPEN_AGAIN_S)
    # A power cut ends every task of the table: its last rows need no flush to the disk.
    connection.execute("PRAGMA synchronous = NORMAL")
    known = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'tasks'").fetchone()
    if known is None:
        with transaction(connection):
            connection.execute(_SCHEMA)
    return connection


def _read(connection: sqlite3.Connection) -> list[Task]:
    rows = connection.execute(f"{_SELECT} ORDER BY id").fetchall()
    return [Task(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]


def _living(connection: sqlite3.Connection) -> list[Task]:
    """Remove the rows of ended processes and return the others; called inside a transaction."""
    found = _read(connection)
    _delete(connection, [task for task in found if not task.alive])
    return [task for task in found if task.alive]


def _delete(connection: sqlite3.Connection, tasks: list[Task]) -> None:
    connection.executemany("DELETE FROM tasks WHERE id = ?", [(task.id,) for task in tasks])


def _created_at(pid: int) -> float:
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess as error:
        raise RefusedError(f"process {pid} has just ended; only running ones count") from error
