# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Replay of one game into the arrays of its block, in compiled code."""

from __future__ import annotations

from ringrift.rules.jitconf import rule
from ringrift.rules.layout import COLLAPSED, COLLAPSED1, CUR, PHASE, N
from ringrift.rules.legal import legal
from ringrift.rules.moves import RECOVER, kind_of
from ringrift.rules.packing import FINE as READ
from ringrift.rules.packing import read_packed, write_packed
from ringrift.rules.turn import apply

FINE = -1
NO_ROOM = -2


@rule
def has_all(buffer, n, keys, start, stop):
    """Tell whether each of `keys[start:stop]` is one of the `n` moves in `buffer`.

    Both are in nearly the same order, so each search goes on where the last one ended.
    """
    at = 0
    for k in range(start, stop):
        found = False
        for _ in range(n):
            hit = buffer[at] == keys[k]
            at += 1
            if at == n:
                at = 0
            if hit:
                found = True
                break
        if not found:
            return False
    return True


@rule
def has_slide(buffer, n):
    """Tell whether a recovery slide is among the moves."""
    for i in range(n):  # noqa: SIM110 - Numba compiles no generators
        if kind_of(buffer[i]) == RECOVER:
            return True
    return False


@rule
def sample_game(
    states,
    boards,
    scratch,
    moves,
    every,
    offset,
    last,
    keys,
    key_offsets,
    full_mask,
    buffer,
    rows,
    plies,
    movers,
    phases,
    counts,
    masks,
    owners,
    answer,
):
    """Replay `moves` in position 0 and sample its decisions: plies with two legal moves or more.

    Of these every `every`-th from number `offset` on is taken, up to ply `last`. `keys` (int64) are
    the moves of all targets, `key_offsets` (int64[plies + 1]) those of each ply. Fills, per sample,
    `rows` (uint8[, S]), `plies`, `movers`, `phases`, `counts` (legal moves), `masks` (allowed
    symmetries) and, at the end, `owners` (int8[cells]). `answer` (int64[3]) becomes the number of
    samples, that of decisions, and FINE, NO_ROOM or the ply whose target is not legal.
    """
    s = states[0]
    b = boards[0]
    w = scratch[0]
    taken = 0
    decisions = 0
    answer[2] = FINE
    for ply in range(len(moves)):
        n = legal(s, b, w, buffer)
        if n >= 2:
            if ply <= last and decisions % every == offset:
                if not has_all(buffer, n, keys, key_offsets[ply], key_offsets[ply + 1]):
                    answer[2] = ply
                    return
                if not write_packed(s, b, rows[taken]):
                    answer[2] = NO_ROOM
                    return
                plies[taken] = ply
                movers[taken] = s.misc[CUR]
                phases[taken] = s.misc[PHASE]
                counts[taken] = n
                masks[taken] = 1 if has_slide(buffer, n) else full_mask
                taken += 1
            decisions += 1
        apply(s, b, w, moves[ply])
    for c in range(b.par[N]):
        code = int(s.cell[c])
        owners[c] = code - COLLAPSED if code >= COLLAPSED1 else 0
    answer[0] = taken
    answer[1] = decisions


@rule
def check_rows(rows, states, boards, scratch, buffer, counts, pointer, keys, answer):
    """Decode `rows` and compare their legal sets with `counts` and the targets `keys`.

    `answer` (int64[2]) becomes the first faulty row, -1 for none, and its fault: 1 no position,
    2 another number of legal moves, 3 a target that is not legal.
    """
    s = states[0]
    b = boards[0]
    w = scratch[0]
    answer[0] = -1
    answer[1] = 0
    for i in range(len(rows)):
        fault = 0
        if read_packed(rows[i], s, b) != READ:
            fault = 1
        else:
            n = legal(s, b, w, buffer)
            if n != counts[i]:
                fault = 2
            elif not has_all(buffer, n, keys, pointer[i], pointer[i + 1]):
                fault = 3
        if fault != 0:
            answer[0] = i
            answer[1] = fault
            return
