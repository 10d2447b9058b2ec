"""The checks `environment` and `resources`."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires
from pathlib import Path

from ringrift.core.errors import DataError, RefusedError
from ringrift.core.limits import Resource, State, judge
from ringrift.core.readings import GIB
from ringrift.core.version_ranges import requirements, satisfies
from ringrift.core.versions import installed
from ringrift.data.reading import reading
from ringrift.rules.codec import layout_hash
from ringrift.training.preflight.model import Check, Context, Part, of_parts

LOOKED_AT = ("torch", "numba")
NEWEST_GAMES = 1_000
"""Games whose rules hash is compared; the store check replays others."""
DATASET_ROOM = 3
"""Free disk, in sizes of the dataset."""


def check_environment(context: Context) -> Check:
    """Compare Python, torch and numba with what the package requires, and the rules with the store's."""
    return of_parts(
        "environment",
        [*_versions(), *_rules(context)],
        limit=", ".join(f"{name} {wanted}" for name, wanted in _wanted().items()),
    )


def _wanted() -> dict[str, str]:
    try:
        python = metadata("ringrift")["Requires-Python"]
        wanted = dict(requirements(requires("ringrift") or ()))
    except PackageNotFoundError:  # run from a source tree
        return {}
    return {"Python": python, **{name: wanted.get(name, "") for name in LOOKED_AT}}


def _versions() -> Iterator[Part]:
    have = {"Python": ".".join(map(str, sys.version_info[:3]))}
    have |= {name: installed(name) or "none" for name in LOOKED_AT}
    for name, wanted in _wanted().items():
        if not satisfies(have[name], wanted):
            yield Part("FAIL", f"{name} {have[name]}", f"pip install '{name.lower()}{wanted}'")
    yield Part("ok", ", ".join(f"{name} {version}" for name, version in have.items()))


def _rules(context: Context) -> Iterator[Part]:
    others: set[str] = set()
    for path in context.sound:
        try:
            with reading(path) as connection:
                rows = connection.execute(
                    "SELECT DISTINCT rules_hash FROM"
                    " (SELECT rules_hash FROM trainable ORDER BY seq DESC LIMIT ?)",
                    (NEWEST_GAMES,),
                )
                others |= {row[0] for row in rows} - {layout_hash}
        except (DataError, RefusedError, sqlite3.DatabaseError):
            continue  # what the store check is about
    if others:
        told = ", ".join(sorted(h[:12] for h in others))
        yield Part(
            "FAIL",
            f"games of rules {told}; these are {layout_hash[:12]}",
            "ringrift data pool --recheck-existing",
        )


def check_resources(context: Context) -> Check:
    """Judge disk, memory and GPU memory by the limits, and the free disk by the datasets."""
    verdicts = [
        verdict
        for verdict in judge(context.read(context.root), context.limits)
        if verdict.resource in (Resource.DISK, Resource.MEMORY, Resource.GPU)
    ]
    parts = []
    for verdict in verdicts:
        remedy = f"freeing some, or {verdict.key}"
        if verdict.state is State.CRITICAL:
            parts.append(Part("FAIL", verdict.reason, remedy))
        elif verdict.state is State.WARNING:
            parts.append(Part("warn", verdict.reason, remedy))
        else:
            parts.append(Part("ok", verdict.reason))
    disk = next((v.space for v in verdicts if v.resource is Resource.DISK), None)
    size = max((_size(d.folder) for d in context.datasets), default=0)
    if disk is not None and disk.available_bytes < DATASET_ROOM * size:
        found = f"{disk.available_bytes / GIB:.1f} GB free for a dataset of {size / GIB:.1f} GB"
        parts.append(Part("FAIL", found, "a larger disk"))
    limits = context.limits
    return of_parts(
        "resources",
        parts,
        limit=f"disk {limits.disk_critical:g} %, memory {limits.memory_critical:g} %, "
        f"GPU {limits.gpu_critical:g} %, {DATASET_ROOM} x the dataset free",
    )


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.glob("*.npz")
    return sum(file.stat().st_size for file in files if file.is_file())
