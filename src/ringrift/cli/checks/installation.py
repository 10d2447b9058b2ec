"""Check Python, the packages, their files and SQLite (`core.md` 11)."""

from __future__ import annotations

import hashlib
import json
import re
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from ringrift.cli.checks.model import Check, Context, Finding, fail, ok, warn
from ringrift.core.version_ranges import requirements, satisfies

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PACKAGE = "ringrift"
LEAST_SQLITE = (3, 37)
"""STRICT tables"""
COMPILED_LIBRARIES = ("numba", "llvmlite", "numpy", "torch")
HASHING_S = 10.0
NAMED_AT_MOST = 4


def check_python(context: Context) -> Iterable[Finding]:
    """Compare the interpreter with what the package requires."""
    found = ".".join(str(part) for part in context.facts.python)
    try:
        wanted = context.facts.distribution(PACKAGE).metadata["Requires-Python"]
    except metadata.PackageNotFoundError:
        wanted = ">=3.11"
    if satisfies(found, wanted):
        yield ok("python", f"{found} ({wanted} wanted)")
    else:
        yield fail("python", f"{found}; {wanted} wanted", f"an environment with Python {wanted}")


def check_packages(context: Context) -> Iterable[Finding]:
    """Compare the versions of all packages with what the package requires."""
    try:
        requires = context.facts.distribution(PACKAGE).requires or []
    except metadata.PackageNotFoundError:
        yield fail("packages", f"{PACKAGE} is not installed", "pip install, in this environment")
        return
    wrong, lines = [], 0
    for name, wanted in requirements(requires):
        lines += 1
        found = context.facts.installed(name)
        if found is None:
            wrong.append((f"{name} is missing", f"'{name}{wanted}'"))
        elif not satisfies(found, wanted):
            wrong.append((f"{name} {found}, wanted {wanted}", f"'{name}{wanted}'"))
    if wrong:
        remedy = "pip install " + " ".join(wish for _, wish in wrong)
        yield fail("packages", named([what for what, _ in wrong]), remedy)
    else:
        yield ok("packages", f"{lines} packages as required")


def check_lock(context: Context) -> Iterable[Finding]:
    """Compare the installed versions with the lock of a checkout."""
    path = context.facts.constraints
    if path is None:
        yield ok("lock", "installed without a checkout: the required ranges hold, no lock")
        return
    pins = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    found = {name: context.facts.installed(name) for name, _ in pins}
    # A build of torch for one kind of device has a local part, which the lock leaves out.
    differ = [
        f"{name} {found[name]}, lock {pin}"
        for name, pin in pins
        if found[name] is not None and str(found[name]).partition("+")[0] != pin
    ]
    if differ:
        yield warn("lock", named(differ), f"pip install -c {path.name} -e {path.parent}")
    else:
        count = sum(version is not None for version in found.values())
        yield ok("lock", f"{count} packages as in {path.name}")


def check_wheel(context: Context) -> Iterable[Finding]:
    """Compare our own files with the RECORD of the wheel they came in."""
    try:
        distribution = context.facts.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        yield fail("wheel", f"{PACKAGE} is not installed", "pip install, in this environment")
        return
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        place = str(origin.get("url", "")).removeprefix("file://")
        yield ok("wheel", f"editable: the sources of {place} are run as they are")
        return
    result = verify([distribution], time.monotonic() + HASHING_S)
    if result.problems:
        remedy = f"pip install --force-reinstall {PACKAGE}=={distribution.version}"
        yield fail("wheel", named(result.problems), remedy)
    else:
        yield ok("wheel", f"{result.hashed} files as recorded")


def check_libraries(context: Context) -> Iterable[Finding]:
    """Compare the files of the compiled packages with their RECORDs, smallest first."""
    found = []
    for name in COMPILED_LIBRARIES:
        try:
            found.append(context.facts.distribution(name))
        except metadata.PackageNotFoundError:
            continue  # `packages` says so
    result = verify(found, time.monotonic() + HASHING_S)
    if result.problems:
        bad = " ".join(sorted(result.packages))
        yield fail(
            "libraries", named(result.problems), f"pip install --force-reinstall --no-deps {bad}"
        )
        return
    names = ", ".join(distribution.metadata["Name"] for distribution in found)
    rest = f", {result.sized} by size only" if result.sized else ""
    yield ok("libraries", f"{names}: {result.hashed} files as recorded{rest}")


def check_sqlite(context: Context) -> Iterable[Finding]:
    """Look for an SQLite that has STRICT tables."""
    found = ".".join(str(part) for part in context.facts.sqlite)
    if context.facts.sqlite >= LEAST_SQLITE:
        yield ok("sqlite", found)
    else:
        wanted = ".".join(str(part) for part in LEAST_SQLITE)
        yield fail(
            "sqlite", f"{found}; {wanted} wanted", f"a Python that is built with SQLite >= {wanted}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Hold how many files were compared with their hash or only their size, and what differs."""

    hashed: int
    sized: int
    problems: tuple[str, ...]
    packages: frozenset[str]


def verify(distributions: Iterable[metadata.Distribution], deadline_s: float) -> Verified:
    """Compare installed files with their RECORDs; by size only after `deadline_s` (monotonic)."""
    files = sorted(_recorded(distributions), key=lambda file: file.size_bytes)
    problems, packages = [], set()
    hashed = sized = 0
    for file in files:
        problem = None
        if not file.path.is_file():
            problem = "is missing"
        elif file.path.stat().st_size != file.size_bytes:
            problem = f"has {file.path.stat().st_size} bytes, recorded {file.size_bytes}"
        elif time.monotonic() > deadline_s:
            sized += 1
        elif _digest(file.path, file.algorithm) != file.digest:
            problem = "is not what was installed"
        else:
            hashed += 1
        if problem:
            problems.append(f"{file.name} {problem}")
            packages.add(file.package)
    for distribution in distributions:
        if distribution.files is None:
            name = distribution.metadata["Name"]
            problems.append(f"{name} has no RECORD")
            packages.add(name)
    return Verified(
        hashed=hashed, sized=sized, problems=tuple(problems), packages=frozenset(packages)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    package: str
    name: str
    path: Path
    algorithm: str
    digest: str
    size_bytes: int


def _recorded(distributions: Iterable[metadata.Distribution]) -> Iterator[_Recorded]:
    from pathlib import Path

    for distribution in distributions:
        for file in distribution.files or []:
            if file.hash is None or file.size is None:  # RECORD itself, compiled bytecode
                continue
            yield _Recorded(
                package=distribution.metadata["Name"],
                name=str(file),
                path=Path(str(file.locate())),
                algorithm=file.hash.mode,
                digest=file.hash.value,
                size_bytes=file.size,
            )


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).digest()
    return urlsafe_b64encode(found).rstrip(b"=").decode()


def named(problems: Iterable[str]) -> str:
    """Join the first few problems and say how many more there are."""
    listed = list(problems)
    more = f"; and {len(listed) - NAMED_AT_MOST} more" if len(listed) > NAMED_AT_MOST else ""
    return "; ".join(listed[:NAMED_AT_MOST]) + more


CHECKS = (
    Check(name="python", run=check_python, limit_s=2),
    Check(name="packages", run=check_packages, limit_s=3),
    Check(name="lock", run=check_lock, limit_s=3),
    Check(name="wheel", run=check_wheel, limit_s=15, quick=False),
    Check(name="libraries", run=check_libraries, limit_s=20, quick=False),
    Check(name="sqlite", run=check_sqlite, limit_s=2),
)
