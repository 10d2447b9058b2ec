"""What a search evaluates with, as its caller describes it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.weights import Profile
from ringrift.nets.nnue.arrays import SMALL, Net, Work, new_work

CONSTANT, HEURISTIC, NNUE = range(3)

_NO_NET = Net(
    inputs=np.zeros((1, 1), np.int16),
    layers=np.zeros((1, 2), np.int8),
    rows=np.zeros((0, 1), np.int8),
    small=np.zeros(1, SMALL),
)


class Leaf(NamedTuple):
    """An evaluator of positions that the search looks no further into.

    `weights`: float64[19 or 27] with `gain` are those of a profile. `light`: float64[19] orders
    moves; empty for no such order. `net` and `work` belong to an NNUE, and are empty without one.
    """

    kind: int
    weights: NDArray[np.float64]
    gain: float
    light: NDArray[np.float64]
    net: Net
    work: Work


def constant_leaf() -> Leaf:
    """Make the leaf that calls every position level: for tests and measurements."""
    return Leaf(
        kind=CONSTANT,
        weights=np.zeros(0),
        gain=1.0,
        light=np.zeros(0),
        net=_NO_NET,
        work=new_work(_NO_NET, 2),
    )


def heuristic_leaf(profile: Profile, *, full: bool = True) -> Leaf:
    """Make the leaf of a weight profile; moves are ordered by its light features."""
    return constant_leaf()._replace(
        kind=HEURISTIC,
        weights=profile.effective(full=full),
        gain=float(profile.gain),
        light=profile.effective(full=False),
    )


def nnue_leaf(net: Net, work: Work, profile: Profile) -> Leaf:
    """Make the leaf of an NNUE with work space of its own; the profile's light features order."""
    return heuristic_leaf(profile)._replace(kind=NNUE, net=net, work=work)
