"""The loop's event log: what happened, for people and plots (`loop.md` 9). Nothing is decided from it.

One process writes, whoever wants reads. An event is an object
`{"seq", "at", "kind", "config", "cycle", "job", "data"}`, one a line.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from ringrift.core.log import get_logger

log = get_logger(__name__)

EVENTS = "events.jsonl"
ROTATE_BYTES = 50_000_000
KEEP_FILES = 10
TAIL_BYTES = 1 << 20
LOOK_EVERY_S = 0.25

EventKind = Literal[
    "loop_started",
    "loop_stopped",
    "halted",
    "resumed",
    "model_initialised",
    "games_ingested",
    "games_quarantined",
    "job_filed",
    "job_failed",
    "job_retried",
    "training_started",
    "training_progress",
    "training_finished",
    "tuning_finished",
    "calibration",
    "shadow_finished",
    "match_finished",
    "promoted",
    "rejected",
    "inconclusive",
    "rolled_back",
    "superseded",
    "curriculum_rebalanced",
    "preset_changed",
    "signal",
    "plateau",
    "regression",
    "milestone",
    "source_stale",
    "source_back",
    "guard_level",
    "error",
]
KINDS: tuple[EventKind, ...] = get_args(EventKind)
Event = dict[str, Any]


class Events:
    """Write the log of one folder, at most one writer at a time; any thread may write.

    `seq` rises strictly, over restarts too. A line that a kill tore is cut off at the start. At
    `rotate_bytes` the file becomes `events.1.jsonl`, that one `events.2.jsonl`, and so on; ten stay.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rotate_bytes: int = ROTATE_BYTES,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._rotate_bytes = rotate_bytes
        self._on_event = on_event
        self._lock = threading.Lock()
        _cut_torn_line(folder / EVENTS)
        self._last = last_seq(folder)

    @property
    def path(self) -> Path:
        """The file that is written to."""
        return self._folder / EVENTS

    def write(
        self,
        kind: EventKind,
        config: str | None = None,
        cycle: int | None = None,
        job: str | None = None,
        **data: Any,
    ) -> Event:
        """Append one event with one write, tell `on_event` and return it.

        A disk that takes nothing loses the event and does not end the loop.
        """
        with self._lock:
            self._last += 1
            event = {
                "seq": self._last,
                "at": utc(time.time()),
                "kind": kind,
                "config": config,
                "cycle": cycle,
                "job": job,
                "data": finite(data),
            }
            try:
                self._append(event)
            except OSError as error:
                log.warning("event not written", path=str(self.path), error=str(error))
        log.debug(kind, config=config, cycle=cycle, job=job, **data)
        self._on_event(event)
        return event

    def _append(self, event: Event) -> None:
        line = json.dumps(event, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        handle = os.open(self.path, flags, 0o644)
        try:
            if os.fstat(handle).st_size >= self._rotate_bytes:
                os.close(handle)
                _rotate(self._folder)
                handle = os.open(self.path, flags, 0o644)
            os.write(handle, line)
        finally:
            os.close(handle)


def read_events(
    folder: Path,
    *,
    since: float | None = None,
    kinds: Collection[str] = (),
    config: str | None = None,
) -> Iterator[Event]:
    """Yield the whole events of a folder in order; `since` is in Unix seconds.

    `kinds` and `config` are those wanted, all where nothing is named.
    """
    for path in _files(folder):
        try:
            handle = path.open("rb")
        except FileNotFoundError:
            continue
        with handle:
            for line in handle:
                event = _event_of(line)
                if event is not None and _wanted(event, since, kinds, config):
                    yield event


def follow_events(
    folder: Path,
    stop: Callable[[], bool],
    *,
    after: int = 0,
    kinds: Collection[str] = (),
    config: str | None = None,
) -> Iterator[Event]:
    """Yield events above the number `after` as they come, until `stop`."""
    seen, path = after, folder / EVENTS
    place, file = 0, _identity(path)
    while True:
        ended = stop()
        now = _identity(path)
        if now != file:  # rotated, deleted or new: what was missed stands in the older files
            place, file = 0, now
            events = list(read_events(folder))
        else:
            events, place = _new_events(path, place)
        for event in events:
            if event["seq"] > seen:
                seen = event["seq"]
                if _wanted(event, None, kinds, config):
                    yield event
        if ended:
            return
        time.sleep(LOOK_EVERY_S)


def last_seq(folder: Path) -> int:
    """Return the number of the newest event, 0 where there is none."""
    for path in reversed(_files(folder)):
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - TAIL_BYTES))
            events = [event for line in handle if (event := _event_of(line)) is not None]
        if events:
            return max(int(event["seq"]) for event in events)
    return 0


def finite(value: Any) -> Any:
    """Return plain data for JSON: a number that is not finite is unknown."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def utc(seconds: float) -> str:
    """Return Unix seconds as ISO 8601 with milliseconds and `Z`."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(at: str) -> float:
    """Return the Unix seconds of such a text."""
    return datetime.fromisoformat(at).timestamp()


def _files(folder: Path) -> list[Path]:
    """Return the files of a log, oldest first."""
    rotated = [folder / _numbered(number) for number in range(KEEP_FILES - 1, 0, -1)]
    return [path for path in (*rotated, folder / EVENTS) if path.is_file()]


def _numbered(number: int) -> str:
    return f"events.{number}.jsonl"


def _rotate(folder: Path) -> None:
    names = [EVENTS, *(_numbered(number) for number in range(1, KEEP_FILES))]
    for source, target in reversed(list(itertools.pairwise(names))):
        if (folder / source).exists():
            (folder / source).replace(folder / target)


def _event_of(line: bytes) -> Event | None:
    """Read a line; a torn or foreign one is None."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if isinstance(event, dict) and isinstance(event.get("seq"), int) and "kind" in event:
        return event
    return None


def _wanted(event: Event, since: float | None, kinds: Collection[str], config: str | None) -> bool:
    return (
        (not kinds or event["kind"] in kinds)
        and (config is None or event["config"] in (config, None))
        and (since is None or seconds_of(event["at"]) >= since)
    )


def _cut_torn_line(path: Path) -> None:
    if not path.is_file():
        return
    with path.open("rb+") as handle:
        size = handle.seek(0, os.SEEK_END)
        start = max(0, size - TAIL_BYTES)
        handle.seek(start)
        tail = handle.read()
        if tail and not tail.endswith(b"\n"):
            handle.truncate(start + tail.rfind(b"\n") + 1)


def _identity(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _new_events(path: Path, place: int) -> tuple[list[Event], int]:
    """Return the whole events from a byte on, and the byte after them."""
    try:
        with path.open("rb") as handle:
            handle.seek(place)
            data = handle.read()
    except FileNotFoundError:
        return [], 0
    whole = data[: data.rfind(b"\n") + 1]
    events = [event for line in whole.splitlines() if (event := _event_of(line)) is not None]
    return events, place + len(whole)
