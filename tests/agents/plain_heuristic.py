"""Evaluate stored positions; run with `NUMBA_DISABLE_JIT=1` it does so in plain Python.

    python plain_heuristic.py CONFIG STATES.npy OUT.npz

OUT holds `features`: float64[n, 5, 27] and `values`: float64[n, players] of the shipped profile.
"""

from __future__ import annotations

import sys

import numpy as np

from ringrift.agents import evaluation
from ringrift.agents.weights import shipped_profile
from ringrift.rules import BoardSpec, parse_config
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables


def evaluated(config: str, states: np.ndarray) -> dict[str, np.ndarray]:
    spec, n = BoardSpec.create(*parse_config(config)), len(states)
    boards, scratch = lay.view(board_tables(spec)), lay.view(lay.zeros(1, lay.SCRATCH))
    views, profile = lay.view(states), shipped_profile(config)
    features = np.zeros((n, 5, len(evaluation.FEATURES)))
    evaluation.features_of(views, n, boards, scratch, features)
    found = {"features": features}
    for name, full in (("values", True), ("light", False)):
        found[name] = np.zeros((n, spec.players))
        weights = profile.effective(full=full)
        evaluation.evaluate_all(views, n, boards, scratch, weights, profile.gain, found[name])
    return found


if __name__ == "__main__":
    np.savez(sys.argv[3], **evaluated(sys.argv[1], np.load(sys.argv[2])))
