"""Run every check, also after one failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ringrift.core.errors import RingriftError
from ringrift.core.log import get_logger
from ringrift.training.preflight.compute import check_gpu, check_net, check_pipeline
from ringrift.training.preflight.machine import check_environment, check_resources
from ringrift.training.preflight.model import Check, Context, Report
from ringrift.training.preflight.samples import check_dataset_files, check_split
from ringrift.training.preflight.states import check_checkpoints
from ringrift.training.preflight.stored import check_sources_given, check_store, check_volume

log = get_logger(__name__)

Run = Callable[[Context], Check]

CHECKS: tuple[tuple[str, Run], ...] = (
    ("environment", check_environment),
    ("resources", check_resources),
    ("store", check_store),
    ("volume", check_volume),
    ("sources", check_sources_given),
    ("dataset", check_dataset_files),
    ("split", check_split),
    ("GPU", check_gpu),
    ("net", check_net),
    ("checkpoints", check_checkpoints),
    ("pipeline", check_pipeline),
)
"""The table of data.md 11. The store comes before the checks that read it."""

_FIRST = ("store",)


def run_preflight(
    context: Context,
    *,
    checks: Sequence[tuple[str, Run]] = CHECKS,
    strict: bool = False,
    on_check: Callable[[str], None] = lambda _name: None,
) -> Report:
    """Run checks and return them in their order; a check that raises has failed."""
    began_s = time.monotonic()
    found: dict[str, Check] = {}
    for name, run in sorted(checks, key=lambda check: check[0] not in _FIRST):
        on_check(name)
        found[name] = _tried(name, run, context)
    return Report(
        checks=tuple(found[name] for name, _ in checks),
        strict=strict,
        seconds=time.monotonic() - began_s,
    )


def _tried(name: str, run: Run, context: Context) -> Check:
    try:
        return run(context)
    except RingriftError as error:
        where = f" ({error.where})" if error.where else ""
        return Check(name=name, state="FAIL", found=f"{error.message}{where}", remedy=error.hint)
    except Exception as error:  # whatever a check stumbles over is its finding
        log.debug("check failed", check=name, exc_info=True)
        what = str(error).partition("\n")[0]
        return Check(
            name=name,
            state="FAIL",
            found=f"{type(error).__name__}: {what}",
            remedy="ringrift train preflight -v, which shows where",
        )
