"""Where a model comes from: parents, datasets, games, what each step won (`models.md` 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ringrift.core.ids import MIN_PREFIX
from ringrift.data.dataset.manifest import NAME, Manifest
from ringrift.models.cards import Described, describe
from ringrift.models.decisions import MOVES_CHAMPION, read_chain
from ringrift.models.listing import Listed, Rating, list_models
from ringrift.models.steps import EloStep, elo_step
from ringrift.nets.container import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.models.listing import Listing, Matched


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A dataset that a model learned from; `games` is None where its manifest is not here.

    The id is the fingerprint of the data: the same games in the same form have the same id.
    """

    id: str
    games: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The games that a model and all its ancestors were trained on.

    `unknown` are datasets without a manifest here, `missing` ancestors without a card.
    """

    games: frozenset[str]
    datasets: tuple[str, ...]
    unknown: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """One model of a lineage: the model itself at depth 0, its parents at depth 1, and so on.

    `roles` are (id, role) of its parents; `known` is None for a model without a card. `games` are
    those of its own datasets, `new_games` those that none of its ancestors saw, None if unknown.
    """

    id: str
    depth: int
    roles: tuple[tuple[str, str], ...] = ()
    known: Described | None = None
    listed: Listed | None = None
    trained: tuple[Trained, ...] = ()
    games: int | None = None
    new_games: int | None = None

    @property
    def epochs(self) -> int | None:
        """Epochs of its training."""
        return _whole(self._training.get("epochs"))

    @property
    def loss(self) -> float | None:
        """Loss on the validation samples, else on those of the training."""
        losses = self._training.get("losses")
        sides = losses if isinstance(losses, Mapping) else {}
        for side in ("validation", "training"):
            part = sides.get(side)
            found = part.get("loss") if isinstance(part, Mapping) else None
            if isinstance(found, (int, float)):
                return float(found)
        return None

    @property
    def _training(self) -> Mapping[str, Any]:
        return {} if self.known is None else self.known.training


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A model and its ancestors, the nearest first; `faults` are missing cards and cycles."""

    models: tuple[Ancestor, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn in office: who became champion by which decision, when, and what it measured."""

    model: str
    kind: str
    sequence: int
    at: str
    by: str
    step: EloStep


@dataclass(slots=True)
class Datasets:
    """Games of datasets by id, from the manifests below `npz`; each is read once."""

    npz: Path | None
    _games: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def games(self, dataset: str) -> frozenset[str] | None:
        """Return the ids of a dataset's games, None where its manifest is not here."""
        if dataset not in self._games:
            self._games[dataset] = self._read(dataset)
        return self._games[dataset]

    def _read(self, dataset: str) -> frozenset[str] | None:
        if self.npz is None or len(dataset) < MIN_PREFIX:
            return None
        for folder in sorted(self.npz.glob(f"*/{dataset[:MIN_PREFIX]}*")):
            if dataset.startswith(folder.name) and (folder / NAME).is_file():
                manifest = Manifest.read(folder)
                if manifest.id == dataset:
                    return frozenset(manifest.game_ids)
        return None


def ancestry(objects: Path, model_id: str) -> tuple[dict[str, Described | None], list[str]]:
    """Return the cards of a model and its ancestors, nearest first, and what is wrong with them.

    A model without a card is None. A cycle and a missing card are faults, named by their ids.
    """
    found: dict[str, Described | None] = {}
    faults: list[str] = []
    waiting = [model_id]
    while waiting:
        identity = waiting.pop(0)
        if identity in found:
            continue
        try:
            known = describe(objects, identity)
        except ModelError as error:
            found[identity] = None
            faults.append(f"{identity[:12]}: {error.code}: {error.detail}")
            continue
        found[identity] = known
        waiting += [parent for parent, _ in known.parents]
    faults += [f"{identity[:12]}: descends from itself" for identity in _circular(found)]
    return found, faults


def games_seen(models: Path, npz: Path | None, model_id: str) -> Seen:
    """Return the games that a model and its ancestors were trained on, from their manifests."""
    cards, _ = ancestry(models / "objects", model_id)
    return _seen(cards, Datasets(npz), cards)


def lineage(
    models: Path,
    npz: Path | None,
    model_id: str,
    *,
    depth: int | None = None,
    matched: Matched = lambda ids: frozenset(),
    ratings: Mapping[str, Rating] | None = None,
) -> Lineage:
    """Return a model and its ancestors down to `depth` generations, with all that is known of each.

    `matched` and `ratings` are those of `list_models`.
    """
    cards, faults = ancestry(models / "objects", model_id)
    listing = list_models(models, matched=matched, ratings=ratings)
    datasets = Datasets(npz)
    depths = _depths(cards, model_id)
    return Lineage(
        models=tuple(
            _ancestor(identity, depths[identity], cards, listing, datasets)
            for identity in sorted(depths, key=depths.__getitem__)
            if depth is None or depths[identity] <= depth
        ),
        faults=tuple(faults),
    )


def champions(models: Path, config: str) -> list[Turn]:
    """Return who was champion of a configuration, first to last."""
    turns: list[Turn] = []
    for decision in read_chain(models / "decisions", config).decisions:
        if decision.kind in MOVES_CHAMPION and decision.champion != decision.champion_before:
            rolled_back = decision.kind == "rolled_back"
            turns.append(
                Turn(
                    model=decision.champion,
                    kind=decision.kind,
                    sequence=decision.sequence,
                    at=decision.at,
                    by=decision.by,
                    step=EloStep() if rolled_back else elo_step(decision),
                )
            )
    return turns


def _ancestor(
    identity: str,
    depth: int,
    cards: Mapping[str, Described | None],
    listing: Listing,
    datasets: Datasets,
) -> Ancestor:
    known = cards[identity]
    if known is None:
        return Ancestor(id=identity, depth=depth)
    own = [datasets.games(name) for name in known.datasets]
    games = frozenset[str]().union(*(found for found in own if found is not None))
    before = _above(cards, identity)
    names = dict.fromkeys(n for other in before if (c := cards[other]) for n in c.datasets)
    earlier = [datasets.games(name) for name in names]
    known_sets = [found for found in earlier if found is not None]
    new = sum(not any(game in found for found in known_sets) for game in games)
    counted = None if None in own else len(games)
    whole = counted is not None and None not in earlier and all(cards[i] for i in before)
    return Ancestor(
        id=identity,
        depth=depth,
        roles=known.parents,
        known=known,
        listed=listing.one(identity),
        trained=tuple(
            Trained(id=name, games=None if found is None else len(found))
            for name, found in zip(known.datasets, own, strict=True)
        ),
        games=_whole(known.training.get("games")) if counted is None else counted,
        new_games=new if whole else None,
    )


def _seen(cards: Mapping[str, Described | None], datasets: Datasets, ids: Iterable[str]) -> Seen:
    """Return the games that some models were themselves trained on."""
    members = list(ids)
    names = dict.fromkeys(
        name for member in members if (card := cards[member]) for name in card.datasets
    )
    found = {name: datasets.games(name) for name in names}
    return Seen(
        games=frozenset[str]().union(*(games for games in found.values() if games is not None)),
        datasets=tuple(found),
        unknown=tuple(name for name, games in found.items() if games is None),
        missing=tuple(member for member in members if cards[member] is None),
    )


def _parents(cards: Mapping[str, Described | None], identity: str) -> list[str]:
    known = cards.get(identity)
    return [] if known is None else [parent for parent, _ in known.parents]


def _above(cards: Mapping[str, Described | None], identity: str) -> list[str]:
    """Return the ancestors of a model, without itself."""
    return [other for other in _depths(cards, identity) if other != identity]


def _depths(cards: Mapping[str, Described | None], identity: str) -> dict[str, int]:
    """Return the ancestors of a model by the fewest generations between."""
    found = {identity: 0}
    waiting = [identity]
    while waiting:
        child = waiting.pop(0)
        for parent in _parents(cards, child):
            if parent not in found:
                found[parent] = found[child] + 1
                waiting.append(parent)
    return found


def _circular(cards: Mapping[str, Described | None]) -> list[str]:
    """Return the models that are their own ancestors."""
    left = {identity: set(_parents(cards, identity)) & cards.keys() for identity in cards}
    while free := [identity for identity, parents in left.items() if not parents]:
        for identity in free:
            del left[identity]
        for parents in left.values():
            parents.difference_update(free)
    return sorted(
        identity
        for identity, parents in left.items()
        if any(identity in _depths(cards, parent) for parent in parents)
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
