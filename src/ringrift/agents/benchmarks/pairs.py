"""Play a pair of agents against each other in lock step, and time only what they and the rules do."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents import streams
from ringrift.agents.factory import make_agent
from ringrift.agents.listing import legal_lists, scratch
from ringrift.agents.protocol import Agent, Batch, Budget, Rngs, finished
from ringrift.core.errors import DataError
from ringrift.records.record import default_max_plies
from ringrift.rules import BoardSpec, engine
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables

OPENING_PLIES = 4
"""Random plies at the start: without them two agents that draw nothing play one game ever again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairGames:
    """What came of the games: `plies`, time in the agents' and the engine's code, and the score.

    `wins`, `losses` and `capped` are those of the first agent. `agent_s` is the time of each agent
    alone. `hash` names the moves of all games.
    """

    games: int
    plies: int
    seconds: float
    agent_s: tuple[float, float]
    wins: int
    losses: int
    capped: int
    hash: str


def game_seed(seed: int, block: int) -> int:
    """Return the seed of the games of one block, which share their opening."""
    digest = hashlib.sha256(f"bench {seed} {block}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def play_pair(
    spec: BoardSpec,
    agents: tuple[Agent, Agent],
    games: int,
    *,
    seed: int,
    max_plies: int | None = None,
    on_game: Callable[[], None] = lambda: None,
) -> PairGames:
    """Play `games` games; in game g the first agent has seat `g mod players`, the second all others.

    Games of one block (one per seat) have the same random opening. A game that reaches `max_plies`
    (None: the limit of the configuration) is capped. Raises `DataError` for an illegal move.
    """
    table = _Table(spec, agents, games, seed)
    limit = default_max_plies(spec) if max_plies is None else max_plies
    live = np.arange(games)
    while live.size:
        sides = table.side_to_move(live)
        for side in (0, 1):
            table.move(live[sides == side], side)
        over = finished(table.states[live]) | (table.states[live]["misc"][:, lay.PLY] >= limit)
        for _ in range(int(over.sum())):
            on_game()
        live = live[~over]
    return table.result()


class _Table:
    """The games under way, and what was spent on them."""

    def __init__(self, spec: BoardSpec, agents: tuple[Agent, Agent], games: int, seed: int) -> None:
        self.spec = spec
        self.agents = agents
        self.states = lay.zeros(games, lay.STATE)
        self._view = lay.view(self.states)
        self._boards = lay.view(board_tables(spec))
        self._first = np.arange(games) % spec.players + 1
        self._seeds = [game_seed(seed, g // spec.players) for g in range(games)]
        self._opener = make_agent("random", spec)
        self._digest = hashlib.sha256()
        self._seconds = 0.0
        self._agent_s = [0.0, 0.0]
        for g in range(games):
            engine.start(self._view, g, self._boards)

    def side_to_move(self, live: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which agent moves in each game, `int64[n]`."""
        return np.where(self.states["misc"][live, lay.CUR] == self._first[live], 0, 1)

    def move(self, games: NDArray[np.int64], side: int) -> None:
        """Let one agent play one ply in each of `games`."""
        opening = self.states["misc"][games, lay.PLY] < OPENING_PLIES
        self._move(games[opening], self._opener, Rngs(streams.OPENING), None)
        self._move(games[~opening], self.agents[side], Rngs(), side)

    def _move(self, games: NDArray[np.int64], agent: Agent, rng: Rngs, side: int | None) -> None:
        if not games.size:
            return
        batch = Batch(self.spec, self.states[games], [self._seeds[g] for g in games.tolist()])
        begun_s = time.perf_counter()
        moves = [decision.move for decision in agent.choose(batch, Budget(), rng)]
        decided_s = time.perf_counter()
        self._check(batch, agent, moves)
        played_s = time.perf_counter()
        for g, move in zip(games.tolist(), moves, strict=True):
            engine.play(self._view, g, self._boards, scratch_view(), move)
        took_s = decided_s - begun_s
        self._seconds += took_s + time.perf_counter() - played_s
        if side is not None:
            self._agent_s[side] += took_s
        for g, move in zip(games.tolist(), moves, strict=True):
            self._digest.update(f"{g} {move};".encode())

    def _check(self, batch: Batch, agent: Agent, moves: Sequence[int]) -> None:
        """Raise `DataError` for a move that is not legal; outside what is timed."""
        legal, offsets = legal_lists(self.spec, batch.states)
        for i, move in enumerate(moves):
            if move not in legal[offsets[i] : offsets[i + 1]]:
                ply = batch.states[i]["misc"][lay.PLY]
                raise DataError(
                    f"{agent.spec.text} played illegal move {move} at ply {ply} of {self.spec.config}"
                )

    def result(self) -> PairGames:
        misc = self.states["misc"]
        over = finished(self.states)
        wins = over & (misc[:, lay.WINNER] == self._first)
        return PairGames(
            games=len(self.states),
            plies=int(misc[:, lay.PLY].sum()),
            seconds=self._seconds,
            agent_s=(self._agent_s[0], self._agent_s[1]),
            wins=int(wins.sum()),
            losses=int((over & ~wins).sum()),
            capped=int((~over).sum()),
            hash=self._digest.hexdigest()[:16],
        )


def scratch_view() -> Any:
    """Return this thread's scratch space in the form the engine takes."""
    return lay.view(scratch())
