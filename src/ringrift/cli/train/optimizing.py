"""`train optimized`: one configuration or all, with the file's hyper-parameters, then an Elo."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.train.reporting import fields_of, lines
from ringrift.cli.train.training import (
    make_ready,
    prepare,
    settings_of,
    train_one,
)
from ringrift.core.errors import BusyError, NegativeResult, RingriftError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringrift.cli.invocation import Invocation
    from ringrift.cli.train.options import Options
    from ringrift.training.request import Kind

PARTLY_DONE = 5
KINDS: Mapping[str, Kind] = {"nn": "cnn", "nnue": "nnue", "nnue-policy": "nnue-policy"}


def perform(given: Options) -> None:
    """Print the hyper-parameters, or train what is asked for and print each result."""
    invocation = current()
    if given.list_configs:
        list_configs(invocation, given)
        return
    if given.use_optimized is None:
        given = replace(given, use_optimized=True)
    kind = KINDS[given.kind]
    if not given.dry_run:
        make_ready(invocation, given)
    each = [replace(given, config_key=key) for key in configs_of(invocation, given)]
    if given.dry_run:
        from ringrift.cli.train.plan_shown import plan_fields, told

        plans = [plan_fields(prepare(invocation, kind, one), one) for one in each]
        words = "\n".join(f"{p['config']}: {'; '.join(told(p))}" for p in plans)
        invocation.out.result({"dry_run": True, "trainings": plans, "failed": {}}, human=words)
        return
    found: list[dict[str, Any]] = []
    told_lines: list[str] = []
    failed: dict[str, str] = {}
    for one in each:
        try:
            prepared = prepare(invocation, kind, one)
            report = train_one(invocation, prepared, one)
        except BusyError:
            raise
        except RingriftError as error:
            if len(each) == 1:
                raise
            failed[one.config_key or ""] = str(error)
            continue
        fields = fields_of(report)
        told_lines += lines(report)
        if one.run_elo:
            from ringrift.cli.train.calibration_games import measure, words_of

            assert report.model_id is not None
            fields["elo"] = measure(
                invocation,
                model_id=report.model_id,
                kind=report.kind,
                config=prepared.request.config,
                seed=prepared.request.settings.seed,
            )
            told_lines += [words_of(match) for match in fields["elo"]]
        found.append(fields)
    told_lines += [f"{config}: {why}" for config, why in failed.items()]
    invocation.out.result(
        {"dry_run": False, "trainings": found, "failed": failed},
        human="\n".join(told_lines),
        ok=not failed,
    )
    if failed:
        raise typer.Exit(PARTLY_DONE if found else NegativeResult.exit_code)


def configs_of(invocation: Invocation, given: Options) -> list[str]:
    """Return the configurations to train: those with games for `--all`, else the one named."""
    from ringrift.cli.train.training import config_of

    if not given.all_configs:
        return [config_of(given)]
    from ringrift.data.dataset import configurations
    from ringrift.data.stores import store_files

    root = invocation.known_root()
    own = None if root is None else invocation.paths(create=False).game_store
    if not given.db and (own is None or not own.is_file()):
        raise NegativeResult(
            "zero samples: no configuration has games",
            where=str(own or "no data root"),
            hint="ringrift selfplay run",
        )
    stores = store_files(given.db or [], own or given.db[0])  # type: ignore[index]
    found = configurations(stores, ("train",))
    if not found:
        raise NegativeResult(
            "zero samples: no configuration has games to learn from",
            where=", ".join(map(str, stores)),
            hint="ringrift selfplay run",
        )
    return found


def list_configs(invocation: Invocation, given: Options) -> None:
    """Print the merged hyper-parameters of all configurations with their origins."""
    from ringrift.core.hyperparameters import load_hyperparameters, merge_hyperparameters
    from ringrift.core.settings import CONFIGURATIONS

    file = load_hyperparameters(root=invocation.known_root())
    settings = settings_of(invocation, given)
    trees = [
        merge_hyperparameters(file, config, settings=settings).as_tree()
        for config in CONFIGURATIONS
    ]
    rows = [
        (tree["config"] if number == 0 else "", name, value, _origin(tree["origins"][name]))
        for tree in trees
        for number, (name, value) in enumerate(tree["values"].items())
    ]
    columns = [
        Column("configuration"),
        Column("name"),
        Column("value", number=True),
        Column("origin"),
    ]
    invocation.out.result({"configs": trees}, human=invocation.out.table(columns, rows))


def _origin(origin: Mapping[str, Any]) -> str:
    return str(origin["place"] or origin["kind"])
