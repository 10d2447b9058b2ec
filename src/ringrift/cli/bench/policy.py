"""`ringrift bench policy`: how well a policy foretells recorded moves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.bench.parts import (
    Gate,
    Outcome,
    OutputFile,
    Repeat,
    existing_root,
    finish,
    load,
    show_plan,
)
from ringrift.cli.engine import chosen_spec
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.lists import list_command
from ringrift.cli.output import Column
from ringrift.cli.shared_options import Board, ConfigKey, DryRun, Model, Players, Seed
from ringrift.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from ringrift.agents.benchmarks.results import Figure
    from ringrift.agents.protocol import Evaluator
    from ringrift.core.paths import Paths
    from ringrift.records.record import GameRecord

UNIFORM, HEURISTIC = "uniform", "heuristic"


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("policy", cls=list_command("--db"))(policy)


def policy(
    db: Annotated[
        list[Path] | None,
        typer.Option(
            "--db",
            metavar="FILE...",
            help="Game stores [default: that of the data root].",
            rich_help_panel="Input",
        ),
    ] = None,
    model: Model = None,
    config_key: ConfigKey = None,
    board: Board = "square8",
    players: Players = 2,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            "--run-dir",
            metavar="DIR",
            help="Folder of a run of the loop: its games alone, and its champion as the model.",
            rich_help_panel="Input",
        ),
    ] = None,
    max_games: Annotated[
        int, typer.Option("--max-games", min=1, help="Games, drawn alike.", rich_help_panel="Input")
    ] = 100,
    max_positions: Annotated[
        int,
        typer.Option(
            "--max-positions",
            min=1,
            help="Positions, drawn alike from all of them.",
            rich_help_panel="Input",
        ),
    ] = 5000,
    depth: Annotated[
        int,
        typer.Option(
            "--depth",
            min=0,
            max=8,
            help="Choices of the searches that count nodes; 0 leaves them out.",
            rich_help_panel="Search",
        ),
    ] = 2,
    repeat: Repeat = 5,
    seed: Seed = 42,
    output: OutputFile = None,
    gate: Gate = False,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Measure how well a policy foretells the moves of recorded games.

    Top-1, top-3 and top-5 accuracy and cross-entropy (nats) over the choices of verified games, in
    all, by third of the game and by type of move; plies with one legal move, and those that nobody
    chose, do not count. The row uniform calls all legal moves alike, the row heuristic orders them
    by the light evaluation after one ply, each further row is a model. Equal logits share their
    ranks. The table is of the first repeat; each draws its own positions of the same games.

    Nodes saved compares the nodes of alpha-beta searches to --depth from 24 of the positions, with
    the moves at the root first tried in the order of the policy, to those with the order of uniform.

    Reads game stores and a model; appends to runs/bench/policy.jsonl where there is a data root.
    The gate demands of the model a cross-entropy and a top-1 accuracy no worse than the uniform
    row's.

    Exit code 6 where no game fits.

    Examples: ringrift bench policy --db data/games/games.db --max-games 20 |
    ringrift bench policy --model 3fb2c1 --config-key hex8_2p --json

    was: benchmark_policy.py
    """
    from ringrift.agents.benchmarks import policy as bench
    from ringrift.agents.benchmarks.nodes import RootSearches
    from ringrift.agents.evaluators import ConstantEvaluator, HeuristicEvaluator

    run = current()
    spec = chosen_spec(config_key, board, players, None)
    paths = existing_root(run)
    stores = db or _store_of_root(paths)
    if missing := [path for path in stores if not path.is_file()]:
        raise UsageError(f"no file {str(missing[0])!r}", where="--db")
    name, prefix = model, None
    if run_dir is not None:
        prefix, champion = _of_run(run_dir)
        name = model or champion
    sizes = {
        "max_games": max_games,
        "max_positions": max_positions,
        "depth": depth,
        "seed": seed,
        "repeat": repeat,
    }
    if dry_run:
        files = [str(path) for path in stores]
        where = {"configuration": spec.config, "stores": files, "model": name, "run": prefix}
        show_plan(run, {**where, **sizes})
        return
    ready_for(run, producing=False, wait=not no_wait)

    def wanted(record: GameRecord) -> bool:
        return prefix is None or (record.meta.run or "").startswith(f"{prefix}/")

    policies: dict[str, Evaluator] = {
        UNIFORM: ConstantEvaluator(spec),
        HEURISTIC: HeuristicEvaluator(spec),
    }
    model_id = None
    if name is not None:
        loaded = load(None if paths is None else paths.root, name, spec)
        model_id = loaded.id
        policies[_short(loaded.id)] = loaded.evaluator()
    games = bench.find_games(stores, spec, most=max_games, seed=seed, wanted=wanted)
    rows: dict[str, dict[str, Any]] = {}
    counts: dict[str, int] = {}
    searches: RootSearches | None = None
    wholes: dict[str, list[dict[str, Any]]] = {label: [] for label in policies}
    figures: list[Figure] = []
    with run.out.progress() as progress:
        task = progress.task("replaying", unit="positions")
        for number in range(repeat):
            sample = bench.draw_positions(games, most=max_positions, seed=seed + number)
            if number == 0:
                searches = RootSearches(sample, depth=depth) if depth else None
                counts = {
                    "games": sample.games,
                    "choices": sample.choices,
                    "positions": len(sample),
                }
            task.update(task.done, total=repeat * len(policies) * len(sample))
            for label, evaluator in policies.items():
                task.update(task.done, name=label)
                scores = bench.score(sample, evaluator, task.advance)
                table = bench.table(sample, scores)
                wholes[label].append(table["all"])
                if number == 0:
                    nodes = searches.count(evaluator) if searches is not None else None
                    rows[label] = {"policy": label, **table, "nodes": nodes}
                    figures += bench.figures(label, sample, scores)
        task.finish()
    without = rows[UNIFORM]["nodes"]
    results = [
        {
            **row,
            "nodes_saved": None if without is None else 1 - row["nodes"] / without,
            "spread": bench.spread(wholes[label]),
        }
        for label, row in rows.items()
    ]
    checks = []
    if model_id is not None:
        checks = bench.demands(
            f"{spec.config} {_short(model_id)}", results[-1]["all"], uniform=results[0]["all"]
        )
    columns = [
        Column("policy"),
        Column("part"),
        Column("positions", number=True),
        *(Column(f"top-{k} %", number=True) for k in bench.TOPS),
        Column("cross-entropy, nats", number=True),
        Column("mean legal", number=True),
        Column("nodes saved %", number=True),
    ]
    finish(
        run,
        Outcome(
            fields={
                "results": results,
                "configuration": spec.config,
                **counts,
                "model": model_id,
                "run": prefix,
                **sizes,
            },
            figures=figures,
            checks=checks,
            not_run=None if checks else "there is no model to judge",
        ),
        output=output,
        gate=gate,
        human=run.out.table(columns, _lines(results)),
    )


def _store_of_root(paths: Paths | None) -> list[Path]:
    if paths is None:
        raise UsageError("no game store: there is no data root", where="--db", hint="--db FILE")
    return [paths.game_store]


def _of_run(folder: Path) -> tuple[str, str | None]:
    """Return the name of a run of the loop and its champion, None before its report is there."""
    if not (folder / "settings.json").is_file():
        raise UsageError(
            f"{str(folder)!r} is no run of the loop: there is no settings.json", where="--run-dir"
        )
    report = folder / "report.json"
    if not report.is_file():
        return folder.resolve().name, None
    try:
        champion = json.loads(report.read_text(encoding="utf-8"))["champion"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("no report of a run: champion is missing", where=str(report)) from error
    return folder.resolve().name, str(champion)


def _short(model_id: str) -> str:
    return model_id[:12]


def _lines(rows: list[dict[str, Any]]) -> list[list[Any]]:
    found: list[list[Any]] = []
    for row in rows:
        parts = {"all": row["all"], **row["thirds"], **row["move_types"]}
        for part, line in parts.items():
            tops = [_percent(line[f"top_{k}"]) for k in (1, 3, 5)]
            found.append(
                [
                    row["policy"] if part == "all" else "",
                    part,
                    line["positions"],
                    *tops,
                    line["cross_entropy"],
                    line["mean_legal"],
                    _percent(row["nodes_saved"]) if part == "all" else "",
                ]
            )
    return found


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
