"""What the commands of `ringrift play` share: agents with models of the data root, positions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.model_references import ModelReferences
from ringrift.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringrift.agents.hosting.game import HostedGame
    from ringrift.agents.ladder import Override
    from ringrift.agents.protocol import Agent, Decision, Model
    from ringrift.agents.swapping import SwapOffer
    from ringrift.cli.invocation import Invocation
    from ringrift.rules import BoardSpec, Position

AgentText = Annotated[
    str,
    typer.Option(
        "--agent",
        metavar="SPEC",
        help="Agent, as heuristic:mode=light or gumbel:sims=64,eval=heuristic.",
        rich_help_panel="Search",
    ),
]
TimeMs = Annotated[
    float | None,
    typer.Option(
        "--ms",
        min=1,
        metavar="N",
        help="Time of the search in ms [default: the agent's own limit].",
        rich_help_panel="Search",
    ),
]
RuleOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--options",
        "--option",
        metavar="K=V",
        help="Rule option: rings_per_player, lps_rounds, swap_rule, base_line_length.",
        rich_help_panel="Game",
    ),
]
PositionSource = Annotated[
    str | None,
    typer.Option(
        "--position",
        metavar="FILE|-",
        help="Canonical text, or JSON with config, options, state, moves; - reads standard input.",
        rich_help_panel="Input",
    ),
]


def maker(run: Invocation, spec: BoardSpec) -> Callable[[str], Agent]:
    """Return what makes agents for games of `spec`, with models and settings of the data root."""
    from ringrift.agents.factory import make_agent

    references = ModelReferences.of(run)

    def load(name: str) -> Model:
        from ringrift.nets.loading import open_model

        return open_model(references.file(name, spec), spec)

    def make(text: str) -> Agent:
        levels: dict[str, dict[str, Override]] = {}
        if "ladder" in text:
            found = run.settings().values.ladder
            levels = {level: dict(rows.items()) for level, rows in found.items()}
        return make_agent(text, spec, load, levels=levels)

    return make


def position_from(source: str, spec: BoardSpec) -> Position:
    """Read the position of a file, or of standard input for `-`."""
    from ringrift.agents.hosting.positions import read_position

    if source == "-":
        return read_position(sys.stdin.read(), spec, where="standard input")
    path = Path(source)
    if not path.is_file():
        raise UsageError(f"no file {source!r:.60}", where="--position", hint="FILE, or -")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read as text: {error}", where=source) from None
    return read_position(text, spec, where=source)


def outcome_fields(game: HostedGame) -> dict[str, Any]:
    """Return what every result of a game says."""
    outcome = game.outcome
    return {
        "configuration": game.spec.config,
        "seats": list(game.seats),
        "seed": game.seed,
        "plies": len(game.plies),
        "moves": game.texts,
        "position": str(game.position),
        "winner": None if outcome is None else outcome.winner,
        "reason": None if outcome is None else outcome.reason,
        "ranking": None if outcome is None or outcome.ranking is None else list(outcome.ranking),
    }


def outcome_text(game: HostedGame) -> str:
    """Return how a game stands in one line."""
    outcome, plies = game.outcome, len(game.plies)
    if outcome is None:
        return f"not finished after {plies} plies"
    who = game.occupant(outcome.winner) if outcome.winner else ""
    won = f"P{outcome.winner} ({who}) wins" if outcome.winner else "nobody wins"
    ranks = "" if outcome.ranking is None else f", ranks {' '.join(map(str, outcome.ranking))}"
    return f"{won} by {outcome.reason} after {plies} plies{ranks}"


def value_text(value: tuple[float, ...] | None) -> str | None:
    """Return a value vector as text, None where there is none."""
    return None if value is None else " ".join(f"{v:+.3f}" for v in value)


def decision_text(decision: Decision) -> str:
    """Return how an agent decided: time, value, and its answer where seats could be exchanged."""
    from ringrift.agents.swapping import OfferDecision

    said = [f"{decision.time_ms / 1000:.1f} s", value_text(decision.value)]
    if isinstance(decision, OfferDecision):
        said.append(offer_text(decision.offer))
    return ", ".join(part for part in said if part)


def offer_text(offer: SwapOffer) -> str:
    """Return how a swap offer is answered, and why."""
    answer = "exchange seats" if offer.swapped else "keep the seats"
    if offer.values is None:
        return answer
    first, second = offer.values
    return f"{answer}: seats stand {first:+.3f} {second:+.3f}, margin {offer.margin:g}"
