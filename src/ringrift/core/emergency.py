"""Stop everything in a data root by a file that each worker looks for (`core.md` 7).

`data/coordination/EMERGENCY_HALT` stops the root, `HALT.<config>` one configuration. While such a
file is there nothing new starts and loops end after the running unit. Any file counts, also one
made by `touch`; only `resume` removes it.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ringrift.core.errors import BusyError, UsageError
from ringrift.core.files import write_atomic
from ringrift.core.hidden import without_secrets
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

log = get_logger(__name__)

FOLDER = "data/coordination"
HALT_FILE = "EMERGENCY_HALT"
CONFIG_PREFIX = "HALT."
UNKNOWN_REASON = "unknown"
_CONFIG = re.compile(r"[a-z0-9]+_[1-9]p")


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Say what is halted (`config` is `None` for the whole root), why, by whom and when."""

    path: Path
    config: str | None
    reason: str
    by: str | None
    at: str | None

    def __str__(self) -> str:
        what = self.config or "this data root"
        who = f" by {self.by}" if self.by else ""
        when = f" at {self.at}" if self.at else ""
        return f"{what} is halted{who}{when}: {self.reason}"

    def as_fields(self) -> dict[str, Any]:
        """Return the halt ready for JSON."""
        return {**asdict(self), "path": str(self.path)}


def halt_file(root: Path, config: str | None = None) -> Path:
    """Return the file that halts the root or one configuration.

    Raises `UsageError` for a configuration whose name could leave the folder.
    """
    if config is None:
        return root / FOLDER / HALT_FILE
    if not _CONFIG.fullmatch(config):
        raise UsageError(f"unknown configuration {config!r}", hint="a name like square8_2p")
    return root / FOLDER / f"{CONFIG_PREFIX}{config}"


def halted(root: Path, config: str | None = None) -> Halt | None:
    """Return the halt that holds for the root, or for `config` in it; `None` while work may start.

    Costs one or two `lstat` calls, a few microseconds, so that a worker can ask before each game.
    """
    folder = f"{root}/{FOLDER}"
    if _is_there(f"{folder}/{HALT_FILE}"):
        return _read(halt_file(root), None)
    if config is not None and _is_there(f"{folder}/{CONFIG_PREFIX}{config}"):
        return _read(halt_file(root, config), config)
    return None


def halts(root: Path) -> list[Halt]:
    """Return every halt of the root, the one of the whole root first."""
    whole = halted(root)
    single = sorted((root / FOLDER).glob(f"{CONFIG_PREFIX}*"))
    return [
        *([] if whole is None else [whole]),
        *(_read(path, path.name.removeprefix(CONFIG_PREFIX)) for path in single),
    ]


def refuse_halted(root: Path, config: str | None = None) -> None:
    """Raise `BusyError` if the root or `config` is halted; for whatever is about to start."""
    found = halted(root, config)
    if found is not None:
        raise BusyError(
            str(found), where=str(found.path), hint="ringrift node safeguards --clear-emergency"
        )


def halt(root: Path, *, reason: str, by: str | None = None, config: str | None = None) -> Halt:
    """Halt the root, or one configuration, and return the halt that now holds.

    `by` is this user and process unless given. A halt that is there already keeps its first reason.
    """
    path = halt_file(root, config)
    if _is_there(str(path)):
        return _read(path, config)
    made = Halt(
        path=path,
        config=config,
        reason=str(without_secrets(reason)),
        by=by or whoami(),
        at=_utc(time.time()),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"reason": made.reason, "by": made.by, "at": made.at}
    write_atomic(path, json.dumps(content, ensure_ascii=False).encode() + b"\n")
    log.warning("halted", what=config or "root", reason=made.reason, by=made.by)
    return made


def resume(root: Path, config: str | None = None) -> bool:
    """Remove the halt of the root, or of `config` alone; return whether there was one."""
    path = halt_file(root, config)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    log.warning("resumed", what=config or "root", by=whoami())
    return True


def whoami() -> str:
    """Return user, host and process of this program, as written into halts."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}, process {os.getpid()}"


class OomSettings(Protocol):
    """The keys of section `safeguards` that are read here."""

    @property
    def oom_kills(self) -> int:
        """Kills that halt the root."""

    @property
    def oom_window_seconds(self) -> float:
        """Seconds within which they count together."""


class OomWatch:
    """Halt a root whose machine runs out of memory: two kernel kills in ten minutes.

    Call `poll` now and then. The kernel's count is kept in `data/coordination/oom.json`, so that
    a kill of the watching process itself is counted by its successor. `read` returns the count
    since boot, or `None` where the kernel does not tell: then nothing is ever halted. `clock` is
    in seconds since 1970.
    """

    def __init__(
        self,
        root: Path,
        *,
        kills: int = 2,
        window_s: float = 600.0,
        clock: Callable[[], float] = time.time,
        read: Callable[[], int | None] | None = None,
    ) -> None:
        self._root = root
        self._kills = kills
        self._window_s = window_s
        self._clock = clock
        self._read = read or oom_kills
        self._file = root / FOLDER / "oom.json"

    @classmethod
    def from_settings(cls, settings: OomSettings, root: Path) -> OomWatch:
        """Return a watch with the numbers of section `safeguards`."""
        return cls(root, kills=settings.oom_kills, window_s=settings.oom_window_seconds)

    def poll(self) -> Halt | None:
        """Look at the kernel's count; return the halt if this call wrote it."""
        count = self._read()
        if count is None:
            return None
        now_s = self._clock()
        known = self._load()
        new = 0
        recent: list[float] = []
        if known is not None and 0 <= now_s - known["at_s"] <= self._window_s:
            new = max(0, count - known["count"])
        if known is not None:
            recent = [at_s for at_s in known["kills_s"] if 0 <= now_s - at_s < self._window_s]
        recent += [now_s] * new
        fired = new > 0 and len(recent) >= self._kills and halted(self._root) is None
        made = None
        if fired:
            minutes = self._window_s / 60
            reason = f"{len(recent)} processes killed for lack of memory within {minutes:g} minutes"
            made = halt(self._root, reason=reason)
            recent = []
        self._save(count, now_s, recent)
        return made

    def _load(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            if found["boot"] != _boot():
                return None
            return {
                "count": int(found["count"]),
                "at_s": float(found["at_s"]),
                "kills_s": [float(at_s) for at_s in found["kills_s"]],
            }
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("out-of-memory count unreadable", file=str(self._file), error=str(error))
            return None

    def _save(self, count: int, now_s: float, kills_s: list[float]) -> None:
        state = {"boot": _boot(), "count": count, "at_s": now_s, "kills_s": kills_s}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._file, json.dumps(state).encode())


def oom_kills(*, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return how many processes the kernel killed for memory in our cgroup, else on the machine.

    The cgroup is preferred: in a container the machine's count includes other people's processes.
    """
    for line in _text(proc / "self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        inside = path.strip("/")
        if number == "0":
            places = [cgroups / inside / "memory.events", cgroups / "memory.events"]
        elif "memory" in controllers.split(","):
            folder = cgroups / "memory"
            places = [folder / inside / "memory.oom_control", folder / "memory.oom_control"]
        else:
            continue
        for place in places:
            count = _field(_text(place), "oom_kill")
            if count is not None:
                return count
    return _field(_text(proc / "vmstat"), "oom_kill")


def _field(text: str, name: str) -> int | None:
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == name and words[1].isdigit():
            return int(words[1])
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _boot() -> str:
    return _text(Path("/proc/sys/kernel/random/boot_id")).strip()


def _is_there(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _read(path: Path, config: str | None) -> Halt:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # written by hand, or removed just now: it was there
        content = None
    fields = content if isinstance(content, dict) else {}

    def text(name: str) -> str | None:
        value = fields.get(name)
        return value if isinstance(value, str) and value else None

    return Halt(
        path=path,
        config=config,
        reason=text("reason") or UNKNOWN_REASON,
        by=text("by"),
        at=text("at"),
    )


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
