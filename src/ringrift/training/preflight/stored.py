"""The checks `store`, `volume` and `sources`: what the games themselves are like."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError, RefusedError, RingriftError
from ringrift.data.reading import reading
from ringrift.data.verify_sources import check_sources
from ringrift.nets.container import ModelError, read_card
from ringrift.records.game_bytes import from_bytes
from ringrift.records.record import VerificationError
from ringrift.records.verify import verified_play
from ringrift.training.preflight.model import Check, Context, Part, of_parts

SAMPLED_GAMES = 50
INTEGRITY_S = 15.0
"""Longest that SQLite looks through one store; a large one takes longer and is a warning."""
QUALITY_S = 15.0
_STEPS = 100_000
_OF_STORE = ("missing", "schema")
"""Problems of sources that the store check names."""


def check_store(context: Context) -> Check:
    """Look through each store with SQLite and replay 50 of its games; note those that do not hold."""
    parts = [Part("FAIL", problem, "ringrift data pool") for problem in context.problems]
    for path in context.stores:
        found = list(_looked_through(path))
        if any(part.state == "FAIL" for part in found):
            context.unsound.add(path)
        parts += found
    return of_parts("store", parts, limit=f"integrity, {SAMPLED_GAMES} games replayed")


def _looked_through(path: Path) -> Iterator[Part]:
    remedy = "ringrift games verify, or a copy of the store"
    try:
        with reading(path) as connection:
            yield from _integrity(connection, path)
            games = _replayed(connection)
            yield Part("ok", f"{path}: {games} games replayed")
    except VerificationError as error:
        yield Part("FAIL", f"{path}: {error}", remedy)
    except (DataError, RefusedError) as error:
        yield Part("FAIL", f"{path}: {error.message}", error.hint or remedy)
    except sqlite3.DatabaseError as error:
        yield Part("FAIL", f"{path}: {error}", remedy)


def _integrity(connection: sqlite3.Connection, path: Path) -> Iterator[Part]:
    deadline_s = time.monotonic() + INTEGRITY_S
    connection.set_progress_handler(lambda: int(time.monotonic() > deadline_s), _STEPS)
    try:
        (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        found = f"{path}: not looked through within {INTEGRITY_S:.0f} s"
        yield Part("warn", found, "sqlite3 FILE 'PRAGMA integrity_check'")
        return
    finally:
        connection.set_progress_handler(None, 0)
    if answer != "ok":
        raise DataError(f"damaged: {str(answer).splitlines()[-1]}", where=str(path))


def _replayed(connection: sqlite3.Connection) -> int:
    """Replay games spread over the store; return how many."""
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM games").fetchone()
    step = max(1, last // SAMPLED_GAMES)
    sql = "SELECT id, play_hash, record FROM trainable WHERE seq >= ? ORDER BY seq LIMIT 1"
    done: set[str] = set()
    for first in range(1, last + 1, step):
        row = connection.execute(sql, (first,)).fetchone()
        if row is None or row[0] in done:
            continue
        record = from_bytes(row[2])
        if record.id != row[0] or verified_play(record) != row[1]:
            raise VerificationError("id_mismatch", f"game {row[0][:12]} is not what its row says")
        done.add(row[0])
        if len(done) == SAMPLED_GAMES:
            break
    return len(done)


def check_volume(context: Context) -> Check:
    """Count the trainable games of each configuration, those no champion has seen, and the quality."""
    if not context.sound:
        return Check(
            name="volume", state="warn", found="no store can be read", remedy="see the check store"
        )
    parts: list[Part] = []
    if not context.configs:
        parts.append(Part("FAIL", "no trainable game", "ringrift selfplay run"))
    began_s = time.monotonic()
    for config in context.configs:
        parts += _amount(context, config)
        if time.monotonic() - began_s > QUALITY_S:
            parts.append(Part("warn", f"{config}: quality not measured, no time", _QUALITY))
        else:
            parts += _quality(context, config)
    return of_parts(
        "volume",
        parts,
        limit=f"{context.min_games} games, quality {context.quality_min:g}",
    )


_QUALITY = "ringrift data quality, which shows its components"


def _amount(context: Context, config: str) -> Iterator[Part]:
    seen = _seen_by_champion(context, config)
    games = new = 0
    for path in context.sound:
        with reading(path) as connection:
            found = connection.execute(
                "SELECT count(*), count(*) FILTER (WHERE seq > ?) FROM trainable WHERE config = ?",
                (seen, config),
            ).fetchone()
            games, new = games + int(found[0]), new + int(found[1])
    more = f"ringrift selfplay run --config-key {config}"
    if games < context.min_games:
        yield Part("FAIL", f"{config}: {games:,} trainable games", more)
    elif not new:
        yield Part("FAIL", f"{config}: no game that the champion has not seen", more)
    else:
        yield Part("ok", f"{config}: {games:,} trainable games, {new:,} new")


def _seen_by_champion(context: Context, config: str) -> int:
    """Return the number of the newest game that the champion's training could read, else 0."""
    path = context.champions.get(config)
    if path is None:
        return 0
    try:
        training: dict[str, Any] = read_card(path)[1]["training"] or {}
    except ModelError:
        return 0  # what the check of checkpoints is about
    upto = training.get("games_upto")
    return upto if isinstance(upto, int) else 0


def _quality(context: Context, config: str) -> Iterator[Part]:
    try:
        score = context.quality(context.sound, config)
    except RingriftError as error:
        yield Part("warn", f"{config}: quality unknown, {error.message}", _QUALITY)
        return
    if score is None:
        yield Part("warn", f"{config}: quality unknown", _QUALITY)
    elif score < context.quality_min:
        yield Part("FAIL", f"{config}: quality {score:.2f}", _QUALITY)
    else:
        yield Part("ok", f"quality {score:.2f}")


def check_sources_given(context: Context) -> Check:
    """Ask whether the stores may be learned from at all (`data.md` 12)."""
    if not context.sound:
        return Check(
            name="sources", state="warn", found="no store can be read", remedy="see the check store"
        )
    problems = check_sources(context.sound, context.registry)
    return of_parts(
        "sources",
        [
            *(
                Part("FAIL", f"{p.db}: {p.code}, {p.detail}", p.remedy)
                for p in problems
                if p.code not in _OF_STORE
            ),
            Part("ok", f"{len(context.sound)} canonical"),
        ],
        limit="kind canonical, present gate",
    )
