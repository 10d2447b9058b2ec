"""Results without games behind them, from files of other programs (`evaluation.md` 11).

They are listed apart as unverified and merged by games; no fit ever reads them. Known are lists of
baseline gauntlets (`baseline_gauntlet_results.json`), results of matches (`result.json`), and SQLite
files with a table `match_history` in either layout: one row of two participants and a winner, or one
of a list of participants with ranks or a winner.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError
from ringrift.core.files import open_sqlite

OPPONENTS = {"vs_random": "random", "vs_heuristic": "heuristic", "vs_mcts": "mcts"}
_PAIRS = (("participant_a", "participant_b"), ("model_a", "model_b"), ("player_a", "player_b"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a file says of an agent against an opponent: wins of so many games, not checked."""

    config: str
    agent: str
    opponent: str
    wins: float
    games: int

    @property
    def rate(self) -> float | None:
        """Wins over games; None without any."""
        return self.wins / self.games if self.games else None

    def as_tree(self) -> dict[str, Any]:
        """Return the claim as it is published."""
        return {**asdict(self), "rate": self.rate}


def merge(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """Return one claim for each pair: sums of wins and of games, never means of rates."""
    wins: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    games: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for claim in claims:
        key = (claim.config, claim.agent, claim.opponent)
        wins[key] += claim.wins
        games[key] += claim.games
    return tuple(
        Claim(config=key[0], agent=key[1], opponent=key[2], wins=wins[key], games=games[key])
        for key in sorted(games)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The claims of a file; `run` is the match that a result is of, None for gauntlets."""

    claims: tuple[Claim, ...]
    run: str | None = None


def read_json(path: Path) -> Results:
    """Read a list of gauntlets or the result of a match; raises `DataError` for another file."""
    try:
        tree = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"no results: {error}", where=str(path)) from None
    try:
        if isinstance(tree, list):
            return Results(claims=tuple(claim for row in tree for claim in _gauntlet(row)))
        if isinstance(tree, dict) and "plan" in tree and "score" in tree:
            run = tree.get("run")
            return Results(claims=_match(tree), run=run if isinstance(run, str) else None)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"no results: {error!r}", where=str(path)) from None
    raise DataError("expected a list of gauntlets or the result of a match", where=str(path))


def read_database(path: Path) -> tuple[Claim, ...]:
    """Read the table `match_history` of a foreign SQLite file; raises `DataError` without one."""
    try:
        with closing(open_sqlite(path, readonly=True)) as connection:
            connection.row_factory = sqlite3.Row
            columns = {
                row["name"] for row in connection.execute("PRAGMA table_info(match_history)")
            }
            if not columns:
                raise DataError("no table match_history", where=str(path))
            rows = connection.execute("SELECT * FROM match_history").fetchall()
    except sqlite3.DatabaseError as error:
        raise DataError(f"no database of results: {error}", where=str(path)) from None
    pair = next((names for names in _PAIRS if set(names) <= columns), None)
    found: list[Claim] = []
    for number, row in enumerate(rows, start=1):
        values = dict(zip(row.keys(), row, strict=True))
        try:
            found += _pairwise(values, pair) if pair is not None else _listed(values)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"row {number} of match_history: {error!r}", where=str(path)) from None
    return merge(found)


def _gauntlet(row: Mapping[str, Any]) -> list[Claim]:
    config = str(row.get("config") or "unknown")
    agent = str(row.get("model_id") or row["model_path"])
    rates = {name: row.get(name) for name in OPPONENTS if row.get(name) is not None}
    if not rates:
        return []
    games = int(row["games_played"]) // len(rates)
    found = []
    for name, rate in rates.items():
        if rate is None or not 0.0 <= float(rate) <= 1.0 or games < 0:
            raise ValueError(f"{name} {rate!r} of {games} games")
        found.append(
            Claim(
                config=config,
                agent=agent,
                opponent=OPPONENTS[name],
                wins=float(rate) * games,
                games=games,
            )
        )
    return found


def _match(tree: Mapping[str, Any]) -> tuple[Claim, ...]:
    plan = tree["plan"]
    agents = [who["spec"] for who in plan["participants"]]
    score, games = tree["score"], int(tree["games"])
    if score is None or not math.isfinite(score):
        return ()
    opponent = " and ".join(agents[1:])
    claim = Claim(
        config=plan["config"], agent=agents[0], opponent=opponent, wins=score * games, games=games
    )
    return (claim,)


def _pairwise(row: Mapping[str, Any], pair: Sequence[str]) -> list[Claim]:
    first, second = str(row[pair[0]]), str(row[pair[1]])
    winner = row.get("winner", row.get("winner_id"))
    won = {first: 1.0, second: 0.0}.get(str(winner))
    if winner in (None, "", "draw"):
        won = 0.5
    if won is None:
        raise ValueError(f"winner {winner!r} of {first} and {second}")
    return _both(_config(row), first, second, won)


def _listed(row: Mapping[str, Any]) -> list[Claim]:
    who = json.loads(row["participant_ids"])
    ranks = json.loads(row.get("ranks") or row.get("rankings") or "[]")
    winner = row.get("winner_id", row.get("winner"))
    if not ranks and winner is not None:
        ranks = [1 if agent == winner else 2 for agent in who]
    if len(who) < 2 or (ranks and len(ranks) != len(who)):
        raise ValueError(f"{len(who)} participants with {len(ranks)} ranks")
    if not ranks:
        return []  # not finished
    found = []
    for i, agent in enumerate(who):
        for j, other in enumerate(who[i + 1 :], start=i + 1):
            if agent != other:
                share = 0.5 if ranks[i] == ranks[j] else float(ranks[i] < ranks[j])
                found += _both(_config(row), str(agent), str(other), share)
    return found


def _both(config: str, first: str, second: str, share: float) -> list[Claim]:
    return [
        Claim(config=config, agent=first, opponent=second, wins=share, games=1),
        Claim(config=config, agent=second, opponent=first, wins=1.0 - share, games=1),
    ]


def _config(row: Mapping[str, Any]) -> str:
    board, players = row.get("board_type"), row.get("num_players")
    return f"{board}_{players}p" if board and players else "unknown"
