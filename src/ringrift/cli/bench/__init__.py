"""`ringrift bench`: measure with the code that users run; one module per command (`agents.md` 11)."""

import typer

from ringrift.cli.bench import compare, engine, gpu_cpu, memory, policy, train

app = typer.Typer(add_completion=False, help="Measure speed.")

for part in (engine, gpu_cpu, policy, memory, train, compare):
    part.register(app)
