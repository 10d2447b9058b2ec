"""Compare versions with the ranges that a distribution requires."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(;.*)?$")
_OPERATORS = re.compile(r"(>=|<=|==|!=|~=|>|<)\s*([0-9][^,\s]*)")


def requirements(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield name and version range of each requirement that no extra guards."""
    for line in lines:
        found = _REQUIREMENT.match(line)
        if found is None or "extra" in (found.group(3) or ""):
            continue
        yield found.group(1), found.group(2).strip()


def satisfies(version: str, wanted: str) -> bool:
    """Compare a version with a range such as `>=2.0,<3`; only the numbers of releases count."""
    have = _release(version)
    for operator, text in _OPERATORS.findall(wanted):
        bound = _release(text)
        length = max(len(have), len(bound))
        a, b = _padded(have, length), _padded(bound, length)
        series = len(bound) - 1
        held = {
            ">=": a >= b,
            "<=": a <= b,
            "==": a == b,
            "!=": a != b,
            ">": a > b,
            "<": a < b,
            "~=": a >= b and a[:series] == b[:series],
        }
        if not held[operator]:
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def _padded(release: tuple[int, ...], length: int) -> tuple[int, ...]:
    return release + (0,) * (length - len(release))
