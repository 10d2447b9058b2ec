"""`ringrift data`: from stored games to training samples; one module per command (`data.md`)."""

from __future__ import annotations

import typer

from ringrift.cli.data import (
    auto_export,
    export,
    export_distributed,
    export_shards,
    filter,  # noqa: A004 - named as its command
    holdout,
    import_shards,
    ingest,
    pool,
    quality,
    quarantine,
    stats,
    verify_sources,
)

app = typer.Typer(add_completion=False, help="Pool, split, export and measure games.")

for part in (
    pool,
    ingest,
    quarantine,
    export,
    export_distributed,
    auto_export,
    export_shards,
    import_shards,
    filter,
    quality,
    holdout,
    verify_sources,
    stats,
):
    part.register(app)
