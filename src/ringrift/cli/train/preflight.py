"""`ringrift train preflight`: every check before a training (`data.md` 11)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.completion import complete_configurations
from ringrift.cli.invocation import current
from ringrift.cli.lists import list_command
from ringrift.cli.output import Column
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.training.preflight import Context, Dataset, Report

LIMITS = "Limits"


def preflight(
    config_key: Annotated[
        list[str] | None,
        typer.Option(
            "--config-key",
            metavar="KEY",
            help="Board and players, as square8_2p; repeat for more [default: all with games].",
            autocompletion=complete_configurations,
            rich_help_panel="Game",
        ),
    ] = None,
    db: Annotated[
        list[Path] | None,
        typer.Option(
            "--db",
            metavar="FILE",
            help="Game store, folder or pattern; repeat for more [default: data/games/games.db].",
            rich_help_panel="Input",
        ),
    ] = None,
    registry: Annotated[
        Path | None,
        typer.Option(
            "--registry",
            metavar="FILE",
            help="What is known of the stores [default: data/registry.json of the root around each].",
            rich_help_panel="Input",
        ),
    ] = None,
    data_path: Annotated[
        Path | None,
        typer.Option(
            "--data-path",
            metavar="DATASET",
            help="Dataset to be trained on [default: the newest of each configuration].",
            rich_help_panel="Input",
        ),
    ] = None,
    min_games: Annotated[
        int,
        typer.Option(
            "--min-games",
            min=0,
            metavar="N",
            help="Least trainable games of each configuration.",
            rich_help_panel=LIMITS,
        ),
    ] = 300,
    require_gpu: Annotated[
        bool,
        typer.Option("--require-gpu", help="Fail without a CUDA device.", rich_help_panel=LIMITS),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Let warnings fail too.", rich_help_panel=LIMITS)
    ] = False,
) -> None:
    """Check everything that a training needs, before it starts.

    Looks at versions, the machine, stores and their games, datasets, hold-out, GPU, a training step,
    champions, and plays one small game. All checks run, also after one failed; each prints its
    number, its limit and what to do. Takes less than a minute. Reads only; writes nothing.

    Exit code 1 when a check fails.

    Examples: ringrift train preflight |
    ringrift train preflight --config-key square8_2p --min-games 1000 --strict --json

    was: training_preflight_check.py
    """
    from ringrift.core.readings import prime

    invocation = current()
    prime()
    context = _context(
        invocation,
        configs=config_key or [],
        db=db or [],
        registry=registry,
        data_path=data_path,
        min_games=min_games,
        require_gpu=require_gpu,
    )
    from ringrift.training.preflight import CHECKS, run_preflight

    with invocation.out.progress() as progress:
        task = progress.task("checking", total=len(CHECKS), unit="checks")

        def begin(name: str) -> None:
            task.update(task.done + 1, name=f"checking {name}")

        report = run_preflight(context, strict=strict, on_check=begin)
        task.finish()
    invocation.out.result(
        _fields(report, context),
        human=lambda console: _show(invocation, report, console),
        ok=report.ready,
    )
    if not report.ready:
        raise typer.Exit(NegativeResult.exit_code)


def _context(
    invocation: Invocation,
    *,
    configs: Sequence[str],
    db: Sequence[Path],
    registry: Path | None,
    data_path: Path | None,
    min_games: int,
    require_gpu: bool,
) -> Context:
    settings = invocation.settings().values

    from ringrift.core.readings import read
    from ringrift.data.quality.score import quality_score
    from ringrift.rules import parse_config
    from ringrift.training.preflight import Context

    root = invocation.known_root() or Path.cwd()
    stores, problems = _stores(root, db)
    wanted = ["{}_{}p".format(*parse_config(key)) for key in configs] or _present(stores)
    full = settings.selfplay.mcts_simulations

    def quality(paths: tuple[Path, ...], config: str) -> float | None:
        return quality_score(paths, config, full_simulations=full).score

    return Context(
        root=root,
        stores=tuple(stores),
        configs=tuple(wanted),
        datasets=tuple(_datasets(root, wanted, data_path)),
        registry=registry,
        champions=_champions(root, wanted),
        limits=settings.limits,
        read=read,
        quality=quality,
        quality_min=settings.safety.data_quality_score_min,
        min_games=min_games,
        require_gpu=require_gpu,
        problems=tuple(problems),
    )


def _stores(root: Path, db: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the stores that are meant, and what is wrong with those that are not there.

    A file is taken as it is: that it is no store is what the check says.
    """
    from ringrift.data.stores import store_files

    default = root / "data" / "games" / "games.db"
    found: list[Path] = []
    problems: list[str] = []
    for path in db or [default]:
        if path.is_file():
            found.append(path)
            continue
        try:
            found += store_files([path], default)
        except UsageError as error:
            problems.append(error.message)
    return found, problems


def _present(stores: Sequence[Path]) -> list[str]:
    """Return the configurations with trainable games in the stores that can be read."""
    from ringrift.core.errors import RingriftError
    from ringrift.data.present import configurations

    found: set[str] = set()
    for store in stores:
        try:
            found.update(configurations([store], ("train",)))
        except RingriftError:
            continue  # what the check of stores is about
    return sorted(found)


def _datasets(root: Path, configs: Sequence[str], given: Path | None) -> list[Dataset]:
    """Return the dataset given, else the newest of each configuration."""
    from ringrift.training.preflight import Dataset

    if given is not None:
        if not given.exists():
            raise UsageError(f"no dataset {given}", where="--data-path")
        return [Dataset(folder=given, config=_config_of(given))]
    found = []
    for config in configs:
        manifests = (root / "data" / "npz" / config).glob("*/manifest.json")
        newest = max(manifests, key=lambda path: path.stat().st_mtime, default=None)
        if newest is not None:
            found.append(Dataset(folder=newest.parent, config=config))
    return found


def _config_of(folder: Path) -> str:
    from ringrift.core.errors import RingriftError
    from ringrift.data.dataset.manifest import Manifest

    try:
        return Manifest.read(folder).config
    except RingriftError:
        return folder.name  # what the check of datasets is about


def _champions(root: Path, configs: Sequence[str]) -> dict[str, Path]:
    """Return the model files of the champions that the decisions name."""
    from ringrift.models.decisions import read_chain
    from ringrift.models.registry import model_path

    heads = {config: read_chain(root / "models" / "decisions", config) for config in configs}
    objects = root / "models" / "objects"
    return {
        config: model_path(objects, chain.champion)
        for config, chain in heads.items()
        if chain.champion is not None
    }


def _fields(report: Report, context: Context) -> dict[str, Any]:
    return {
        "configs": list(context.configs),
        "checks": [asdict(check) for check in report.checks],
        "counts": {state: report.count(state) for state in ("ok", "warn", "FAIL")},
        "strict": report.strict,
        "seconds": round(report.seconds, 3),
    }


def _show(invocation: Invocation, report: Report, console: Console) -> None:
    columns = [
        Column("check"),
        Column("state"),
        Column("found"),
        Column("limit"),
        Column("what to do"),
    ]
    rows = [
        (check.name, check.state, check.found, check.limit or "", check.remedy or "")
        for check in report.checks
    ]
    console.print(invocation.out.table(columns, rows))
    counts = ", ".join(f"{report.count(state)} {state}" for state in ("ok", "warn", "FAIL"))
    console.print(f"{counts} in {report.seconds:.1f} s", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("preflight", cls=list_command("--db"))(preflight)
