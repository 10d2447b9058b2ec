"""Where people see a loop; the commands have one for terminals and one for files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ringrift.loop.events import Event


class Screen(Protocol):
    """Shows one loop; any thread may call it."""

    def note(self, text: str) -> None:
        """Print a line that stays."""
        ...

    def step(self, name: str, done: int, steps: int) -> None:
        """Show how far the compiling is."""
        ...

    def event(self, event: Event) -> None:
        """Show an event as far as it is news."""
        ...

    def show(self, status: Mapping[str, Any]) -> None:
        """Show what the loop does now."""
        ...
