"""What a game needs before it can enter a store: verified, with its columns, in any process (data.md 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import analysis_to_bytes
from ringrift.records.columns import derived
from ringrift.records.game_bytes import to_bytes
from ringrift.records.gate import GATE_VERSION, Gate, opened
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.refused import Refused

Item = tuple[GameRecord | bytes, Analysis | bytes | None] | Refused
"""A record or its bytes, with an analysis or None; or what a reader had to refuse."""

Known = Callable[[str, str | None], bool]
"""Tells whether a game is in the store, and its analysis if an id of one is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """A game that is in the store already, with its analysis if it has one.

    `further` are those that came with another analysis just before.
    """

    id: str
    purpose: str
    further: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedAnalysis:
    """The search statistics of a prepared game: the columns of their row."""

    id: str
    agent: str
    sims: int
    plies: int
    coverage: float
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A game that the gate let through.

    `purpose` is what its split follows: that of the record, or `match` for a source that is one.
    `columns` are those of its row that follow from the record, `seats` the rows of its agents.
    `further` as in `Repeated`.
    """

    id: str
    purpose: str
    play: str
    columns: dict[str, Any]
    seats: tuple[tuple[Any, ...], ...]
    data: bytes
    analysis: PreparedAnalysis | None
    further: bool = False


Outcome = Prepared | Repeated | Refused


def prepare(item: Item, gate: Gate, known: Known) -> Outcome:
    """Verify a game from its own bytes, unless it is known or was refused before."""
    if isinstance(item, Refused):
        return item
    game, analysis = item
    if isinstance(game, GameRecord) and not isinstance(analysis, bytes):
        found = _repeated(game, analysis, gate, known)
        if found is not None:
            return found
    data = game if isinstance(game, bytes) else to_bytes(game)
    searched = analysis_to_bytes(analysis) if isinstance(analysis, Analysis) else analysis
    try:
        checked = opened(data, searched)
        record = checked.record
        repeated = _repeated(record, checked.analysis, gate, known)
        if repeated is not None:
            return repeated
        play = gate.check(record, checked.analysis)
    except VerificationError as error:
        return Refused(data, error, searched)
    return Prepared(
        id=record.id,
        purpose=gate.purpose_of(record),
        play=play,
        columns={**derived(record, play), "gate_version": GATE_VERSION},
        seats=tuple(
            (record.id, seat, agent.agent_hash, agent.model_id, agent.spec)
            for seat, agent in enumerate(record.agents, 1)
        ),
        data=data,
        analysis=_prepared(checked.analysis, searched, len(record.moves)),
    )


def _repeated(
    record: GameRecord, analysis: Analysis | None, gate: Gate, known: Known
) -> Repeated | None:
    if not known(record.id, None if analysis is None else analysis.id):
        return None
    return Repeated(id=record.id, purpose=gate.purpose_of(record))


def _prepared(analysis: Analysis | None, data: bytes | None, moves: int) -> PreparedAnalysis | None:
    if analysis is None or data is None:
        return None
    searched = len(analysis.table)
    return PreparedAnalysis(
        id=analysis.id,
        agent=analysis.agent,
        sims=int(analysis.table.sims.max(initial=0)),
        plies=searched,
        coverage=searched / moves,
        data=data,
    )
