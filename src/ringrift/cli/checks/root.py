"""Check the data root: marker, folders, space, what its file system can, its files (`core.md` 11)."""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.cli.checks.machine import place
from ringrift.cli.checks.model import Check, Context, Finding, fail, ok, warn
from ringrift.core.errors import BusyError, RingriftError, SettingsError
from ringrift.core.files import (
    NETWORK_FILE_SYSTEMS,
    PARTIAL_SUFFIX,
    file_system,
    lock,
    open_sqlite,
    transaction,
    write_atomic,
)
from ringrift.core.paths import MARKER, Paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GIB = 1 << 30
LEAST_FREE_BYTES = 2 * GIB
"""what a producing job asks for (`core.md` 6)"""
NAMED_AT_MOST = 3
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

NO_FOLDERS = ("marker", "exists", "game_store")
"""What `Paths` says of a data root beside its folders."""


def usable_root(context: Context) -> Path | None:
    """Return the data root if it is one; `root` and `marker` say what else it is."""
    root = context.root
    return root if root is not None and (root / MARKER).is_file() else None


def check_root(context: Context) -> Iterable[Finding]:
    """Say which folder is the data root, and look for its marker."""
    if context.root_problem is not None:
        yield fail("root", context.root_problem, "--root DIR with a folder of its own")
        return
    root = context.root
    if root is None:
        yield warn(
            "root",
            "no root: no --root, no RINGRIFT_ROOT, no marker here or above",
            "--root DIR, or ringrift config init",
        )
    elif not root.is_dir():
        yield fail("root", f"{root} does not exist", f"ringrift config init {root}")
    else:
        yield ok("root", str(root))
        if (root / MARKER).is_file():
            yield ok("marker", MARKER)
        else:
            yield fail("marker", f"no {MARKER} in {root}", f"ringrift config init {root}")


def folders_of(root: Path) -> list[Path]:
    """Return every folder of a data root."""
    paths = Paths(root)
    names = (name for name, kind in vars(Paths).items() if isinstance(kind, property))
    return [getattr(paths, name) for name in names if name not in NO_FOLDERS]


def check_folders(context: Context) -> Iterable[Finding]:
    """Look for each folder of the root and make a file in it."""
    root = usable_root(context)
    if root is None:
        return
    missing, full = [], False
    broken = 0
    folders = folders_of(root)
    for folder in [root, *folders]:
        name = folder.relative_to(root).as_posix()
        if folder.is_dir():
            problem = _unwritable(folder)
            if problem in _FULL:
                full = True
            elif problem:
                broken += 1
                yield fail(
                    "folders", f"cannot write {name}: {os.strerror(problem)}", _rights(folder)
                )
        elif folder.exists() or folder.is_symlink():
            broken += 1
            yield fail("folders", f"{name} is no folder", f"moving {folder} away, then --fix")
        elif not any(parent.exists() and not parent.is_dir() for parent in folder.parents):
            missing.append(name)
    if missing:
        more = f" and {len(missing) - NAMED_AT_MOST} more" if len(missing) > NAMED_AT_MOST else ""
        listed = ", ".join(missing[:NAMED_AT_MOST])
        yield warn("folders", f"missing: {listed}{more}", "ringrift doctor --fix")
    elif full:
        yield warn("folders", "not tried: no space is left", "see space")
    elif not broken:
        yield ok("folders", f"{len(folders)} folders, all can be written")


def make_folders(context: Context, _found: Sequence[Finding]) -> Iterable[str]:
    """Make the folders that a data root lacks."""
    root = usable_root(context)
    if root is None:
        return
    missing = [folder for folder in folders_of(root) if not folder.exists()]
    for folder in missing:
        folder.mkdir(parents=True, exist_ok=True)
        yield f"made {folder}"


def _unwritable(folder: Path) -> int | None:
    """Return the error number of making a file in `folder`, `None` if that works."""
    path = folder / f".doctor.{secrets.token_hex(6)}{PARTIAL_SUFFIX}"
    try:
        path.touch()
        path.unlink()
    except OSError as error:
        return error.errno or errno.EIO
    return None


def _rights(folder: Path) -> str:
    return f"chown or chmod of {folder}, or mounting it for writing"


def check_space(context: Context) -> Iterable[Finding]:
    """Compare the free space with what a job needs, and the used share with its limit."""
    from ringrift.core.limits import Resource, State, judge

    where = place(context)
    verdicts = judge(context.facts.read(where), context.settings.limits)
    disk = next(verdict for verdict in verdicts if verdict.resource is Resource.DISK)
    if disk.space is None:
        yield warn("space", f"the use of the disk of {where} is unknown", "df")
        return
    free = disk.space.available_bytes
    seen = f"{free / GIB:.1f} GiB free, {disk.reason}"
    remedy = "ringrift node cleanup, a larger disk, or --root on another one"
    if free < LEAST_FREE_BYTES:
        yield fail("space", f"{seen}; {LEAST_FREE_BYTES / GIB:.0f} GiB wanted", remedy)
    elif disk.state is State.CRITICAL:
        yield warn("space", f"{seen}: no job that produces starts", f"{remedy}, or {disk.key}")
    elif disk.state is State.WARNING:
        yield warn("space", seen, remedy)
    else:
        yield ok("space", seen)


def check_file_system(context: Context) -> Iterable[Finding]:
    """Try a lock, a rename and a database in write-ahead mode on the root's file system."""
    root = usable_root(context)
    if root is None:
        return
    kind = file_system(root) or "unknown"
    elsewhere = "--root on a local disk"
    if kind in NETWORK_FILE_SYSTEMS:
        yield fail("file-system", f"{kind} is a network file system", elsewhere)
        return
    problem = _unwritable(root)
    if problem is not None:
        note = "no space is left" if problem in _FULL else os.strerror(problem)
        yield warn("file-system", f"{kind}; not tried: {note}", "see space and folders")
        return
    try:
        with tempfile.TemporaryDirectory(
            prefix=".doctor.", suffix=PARTIAL_SUFFIX, dir=root
        ) as name:
            wrong = _abilities(Path(name))
    except OSError as error:
        if error.errno in _FULL:
            yield warn("file-system", f"{kind}; not tried: no space is left", "see space")
        else:
            yield fail("file-system", f"{kind}: {error.strerror or error}", elsewhere)
        return
    except RingriftError as error:
        yield fail("file-system", f"{kind}: {error.message}", elsewhere)
        return
    if wrong:
        yield fail("file-system", f"{kind}: {'; '.join(wrong)}", elsewhere)
    else:
        yield ok("file-system", f"{kind}: locks, renames and SQLite's write-ahead log work")


def _abilities(folder: Path) -> list[str]:
    """Return what a file system cannot do that is needed."""
    wrong = []
    with lock(folder / "lock"):
        try:
            with lock(folder / "lock"):
                wrong.append("locks do not exclude")
        except BusyError:
            pass
    path = folder / "renamed"
    for content in (b"old", b"new"):
        write_atomic(path, content)
    if path.read_bytes() != b"new":
        wrong.append("a rename does not replace")
    writer, reader = open_sqlite(folder / "try.db"), open_sqlite(folder / "try.db")
    try:
        mode = writer.execute("PRAGMA journal_mode").fetchone()[0]
        if mode != "wal":
            wrong.append(f"SQLite's journal mode is {mode}")
        writer.execute("CREATE TABLE numbers (value INTEGER NOT NULL) STRICT")
        with transaction(writer):
            writer.execute("INSERT INTO numbers VALUES (1)")
            if reader.execute("SELECT count(*) FROM numbers").fetchone()[0] != 0:
                wrong.append("a database shows what is not committed")
        if reader.execute("SELECT count(*) FROM numbers").fetchone()[0] != 1:
            wrong.append("a database hides what is committed")
    finally:
        reader.close()
        writer.close()
    return wrong


def check_settings(context: Context) -> Iterable[Finding]:
    """Report every problem of the settings file and of the environment."""
    yield from _problems("settings", context.settings_problems)
    for warning in context.settings_warnings:
        yield warn("settings", warning, "ringrift config migrate, or config env")
    if not context.settings_problems and not context.settings_warnings:
        file = context.settings_file
        yield ok("settings", str(file) if file else "no file: the defaults")


def check_hyperparameters(context: Context) -> Iterable[Finding]:
    """Read the hyper-parameters of the root."""
    from ringrift.core.hyperparameters import load_hyperparameters

    root = usable_root(context)
    if root is None:
        return
    try:
        loaded = load_hyperparameters(root=root)
    except SettingsError as error:
        yield from _problems("hyper-parameters", error.problems)
        return
    for warning in loaded.warnings:
        yield warn("hyper-parameters", warning, "ringrift config validate")
    if not loaded.warnings:
        seen = str(loaded.path) if loaded.path else "no file: the defaults"
        yield ok("hyper-parameters", seen)


def check_hosts(context: Context) -> Iterable[Finding]:
    """Read the hosts file: its syntax, no name twice, an address for each host."""
    from ringrift.core.yaml_text import duplicate_keys, parse_yaml, read_text

    root = usable_root(context)
    if root is None:
        return
    path = Paths(root).from_setting(context.settings.hosts_config_path)
    if not path.exists():
        yield ok("hosts", "no file: this machine alone")
        return
    try:
        node = parse_yaml(read_text(path), str(path))
    except SettingsError as error:
        yield from _problems("hosts", error.problems)
        return
    problems = [
        f"{path}:{line} {key} stands twice, first in line {first}"
        for key, line, first in duplicate_keys(node)
    ]
    hosts = 0
    for name, value in node.pairs if node is not None else ():
        if name.value == "hosts":
            for host, fields in value.pairs:
                hosts += 1
                if "ssh_host" not in {key.value for key, _ in fields.pairs}:
                    problems.append(f"{path}:{host.line} hosts.{host.value} has no ssh_host")
    for problem in problems[:NAMED_AT_MOST]:
        yield fail("hosts", problem, f"correcting {path}")
    if not problems:
        yield ok("hosts", f"{hosts} hosts in {path}")


def _problems(check: str, problems: Sequence[SettingsError]) -> Iterable[Finding]:
    for problem in problems[:NAMED_AT_MOST]:
        where = f" ({problem.where})" if problem.where else ""
        yield fail(check, f"{problem.message}{where}", problem.hint or "ringrift config validate")
    if len(problems) > NAMED_AT_MOST:
        rest = f"{len(problems) - NAMED_AT_MOST} more problems"
        yield fail(check, rest, "ringrift config validate, which lists all")


CHECKS = (
    Check(name="root", run=check_root, limit_s=2),
    Check(name="folders", run=check_folders, limit_s=3, fix=make_folders),
    Check(name="space", run=check_space, limit_s=3),
    Check(name="file-system", run=check_file_system, limit_s=5),
    Check(name="settings", run=check_settings, limit_s=2),
    Check(name="hyper-parameters", run=check_hyperparameters, limit_s=3),
    Check(name="hosts", run=check_hosts, limit_s=3),
)
