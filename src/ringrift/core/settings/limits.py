"""The section `limits`: the only table of resource limits (`core.md` 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.settings.base import CheckedSection, Conflict, NotNegative, Percent, Positive

if TYPE_CHECKING:
    from collections.abc import Iterator


class Limits(CheckedSection):
    """Set the only table of resource limits (`core.md` 5)."""

    disk_warning: Percent = 65
    """percent of the root's file system from which to warn"""
    disk_critical: Percent = 70
    """percent of the root's file system from which no producing job starts"""
    memory_warning: Percent = 70
    """percent of memory from which to warn"""
    memory_critical: Percent = 80
    """percent of memory from which no job starts"""
    cpu_warning: Percent = 70
    """percent of CPU used by others from which to warn"""
    cpu_critical: Percent = 80
    """percent of CPU used by others from which no job starts"""
    gpu_warning: Percent = 70
    """percent of a GPU's memory from which to warn"""
    gpu_critical: Percent = 80
    """percent of a GPU's memory from which no GPU job starts there"""
    load_critical_multiplier: Positive = 1.5
    """load average per CPU from which no job starts"""
    wait_seconds: NotNegative = 300
    """longest wait of a heavy command for CPU and load"""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield each warning that does not lie below its critical limit."""
        for name in ("disk", "memory", "cpu", "gpu"):
            low, high = f"{name}_warning", f"{name}_critical"
            warning, critical = getattr(self, low), getattr(self, high)
            # A lowered critical alone is meant: only an explicit warning above it is a mistake.
            if low in self.model_fields_set and warning >= critical:
                yield Conflict(
                    (low, high),
                    f"found {low} {warning:g}, which is not below {high} {critical:g}; "
                    f"expected less than {critical:g}",
                )
