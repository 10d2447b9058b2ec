"""`ringrift scripts`: write the reference, man pages and result schemas (`commands.md` 1)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NegativeResult, UsageError
from ringrift.core.files import write_atomic

app = typer.Typer(add_completion=False, help="Write the reference, man pages and result schemas.")

DEFAULT_FOLDER = Path("docs/reference")


@app.command("docs")
def docs(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to.")] = (
        DEFAULT_FOLDER
    ),
    check: Annotated[
        bool, typer.Option("--check", help="Compare only; name the files that differ.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Write the reference of commands, settings, variables and metrics.

    Reads the program itself, so the text is the same on every machine; writes Markdown files to
    DIR and removes pages it wrote before that are gone. The files of docs/reference are its output.

    Exit code 1 with --check when a file differs, is missing or is too many.

    Examples: ringrift scripts docs | ringrift scripts docs --check --json
    """
    from ringrift.cli.reference.markdown import MARK, reference_files

    run = current()
    files = reference_files()
    refuse_file(folder)
    changed = [name for name, text in files.items() if read(folder / name) != text]
    stale = [
        name
        for name in sorted(str(path.relative_to(folder)) for path in folder.rglob("*.md"))
        if name not in files and (read(folder / name) or "").startswith(MARK)
    ]
    if not (check or dry_run):
        for name in changed:
            write(folder / name, files[name])
        for name in stale:
            (folder / name).unlink()
    wrong = check and bool(changed or stale)
    run.out.result(
        {
            "folder": str(folder),
            "files": sorted(files),
            "changed": sorted(changed),
            "stale": stale,
            "check": check,
            "dry_run": dry_run,
        },
        human=_docs_lines(folder, files, [*sorted(changed), *stale], check=check, dry_run=dry_run),
        ok=not wrong,
    )
    if wrong:
        raise typer.Exit(NegativeResult.exit_code)


@app.command("man")
def man(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder; pages go to man1 in it.")],
    dry_run: DryRun = False,
) -> None:
    """Write a man page for the program and for each command.

    Reads the program itself; writes DIR/man1/ringrift-GROUP-COMMAND.1. With DIR in MANPATH,
    `man ringrift-config-show` finds them.

    Examples: ringrift scripts man share/man | ringrift scripts man share/man --dry-run --json
    """
    from ringrift.cli.main import version_fields
    from ringrift.cli.reference.roff import man_pages

    run = current()
    refuse_file(folder)
    pages = man_pages(str(version_fields()["version"]))
    target = folder / "man1"
    if not dry_run:
        for name, text in pages.items():
            write(target / name, text)
    verb = "would write" if dry_run else "wrote"
    run.out.result(
        {"folder": str(target), "files": sorted(pages), "dry_run": dry_run},
        human=f"{verb} {len(pages)} pages to {target}",
    )


@app.command("schema")
def schema(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND", help="Command, as config show.")
    ] = None,
) -> None:
    """Print the JSON schema of a command's --json result.

    Without COMMAND the commands with a schema are listed; `error` is what a failed command prints.
    Reads files of the package, writes nothing.

    Examples: ringrift scripts schema config show | ringrift scripts schema
    """
    from ringrift.cli.reference.schemas import published, schema_of

    run = current()
    if not words:
        titles = [(name, schema_of(name)["description"]) for name in published()]
        run.out.result(
            {"commands": list(published()), "json_schema": None},
            human=run.out.table([Column("command"), Column("result")], titles),
        )
        return
    found: dict[str, Any] = schema_of(" ".join(words))
    run.out.result(
        {"commands": [" ".join(words)], "json_schema": found},
        human=json.dumps(found, indent=2, ensure_ascii=False),
    )


def refuse_file(folder: Path) -> None:
    """Raise `UsageError` where a file stands in the place of the folder."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; expected a folder", where="DIR")


def read(path: Path) -> str | None:
    """Return a file's text; `None` when there is none or it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def write(path: Path, text: str) -> None:
    """Write a file whole, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.encode())


def _docs_lines(
    folder: Path, files: dict[str, str], differing: list[str], *, check: bool, dry_run: bool
) -> str:
    if check:
        lines = [f"differs: {folder / name}" for name in differing]
        remedy = f"write it again: ringrift scripts docs {folder}"
        return "\n".join([*lines, remedy] if lines else [f"{len(files)} files are as written"])
    verb = "would change" if dry_run else "changed"
    return f"{verb} {len(differing)} of {len(files)} files in {folder}"
