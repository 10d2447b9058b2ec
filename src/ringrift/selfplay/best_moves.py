"""A move drawn among an agent's best ones, for openings that are not to be all alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.agents import streams
from ringrift.agents.heuristic import HeuristicAgent
from ringrift.agents.protocol import Batch, Rngs
from ringrift.agents.swapping import without_swap

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from ringrift.agents.protocol import Agent, Decision
    from ringrift.selfplay.plans import PlayJob

_DRAW = Rngs(streams.OPENING | (3 << 8))


class BestMoves:
    """Draws among the best `SearchControl.opening_top_k` moves, all alike.

    The order is that of the decision's policy; of an agent without one, that of the heuristic's
    values one ply ahead. The random agent has no best moves: its own draw stands.
    """

    def __init__(self, job: PlayJob) -> None:
        self._most = job.control.opening_top_k
        self._plain = without_swap(job.spec)
        self._scorer: HeuristicAgent | None = None

    def draw(
        self, agent: Agent, decision: Decision, state: NDArray[Any], seed: int, ply: int
    ) -> int:
        """Return the packed move played at `ply` in the position `state`: STATE[1]."""
        if agent.spec.kind == "random":
            return decision.move
        ranked = self._policy(decision) or self._scores(agent, state, seed)
        best = sorted(ranked, key=lambda entry: -entry[1])[: self._most]
        return best[_DRAW.below(len(best), seed, ply, 0)][0]

    def _policy(self, decision: Decision) -> list[tuple[int, float]]:
        return [(move, share) for move, share in decision.policy or () if share > 0]

    def _scores(self, agent: Agent, state: NDArray[Any], seed: int) -> list[tuple[int, float]]:
        scorer = agent if isinstance(agent, HeuristicAgent) else self._heuristic()
        scores, moves, _ = scorer.scores(Batch(self._plain, state, [seed]))
        return list(zip(moves.tolist(), scores.tolist(), strict=True))

    def _heuristic(self) -> HeuristicAgent:
        if self._scorer is None:
            from ringrift.agents.factory import make_agent

            made = make_agent("heuristic", self._plain)
            assert isinstance(made, HeuristicAgent)
            self._scorer = made
        return self._scorer
