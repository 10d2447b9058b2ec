"""Log structured events: human lines to standard error, JSON lines to `logs/` (`core.md` 4).

Modules take `log = get_logger(__name__)` at their top; that costs nothing until the first event.
The command line calls `setup_logging` once. Keys: ts, level, event, component, node, and run,
config and job where they are known.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ringrift.core.hidden import HIDDEN, hide_environment, hide_secret, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

__all__ = [
    "HIDDEN",
    "JsonLines",
    "Level",
    "Logger",
    "bound",
    "get_logger",
    "hide_secret",
    "setup_logging",
    "without_secrets",
]

ROTATE_BYTES = 50_000_000
KEEP_FILES = 10
KEEP_DAYS = 14

Level = Literal["debug", "info", "warning", "error"]
_LEVELS: dict[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


@dataclass(slots=True)
class _State:
    component: str = "ringrift"
    level: str = "warning"
    text: bool = True
    color: bool = False
    third_party: bool = False
    file: JsonLines | None = None
    fixed: dict[str, Any] = field(default_factory=dict)
    configured: bool = False


_state = _State()


class JsonLines:
    """Append events to `FOLDER/COMPONENT-YYYYMMDD.jsonl`, rotated at 50 MB, 10 files, 14 days.

    Each event is one `write`, so several processes may share a file. `path` fixes the file instead.
    """

    __slots__ = ("_component", "_fixed", "_folder", "_handle", "_path", "_rotate_bytes")

    def __init__(
        self,
        folder: Path,
        component: str,
        *,
        path: Path | None = None,
        rotate_bytes: int = ROTATE_BYTES,
    ) -> None:
        self._folder = folder
        self._component = component
        self._fixed = path
        self._rotate_bytes = rotate_bytes
        self._handle: int | None = None
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """The file that the next event goes to."""
        if self._fixed is not None:
            return self._fixed
        return self._folder / f"{self._component}-{datetime.now(UTC):%Y%m%d}.jsonl"

    def write(self, event: Mapping[str, Any]) -> None:
        """Append one event."""
        line = json.dumps(event, ensure_ascii=False, default=str) + "\n"
        os.write(self._open(), line.encode("utf-8", errors="backslashreplace"))

    def close(self) -> None:
        """Close the file; the next event opens it again."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _open(self) -> int:
        path = self.path
        if self._handle is not None and path == self._path and not self._full():
            return self._handle
        self.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._fixed is None and path.exists() and path.stat().st_size >= self._rotate_bytes:
            self._rotate(path)
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._path = path
        return self._handle

    def _full(self) -> bool:
        return (
            self._fixed is None
            and self._handle is not None
            and os.fstat(self._handle).st_size >= self._rotate_bytes
        )

    def _rotate(self, path: Path) -> None:
        number = 1
        while (target := path.with_name(f"{path.stem}.{number}.jsonl")).exists():
            number += 1
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            path.rename(target)
        files = sorted(
            self._folder.glob(f"{self._component}-*.jsonl"), key=lambda old: old.stat().st_mtime
        )
        oldest_s = time.time() - KEEP_DAYS * 86_400
        for index, old in enumerate(reversed(files), start=1):
            if index >= KEEP_FILES or old.stat().st_mtime < oldest_s:
                old.unlink(missing_ok=True)


class Logger:
    """Offer structlog's `debug info warning error exception bind`, imported at the first event."""

    __slots__ = ("_values",)

    def __init__(self, **values: Any) -> None:
        self._values = values

    def bind(self, **values: Any) -> Logger:
        """Return a logger that adds `values` to each event."""
        return Logger(**{**self._values, **values})

    def debug(self, event: str, **values: Any) -> None:
        """Log what only somebody who looks for a defect wants to see."""
        self._emit("debug", event, values)

    def info(self, event: str, **values: Any) -> None:
        """Log what happened."""
        self._emit("info", event, values)

    def warning(self, event: str, **values: Any) -> None:
        """Log what somebody should look at."""
        self._emit("warning", event, values)

    def error(self, event: str, **values: Any) -> None:
        """Log what failed."""
        self._emit("error", event, values)

    def exception(self, event: str, **values: Any) -> None:
        """Log what failed together with the traceback of the current exception."""
        self._emit("error", event, {"exc_info": True, **values})

    def _emit(self, level: Level, event: str, values: dict[str, Any]) -> None:
        if _LEVELS[level] < _LEVELS[_state.level] and _state.file is None:
            return
        _configure()
        import structlog

        emit = getattr(structlog.get_logger(), level)
        emit(event, **{**_state.fixed, **self._values, **values})


def get_logger(name: str) -> Logger:
    """Return the logger of a module; `name` is its `__name__`."""
    return Logger(logger=name)


def setup_logging(
    component: str,
    *,
    level: Level = "info",
    text: bool = True,
    color: bool = False,
    folder: Path | None = None,
    file: Path | None = None,
    third_party: bool = False,
    **fixed: Any,
) -> None:
    """Say where events go from now on.

    Standard error gets events from `level` upwards, as text or JSON. With `folder` or `file` all
    events go there as JSON lines, whatever the level of standard error. `fixed` (node, run, config,
    job) are added to each event; `third_party` lets other libraries' logs through. The secrets of
    the environment are hidden from now on, in other libraries' lines too.
    """
    hide_environment()
    if logging.lastResort is not None:  # what prints libraries' warnings that nobody handles
        logging.lastResort.setFormatter(_Hiding())
    if _state.file is not None:
        _state.file.close()
    _state.component = component
    _state.level = level
    _state.text = text
    _state.color = color
    _state.third_party = third_party
    _state.fixed = {"node": os.environ.get("RINGRIFT_NODE_ID") or socket.gethostname(), **fixed}
    _state.file = None
    if file is not None or folder is not None:
        _state.file = JsonLines(folder or Path(), component, path=file)
    _state.configured = False


@contextlib.contextmanager
def bound(**values: Any) -> Iterator[None]:
    """Add `values` to every event of the block, in every module."""
    former = _state.fixed
    _state.fixed = {**former, **values}
    try:
        yield
    finally:
        _state.fixed = former


def _configure() -> None:
    if _state.configured:
        return
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            _finish,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=_Sinks,
        cache_logger_on_first_use=False,
    )
    if _state.third_party:
        logging.basicConfig(stream=sys.stderr, level=logging.DEBUG, force=True)
        for handler in logging.getLogger().handlers:
            handler.setFormatter(_Hiding(logging.BASIC_FORMAT))
    _state.configured = True


class _Hiding(logging.Formatter):
    """Format other libraries' records without our secrets, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return str(without_secrets(super().format(record)))


def _finish(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> tuple[tuple[()], dict[str, Any]]:
    clean = without_secrets(dict(event))
    head = {name: clean.pop(name) for name in ("ts", "level", "event")}
    return (), {**head, "component": _state.component, **clean}


class _Sinks:
    """Write one finished event to standard error and to the file."""

    def debug(self, **event: Any) -> None:
        self._write(event)

    info = warning = error = debug

    def _write(self, event: dict[str, Any]) -> None:
        if _state.file is not None:
            _state.file.write(event)
        if _LEVELS[event["level"]] < _LEVELS[_state.level]:
            return
        line = _human(event) if _state.text else json.dumps(event, ensure_ascii=False, default=str)
        with contextlib.suppress(BrokenPipeError):  # nobody listens any more
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


def _human(event: dict[str, Any]) -> str:
    rest = dict(event)
    clock = str(rest.pop("ts"))[11:19]
    level, text = rest.pop("level"), rest.pop("event")
    trace = rest.pop("exception", None)
    for name in ("component", "node", "logger"):
        rest.pop(name, None)
    words = [f"{name}={_shown(value)}" for name, value in rest.items() if value is not None]
    if _state.color:
        mark = {"warning": "\x1b[33m", "error": "\x1b[31m"}.get(level, "\x1b[2m")
        level = f"{mark}{level}\x1b[0m"
    line = " ".join([clock, level, text, *words])
    return f"{line}\n{trace}" if trace else line


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return repr(text) if " " in text or not text else text
