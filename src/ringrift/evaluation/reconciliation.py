"""Bring the match games of several nodes together (`evaluation.md` 6).

Games and plans are named by their content: two nodes that hold the same set have the same ratings to
the byte. A node is given as the path of its data root or of its store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ringrift.core.alerts import AlertBook
from ringrift.core.errors import NotRunningError, RingriftError, UsageError
from ringrift.core.ids import canonical_json, short
from ringrift.core.paths import Paths
from ringrift.core.settings.configurations import CONFIGURATIONS
from ringrift.evaluation.elo_service import rules_of
from ringrift.evaluation.match_copies import (
    MatchStore,
    RefusedGame,
    match_store,
    settle,
    take_games,
    take_plans,
)
from ringrift.evaluation.ratings.service import RatingSource
from ringrift.records.store import GameStore

THRESHOLD = 50.0
HERE = "here"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDrift:
    """An agent's rating here and there; None where it has none. `difference` is absolute."""

    agent_hash: str
    spec: str
    here: float | None
    there: float | None

    @property
    def difference(self) -> float | None:
        """Absolute difference in Elo, None where one is unknown."""
        if self.here is None or self.there is None:
            return None
        return round(abs(self.here - self.there), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigDrift:
    """How far two nodes are apart in one configuration: games by id, agents by difference."""

    config: str
    missing_here: tuple[str, ...]
    missing_there: tuple[str, ...]
    disputed: tuple[str, ...]
    agents: tuple[AgentDrift, ...]

    @property
    def largest(self) -> float:
        """Largest difference of a rating, 0 without any."""
        return max((a.difference for a in self.agents if a.difference is not None), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far this node and `peer` are apart."""

    peer: str
    configs: tuple[ConfigDrift, ...]

    @property
    def largest(self) -> float:
        """Largest difference of a rating in any configuration."""
        return max((config.largest for config in self.configs), default=0.0)

    @property
    def games(self) -> int:
        """Games that one of both misses, or that they dispute."""
        return sum(
            len(c.missing_here) + len(c.missing_there) + len(c.disputed) for c in self.configs
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult:
    """What came from a node: games that are new here, that were here, and that were refused."""

    peer: str
    fetched: int
    known: int
    refused: tuple[RefusedGame, ...]
    plans: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileReport:
    """What came from every node, how far each is apart afterwards, and why some gave nothing."""

    results: tuple[SyncResult, ...]
    drifts: tuple[Drift, ...]
    failed: dict[str, RingriftError] = field(default_factory=dict)


class EloReconciler:
    """Compares and unites the match games of a data root with those of other nodes.

    `peers` are the nodes that `reconcile_all` asks; `configs` are all twelve unless given.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        peers: Sequence[str] = (),
        configs: Sequence[str] | None = None,
    ) -> None:
        paths = Paths(Path(root).resolve())
        self._paths = paths
        self._source = RatingSource.of_root(paths, rules_of(paths.root))
        self._peers = tuple(peers)
        self._configs = tuple(configs or CONFIGURATIONS)

    def check_drift(self, peer: str | None = None) -> Drift:
        """Return how far this node is from a peer, or from the farthest of its peers.

        Raises `NotRunningError` for a peer that cannot be read, `RefusedError` for one of another
        version, `UsageError` without any peer.
        """
        if peer is None:
            found = [self.check_drift(name) for name in self._peers]
            if not found:
                raise UsageError("no node to compare with", hint="a path of its data root")
            return max(found, key=lambda drift: (drift.largest, drift.games))
        path = store_of(peer)
        with match_store(path) as there:
            configs = tuple(self._drift(there, path, config) for config in self._wanted(there))
        return Drift(peer=peer, configs=configs)

    def sync_from_remote(self, host: str) -> SyncResult:
        """Take over what a node has and this one has not; every game is replayed first.

        A copy that does not follow from its moves is refused, and an alert `conflict` names it. Raises
        as `check_drift` does, and `RingriftError` (70) if ratings differ over the same games.
        """
        path = store_of(host)
        fetched = known = plans = 0
        refused: list[RefusedGame] = []
        self._make_store()
        with match_store(path) as there:
            for config in self._wanted(there):
                theirs, ours = there.games(config), self._games(config)
                plans += take_plans(self._source.store, there, config)
                added, bad = take_games(
                    self._source.store, there, sorted(theirs.keys() - ours.keys()), node=host
                )
                disputed = sorted(i for i in theirs.keys() & ours.keys() if theirs[i] != ours[i])
                wrong = settle(self._source.store, there, disputed, here_name=HERE, node=host)
                fetched, known = fetched + added, known + len(theirs.keys() & ours.keys())
                refused += [*bad, *wrong]
                self._compare(path, config, bool(bad or wrong))
        self._alert(refused)
        return SyncResult(
            peer=host, fetched=fetched, known=known, refused=tuple(refused), plans=plans
        )

    def reconcile_all(self) -> ReconcileReport:
        """Take over what every peer has, in their order; one that fails does not stop the others."""
        results, drifts, failed = [], [], {}
        for peer in self._peers:
            try:
                results.append(self.sync_from_remote(peer))
                drifts.append(self.check_drift(peer))
            except RingriftError as error:
                failed[peer] = error
        return ReconcileReport(results=tuple(results), drifts=tuple(drifts), failed=failed)

    # --- what stands behind

    def _wanted(self, there: MatchStore) -> list[str]:
        """Return the configurations to look at: those that either node has games of."""
        found = there.configs()
        if self._source.store.is_file():
            with match_store(self._source.store) as here:
                found |= here.configs()
        return [config for config in self._configs if config in found]

    def _games(self, config: str) -> dict[str, tuple[str, str, int]]:
        if not self._source.store.is_file():
            return {}
        with match_store(self._source.store) as here:
            return here.games(config)

    def _make_store(self) -> None:
        if not self._source.store.is_file():
            GameStore.open(self._source.store, writer=True).close()

    def _drift(self, there: MatchStore, path: Path, config: str) -> ConfigDrift:
        theirs, ours = there.games(config), self._games(config)
        here_rows, there_rows = self._rows(self._source, config), self._rows(self._at(path), config)
        agents = [
            AgentDrift(
                agent_hash=agent,
                spec=str((here_rows.get(agent) or there_rows[agent])["spec"]),
                here=here_rows.get(agent, {}).get("elo"),
                there=there_rows.get(agent, {}).get("elo"),
            )
            for agent in sorted(here_rows.keys() | there_rows.keys())
        ]
        return ConfigDrift(
            config=config,
            missing_here=tuple(sorted(theirs.keys() - ours.keys())),
            missing_there=tuple(sorted(ours.keys() - theirs.keys())),
            disputed=tuple(sorted(i for i in theirs.keys() & ours.keys() if theirs[i] != ours[i])),
            agents=tuple(sorted(agents, key=lambda a: (-(a.difference or 0.0), a.agent_hash))),
        )

    def _at(self, store: Path) -> RatingSource:
        """Return what rates another node's games exactly as ours."""
        return replace(self._source, store=store)

    @staticmethod
    def _rows(source: RatingSource, config: str) -> dict[str, dict[str, Any]]:
        tree = source.tree(config, keep=False)
        return {row["agent_hash"]: row for row in tree["ratings"]}

    def _compare(self, path: Path, config: str, refused: bool) -> None:
        """Raise if both nodes hold the same games and rate them differently."""
        if refused:
            return
        with match_store(path) as there:
            same = there.games(config).keys() == self._games(config).keys()
        if not same:
            return
        here, other = (
            canonical_json(source.tree(config, keep=False))
            for source in (self._source, self._at(path))
        )
        if here != other:
            raise RingriftError(
                f"the same match games of {config} give other ratings there", where=str(path)
            )

    def _alert(self, refused: Sequence[RefusedGame]) -> None:
        if not refused:
            return
        book = AlertBook(self._paths.coordination / "alerts.db")
        try:
            for game in refused:
                told = f"game {short(game.id)} of {game.node} is refused: {game.reason}"
                values = {"game": game.id, "node": game.node, "reason": game.reason}
                book.alert(
                    "conflict", f"game {short(game.id)} of {game.node}", text=told, values=values
                )
        finally:
            book.close()


def store_of(peer: str) -> Path:
    """Return the store of a node that is given as a data root or a store.

    Raises `NotRunningError` for a host name: games of other hosts travel over the job bus.
    """
    path = Path(peer).expanduser()
    if path.is_dir():
        return Paths(path.resolve()).game_store
    if path.is_file():
        return path
    raise NotRunningError(
        f"{peer!r} is no folder here, and no job bus connects this node to other hosts",
        where=peer,
        hint="the path of a data root or of a store",
    )
