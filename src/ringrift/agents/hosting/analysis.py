"""Analyse a position: the best moves with their values, visits, policy and lines, ever deeper."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ringrift.agents.evaluation import evaluate_all
from ringrift.agents.heuristic import HeuristicAgent
from ringrift.agents.hosting.searching import batch_of, keys_of, searches
from ringrift.agents.listing import scratch
from ringrift.agents.protocol import Agent, Budget, Decision, Rngs
from ringrift.agents.values import values_of_ranks
from ringrift.core.errors import UsageError
from ringrift.rules import Position
from ringrift.rules.geometry import board_tables

LINE_PLIES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One move: `value` of every seat after it, share of `policy`, `visits`, and the line played.

    What an agent does not compute is None.
    """

    text: str
    value: tuple[float, ...] | None
    policy: float | None
    visits: int | None
    line: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """The state of an analysis: the search's size, its root value, and its best moves in order."""

    kind: str
    sims: int
    depth: int
    nodes: int
    time_ms: float
    value: tuple[float, ...] | None
    moves: tuple[Candidate, ...]


def analyse(
    agent: Agent, position: Position, seed: int, budget: Budget, *, top: int = 5
) -> Iterator[Update]:
    """Yield an update for each of ever longer searches (`searching.searches`), best moves first.

    The value of a move and the rest of its line are those of a search of its own after it, with
    `1 / top` of the simulations or one choice less of depth; the first line is the search's own.
    """
    if position.is_over:
        raise UsageError(f"the position is over: winner {position.winner}")
    begun_s = time.perf_counter()
    for decision in searches(agent, position, seed, budget):
        if isinstance(agent, HeuristicAgent) and decision.kind != "forced":
            moves = _by_score(agent, position, seed, decision, top)
        else:
            moves = _searched(agent, position, seed, decision, budget, top)
        yield Update(
            kind=decision.kind,
            sims=decision.sims,
            depth=decision.depth,
            nodes=decision.nodes,
            time_ms=(time.perf_counter() - begun_s) * 1000,
            value=decision.value,
            moves=moves,
        )


def line_of(position: Position, moves: Sequence[int]) -> tuple[str, ...]:
    """Return the texts of a line of packed moves, as far as they are legal in turn."""
    at, texts = position.copy(), []
    for move in moves[:LINE_PLIES]:
        if at.is_over or move not in at.legal_packed():
            break
        texts.append(at.move_text(move))
        at.play(move)
    return tuple(texts)


def _searched(
    agent: Agent,
    position: Position,
    seed: int,
    decision: Decision,
    budget: Budget,
    top: int,
) -> tuple[Candidate, ...]:
    visits, policy = dict(decision.visits or ()), dict(decision.policy or ())
    others = sorted(
        {*visits, *policy} - {decision.move},
        key=lambda move: (-visits.get(move, 0), -policy.get(move, 0.0), move),
    )
    best = [decision.move, *others][:top]
    after = _after(agent, position, seed, best, decision, budget, top)
    return tuple(
        Candidate(
            text=position.move_text(move),
            value=value,
            policy=policy.get(move),
            visits=visits.get(move),
            line=line_of(position, decision.pv or (move,)) if move == decision.move else line,
        )
        for move, (value, line) in zip(best, after, strict=True)
    )


def _after(
    agent: Agent,
    position: Position,
    seed: int,
    moves: list[int],
    decision: Decision,
    budget: Budget,
    top: int,
) -> list[tuple[tuple[float, ...] | None, tuple[str, ...]]]:
    """Return value and line after each of `moves`, forced plies played on."""
    reached, lines = [], []
    for move in moves:
        at, line = position.after(move), [position.move_text(move)]
        while not at.is_over and len(only := at.legal_packed()) == 1:
            line.append(at.move_text(int(only[0])))
            at.play(int(only[0]))
        reached.append(at)
        lines.append(line)
    found: list[tuple[tuple[float, ...] | None, tuple[str, ...]]] = []
    open_ = [at for at in reached if not at.is_over]
    size = _share(agent, decision, budget, top)
    decided = iter(agent.choose(batch_of(open_, seed), size, Rngs()) if open_ else [])
    for at, line in zip(reached, lines, strict=True):
        if (result := at.result) is not None:
            found.append((values_of_ranks(result.ranking), tuple(line[:LINE_PLIES])))
            continue
        own = next(decided)
        rest = line_of(at, own.pv or (own.move,))
        found.append((own.value, (*line, *rest)[:LINE_PLIES]))
    return found


def _share(agent: Agent, decision: Decision, budget: Budget, top: int) -> Budget:
    keys = keys_of(agent)
    if "sims" in keys:
        return Budget(sims=max(1, decision.sims // top))
    if "depth" in keys:
        time_ms = None if budget.time_ms is None else max(1.0, decision.time_ms)
        return Budget(depth=max(1, decision.depth - 1), nodes=budget.nodes, time_ms=time_ms)
    if agent.spec.kind == "ladder":  # its levels think by the clock
        return Budget(time_ms=max(1.0, decision.time_ms / top))
    return Budget()


def _by_score(
    agent: HeuristicAgent, position: Position, seed: int, decision: Decision, top: int
) -> tuple[Candidate, ...]:
    """List the moves of a one-ply agent by the value it gives the mover; equals as they come."""
    scores, moves, _ = agent.scores(batch_of([position], seed))
    order = np.argsort(-scores, kind="stable").tolist()
    listed = [int(moves[k]) for k in order]
    best = [decision.move, *(move for move in listed if move != decision.move)][:top]
    after = batch_of([position.after(move) for move in best], seed)
    values = np.zeros((len(best), position.spec.players))
    evaluate_all(
        after.states, len(best), board_tables(position.spec), scratch(), agent.weights, agent.gain,
        values,
    )  # fmt: skip
    return tuple(
        Candidate(
            text=(text := position.move_text(move)),
            value=tuple(value),
            policy=None,
            visits=None,
            line=(text,),
        )
        for move, value in zip(best, values.tolist(), strict=True)
    )
