"""`ringrift train calibrate`: how far a model's values can be believed (`training.md` 7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ringrift.cli.completion import complete_models
from ringrift.cli.data.parts import OnlyBoard, OnlyPlayers, board_of
from ringrift.cli.invocation import current
from ringrift.cli.measured_model import opened, seen_by
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.nets.calibration import Temperatures
    from ringrift.nets.model_file import LoadedModel
    from ringrift.nets.nnue.evaluator import NnueModel
    from ringrift.training.calibration.measured import Calibration, Grouping
    from ringrift.training.calibration.report import CalibrationReport
    from ringrift.training.measuring.games import Side
    from ringrift.training.measuring.positions import Positions

Method = Literal["temperature", "platt", "isotonic"]
GROUPINGS: tuple[Grouping, ...] = ("phase", "seat", "ply", "agent")
HOLDOUT = "holdout"

_FIGURES = (
    ("ece", "ECE"),
    ("mce", "MCE"),
    ("brier_score", "Brier"),
    ("reliability", "reliability"),
    ("resolution", "resolution"),
    ("uncertainty", "uncertainty"),
    ("log_loss", "log loss, nats"),
    ("overconfidence", "overconfidence"),
    ("optimal_temperature", "best T"),
)


def calibrate(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="REF",
            help="Model: a file, an id, an alias, a configuration or champion.",
            autocompletion=complete_models,
            rich_help_panel="Input",
        ),
    ] = "champion",
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DATASET",
            help="Measure on the validation games of a dataset [default: the hold-out of the store].",
            rich_help_panel="Input",
        ),
    ] = None,
    board: OnlyBoard = None,
    players: OnlyPlayers = None,
    bins: Annotated[
        int,
        typer.Option("--bins", min=1, max=1000, metavar="N", help="Bins of predicted values."),
    ] = 10,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="WORDS", help="Groups: phase, seat, ply, agent, by commas."),
    ] = None,
    method: Annotated[
        Method, typer.Option("--method", help="What corrects the values.")
    ] = "temperature",
    apply: Annotated[
        bool,
        typer.Option(
            "--apply",
            help="Write the model anew with its temperature, with --by phase one for each third.",
            rich_help_panel="Output",
        ),
    ] = False,
    plots: Annotated[
        Path | None,
        typer.Option(
            "--plots", metavar="DIR", help="Draw reliability diagrams.", rich_help_panel="Output"
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Measure how far a model's values can be believed, and correct them.

    Reads decisions of finished games that the model and its ancestors have not learned from. The
    correction is fitted to every other game and measured on the rest. With --apply the tensors are
    written under a new model id; nothing else changes, and no alias moves. A phase is a third of the
    way that the leading seat has gone to a threshold of rings or territory.

    Exit code 1 for fewer than 200 positions, or where --apply finds no temperature.

    Examples: ringrift train calibrate --by phase,seat |
    ringrift train calibrate --model models/square8_2p.pt --apply --json
    """
    invocation = current()
    if apply and method != "temperature":
        raise UsageError(
            f"--apply with --method {method}: a card holds temperatures",
            where="--apply",
            hint="--method temperature",
        )
    groupings = _groupings(by)
    loaded = opened(invocation, model, board_of(board), players)
    source = _source_of(invocation, loaded, data)
    tree: dict[str, Any] = {
        "model": loaded.id,
        "config": loaded.spec.config,
        "source": source.name,
        "games": source.games,
        "positions": None,
        "method": method,
        **dict.fromkeys(("overall", "corrected", "temperature", "by_third", "applied", "file")),
        "groups": {},
        "plots": [],
    }
    if dry_run:
        told = f"{tree['config']} {loaded.id[:12]} on {_source(tree)}; nothing measured"
        invocation.out.result({"calibration": tree, "dry_run": True}, human=told)
        return

    found = _measured(invocation, loaded, source, bins, groupings, method)
    tree |= _tree(found)
    if apply:
        temperatures: Temperatures = (found.temperature,) * 3
        if "phase" in groupings:
            temperatures = found.by_third
        path = _write(invocation, loaded, temperatures)
        tree |= {"applied": path.stem, "file": str(path)}
    if plots is not None:
        tree["plots"] = [str(path) for path in _draw(plots, found)]
    invocation.out.result(
        {"calibration": tree, "dry_run": False},
        human=lambda console: _show(invocation, console, found, tree),
    )


def _groupings(by: str | None) -> list[Grouping]:
    words = [word.strip() for word in (by or "").split(",") if word.strip()]
    for word in words:
        if word not in GROUPINGS:
            raise UsageError(
                f"groups by {word!r}; expected some of {', '.join(GROUPINGS)}", where="--by"
            )
    return [name for name in GROUPINGS if name in words]


# --- games


@dataclass(frozen=True, slots=True)
class _Source:
    """Positions to measure on, `holdout` or the id of their dataset, and of how many games."""

    name: str
    games: int
    positions: Iterable[Positions]


def _source_of(
    invocation: Invocation, model: LoadedModel | NnueModel, data: Path | None
) -> _Source:
    if data is None:
        side = _holdout(invocation, model)
        return _Source(HOLDOUT, len(side), side.positions())
    from ringrift.data.dataset import Dataset
    from ringrift.training.measuring.positions import positions_of_dataset

    if not data.exists():
        raise UsageError(f"no dataset {data}", where="--data", hint="ringrift data export")
    dataset = Dataset.open(data)
    if dataset.manifest.board_spec != model.spec:
        raise UsageError(
            f"a dataset of {dataset.manifest.config} {dataset.manifest.spec['hash'][:12]}; the model "
            f"is for {model.spec.config} {model.spec.hash[:12]}",
            where=str(data),
        )
    positions = positions_of_dataset(dataset)
    return _Source(dataset.manifest.id, len(set(positions.table.game.tolist())), [positions])


def _holdout(invocation: Invocation, model: LoadedModel | NnueModel) -> Side:
    from ringrift.cli.data.parts import stores_of
    from ringrift.training.holdout_evaluation.games import held_out

    seen = seen_by(invocation, model).lineage
    return held_out(stores_of(invocation, None), model.spec, seen).side


def _measured(
    invocation: Invocation,
    model: LoadedModel | NnueModel,
    source: _Source,
    bins: int,
    groupings: Sequence[Grouping],
    method: Method,
) -> Calibration:
    from ringrift.training.calibration.measured import calibrate as measure
    from ringrift.training.calibration.sampling import sample

    with invocation.out.progress() as progress:
        task = progress.task("measuring", total=source.games, unit="games")
        found = sample(model.evaluator(), source.positions, on_games=task.update)
        task.finish()
    return measure(found, num_bins=bins, by=groupings, method=method)


# --- results


def _tree(found: Calibration) -> dict[str, Any]:
    from ringrift.training.holdout_evaluation.measures import rounded

    def told(report: CalibrationReport | None) -> dict[str, Any] | None:
        if report is None:
            return None
        tree = {name: rounded(value) for name, value in report.to_dict().items()}
        bins = [{name: rounded(value) for name, value in each.items()} for each in tree["bins"]]
        return tree | {"bins": bins}

    return {
        "games": found.games,
        "positions": found.positions,
        "overall": told(found.overall),
        "corrected": told(found.corrected),
        "groups": {
            name: {group: told(report) for group, report in reports.items()}
            for name, reports in found.groups.items()
        },
        "temperature": rounded(found.temperature),
        "by_third": [rounded(t) for t in found.by_third],
    }


def _write(
    invocation: Invocation, model: LoadedModel | NnueModel, temperatures: Temperatures
) -> Path:
    from ringrift.training.calibration.applying import write_calibrated
    from ringrift.training.calibration.fitting import at_the_end

    for temperature in temperatures:
        if at_the_end(temperature):
            raise NegativeResult(
                f"no temperature to apply: the loss is least at {temperature:.3g}, the end of the range",
                where=f"model {model.id[:12]}",
                hint="a trained model, or more games",
            )
    return write_calibrated(model, temperatures, invocation.paths().model_objects)


def _draw(folder: Path, found: Calibration) -> Iterator[Path]:
    from ringrift.training.value_calibration import create_reliability_diagram

    reports = {"all": found.overall}
    if found.corrected is not None:
        reports["corrected"] = found.corrected
    reports |= {
        f"{name} {group}": report
        for name, by in found.groups.items()
        for group, report in by.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, report) in enumerate(reports.items()):
        path = folder / f"{number:02d}-{re.sub(r'[^A-Za-z0-9]+', '-', name)[:60]}.png"
        create_reliability_diagram(report, path, title=name)
        yield path


def _show(
    invocation: Invocation, console: Console, found: Calibration, tree: dict[str, Any]
) -> None:
    columns = [Column("samples of"), Column("n", number=True)]
    columns += [Column(head, number=True) for _, head in _FIGURES]
    reports = {"all games": found.overall}
    if found.corrected is not None:
        reports[f"all games, corrected by {tree['method']}"] = found.corrected
    reports |= {
        f"{name} {group}": report
        for name, by in found.groups.items()
        for group, report in by.items()
    }
    rows = [
        (name, report.total_samples, *(getattr(report, field) for field, _ in _FIGURES))
        for name, report in reports.items()
    ]
    title = f"{tree['config']} {tree['model'][:12]}"
    console.print(invocation.out.table(columns, rows, title=title))
    thirds = ", ".join(f"{t:.3f}" for t in found.by_third)
    console.print(
        f"{found.positions:,} positions, {_source(tree)}; temperature of the value logits "
        f"{found.temperature:.3f}, by third of the game {thirds}",
        soft_wrap=True,
    )
    if tree["applied"] is not None:
        console.print(f"model {tree['applied'][:12]} written: {tree['file']}", soft_wrap=True)


def _source(tree: dict[str, Any]) -> str:
    if tree["source"] == HOLDOUT:
        return f"{tree['games']:,} hold-out games"
    return f"dataset {tree['source'][:12]}"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("calibrate")(calibrate)
