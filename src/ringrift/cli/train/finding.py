"""`--find-lr`: raise the learning rate over a few steps, print and plot the loss."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ringrift.cli.output import Column
from ringrift.core.errors import NegativeResult

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.cli.train.options import Options
    from ringrift.cli.train.training import Prepared

ROWS = 20


def find_rate(invocation: Invocation, prepared: Prepared, given: Options) -> None:
    """Run the range test of a training and print what it found; trains nothing."""
    from ringrift.cli.train.training import job_of
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.training.range_test import STEPS, draw_range, range_test
    from ringrift.training.run import begin, gather

    config = prepared.request.config
    with ExitStack() as stack:
        stop = stack.enter_context(cooperative_stop())
        job = job_of(invocation, prepared, given, stack)
        progress = stack.enter_context(invocation.out.progress())
        exporting = progress.task(f"{config}: exporting", unit="games")
        sides, _ = gather(job, on_export=lambda done, total: exporting.update(done, total=total))
        exporting.finish()
        bar = progress.task(f"{config}: raising the rate", total=STEPS, unit="steps")
        _, task = begin(job, sides)
        found = range_test(
            task, job.request.settings, on_step=bar.update, stop=lambda: stop.requested
        )
        bar.finish()
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    plot = invocation.paths().runs / config / f"find-lr-{stamp}.png"
    draw_range(found, plot)
    every = max(1, len(found.rates) // ROWS)
    rows = list(zip(found.rates, found.losses, strict=True))[::every]
    columns = [Column("learning rate", number=True), Column("loss, smoothed", number=True)]

    def show(console: object) -> None:
        print_ = console.print  # type: ignore[attr-defined]
        print_(invocation.out.table(columns, [(f"{r:.2e}", f"{v:.4f}") for r, v in rows]))
        words = (
            "unknown: the loss never fell" if found.suggested is None else f"{found.suggested:.2g}"
        )
        print_(f"--learning-rate {words}; {plot}", soft_wrap=True)

    invocation.out.result(
        {
            "config": config,
            "rates": list(found.rates),
            "losses": list(found.losses),
            "suggested": found.suggested,
            "plot": str(plot),
        },
        human=show,
        ok=found.suggested is not None,
    )
    if found.suggested is None:
        raise NegativeResult("the loss never fell while the learning rate rose", where=str(plot))
