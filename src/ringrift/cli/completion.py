"""Complete values on the command line: boards, configurations, models, profiles.

Each function takes the word so far and returns what fits; typer prints it for the shell. A comma
list is completed at its last word. Nothing is asked, created or reported: a shell waits.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ringrift.cli.invocation import current
from ringrift.core.errors import RingriftError
from ringrift.core.settings import CONFIGURATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

SHOWN_DIGITS = 12


def complete_boards(incomplete: str) -> list[str]:
    """Return the boards that continue the word, or the last word of a comma list."""
    boards = dict.fromkeys(name.rpartition("_")[0] for name in CONFIGURATIONS)
    return _continue(incomplete, boards)


def complete_configurations(incomplete: str) -> list[str]:
    """Return the configurations that continue the word, or the last word of a comma list."""
    return _continue(incomplete, CONFIGURATIONS)


def complete_profiles(incomplete: str) -> list[str]:
    """Return the shipped profiles that continue the word."""
    from ringrift.core.settings_loader import profile_names

    return _continue(incomplete, profile_names())


def complete_models(incomplete: str) -> list[str]:
    """Return aliases and ids of the models in the data root that continue the word."""
    try:
        root = current().known_root()
    except (RingriftError, OSError):
        return []
    if root is None:
        return []
    models = root / "models"
    digits = SHOWN_DIGITS if len(incomplete) <= SHOWN_DIGITS else None
    # The folder of a model is named by its first two digits: with them only one is read.
    folder = incomplete[:2] if len(incomplete) >= 2 else "??"
    ids = {path.stem[:digits] for path in (models / "objects").glob(f"{folder}/*.safetensors")}
    try:
        aliases = json.loads((models / "aliases.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # before the first alias there is no file
        aliases = {}
    names = aliases if isinstance(aliases, dict) else {}
    return _continue(incomplete, [*sorted(names), *sorted(ids)], lists=False)


def _continue(incomplete: str, words: Iterable[str], *, lists: bool = True) -> list[str]:
    before, comma, word = incomplete.rpartition(",") if lists else ("", "", incomplete)
    taken = set(before.split(","))
    return [
        f"{before}{comma}{known}"
        for known in words
        if known.startswith(word) and known not in taken
    ]
