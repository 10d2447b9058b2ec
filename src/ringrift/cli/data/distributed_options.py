"""Options of `ringrift data export-distributed`: those of `data export` and its own (`data.md` 5, 6)."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ringrift.cli.data import export
from ringrift.cli.data.parts import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable

MODE, SHARING, SERVING = "What to do", "Sharing out", "Servers"

SHARED = (
    "db", "inputs", "input_dir", "gpu_selfplay", "output", "board", "players", "contents",
    "encoder", "sample_every", "max_move_index", "analysis", "policy_target",
    "rank_aware_values", "surprise_weight", "decay_half_life", "weights", "max_games",
    "min_moves", "max_moves", "require_completed", "exclude_recovery", "exclude_timeout",
    "exclude_random", "ai_types", "min_simulations", "window", "window_base", "max_reuse",
    "workers", "force_export", "seed", "no_wait", "dry_run",
)  # fmt: skip
"""Options of `data export` that mean the same here."""
DEFAULTS = {"min_moves": 10}


def _flag(*names: str, panel: str, help: str) -> Any:  # noqa: A002 - typer names it
    return typer.Option(*names, rich_help_panel=panel, help=help)


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributedOptions:
    """The values of one call that `data export` does not have."""

    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORD...",
            help="coordinate, worker, merge or split, for the option of that name; then chunks.",
        ),
    ] = None
    coordinator: Annotated[
        bool,
        _flag(
            "--coordinator",
            panel=MODE,
            help="Cut the games into chunks, hand them out, merge what comes back.",
        ),
    ] = False
    worker: Annotated[
        bool,
        _flag(
            "--worker",
            panel=MODE,
            help="Work on chunks: of --coordinator-url, of CHUNK files, else of this data root.",
        ),
    ] = False
    merge: Annotated[
        list[str] | None,
        typer.Option(
            "--merge",
            metavar="CHUNK...",
            help="Merge chunks: files, folders, or servers as http://HOST:PORT.",
            rich_help_panel=MODE,
        ),
    ] = None
    split: Annotated[
        bool,
        _flag("--split", panel=MODE, help="Write the chunks' lists of ids to --output-dir."),
    ] = False
    serve: Annotated[
        bool,
        _flag(
            "--serve",
            panel=MODE,
            help="Serve the files of --output until stopped; with --coordinator, its chunks.",
        ),
    ] = False
    chunks: Annotated[
        int,
        typer.Option(
            "--chunks",
            min=1,
            metavar="N",
            help="Chunks of a configuration; more where one would pass 500 games.",
            rich_help_panel=SHARING,
        ),
    ] = 8
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            min=1.0,
            metavar="SECONDS",
            help="Time limit of one chunk; it is tried three times.",
            rich_help_panel=SHARING,
        ),
    ] = 300.0
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            metavar="DIR",
            help="Folder of chunks and their blocks.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    coordinator_url: Annotated[
        str | None,
        typer.Option(
            "--coordinator-url",
            metavar="URL",
            help="Coordinator to take chunks from, as http://HOST:8780.",
            rich_help_panel=SERVING,
        ),
    ] = None
    mirrors: Annotated[
        list[str] | None,
        typer.Option(
            "--mirror",
            metavar="URL...",
            help="More servers of the same files; each gets the token.",
            rich_help_panel=SERVING,
        ),
    ] = None
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="Where --serve listens; others than loopback need a token.",
            rich_help_panel=SERVING,
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        typer.Option(
            "--port",
            min=0,
            max=65_535,
            metavar="N",
            help="Port of --serve; 0 takes a free one.",
            rich_help_panel=SERVING,
        ),
    ] = 8780
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="REF",
            help="Where the token is: env:NAME or file:PATH [default: p2p.auth_token].",
            rich_help_panel=SERVING,
        ),
    ] = None


def command_of(function: Callable[[DistributedOptions, dict[str, Any]], None]) -> Any:
    """Return `function` as a command with its own options and those shared with `data export`."""
    theirs = inspect.signature(export.export, eval_str=True).parameters
    hints = get_type_hints(DistributedOptions, include_extras=True)
    own = {field.name: field.default for field in fields(DistributedOptions)}
    shared = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=DEFAULTS.get(name, theirs[name].default),
            annotation=theirs[name].annotation,
        )
        for name in SHARED
    ]
    parameters = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name]
        )
        for name, default in own.items()
    ] + shared

    def call(**given: Any) -> None:
        options = DistributedOptions(**{name: given.pop(name) for name in own})
        function(options, given)

    call.__name__ = function.__name__
    call.__doc__ = function.__doc__
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # typer reads it
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call
