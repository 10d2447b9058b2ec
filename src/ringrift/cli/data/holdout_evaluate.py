"""What `data holdout` does to models: `--evaluate`, `--evaluate-stratified`, `--stratified-summary`.

    evaluate(invocation, model, stores, board, players, stratified=..., check_overfitting=...,
             train_loss=..., dry_run=...)
    show_summary(invocation)

Each prints the command's one result; a negative answer ends with exit code 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.measured_model import opened, seen_by
from ringrift.cli.output import Column
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.training.holdout_evaluation import Evaluation

EVALUATION = "Evaluation"

Evaluate = Annotated[
    bool,
    typer.Option(
        "--evaluate",
        help="Measure --model on hold-out games and on games it was trained on.",
        rich_help_panel=EVALUATION,
    ),
]
EvaluateStratified = Annotated[
    bool,
    typer.Option(
        "--evaluate-stratified",
        help="The same by stage, seat and end of the game.",
        rich_help_panel=EVALUATION,
    ),
]
StratifiedSummary = Annotated[
    bool,
    typer.Option(
        "--stratified-summary",
        help="Show all stored results by stage.",
        rich_help_panel=EVALUATION,
    ),
]
CheckOverfitting = Annotated[
    bool,
    typer.Option(
        "--check-overfitting",
        help="Exit code 1 for a gap above safety.overfit_threshold.",
        rich_help_panel=EVALUATION,
    ),
]
ModelRef = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="REF",
        help="Model: a file, an id, an alias, a configuration or champion.",
        rich_help_panel=EVALUATION,
    ),
]
TrainLoss = Annotated[
    float,
    typer.Option(
        "--train-loss",
        min=0.0,
        metavar="X",
        help="Value loss in training, in nats; 0 measures it.",
        rich_help_panel=EVALUATION,
    ),
]

_FIGURES = (
    ("value_loss", "value loss, nats"),
    ("policy_loss", "policy loss, nats"),
    ("top1", "top-1"),
    ("value_error", "value error"),
    ("sign_accuracy", "sign right"),
    ("ece", "ECE"),
    ("brier", "Brier"),
)


def evaluate(
    invocation: Invocation,
    model: str | None,
    stores: Sequence[Path],
    board: str | None,
    players: int | None,
    *,
    stratified: bool,
    check_overfitting: bool,
    train_loss: float,
    dry_run: bool,
) -> None:
    """Evaluate a model, keep the result beside it and print it; exit code 1 says unknown or no.

    `board` and `players` choose among champions and must be those of the model.
    """
    from ringrift.training.holdout_evaluation import Options, write_result
    from ringrift.training.holdout_evaluation import evaluate as measure

    if model is None:
        raise UsageError("--evaluate needs a model", where="--model", hint="--model champion")
    threshold = invocation.settings().values.safety.overfit_threshold
    loaded = opened(invocation, model, board, players)
    with invocation.out.progress() as progress:
        task = progress.task("measuring", unit="games")
        options = Options(
            stores=stores,
            train_loss=train_loss or None,
            seen=seen_by(invocation, loaded),
            on_games=lambda done, total: task.update(done, total=total),
        )
        found = measure(loaded, options)
        task.finish()
    file = None if dry_run else write_result(loaded.path, found)
    overfitted = found.gap.value > threshold
    ok = not (overfitted and check_overfitting)
    invocation.out.result(
        {
            "evaluation": {
                **found.as_json(),
                "threshold": threshold,
                "overfitted": overfitted,
                "file": None if file is None else str(file),
            },
            "dry_run": dry_run,
        },
        human=lambda console: _show(invocation, console, found, stratified=stratified),
        ok=ok,
    )
    if overfitted:
        invocation.out.note(f"the gap {found.gap.value:.3f} is above {threshold:g}: overfitted")
    if not ok:
        raise typer.Exit(NegativeResult.exit_code)


def show_summary(invocation: Invocation) -> None:
    """Print every stored result by stage; exit code 1 without any."""
    from ringrift.training.holdout_evaluation import read_results

    folder = invocation.paths(create=False).model_objects
    found = [{**result, "file": str(path)} for path, result in read_results(folder)]
    columns = [
        Column("model"),
        Column("configuration"),
        Column("gap", number=True),
        *(Column(f"{stage}, nats", number=True) for stage in _stages(found)),
        Column("positions", number=True),
    ]
    rows = [
        (
            result["model"][:12],
            result["config"],
            result["gap"]["value"],
            *(_loss(result, stage) for stage in _stages(found)),
            result["holdout"]["positions"],
        )
        for result in found
    ]
    table = invocation.out.table(columns, rows, title="value loss on hold-out games")
    invocation.out.result(
        {"results": found, "dry_run": False},
        human=table if found else "no stored results",
        ok=bool(found),
    )
    if not found:
        raise typer.Exit(NegativeResult.exit_code)


def _stages(found: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(stage for result in found for stage in result["strata"]["stage"]))


def _loss(result: Mapping[str, Any], stage: str) -> float | None:
    loss: float | None = result["strata"]["stage"].get(stage, {}).get("value_loss")
    return loss


# --- what is shown


def _show(invocation: Invocation, console: Console, found: Evaluation, *, stratified: bool) -> None:
    heads = [Column("positions of"), Column("games", number=True), Column("positions", number=True)]
    heads += [Column(head, number=True) for _, head in _FIGURES]
    sides = {"hold-out": found.holdout, "training": found.training}
    sides |= {"hold-out, also in training": found.seen, "hold-out, new": found.unseen}
    if stratified:
        sides |= {
            f"{kind.replace('_', ' ')} {name}": figures
            for kind, by in found.strata.items()
            for name, figures in by.items()
        }
    rows = [
        (name, side.games, side.positions, *(getattr(side, field) for field, _ in _FIGURES))
        for name, side in sides.items()
        if side is not None
    ]
    console.print(invocation.out.table(heads, rows, title=f"{found.config} {found.model[:12]}"))
    gap = found.gap
    console.print(
        f"gap of value loss {gap.value:+.4f} (95 %: {gap.low:+.4f} to {gap.high:+.4f})"
        + _policy_gap(found),
        soft_wrap=True,
    )
    console.print(_source(found), soft_wrap=True)


def _policy_gap(found: Evaluation) -> str:
    gap = found.policy_gap
    if gap is None:
        return ""
    return f", of policy loss {gap.value:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})"


def _source(found: Evaluation) -> str:
    sources = {
        "dataset": "training games are those of its dataset",
        "trainable": "the card does not say which games it was trained on: any trainable ones",
    }
    said = sources[found.source]
    if found.train_loss is not None:
        said = f"training loss as given: {found.train_loss:g}"
    held = f"{found.holdout.games:,} of {found.held:,} hold-out games"
    left = f"{found.left_out:,} left out as seen by its lineage"
    unknown = (
        f"{found.datasets_unknown} of {found.datasets} datasets and {found.ancestors_unknown} models "
        "of its lineage are not here"
    )
    return f"{held}; {left}; {unknown}; {said}"
