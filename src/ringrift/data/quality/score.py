"""The data quality score of a configuration, which gates its training (data.md 7)."""

from __future__ import annotations

import heapq
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from ringrift.agents.kinds import KINDS
from ringrift.agents.spec import parse_spec
from ringrift.core.errors import UsageError
from ringrift.data.reading import reading
from ringrift.data.walk import choices
from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import analysis_from_bytes, open_pair
from ringrift.records.game_bytes import from_bytes
from ringrift.records.ply_analysis import KINDS as PLY_KINDS
from ringrift.records.ply_table import PlyTable
from ringrift.records.quarantine import WITHDRAWN
from ringrift.records.record import GameRecord, VerificationError
from ringrift.rules.moves import SWAP

LAST_GAMES = 5_000
LAST_LINES = 1_000
LAST_INGESTED = 500
LEAST_GAMES = 100
LINE_PLIES = 12

WEIGHTS = {
    "verified": 0.25,
    "ended_by_rules": 0.20,
    "policy_coverage": 0.20,
    "diversity": 0.15,
    "seat_balance": 0.10,
    "full_simulations": 0.10,
}
"""The components and their weights."""

_CHEAP = PLY_KINDS.index("cheap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One part of the score in [0, 1], None where it is unknown; `n` is what it counts.

    `left_out` are those that do not apply: the other weights are rescaled.
    """

    name: str
    weight: float
    value: float | None
    n: int
    left_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The score of a configuration, None where a component or the number of games is wanting."""

    config: str
    games: int
    score: float | None
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one game adds to the score.

    `line` are its first plies, `winner` the seat or 0, `searches` whether an agent of it searches,
    `full` whether with all the simulations of the profile. `searched` are its full searches, of
    which `carried` have a distribution.
    """

    line: tuple[int, ...]
    by_rules: bool
    winner: int
    searches: bool
    full: bool
    searched: int
    carried: int


@dataclass(slots=True)
class Looks:
    """The sums over some games."""

    games: int = 0
    by_rules: int = 0
    searching: int = 0
    full: int = 0
    searched: int = 0
    carried: int = 0
    wins: Counter[int] = field(default_factory=Counter)

    def add(self, look: Look, sign: int = 1) -> None:
        """Count a game, or with -1 take it out again."""
        self.games += sign
        self.by_rules += sign * look.by_rules
        self.searching += sign * look.searches
        self.full += sign * look.full
        self.searched += sign * look.searched
        self.carried += sign * look.carried
        if look.winner:
            self.wins[look.winner] += sign

    @property
    def policy_share(self) -> float | None:
        """The share of full searches that carry a distribution, None without a full search."""
        return _share(self.carried, self.searched)


def quality_score(stores: Sequence[Path], config: str, *, full_simulations: int) -> Quality:
    """Measure the newest trainable games of a configuration in all of the stores together.

    `full_simulations` is what a full search of the profile has.
    """
    looks, lines = Looks(), list[tuple[int, ...]]()
    with ExitStack() as stack:
        connections = [stack.enter_context(reading(path)) for path in stores]
        for record, analyses in islice(_newest(connections, config), LAST_GAMES):
            look = look_at(record, analyses, full_simulations)
            looks.add(look)
            if len(lines) < LAST_LINES:
                lines.append(look.line)
        return score_of(config, looks, lines, _ingested(connections, config))


def score_of(
    config: str,
    looks: Looks,
    lines: Sequence[tuple[int, ...]],
    ingested: Sequence[bool],
) -> Quality:
    """Return the score of games.

    `lines` are the first plies of the newest 1,000; `ingested` tells of the games that came in last
    whether they verified.
    """
    components = _components(looks, lines, ingested, int(config[-2]))
    return Quality(
        config=config,
        games=looks.games,
        score=_score(components) if looks.games >= LEAST_GAMES else None,
        components=components,
    )


def _components(
    looks: Looks, lines: Sequence[tuple[int, ...]], ingested: Sequence[bool], players: int
) -> tuple[Component, ...]:
    games, wins = looks.games, looks.wins
    won = wins.total()
    unbalanced = max(abs(wins[s] / won - 1 / players) for s in range(1, players + 1)) if won else 0
    diversity = min(1.0, 2 * len(set(lines)) / len(lines)) if lines else None
    values: dict[str, tuple[float | None, int]] = {
        "verified": (_share(sum(ingested), len(ingested)), len(ingested)),
        "ended_by_rules": (_share(looks.by_rules, games), games),
        "policy_coverage": (looks.policy_share, looks.searched),
        "diversity": (diversity, len(lines)),
        "seat_balance": (1 - min(1.0, 4 * unbalanced) if won else None, won),
        "full_simulations": (_share(looks.full, games), games),
    }
    return tuple(
        Component(
            name=name,
            weight=weight,
            value=values[name][0],
            n=values[name][1],
            left_out=name == "policy_coverage" and games > 0 and not looks.searching,
        )
        for name, weight in WEIGHTS.items()
    )


def _score(components: Iterable[Component]) -> float | None:
    total = weights = 0.0
    for part in components:
        if part.left_out:
            continue
        if part.value is None:
            return None
        total += part.weight * part.value
        weights += part.weight
    return total / weights


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


# --- the games


def _newest(
    connections: Sequence[sqlite3.Connection], config: str
) -> Iterator[tuple[GameRecord, list[Analysis]]]:
    """Yield the trainable games with their analyses, those stored last first, each once."""
    rows = [_rows(connection, number, config) for number, connection in enumerate(connections)]
    seen: set[str] = set()
    for _, identity, data, number in heapq.merge(*rows, key=lambda row: row[0]):
        if identity in seen:
            continue
        seen.add(identity)
        found = connections[number].execute(
            "SELECT record FROM analyses WHERE game = ? ORDER BY id", (identity,)
        )
        yield from_bytes(data), [analysis_from_bytes(row[0]) for row in found]


def _rows(
    connection: sqlite3.Connection, number: int, config: str
) -> Iterator[tuple[float, str, bytes, int]]:
    sql = (
        "SELECT -ingested_at, id, record FROM trainable WHERE config = ? ORDER BY seq DESC LIMIT ?"
    )
    for row in connection.execute(sql, (config, LAST_GAMES)):
        yield (*row, number)


def look_at(record: GameRecord, analyses: Sequence[Analysis], full_simulations: int) -> Look:
    """Return what a game adds to the score; `full_simulations` as in `quality_score`."""
    searching = [_sims_of(agent.spec, record.spec.board) for agent in record.agents]
    tables = [found.table for found in analyses]
    full = False
    if any(searching) or analyses:
        most = [int(table.sims.max()) for table in tables if len(table)]
        full = max(most, default=max(searching)) >= full_simulations
    searched = carried = 0
    if any(searching):
        searched, carried = _plies(record, tables, [sims > 0 for sims in searching])
    return Look(
        line=record.moves[:LINE_PLIES],
        by_rules=record.result.end != "max_plies",
        winner=record.result.winner or 0,
        searches=any(searching),
        full=full,
        searched=searched,
        carried=carried,
    )


def _plies(record: GameRecord, tables: Sequence[PlyTable], searches: list[bool]) -> tuple[int, int]:
    """Count the full searches: choices of searching agents that no mark takes from them."""
    cheap: set[int] = set()
    full: set[int] = set()
    for table in tables:
        for ply, kind in zip(table.ply.tolist(), table.kinds.tolist(), strict=True):
            (cheap if kind == _CHEAP else full).add(ply)
    movers, counts = (column.tolist() for column in choices(record))
    seats = list(searches)
    searched = carried = 0
    for ply, move in enumerate(record.moves):
        if counts[ply] > 1 and seats[movers[ply] - 1] and ply not in record.marks:
            carried += ply in full
            searched += ply in full or ply not in cheap
        if move == SWAP:
            seats[0], seats[1] = seats[1], seats[0]
    return searched, carried


@lru_cache(maxsize=1024)
def _sims_of(spec: str, board: str) -> int:
    """Return the simulations that an agent's searches have: 0 without search, 1 where unknown."""
    try:
        parsed = parse_spec(spec)
    except UsageError:  # of a foreign program, or an older one of ours
        return int(_searches(re.split(r"[@:(]", spec, maxsplit=1)[0]))
    if parsed.parts:
        return max(_sims_of(str(part), board) for part, _ in parsed.parts)
    if not _searches(parsed.kind):
        return 0
    sims = parsed.get("sims", board=board)
    return sims if isinstance(sims, int) else 1


def _searches(kind: str) -> bool:
    return kind in KINDS and "sims" in KINDS[kind].keys


# --- what was ingested last


def _ingested(connections: Sequence[sqlite3.Connection], config: str) -> list[bool]:
    """Tell of the last games of a configuration that came in whether they verified.

    Refused bytes that do not tell their configuration count for none.
    """
    found: list[tuple[float, bool]] = []
    for connection in connections:
        sql = (
            "SELECT ingested_at, status = 'verified' FROM games WHERE config = ?"
            " ORDER BY seq DESC LIMIT ?"
        )
        rows = connection.execute(sql, (config, LAST_INGESTED))
        held = [(at, bool(verified)) for at, verified in rows]
        since = min((at for at, _ in held), default=0.0) if len(held) == LAST_INGESTED else 0.0
        found += held
        sql = "SELECT at, record FROM quarantine WHERE source != ? AND at >= ? ORDER BY at DESC, id"
        refused = connection.execute(sql, (WITHDRAWN, since))
        ours = ((at, False) for at, pair in refused if config_of_refused(pair) == config)
        found += islice(ours, LAST_INGESTED)
    found.sort(key=lambda one: -one[0])
    return [verified for _, verified in found[:LAST_INGESTED]]


def config_of_refused(pair: bytes) -> str | None:
    """Return the configuration that refused bytes name, None where they do not tell."""
    try:
        game = open_pair(pair)[0]
        spec = _sealed_spec(game) if game[:1] != b"{" else _json_spec(json.loads(game))
        board, players = spec
    except (VerificationError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return f"{board}_{players}p"


def _sealed_spec(game: bytes) -> tuple[Any, Any]:
    body = msgspec.msgpack.decode(msgspec.msgpack.decode(game)[3])
    board, players = body[2][:2]
    return board, players


def _json_spec(tree: Any) -> tuple[Any, Any]:
    spec = tree.get("spec", tree)
    board = spec.get("board") or spec.get("board_type") or spec["boardType"]
    return board, spec.get("players") or spec.get("num_players") or spec["numPlayers"]
