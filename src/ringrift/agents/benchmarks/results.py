"""What a benchmark leaves behind: figures with their samples, and append-only lines of JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median
from typing import Any, Literal, get_args

from ringrift.core.errors import DataError, UsageError

Better = Literal["higher", "lower"]
Statistic = Literal["median", "mean"]
GateStatus = Literal["passed", "failed", "not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured quantity: its `samples`, one per repeat or game, and how they are summed up."""

    case: str
    name: str
    unit: str
    samples: tuple[float, ...]
    better: Better = "higher"
    statistic: Statistic = "median"

    @property
    def value(self) -> float:
        """Median or mean of the samples."""
        return float((median if self.statistic == "median" else mean)(self.samples))

    def spread(self) -> dict[str, float]:
        """Return the value with the least and the greatest sample."""
        return {"median": self.value, "min": min(self.samples), "max": max(self.samples)}

    def as_tree(self) -> dict[str, Any]:
        """Return the figure as it is stored."""
        return {
            "case": self.case,
            "name": self.name,
            "unit": self.unit,
            "better": self.better,
            "statistic": self.statistic,
            "value": self.value,
            "samples": list(self.samples),
        }

    @classmethod
    def of_tree(cls, tree: Any, where: str) -> Figure:
        """Read a stored figure; raises `DataError` naming what is wrong with it."""
        if not isinstance(tree, Mapping):
            raise DataError(f"found {tree!r:.60}; expected a figure", where=where)
        for name in ("case", "name", "unit"):
            if not isinstance(tree.get(name), str):
                raise DataError(f"{name} is {tree.get(name)!r:.60}; expected a text", where=where)
        for name, known in (("better", get_args(Better)), ("statistic", get_args(Statistic))):
            if tree.get(name) not in known:
                raise DataError(
                    f"{name} is {tree.get(name)!r:.60}; expected {' or '.join(known)}", where=where
                )
        samples = tree.get("samples")
        if (
            not isinstance(samples, list)
            or not samples
            or not all(isinstance(x, int | float) and not isinstance(x, bool) for x in samples)
        ):
            raise DataError(f"samples are {samples!r:.60}; expected numbers", where=where)
        return cls(
            case=tree["case"],
            name=tree["name"],
            unit=tree["unit"],
            samples=tuple(float(x) for x in samples),
            better=tree["better"],
            statistic=tree["statistic"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One demand of a gate: `found` must be at least (`most`: at most) `wanted`."""

    case: str
    name: str
    unit: str
    found: float
    wanted: float
    most: bool = False

    @property
    def passed(self) -> bool:
        """Whether the demand is met."""
        return self.found <= self.wanted if self.most else self.found >= self.wanted

    def as_tree(self) -> dict[str, Any]:
        """Return the demand as it is stored."""
        return {
            "case": self.case,
            "name": self.name,
            "unit": self.unit,
            "found": self.found,
            "wanted": self.wanted,
            "most": self.most,
            "passed": self.passed,
        }


def gate_status(checks: Sequence[Check]) -> GateStatus:
    """Return whether all demands are met; `not run` where nothing was demanded."""
    if not checks:
        return "not run"
    return "passed" if all(check.passed for check in checks) else "failed"


def machine() -> dict[str, Any]:
    """Describe the machine and the compilers a figure was measured with."""
    import psutil

    model = platform.processor() or platform.machine()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        names = [
            line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    except OSError:
        pass  # not Linux: what the platform says stands
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return {
        "machine": {
            "cpu": model,
            "cores": len(cores) or os.cpu_count() or 1,
            "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
            "system": platform.platform(),
            "load": round(os.getloadavg()[0], 2),
        },
        "numba": version("numba"),
        "numpy": version("numpy"),
    }


def now() -> str:
    """Return the time as UTC ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


# --- lines


def append_line(path: Path, result: Mapping[str, Any]) -> None:
    """Append a result to a file of JSON lines, in one write; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = json.dumps(result, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":  # a writer was killed in mid-line
            data = b"\n" + data
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)


def read_result(reference: str) -> dict[str, Any]:
    """Return the result that `FILE` or `FILE@N` names: its last line, or line N (-1 the last).

    Raises `UsageError` for a file or line that is not there, `DataError` for one that is no result
    of a benchmark.
    """
    name, number = _split(reference)
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"no file {name!r}", hint="FILE or FILE@N, as runs/bench/engine.jsonl@-2")
    try:
        lines = [
            (k, line)
            for k, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if line.strip()
        ]
    except UnicodeDecodeError as error:
        raise DataError(f"not a file of JSON lines: {error}", where=name) from None
    place = number if number < 0 else number - 1
    if number == 0 or not -len(lines) <= place < len(lines):
        raise UsageError(f"{name} has {len(lines)} results, not one numbered {number}")
    at, line = lines[place]
    where = f"{name}:{at}"
    try:
        found = json.loads(line)
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=where) from None
    if not isinstance(found, dict) or not isinstance(found.get("figures"), list):
        raise DataError("no result of a benchmark: field figures is missing", where=where)
    return found


def figures_of(result: Mapping[str, Any], where: str) -> list[Figure]:
    """Read the figures of a stored result."""
    return [
        Figure.of_tree(tree, f"{where} figures[{k}]") for k, tree in enumerate(result["figures"])
    ]


def _split(reference: str) -> tuple[str, int]:
    name, mark, number = reference.rpartition("@")
    if not mark or Path(reference).is_file():
        return reference, -1
    digits = number.removeprefix("-")
    if not digits.isdigit():
        return reference, -1
    return name, int(number)
