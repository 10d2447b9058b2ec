"""The model that a command measures, and which games it and its ancestors learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.cli.model_references import ModelReferences
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.nets.model_file import LoadedModel
    from ringrift.nets.nnue.evaluator import NnueModel
    from ringrift.training.holdout_evaluation import SeenGames


def opened(
    invocation: Invocation, reference: str, board: str | None, players: int | None
) -> LoadedModel | NnueModel:
    """Load the model that a reference means; board and players choose among champions.

    Raises `UsageError` for none, or for one of another configuration than asked for.
    """
    from ringrift.nets.container import read_card
    from ringrift.nets.loading import open_model, spec_of

    config = None if board is None else f"{board}_{2 if players is None else players}p"
    path = ModelReferences.of(invocation).named(reference, config)
    _, card = read_card(path)
    found = (card["board"], card["players"])
    if board not in (None, found[0]) or players not in (None, found[1]):
        asked = f"{board or found[0]}_{players or found[1]}p"
        raise UsageError(
            f"a model of {card['config']}; asked for {asked}",
            where=reference,
            hint="without --board",
        )
    return open_model(path, spec_of(card, str(path)))


def seen_by(invocation: Invocation, model: LoadedModel | NnueModel) -> SeenGames:
    """Return the games that a model and its ancestors learned from, as far as they are known here.

    Cards stand beside the model's file or in the data root, manifests in the data root.
    """
    from ringrift.models.seen import seen_games

    root = invocation.known_root()
    objects = model.path.resolve().parent.parent
    models = objects.parent if objects.name == "objects" or root is None else root / "models"
    return seen_games(model, models, None if root is None else root / "data" / "npz")
