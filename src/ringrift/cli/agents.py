"""`ringrift agents`: name, explain and rank agents."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.model_references import ModelReferences
from ringrift.cli.output import Column
from ringrift.cli.shared_options import ConfigKey, DryRun, Seed
from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic

if TYPE_CHECKING:
    from ringrift.agents.kinds import Key, Kind
    from ringrift.agents.ladder import LadderLevel
    from ringrift.agents.spec import AgentSpec
    from ringrift.rules import BoardSpec

app = typer.Typer(add_completion=False, help="Name, explain and rank agents.")


@app.command("parse")
def parse(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="Agent spec, or a comma list.")],
    config_key: ConfigKey = None,
) -> None:
    """Read agent specs and print what they mean.

    Reads the data root's models where a spec names one and --config-key is given; changes nothing.
    With a configuration every model is replaced by its id and the agent gets its hash.

    Exit code 2 for a bad spec, with the place of the fault, and for a model that is not there.

    Examples: ringrift agents parse mcts_100 |
    ringrift agents parse "heuristic:eps=0.1,descent:sims=50" --config-key hex8_3p --json
    """
    from ringrift.agents.spec import format_spec, parse_specs

    run = current()
    board = None if config_key is None else _board(config_key)
    references = ModelReferences.of(run)
    rows = []
    for parsed in parse_specs(spec):
        row: dict[str, Any] = {
            "kind": parsed.kind,
            "spec": format_spec(parsed),
            "models": list(parsed.models),
            "resolved": None,
            "agent_hash": None,
        }
        if board is not None:
            found = _identity(parsed, board, references)
            row.update(resolved=found.text, agent_hash=found.agent_hash)
        rows.append(row)
    table = run.out.table(
        [Column("spec"), Column("agent")],
        [[row["resolved"] or row["spec"], (row["agent_hash"] or "")[:12] or None] for row in rows],
    )
    configuration = None if board is None else board.config
    run.out.result({"configuration": configuration, "agents": rows}, human=table)


@app.command("list")
def show_kinds() -> None:
    """List the kinds of agents with their arguments and defaults.

    Reads no files; changes nothing. A bare value in a spec belongs to the argument marked *.

    Examples: ringrift agents list | ringrift agents list --json
    """
    from ringrift.agents.kinds import KINDS
    from ringrift.agents.old_names import known_names

    run = current()
    rows = []
    for kind in KINDS.values():
        for number, (name, key) in enumerate(sorted(kind.keys.items()) or [("", None)]):
            head = [kind.name, kind.help] if number == 0 else ["", ""]
            mark = "*" if name == kind.principal else ""
            cells = ["", "", ""] if key is None else [_default(key), key.expected, key.help]
            rows.append([*head, f"{name}{mark}", *cells])
    columns = ["kind", "plays", "argument", "default", "values", "meaning"]
    table = run.out.table([Column(name) for name in columns], rows)
    kinds = [_kind_fields(kind) for kind in KINDS.values()]
    run.out.result({"kinds": kinds, "old_names": known_names()}, human=table)


@app.command("scales")
def scales(
    config_key: ConfigKey = None,
    seed: Seed = 42,
    positions: Annotated[
        int, typer.Option("--positions", min=100, help="Positions per configuration.")
    ] = 20_000,
    games: Annotated[
        int | None,
        typer.Option("--games", min=2, help="Games of each kind [default: 400, large boards 200]."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="File of scales to write.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Measure what normalises the heuristic's features.

    Plays random and heuristic games of one configuration, or of all twelve, and takes the spread of
    every feature over their positions. Writes FILE if one is given; nothing else is changed.

    Exit code 1 where a feature that can vary never did.

    Examples: ringrift agents scales --config-key square8_2p --dry-run |
    ringrift agents scales --output heuristic_scales.json --seed 42
    """
    from ringrift.agents.scales import measure_scales, scales_file
    from ringrift.core.settings import CONFIGURATIONS

    run = current()
    configs = list(CONFIGURATIONS) if config_key is None else [_board(config_key).config]
    rows: dict[str, dict[str, Any]] = {}
    with run.out.progress() as progress:
        task = progress.task("measuring", total=len(configs), unit="configurations")
        for config in configs if not dry_run else []:
            rows[config] = measure_scales(
                config,
                positions=positions,
                games=games,
                seed=seed,
                on_progress=lambda what: task.update(task.done, name=f"measuring {what}"),
            )
            task.advance()
        task.finish()
    if output is not None and not dry_run:
        text = json.dumps(scales_file(rows, seed=seed), indent=1)
        write_atomic(output, f"{text}\n".encode())
    table = run.out.table(
        [Column("configuration"), Column("positions", number=True), Column("gain", number=True)],
        [[config, row["positions"], f"{row['gain']:.4g}"] for config, row in rows.items()],
    )
    plan = f"would measure {', '.join(configs)} with {positions:,} positions each, seed {seed}"
    run.out.result(
        {
            "configurations": configs,
            "seed": seed,
            "scales": rows,
            "output": None if output is None else str(output),
            "dry_run": dry_run,
        },
        human=plan if dry_run else table,
    )


@app.command("explain")
def explain(
    position: Annotated[
        str,
        typer.Option("--position", metavar="TEXT|FILE|-", help="Canonical state, or JSON of one."),
    ],
    seat: Annotated[
        int | None, typer.Option("--seat", min=1, max=4, help="Seat [default: the one to move].")
    ] = None,
    config_key: ConfigKey = "square8_2p",
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", metavar="FILE|ID", help="Weights [default: the configuration's]."
        ),
    ] = None,
) -> None:
    """Show what the heuristic score of a position is made of.

    Reads a canonical state of the configuration, or JSON with config, state and moves: the text
    itself, a file, or standard input (-). Changes nothing. The contributions add up to the score.

    Exit code 6 for a text that is no position, 2 for a finished game.

    Examples: ringrift agents explain --position position.txt --seat 2 |
    ringrift agents explain --position '{"config": "hex8_3p", "moves": []}' --json
    """
    from ringrift.agents.explain import breakdown, values
    from ringrift.agents.hosting.positions import read_position
    from ringrift.agents.weights import profile_for

    run = current()
    where, text = _text_of(position)
    found = read_position(text, _board(config_key or "square8_2p"), where=where)
    asked = found.current_player or 1 if seat is None else seat
    profile = profile_for(found.spec, weights=weights)
    parts = breakdown(found, asked, profile)
    score = sum(parts.values())
    ordered = sorted(parts.items(), key=lambda part: -abs(part[1]))
    table = run.out.table(
        [Column("feature"), Column("contribution", number=True)],
        [[name, f"{value:+.3f}"] for name, value in ordered if value != 0],
        title=f"seat {asked} of {found.spec.config}: score {score:+.3f}, "
        f"values {', '.join(f'{value:+.3f}' for value in values(found, profile))}",
    )
    run.out.result(
        {
            "configuration": found.spec.config,
            "seat": asked,
            "score": score,
            "values": list(values(found, profile)),
            "breakdown": parts,
            "weights": profile.hash,
        },
        human=table,
    )


@app.command("ladder")
def show_ladder(config_key: ConfigKey = "square8_2p") -> None:
    """Show the ten difficulty levels of a configuration.

    Reads the settings section `ladder` and the data root's models; changes nothing. A level whose
    model is not there is unavailable, and the last column says why.

    Examples: ringrift agents ladder --config-key hex8_3p |
    ringrift agents ladder --config-key square19_2p --json
    """
    from ringrift.agents.ladder import ladder

    run = current()
    board = _board(config_key or "square8_2p")
    references = ModelReferences.of(run)
    overrides = run.settings().values.ladder
    levels = ladder(
        board.config,
        lambda name: references.file(name, board),
        {
            str(level): {str(key): row for key, row in rows.items()}
            for level, rows in overrides.items()
        },
    )
    table = run.out.table(
        [
            Column("level", number=True),
            Column("agent"),
            Column("randomness", number=True),
            Column("think ms", number=True),
            Column("available"),
        ],
        [
            [
                level.level,
                str(level.agent),
                f"{level.randomness:g}",
                level.think_ms,
                "yes" if level.available else f"no: {level.reason}",
            ]
            for level in levels
        ],
        title=board.config,
    )
    rows = [_level_fields(level) for level in levels]
    run.out.result({"configuration": board.config, "levels": rows}, human=table)


@app.command("import-weights")
def import_weights(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Profile of WEIGHT_* keys.")],
    config_key: ConfigKey = "square8_2p",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="File of weights to write.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Import heuristic weights with WEIGHT_* keys.

    Reads a profile of the 49 documented keys, maps what has a counterpart here and names each key
    that has no effect. Writes FILE if one is given; nothing else is changed.

    Exit code 6 for a file that cannot be imported, such as a fast profile of eight keys.

    Examples: ringrift agents import-weights trained.json --config-key square8_2p |
    ringrift agents import-weights trained.json --config-key hex8_2p --output weights.json --json
    """
    from ringrift.agents import weight_files

    run = current()
    board = _board(config_key or "square8_2p")
    found = weight_files.import_weights(file, board.config)
    if output is not None and not dry_run:
        weight_files.save_profile(output, found.profile)
    lines = [f"{key} has no effect here" for key in found.without_effect]
    lines += [f"{name} keeps its start weight" for name in found.kept]
    verb = "would write" if dry_run else "wrote"
    lines.append(f"{verb} {output}" if output else f"weights {found.profile.hash[:12]}")
    run.out.result(
        {
            "configuration": board.config,
            "weights": found.profile.as_tree(),
            "without_effect": list(found.without_effect),
            "kept": list(found.kept),
            "output": None if output is None else str(output),
            "dry_run": dry_run,
        },
        human="\n".join(lines),
    )


# --- parts


def _board(config_key: str) -> BoardSpec:
    from ringrift.rules import BoardSpec, parse_config

    return BoardSpec.create(*parse_config(config_key))


def _identity(parsed: AgentSpec, board: BoardSpec, references: ModelReferences) -> Any:
    from ringrift.agents.factory import identify
    from ringrift.agents.ladder import playable

    names = parsed.models
    if parsed.kind == "ladder":
        level = int(parsed.number("level"))
        found = playable(board.config, level, lambda name: references.file(name, board))
        names = found.agent.models
    ids = {name: references.model_id(name, board) for name in names}
    return identify(parsed, board, model_ids=ids)


def _kind_fields(kind: Kind) -> dict[str, Any]:
    return {
        "name": kind.name,
        "version": kind.version,
        "help": kind.help,
        "principal": kind.principal,
        "model": "none" if not kind.takes_model else "optional" if kind.modelless else "required",
        "arguments": [
            {
                "name": name,
                "default": key.default,
                "default_large": key.default_large,
                "values": key.expected,
                "help": key.help,
            }
            for name, key in sorted(kind.keys.items())
        ],
    }


def _default(key: Key) -> str:
    from ringrift.agents.kinds import write_value

    if key.default is None:
        return ""
    text = write_value(key.default)
    return text if key.default_large is None else f"{text}, large boards {key.default_large}"


def _level_fields(level: LadderLevel) -> dict[str, Any]:
    return {
        "level": level.level,
        "agent": str(level.agent),
        "model": level.model,
        "randomness": level.randomness,
        "think_ms": level.think_ms,
        "available": level.available,
        "reason": level.reason,
        "overridden": level.overridden,
    }


def _text_of(source: str) -> tuple[str, str]:
    """Return where a position stands and its text: the argument itself, a file, standard input."""
    if source == "-":
        return "standard input", sys.stdin.read()
    if source.startswith(("ph=", "{")):
        return "--position", source
    path = Path(source)
    if not path.is_file():
        raise DataError(
            f"neither a state text nor a file: {source!r:.60}", hint="a text beginning with ph="
        )
    try:
        return source, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read as text: {error}", where=source) from None
