"""Games in lock step: every choice of all games in one call of each agent.

What is played in a game depends on its plan and its agents alone, not on the games beside it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.listing import scratch
from ringrift.agents.protocol import Agent, Batch, Budget, Decision, Rngs, budget_list
from ringrift.agents.protocol import Budgets as AgentBudgets
from ringrift.agents.swapping import swap_offers, without_swap
from ringrift.core.errors import UsageError
from ringrift.core.log import get_logger
from ringrift.records.record import CHECK_EVERY, AgentRef
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
from ringrift.rules.moves import SWAP
from ringrift.selfplay import invariants, seating, steps, stretches
from ringrift.selfplay.best_moves import BestMoves
from ringrift.selfplay.budgets import Budgets
from ringrift.selfplay.ending import Reached, late_tag, record_game
from ringrift.selfplay.findings import Findings
from ringrift.selfplay.plans import GamePlan, Played, PlayJob
from ringrift.selfplay.resigning import Trigger, trigger

log = get_logger(__name__)

_AGENT = Rngs()


@dataclass(slots=True)
class _Game:
    """One game under way; `randoms` and `tops` are the opening choices still to come."""

    plan: GamePlan
    started: float
    trigger: Trigger
    tops: int
    randoms: int
    marks: dict[int, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    fault: str | None = None
    resigned: int | None = None
    cut: bool = False
    thought_s: float = 0.0


class Table:
    """Up to `size` games of one job, moved on together by `step`.

    `agents` are those of `PlayJob.agents`, in that order, with the job's control in their specs.
    """

    def __init__(self, job: PlayJob, agents: Sequence[Agent], size: int) -> None:
        self.job = job
        self._agents = tuple(agents)
        self._refs = tuple(
            AgentRef(spec=a.spec.text, agent_hash=a.spec.agent_hash, model_id=a.spec.model_id)
            for a in self._agents
        )
        self._budgets = Budgets(job)
        self._best = BestMoves(job)
        self._boards = board_tables(job.spec)
        self._plain = without_swap(job.spec)
        self._games: list[_Game | None] = [None] * size
        self._states = lay.zeros(size, lay.STATE)
        self._watches = np.zeros(size, invariants.WATCH)
        self._watches["on"] = job.check_invariants
        self._played = np.zeros((size, job.max_plies), np.int64)
        self._plies = np.zeros(size, np.int32)
        self._checks = np.zeros((size, job.max_plies // CHECK_EVERY), np.int64)
        self._seeds = np.zeros(size, np.int64)
        self._taus = np.full(size, np.nan)  # those of the plans
        self._seats = np.zeros((size, job.spec.players), np.int64)
        self._declined = np.zeros(size, np.bool_)
        self._ended = np.zeros(size, np.bool_)
        self._buffer = np.zeros(job.spec.max_moves, np.int64)
        self._scores = np.zeros(job.spec.max_moves)
        self._work = lay.zeros(1, lay.STATE)

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

    # --- beginning

    def start(self, plan: GamePlan) -> None:
        """Seat a game and play its opening; raises `UsageError` for an opening that is not legal."""
        players = self.job.spec.players
        if len(plan.seats) != players or not all(0 <= a < len(self._agents) for a in plan.seats):
            raise UsageError(f"game {plan.index}: seats {plan.seats} for {players} players")
        if plan.top_k_choices and not self.job.control.opening_top_k:
            raise UsageError(f"game {plan.index}: top_k_choices without opening_top_k")
        slot = self._games.index(None)
        game = _Game(
            plan=plan,
            started=time.time(),
            trigger=trigger(self.job.control.resign, plan.seed),
            tops=plan.top_k_choices,
            randoms=plan.random_choices,
            marks=dict.fromkeys(range(len(plan.opening)), "book"),
            tags=self._budgets.tags(plan),
        )
        self._seats[slot] = plan.seats
        self._seeds[slot] = plan.seed
        self._taus[slot] = np.nan if plan.tau is None else plan.tau
        self._declined[slot] = self._ended[slot] = False
        fault = self._set_up(slot, plan)
        self._games[slot] = game
        if fault != invariants.FINE:
            self._abort(slot, invariants.FAULTS[fault])
            return
        for ply, move in enumerate(plan.opening):
            self._seat_again(slot, ply, move)
        self._open(slot)

    def _set_up(self, slot: int, plan: GamePlan) -> int:
        """Put the position before the first choice on the board; return a fault."""
        if plan.start is None:
            steps.start_position(self._states, slot, self._boards)
        else:
            self._states[slot] = Position.parse(plan.start, spec=self.job.spec).record()
        fault = steps.open_game(
            self._states, slot, self._boards, scratch(), self._buffer, self._played, self._plies,
            self._checks, np.array(plan.opening, np.int64), self._watches,
        )  # fmt: skip
        if fault == invariants.ILLEGAL:
            raise UsageError(
                f"game {plan.index}: {invariants.FAULTS[fault]} in the opening",
                where=f"ply {self._plies[slot]}",
            )
        return int(fault)

    def _open(self, slot: int) -> None:
        """Play the random choices that are left, up to a swap offer that was not answered."""
        game = self._at(slot)
        if not game.randoms:
            return
        randoms = np.zeros(game.randoms, np.int32)
        done = steps.play_randomly(
            self._states, slot, self._boards, scratch(), self._buffer, self._played, self._plies,
            self._checks, game.plan.seed, self._declined[slot], randoms, self._watches,
        )  # fmt: skip
        count, fault = divmod(int(done), 8)
        game.marks |= dict.fromkeys(randoms[:count].tolist(), "random")
        game.randoms -= count
        if fault != invariants.FINE:
            self._abort(slot, invariants.FAULTS[fault])

    # --- going on

    def step(self) -> list[Played]:
        """Decide one choice of every game, several of the heuristic; return the games that ended."""
        done = self._finished()  # a game may end in its opening
        self._answer_by_lot()
        for agent, moving in self._to_move():
            slots = self._play_on(agent, moving)
            if not slots.size:
                continue
            decisions = self._decide(self._agents[agent], slots, self._budgets_of(agent, slots))
            taken = [
                (slot, self._taken(slot, agent, decision))
                for slot, decision in zip(slots.tolist(), decisions, strict=True)
                if decision is not None
            ]
            self._advance([(slot, move) for slot, move in taken if move is not None])
        return done + self._finished()

    def _at(self, slot: int) -> _Game:
        game = self._games[slot]
        assert game is not None
        return game

    def _slots(self) -> NDArray[np.int64]:
        return np.array([i for i, game in enumerate(self._games) if game is not None], np.int64)

    def _running(self) -> NDArray[np.int64]:
        """Return the games that have not ended."""
        slots = self._slots()
        return slots[~self._over(slots)]

    def _over(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which games have ended, by the rules or otherwise, bool[n]."""
        over = self._states["misc"][slots, lay.PHASE] == lay.OVER
        return np.asarray(over | (self._plies[slots] >= self.job.max_plies) | self._ended[slots])

    def _abort(self, slot: int, why: str) -> None:
        self._at(slot).fault = why
        self._ended[slot] = True

    def _offered(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which games have a swap offer that nobody has declined, bool[n]."""
        found = swap_offers(self.job.spec, self._states[slots])
        return np.asarray(found & ~self._declined[slots])

    def _answer_by_lot(self) -> None:
        """Answer the swap offers that no agent is asked about."""
        probability = self.job.control.swap_probability
        if probability is None or not self.job.spec.swap_rule:
            return
        slots = self._running()
        for slot in slots[self._offered(slots)].tolist():
            accepted = seating.accepts(probability, self._at(slot).plan.seed)
            self._at(slot).tags.append(seating.drawn_tag(accepted))
            if accepted:
                self._advance([(slot, SWAP)])
            else:
                self._decline(slot)

    def _decline(self, slot: int) -> None:
        self._declined[slot] = True
        self._open(slot)

    def _to_move(self) -> list[tuple[int, NDArray[np.int64]]]:
        """Return each agent with the games in which it is to move."""
        slots = self._running()
        seats = self._states["misc"][slots, lay.CUR] - 1
        agents = self._seats[slots, seats]
        return [(a, slots[agents == a]) for a in np.unique(agents).tolist()]

    def _budgets_of(self, agent: int, slots: NDArray[np.int64]) -> AgentBudgets:
        games = [self._at(slot) for slot in slots.tolist()]
        taus = [game.plan.tau for game in games]
        if self._budgets.same and taus.count(None) == len(taus):
            return self._budgets.own
        return self._budgets.of(
            agent,
            self._seeds[slots],
            self._plies[slots],
            self._states["misc"][slots, lay.CUR],
            [game.trigger.reduces for game in games],
            taus,
        )

    def _decide(
        self, agent: Agent, slots: NDArray[np.int64], budget: AgentBudgets
    ) -> list[Decision | None]:
        """Ask an agent about a choice of each game; None where that ended the game."""
        declined = self._declined[slots] & swap_offers(self.job.spec, self._states[slots])
        if not declined.any():
            return self._ask(agent, slots, budget, self.job.spec)
        budgets = budget_list(budget, len(slots))
        found: list[Decision | None] = [None] * len(slots)
        for spec, which in ((self.job.spec, ~declined), (self._plain, declined)):
            places = np.flatnonzero(which).tolist()
            if places:
                part = self._ask(agent, slots[which], [budgets[i] for i in places], spec)
                for i, decision in zip(places, part, strict=True):
                    found[i] = decision
        return found

    def _ask(
        self, agent: Agent, slots: NDArray[np.int64], budget: AgentBudgets, spec: BoardSpec
    ) -> list[Decision | None]:
        seeds = self._seeds[slots].tolist()
        states = self._states[slots]
        if len(slots) > 1:
            begun_s = time.perf_counter()
            try:
                found = list(agent.choose(Batch(spec, states, seeds), budget, _AGENT))
            except UsageError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever an agent raises ends a game, not the run
                log.warning("an agent failed on a batch", agent=agent.spec.text, error=str(error))
            else:
                return self._in_time(slots, found, time.perf_counter() - begun_s)
        return [
            self._ask_alone(agent, slot, Batch(spec, states[k : k + 1], [seed]), own)
            for k, (slot, seed, own) in enumerate(
                zip(slots.tolist(), seeds, budget_list(budget, len(seeds)), strict=True)
            )
        ]

    def _ask_alone(self, agent: Agent, slot: int, batch: Batch, budget: Budget) -> Decision | None:
        """Decide one position, so that a failure ends its own game alone."""
        begun_s = time.perf_counter()
        try:
            found = agent.choose(batch, budget, _AGENT)
            return self._in_time(np.array([slot]), found, time.perf_counter() - begun_s)[0]
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - recorded as the game's end
            why = " ".join(f"{type(error).__name__}: {error}".split())
            log.warning("game aborted", game=self._at(slot).plan.index, why=why)
            self._abort(slot, why)
            return None

    def _in_time(
        self, slots: NDArray[np.int64], found: list[Decision], took_s: float
    ) -> list[Decision | None]:
        """Return the decisions of games that keep their time; each has its share of the batch's."""
        late_ms, game_s = self.job.late_ms, self.job.game_s
        if late_ms is None and game_s is None:
            return list(found)
        each_s = took_s / len(slots)
        for slot in slots.tolist():
            game = self._at(slot)
            game.thought_s += each_s
            if game_s is not None and game.thought_s > game_s:
                self._abort(slot, f"it took more than {game_s:g} s")
            elif late_ms is not None and 1000 * each_s > late_ms:
                self._lose_by_time(slot, 1000 * each_s)
        ended = self._ended[slots].tolist()
        return [None if over else own for own, over in zip(found, ended, strict=True)]

    def _lose_by_time(self, slot: int, took_ms: float) -> None:
        """End a game for the seat to move; with more than two seats nobody has won it."""
        game, seat = self._at(slot), int(self._states["misc"][slot, lay.CUR])
        if not self._plies[slot]:
            self._abort(slot, f"seat {seat} took {took_ms:.0f} ms for the first move")
            return
        game.tags.append(late_tag(seat))
        if self.job.spec.players == 2:
            game.resigned = seat
        else:
            game.cut = True
        self._ended[slot] = True

    def _taken(self, slot: int, agent: int, decision: Decision) -> int | None:
        """Return the move that is played, None if there is none; keep what the search found."""
        game = self._at(slot)
        if decision.value is None and not game.tops and not self.job.spec.swap_rule:
            return decision.move
        ply = int(self._plies[slot])
        answer = seating.answer_tag(decision)
        if answer is not None:
            game.tags.append(answer)
            if decision.move == SWAP:
                return decision.move
            if game.randoms:
                self._decline(slot)
                return None
        if decision.value is not None and game.trigger.see(ply, decision.value):
            game.resigned = game.trigger.loser
            if game.resigned is not None:
                self._ended[slot] = True
                return None
        if self.job.analyse:
            game.findings.note(agent, ply, decision)
        if not game.tops:
            return decision.move
        game.tops -= 1
        game.marks[ply] = "random"
        state = self._states[slot : slot + 1]
        return self._best.draw(self._agents[agent], decision, state, game.plan.seed, ply)

    def _play_on(self, agent: int, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Play stretches of games in compiled code; return those whose choice is still to be made."""
        player = self._agents[agent]
        if not stretches.goes_on(player) or self.job.spec.swap_rule:
            return slots
        drawn = np.zeros(len(slots), np.bool_)
        if self.job.control.opening_top_k:
            drawn[:] = [self._at(slot).tops > 0 for slot in slots.tolist()]
        going = slots[~drawn]
        default = self._budgets.tau(agent, None)
        own = player.tau if default is None else default
        taus = np.where(np.isnan(self._taus[going]), own, self._taus[going])
        faults = np.zeros(len(going), np.int64)
        stretches.play_on(
            self._states, going, self._seats, agent, self._boards, scratch(), self._work,
            self._buffer, self._scores, self._played, self._plies, self._checks, self._seeds, taus,
            player.eps, player.noise, player.weights, player.gain,
            stretches.MOST_SCORED // len(slots), faults, self._watches,
        )  # fmt: skip
        self._abort_faulty(going, faults)
        return slots[drawn]

    def _abort_faulty(self, slots: NDArray[np.int64], faults: NDArray[np.int64]) -> None:
        for k in np.flatnonzero(faults).tolist():
            self._abort(int(slots[k]), invariants.FAULTS[int(faults[k])])

    def _advance(self, chosen: Sequence[tuple[int, int]]) -> None:
        """Play a move in each of some games, and all plies without a choice after it."""
        slots = np.array([slot for slot, _ in chosen], np.int64)
        moves = np.array([move for _, move in chosen], np.int64)
        before = self._plies[slots]
        faults = np.zeros(len(moves), np.int64)
        steps.advance(
            self._states, slots, moves, self._boards, scratch(), self._buffer, self._played,
            self._plies, self._checks, faults, self._watches,
        )  # fmt: skip
        self._abort_faulty(slots, faults)
        for k in np.flatnonzero((moves == SWAP) & (faults == invariants.FINE)).tolist():
            self._seat_again(int(slots[k]), int(before[k]), SWAP)
            self._open(int(slots[k]))

    def _seat_again(self, slot: int, ply: int, move: int) -> None:
        """Move the agents with their identity if a move was `SW`."""
        if move == SWAP:
            self._at(slot).marks[ply] = "swap"
            self._seats[slot, :2] = self._seats[slot, 1::-1]

    # --- ending

    def _finished(self) -> list[Played]:
        slots = self._slots()
        return [self._end(slot) for slot in slots[self._over(slots)].tolist()]

    def _end(self, slot: int) -> Played:
        game = self._at(slot)
        self._games[slot] = None
        record = record_game(
            self.job,
            game.plan,
            [self._refs[a] for a in game.plan.seats],
            self._played[slot, : self._plies[slot]].tolist(),
            Reached(self._states[slot : slot + 1], self._checks[slot]),
            marks=game.marks,
            tags=[*game.tags, *game.trigger.tags],
            started=game.started,
            fault=game.fault,
            resigned=game.resigned,
            cut=game.cut,
        )
        return record, game.findings.analyses(
            record, self._refs, self.job.control, game.trigger.soft_from
        )
