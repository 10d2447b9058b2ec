"""Slow down before a bound is reached, refuse at it (`core.md` 7).

One rule for processes, queues, the spool and what waits to be ingested.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

PressureState = Literal["normal", "soft", "hard", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """Say what to do at a share of a bound: wait `delay_s`, or give up when `refused`."""

    share: float
    state: PressureState
    delay_s: float

    @property
    def refused(self) -> bool:
        """Whether the bound is reached."""
        return self.state == "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backpressure:
    """Hold the two shares of a bound above which new work waits, and for how long."""

    soft_share: float = 0.8
    hard_share: float = 0.95
    soft_delay_s: float = 1.0
    hard_delay_s: float = 5.0

    def __post_init__(self) -> None:
        if not 0 <= self.soft_share <= self.hard_share <= 1:
            raise ValueError("expected 0 <= soft_share <= hard_share <= 1")

    def at(self, used: float, bound: float) -> Pressure:
        """Return what to do when `used` of `bound` is taken; a bound of 0 refuses everything."""
        share = used / bound if bound > 0 else math.inf
        if share >= 1:
            return Pressure(share=share, state="full", delay_s=0.0)
        if share > self.hard_share:
            return Pressure(share=share, state="hard", delay_s=self.hard_delay_s)
        if share > self.soft_share:
            return Pressure(share=share, state="soft", delay_s=self.soft_delay_s)
        return Pressure(share=share, state="normal", delay_s=0.0)
