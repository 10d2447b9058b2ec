"""The options that `ringrift selfplay canonical` alone has (`selfplay.md` 3)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ringrift.cli.option_sets import option
from ringrift.cli.selfplay.hosts_options import HostsOptions

OUTPUT, CHECKS = "Output", "Checks"


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalOptions(HostsOptions):
    """Which checks are cut, and where the results go."""

    summary: Annotated[
        Path | None,
        option("--summary", panel=OUTPUT, metavar="FILE", help="Write the summary here."),
    ] = None
    analysis_dir: Annotated[
        Path | None,
        option(
            "--analysis-dir", panel=OUTPUT, metavar="DIR", help="Write the games' figures here."
        ),
    ] = None
    skip_analyses: Annotated[
        bool, option("--skip-analyses", panel=OUTPUT, help="Write no figures of the games.")
    ] = False
    parity_limit_games_per_db: Annotated[
        int,
        option(
            "--parity-limit-games-per-db",
            panel=CHECKS,
            min=0,
            help="Recorded games of each file; 0 is all, fewer is not ok.",
        ),
    ] = 0
    parity_timeout_seconds: Annotated[
        float,
        option(
            "--parity-timeout-seconds",
            panel=CHECKS,
            min=0,
            help="Time for verification and parity; 0 is no limit, running out is not ok.",
        ),
    ] = 0.0
    reset_db: Annotated[
        bool,
        option("--reset-db", panel=OUTPUT, help="Put the store aside first, the time in its name."),
    ] = False
