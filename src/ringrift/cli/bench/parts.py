"""What the commands of `ringrift bench` share: options, agents, where a result goes, the gate."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.model_references import ModelReferences
from ringrift.core.errors import NegativeResult, UsageError
from ringrift.core.files import write_atomic
from ringrift.core.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console, RenderableType

    from ringrift.agents.benchmarks.results import Check, Figure, GateStatus
    from ringrift.agents.protocol import Agent, Model
    from ringrift.cli.invocation import Invocation
    from ringrift.rules import BoardSpec

Repeat = Annotated[
    int,
    typer.Option(
        "--repeat",
        min=1,
        help="Measurements; the result is their median, with the least and the greatest.",
    ),
]
OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Also write the result there, as JSON.",
        rich_help_panel="Output",
    ),
]
Gate = Annotated[
    bool,
    typer.Option(
        "--gate",
        help="End with 1 unless the figures meet their demands.",
        rich_help_panel="Output",
    ),
]
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class AgentMaker:
    """Make agents with the models of a data root; it can be sent to another process."""

    root: Path | None

    def __call__(self, text: str, spec: BoardSpec) -> Agent:
        """Make the agent of a spec."""
        from ringrift.agents.factory import make_agent

        return make_agent(text, spec, lambda name: load(self.root, name, spec))


def load(root: Path | None, name: str, spec: BoardSpec) -> Model:
    """Load a model of a data root by file, id, prefix, alias or `champion`."""
    from ringrift.nets.loading import open_model

    return open_model(ModelReferences(root).file(name, spec), spec)


def existing_root(run: Invocation) -> Paths | None:
    """Return the data root if there is one; a benchmark makes none."""
    root = run.known_root()
    if root is None or not Paths(root).exists:
        return None
    return Paths(root)


def agent_maker(run: Invocation) -> AgentMaker:
    """Return what makes the agents of this run."""
    paths = existing_root(run)
    return AgentMaker(None if paths is None else paths.root)


def configurations(boards: str, players: str) -> list[str]:
    """Return the configurations of a comma list of boards, or `all`, and one of players."""
    from ringrift.rules import BOARDS, board_name

    names = BOARDS if boards == "all" else [board_name(board) for board in boards.split(",")]
    seats = players.split(",")
    if not all(seat in ("2", "3", "4") for seat in seats):
        raise UsageError(f"players is {players!r}; expected 2, 3, 4 or a comma list of them")
    return [f"{name}_{seat}p" for name in names for seat in seats]


def board_spec(config: str) -> BoardSpec:
    """Return the specification of a configuration without options."""
    from ringrift.rules import BoardSpec, parse_config

    return BoardSpec.create(*parse_config(config))


def show_plan(run: Invocation, plan: Mapping[str, Any]) -> None:
    """Print what would be measured."""
    lines = [f"{name.replace('_', ' ')}: {_words(value)}" for name, value in plan.items()]
    run.out.result({"plan": dict(plan), "gate": {"status": "not run"}}, human="\n".join(lines))


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(part) for part in value) or "none"
    return "none" if value is None else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A result with its figures and the demands on them.

    `not_run` says why nothing can be demanded; a gate is then not passed.
    """

    fields: Mapping[str, Any]
    figures: Sequence[Figure]
    checks: Sequence[Check] = ()
    not_run: str | None = None

    def gate(self) -> dict[str, Any]:
        """Return the gate as it is published."""
        from ringrift.agents.benchmarks.results import gate_status

        status: GateStatus = "not run" if self.not_run else gate_status(self.checks)
        reason = self.not_run
        if status == "not run" and reason is None:
            reason = "nothing is demanded of these configurations"
        return {
            "status": status,
            "reason": reason,
            "checks": [check.as_tree() for check in self.checks],
        }


def finish(
    run: Invocation,
    outcome: Outcome,
    *,
    output: Path | None,
    gate: bool,
    human: Callable[[Console], None] | RenderableType,
) -> None:
    """Store and print a result; with `gate` end with 1 unless its gate is passed.

    The result is a line of `runs/bench/<name>.jsonl` of the data root, where there is one.
    """
    from ringrift.agents.benchmarks.results import append_line, machine, now
    from ringrift.cli.main import version_fields

    name = run.command.removeprefix("bench ")
    result = {
        **outcome.fields,
        "figures": [figure.as_tree() for figure in outcome.figures],
        "gate": outcome.gate(),
        "made": now(),
        **machine(),
        **version_fields(),
    }
    stored = {"benchmark": name, **result}
    paths = existing_root(run)
    if paths is not None:
        append_line(paths.runs / "bench" / f"{name}.jsonl", stored)
    if output is not None:
        text = json.dumps(stored, ensure_ascii=False, allow_nan=False)
        try:
            write_atomic(output, text.encode() + b"\n")
        except OSError as error:
            raise UsageError(
                f"cannot write {output}: {error.strerror}", where="--output"
            ) from error
    passed = result["gate"]["status"] == "passed" or not gate
    run.out.result(result, human=human, ok=passed)
    if not passed:
        _explain(run, outcome)
        raise typer.Exit(NegativeResult.exit_code)


def _explain(run: Invocation, outcome: Outcome) -> None:
    if reason := outcome.gate()["reason"]:
        run.out.note(f"gate not run: {reason}")
    for check in outcome.checks:
        if not check.passed:
            run.out.note(
                f"gate: {check.case}: {check.name} {check.found:,.4g} {check.unit}, wanted "
                f"{'at most' if check.most else 'at least'} {check.wanted:,.4g}"
            )
