"""Hold one run of a command: its global options, data root, settings and output.

Commands call `current()`; the options themselves are parsed on every level, so that they may stand
before the group or after the command (`commands.md` 1).
"""

from __future__ import annotations

import os
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ringrift.cli.output import Color, Output, wants_color
from ringrift.core.environment import as_bool
from ringrift.core.errors import SettingsError, UsageError
from ringrift.core.log import Level, get_logger, setup_logging
from ringrift.core.paths import Paths, locate_root, resolve_root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringrift.core.settings_loader import LoadedSettings

log = get_logger(__name__)

_LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")


@dataclass(slots=True)
class GlobalOptions:
    """Hold the options that mean the same for every command."""

    root: Path | None = None
    config: Path | None = None
    json: bool = False
    quiet: bool = False
    verbose: int = 0
    color: Color = "auto"
    progress: bool | None = None
    log_format: Literal["text", "json"] | None = None
    log_file: Path | None = None
    yes: bool = False


class Invocation:
    """Give a command its options, paths, settings and output; one per run of the program."""

    def __init__(self, arguments: list[str]) -> None:
        self.options = GlobalOptions()
        self.arguments = arguments
        # Usage errors come before the option is parsed, and are wanted as JSON all the same.
        before_end = arguments[: arguments.index("--")] if "--" in arguments else arguments
        self.out = Output(as_json="--json" in before_end)
        self._paths: Paths | None = None

    @property
    def command(self) -> str:
        """The words of the command, such as `config show`."""
        return self.out.command

    def apply_options(self, command: str) -> None:
        """Take over what has been parsed so far; called when a command's options are complete."""
        options = self.options
        self.out.command = command
        self.out.as_json = self.out.as_json or options.json
        self.out.quiet = options.quiet
        self.out.color = options.color
        self.out.show_progress = options.progress
        self._setup_logging(folder=None)

    def paths(self, *, create: bool = True) -> Paths:
        """Return the data root's paths, asking once where no root is named or found.

        With `create` the marker and the folders are made, and log lines go to `logs/` from now on.
        """
        if self._paths is None:
            self._paths = resolve_root(
                option=self.options.root, assume_yes=self.options.yes, ask=self._asker()
            )
        if create and not self._paths.exists:
            self._paths.create()
        if create:
            self._setup_logging(folder=self._paths.logs)
        return self._paths

    def known_root(self) -> Path | None:
        """Return the data root if one is named or found; never asks, never creates."""
        return locate_root(option=self.options.root)

    def settings(
        self, *, profile: str | None = None, options: Mapping[str, Any] | None = None
    ) -> LoadedSettings:
        """Load the settings of this run; `options` maps key paths to command-line values."""
        from ringrift.core.settings_loader import load_settings

        loaded = load_settings(
            root=self.known_root(), file=self.options.config, profile=profile, options=options
        )
        for warning in loaded.warnings:
            log.warning(warning)
        return loaded

    def check_config(self) -> None:
        """Refuse an invalid --config file, also in a command that reads no settings."""
        if self.options.config is not None:
            from ringrift.core.settings_loader import load_settings

            load_settings(file=self.options.config, environ={})

    def confirm(self, question: str) -> bool:
        """Ask before something that cannot be undone; --yes answers, no terminal is exit 2."""
        if self.options.yes:
            return True
        if not sys.stdin.isatty():
            raise UsageError(f"{question} needs an answer and there is no terminal", hint="--yes")
        import typer

        return typer.confirm(question, err=True)

    def _asker(self) -> Any:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        return lambda folder: self.confirm(f"Make {folder} a RingRift data root?")

    def log_to(self, folder: Path, *, level: Level) -> None:
        """Write log lines to a folder of their own; standard error gets those from `level` on."""
        self._setup_logging(folder=folder, level=level)

    def _setup_logging(self, *, folder: Path | None, level: Level = "info") -> None:
        options = self.options
        named = os.environ.get("RINGRIFT_LOG_LEVEL", "").lower()
        if named and named not in _LEVELS:
            raise SettingsError(
                f"RINGRIFT_LOG_LEVEL: found {named!r}; expected one of {', '.join(_LEVELS)}",
                where="environment RINGRIFT_LOG_LEVEL",
            )
        level = next((known for known in _LEVELS if known == named), level)
        if options.quiet:
            level = "error"
        trace = "RINGRIFT_TRACE_DEBUG"
        if options.verbose or as_bool(trace, os.environ.get(trace), default=False):
            level = "debug"
        setup_logging(
            self.out.command.partition(" ")[0] or "ringrift",
            level=level,
            text=self._text_logs(),
            color=wants_color(options.color, sys.stderr),
            folder=folder,
            file=options.log_file,
            third_party=options.verbose >= 2,
        )

    def _text_logs(self) -> bool:
        if self.options.log_format is not None:
            return self.options.log_format == "text"
        named = os.environ.get("RINGRIFT_LOG_FORMAT", "auto").lower()
        if named not in {"text", "json", "auto"}:
            raise SettingsError(
                f"RINGRIFT_LOG_FORMAT: found {named!r}; expected auto, text or json",
                where="environment RINGRIFT_LOG_FORMAT",
            )
        return sys.stderr.isatty() if named == "auto" else named == "text"


_current: ContextVar[Invocation | None] = ContextVar("ringrift_invocation", default=None)


def begin(arguments: list[str]) -> Invocation:
    """Start a run of the program; `main` calls this once."""
    invocation = Invocation(arguments)
    _current.set(invocation)
    return invocation


def current() -> Invocation:
    """Return the running invocation."""
    invocation = _current.get()
    if invocation is None:  # a command called as a function, in a test or a notebook
        invocation = begin([])
    return invocation
