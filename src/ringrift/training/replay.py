"""Replay of recorded games into the arrays of `dataset.Samples`, in compiled code."""

from __future__ import annotations

from ringrift.nets.encoder import STEPS, encode
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, PLAYERS, N
from ringrift.rules.legal import legal
from ringrift.rules.moves import RECOVER, kind_of
from ringrift.rules.policy import policy_entries
from ringrift.rules.turn import apply
from ringrift.training.images import move_image


@rule
def table_index(entry, cells, places, planes, area):
    """Turn a policy entry into an index of the net's table: grid place by plane, then scalars."""
    plane = entry // cells
    cell = entry - plane * cells
    if plane < planes:
        return places[cell] * planes + plane
    return area * planes + cell


@rule
def count_legal(states, boards, scratch, moves, plies, buffer, counts):
    """Replay `moves` in position 0; store the size of the legal set at each of `plies`."""
    s = states[0]
    b = boards[0]
    w = scratch[0]
    j = 0
    for ply in range(plies[-1] + 1):
        if ply == plies[j]:
            counts[j] = legal(s, b, w, buffer)
            j += 1
        apply(s, b, w, moves[ply])


@rule
def place_policy(buffer, n, keys, counts, start, stop, probabilities, at):
    """Spread the counts of `keys[start:stop]` over the legal moves; return how many were found."""
    found = 0
    total = 0.0
    for k in range(start, stop):
        total += counts[k]
    for i in range(n):
        probabilities[at + i] = 0.0
        for k in range(start, stop):
            if buffer[i] == keys[k]:
                probabilities[at + i] = counts[k] / total
                found += 1
                break
    return found


@rule
def fill_entries(
    s, b, w, buffer, n, places, width, area, cell_maps, axis_maps, turned, at, first, second
):
    """Write the table indices of the legal moves for all symmetries; tell whether these are exact."""
    cells = int(b.par[N])
    players = int(b.par[PLAYERS])
    mover = int(s.misc[CUR])
    exact = True
    for i in range(n):
        m = int(buffer[i])
        if kind_of(m) == RECOVER:
            exact = False
        e1, e2 = policy_entries(b, m, mover, players)
        first[0, at + i] = table_index(e1, cells, places, width, area)
        second[at + i] = -1 if e2 < 0 else table_index(e2, cells, places, width, area)
    if exact:
        for k in range(1, cell_maps.shape[0]):
            for i in range(n):
                m = move_image(s, b, w, int(buffer[i]), cell_maps[k], axis_maps[k], turned[k])
                e1, _ = policy_entries(b, m, mover, players)
                first[k, at + i] = table_index(e1, cells, places, width, area)
    return exact


@rule
def fill_samples(
    states,
    boards,
    scratch,
    moves,
    plies,
    buffer,
    keys,
    counts,
    key_offsets,
    places,
    width,
    cell_maps,
    axis_maps,
    turned,
    scene,
    offsets,
    start,
    planes,
    numbers,
    first,
    second,
    probabilities,
    symmetric,
    movers,
):
    """Replay one game and write the samples of its `plies` from index `start` on.

    Returns -1, or the ply whose search named a move that is not legal there. `scene` is a
    float32[H, W, PLANES] buffer; the others are the arrays of `Samples` and `symmetry.tables`.
    """
    s = states[0]
    b = boards[0]
    w = scratch[0]
    area = scene.shape[0] * scene.shape[1]
    j = 0
    for ply in range(plies[-1] + 1):
        if ply == plies[j]:
            at = offsets[start + j]
            n = legal(s, b, w, buffer)
            found = place_policy(
                buffer, n, keys, counts, key_offsets[j], key_offsets[j + 1], probabilities, at
            )
            if found != key_offsets[j + 1] - key_offsets[j]:
                return ply
            encode(s, b, int(s.misc[CUR]), scene, numbers[start + j])
            out = planes[start + j]
            for y in range(scene.shape[0]):
                for x in range(scene.shape[1]):
                    for c in range(scene.shape[2]):
                        out[y, x, c] = int(scene[y, x, c] * STEPS)
            symmetric[start + j] = fill_entries(
                s,
                b,
                w,
                buffer,
                n,
                places,
                width,
                area,
                cell_maps,
                axis_maps,
                turned,
                at,
                first,
                second,
            )
            movers[start + j] = s.misc[CUR]
            j += 1
        apply(s, b, w, moves[ply])
    return -1


@rule
def pad_moves(chosen, maps, offsets, first, second, probabilities, last, out1, out2, target, legal):
    """Lay the legal moves of samples `chosen` out in rows; unused places point at index `last`."""
    for i in range(len(chosen)):
        at = offsets[chosen[i]]
        n = offsets[chosen[i] + 1] - at
        k = maps[i]
        for j in range(out1.shape[1]):
            used = j < n
            legal[i, j] = used
            out1[i, j] = first[k, at + j] if used else last
            out2[i, j] = second[at + j] if used and second[at + j] >= 0 else last
            target[i, j] = probabilities[at + j] if used else 0.0
