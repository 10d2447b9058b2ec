"""What an agent is: positions in, decisions out, for one game as for a thousand.

Shapes: `n` positions, `P` players, `t` legal moves of all positions together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ringrift.agents import streams
from ringrift.agents.spec import ResolvedSpec
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay

StateArray = NDArray[Any]
DecisionKind = Literal["full", "cheap", "forced", "book", "random"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Positions to decide: `states`: `STATE[n]` of one board, `seeds[i]` of the game of each.

    Agents read the states and never change them.
    """

    spec: BoardSpec
    states: StateArray
    seeds: Sequence[int]

    def __post_init__(self) -> None:
        if len(self.states) != len(self.seeds):
            raise UsageError(f"batch: {len(self.states)} positions with {len(self.seeds)} seeds")
        for seed in self.seeds:
            if not 0 <= seed <= streams.MAX_SEED:
                raise UsageError(f"batch: seed {seed} is outside 0..2^63-1")

    def __len__(self) -> int:
        return len(self.states)

    def seed_array(self) -> NDArray[np.int64]:
        """Return the seeds as `int64[n]`."""
        return np.array(self.seeds, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long to search: the first limit reached ends it; all None takes the agent's own.

    `cheap` searches have no Dirichlet noise at the root. `tau` replaces the temperature of agents
    that have one.
    """

    sims: int | None = None
    nodes: int | None = None
    depth: int | None = None
    time_ms: float | None = None
    kind: Literal["full", "cheap"] = "full"
    tau: float | None = None

    def __post_init__(self) -> None:
        for name in ("sims", "nodes", "depth", "time_ms"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"budget: {name} is {value}; expected a positive number")
        if self.tau is not None and not self.tau >= 0:
            raise UsageError(f"budget: tau is {self.tau}; expected a number of at least 0")


Budgets = Budget | Sequence[Budget]
"""One budget for a whole batch, or one for each position."""


def budget_list(budget: Budgets, count: int) -> list[Budget]:
    """Spell out a budget per position."""
    if isinstance(budget, Budget):
        return [budget] * count
    if len(budget) != count:
        raise UsageError(f"{len(budget)} budgets for {count} positions")
    return list(budget)


@dataclass(frozen=True, slots=True)
class Rngs:
    """Name a family of streams: draws follow from (game seed, ply, seat, purpose) alone."""

    purpose: int = streams.AGENT

    def uniform(self, seed: int, ply: int, seat: int, index: int = 0) -> float:
        """Return draw `index` of one stream, strictly between 0 and 1."""
        a, b = streams.stream(seed, ply, seat, self.purpose)
        return float(streams.uniform(a, b, index))

    def below(self, n: int, seed: int, ply: int, seat: int, index: int = 0) -> int:
        """Return draw `index` of one stream as a whole number from 0 to n - 1."""
        a, b = streams.stream(seed, ply, seat, self.purpose)
        return int(streams.below(a, b, index, n))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to one position.

    `policy` holds (packed move, probability) over all legal moves and sums to 1; `value` has one
    entry per seat and sums to 0. Both are None where nothing was searched. `prior_kl` is
    KL(policy || prior) in nats, the prior being the evaluator's without noise; None for a search
    that has no prior.
    """

    move: int
    policy: tuple[tuple[int, float], ...] | None = None
    value: tuple[float, ...] | None = None
    raw_value: tuple[float, ...] | None = None
    prior_kl: float | None = None
    visits: tuple[tuple[int, int], ...] | None = None
    sims: int = 0
    depth: int = 0
    nodes: int = 0
    time_ms: float = 0.0
    kind: DecisionKind = "full"
    pv: tuple[int, ...] = ()

    @property
    def visited(self) -> dict[int, int] | None:
        """The visits of the moves that have any, None for a search that counts none."""
        return None if self.visits is None else {move: n for move, n in self.visits if n}


@runtime_checkable
class Agent(Protocol):
    """Anything that decides positions."""

    @property
    def spec(self) -> ResolvedSpec:
        """Canonical identity of the agent."""
        ...

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        """Decide every position of the batch; none of them is finished.

        Decisions depend on the position, its seed and the agent, never on the rest of the batch.
        """
        ...


class Evaluator(Protocol):
    """Estimate positions: a net, or a compiled function."""

    def evaluate(
        self,
        states: StateArray,
        boards: NDArray[Any],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return `logits`: `float32[t]` of the legal moves and `values`: `float32[n, P]`.

        `states`: `STATE[n]`, none finished; `boards`: `BOARD[1]`; the legal moves of position i
        are `moves[offsets[i]:offsets[i + 1]]`. Logits need not be normalised; a value has one
        entry per seat, in [-1, 1]. The answer to a position depends on that position alone. The
        caller owns the inputs and may reuse them; the outputs are valid until the next call.
        """
        ...


class Model(Protocol):
    """A loaded model as agents need it."""

    @property
    def id(self) -> str:
        """Content id of the model, 64 hex digits."""
        ...

    def evaluator(self) -> Evaluator:
        """Return an evaluator for this process."""
        ...


def finished(states: StateArray) -> NDArray[np.bool_]:
    """Tell which positions are over."""
    return np.asarray(states["misc"][:, lay.PHASE] == lay.OVER)
