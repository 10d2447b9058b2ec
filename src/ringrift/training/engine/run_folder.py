"""The folder of a run: what was asked for, what happened, and one trainer at a time (training.md 6)."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ringrift.core.errors import DataError, UsageError
from ringrift.core.files import lock, write_atomic
from ringrift.core.log import get_logger
from ringrift.core.versions import versions

if TYPE_CHECKING:
    from ringrift.training.engine.settings import TrainSettings

SCHEMA = 1
CONFIG, DATASET, METRICS, LOG = "config.json", "dataset.json", "metrics.jsonl", "train.log"
CHECKPOINTS, BEST, REPORT = "checkpoint", "best", "report.json"
FREE_SETTINGS = frozenset(("num_workers", "streaming"))
"""Settings that change no weight: a run may go on with others."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """What a run trains and with what.

    `net` names the net and what it starts from (`kind`, `config`, `size`, `parent`, ...); `dataset`
    is the manifest, with its `id`; `origins` says where a setting comes from, `default` unless
    named; `extra` is told in `config.json` and never compared (commit, command line).
    """

    settings: TrainSettings
    net: Mapping[str, Any]
    dataset: Mapping[str, Any]
    origins: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def tree(self) -> dict[str, Any]:
        """Return what `config.json` says."""
        values = asdict(self.settings)
        return {
            "schema": SCHEMA,
            "net": dict(self.net),
            "settings": {
                name: {"value": value, "origin": self.origins.get(name, "default")}
                for name, value in values.items()
            },
            "dataset": self.dataset["id"],
            "versions": versions(),
            "host": socket.gethostname(),
            "device": _device_name(self.settings.device),
            "started": _now(),
            **self.extra,
        }


@dataclass(slots=True)
class RunFolder:
    """A run's folder while this process has it; get it from `open_run`."""

    path: Path
    config: RunConfig
    _metrics: IO[bytes]

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.path.name

    def note(self, text: str, *, warning: bool = False) -> None:
        """Add a line to `train.log`."""
        (log.warning if warning else log.debug)(text, run=self.name)
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(f"{_now()} {'warning: ' if warning else ''}{text}\n")

    def metric(self, line: Mapping[str, Any]) -> None:
        """Add a line to `metrics.jsonl`."""
        self._metrics.write(json.dumps(dict(line), allow_nan=False).encode() + b"\n")
        self._metrics.flush()

    def cut_metrics(self, step: int) -> None:
        """Drop the lines beyond a step: they will be written again."""
        path = self.path / METRICS
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if line.endswith(b"\n") and json.loads(line)["step"] <= step]
        self._metrics.close()
        write_atomic(path, b"".join(kept))
        self._metrics = path.open("ab")

    def close(self) -> None:
        """Close the files."""
        self._metrics.close()


@contextmanager
def open_run(path: Path, config: RunConfig, *, fresh: bool = False) -> Iterator[RunFolder]:
    """Hold a run's folder; `config.json` and `dataset.json` are there when the block begins.

    A folder of the same settings, net and dataset is continued. Raises `UsageError` listing the
    differences where it has others, unless `fresh`, which drops what the run had; `BusyError` while
    another process trains in it; `DataError` for a damaged `config.json`.
    """
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    with lock(path / ".lock", what="the training run"):
        if fresh:
            _clear(path)
        tree = config.tree()
        before = _read(path / CONFIG)
        if before is None:
            _clear(path)
            write_json(path / DATASET, dict(config.dataset))
            write_json(path / CONFIG, tree)
        elif differences := _differences(before, tree):
            raise UsageError(
                "the run was begun with other values: " + "; ".join(differences),
                where=str(path),
                hint="--fresh, or another --run-dir",
            )
        run = RunFolder(path, config, (path / METRICS).open("ab"))
        try:
            if before is not None and before.get("versions") != tree["versions"]:
                run.note(
                    f"begun with versions {before.get('versions')}, now {tree['versions']}",
                    warning=True,
                )
            yield run
        finally:
            run.close()


def write_json(path: Path, tree: Mapping[str, Any]) -> None:
    """Write an object as JSON, whole."""
    text = json.dumps(tree, indent=1, sort_keys=True, allow_nan=False)
    write_atomic(path, text.encode() + b"\n")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        tree = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"no JSON: {error}", where=str(path), hint="--fresh") from None
    if not isinstance(tree, dict) or tree.get("schema") != SCHEMA:
        raise DataError(f"no run of schema {SCHEMA}", where=str(path), hint="--fresh")
    return tree


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say where two configs would not train the same."""
    old, new = _compared(before), _compared(now)
    return [
        f"{name} {old.get(name)!r}, now {new.get(name)!r}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _compared(tree: Mapping[str, Any]) -> dict[str, Any]:
    settings = {
        name: entry["value"]
        for name, entry in tree["settings"].items()
        if name not in FREE_SETTINGS
    }
    plain: dict[str, Any] = json.loads(json.dumps({**tree["net"], **settings}))
    return {**plain, "dataset": tree["dataset"]}


def _clear(path: Path) -> None:
    """Remove the files of a run, and nothing else, from its folder."""
    for name in (CHECKPOINTS, BEST):
        shutil.rmtree(path / name, ignore_errors=True)
    curves = ("curves.png", "curves.svg")
    for name in (CONFIG, DATASET, METRICS, LOG, REPORT, *curves):
        (path / name).unlink(missing_ok=True)
    for report in path.glob("*_training_report.json"):
        report.unlink()


def _device_name(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
