"""Set bad model files aside, with a manifest, and bring them back (`models.md` 6).

One clean-up makes one folder `models/quarantine/<time>/` with `manifest.json` and the files under
their own paths. The manifest is on the disk before the first file moves.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ringrift.core.errors import DataError, RefusedError, UsageError
from ringrift.core.files import sync_folder, write_atomic
from ringrift.core.ids import MIN_PREFIX
from ringrift.models.validation.findings import USE, Finding
from ringrift.models.validation.scan import champions
from ringrift.nets.container import read_card

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringrift.models.validation.findings import Report

MANIFEST = "manifest.json"
Action = Literal["moved", "described", "kept", "fetched"]

_ID = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a clean-up does with one bad file, and why."""

    action: Action
    path: Path
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file in quarantine: where it was below the models folder, what was wrong, its bytes."""

    path: str
    code: str
    detail: str
    sha256: str
    size_bytes: int


def plan_cleanup(models: Path, report: Report) -> list[Step]:
    """Return what a clean-up does with each bad file.

    A champion that only another version can use is kept, for it may be the last good copy; a wrong
    description is written anew; everything else moves.
    """
    heads = set(champions(models).values())
    return [_step(finding, heads) for finding in report.bad if finding.is_file]


def clean_up(
    models: Path,
    steps: Sequence[Step],
    backup: Path,
    *,
    fetch: Callable[[str], bool] = lambda model_id: False,
) -> list[Step]:
    """Carry out a plan; return what was done.

    `fetch` brings a good copy of a model that was set aside, by its id, and says whether it could.
    """
    moving = [step for step in steps if step.action == "moved"]
    folder = _new_folder(backup) if moving else backup
    if moving:
        entries = [_entry(models, step) for step in moving]
        tree = {"at": _now(), "models": str(models), "files": [asdict(entry) for entry in entries]}
        write_atomic(folder / MANIFEST, json.dumps(tree, indent=1).encode() + b"\n")
    done = []
    for step in steps:
        if step.action == "moved":
            _move(step.path, folder / step.path.relative_to(models))
            found = step.path.stem
            if len(found) == 64 and fetch(found):
                step = Step(action="fetched", path=step.path, code=step.code, detail=step.detail)  # noqa: PLW2901
        elif step.action == "described":
            _describe(step.path)
        done.append(step)
    return done


def find_kept(models: Path, wanted: str, backup: Path) -> tuple[Path, Path, Entry] | None:
    """Return the newest file of an id, its first digits or its name, where it was, and its entry.

    None where none fits. Raises `UsageError` where several do, `DataError` for a damaged manifest.
    """
    fitting: dict[str, tuple[Path, Entry]] = {}
    for manifest in sorted(backup.glob(f"*/{MANIFEST}")):
        for entry in _entries(manifest):
            kept = manifest.parent / entry.path
            if kept.is_file() and _fits(entry.path, wanted):
                fitting[entry.path] = (kept, entry)
    if not fitting:
        return None
    if len(fitting) > 1:
        some = ", ".join(sorted(fitting)[:3])
        raise UsageError(f"{wanted!r} fits {len(fitting)} files in quarantine ({some})")
    ((kept, entry),) = fitting.values()
    return kept, models / entry.path, entry


def restore(models: Path, wanted: str, backup: Path) -> Path | None:
    """Bring a file back; None where none fits (`find_kept`).

    Raises `RefusedError` where a file stands in its place, `DataError` where it changed in
    quarantine.
    """
    found = find_kept(models, wanted, backup)
    if found is None:
        return None
    kept, target, entry = found
    if target.exists():
        raise RefusedError("a file stands in its place", where=str(target))
    if _sha256(kept) != entry.sha256:
        raise DataError("the file changed in quarantine", where=str(kept))
    _move(kept, target)
    return target


def _step(finding: Finding, heads: set[str]) -> Step:
    assert finding.path is not None
    action: Action = "moved"
    if finding.repair:
        action = "described"
    elif finding.code in USE and finding.model_id in heads:
        action = "kept"
    return Step(action=action, path=finding.path, code=finding.code, detail=finding.detail)


def _new_folder(backup: Path) -> Path:
    folder = backup / datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    folder.mkdir(parents=True)
    return folder


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)  # also to another file system
    sync_folder(target.parent)
    sync_folder(source.parent)


def _describe(path: Path) -> None:
    """Write the description beside a model anew, from the card inside it."""
    identity, card = read_card(path)
    made = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    described = {**card, "id": identity, "created_at": made, "host": None, "label": None}
    text = json.dumps(described, indent=1, sort_keys=True, allow_nan=False)
    write_atomic(path.with_suffix(".json"), text.encode())


def _entry(models: Path, step: Step) -> Entry:
    return Entry(
        path=step.path.relative_to(models).as_posix(),
        code=step.code,
        detail=step.detail,
        sha256=_sha256(step.path),
        size_bytes=step.path.stat().st_size,
    )


def _entries(manifest: Path) -> list[Entry]:
    try:
        return [Entry(**file) for file in json.loads(manifest.read_bytes())["files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"no manifest of a clean-up: {error}", where=str(manifest)) from None


def _fits(path: str, wanted: str) -> bool:
    name = path.rpartition("/")[2]
    digits = len(wanted) >= MIN_PREFIX and _ID.fullmatch(wanted) is not None
    return wanted in (path, name) or (digits and name.startswith(wanted))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
