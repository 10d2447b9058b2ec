"""Games in lock step: every choice of all games in one call of each agent.

What is played in a game depends on its plan and its agents alone, not on the games beside it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ringrift.agents import streams
from ringrift.agents.listing import scratch
from ringrift.agents.protocol import Agent, Batch, Budget, Decision, Rngs
from ringrift.core.errors import UsageError
from ringrift.core.log import get_logger
from ringrift.core.versions import installed
from ringrift.records.record import AgentRef, Analysis, GameMeta, GameRecord, PlyAnalysis, quantize
from ringrift.records.verify import build_record
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
from ringrift.selfplay import steps
from ringrift.selfplay.plans import GamePlan, PlayJob

Played: TypeAlias = tuple[GameRecord, Analysis | None]

log = get_logger(__name__)

_FULL = Budget()
_SCHEDULE = Rngs(streams.SCHEDULE)
_AGENT = Rngs()


@dataclass(slots=True)
class _Game:
    """One game under way."""

    plan: GamePlan
    marks: dict[int, str]
    started: float
    analysis: list[PlyAnalysis] = field(default_factory=list)
    fault: str | None = None


class Table:
    """Up to `size` games of one job, moved on together by `step`.

    `agents` are those of `PlayJob.agents`, in that order.
    """

    def __init__(self, job: PlayJob, agents: Sequence[Agent], size: int) -> None:
        self.job = job
        self._agents = tuple(agents)
        self._refs = tuple(
            AgentRef(spec=a.spec.text, agent_hash=a.spec.agent_hash, model_id=a.spec.model_id)
            for a in self._agents
        )
        self._boards = board_tables(job.spec)
        self._games: list[_Game | None] = [None] * size
        self._states = lay.zeros(size, lay.STATE)
        self._played = np.zeros((size, job.max_plies), np.int64)
        self._plies = np.zeros(size, np.int32)
        self._seats = np.zeros((size, job.spec.players), np.int64)
        self._buffer = np.zeros(job.spec.max_moves, np.int64)
        cheap = job.cheap_sims
        self._cheap = Budget(sims=cheap, kind="cheap") if cheap is not None else _FULL

    @property
    def free(self) -> int:
        """Number of games that can be started."""
        return self._games.count(None)

    @property
    def busy(self) -> bool:
        """Whether a game is under way."""
        return self.free < len(self._games)

    def emptied(self, *, max_plies: int | None = None) -> Table:
        """Return a table of the same job without games; `max_plies` replaces the job's limit."""
        job = self.job if max_plies is None else replace(self.job, max_plies=max_plies)
        return Table(job, self._agents, len(self._games))

    def start(self, plan: GamePlan) -> None:
        """Seat a game and play its opening; raises `UsageError` for an opening that is not legal."""
        players = self.job.spec.players
        if len(plan.seats) != players or not all(0 <= a < len(self._agents) for a in plan.seats):
            raise UsageError(f"game {plan.index}: seats {plan.seats} for {players} players")
        slot = self._games.index(None)
        randoms = np.zeros(plan.random_choices, np.int32)
        fault = steps.open_game(
            self._states,
            slot,
            self._boards,
            scratch(),
            self._buffer,
            self._played,
            self._plies,
            np.array(plan.opening, np.int64),
            plan.random_choices,
            plan.seed,
            randoms,
        )
        if fault != steps.FINE:
            raise UsageError(
                f"game {plan.index}: {steps.FAULTS[fault]} in the opening",
                where=f"ply {self._plies[slot]}",
            )
        marks = dict.fromkeys(range(len(plan.opening)), "book")
        marks |= {ply: "random" for ply in randoms.tolist() if ply >= 0}
        self._seats[slot] = plan.seats
        self._games[slot] = _Game(plan, marks, time.time())

    def step(self) -> list[Played]:
        """Decide one choice of every game; return the games that ended."""
        done = self._finished()  # a game may end in its opening
        for agent, slots in self._to_move():
            decisions = self._decide(self._agents[agent], slots)
            kept = np.array([d is not None for d in decisions], bool)
            moves = np.array([d.move for d in decisions if d is not None], np.int64)
            self._note(slots[kept], [d for d in decisions if d is not None])
            faults = np.zeros(len(moves), np.int64)
            steps.advance(
                self._states, slots[kept], moves, self._boards, scratch(), self._buffer,
                self._played, self._plies, faults,
            )  # fmt: skip
            for slot, fault in zip(slots[kept].tolist(), faults.tolist(), strict=True):
                if fault != steps.FINE:
                    self._at(slot).fault = steps.FAULTS[fault]
        return done + self._finished()

    def _at(self, slot: int) -> _Game:
        game = self._games[slot]
        assert game is not None
        return game

    def _slots(self) -> NDArray[np.int64]:
        return np.array([i for i, game in enumerate(self._games) if game is not None], np.int64)

    def _to_move(self) -> list[tuple[int, NDArray[np.int64]]]:
        """Return each agent with the games in which it is to move."""
        slots = self._slots()
        seats = self._states["misc"][slots, lay.CUR] - 1
        agents = self._seats[slots, seats]
        return [(a, slots[agents == a]) for a in np.unique(agents).tolist()]

    def _decide(self, agent: Agent, slots: NDArray[np.int64]) -> list[Decision | None]:
        games = [self._at(i) for i in slots.tolist()]
        batch = Batch(self.job.spec, self._states[slots], [g.plan.seed for g in games])
        budgets = [self._budget(i, g) for i, g in zip(slots.tolist(), games, strict=True)]
        try:
            return list(agent.choose(batch, budgets, _AGENT))
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever an agent raises ends a game, not the run
            log.warning("an agent failed on a batch", agent=agent.spec.text, error=str(error))
        return [
            self._decide_alone(
                agent, game, Batch(self.job.spec, batch.states[k : k + 1], [seed]), budget
            )
            for k, (game, seed, budget) in enumerate(zip(games, batch.seeds, budgets, strict=True))
        ]

    def _decide_alone(
        self, agent: Agent, game: _Game, batch: Batch, budget: Budget
    ) -> Decision | None:
        """Decide one position, so that a failure ends its own game alone."""
        try:
            return agent.choose(batch, budget, _AGENT)[0]
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - recorded as the game's end
            game.fault = " ".join(f"{type(error).__name__}: {error}".split())
            log.warning("game aborted", game=game.plan.index, why=game.fault)
            return None

    def _budget(self, slot: int, game: _Game) -> Budget:
        if self.job.full_fraction >= 1:
            return _FULL
        ply, seat = int(self._plies[slot]), int(self._states[slot]["misc"][lay.CUR])
        draw = _SCHEDULE.uniform(game.plan.seed, ply, seat)
        return _FULL if draw < self.job.full_fraction else self._cheap

    def _note(self, slots: NDArray[np.int64], decisions: Sequence[Decision]) -> None:
        """Keep what the searches found."""
        if not self.job.analyse:
            return
        for slot, d in zip(slots.tolist(), decisions, strict=True):
            game = self._at(slot)
            if d.policy is None or d.value is None or len(set(game.plan.seats)) > 1:
                continue
            game.analysis.append(
                PlyAnalysis(
                    ply=int(self._plies[slot]),
                    kind=d.kind,
                    sims=d.sims,
                    value=d.value if d.raw_value is None else d.raw_value,
                    root_value=d.value,
                    policy=quantize(dict(d.policy)),
                    nodes=d.nodes,
                    depth=d.depth,
                )
            )

    def _finished(self) -> list[Played]:
        slots = self._slots()
        over = (self._states["misc"][slots, lay.PHASE] == lay.OVER) | (
            self._plies[slots] >= self.job.max_plies
        )
        return [
            self._end(slot)
            for slot, ended in zip(slots.tolist(), over.tolist(), strict=True)
            if ended or self._at(slot).fault is not None
        ]

    def _end(self, slot: int) -> Played:
        game = self._at(slot)
        self._games[slot] = None
        plan, job = game.plan, self.job
        record = build_record(
            job.spec,
            plan.seed,
            [self._refs[a] for a in plan.seats],
            self._played[slot, : self._plies[slot]].tolist(),
            end=None if game.fault is None else "aborted",
            reason=None if game.fault is None else game.fault[:200],
            marks=game.marks,
            max_plies=job.max_plies,
            meta=GameMeta(
                purpose=job.purpose,
                run=job.run,
                index=plan.index,
                host=socket.gethostname(),
                version=installed("ringrift"),
                device="cpu",
                started=round(game.started, 3),
                ms=round((time.time() - game.started) * 1000),
                tags=job.tags,
            ),
        )
        if not game.analysis:
            return record, None
        agent = self._refs[plan.seats[0]]
        budget = {"full_fraction": job.full_fraction, "cheap_sims": job.cheap_sims}
        return record, Analysis(
            game=record.id, agent=agent.agent_hash, budget=budget, plies=tuple(game.analysis)
        )
