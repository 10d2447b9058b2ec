"""Random numbers by counter: the same everywhere, and random enough to sample moves."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.agents import streams
from ringrift.agents.protocol import Rngs


def test_draws_are_pinned() -> None:
    """A change here changes every recorded game's replay from its seed."""
    rng = Rngs()
    names = [(0, 0, 1), (1, 0, 1), (2**63 - 1, 99, 4)]
    draws = [rng.below(1_000_000, seed, ply, seat) for seed, ply, seat in names]
    assert draws == [127017, 113600, 398501]


def test_every_part_of_the_name_matters() -> None:
    base = Rngs().uniform(5, 7, 2, 0)
    others = {
        Rngs().uniform(6, 7, 2, 0),
        Rngs().uniform(5 + (1 << 40), 7, 2, 0),
        Rngs().uniform(5, 8, 2, 0),
        Rngs().uniform(5, 7, 1, 0),
        Rngs().uniform(5, 7, 2, 1),
        Rngs(streams.OPENING).uniform(5, 7, 2, 0),
    }
    assert len(others | {base}) == 7


@pytest.mark.parametrize("axis", ["index", "seed", "ply"])
def test_draws_are_uniform_along_each_axis(axis: str) -> None:
    n = 20_000
    rng = Rngs()
    draws = np.array(
        [
            rng.uniform(
                i if axis == "seed" else 3,
                i if axis == "ply" else 4,
                1,
                i if axis == "index" else 0,
            )
            for i in range(n)
        ]
    )
    counts, _ = np.histogram(draws, bins=20, range=(0, 1))
    chi2 = ((counts - n / 20) ** 2 / (n / 20)).sum()
    assert 0 < draws.min() < draws.max() < 1
    assert chi2 < 50  # 19 degrees of freedom: p < 0.0002
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.03


def test_plain_python_draws_the_same() -> None:
    if not hasattr(streams.stream, "py_func"):
        pytest.skip("nothing is compiled in this run")
    for seed, ply, seat in [(0, 0, 1), (2**62 + 12345, 77, 3)]:
        a, b = streams.stream.py_func(seed, ply, seat, 2)
        assert (a, b) == streams.stream(seed, ply, seat, 2)
        assert streams.word.py_func(a, b, 9) == streams.word(a, b, 9)
