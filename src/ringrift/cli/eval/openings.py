"""`ringrift eval openings`: build, show and check books of openings (`evaluation.md` 2)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ringrift.cli.completion import complete_configurations
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun, Seed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringrift.cli.invocation import Invocation
    from ringrift.cli.output import ProgressTask
    from ringrift.core.interrupt import Stop
    from ringrift.evaluation.openings.books import Book, Opening
    from ringrift.evaluation.openings.building import BuildSettings, Built, Progress

ALL = "all"

ConfigKeys = Annotated[
    str,
    typer.Option(
        "--config-key",
        metavar="KEY|all",
        help="Board and players, as square8_2p, or all twelve.",
        autocompletion=complete_configurations,
        rich_help_panel="Game",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    group = typer.Typer(add_completion=False, no_args_is_help=True)
    group.command("build")(build)
    group.command("show")(show)
    group.command("check")(check)
    app.add_typer(group, name="openings", help="Build, show and check books of openings.")


def build(
    config_key: ConfigKeys = ALL,
    count: Annotated[
        int, typer.Option("--count", min=1, metavar="N", help="Openings of a book.")
    ] = 2000,
    seed: Seed = 42,
    min_choices: Annotated[
        int,
        typer.Option("--min-choices", min=1, help="Least random choices, times half the players."),
    ] = 4,
    max_choices: Annotated[
        int,
        typer.Option("--max-choices", min=1, help="Most random choices, times half the players."),
    ] = 10,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="DIR",
            help="Folder of the books [default: data/openings].",
            rich_help_panel="Output",
        ),
    ] = None,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Build books of openings that give every seat a fair chance.

    Plays random openings and keeps those of new positions after which every seat wins between half
    and one and a half times an equal share of playouts. Writes DIR/<configuration>.jsonl, and
    DIR/.candidates with all that was tried: the same line goes on where it was ended. The same
    options give the same bytes.

    Exit code 1 where the rules do not offer as many openings, 75 while the same book is being built.

    Examples: ringrift eval openings build --config-key square8_2p --count 100 |
    ringrift eval openings build --config-key all --output books --dry-run --json
    """
    invocation = current()
    if not dry_run:
        ready_for(invocation, producing=False, wait=not no_wait)
    from ringrift.evaluation.openings.building import BuildSettings

    wanted = [
        BuildSettings(
            config=config, count=count, seed=seed, min_choices=min_choices, max_choices=max_choices
        )
        for config in _configs(config_key)
    ]
    if dry_run:
        folder = output or invocation.paths(create=False).data / "openings"
        rows = [_planned(settings, folder) for settings in wanted]
    else:
        folder = output or invocation.paths().data / "openings"
        folder.mkdir(parents=True, exist_ok=True)
        rows = _build_all(invocation, wanted, folder)
    columns = [
        Column("configuration"),
        Column("openings", number=True),
        Column("candidates", number=True),
        Column("unfair", number=True),
        Column("known", number=True),
        Column("ended", number=True),
        Column("time s", number=True),
        Column("file"),
    ]
    names = ("config", "openings", "candidates", "unfair", "known", "ended", "seconds", "file")
    verb = "would build" if dry_run else "built"
    title = f"{verb} {len(rows)} books, seed {seed}, {min_choices} to {max_choices} choices"
    invocation.out.result(
        {"books": rows, "seed": seed, "dry_run": dry_run},
        human=invocation.out.table(columns, [[row[n] for n in names] for row in rows], title=title),
    )


def _configs(key: str) -> list[str]:
    from ringrift.core.settings import CONFIGURATIONS

    return list(CONFIGURATIONS) if key == ALL else [_config(key)]


def _config(key: str) -> str:
    from ringrift.rules import BoardSpec, parse_config

    return BoardSpec.create(*parse_config(key)).config


def _build_all(
    invocation: Invocation, wanted: list[BuildSettings], folder: Path
) -> list[dict[str, Any]]:
    from ringrift.core.interrupt import cooperative_stop

    rows = []
    with cooperative_stop() as stop, invocation.out.progress() as progress:
        for settings in wanted:
            task = progress.task(settings.config, total=settings.count, unit="openings")
            began_s = time.monotonic()
            built = _build(settings, folder, task, stop)
            task.finish()
            if built is None:
                break
            rows.append(_built(built, time.monotonic() - began_s))
    if stop.requested:
        invocation.out.note(
            f"{len(rows)} of {len(wanted)} books are complete, what was tried is kept; "
            "the same line goes on"
        )
        raise typer.Exit(stop.exit_code)
    return rows


def _build(settings: BuildSettings, folder: Path, task: ProgressTask, stop: Stop) -> Built | None:
    from ringrift.core.limits import thread_budget
    from ringrift.evaluation.openings.building import build as build_book

    def on_progress(progress: Progress) -> None:
        task.update(progress.kept)

    return build_book(
        settings,
        folder,
        workers=thread_budget(),
        on_progress=on_progress,
        stop=lambda: stop.requested,
    )


def _planned(settings: BuildSettings, folder: Path) -> dict[str, Any]:
    unknown = dict.fromkeys(("candidates", "unfair", "known", "ended", "hash", "bytes", "seconds"))
    return {
        "config": settings.config,
        "file": str(folder / f"{settings.config}.jsonl"),
        "openings": settings.count,
        **unknown,
    }


def _built(built: Built, seconds: float) -> dict[str, Any]:
    return {
        "config": built.book.spec.config,
        "file": str(built.path),
        "openings": built.progress.kept,
        "candidates": built.progress.candidates,
        "unfair": built.progress.unfair,
        "known": built.progress.known,
        "ended": built.progress.ended,
        "hash": built.book.hash,
        "bytes": built.path.stat().st_size,
        "seconds": round(seconds, 3),
    }


# --- what stands in a book

BookFile = Annotated[
    Path | None,
    typer.Option(
        "--book",
        metavar="FILE",
        help="A book of one's own [default: the shipped one].",
        rich_help_panel="Input",
    ),
]


def show(
    identity: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="Opening, or the first digits of its id."),
    ] = None,
    config_key: Annotated[
        str,
        typer.Option(
            "--config-key",
            metavar="KEY",
            help="Board and players, as square8_2p.",
            autocompletion=complete_configurations,
            rich_help_panel="Game",
        ),
    ] = "square8_2p",
    book: BookFile = None,
    part: Annotated[
        Literal["open", "reserved"] | None,
        typer.Option("--part", help="Openings of this half only."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="N", help="Most openings listed.")
    ] = 10,
) -> None:
    """Show a book of openings, or draw the position of one.

    Reads a book and changes nothing. Openings stand in the order of the file; a share is the part
    of the playouts from there that a seat won.

    Exit code 6 for a file that is no book.

    Examples: ringrift eval openings show --config-key hex8_3p --part reserved |
    ringrift eval openings show --limit 1 --json
    """
    from ringrift.core.ids import resolve_prefix, short
    from ringrift.evaluation.openings import PARTS
    from ringrift.evaluation.openings.books import load_book, locate

    invocation = current()
    source = _config(config_key) if book is None else book
    found = load_book(source)
    part_of = {each.id: name for name in PARTS for each in found.part(name)}
    listed = [each for each in found.openings if part in (None, part_of[each.id])]
    if identity is not None:
        chosen = resolve_prefix(identity, part_of, what="opening")
        listed = [each for each in found.openings if each.id == chosen]
    told = [_opening(found, each, part_of[each.id]) for each in listed[:limit]]
    counts: dict[str, int] = {name: len(found.part(name)) for name in PARTS}
    fields = {
        "config": found.spec.config,
        "file": str(locate(source)[0]),
        "hash": found.hash,
        "spec_hash": found.spec_hash,
        "openings": len(found.openings),
        **counts,
        "listed": told,
    }
    if identity is not None:
        from ringrift.rules import Position

        drawing = Position.parse(told[0]["state"], spec=found.spec).text()
        lines = [f"{name}: {_text(told[0][name])}" for name in ("id", "part", "moves", "shares")]
        invocation.out.result(fields, human="\n".join([*lines, drawing.rstrip("\n")]))
        return
    title = (
        f"{found.spec.config} {short(found.hash)}: {len(found.openings):,} openings, "
        + ", ".join(f"{n:,} {name}" for name, n in counts.items())
    )
    columns = [Column("id"), Column("part"), Column("shares"), Column("plies", number=True)]
    rows = [[each["id"], each["part"], _text(each["shares"]), each["plies"]] for each in told]
    invocation.out.result(fields, human=invocation.out.table(columns, rows, title=title))


def _text(value: Any) -> str:
    return "  ".join(f"{each:.3f}" for each in value) if isinstance(value, list) else str(value)


def _opening(book: Book, opening: Opening, part: str) -> dict[str, Any]:
    from ringrift.rules import Position

    position, texts = Position.of(book.spec), []
    for move in opening.moves:
        texts.append(position.move_text(move))
        position.play(move)
    return {
        "id": opening.id,
        "part": part,
        "moves": ";".join(texts),
        "plies": len(texts),
        "shares": list(opening.shares),
        "state": str(position),
    }


# --- replaying books


def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE...]", help="Books [default: the shipped ones]."),
    ] = None,
    config_key: ConfigKeys = ALL,
) -> None:
    """Replay books of openings and compare each position with its id.

    Reads books and changes nothing. Every move must be legal, no game over, no swap pending, every
    share fair, and every position there once, whatever the symmetries of the board.

    Exit code 6 for the first line that is wrong, with its number and the ply.

    Examples: ringrift eval openings check --config-key square8_2p |
    ringrift eval openings check data/openings/square8_2p.jsonl --json
    """
    from ringrift.evaluation.openings.books import load_book, locate
    from ringrift.evaluation.openings.checking import check as replay

    invocation = current()
    sources: Iterable[str | Path] = files or _configs(config_key)
    rows = []
    shown = []
    with invocation.out.progress() as progress:
        for source in sources:
            book, path = load_book(source), locate(source)[0]
            task = progress.task(book.spec.config, total=len(book.openings), unit="openings")
            found = replay(book, path, on_opening=task.advance)
            task.finish()
            row = {
                "config": book.spec.config,
                "openings": len(book.openings),
                "open": len(book.part("open")),
                "reserved": len(book.part("reserved")),
                "hash": book.hash,
            }
            ranges = {"plies": found.plies, "choices": found.choices}
            spans = (f"{least}-{most}" for least, most in ranges.values())
            shown.append([*row.values(), *spans])
            rows.append({**row, **ranges, "file": str(path)})
    columns = [
        Column("configuration"),
        Column("openings", number=True),
        Column("open", number=True),
        Column("reserved", number=True),
        Column("SHA-256"),
        Column("plies", number=True),
        Column("choices", number=True),
    ]
    invocation.out.result({"books": rows}, human=invocation.out.table(columns, shown))
