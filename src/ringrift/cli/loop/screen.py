"""Show a running loop: a block rewritten in place on a terminal, else one line per event.

It is driven by statuses and events alone, so whoever has these can show a loop that runs elsewhere.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ringrift.cli.loop.drawing import draw
from ringrift.loop.lines import JOB_LEVEL, line_of, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.live import Live

    from ringrift.loop.events import Event

REFRESH_PER_S = 4
STAYING = frozenset(
    {
        "halted",
        "resumed",
        "model_initialised",
        "games_quarantined",
        "job_failed",
        "promoted",
        "rejected",
        "inconclusive",
        "rolled_back",
        "plateau",
        "regression",
        "milestone",
        "source_stale",
        "source_back",
        "guard_level",
        "error",
    }
)
"""Events that leave a line above the block; the block shows the others."""


class Screen:
    """Shows one loop on a console; a context manager. Any thread may call it.

    With `live` a block is redrawn in place and disappears at the end, and only what stays is printed;
    without it every event is a line. `verbose` prints the jobs too, `quiet` prints nothing.
    """

    def __init__(
        self, console: Console, *, live: bool, verbose: bool = False, quiet: bool = False
    ) -> None:
        self._console = console
        self._verbose = verbose
        self._quiet = quiet
        self._lock = threading.Lock()
        self._live: Live | None = None
        if live and not quiet:
            from rich.live import Live

            self._live = Live(
                console=console,
                refresh_per_second=REFRESH_PER_S,
                transient=True,
                redirect_stdout=False,
            )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def note(self, text: str) -> None:
        """Print a line that stays."""
        if not self._quiet:
            with self._lock:
                self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    def step(self, name: str, done: int, steps: int) -> None:
        """Show how far the compiling is."""
        words = f"compiling rules (once): {name} {done}/{steps}"
        if self._live is None:
            self.note(words)
        else:
            from rich.text import Text

            bar = "━" * done + "─" * (steps - done)
            self._live.update(Text.assemble((bar, "green"), f"  {words}"))

    def event(self, event: Event) -> None:
        """Show an event as far as it is news."""
        kind = event["kind"]
        if kind in JOB_LEVEL and not self._verbose:
            return
        if self._live is None:
            self.note(line_of(event))
        elif kind in STAYING or self._verbose:
            self.note(words_of(event))

    def show(self, status: Mapping[str, Any]) -> None:
        """Redraw the block."""
        if self._live is not None:
            self._live.update(draw(status))
