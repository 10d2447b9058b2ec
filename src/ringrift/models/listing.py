"""The models there are, with the status that decisions and matches give them (`models.md` 2)."""

from __future__ import annotations

import os
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ringrift.core.errors import UsageError
from ringrift.core.files import open_sqlite
from ringrift.models.aliases import read_aliases
from ringrift.models.index import FILE, open_index
from ringrift.models.pins import read_pins
from ringrift.models.retired import read_retired

_ID = re.compile(r"[0-9a-f]{64}")

Status = Literal[
    "registered",
    "candidate",
    "champion",
    "rejected",
    "inconclusive",
    "superseded",
    "former",
    "rolled_back",
    "archived",
    "quarantined",
]
Place = Literal["here", "archived", "quarantined", "gone"]
Sort = Literal["created", "elo"]
Matched = Callable[[Iterable[str]], frozenset[str]]
"""Tells which of some models have played in a match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """A fitted rating, `random` = 400, with its 95 % interval and the games behind it."""

    elo: float
    low: float
    high: float
    games: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the decisions say of a model: status, whether by hand, and the last one about it.

    `elo_diff` is what that decision measured against the champion of its time, over `games`.
    """

    status: Status = "registered"
    manual: bool = False
    decision: str | None = None
    decided_at: str | None = None
    elo_diff: float | None = None
    elo_low: float | None = None
    elo_high: float | None = None
    games: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One model of a list; unknown numbers are None. A `retired` one is in no tournament."""

    id: str
    kind: str | None
    config: str | None
    board: str | None
    players: int | None
    label: str | None
    created_at: str | None
    host: str | None
    parameters: int | None
    random: bool
    file: Place
    standing: Standing
    rating: Rating | None
    aliases: tuple[str, ...]
    pinned: bool
    holdout_error: float | None
    gap: float | None
    retired: bool = False

    @property
    def status(self) -> Status:
        """Its status; a file that is not in use any more counts unless it is the champion's."""
        if self.standing.status != "champion" and self.file in ("archived", "quarantined"):
            return self.file
        if self.standing.status != "champion" and self.retired:
            return "archived"
        return self.standing.status

    def as_json(self) -> dict[str, Any]:
        """Return its fields as they are published."""
        found, rating = self.standing, self.rating
        return {
            "id": self.id,
            "config": self.config,
            "kind": self.kind,
            "status": self.status,
            "manual": found.manual,
            "elo": None if rating is None else rating.elo,
            "elo_ci95": None if rating is None else [rating.low, rating.high],
            "rated_games": None if rating is None else rating.games,
            "decision": found.decision,
            "decided_at": found.decided_at,
            "elo_diff": found.elo_diff,
            "elo_diff_ci95": None if found.elo_diff is None else [found.elo_low, found.elo_high],
            "test_games": found.games,
            "holdout_error": self.holdout_error,
            "gap": self.gap,
            "label": self.label,
            "aliases": list(self.aliases),
            "pinned": self.pinned,
            "random": self.random,
            "parameters": self.parameters,
            "created_at": self.created_at,
            "host": self.host,
            "file": self.file,
        }


@dataclass(frozen=True, slots=True)
class Listing:
    """Models, the newest or the strongest first, and those that cannot be read, with their code."""

    models: tuple[Listed, ...]
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def of(
        self,
        *,
        board: str | None = None,
        players: int | None = None,
        kind: str | None = None,
        status: str | None = None,
    ) -> list[Listed]:
        """Return the models that fit; raises `UsageError` for a status that does not exist."""
        if status is not None and status not in get_args(Status):
            raise UsageError(f"no status {status!r}", hint=", ".join(get_args(Status)))
        return [
            model
            for model in self.models
            if board in (None, model.board)
            and players in (None, model.players)
            and kind in (None, model.kind)
            and status in (None, model.status)
        ]

    def one(self, model_id: str) -> Listed | None:
        """Return a model by its id, None for one that is not known."""
        return next((model for model in self.models if model.id == model_id), None)


def list_models(
    models: Path,
    *,
    matched: Matched = lambda ids: frozenset(),
    ratings: Mapping[str, Rating] | None = None,
    sort: Sort = "created",
) -> Listing:
    """Return all models of a folder, the newest first, or the strongest with unrated ones last.

    `matched` tells which models without a decision have played matches, `ratings` are the fitted
    ones by id.
    """
    aliases: dict[str, list[str]] = {}
    for name, alias in read_aliases(models).items():
        aliases.setdefault(alias.id, []).append(name)
    pins, retired, known = read_pins(models), read_retired(models), ratings or {}
    elsewhere = _elsewhere(models)
    with open_index(models) as index:
        rows = index.execute(
            "SELECT id, stands, problem, kind, config, board, players, label, created_at, host,"
            " parameters, random FROM models ORDER BY created_at DESC, id"
        ).fetchall()
        decided = _standings(index)
        measured = _measured(index)
    undecided = [row[0] for row in rows if row[2] is None and row[0] not in decided]
    candidates = matched(undecided) if undecided else frozenset()
    found = [
        Listed(
            id=row[0],
            kind=row[3],
            config=row[4],
            board=row[5],
            players=row[6],
            label=row[7],
            created_at=row[8],
            host=row[9],
            parameters=row[10],
            random=bool(row[11]),
            file="here" if row[1] & FILE else elsewhere.get(row[0], "gone"),
            standing=decided.get(row[0], _CANDIDATE if row[0] in candidates else _REGISTERED),
            rating=known.get(row[0]),
            aliases=tuple(aliases.get(row[0], ())),
            pinned=row[0] in pins,
            holdout_error=measured.get(row[0], (None, None))[0],
            gap=measured.get(row[0], (None, None))[1],
            retired=row[0] in retired,
        )
        for row in rows
        if row[2] is None
    ]
    if sort == "elo":
        found.sort(key=lambda m: (m.rating is None, 0.0 if m.rating is None else -m.rating.elo))
    unreadable = {row[0]: row[2] for row in rows if row[2] is not None}
    return Listing(tuple(found), unreadable)


_REGISTERED = Standing()
_CANDIDATE = Standing(status="candidate")


def played_matches(store: Path) -> Matched:
    """Return what tells which models have played match games of a game store (`selfplay.md` 6)."""

    def matched(ids: Iterable[str]) -> frozenset[str]:
        if not store.is_file():
            return frozenset()
        sql = (
            "SELECT 1 FROM game_agents a JOIN games g ON g.id = a.game"
            " WHERE a.model = ? AND g.purpose = 'match' LIMIT 1"
        )
        with closing(open_sqlite(store, readonly=True)) as games:
            return frozenset(i for i in ids if games.execute(sql, (i,)).fetchone() is not None)

    return matched


@dataclass(slots=True)
class _Career:
    """What happened to one model, in the order of the decisions."""

    crowned: str | None = None
    demoted: bool = False
    last: Standing | None = None

    def standing(self, *, champion: bool) -> Standing:
        """Return where it stands now."""
        last = _REGISTERED if self.last is None else self.last
        if champion:
            return replace(last, status="champion", manual=self.crowned == "manual")
        if self.demoted:
            return replace(last, status="rolled_back")
        return last if self.crowned is None else replace(last, status="former")


def _standings(index: sqlite3.Connection) -> dict[str, Standing]:
    """Return what the decisions say of each model they name."""
    careers: defaultdict[str, _Career] = defaultdict(_Career)
    champions: dict[str, str] = {}
    rows = index.execute(
        "SELECT config, kind, candidate, champion_before, champion, at, elo_diff, elo_low,"
        " elo_high, games FROM decisions ORDER BY config, place"
    )
    for config, kind, candidate, before, champion, at, *measured in rows:
        elo, low, high, games = measured
        careers[candidate].last = Standing(
            status=kind,
            decision=kind,
            decided_at=at,
            elo_diff=elo,
            elo_low=low,
            elo_high=high,
            games=games,
        )
        if before != champion:
            careers[champion].crowned, careers[champion].demoted = kind, False
            if before is not None:
                careers[before].demoted = kind == "rolled_back"
        champions[config] = champion
    in_office = set(champions.values())
    return {
        model: career.standing(champion=model in in_office) for model, career in careers.items()
    }


def _measured(index: sqlite3.Connection) -> dict[str, tuple[float | None, float | None]]:
    """Return value error and gap of each model's last hold-out result."""
    rows = index.execute("SELECT model, value_error, gap FROM evaluations ORDER BY model, name")
    return {model: (error, gap) for model, error, gap in rows}


def _elsewhere(models: Path) -> dict[str, Place]:
    """Return which models have a file in the archive or in quarantine."""
    found: dict[str, Place] = {}
    places: tuple[tuple[str, Place], ...] = (("archive", "archived"), ("quarantine", "quarantined"))
    for folder, place in places:
        for _, _, names in os.walk(models / folder):
            for name in names:
                if (match := _ID.match(name)) is not None and not name.endswith(".json"):
                    found.setdefault(match.group(), place)
    return found
