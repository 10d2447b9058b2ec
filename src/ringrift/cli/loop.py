"""`ringrift loop`: play, learn, measure, promote (`loop.md`)."""

from __future__ import annotations

import io
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.completion import complete_configurations, complete_profiles
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.output import MAX_WIDTH, Column, Output, Progress, ProgressTask
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.core.settings_loader import LoadedSettings
    from ringrift.loop.control import LoopReport
    from ringrift.loop.plan import LoopPlan
    from ringrift.loop.report import GenerationReport
    from ringrift.loop.runs import Resume

app = typer.Typer(add_completion=False, help="Run the closed loop: play, learn, measure, promote.")

GIB = 1 << 30


@app.command("run")
def run(
    profile: Annotated[
        str,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="Profile below the settings file.",
            autocompletion=complete_profiles,
        ),
    ] = "quick",
    configs: Annotated[
        str | None,
        typer.Option(
            "--configs",
            "--config-key",
            metavar="KEY",
            help="Configuration [default: profile's].",
            autocompletion=complete_configurations,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Base of all random numbers.")] = 0,
    generations: Annotated[
        int | None,
        typer.Option(
            "--generations",
            "--max-cycles",
            min=1,
            help="Generations to run [default: loop.generations].",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Worker processes [default: thread budget]."),
    ] = None,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--fresh",
            help="Only go on with an unfinished run, or always begin a new one [default: go on "
            "if there is one with the same settings].",
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics-port",
            min=0,
            max=65_535,
            help="Port of /metrics, /health, /ready and /status.json on loopback; 0 takes a free one "
            "[default: metrics_port].",
        ),
    ] = None,
    no_metrics: Annotated[
        bool, typer.Option("--no-metrics", help="Serve no metrics [default: metrics_enabled].")
    ] = False,
    no_wait: NoWait = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done; change nothing.")
    ] = False,
) -> None:
    """Play against itself, learn, measure and promote, again and again.

    Reads the settings and the data root; writes games (data/games), models (models/objects),
    decisions (models/decisions) and a run folder (runs/CONFIGURATION/RUN) with the exact settings,
    events.jsonl, one table per generation and report.json. Ctrl-C stops after the games in the air
    (twice: at once) with exit 130; running the command again goes on where it stopped, also after
    kill -9. At the end the champion plays an exam against random.

    Examples: ringrift loop run --profile quick --yes | ringrift loop run --seed 7 --generations 5

    was: unified_ai_loop.py --foreground, run_improvement_loop.py
    """
    from ringrift.core.cgroups import available_cpus
    from ringrift.core.hyperparameters import load_hyperparameters, merge_hyperparameters
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.core.limits import thread_budget
    from ringrift.loop.plan import make_plan
    from ringrift.loop.session import Session, start_loop

    invocation = current()
    loaded = invocation.settings(profile=profile)
    config = one_config(configs, loaded)
    merged = merge_hyperparameters(
        load_hyperparameters(root=invocation.known_root()), config, settings=loaded
    )
    plan = make_plan(
        loaded.values, merged.values, config=config, seed=seed, generations=generations
    )
    count = workers or loaded.values.selfplay.max_concurrent_workers or thread_budget()
    if dry_run:
        show_plan(invocation.out, plan, count)
        return
    invocation.paths(create=False)  # a missing root is refused before anything is waited for
    ready_for(invocation, wait=not no_wait, config=plan.config, limits=loaded.values.limits)
    paths = invocation.paths()
    mode: Resume = "auto" if resume is None else "resume" if resume else "fresh"
    port = loaded.values.metrics_port if metrics_port is None else metrics_port
    served = (loaded.values.metrics_enabled or metrics_port is not None) and not no_metrics
    session = Session(
        workers=count,
        mode=mode,
        record={
            **loaded.as_record(),
            "hyperparameters": merged.as_tree(),
            "command": invocation.arguments,
        },
        metrics_port=port if served else None,
    )
    with cooperative_stop() as stop, invocation.out.progress() as progress:
        screen = Screen(invocation.out, progress)
        screen.note(
            f"{available_cpus():g} cores, {memory_gib():.1f} GiB memory, GPU not used, {count} "
            f"workers; root {paths.root}; profile {profile}; {plan.config}; seed {seed}"
        )
        report = start_loop(
            plan,
            loaded.values,
            paths,
            session,
            screen=screen,
            stop=lambda: stop.requested,
            on_generation=screen.show_generation,
        )
    if not report.complete:
        again = shlex.join(["ringrift", *without_mode(invocation.arguments), "--resume"])
        invocation.out.note(f"stopped; what was finished is kept. To go on: {again}")
        if invocation.out.as_json:
            invocation.out.result(fields_of(report), ok=False)
        raise typer.Exit(stop.exit_code or 130)
    invocation.out.result(fields_of(report), human=lambda console: summary(report, console))


class Screen:
    """Show bars where there is a terminal, else lines; lines that stay in both cases."""

    def __init__(self, out: Output, progress: Progress) -> None:
        self._out = out
        self._progress = progress
        self._drawn = not out.quiet and out.show_progress is not False and sys.stderr.isatty()

    def task(self, name: str, *, total: int | None = None, unit: str = "") -> ProgressTask:
        """Add a bar."""
        return self._progress.task(name, total=total, unit=unit)

    def note(self, text: str) -> None:
        """Print a line that stays."""
        if self._drawn:
            self._progress.note(text)
        else:
            self._out.note(text)

    def show_generation(self, report: GenerationReport) -> None:
        """Print the table of a generation and its one line."""
        from rich.console import Console

        buffer = io.StringIO()
        console = Console(file=buffer, width=MAX_WIDTH, highlight=False, markup=False)
        console.print(generation_table(self._out, report))
        self.note(buffer.getvalue().rstrip())
        self.note(one_line(report))


def one_config(named: str | None, loaded: LoadedSettings) -> str:
    """Return the configuration to work on; this version takes one at a time."""
    from ringrift.core.settings import CONFIGURATIONS

    choices = tuple(named.split(",")) if named else loaded.values.configurations
    for name in choices:
        if name not in CONFIGURATIONS:
            raise UsageError(
                f"unknown configuration {name!r}; expected one of {', '.join(CONFIGURATIONS)}",
                where="--configs",
            )
    if len(choices) != 1:
        raise UsageError(
            f"{len(choices)} configurations; expected one: this version works on one at a time",
            where="--configs" if named else "configurations",
            hint=f"--configs {choices[0]}",
        )
    return choices[0]


def memory_gib() -> float:
    """Return the memory that this machine, or this container, may use."""
    from ringrift.core.readings import read_memory

    memory = read_memory()
    return 0.0 if memory is None else memory.total_bytes / GIB


def without_mode(arguments: list[str]) -> list[str]:
    """Return the command line without --resume and --fresh."""
    return [word for word in arguments if word not in ("--resume", "--fresh")]


def show_plan(out: Output, plan: LoopPlan, workers: int) -> None:
    """Print the numbers of a run."""
    tree = plan.as_tree()
    rows = [(f"{section}.{key}" if section else key, value) for section, key, value in flat(tree)]
    out.result(
        {"plan": tree, "key": plan.key, "workers": workers},
        human=out.table([Column("setting"), Column("value", number=True)], rows, title=plan.config),
    )


def flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, str, Any]]:
    """List the leaves of nested data."""
    found: list[tuple[str, str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            found += flat(value, f"{prefix}.{key}" if prefix else key)
        else:
            found.append((prefix, key, value))
    return found


def generation_table(out: Output, report: GenerationReport) -> Any:
    """Make the table of one generation."""
    training = report.training
    rows: list[tuple[str, str]] = [
        ("games", f"{report.selfplay.games:,}"),
        ("plies", f"{report.selfplay.plies:,}"),
        ("searched positions", f"{report.selfplay.choices:,}"),
        ("samples trained on", f"{training['samples']:,} x {training['steps']:,} steps"),
        ("policy loss", losses(training, "policy_loss")),
        ("value loss", losses(training, "value_loss")),
        ("candidate vs champion", gate_words(report.matches["against_champion"])),
        ("candidate vs random", score_words(report.matches["candidate_random"])),
        ("candidate vs heuristic", score_words(report.matches["candidate_heuristic"])),
        ("champion vs random", score_words(report.matches["champion_random"])),
        ("champion vs heuristic", score_words(report.matches["champion_heuristic"])),
        ("decision", f"{report.decision}: {report.reason}"),
        ("seconds", seconds_words(report)),
    ]
    return out.table(
        [Column(f"generation {report.generation}"), Column(report.candidate[:12])], rows
    )


def losses(training: dict[str, Any], name: str) -> str:
    """Show a loss on training and validation positions."""
    held = training.get("validation")
    validation = "unknown" if held is None else loss_words(held[name])
    return f"{loss_words(training['train'][name])} (validation {validation})"


def loss_words(loss: float | None) -> str:
    """Show a loss."""
    return "unknown" if loss is None else f"{loss:.3f}"


def score_words(match: dict[str, Any]) -> str:
    """Show a score with its interval."""
    if match["score"] is None:
        return "unknown"
    ends = match["score_ci95"]
    interval = "" if ends is None else f" [{ends[0]:.3f}, {ends[1]:.3f}]"
    capped = f", {match['capped']} capped" if match["capped"] else ""
    return f"{match['score']:.3f}{interval} ({match['games']} games{capped})"


def gate_words(match: dict[str, Any]) -> str:
    """Show a sequential test."""
    low, high = match["bounds"]
    elo = match["elo"]
    words = "beyond measure" if elo is None else f"{elo:+.0f} Elo"
    return f"{score_words(match)}, {words}, LLR {match['llr']:+.2f} [{low:.2f}, {high:.2f}]"


def seconds_words(report: GenerationReport) -> str:
    """Show the time of a generation and of its stages."""
    parts = ", ".join(f"{name} {value:.0f}" for name, value in report.stage_seconds.items())
    return f"{report.seconds:.0f} ({parts})"


def one_line(report: GenerationReport) -> str:
    """Return the permanent line of a generation."""
    gate = report.matches["against_champion"]
    elo = "" if gate["elo"] is None else f"{gate['elo']:+.0f} Elo "
    words = report.decision.upper() if report.decision == "promoted" else report.decision
    return (
        f"cycle {report.generation}  {report.selfplay.games:,} games  "
        f"loss {loss_words(report.training['train']['policy_loss'])}  score {gate['score']:.2f} {elo}"
        f"{gate['games']} games  {words} {report.candidate[:6]}  {report.seconds:.0f}s"
    )


def fields_of(report: LoopReport) -> dict[str, Any]:
    """Return the JSON result."""
    return {
        "run": report.run,
        "folder": str(report.folder),
        "champion": report.champion,
        "complete": report.complete,
        "generations": list(report.generations),
        "exam": report.exam,
    }


def summary(report: LoopReport, console: Console) -> None:
    """Print what the run came to."""
    out = current().out
    rows = []
    for table in report.generations:
        gate = table["matches"]["against_champion"]
        rows.append(
            (
                table["generation"],
                table["selfplay"]["games"],
                table["selfplay"]["plies"],
                table["training"]["samples"],
                loss_words(table["training"]["train"]["policy_loss"]),
                loss_words(table["training"]["train"]["value_loss"]),
                score_words(gate),
                score_words(table["matches"]["candidate_random"]),
                score_words(table["matches"]["candidate_heuristic"]),
                table["decision"],
                round(table["seconds"]),
            )
        )
    columns = [
        Column("gen", number=True),
        Column("games", number=True),
        Column("plies", number=True),
        Column("samples", number=True),
        Column("policy loss", number=True),
        Column("value loss", number=True),
        Column("vs champion"),
        Column("vs random"),
        Column("vs heuristic"),
        Column("decision"),
        Column("s", number=True),
    ]
    console.print(out.table(columns, rows))
    exam = report.exam
    if exam is not None:
        low, high = exam["wilson_ci95"]
        console.print(
            f"final exam: champion {str(report.champion)[:12]} scores {exam['score']:.3f} against random "
            f"in {exam['games']} games, 95 % interval [{low:.3f}, {high:.3f}]: "
            f"{'passed' if exam['passed'] else 'not passed'} (>= 0.90, lower end > 0.85)",
            soft_wrap=True,
        )
    console.print(f"report: {report.folder / 'report.json'}", soft_wrap=True)
