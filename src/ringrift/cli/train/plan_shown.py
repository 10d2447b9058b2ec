"""`--dry-run` of the trainers: what would be trained, on what, and how long it would take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringrift.cli.output import Column

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.cli.train.options import Options
    from ringrift.cli.train.training import Prepared


def show_plan(invocation: Invocation, prepared: Prepared, given: Options) -> None:
    """Print the resolved values with their origins, the samples, the net and the expected time."""
    fields = plan_fields(prepared, given)

    def show(console: Console) -> None:
        rows = [(name, value, fields["origins"][name]) for name, value in fields["values"].items()]
        columns = [Column("setting"), Column("value", number=True), Column("origin")]
        title = f"{fields['kind']} of {fields['config']}"
        console.print(invocation.out.table(columns, rows, title=title))
        for line in told(fields):
            console.print(line, soft_wrap=True)

    invocation.out.result(fields, human=show)


def plan_fields(prepared: Prepared, given: Options) -> dict[str, Any]:
    """Return the JSON of a plan.

    Samples are those of a dataset that is there, else as many as the games have plies.
    """
    from ringrift.training.estimate import estimate
    from ringrift.training.sources import plan_samples

    request = prepared.request
    games = samples = dataset = None
    if given.demo:
        samples = request.selection.max_samples
    else:
        found = plan_samples(prepared.source, request.config, request.selection)
        if found is not None:
            games, samples, dataset = counted(found, request.selection.sample_every_n)
    expected = estimate(request, samples, prepared.parent, prepared.transfer)
    return {
        "dry_run": True,
        "kind": request.kind,
        "config": request.config,
        "values": request.values(),
        "origins": request.told_origins(),
        "dataset": dataset,
        "games": games,
        "samples": samples,
        "parameters": expected.parameters,
        "steps": expected.steps,
        "seconds": expected.seconds,
    }


def counted(found: Any, every: int) -> tuple[int, int, str | None]:
    """Return games, training samples and id of a dataset, or of the plan of one."""
    from ringrift.data.dataset import Manifest

    if isinstance(found, Manifest):
        return found.games, found.samples - found.val_samples, found.id
    plies = sum(game.plies for game in found.games if game.split != "val")
    return len(found.games), plies // every, None


def told(fields: dict[str, Any]) -> list[str]:
    """Say the numbers in words."""

    def words(name: str, unit: str) -> str:
        value = fields[name]
        return f"unknown {unit}" if value is None else f"{value:,.0f} {unit}"

    about = "" if fields["dataset"] else "about "
    dataset = fields["dataset"] or "(not exported yet)"
    samples, steps = words("samples", "training samples"), words("steps", "steps at most")
    return [
        f"dataset {dataset}: {words('games', 'games')}, {about}{samples}",
        f"net of {words('parameters', 'parameters')}; {steps}, about {words('seconds', 'seconds')}",
    ]
