"""Find out what nodes have, fetch what is missing here, send what is needed there.

Nothing is remembered between calls: what is missing is computed from what both sides have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.errors import DataError, NotRunningError, RefusedError, RingriftError
from ringrift.core.ids import short
from ringrift.core.log import get_logger
from ringrift.data.distributed.aria2 import aria2_program
from ringrift.data.distributed.download import Mirrors, download
from ringrift.models.aliases import align
from ringrift.models.archive import archived_ids
from ringrift.models.decisions import read_chain
from ringrift.models.registry import model_path
from ringrift.models.synchronisation.admission import (
    admit_description,
    admit_model,
    incoming,
    is_sound,
)
from ringrift.models.synchronisation.chains import Merged, merge, parse_decision
from ringrift.models.synchronisation.listing import Listing, Shared, inventory, local_listing
from ringrift.models.synchronisation.nodes import FolderNode, HttpNode, keep_small

if TYPE_CHECKING:
    from ringrift.data.distributed.authorization import Authorization
    from ringrift.data.distributed.inventory import Inventory
    from ringrift.models.decisions import Decision

log = get_logger(__name__)

AnyNode = FolderNode | HttpNode
LARGE_BYTES = 100 * 1000 * 1000
MANY_NODES = 20
"""With larger files or more nodes aria2 is used where it is installed (`cluster.md` 9)."""


@dataclass(slots=True, kw_only=True)
class NodeState:
    """What one node has and what was exchanged with it, bytes and names of models.

    `stale` are configurations whose champion there is not ours; `missing` are models that we have
    and it has not.
    """

    name: str
    transport: str
    reachable: bool = True
    problem: str | None = None
    models: int = 0
    champions: dict[str, str] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    bytes: int = 0
    bad: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One exchange of this node's models folder with others."""

    models: Path
    nodes: Sequence[AnyNode]
    authorization: Authorization
    needed: frozenset[str] = frozenset()
    dry_run: bool = False
    on_bytes: Callable[[int], None] = lambda count: None
    states: dict[str, NodeState] = field(default_factory=dict, init=False)
    listings: dict[str, Listing] = field(default_factory=dict, init=False)
    merged: list[Merged] = field(default_factory=list, init=False)
    _own: Inventory = field(init=False)

    def __post_init__(self) -> None:
        self._own = inventory(self.models)

    @property
    def own(self) -> Listing:
        """What is here now."""
        return local_listing(self._own)

    def discover(self) -> None:
        """Ask every node what it has; one that does not answer is noted and left out."""
        ours = self.own
        for node in self.nodes:
            state = NodeState(name=node.name, transport=node.transport)
            self.states[node.name] = state
            try:
                listing = node.listing()
                state.champions = {
                    config: champion
                    for config in sorted(listing.configurations)
                    if (champion := self._champion_there(node, listing, config)) is not None
                }
            except (NotRunningError, RefusedError, DataError) as error:
                state.reachable, state.problem = False, str(error)
                continue
            self.listings[node.name] = listing
            state.models = len(listing.models)
            state.missing = sorted(ours.models.keys() - listing.models.keys())
            state.stale = sorted(
                config
                for config, champion in self.champions().items()
                if state.champions.get(config) != champion
            )

    def champions(self) -> dict[str, str]:
        """Return our champions by configuration."""
        folder = self.models / "decisions"
        chains = [read_chain(folder, path.name) for path in sorted(folder.glob("*_?p"))]
        return {chain.config: chain.champion for chain in chains if chain.champion is not None}

    def collect(self) -> None:
        """Fetch models, descriptions and decisions that are missing or damaged here.

        What was pruned here stays away, unless it is a champion or needed.
        """
        reached = [node for node in self.nodes if node.name in self.listings]
        ours = self.own
        ids = sorted({m for node in reached for m in self.listings[node.name].models})
        wanted = self._wanted_champions(reached) | self.needed
        pruned = (ours.descriptions.keys() | set(archived_ids(self.models))) - ours.models.keys()
        for model_id in ids:
            if model_id in pruned and model_id not in wanted:
                continue
            offers = [(node, self.listings[node.name].models.get(model_id)) for node in reached]
            self._bring(model_id, [(node, file) for node, file in offers if file is not None], ours)
        for node in reached:
            self._bring_descriptions(node)
            self._bring_decisions(node)
        if not self.dry_run:
            align(self.models)

    def distribute(self, *, everything: bool) -> None:
        """Send nodes what they lack: champions, `needed` models and decisions, or everything."""
        ours = self.own
        chosen = set(ours.models)
        if not everything:
            chosen &= set(self.champions().values()) | self.needed
        for node in self.nodes:
            if node.name not in self.listings:
                continue
            try:
                self._send_all(node, ours, chosen)
            except (NotRunningError, RefusedError, DataError) as error:
                self.states[node.name].problem = str(error)

    # --- fetching

    def _bring(self, model_id: str, offers: list[tuple[AnyNode, Shared]], ours: Listing) -> None:
        here = ours.models.get(model_id)
        if here is not None:
            if all(file.sha256 == here.sha256 for _, file in offers):
                return
            if is_sound(model_path(self.models / "objects", model_id), model_id):
                for node, file in offers:
                    if file.sha256 != here.sha256:
                        self._blame(node.name, f"{short(model_id)} is damaged there")
                return
            log.warning("a model is damaged here and fetched again", model=short(model_id))
        by_hash: dict[str, list[tuple[AnyNode, Shared]]] = {}
        for node, file in offers:
            by_hash.setdefault(file.sha256, []).append((node, file))
        for same in sorted(by_hash.values(), key=len, reverse=True):
            if self._bring_one(model_id, same):
                return

    def _bring_one(self, model_id: str, offers: list[tuple[AnyNode, Shared]]) -> bool:
        """Fetch one file that several nodes have alike; tell whether it stands here now."""
        if self.dry_run:
            self._received(offers[0][0], model_id, offers[0][1].size_bytes)
            return True
        servers = [node for node, _ in offers if isinstance(node, HttpNode)]
        folders = [node for node, _ in offers if isinstance(node, FolderNode)]
        file = offers[0][1]
        tries: list[Callable[[Path], AnyNode]] = []
        if servers:
            tries.append(lambda target: self._download(servers, file, target))
        tries += [_copier(node, file, self.on_bytes) for node in folders]
        for attempt in tries:
            arrived = incoming(self.models, file.name)
            try:
                node = attempt(arrived)
                admit_model(self.models, model_id, arrived)
            except RingriftError as error:
                for source in servers or folders:
                    self._blame(source.name, f"{short(model_id)}: {error.message}")
                continue
            self._received(node, model_id, file.size_bytes)
            return True
        return False

    def _download(self, servers: list[HttpNode], file: Shared, target: Path) -> AnyNode:
        aria2 = None
        if file.size_bytes > LARGE_BYTES or len(self.nodes) > MANY_NODES:
            aria2 = aria2_program()
        mirrors = Mirrors(
            servers=tuple(node.url for node in servers), authorization=self.authorization
        )
        done = download(file.sha256, mirrors, target, aria2=aria2, on_bytes=self.on_bytes)
        for mirror in done.bad:
            for node in servers:
                if mirror.url.startswith(node.url):
                    self._blame(node.name, f"{file.name}: {mirror.reason}")
        bad = {mirror.url.partition("/files/")[0] for mirror in done.bad}
        return next((node for node in servers if node.url not in bad), servers[0])

    def _bring_descriptions(self, node: AnyNode) -> None:
        have = self.own.descriptions
        for model_id, file in self.listings[node.name].descriptions.items():
            if model_id in have:
                continue
            if self.dry_run:
                self.states[node.name].bytes += file.size_bytes
                continue
            arrived = incoming(self.models, file.name)
            try:
                keep_small(arrived, node.read(file))
                admit_description(self.models, model_id, arrived)
            except RingriftError as error:
                self._blame(node.name, error.message)
            else:
                self.states[node.name].bytes += file.size_bytes

    def _bring_decisions(self, node: AnyNode) -> None:
        have = self.own.decisions
        for config in sorted(self.listings[node.name].configurations):
            files = _of(self.listings[node.name], config)
            if all(have.get(file.name) == file for file in files) or self.dry_run:
                continue
            try:
                theirs = _decisions(node, config, files)
                found = merge(self.models / "decisions", config, theirs)
            except RingriftError as error:
                self._blame(node.name, error.message)
                continue
            if found.refused is not None:
                self._blame(node.name, f"{config}: {found.refused}")
            if found.added or found.refused:
                self.merged.append(found)
            names = {f"{config}/{name}" for name in found.added}
            self.states[node.name].bytes += sum(f.size_bytes for f in files if f.name in names)

    def _wanted_champions(self, reached: Iterable[AnyNode]) -> set[str]:
        there = {c for node in reached for c in self.states[node.name].champions.values()}
        return there | set(self.champions().values())

    # --- sending

    def _send_all(self, node: AnyNode, ours: Listing, chosen: set[str]) -> None:
        there, state = self.listings[node.name], self.states[node.name]
        files: list[Shared] = []
        for model_id in sorted(chosen - there.models.keys()):
            path = model_path(self.models / "objects", model_id)
            if not is_sound(path, model_id):
                self._blame("this node", f"{short(model_id)} is damaged here")
                continue
            files.append(ours.models[model_id])
        lacking = {f.model_id for f in files} | (set(ours.descriptions) & chosen)
        files = [
            ours.descriptions[model_id]
            for model_id in sorted(m for m in lacking if m is not None)
            if model_id in ours.descriptions and model_id not in there.descriptions
        ] + files
        # Models first: a decision there must find the file of its champion.
        files += [
            ours.decisions[name] for name in sorted(ours.decisions) if name not in there.decisions
        ]
        for file in files:
            if not self.dry_run:
                source = self._source(file)
                if isinstance(node, FolderNode) and file.name in ours.decisions:
                    self._decide_there(node, ours, file.name.partition("/")[0])
                else:
                    node.send(file, source, self.on_bytes)
            state.bytes += file.size_bytes
            if file.name in {f.name for f in ours.models.values()} and file.model_id is not None:
                state.sent.append(file.model_id)
        if isinstance(node, FolderNode) and not self.dry_run and files:
            align(node.folder)

    def _decide_there(self, node: FolderNode, ours: Listing, config: str) -> None:
        """Extend the chain in a mounted folder as its own node would."""
        mine = FolderNode(self.models)
        found = merge(
            node.folder / "decisions", config, _decisions(mine, config, _of(ours, config))
        )
        if found.refused is not None:
            raise DataError(f"{config}: {found.refused}", where=node.name)

    def _source(self, file: Shared) -> Path:
        return self.models / ("objects" if file.model_id is not None else "decisions") / file.name

    # --- notes

    def _champion_there(self, node: AnyNode, listing: Listing, config: str) -> str | None:
        """Return the champion of the last decision that a node lists."""
        files = _of(listing, config)
        theirs = _decisions(node, config, files[-1:]) if files else []
        return theirs[-1][0].champion if theirs else None

    def _received(self, node: AnyNode, model_id: str, size_bytes: int) -> None:
        self.states[node.name].received.append(model_id)
        self.states[node.name].bytes += size_bytes

    def _blame(self, name: str, told: str) -> None:
        log.warning("a node has something bad", node=name, what=told)
        state = self.states.setdefault(name, NodeState(name=name, transport="local"))
        if told not in state.bad:
            state.bad.append(told)


def _copier(
    node: FolderNode, file: Shared, on_bytes: Callable[[int], None]
) -> Callable[[Path], AnyNode]:
    def copy(target: Path) -> AnyNode:
        node.copy(file, target, on_bytes)
        return node

    return copy


def _of(listing: Listing, config: str) -> list[Shared]:
    return [listing.decisions[n] for n in sorted(listing.decisions) if n.startswith(f"{config}/")]


def _decisions(node: AnyNode, config: str, files: Iterable[Shared]) -> list[tuple[Decision, bytes]]:
    found = []
    for file in files:
        data = node.read(file)
        found.append((parse_decision(data, config, file.name.partition("/")[2]), data))
    return found
