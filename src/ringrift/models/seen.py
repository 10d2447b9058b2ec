"""Which games a model and its ancestors learned from, as cards and manifests tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.models.cards import Described
from ringrift.models.lineage import Datasets, games_seen
from ringrift.training.holdout_evaluation import SeenGames

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.training.holdout_evaluation.evaluate import Model


def seen_games(model: Model, models: Path, npz: Path | None) -> SeenGames:
    """Return the games that a loaded model and its ancestors learned from, as far as is known.

    Cards of ancestors stand in `models`, manifests below `npz`.
    """
    card = Described(
        id=model.id, card=dict(model.card), created_at=None, host=None, label=None, here=True
    )
    listed = Datasets(npz)
    own = {name: listed.games(name) for name in card.datasets}
    above = [games_seen(models, npz, parent) for parent, _ in card.parents]
    games = frozenset(game for ids in own.values() for game in ids or ())
    unknown = {name for name, ids in own.items() if ids is None}
    return SeenGames(
        own=games,
        lineage=games.union(*(found.games for found in above)),
        datasets=len(own.keys() | {name for found in above for name in found.datasets}),
        datasets_unknown=len(unknown.union(*(found.unknown for found in above))),
        ancestors_unknown=len({name for found in above for name in found.missing}),
    )
