"""Compile the rules ahead of use."""

from __future__ import annotations

import time

from ringrift.rules.moves import NONE
from ringrift.rules.position import Position


def warm_up() -> float:
    """Compile, or load from the cache, all that `Position` calls; return the seconds it took.

    A parent does this before it spawns workers, or each of them would compile.
    """
    begin = time.perf_counter()
    position = Position.start("square8")
    position.play("P 3,3 1")
    _ = position.hash64
    position.border_of(NONE)
    position.region_of(NONE)
    return time.perf_counter() - begin
