"""The options that spread a run of `ringrift selfplay` over a cluster (`selfplay.md` 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ringrift.cli.option_sets import option

MACHINE = "Limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostsOptions:
    """Who plays, and how long that may take."""

    hosts: Annotated[
        str | None,
        option(
            "--hosts",
            panel=MACHINE,
            metavar="NODE,NODE",
            help="Play as jobs on these nodes of the running loop's hub, or on `all`.",
        ),
    ] = None
    distributed_job_timeout_seconds: Annotated[
        float,
        option(
            "--distributed-job-timeout-seconds",
            panel=MACHINE,
            min=0,
            help="Time for the games of --hosts; 0 is no limit.",
        ),
    ] = 0.0
    distributed_fetch_timeout_seconds: Annotated[
        float,
        option(
            "--distributed-fetch-timeout-seconds",
            panel=MACHINE,
            min=0,
            help="Time for the games of --hosts to come once all are played; 0 is no limit.",
        ),
    ] = 0.0
