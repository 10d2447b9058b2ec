"""Games in foreign files, as other programs write them, for the tests of this folder."""

import json

import pytest

from ringrift.records.foreign import (
    ImportOptions,
    ImportReport,
    form_of_file,
    scan,
    write_lines,
    write_replay_db,
)
from ringrift.records.foreign.convert import Converted


def converted(path, **options):
    """Return (records with their analyses, report) of a file."""
    report = ImportReport()
    form = form_of_file(path, options.get("form", "auto"))
    found = [game for _, game in scan(path, form, ImportOptions(**options), report)]
    return [game for game in found if isinstance(game, Converted)], report


@pytest.fixture
def read():
    return converted


@pytest.fixture
def write(tmp_path):
    """Write games to a file of one of the four formats."""

    def write(games, form, *, analyses=None, **options):
        path = tmp_path / f"games.{form}"
        pairs = zip(games, analyses or [None] * len(games), strict=True)
        if form == "gamereplaydb":
            write_replay_db(path, pairs, **options)
        else:
            write_lines(path, form, pairs)
        return path

    return write


@pytest.fixture
def edited(tmp_path, write):
    """Write games as JSON lines, each changed by a function that gets the object."""

    def edited(games, form, change):
        path = write(games, form)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for fields in lines:
            change(fields)
        path.write_text("".join(json.dumps(fields) + "\n" for fields in lines))
        return path

    return edited
