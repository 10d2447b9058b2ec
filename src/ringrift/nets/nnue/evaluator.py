"""A NNUE model as agents use it: evaluations of whole batches, and nothing allocated inside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import UsageError
from ringrift.nets.nnue import forward
from ringrift.nets.nnue.arrays import Net, Work, new_work
from ringrift.nets.nnue.network import Shape
from ringrift.nets.prediction import Prediction
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay

Prior = Literal["policy", "value"]

PLACES = 64
"""Positions of a batch whose accumulators are kept for the next one."""


class NnueEvaluator:
    """Evaluates batches of positions with one net; one instance is used by one thread.

    `prior` says where logits come from: the policy head, or the value right after each move.
    """

    def __init__(self, net: Net, spec: BoardSpec, *, wide: bool, prior: Prior) -> None:
        if prior == "policy" and not len(net.rows):
            raise UsageError("prior=policy: the net has no policy head", hint="prior=value")
        self.players = spec.players
        self.prior = prior
        self._net = net
        self._work = new_work(net, spec.players, wide=wide, places=PLACES + 1)
        self._scratch = lay.zeros(1, lay.SCRATCH)
        self._spare = lay.zeros(1, lay.STATE)

    def evaluate(
        self,
        states: NDArray[Any],
        boards: NDArray[Any],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits of all moves, `float32[total]`, and values per seat, `float32[n, players]`.

        Arguments and results are those of `agents.protocol.Evaluator`. Values sum to 0; logits are
        not normalised.
        """
        logits = np.empty(len(moves), np.float32)
        values = np.empty((len(states), self.players), np.float32)
        if self.prior == "policy":
            forward.evaluate_policy(
                states, boards, self._scratch, self._net, self._work, moves, offsets, logits, values
            )
        else:
            forward.evaluate_moves(
                states, boards, self._scratch, self._spare, self._net, self._work, moves, offsets,
                logits, values,
            )  # fmt: skip
        return logits, values

    def parts(self) -> tuple[NDArray[Any], Net, Work] | None:
        """Return what `forward.evaluate_policy` takes of the evaluator, None without a policy head."""
        return (self._scratch, self._net, self._work) if self.prior == "policy" else None

    def predict(
        self,
        states: NDArray[Any],
        boards: NDArray[Any],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
    ) -> Prediction:
        """Return all that the net says of positions; arguments are those of `evaluate`."""
        logits, values = self.evaluate(states, boards, moves, offsets)
        win = np.empty((len(states), self.players))
        forward.win_logarithms(states, boards, self._net, self._work, win)
        return Prediction(logits=logits, values=values, win=win, rank=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NnueModel:
    """A NNUE whose file passed every check: its id, identifying card, net and specification.

    `wide` says that its accumulators are int32.
    """

    id: str
    card: Mapping[str, Any]
    net: Net
    wide: bool
    shape: Shape
    spec: BoardSpec
    path: Path

    def evaluator(self) -> NnueEvaluator:
        """Return an evaluator of its own buffers; one per thread.

        Logits are those of the policy head where there is one, else values right after each move.
        """
        prior: Prior = "policy" if self.shape.policy else "value"
        return NnueEvaluator(self.net, self.spec, wide=self.wide, prior=prior)

    def work(self, *, places: int = 1) -> Work:
        """Allocate work space for `forward.evaluate` and `forward.evaluate_from`."""
        return new_work(self.net, self.spec.players, wide=self.wide, places=places)
