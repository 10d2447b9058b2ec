"""The integer reference: what a net computes, in NumPy and plain Python, one position at a time.

It reads positions and weights by itself and shares no function with the compiled code; exporter and
tests hold that code to it bit for bit. Sums are made in int64, so an overflow would show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay

Integers = Mapping[str, NDArray[Any]]


def active_inputs(state: Any, spec: BoardSpec, seat: int) -> list[int]:
    """Return the active inputs of one `STATE` record as a seat sees them, in ascending order."""
    found = []
    for c in range(spec.cells):
        code = int(state["cell"][c])
        if code == lay.EMPTY:
            continue
        kind, owner = divmod(code - 1, 4)
        r = (owner + 1 - seat) % spec.players
        base = 53 * c
        if kind == 0:
            found.append(base + 44 + r)
        elif kind == 2:
            found.append(base + 48 + r)
        else:
            found += [base + k for k in _stack(state, spec, c, r, seat)]
            if int(state["misc"][lay.ONLY]) == c:
                found.append(base + 52)
    return sorted(found + [53 * spec.cells + g for g in _numbers(state, spec, seat)])


def _stack(state: Any, spec: BoardSpec, c: int, r: int, seat: int) -> list[int]:
    height, cap = int(state["height"][c]), int(state["cap"][c])
    found = [5 * r + min(height, 5) - 1, 20 + 4 * r + min(cap, 4) - 1]
    rings, ring = [], int(state["top"][c])
    while ring >= 0:
        rings.append((int(state["owner"][ring]) - seat) % spec.players)
        ring = int(state["below"][ring])
    for q in range(spec.players):
        buried = rings[1:].count(q)
        if buried:
            found.append(36 + 2 * q + (buried > 1))
    return found


def _numbers(state: Any, spec: BoardSpec, seat: int) -> list[int]:
    misc = [int(v) for v in state["misc"]]
    found = []
    for r in range(spec.players):
        q = (seat - 1 + r) % spec.players + 1
        streak = misc[lay.LPS_STREAK] if misc[lay.LPS_STREAK_SEAT] == q else 0
        found += [
            44 * r + min(7, -(-7 * int(state["hand"][q]) // spec.rings_per_player)),
            44 * r + 8 + min(15, 16 * int(state["elim"][q]) // spec.ring_threshold),
            44 * r + 24 + min(15, 16 * int(state["terr"][q]) // spec.territory_minimum),
            44 * r + 40 + min(3, streak),
        ]
    if misc[lay.PHASE] != lay.OVER:
        found.append(176 + misc[lay.PHASE])
    found.append(183 + (misc[lay.CUR] - seat) % spec.players)
    found.append(187 + spec.players - 2)
    owes = misc[lay.TERRITORY_DEBT] != 0
    offered = (
        spec.swap_rule
        and spec.players == 2
        and (misc[lay.CUR], misc[lay.PHASE], misc[lay.MOVED]) == (2, lay.PLACEMENT, 2)
    )
    flags = (
        misc[lay.ACTED] != 0,
        misc[lay.RECOVERED] != 0,
        misc[lay.LINE_DEBT] != 0,
        owes and not misc[lay.RECOVERED],
        owes and misc[lay.RECOVERED] != 0,
        offered,
        spec.base_line_length > 3,
        spec.line_length > 3,
    )
    return found + [190 + i for i, flag in enumerate(flags) if flag]


def accumulators(integers: Integers, inputs: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Return the sums of each seat, `int64[P, H]`, from its active inputs."""
    weight, bias = integers["inputs.weight"], integers["inputs.bias"]
    return np.array(
        [weight[list(some)].sum(0, dtype=np.int64) + bias.astype(np.int64) for some in inputs]
    )


def layer_inputs(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what the first layer of each seat gets, `int64[P, 2 H]`."""
    clipped = np.clip(sums, 0, 127)
    others = [np.delete(clipped, p, 0).max(0) for p in range(len(clipped))]
    return np.concatenate((clipped, np.array(others)), 1)


def outputs(integers: Integers, x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the output of each seat, scale 8128, `int64[P]`."""
    y = x
    for name in ("first", "second", "third", "fourth", "fifth", "sixth"):
        if f"{name}.weight" in integers:
            y = _layer(integers, name, y)
    z = y @ integers["last.weight"].T.astype(np.int64) + integers["last.bias"]
    return np.asarray(z[:, 0])


def move_outputs(
    integers: Integers, x: NDArray[np.int64], rows: Sequence[Sequence[int]]
) -> NDArray[np.int64]:
    """Return the logit of each move, scale 8128, from the mover's `x`: `int64[2 H]` and its rows."""
    h = _layer(integers, "policy", x[None])[0]
    table = integers["policy.rows"].astype(np.int64)
    return np.array([h @ table[list(some)].sum(0) for some in rows], np.int64)


def values(z: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the value of each seat from its outputs: the Plackett-Luce expectation of the ranks."""
    logits = z / 8128
    before = 1 / (1 + np.exp(logits[None, :] - logits[:, None]))  # p before o, at [p, o]
    gain = 2 * before - 1
    return np.asarray(gain.sum(1) / (len(z) - 1))


def _layer(integers: Integers, name: str, x: NDArray[np.int64]) -> NDArray[np.int64]:
    z = x @ integers[f"{name}.weight"].T.astype(np.int64) + integers[f"{name}.bias"]
    return np.asarray(np.clip(z >> 6, 0, 127))
