"""Which versions are installed: what tells the results of one installation from another's."""

from __future__ import annotations

from functools import cache

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
