"""Correct one file of JSON lines: judge every line, write it anew beside, keep the old bytes.

The order of effects makes a kill harmless: quarantine files, then the backup, then the new file in
place of the old one. Whoever runs it again finds the same lines and writes the same files.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import secrets
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import zstandard

from ringrift.core.errors import DataError
from ringrift.core.files import PARTIAL_SUFFIX, sync_folder, write_atomic
from ringrift.data.jsonl_fixing.busy import busy
from ringrift.data.jsonl_fixing.judge import Judge, Judged
from ringrift.data.jsonl_fixing.splice import with_fields
from ringrift.records.jsonl import MOST_LINE_BYTES
from ringrift.records.packed import UNPACK_ERRORS, complaint_of, unpacked

EXAMPLES = 20
"""Changes and lines taken out that a report names one by one, for each file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixOptions:
    """What to do with a file; without any of these it is only looked at."""

    correct: bool = False
    """write what the replay says into lines that say something else"""
    clean: bool = False
    """take out the lines that no one can learn from"""
    quarantine: Path | None = None
    """folder that gets the bytes of such lines, by reason"""
    dry_run: bool = False


@dataclass(slots=True, kw_only=True)
class FileReport:
    """What became of one file; `skipped` says why it was left alone, `backup` names the old bytes.

    `corrected` counts changes by field, `out` lines by reason, whether taken out or only found.
    """

    file: Path
    lines: int = 0
    corrected: Counter[str] = field(default_factory=Counter)
    out: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)
    changed: bool = False
    backup: Path | None = None
    skipped: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "file": str(self.file),
            "lines": self.lines,
            "corrected": dict(self.corrected),
            "quarantinable": dict(self.out),
            "examples": self.examples,
            "changed": self.changed,
            "backup": None if self.backup is None else str(self.backup),
            "skipped": self.skipped,
        }


def fix_file(
    path: Path, options: FixOptions, *, on_line: Callable[[], None] = lambda: None
) -> FileReport:
    """Correct and clean one file of JSON lines, compressed or not; a file in use is skipped.

    Raises `DataError` for a file that cannot be read.
    """
    report = FileReport(file=path)
    try:
        before = path.stat()
        in_use = busy(path)
        if in_use is not None:
            report.skipped = in_use.why
            return report
        with _partial_of(path) as written:
            told: dict[str, _Bin] = defaultdict(_Bin)
            with path.open("rb") as raw, _sink(written, raw, write=not options.dry_run) as sink:
                for number, line, judged in _judged(path, raw):
                    report.lines += bool(line.strip())
                    kept = _kept(line, number, judged, options, report)
                    if judged.reason is not None and options.quarantine is not None:
                        told[judged.reason].take(number, line, judged)
                    if kept is not None:
                        sink.write(kept)
                    on_line()
            if options.dry_run:
                return report
            _finish(path, before, written, told, options, report)
    except UNPACK_ERRORS as error:
        report.skipped = complaint_of(error).detail
    except _TooLong as error:
        report.skipped = str(error)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    return report


class _Bin:
    """The lines of one reason: their bytes, on disk once they are many, and why each is here."""

    def __init__(self) -> None:
        self.bytes = tempfile.SpooledTemporaryFile(max_size=MOST_LINE_BYTES)  # noqa: SIM115 (see `_quarantine`)
        self.lines: list[dict[str, Any]] = []

    def take(self, number: int, line: bytes, judged: Judged) -> None:
        """Add a line."""
        self.bytes.write(line if line.endswith(b"\n") else line + b"\n")
        self.lines.append({"line": number, "ply": judged.ply, "detail": judged.detail})


class _TooLong(Exception):
    pass


# --- line by line


def _judged(path: Path, raw: IO[bytes]) -> Iterator[tuple[int, bytes, Judged]]:
    """Yield number, bytes with line end, and judgement of every line; empty ones are sound."""
    judge = Judge(str(path))
    file = unpacked(raw)
    number = 0
    while line := file.readline(MOST_LINE_BYTES + 1):
        number += 1
        if len(line) > MOST_LINE_BYTES:
            raise _TooLong(f"line {number} has more than {MOST_LINE_BYTES} bytes")
        bare = line.strip()
        yield number, line, judge.line(number, bare) if bare else Judged()


def _kept(
    line: bytes, number: int, judged: Judged, options: FixOptions, report: FileReport
) -> bytes | None:
    """Return what stands in the new file for a line; counts it in the report."""
    example: dict[str, Any] = {"line": number}
    if judged.reason is not None:
        report.out[judged.reason] += 1
        example |= {"reason": judged.reason, "detail": judged.detail, "ply": judged.ply}
    elif judged.changes:
        report.corrected.update(change.field for change in judged.changes)
        example["changes"] = [
            {"field": change.field, "found": change.found, "replayed": change.replayed}
            for change in judged.changes
        ]
    else:
        return line
    if len(report.examples) < EXAMPLES:
        report.examples.append(example)
    if judged.reason is not None:
        report.changed |= options.clean
        return None if options.clean else line
    if not options.correct:
        return line
    report.changed = True
    values = {change.field: change.replayed for change in judged.changes}
    return with_fields(line.decode(), values).encode()


# --- the files


@contextmanager
def _partial_of(path: Path) -> Iterator[Path]:
    written = path.with_name(f".{path.name}.{secrets.token_hex(6)}{PARTIAL_SUFFIX}")
    try:
        yield written
    finally:
        written.unlink(missing_ok=True)


@contextmanager
def _sink(written: Path, raw: IO[bytes], *, write: bool) -> Iterator[IO[bytes]]:
    """Open the new file, packed as the old one is; without `write` nothing is kept."""
    if not write:
        yield cast("IO[bytes]", _Nowhere())
        return
    start = raw.read(4)
    raw.seek(0)
    with written.open("xb") as file:
        if start[:2] == b"\x1f\x8b":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                yield cast("IO[bytes]", packed)
        elif start == b"\x28\xb5\x2f\xfd":
            with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as packed_zstd:
                yield cast("IO[bytes]", packed_zstd)
        else:
            yield file
        file.flush()
        os.fsync(file.fileno())


class _Nowhere(io.RawIOBase):
    def write(self, data: Any, /) -> int:
        return len(data)


def _finish(
    path: Path,
    before: os.stat_result,
    written: Path,
    told: dict[str, _Bin],
    options: FixOptions,
    report: FileReport,
) -> None:
    """Put the lines taken out, the backup and the new file where they belong."""
    digest = _sha256(path)
    now = path.stat()
    if _state(now) != _state(before):
        report.changed, report.skipped = False, "it changed while it was read"
        return
    if options.quarantine is not None and told:
        _quarantine(path, digest, told, options.quarantine)
    if not report.changed:
        return
    in_use = busy(path)
    if in_use is not None:
        report.changed, report.skipped = False, in_use.why
        return
    report.backup = _backup(path, digest)
    # Filters by the age of files mean when the games were made.
    os.utime(written, ns=(now.st_atime_ns, now.st_mtime_ns))
    written.chmod(now.st_mode & 0o777)
    written.replace(path)
    sync_folder(path.parent)


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _backup(path: Path, digest: str) -> Path:
    """Keep the old bytes as `NAME.bak-<sha8>`; a copy where the file system knows no links."""
    backup = path.with_name(f"{path.name}.bak-{digest[:8]}")
    if backup.exists() and _sha256(backup) == digest:
        return backup
    backup.unlink(missing_ok=True)
    try:
        os.link(path, backup)
    except OSError:
        with path.open("rb") as old:
            write_atomic(backup, lambda file: shutil.copyfileobj(old, file))
    sync_folder(path.parent)
    return backup


def _quarantine(path: Path, digest: str, told: dict[str, _Bin], folder: Path) -> None:
    """Write `FOLDER/<reason>/NAME-<sha8>.jsonl` and, beside, where each line stood and why."""
    stem = f"{path.name.split('.jsonl')[0]}-{digest[:8]}"
    for reason, found in told.items():
        place = folder / reason
        place.mkdir(parents=True, exist_ok=True)
        why = {"source": str(path), "sha256": digest, "reason": reason, "lines": found.lines}
        write_atomic(place / f"{stem}.json", json.dumps(why, indent=1).encode() + b"\n")
        found.bytes.seek(0)
        write_atomic(place / f"{stem}.jsonl", partial(shutil.copyfileobj, found.bytes))
        found.bytes.close()
