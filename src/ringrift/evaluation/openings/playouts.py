# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The share of the wins that each seat has after an opening, by playouts in compiled code.

On the small boards both sides play the light heuristic at temperature 0.3, on the large ones at
random. A playout that the ply limit of games cuts counts 1/N for every seat (`evaluation.md` 2).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.evaluation import one_ply
from ringrift.agents.heuristic import pick
from ringrift.agents.listing import scratch
from ringrift.agents.streams import AGENT
from ringrift.agents.weights import LARGE, default_profile
from ringrift.records.record import default_max_plies
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import OVER, PHASE, PLAYERS, PLY, WINNER
from ringrift.rules.legal import legal
from ringrift.rules.playout import playout
from ringrift.rules.turn import apply

if TYPE_CHECKING:
    from ringrift.rules import BoardSpec, Position

PLAYOUTS, LARGE_PLAYOUTS = 32, 64
TEMPERATURE = 0.3


@rule
def play_lightly(s, boards, scratch, work, moves, scores, weights, gain, tau, seed, most):
    """Play `s` to its end by softmax of light scores, or until `most` more plies are played.

    `work`: STATE[2], where the first is played on; `moves`: int64[max moves], `scores`: float64[max
    moves].
    """
    b = boards[0]
    w = scratch[0]
    bounds = np.zeros(2, np.int32)
    work[0] = s
    p = work[0]
    last = p.misc[PLY] + most
    while p.misc[PHASE] != OVER and p.misc[PLY] < last:
        n = legal(p, b, w, moves)
        at = 0
        if n > 1:
            bounds[1] = n
            one_ply(work, 1, boards, scratch, work[1:], moves, bounds, weights, gain, scores)
            at = pick(p, scores, 0, n, seed, AGENT, tau, 0.0)
        apply(p, b, w, moves[at])


@rule
def decided(wins, players, played, total):
    """Tell whether no more playouts can bring every seat's share within half and one and a half."""
    for p in range(1, players + 1):
        twice = 2 * (players * wins[p] + wins[0])  # a share of 1 is 2 N total
        if twice > 3 * total or twice + 2 * players * (total - played) < total:
            return True
    return False


@rule
def count_wins(
    states, boards, scratch, work, moves, scores, weights, gain, tau, seeds, most, early, wins
):
    """Play from `states[0]` once for each of `seeds`; return how many were played.

    `wins`: int64[players + 1] are the seats' wins, index 0 the capped playouts. Without `weights` the
    moves are random. With `early` it ends once the shares cannot all be fair any more.
    """
    b = boards[0]
    players = b.par[PLAYERS]
    for i in range(len(seeds)):
        if len(weights) > 0:
            play_lightly(
                states[0], boards, scratch, work, moves, scores, weights, gain, tau, seeds[i], most
            )
        else:
            work[0] = states[0]
            playout(work[0], b, scratch[0], moves, seeds[i], most)
        if work[0].misc[PHASE] == OVER:
            wins[work[0].misc[WINNER]] += 1
        else:
            wins[0] += 1
        if early and decided(wins, players, i + 1, len(seeds)):
            return i + 1
    return len(seeds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Wins of each seat in `playouts`, of which `capped` came to no end."""

    wins: tuple[int, ...]
    capped: int
    playouts: int

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the wins of each seat, rounded to four digits."""
        players = len(self.wins)
        return tuple(
            round((players * won + self.capped) / (players * self.playouts), 4) for won in self.wins
        )

    @property
    def fair(self) -> bool:
        """Whether every seat has between half and one and a half times an equal share."""
        players = len(self.wins)
        twice = [2 * (players * won + self.capped) for won in self.wins]
        return all(self.playouts <= each <= 3 * self.playouts for each in twice)


class Player:
    """Plays from positions of one configuration, in memory of its own.

    `method` says what the shares follow from, beside position and seed.
    """

    def __init__(self, spec: BoardSpec) -> None:
        self._spec = spec
        large = spec.board in LARGE
        self.playouts = LARGE_PLAYOUTS if large else PLAYOUTS
        profile = default_profile(spec.config)
        self.method = (
            f"{self.playouts} random"
            if large
            else f"{self.playouts} tau={TEMPERATURE} {profile.hash}"
        )
        self._weights = np.zeros(0) if large else profile.effective(full=False).copy()
        self._gain = profile.gain
        self._work = lay.zeros(2, lay.STATE)
        self._moves = np.zeros(spec.max_moves + 32, np.int64)
        self._scores = np.zeros(spec.max_moves + 32)

    def fair_shares(self, position: Position, seed: str) -> tuple[float, ...] | None:
        """Play from `position`; `None` once the shares cannot be fair. `seed` names the draws."""
        found = self.play(position, seed, early=True)
        return found.shares if found.fair else None

    def play(self, position: Position, seed: str, *, early: bool = False) -> Shares:
        """Play from `position` and count; with `early` only until the shares cannot be fair."""
        wins = np.zeros(self._spec.players + 1, np.int64)
        states = position.record().reshape(1)
        played = count_wins(
            states, board_tables(self._spec), scratch(), self._work, self._moves, self._scores,
            self._weights, self._gain, TEMPERATURE, seeds_of(seed, self.playouts),
            default_max_plies(self._spec) - position.ply, early, wins,
        )  # fmt: skip
        capped, *won = wins.tolist()
        return Shares(wins=tuple(won), capped=capped, playouts=played)


def seeds_of(name: str, count: int) -> NDArray[np.int64]:
    """Return `count` seeds that follow from a name: `int64[count]`."""
    digests = [hashlib.sha256(f"{name} {i}".encode()).digest() for i in range(count)]
    return np.array([int.from_bytes(each[:8], "big") >> 1 for each in digests], np.int64)
