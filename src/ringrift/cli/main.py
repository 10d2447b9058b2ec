"""The program `ringrift`: groups loaded when they are used, global options, exit codes.

Importing this module loads no torch, numba or scipy, and no group: `ringrift --help` stays quick.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command, get_install_completion_arguments

from ringrift.cli.failure import INTERRUPTED, describe, show
from ringrift.cli.help_text import escape_markup, reflow, styled
from ringrift.cli.invocation import Invocation, begin, current
from ringrift.cli.output import MAX_WIDTH
from ringrift.core.errors import RingriftError
from ringrift.core.interrupt import terminate_as_exception
from ringrift.core.versions import commit, installed, rules_hash

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = "ringrift"
PANEL = "Global options (before the group or after the command)"

# Each group is the module `ringrift.cli.<name>` with `app: typer.Typer`; it is imported when it is
# used, so its line of help stands here. A group is offered once its module exists.
GROUPS: dict[str, str] = {
    "config": "Show, check, write and migrate settings.",
    "node": "Show limits, safeguards, roles, optimizer and alerts of this machine.",
    "engine": "Check, count and draw with the rules.",
    "games": "List, show, verify and export stored games.",
    "agents": "Name, explain and rank agents.",
    "play": "Play, watch and analyse games.",
    "selfplay": "Play agents against themselves and keep the games.",
    "data": "Pool, split, export and measure games.",
    "train": "Train networks from datasets.",
    "eval": "Play matches, test, rate and compare agents and models.",
    "models": "List, name, compare, make and promote models.",
    "tune": "Search for better numbers.",
    "loop": "Run the closed loop: play, learn, measure, promote.",
    "cluster": "Show and steer the hub and its jobs.",
    "bench": "Measure speed.",
    "doctor": "Check this machine and say what to do.",
    "scripts": "Write the reference, man pages and result schemas.",
}
# Groups that are one command.
SINGLE = frozenset({"doctor"})
# Commands that report an invalid settings file as part of their answer.
REPORTS_SETTINGS = frozenset({"config validate", "doctor"})

HELP = """Play RingRift against itself, learn from it, and keep what got stronger.

Games, models and logs live in a data root: --root DIR, RINGRIFT_ROOT, or the nearest parent with
the marker .ringrift-root.

Exit codes: 0 done, 1 answer is no, 2 usage, 3 not running, 4 refused, 5 partly done, 6 bad data,
70 defect, 75 try later, 78 settings invalid, 130 and 143 interrupted."""

SEE_GLOBAL = "Global options (--root, --json, -q, -v, --yes, ...): ringrift --help"
HELP_NAMES = ["-h", "--help"]

COMPLETE_VARIABLE = f"_{PROGRAM.upper()}_COMPLETE"
COMPLETION = frozenset({"install_completion", "show_completion"})
EPILOG = "Examples: ringrift loop run --profile quick --yes | ringrift config show --origin"


def _template(
    root: Annotated[
        Path | None,
        typer.Option("--root", "--ringrift-path", metavar="DIR", help="Data root."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Settings file, else ROOT/config's."),
    ] = None,
    json: Annotated[
        bool | None, typer.Option("--json", help="Print one JSON object as the result.")
    ] = None,
    quiet: Annotated[bool | None, typer.Option("--quiet", "-q", help="Results only.")] = None,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Debug log; twice: all libraries'.")
    ] = 0,
    color: Annotated[
        Literal["auto", "always", "never"] | None,
        typer.Option("--color", help="Colour; NO_COLOR and FORCE_COLOR are honoured."),
    ] = None,
    progress: Annotated[
        bool | None, typer.Option("--progress/--no-progress", help="Show progress.")
    ] = None,
    log_format: Annotated[
        Literal["text", "json"] | None,
        typer.Option("--log-format", help="Format of log lines on standard error."),
    ] = None,
    log_file: Annotated[
        Path | None, typer.Option("--log-file", metavar="FILE", help="Log file (JSON lines).")
    ] = None,
    yes: Annotated[bool | None, typer.Option("--yes", "-y", help="Answer confirmations.")] = None,
) -> None:
    """Declare the global options once; never called."""


@cache
def _global_params(*, hidden: bool) -> tuple[Any, ...]:
    """Return the global options; below the root they are hidden, their help stands there."""
    app = typer.Typer(add_completion=False)
    app.command()(_template)
    params = tuple(get_command(app).params)
    for param in params:
        param.expose_value = False
        param.callback = _remember
        param.rich_help_panel = PANEL  # type: ignore[attr-defined] # options have panels
        param.show_default = False  # type: ignore[attr-defined]
        param.hidden = hidden  # type: ignore[attr-defined]
    return params


def _remember(context: Any, param: Any, value: Any) -> Any:
    """Keep a global option's value, whichever level it was given on."""
    invocation = current()
    if context.resilient_parsing:  # completion looks for models in the root that was named
        if param.name == "root" and value is not None:
            invocation.options.root = Path(value)
        return value
    if param.name == "verbose":
        invocation.options.verbose = max(value or 0, invocation.options.verbose)
    elif value is not None:  # False is an answer: --no-progress
        setattr(invocation.options, param.name, value)
    invocation.out.command = " ".join(context.command_path.split()[1:])
    return value


def _show_version(context: Any, _param: Any, value: Any) -> Any:
    if not value or context.resilient_parsing:
        return value
    out = current().out
    fields = version_fields()
    out.command = "version"
    out.result(fields, human=f"ringrift {fields['version']}")
    raise typer.Exit(0)


def with_global_options(command: Any) -> Any:
    """Add the global options to a command and all below it; its own options of a name win."""
    own = [param for param in command.params if param.name not in COMPLETION]
    taken = {name for param in own for name in param.opts}
    for param in own:
        if isinstance(param, TyperArgument) and param.metavar:
            param.metavar = param.metavar.strip("[].")  # the usage line brackets it already
        param.help = escape_markup(param.help) if param.help else None
    shared = _global_params(hidden=COMPLETE_VARIABLE not in os.environ)  # a shell offers them
    command.params = [*own, *(param for param in shared if not taken.intersection(param.opts))]
    command.help = escape_markup(reflow(command.help or ""))
    command.epilog = command.epilog or SEE_GLOBAL
    command.format_help = styled(command)
    if isinstance(command, TyperGroup):
        for below in command.commands.values():
            with_global_options(below)
    elif command.callback is not None:
        command.callback = _after_options(command.callback)
    return command


def _after_options(callback: Any) -> Any:
    def call(**values: Any) -> Any:
        invocation = current()
        invocation.apply_options(invocation.out.command)
        if invocation.command not in REPORTS_SETTINGS:
            invocation.check_config()
        return callback(**values)

    return call


class LazyGroup(TyperGroup):
    """Import the module of a group when the group is named."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the groups whose module exists, in the table's order."""
        del ctx
        return [name for name in GROUPS if importlib.util.find_spec(f"ringrift.cli.{name}")]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the group; while help is printed, a stand-in that has only its line of help."""
        if cmd_name not in self.list_commands(ctx):
            return None
        if self._listing:
            return TyperCommand(cmd_name, help=GROUPS[cmd_name])
        if cmd_name not in self.commands:
            module = importlib.import_module(f"ringrift.cli.{cmd_name}")
            app: typer.Typer = module.app
            app.info.name = cmd_name
            # A group stays a group even while it has a single command.
            single = cmd_name in SINGLE
            if not single and not app.registered_callback and len(app.registered_commands) == 1:
                app.callback()(lambda: None)
            command = get_command(app)
            command.name = cmd_name
            command.help = command.help if single else GROUPS[cmd_name]
            command.no_args_is_help = not single
            self.commands[cmd_name] = with_global_options(command)
        return self.commands[cmd_name]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help without importing any group."""
        with self._stand_ins():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Return the groups that fit without importing any."""
        with self._stand_ins():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _stand_ins(self) -> Iterator[None]:
        self._listing = True
        try:
            yield
        finally:
            self._listing = False


def build() -> LazyGroup:
    """Return the root of the command tree."""

    def declare(version: Annotated[bool, typer.Option("--version")] = False) -> None:
        del version

    app = typer.Typer(add_completion=False)
    app.command()(declare)
    version_param = get_command(app).params[0]
    version_param.expose_value = False
    version_param.callback = _show_version
    version_param.help = "Print the version; with --json also rules, Python, torch, commit."  # type: ignore[attr-defined]
    root = LazyGroup(
        name=PROGRAM,
        help=reflow(HELP),
        epilog=EPILOG,
        no_args_is_help=True,
        params=[*_global_params(hidden=False), version_param, *get_install_completion_arguments()],
        context_settings={"help_option_names": HELP_NAMES, "max_content_width": MAX_WIDTH},
        subcommand_metavar="GROUP COMMAND [OPTIONS]",
    )
    root.format_help = styled(root)  # type: ignore[method-assign]
    return root


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; nothing is raised."""
    invocation = begin(arguments)
    try:
        with terminate_as_exception():
            code = _invoke(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return 0
    except typer.Exit as error:
        code = error.exit_code
    except BaseException as error:  # noqa: BLE001 - the border: every error gets its line and code
        code = _fail(error, invocation)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return 0
    return code


def main() -> None:
    """Run the command line of this process and end it with the exit code."""
    _open_closed_streams()
    if COMPLETE_VARIABLE in os.environ:
        _keep_words()
        build().main(prog_name=PROGRAM)
    sys.exit(run(sys.argv[1:]))


def _keep_words() -> None:
    """Leave values as words in this process, which completes: their types cost a shell 60 ms."""

    def process(param: Any, context: Any, value: Any) -> Any:
        return value if param.callback is None else param.callback(context, param, value)

    for kind in (TyperArgument, TyperOption):
        kind.process_value = process  # type: ignore[assignment]


def _open_closed_streams() -> None:
    """Put the null device where a standard stream was closed, before a file takes its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - open to the end
            setattr(sys, name, stream)


def _invoke(arguments: list[str]) -> int:
    root = build()
    with root.make_context(PROGRAM, list(arguments)) as context:
        result = root.invoke(context)
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _fail(error: BaseException, invocation: Invocation) -> int:
    if isinstance(error, SystemExit):
        if isinstance(error.__context__, BrokenPipeError):  # how rich reports a closed pipe
            return 0
        return error.code if isinstance(error.code, int) else INTERRUPTED
    if type(error).__name__ == "NoArgsIsHelpError" and isinstance(error, typer.TyperException):
        sys.stderr.write(error.format_message() + "\n")
        return 2
    invocation.out.as_json = invocation.out.as_json or invocation.options.json
    try:
        known_root = invocation.known_root()
    except (RingriftError, OSError):  # a bad root must not hide the error
        known_root = None
    failure = describe(error, known_root)
    try:
        show(failure, invocation, error)
    except BrokenPipeError:
        _drop_output()
    return failure.code


def _drop_output() -> None:
    """Send what is still buffered nowhere: the reader has gone, which is no error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def version_fields() -> dict[str, Any]:
    """Return the versions that tell one installation from another; imports nothing heavy."""
    return {
        "version": os.environ.get("RINGRIFT_BUILD_VERSION") or installed("ringrift"),
        "rules_hash": rules_hash(),
        "python": platform.python_version(),
        "torch": installed("torch"),
        "cuda": _torch_cuda(),
        "commit": commit(),
    }


def _torch_cuda() -> str | None:
    """Read the CUDA version from torch's own version file, without importing torch."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name("version.py")
    file_spec = importlib.util.spec_from_file_location("_torch_version", path)
    if file_spec is None or file_spec.loader is None or not path.is_file():
        return None
    module = importlib.util.module_from_spec(file_spec)
    file_spec.loader.exec_module(module)
    return getattr(module, "cuda", None)
