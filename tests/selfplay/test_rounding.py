"""Distributions rounded together are those rounded one by one."""

from __future__ import annotations

import numpy as np

from ringrift.records.ply_analysis import POLICY_TOTAL, quantize
from ringrift.selfplay.rounding import round_shares


def test_rounding_together_is_rounding_one_by_one() -> None:
    rng = np.random.default_rng(3)
    policies = [rng.dirichlet(np.full(n, 0.3)) for n in rng.integers(1, 200, 150)]
    policies += [n / n.sum() for n in (rng.integers(0, 9, 40) + 0.0 for _ in range(150))]
    policies += [np.full(7, 1 / 7), np.array([0.0, 1.0, 0.0]), np.array([3.0, 1.0])]
    moves = [rng.permutation(1000)[: len(p)].astype(np.int64) for p in policies]
    offsets = np.concatenate(([0], np.cumsum([len(p) for p in policies])))
    whole = np.zeros(offsets[-1], np.int64)
    flat = np.concatenate(moves), np.concatenate(policies)
    assert round_shares(*flat, offsets, POLICY_TOTAL, whole) == -1
    for i, policy in enumerate(policies):
        found = whole[offsets[i] : offsets[i + 1]].tolist()
        wanted = quantize(dict(zip(moves[i].tolist(), policy.tolist(), strict=True)))
        assert {m: k for m, k in zip(moves[i].tolist(), found, strict=True) if k} == wanted


def test_what_is_no_distribution_is_named() -> None:
    for bad in ([0.0, 0.0], [-0.1, 1.1], [float("nan"), 1.0], [float("inf"), 1.0]):
        shares = np.array([0.5, 0.5, *bad])
        offsets, whole = np.array([0, 2, 4]), np.zeros(4, np.int64)
        assert round_shares(np.arange(4), shares, offsets, POLICY_TOTAL, whole) == 1
