"""The folder of a run: settings, events, tables; and which run goes on (`runs/<config>/<run>/`).

A run is named `<key>-<number>`: the key says what it does (`plan.LoopPlan.key`), the number counts
runs with equal settings. It is finished once `report.json` is there. Nothing in the folder but the
training reports decides what the loop does next: that follows from games, models and decisions.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from ringrift.core.errors import DataError, UsageError
from ringrift.core.files import remove_partial, write_atomic
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = get_logger(__name__)

SETTINGS, EVENTS, REPORT = "settings.json", "events.jsonl", "report.json"
Resume = Literal["auto", "resume", "fresh"]


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(path, text.encode() + b"\n")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file of ours; `None` if it is not there."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=str(path)) from error


@dataclass(slots=True)
class Run:
    """One run on disk."""

    folder: Path
    resumed: bool = False
    _events: Events | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """Name of the run."""
        return self.folder.name

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return (self.folder / REPORT).is_file()

    def generation(self, number: int) -> Path:
        """Return the folder of a generation, counted from 1."""
        return self.folder / f"generation-{number:02d}"

    def games_name(self, number: int) -> str:
        """Return the `run` under which the games of a generation stand in the store."""
        return f"{self.id}/g{number:02d}"

    @property
    def events(self) -> Events:
        """The event log."""
        if self._events is None:
            self._events = Events(self.folder / EVENTS)
        return self._events


def choose_run(folder: Path, key: str, mode: Resume) -> Run:
    """Return the run to go on with, or a new one, in `runs/<config>`.

    `auto` resumes an unfinished run of the key and begins a new one otherwise, `resume` refuses to
    begin, `fresh` always begins. The folder of a new run is not made yet.
    """
    pattern = re.compile(re.escape(key) + r"-(\d+)")
    numbers = [
        int(match[1])
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (match := pattern.fullmatch(path.name))
    ]
    last = max(numbers, default=0)
    if last and mode != "fresh":
        run = Run(folder / f"{key}-{last}", resumed=True)
        if not run.finished:
            return run
    if mode == "resume":
        raise UsageError(
            f"no unfinished run with these settings and seed in {folder}",
            where="--resume",
            hint="leaving --resume out",
        )
    return Run(folder / f"{key}-{last + 1}")


def open_run(run: Run, record: Mapping[str, Any]) -> None:
    """Make the folder of a run and write its settings, once; tidy up after a killed run."""
    run.folder.mkdir(parents=True, exist_ok=True)
    remove_partial(run.folder)
    if not (run.folder / SETTINGS).exists():
        write_json(run.folder / SETTINGS, record)


class Events:
    """Append what happens to `events.jsonl`; `seq` rises strictly, over restarts too.

    The log informs people and plots. No decision is taken from it.
    """

    __slots__ = ("_next", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = self._last() + 1
        self._cut_torn_line()

    def write(
        self, kind: str, *, config: str, cycle: int | None = None, **data: Any
    ) -> dict[str, Any]:
        """Append one event with one write and return it."""
        event = {
            "seq": self._next,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "kind": kind,
            "config": config,
            "cycle": cycle,
            "job": None,
            "data": data,
        }
        line = json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n"
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)
        self._next += 1
        log.debug(kind, config=config, cycle=cycle, **data)
        return event

    def read(self) -> list[dict[str, Any]]:
        """Return all whole events."""
        if not self._path.exists():
            return []
        found = []
        for line in self._path.read_bytes().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:  # the torn last line of a killed process
                continue
        return found

    def stage_seconds(self, cycle: int) -> dict[str, float]:
        """Return the working time of a generation's stages, over all sessions that ended whole."""
        found: dict[str, float] = {}
        for event in self.read():
            if event["cycle"] == cycle and event["kind"] == "stage_ended":
                stage = str(event["data"]["stage"])
                found[stage] = found.get(stage, 0.0) + float(event["data"]["seconds"])
        return found

    def _last(self) -> int:
        return max((event["seq"] for event in self.read()), default=0)

    def _cut_torn_line(self) -> None:
        if not self._path.exists():
            return
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            write_atomic(self._path, whole)


class Clock:
    """Measure one stage."""

    __slots__ = ("_started_s",)

    def __init__(self) -> None:
        self._started_s = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start, to milliseconds."""
        return round(time.monotonic() - self._started_s, 3)
