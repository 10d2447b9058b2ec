"""`ringrift play terminal`: people and agents at one board."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.engine import chosen_spec
from ringrift.cli.invocation import Invocation, current
from ringrift.cli.output import wants_color
from ringrift.cli.play.parts import RuleOptions, maker, outcome_fields, outcome_text
from ringrift.cli.shared_options import Board, ConfigKey, DryRun, Players, Seed
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from ringrift.agents.hosting.game import HostedGame

DEFAULT_OPPONENT = "ladder:3"
FIXED_BY_FILE = ("config_key", "board", "players", "options", "swap", "seats", "seed")


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("terminal")(terminal)


def terminal(
    context: typer.Context,
    config_key: ConfigKey = None,
    board: Board = "square8",
    players: Players = 2,
    options: RuleOptions = None,
    swap: Annotated[
        bool,
        typer.Option("--swap", help="Offer the pie rule to seat 2.", rich_help_panel="Game"),
    ] = False,
    seats: Annotated[
        str | None,
        typer.Option(
            "--seats",
            metavar="LIST",
            help="human or an agent per seat [default: human, then ladder:3].",
            rich_help_panel="Game",
        ),
    ] = None,
    seed: Seed = 42,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FILE",
            help="File of the game [default: a new one in data/play, or here without a root].",
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="FILE", help="Go on with a saved game.")
    ] = None,
    hints: Annotated[
        bool, typer.Option("--hints", help="Show the heuristic's best moves at each prompt.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Play a game at this terminal, against people or agents.

    Draws the board and lists the legal moves; takes a number, a move's text, the beginning of one,
    or help, undo, redo, hint, eval, moves, save, resign, quit. Forced plies are played at once.
    Against agents undo takes back the whole turn. The end of input leaves like quit.

    Reads the game with --resume, replayed and checked; writes it after each ply to FILE, so that
    Ctrl-C, or a kill, loses nothing.

    Exit code 6 for a saved game that is damaged, 130 after Ctrl-C.

    Examples: ringrift play terminal --seats human,gumbel:sims=64,eval=heuristic --hints |
    ringrift play terminal --seats heuristic:mode=light,random --dry-run
    """
    run = current()
    if resume is not None:
        _refuse_fixed(context)
        game = _resumed(run, resume)
        path = resume if save is None else _new_file(save)
    else:
        spec = chosen_spec(config_key, board, players, [*(options or []), *_swap(swap)])
        game = _begun(run, spec, seats, seed)
        path = _default_file(run, spec.config) if save is None else _new_file(save)
    outcome = "planned"
    if not dry_run:
        outcome = _play(run, game, path, hints=hints)
    fields = {**outcome_fields(game), "outcome": outcome, "save": str(path), "dry_run": dry_run}
    text = f"{outcome_text(game)}; saved {path}"
    if dry_run:
        text = f"would play {game.spec.config}, {', '.join(game.seats)}; would save {path}"
    elif outcome == "left":
        text += f"; go on with: ringrift play terminal --resume {path}"
    run.out.result(fields, human=text)


def _play(run: Invocation, game: HostedGame, path: Path, *, hints: bool) -> str:
    from ringrift.agents.hosting.seats import HUMAN
    from ringrift.cli.play.session import Screen, Session, speaker

    stream = sys.stderr if run.out.as_json else sys.stdout
    quiet = run.out.quiet and HUMAN not in game.seats
    screen = Screen(
        say=speaker(stream), color=wants_color(run.options.color, stream), draw=not quiet
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return Session(game, path, screen, hints=hints).run()
    except KeyboardInterrupt:
        run.out.note(f"\nsaved {path}; go on with: ringrift play terminal --resume {path}")
        raise


def _begun(run: Invocation, spec: Any, seats: str | None, seed: int) -> HostedGame:
    from ringrift.agents.hosting.game import HostedGame
    from ringrift.agents.hosting.seats import HUMAN, read_seats

    text = seats or ",".join([HUMAN, *[DEFAULT_OPPONENT] * (spec.players - 1)])
    return HostedGame.start(spec, read_seats(text, spec.players), seed=seed, make=maker(run, spec))


def _resumed(run: Invocation, path: Path) -> HostedGame:
    from ringrift.agents.hosting.saved import SavedGame

    saved = SavedGame(path)
    game = saved.resume(maker(run, saved.spec))
    for seat in saved.changed(game):
        run.out.note(f"{seat} is not the agent that began this game: its weights or code changed")
    return game


def _refuse_fixed(context: typer.Context) -> None:
    """Refuse options that the saved game has settled, instead of passing over them."""
    for name in FIXED_BY_FILE:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is settled by the saved game", where="--resume")


def _swap(swap: bool) -> list[str]:
    return ["swap_rule=true"] if swap else []


def _new_file(path: Path) -> Path:
    if path.exists():
        raise UsageError(f"{path} exists", where="--save", hint=f"--resume {path}")
    return path


def _default_file(run: Invocation, config: str) -> Path:
    root = run.known_root()
    folder = Path() if root is None else run.paths(create=False).data / "play"
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    return folder / f"{config}-{stamp}.json"
