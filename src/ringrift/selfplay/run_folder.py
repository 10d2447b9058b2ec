"""The folder of a run: header, checkpoint, summary, anomalies, games (selfplay.md 1, 2).

    header.json      what decides the games, with versions and settings; written once
    checkpoint.json  what is durable outside the journal: indices, tally, size of the JSON lines
    summary.json     the end of the run so far
    games.jsonl      where asked
    anomalies/       one reproducer per breach

A run goes on only in a folder whose header has the same key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError, RefusedError, UsageError
from ringrift.core.files import lock, remove_partial, write_atomic

HEADER, CHECKPOINT, SUMMARY = "header.json", "checkpoint.json", "summary.json"
GAMES, ANOMALIES = "games.jsonl", "anomalies"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run on disk."""

    path: Path

    @property
    def started(self) -> bool:
        """Whether a run has begun here."""
        return (self.path / HEADER).is_file()

    @property
    def header(self) -> dict[str, Any]:
        """The header; raises `DataError` where there is none or it is damaged."""
        return read_object(self.path / HEADER, "run", "key", "plan")

    @property
    def run(self) -> str:
        """Name of the run, as its games say it."""
        return str(self.header["run"])

    @property
    def checkpoint(self) -> dict[str, Any] | None:
        """The last checkpoint, None before the first."""
        path = self.path / CHECKPOINT
        return read_object(path, "done", "tally", "jsonl_bytes") if path.is_file() else None

    @property
    def summary(self) -> Path:
        """File of the summary."""
        return self.path / SUMMARY

    @property
    def anomalies(self) -> Path:
        """Folder of the reproducers."""
        return self.path / ANOMALIES

    def begin(self, header: Mapping[str, Any]) -> None:
        """Make the folder and write the header."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / HEADER, header)

    def go_on(self, key: str, plan: Mapping[str, Any]) -> None:
        """Check that the run here has the same key; raises `RefusedError` naming what differs."""
        header = self.header
        if header["key"] == key:
            return
        differing = [name for name in plan if header["plan"].get(name) != plan[name]]
        name = differing[0] if differing else "key"
        found, wanted = header["plan"].get(name), plan.get(name)
        raise RefusedError(
            f"the run here has another {name}: {_short(found)}; asked for {_short(wanted)}",
            where=f"{self.path / HEADER} plan.{name}",
            hint="the options it was begun with, or another --output-dir",
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others out while the block runs; `BusyError` names who is in."""
        with lock(self.path / ".run.lock", what="self-play run"):
            remove_partial(self.path)
            yield


def choose_folder(base: Path, key: str, *, resume: bool, named: bool) -> RunFolder:
    """Return the folder of a run: `base`, or beside it where another run stands there.

    With `resume` it is the newest run of `key`; a `named` folder is taken as it is. Without, a
    folder that holds a run gets a neighbour with a number, so that nothing is overwritten.
    """
    places = [base, *(base.with_name(f"{base.name}-{n}") for n in range(2, 10_000))]
    if resume:
        if named:
            if not RunFolder(base).started:
                raise UsageError("no run to resume", where=str(base), hint="leaving --resume out")
            return RunFolder(base)
        found = None
        for place in places:
            if not RunFolder(place).started:
                break
            if RunFolder(place).header["key"] == key:
                found = RunFolder(place)
        if found is None:
            raise UsageError(
                "no run with these options and seed to resume", where=str(base),
                hint="--output-dir of the run, or leaving --resume out",
            )  # fmt: skip
        return found
    return RunFolder(next(place for place in places if not RunFolder(place).started))


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON, whole or not at all."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(path, f"{text}\n".encode())


def read_object(path: Path, *fields: str) -> dict[str, Any]:
    """Read a JSON object of ours that has `fields`; raises `DataError` naming file and field."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path)) from None
    if not isinstance(found, dict):
        raise DataError("found no object", where=str(path))
    for name in fields:
        if name not in found:
            raise DataError(f"the field {name!r} is missing", where=str(path))
    return found


def ranges_of(indices: Iterable[int]) -> list[list[int]]:
    """Write a set of indices as ascending [first, last] pairs."""
    found: list[list[int]] = []
    for index in sorted(indices):
        if found and found[-1][1] == index - 1:
            found[-1][1] = index
        else:
            found.append([index, index])
    return found


def indices_of(ranges: Iterable[Iterable[int]]) -> set[int]:
    """Read what `ranges_of` wrote."""
    return {index for first, last in ranges for index in range(first, last + 1)}


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
