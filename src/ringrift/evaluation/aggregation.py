"""Bring results from several places together (`evaluation.md` 11).

Match games are united by id and replayed before they count; numbers without games behind them are
listed apart. A place that cannot be read is named and the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError, NotRunningError, RingriftError
from ringrift.core.paths import Paths
from ringrift.evaluation.foreign_results import Claim, merge, read_database, read_json
from ringrift.evaluation.match_copies import RefusedGame, match_store, take_games, take_plans
from ringrift.evaluation.store_writer import writer_in_turn
from ringrift.records.game_bytes import from_bytes
from ringrift.records.record import GameRecord
from ringrift.records.refused import Refused
from ringrift.records.sources import scan_games
from ringrift.records.store import GameStore

GAUNTLETS = "baseline_gauntlet_results.json"
RESULT = "result.json"
RECORDS = (".jsonl", ".rrshard", ".journal", ".gz", ".zst")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What one place gave: match games, those of them that are new here, claims, or an error."""

    path: str
    kind: str
    games: int = 0
    new: int = 0
    taken: int = 0
    refused: int = 0
    claims: tuple[Claim, ...] = ()
    error: RingriftError | None = None

    def as_tree(self) -> dict[str, Any]:
        """Return what is published of it."""
        return {
            "path": self.path,
            "kind": self.kind,
            "games": self.games,
            "new": self.new,
            "taken": self.taken,
            "refused": self.refused,
            "claims": len(self.claims),
            "error": None if self.error is None else str(self.error),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """What all places gave; `unverified` are the claims of all, merged."""

    sources: tuple[Source, ...]
    unverified: tuple[Claim, ...]

    @property
    def failed(self) -> tuple[Source, ...]:
        """The places that could not be read."""
        return tuple(source for source in self.sources if source.error is not None)


def aggregate(store: Path, places: Sequence[str], *, collect: bool) -> Aggregate:
    """Look at every place; with `collect` its match games and plans are added to `store`.

    A place is a data root, a store, a run folder of a match, a file of game records, or a file of
    results (`foreign_results`).
    """
    if collect and not store.is_file():
        GameStore.open(store, writer=True).close()
    sources: list[Source] = []
    for place in places:
        for path, kind in _parts(place):
            sources.append(_source(store, path, kind, collect=collect))
    return Aggregate(sources=tuple(sources), unverified=merge(c for s in sources for c in s.claims))


def _parts(place: str) -> list[tuple[Path, str]]:
    """Return the files that a place stands for, each with what it is."""
    path = Path(place).expanduser()
    if path.is_dir():
        if (path / RESULT).is_file():
            return [(path / RESULT, "match")]
        paths = Paths(path.resolve())
        found = [(paths.game_store, "store"), (paths.data / GAUNTLETS, "results")]
        return [part for part in found if part[0].is_file()] or [(path, "nothing")]
    if not path.is_file():
        return [(path, "host")]
    if path.suffix == ".json":
        return [(path, "match" if path.name == RESULT else "results")]
    if path.suffix in RECORDS:
        return [(path, "records")]
    return [(path, "store" if _is_store(path) else "database")]


def _is_store(path: Path) -> bool:
    try:
        with GameStore.open(path):
            return True
    except RingriftError:
        return False


def _source(store: Path, path: Path, kind: str, *, collect: bool) -> Source:
    name = str(path)
    try:
        if kind == "store":
            return _of_store(store, path, collect=collect)
        if kind == "records":
            return _of_records(store, path, collect=collect)
        if kind == "match":
            return _of_match(store, path)
        if kind == "results":
            return Source(path=name, kind=kind, claims=read_json(path).claims)
        if kind == "database":
            return Source(path=name, kind=kind, claims=read_database(path))
        if kind == "host":
            raise NotRunningError(
                "no file or folder, and no job bus connects this node to other hosts",
                where=name,
                hint="the path of a data root, a store or a file of results",
            )
        raise DataError("a folder without games or results", where=name)
    except RingriftError as error:
        return Source(path=name, kind=kind, error=error)


def _of_store(store: Path, path: Path, *, collect: bool) -> Source:
    games = new = taken = 0
    refused: list[RefusedGame] = []
    with match_store(path) as there:
        for config in sorted(there.configs()):
            ids = there.games(config).keys()
            missing = sorted(ids - _known(store, config))
            games, new = games + len(ids), new + len(missing)
            if collect:
                take_plans(store, there, config)
                added, bad = take_games(store, there, missing, node=str(path))
                taken, refused = taken + added, [*refused, *bad]
    return Source(
        path=str(path), kind="store", games=games, new=new, taken=taken, refused=len(refused)
    )


def _of_records(store: Path, path: Path, *, collect: bool) -> Source:
    games: list[GameRecord] = []
    bad: list[Refused] = []
    for item in scan_games(path):
        if isinstance(item, Refused):
            bad.append(item)
            continue
        record = item[0] if isinstance(item[0], GameRecord) else from_bytes(item[0])
        if record.meta.purpose == "match":
            games.append(record)
    if bad and not games:
        raise bad[0].error
    known = {config: _known(store, config) for config in {game.spec.config for game in games}}
    fresh = [game for game in games if game.id not in known[game.spec.config]]
    taken = 0
    if collect and fresh:
        with writer_in_turn(store) as writer:
            pairs = [(game, None) for game in fresh]
            taken = writer.ingest(pairs, source=f"aggregate {path}").added
    return Source(
        path=str(path),
        kind="records",
        games=len(games),
        new=len(fresh),
        taken=taken,
        refused=len(bad) + (len(fresh) - taken if collect else 0),
    )


def _of_match(store: Path, path: Path) -> Source:
    """Return the claims of a match, none where its games are here."""
    found = read_json(path)
    here = 0
    if store.is_file() and found.run is not None:
        with GameStore.open(store) as opened:
            here = opened.count(run=found.run, purpose="match")
    if here:
        return Source(path=str(path), kind="match", games=here)
    return Source(path=str(path), kind="match", claims=found.claims)


def _known(store: Path, config: str) -> set[str]:
    if not store.is_file():
        return set()
    with match_store(store) as here:
        return set(here.games(config))
