"""`ringrift cluster`: the hub and the jobs of this data root; one module per command."""

import typer

from ringrift.cli.cluster import hub, jobs, jobs_change, jobs_watch

app = typer.Typer(add_completion=False, help="Show and steer the hub and its jobs.")

jobs_group = typer.Typer(add_completion=False, no_args_is_help=True)
for part in (jobs, jobs_change, jobs_watch):
    part.register(jobs_group)
app.add_typer(jobs_group, name="jobs", help="List, show, file, cancel and watch jobs.")
hub.register(app)
