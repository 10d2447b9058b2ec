"""Hold-out numbers of models, for promotions: those that are stored, measured anew where none are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.errors import NegativeResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ringrift.cli.invocation import Invocation
    from ringrift.models.judging import HoldOut


def holdout_numbers(run: Invocation) -> Callable[[str, bool], HoldOut | None]:
    """Return what tells the numbers of a model by its id, measuring them if the second says so."""
    paths = run.paths(create=False)

    def numbers(model_id: str, measure: bool) -> HoldOut | None:
        from ringrift.loop.holdouts import stored_holdout
        from ringrift.models.registry import model_path

        found = stored_holdout(paths.model_objects, model_id)
        if found is None and measure:
            _measure(run, model_path(paths.model_objects, model_id))
            found = stored_holdout(paths.model_objects, model_id)
        return found

    return numbers


def _measure(run: Invocation, path: Path) -> None:
    """Evaluate a model on the hold-out games of the data root; too few games leave it unknown."""
    from ringrift.cli.measured_model import seen_by
    from ringrift.nets.loading import open_described
    from ringrift.training.holdout_evaluation import Options, evaluate, write_result

    stores = sorted(run.paths(create=False).games.glob("*.db"))
    loaded = open_described(path)
    options = Options(stores=stores, seen=seen_by(run, loaded))
    try:
        write_result(path, evaluate(loaded, options))
    except NegativeResult as error:
        run.out.note(f"hold-out of {path.stem[:12]}: {error.message}")
