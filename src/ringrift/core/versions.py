"""Which versions are installed: what tells the results of one installation from another's."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

RECORDED = ("ringrift", "torch", "numba", "numpy")


@cache
def installed(package: str) -> str | None:
    """Return the version of a package; `None` where it is not installed, as in a source tree."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def versions() -> dict[str, str | None]:
    """Return Python's version and those of the packages that decide what a run computes."""
    from platform import python_version

    return {"python": python_version(), **{name: installed(name) for name in RECORDED}}


@cache
def rules_hash() -> str:
    """Return 16 hex digits over the sources of `ringrift.rules`."""
    folder = Path(__file__).parents[1] / "rules"
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def commit() -> str | None:
    """Return the commit of a checkout, read from its files; `None` when installed."""
    git = Path(__file__).parents[3] / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        loose = git / name
        if loose.is_file():
            return loose.read_text(encoding="utf-8").strip()
        packed = (git / "packed-refs").read_text(encoding="utf-8")
    except OSError:
        return None
    found = [line.split()[0] for line in packed.splitlines() if line.endswith(f" {name}")]
    return found[0] if found else None
