"""What a study came to, as one file in its folder, for people and for the loop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic
from ringrift.core.ids import canonical_json

if TYPE_CHECKING:
    from ringrift.tuning.hp.tune import Tuned

REPORT = "report.json"


def study_folder(runs: Path, config: str, kind: str) -> Path:
    """Return the folder of the studies of a configuration and kind of net."""
    return runs / "hp" / f"{config}-{kind}"


def report_of(
    tuned: Tuned, present: Mapping[str, Any], *, config: str, kind: str, folder: Path, dataset: str
) -> dict[str, Any]:
    """Return the plain data of a study; losses are validation losses in nats."""
    best, games = tuned.study.best, tuned.contest
    return {
        "config": config,
        "kind": kind,
        "folder": str(folder),
        "study": tuned.study.name,
        "dataset": dataset,
        "complete": tuned.study.complete,
        "interrupted": tuned.interrupted,
        "trials": [asdict(one) for one in tuned.study.trials],
        "present": dict(present),
        "best": None if best is None else asdict(best),
        "confirmation": None if tuned.confirmation is None else tuned.confirmation.as_dict(),
        "contest": None if games is None else games.as_dict(),
        "written": tuned.entry is not None,
        "confidence": None if tuned.entry is None else tuned.entry.confidence,
        "outcome": outcome_of(tuned),
    }


def outcome_of(tuned: Tuned) -> str:
    """Return in words what became of the best set, and why."""
    sides, games = tuned.confirmation, tuned.contest
    if sides is None:
        if tuned.interrupted:
            return "interrupted"
        words = "the present set is the best"
        if tuned.entry is None:
            return f"{words}; nothing written"
        return (
            f"{words}; confidence {tuned.entry.confidence} after {tuned.entry.tuning_trials} trials"
        )
    words = f"gain {sides.gain:.4f} over 3 seeds, which differ by up to {sides.spread:.4f}"
    if games is not None:
        score = "unknown" if games.score is None else f"{games.score:.3f}"
        words += f"; score {score} in {games.games} games"
        words += f", test {games.verdict or 'unfinished'}" if games.tested else ""
    if tuned.interrupted:
        return f"{words}; interrupted"
    if tuned.entry is None:
        return f"{words}: nothing written"
    return f"{words}: written, confidence {tuned.entry.confidence}"


def write_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Replace the report of a folder whole."""
    write_atomic(folder / REPORT, canonical_json(dict(report)) + b"\n")


def read_report(folder: Path) -> dict[str, Any] | None:
    """Return the newest report of a folder, None where there is none; raises `DataError`."""
    path = folder / REPORT
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=str(path)) from error
    if not isinstance(found, dict):
        raise DataError(f"found {type(found).__name__}; expected an object", where=str(path))
    return found
