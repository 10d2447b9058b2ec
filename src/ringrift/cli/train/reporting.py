"""What a training tells at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringrift.cli.output import Column

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.training.engine.report import TrainReport
    from ringrift.training.request import Request


def fields_of(report: TrainReport) -> dict[str, Any]:
    """Return the JSON of a training."""
    last = report.epochs[-1] if report.epochs else None
    return {
        "kind": report.kind,
        "config": report.config,
        "status": report.status,
        "run": report.run,
        "dataset": report.dataset,
        "model_id": report.model_id,
        "model_path": None if report.model_path is None else str(report.model_path),
        "epochs": len(report.epochs),
        "steps": report.steps,
        "best_epoch": report.best_epoch,
        "losses": {} if last is None else dict(last.losses),
        "validation": dict(report.best),
        "parameters": report.parameters,
        "facts": dict(report.facts),
        "seconds": round(report.seconds, 3),
        "samples_per_s": round(report.samples_per_s, 1),
    }


def show_report(invocation: Invocation, report: TrainReport, request: Request) -> None:
    """Print a finished training: its epochs, the policy loss that was chosen, the model."""
    fields = {**fields_of(report), "values": request.values(), "origins": request.told_origins()}

    def show(console: Console) -> None:
        columns = [
            Column("epoch", number=True),
            Column("loss", number=True),
            Column("validation", number=True),
            Column("top-1", number=True),
            Column("sign", number=True),
            Column("samples/s", number=True),
            Column(""),
        ]
        rows = [
            (
                epoch.epoch,
                epoch.losses.get("objective"),
                epoch.validation.get("loss"),
                epoch.validation.get("policy_top1"),
                epoch.validation.get("sign_accuracy"),
                epoch.samples_per_s,
                "best" if epoch.epoch == report.best_epoch else "",
            )
            for epoch in report.epochs
        ]
        console.print(invocation.out.table(columns, rows))
        for line in lines(report):
            console.print(line, soft_wrap=True)

    invocation.out.result(fields, human=show)


def lines(report: TrainReport) -> list[str]:
    """Say in a few lines what a training came to."""
    facts = report.facts
    head = f"{report.config} {report.kind}: {report.status} after {report.steps:,} steps in"
    found = [f"{head} {report.seconds:,.0f} s, best epoch {report.best_epoch}"]
    policy = facts.get("policy")
    if policy:
        coverage = policy["coverage"]
        share = "unknown" if coverage is None else f"{coverage:.2f}"
        found.append(
            f"policy: coverage {share}, {policy['samples']:,} samples, "
            f"{policy['loss'].upper()} ({policy['reason']})"
        )
    found.append(f"model {report.model_id}: {report.model_path}")
    return found


def interrupted(invocation: Invocation, report: TrainReport, again: str) -> None:
    """Say that a training stopped and how it goes on."""
    invocation.out.note(f"stopped at step {report.steps:,}; to go on: {again}")
    if invocation.out.as_json:
        invocation.out.result(fields_of(report), ok=False)
