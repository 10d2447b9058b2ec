"""Iterative deepening: one search, deeper and deeper, until a limit is reached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ringrift.agents.alphabeta import kernel, multi
from ringrift.agents.alphabeta.scores import ESTIMATE, INFINITY, as_value, distance, is_proven
from ringrift.agents.alphabeta.timing import Clock
from ringrift.agents.alphabeta.workspace import ERRORS, Search
from ringrift.core.errors import DataError
from ringrift.rules import layout as lay

ASPIRATION_DEPTH = 4
ASPIRATION = ESTIMATE // 20
"""Half the first window: a value of 0.05."""

SOFT_SHARE = 0.5
STABLE_ITERATIONS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a search found.

    `scores` belong to the seats (max-n), or `score` to the mover, None where not one move was
    finished; `proven` tells that it is a win or a loss by force. `depth` is that of the last
    finished iteration.
    """

    move: int
    depth: int
    nodes: int
    pv: tuple[int, ...]
    score: int | None = None
    scores: tuple[int, ...] | None = None

    @property
    def proven(self) -> bool:
        """True where the mover's result is certain."""
        return self.score is not None and is_proven(self.score)

    @property
    def value(self) -> float | None:
        """The mover's value in [-1, 1]."""
        return None if self.score is None else as_value(self.score)


class Deepening:
    """The iterations of one search over `count` ordered root moves in `search`."""

    def __init__(self, search: Search, count: int, *, maxn: bool) -> None:
        self._x = search
        self._run = search.run[0]
        self._count = count
        self._maxn = maxn
        self._seat = int(search.states[0]["misc"][lay.CUR])
        self._move = int(search.moves[0, 0])
        self._score: int | None = None
        self._scores: tuple[int, ...] | None = None
        self._pv: tuple[int, ...] = ()
        self._depth = 0
        self._stable = 0

    def go(self, depth: int, clock: Clock, node_limit: int) -> Outcome:
        """Search to `depth` choices; `node_limit`, the clock or a kill may end it before."""
        self._run["node_limit"] = node_limit
        for at in range(1, depth + 1):
            if not self._iterate(at) or self._settled():
                break
            if clock.spent(1.0) or (clock.spent(SOFT_SHARE) and self._stable >= STABLE_ITERATIONS):
                break
        return Outcome(
            move=self._move,
            depth=self._depth,
            nodes=int(self._run["nodes"]),
            pv=self._pv or (self._move,),
            score=self._score,
            scores=self._scores,
        )

    def _settled(self) -> bool:
        """Tell whether no deeper search can change the answer.

        A proven result is final once its distance is within the depth: every quicker line has been
        searched. In max-n it is not, for opponents may find something better further on.
        """
        if not self._run["horizon"]:
            return True
        if self._maxn or self._score is None or not is_proven(self._score):
            return False
        return distance(self._score) <= self._depth

    def _iterate(self, depth: int) -> bool:
        """Search one choice deeper; False if that was cut short."""
        finished = self._maxn_pass(depth) if self._maxn else self._windows(depth)
        if self._run["error"]:
            raise DataError(f"alphabeta: {ERRORS[int(self._run['error'])]}")
        if finished:
            self._depth = depth
        return finished

    def _windows(self, depth: int) -> bool:
        """Search in a window around the last score, wider and wider until the score is inside."""
        alpha, beta, reach = -INFINITY, INFINITY, ASPIRATION
        centre = self._score
        if depth >= ASPIRATION_DEPTH and centre is not None:
            alpha, beta = centre - reach, centre + reach
        while True:
            score = int(kernel.search_root(*self._x, self._count, depth, alpha, beta))
            stopped = bool(self._run["stopped"])
            if score > alpha and self._run["done"]:
                self._take(score, None, whole=not stopped)
            if stopped:
                return False
            if alpha < score < beta or (alpha, beta) == (-INFINITY, INFINITY):
                return True
            reach *= 2
            if score <= alpha:
                alpha = -INFINITY if is_proven(score) else score - reach
            else:
                beta = INFINITY if is_proven(score) else score + reach

    def _maxn_pass(self, depth: int) -> bool:
        multi.maxn_root(*self._x, self._count, depth)
        stopped = bool(self._run["stopped"])
        if self._run["done"]:
            players = int(self._x.boards[0]["par"][lay.PLAYERS])
            scores = tuple(self._x.frames[0]["vector"][:players].tolist())
            self._take(scores[self._seat - 1], scores, whole=not stopped)
        return not stopped

    def _take(self, score: int, scores: tuple[int, ...] | None, *, whole: bool) -> None:
        """Adopt the best of a pass: a whole one, or what a part of one found."""
        move = int(self._run["best"])
        if whole:
            self._stable = self._stable + 1 if move == self._move else 0
        self._move, self._score, self._scores = move, score, scores
        frame = self._x.frames[0]
        self._pv = tuple(frame["pv"][: int(frame["pv_n"])].tolist())
        moves = self._x.moves[0, : self._count]
        at = int(np.flatnonzero(moves == move)[0])
        moves[: at + 1] = np.roll(moves[: at + 1], 1)  # the best goes first, the rest keep order
