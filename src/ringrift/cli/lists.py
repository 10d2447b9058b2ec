"""Take lists on the command line: repetition, commas, patterns, and several words.

    @app.command(cls=list_command("--jsonl"))
    def run(jsonl: Annotated[list[Path], typer.Option("--jsonl", help="...")]) -> None: ...

accepts `--jsonl a.jsonl b.jsonl --jsonl c.jsonl,d.jsonl --jsonl 'e*.jsonl'`.
"""

from __future__ import annotations

from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


def expand_paths(values: Iterable[str | Path], *, what: str) -> list[Path]:
    """Split commas and expand patterns; the order given stays, each pattern sorted by name.

    A value that names an existing file is taken as it is. Raises `UsageError` for a pattern that
    matches nothing; a plain name is passed on, whether or not it exists.
    """
    found: dict[Path, None] = {}
    for value in values:
        text = str(value)
        parts = [text] if Path(text).exists() else [part for part in text.split(",") if part]
        for part in parts:
            if not has_magic(part) or Path(part).exists():
                found[Path(part)] = None
                continue
            matches = sorted(glob(part, recursive=True))  # noqa: PTH207 - Path.glob refuses absolute ones
            if not matches:
                raise UsageError(f"no file matches the pattern {part!r}", where=what)
            found.update((Path(match), None) for match in matches)
    return list(found)


class ListCommand(TyperCommand):
    """Give the tokens after a list option, up to the next token with a dash, to that option."""

    list_options: frozenset[str] = frozenset()
    word_options: frozenset[str] = frozenset()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each word, parse, then expand commas and patterns of paths."""
        rest = super().parse_args(ctx, repeat_option(args, self.list_options | self.word_options))
        for param in self.params:
            names = self.list_options.intersection(getattr(param, "opts", ()))
            if names and param.name and ctx.params.get(param.name):
                ctx.params[param.name] = expand_paths(
                    ctx.params[param.name], what=max(names, key=len)
                )
        return rest


def repeat_option(args: list[str], names: frozenset[str]) -> list[str]:
    """Write `--o a b` as `--o a --o b` for the options in `names`.

    >>> repeat_option(["--o", "a", "b", "-x", "c"], frozenset({"--o"}))
    ['--o', 'a', '--o', 'b', '-x', 'c']
    """
    made: list[str] = []
    option: str | None = None
    fresh = False  # whether the option itself was the token before
    for index, token in enumerate(args):
        if token == "--":  # noqa: S105 - a word of the command line
            return [*made, *args[index:]]
        if token.startswith("-") and len(token) > 1:
            name = token.partition("=")[0]
            option = name if name in names else None
            fresh = option is not None and "=" not in token
            made.append(token)
        else:
            made.extend([token] if option is None or fresh else [option, token])
            fresh = False
    return made


def list_command(*names: str, words: Iterable[str] = ()) -> type[ListCommand]:
    """Return a command class whose options `names` (such as `--jsonl`) are lists of paths.

    The options `words` take several words too, which are left as they are.
    """
    options = {"list_options": frozenset(names), "word_options": frozenset(words)}
    return type("ListCommand", (ListCommand,), options)
