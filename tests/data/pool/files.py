"""Files of games for the tests of the pool, good ones and broken ones."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

from ringrift.data.pool.build import build_pool
from ringrift.data.pool.request import PoolRequest
from ringrift.records import GameMeta, analysis_to_json, to_json

from ...records.conftest import make_analysis, make_game

__all__ = [
    "lines_of",
    "make_analysis",
    "make_game",
    "of_purpose",
    "pool",
    "refused",
    "sides",
    "stored",
    "tampered",
]


def lines_of(*games, searched=False):
    """Our JSON lines of games, each with an analysis if asked for."""
    lines = []
    for game in games:
        lines.append(to_json(game))
        if searched:
            lines.append(analysis_to_json(make_analysis(game, entries=5), game))
    return [line.encode() + b"\n" for line in lines]


def of_purpose(game, purpose, *tags):
    return replace(game, meta=GameMeta(purpose=purpose, tags=tags))


def tampered(game, ply):
    """A line whose move at `ply` is another one that is not legal there."""
    tree = json.loads(to_json(game))
    moves = tree["moves"].split(";")
    moves[ply] = moves[ply - 1]
    tree["moves"] = ";".join(moves)
    return json.dumps(tree).encode() + b"\n"


def pool(output, *inputs, **options):
    """Build with named inputs; returns the report as JSON."""
    return build_pool(PoolRequest(output=output, named=tuple(inputs), **options)).as_json()


def stored(path):
    """Ids in the store by status, with split and purpose."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT id, split, purpose FROM games WHERE status = 'verified'")
        return {row[0]: row[1:] for row in found}


def sides(path):
    return {identity: split for identity, (split, _) in stored(path).items()}


def refused(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT reason, ply, detail, source FROM quarantine ORDER BY reason"
        ).fetchall()
