"""Give each role on a host to one process at a time, and end registered tasks (`core.md` 7).

A role is an `fcntl` lock that the kernel releases with its process, however that ends: in the data
root, for training in the host's folder, one per GPU or one for a host without.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ringrift.core.ending import GRACE_S, ProcessName, end_processes, this_process
from ringrift.core.errors import BusyError, UsageError
from ringrift.core.files import LockOwner, is_locked, lock, open_sqlite, read_owner, write_atomic
from ringrift.core.host_table import HostTable, Task, host_folder
from ringrift.core.log import get_logger
from ringrift.core.spawning import shown_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

log = get_logger(__name__)

Role = Literal["orchestrator", "training", "tournament", "collector", "provisioner", "guard"]
ROLES: tuple[Role, ...] = get_args(Role)
FOLDER = "data/coordination/roles"

# Whoever looks whether a role is free holds its lock for an instant.
_LOOKED_AT_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Say who holds a role; `command` is `None` where it was not readable."""

    pid: int
    started_at: str
    held_since: str
    host: str
    command: str | None

    def __str__(self) -> str:
        words = f": {self.command}" if self.command else ""
        return f"process {self.pid} on {self.host}, started {self.started_at}{words}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleState:
    """Say whether a role is held; `device` is the GPU's index for training on a GPU."""

    role: Role
    device: int | None
    held: bool
    holder: Holder | None
    path: Path

    @property
    def name(self) -> str:
        """The role, with its device where it has one."""
        return self.role if self.device is None else f"{self.role} on GPU {self.device}"

    def as_fields(self) -> dict[str, Any]:
        """Return the state ready for JSON."""
        return {**asdict(self), "path": str(self.path)}


def role_named(name: str) -> Role:
    """Return the role of this name; raises `UsageError` for any other."""
    for role in ROLES:
        if role == name:
            return role
    raise UsageError(f"unknown role {name!r}; expected one of {', '.join(ROLES)}")


def role_file(root: Path, role: Role, device: int | None = None) -> Path:
    """Return the lock file of a role."""
    if role == "training":
        return host_folder(create=False) / f"training-{'cpu' if device is None else device}.lock"
    return root / FOLDER / f"{role}.lock"


@contextmanager
def hold_role(
    root: Path, role: Role, *, device: int | None = None, command: str | None = None
) -> Iterator[Holder]:
    """Hold a role while the block runs; `command` is this program's unless given.

    `device` is the GPU that a training uses, `None` without one. Raises `BusyError` naming pid,
    start, host and command of the holder if there is one.
    """
    path = role_file(root, role, device)
    if role == "training":
        host_folder()
    shown = command or shown_command([Path(sys.argv[0]).name, *sys.argv[1:]])
    with ExitStack() as holding:
        try:
            owner = holding.enter_context(lock(path, timeout_s=_LOOKED_AT_S, what=f"role {role}"))
        except BusyError as error:
            state = role_state(root, role, device)
            raise BusyError(
                f"the role {state.name} is held by {state.holder or 'another process'}",
                where=str(path),
                hint="ringrift node roles --status",
            ) from error
        note = {"pid": owner.pid, "started_at": owner.started_at, "command": shown}
        write_atomic(_note(path), json.dumps(note, ensure_ascii=False).encode())
        holding.callback(_remove_note, path, owner)
        yield _holder(owner, shown)


def role_state(root: Path, role: Role, device: int | None = None) -> RoleState:
    """Return whether a role is held and by whom; writes nothing."""
    path = role_file(root, role, device)
    held = is_locked(path)
    owner = read_owner(path) if held else None
    holder = None if owner is None else _holder(owner, _command(path, owner))
    return RoleState(role=role, device=device, held=held, holder=holder, path=path)


def role_states(root: Path, devices: Sequence[int | None] = (None,)) -> list[RoleState]:
    """Return the state of every role, training once for each of `devices`."""
    return [
        role_state(root, role, device)
        for role in ROLES
        for device in (devices if role == "training" else (None,))
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Say what became of a task that was to end: `survived` even SIGKILL, or was ourselves."""

    task: Task
    result: Literal["ended", "survived", "this process"]


def end_tasks(tasks: Sequence[Task], *, grace_s: float = GRACE_S) -> list[Ended]:
    """End registered tasks with all they started: SIGTERM, after `grace_s` SIGKILL.

    A task whose pid belongs to another process by now has ended already; that one is left alone.
    """
    names = {task.id: ProcessName(task.pid, task.start_ticks) for task in tasks}
    end_processes(set(names.values()), grace_s=grace_s)
    results = []
    for task in tasks:
        name = names[task.id]
        ours = name == this_process()
        result: Literal["ended", "survived", "this process"] = (
            "this process" if ours else "survived" if name.alive else "ended"
        )
        log.warning("task to end", pid=task.pid, category=task.category, result=result)
        results.append(Ended(task=task, result=result))
    return results


def find_dead(root: Path) -> tuple[list[Task], list[Path]]:
    """Return the rows of ended tasks and the notes of roles that nobody holds; changes nothing."""
    return _dead_rows(), [note for note in _notes(root) if not is_locked(note.with_suffix(".lock"))]


def remove_dead(root: Path) -> tuple[list[Task], list[Path]]:
    """Remove the rows of ended tasks and the notes of roles that nobody holds; return both."""
    table = HostTable.find()
    tasks = [] if table is None else table.purge()
    removed = []
    for note in _notes(root):
        try:
            with lock(note.with_suffix(".lock"), what="role"):  # nobody may take it meanwhile
                note.unlink(missing_ok=True)
        except BusyError:
            continue
        removed.append(note)
    return tasks, removed


def _dead_rows() -> list[Task]:
    table = HostTable.find()
    if table is None:
        return []
    names = [field.name for field in fields(Task)]
    with closing(open_sqlite(table.path, readonly=True)) as connection:
        rows = connection.execute(f"SELECT {', '.join(names)} FROM tasks").fetchall()  # noqa: S608 - names of a dataclass
    found = [Task(**dict(zip(names, row, strict=True))) for row in rows]
    return [task for task in found if not task.alive]


def _notes(root: Path) -> list[Path]:
    host = host_folder(create=False)
    return sorted([*(root / FOLDER).glob("*.json"), *host.glob("training-*.json")])


def _note(path: Path) -> Path:
    return path.with_suffix(".json")


def _remove_note(path: Path, owner: LockOwner) -> None:
    if os.getpid() == owner.pid:  # not a forked child that leaves the block
        _note(path).unlink(missing_ok=True)


def _command(path: Path, owner: LockOwner) -> str | None:
    """Return the command of a holder, from its note: its pid means nothing in other containers."""
    try:
        note = json.loads(_note(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if (note.get("pid"), note.get("started_at")) != (owner.pid, owner.started_at):
        return None
    return str(note.get("command"))


def _holder(owner: LockOwner, command: str | None) -> Holder:
    return Holder(
        pid=owner.pid,
        started_at=owner.started_at,
        held_since=owner.locked_at,
        host=owner.host,
        command=command,
    )
