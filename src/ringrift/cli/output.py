"""Print results on standard output and everything else on standard error (`commands.md` 1)."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rich.console import Console, RenderableType
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

SCHEMA = 1
MAX_WIDTH = 100
PLAIN_WIDTH = 160
LINE_EVERY_S = 10.0
UNKNOWN = "unknown"

Color = Literal["auto", "always", "never"]


def wants_color(choice: Color, stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Decide about colour: the option, else NO_COLOR, FORCE_COLOR, TERM=dumb, a terminal."""
    environ = os.environ if environ is None else environ
    if choice != "auto":
        return choice == "always"
    if "NO_COLOR" in environ:
        return False
    if environ.get("FORCE_COLOR", "0") != "0":
        return True
    return environ.get("TERM") != "dumb" and stream.isatty()


@dataclass(frozen=True, slots=True)
class Column:
    """Head one column of a table; numbers are right-aligned with their unit in the head."""

    head: str
    number: bool = False


class Output:
    """Print the results of one command, as text or JSON, and its progress."""

    def __init__(
        self,
        *,
        as_json: bool = False,
        quiet: bool = False,
        color: Color = "auto",
        show_progress: bool | None = None,
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.color: Color = color
        self.show_progress = show_progress
        self.command = ""
        self.printed = False

    def console(self, stream: TextIO | None = None) -> Console:
        """Return a rich console on standard output, or on `stream`."""
        from rich.console import Console

        stream = sys.stdout if stream is None else stream
        colored = wants_color(self.color, stream)
        return Console(
            file=stream,
            force_terminal=colored,
            color_system="auto" if colored else None,
            no_color=not colored,
            width=None if stream.isatty() else PLAIN_WIDTH,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def result(
        self,
        fields: Mapping[str, Any],
        *,
        human: RenderableType | Callable[[Console], None] | None = None,
        ok: bool = True,
    ) -> None:
        """Print the command's one result: `fields` as a JSON object, or `human` as text."""
        self.printed = True
        if self.as_json:
            head = {"schema": SCHEMA, "command": self.command, "ok": ok}
            self._write(json.dumps({**head, **fields}, ensure_ascii=False, allow_nan=False))
        elif callable(human):
            human(self.console())
        elif human is not None:
            self.console().print(human, soft_wrap=isinstance(human, str))
        sys.stdout.flush()

    def line(self, fields: Mapping[str, Any], *, human: str | None = None) -> None:
        """Print one element of a stream: a JSON object or a line of text."""
        self.printed = True
        if self.as_json:
            self._write(json.dumps(fields, ensure_ascii=False, allow_nan=False))
        elif human is not None:
            self._write(human)
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Tell people something on standard error; silent with --quiet."""
        if not self.quiet:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def table(
        self, columns: Sequence[Column], rows: Iterable[Sequence[Any]], *, title: str | None = None
    ) -> RenderableType:
        """Make a table for `result(human=...)`; `None` is shown as `unknown`, rich text as it is."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        made = Table(title=title, box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
        for place, column in enumerate(columns):
            made.add_column(
                column.head,
                justify="right" if column.number else "left",
                overflow="fold",
                no_wrap=place == 0,  # what a row is about stays whole
            )
        for row in rows:
            made.add_row(*(v if isinstance(v, Text) else Text(shown(v)) for v in row))
        return made

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show bars with rate and remaining time while the block runs.

        On a terminal they are drawn on standard error; without one each task prints one line every
        10 s; with --no-progress or --quiet nothing is shown.
        """
        if self.quiet or self.show_progress is False:
            yield Progress(None, None)
        elif not sys.stderr.isatty():
            lines = Progress(None, self.note)
            yield lines
        else:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )
            from rich.progress import Progress as RichProgress

            bars = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TextColumn("{task.fields[unit]} {task.fields[rate]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self.console(sys.stderr),
                transient=True,
            )
            with bars:
                yield Progress(bars, None)

    def _write(self, text: str) -> None:
        sys.stdout.write(text + "\n")


class Progress:
    """Hold the tasks of one block; get it from `Output.progress`."""

    def __init__(self, bars: RichProgress | None, say: Callable[[str], None] | None) -> None:
        self._bars = bars
        self._say = say

    def task(self, name: str, *, total: int | None = None, unit: str = "") -> ProgressTask:
        """Add a task of `total` units; `None` when nobody knows how many."""
        bar = None
        if self._bars is not None:
            bar = self._bars.add_task(name, total=total, unit=unit, rate="")
        return ProgressTask(self._bars, bar, self._say, name=name, total=total, unit=unit)

    def note(self, text: str) -> None:
        """Print a line that stays, above the bars."""
        if self._bars is not None:
            self._bars.console.print(text, soft_wrap=True)
        elif self._say is not None:
            self._say(text)


class ProgressTask:
    """Count the units of one task."""

    def __init__(
        self,
        bars: RichProgress | None,
        bar: TaskID | None,
        say: Callable[[str], None] | None,
        *,
        name: str,
        total: int | None,
        unit: str,
    ) -> None:
        self._bars = bars
        self._bar = bar
        self._say = say
        self._name = name
        self._total = total
        self._unit = unit
        self._started_s = self._said_s = time.monotonic()
        self.done = 0

    def advance(self, count: int = 1) -> None:
        """Count `count` more units as done."""
        self.update(self.done + count)

    def update(self, done: int, *, name: str | None = None, total: int | None = None) -> None:
        """Set how many units are done, and optionally a new name or total."""
        self.done = done
        self._name = name or self._name
        self._total = total if total is not None else self._total
        now_s = time.monotonic()
        if self._bars is not None and self._bar is not None:
            self._bars.update(
                self._bar,
                completed=done,
                description=self._name,
                total=self._total,
                rate=self._rate(now_s),
            )
        elif self._say is not None and now_s - self._said_s >= LINE_EVERY_S:
            self._said_s = now_s
            self._say(self._text(now_s))

    def finish(self) -> None:
        """Take the bar away; without a terminal a task that spoke says its last line."""
        if self._bars is not None and self._bar is not None:
            self._bars.remove_task(self._bar)
            self._bar = None
        elif self._say is not None and self._said_s > self._started_s:
            self._say(self._text(time.monotonic()))

    def _rate(self, now_s: float) -> str:
        seconds = now_s - self._started_s
        return f"{self.done / seconds:,.1f}/s" if seconds > 0 and self.done else ""

    def _text(self, now_s: float) -> str:
        of = f"/{self._total}" if self._total is not None else ""
        return f"{self._name}: {self.done}{of} {self._unit} {self._rate(now_s)}".rstrip()


def shown(value: Any) -> str:
    """Return how a value stands in a table."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
