"""`ringrift games`: stored games; one module per command (`selfplay.md` 6, 7, 9)."""

import typer

from ringrift.cli.games import (
    diff,
    export,
    import_games,
    listing,
    merge,
    show,
    split_shards,
    verify,
)

app = typer.Typer(add_completion=False, help="List, show, verify, export and import stored games.")

for part in (listing, show, verify, export, import_games, merge, diff, split_shards):
    part.register(app)
