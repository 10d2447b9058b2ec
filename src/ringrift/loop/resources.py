"""How much computing a stage took: processor time of this process and all below it.

On a machine that others use too, wall time says little; the processor time of a stage stays.
"""

from __future__ import annotations

import os

import psutil


def cpu_seconds() -> float:
    """Return the processor time of this process and its children, ended ones included."""
    own = os.times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.Error:  # it ended meanwhile; what it used is counted once it is waited for
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return float(total)
