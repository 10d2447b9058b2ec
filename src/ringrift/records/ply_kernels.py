# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Search statistics in compiled code: distributions as bytes and back, their id, their limits.

The distributions of all plies are one list of numbers of seven bits a byte, low bits first: for
each how many moves, the moves ascending as differences, the counts.
"""

from __future__ import annotations

from ringrift.rules.jitconf import rule

FINE, CUT, WIDE, LEFT_OVER = 0, 1, 2, 3
"""What `read_lists` found wrong: nothing, the end within a list, a number of more than 40 bits,
bytes that belong to no ply."""

NUMBER_BYTES = 6
"""Most bytes of one number."""
_LIMIT = 1 << 40

UNKNOWN = -(1 << 62)
"""Stands for None in the columns of `ply_table.PlyTable`."""


# --- numbers of seven bits a byte


@rule
def put_number(data, at, value):
    """Write a number below 2**40 at `at`; return the next place."""
    while value >= 128:
        data[at] = (value & 127) | 128
        value >>= 7
        at += 1
    data[at] = value
    return at + 1


@rule
def put_list(data, at, moves, counts, first, last):
    """Write the distribution from `first` to `last`; return the next place, -1 out of range."""
    at = put_number(data, at, last - first)
    before = 0
    for i in range(first, last):
        step = moves[i] - before
        if step < 0 or step >= _LIMIT:
            return -1
        at = put_number(data, at, step)
        before = moves[i]
    for i in range(first, last):
        if counts[i] < 0 or counts[i] >= _LIMIT:
            return -1
        at = put_number(data, at, counts[i])
    return at


@rule
def put_lists(data, with_visits, moves, counts, offsets, visited, visits, visit_offsets):
    """Write the distributions of all plies; return the length, -1 for a number out of range."""
    at = 0
    for i in range(len(with_visits)):
        at = put_list(data, at, moves, counts, offsets[i], offsets[i + 1])
        if at >= 0 and with_visits[i]:
            at = put_list(data, at, visited, visits, visit_offsets[i], visit_offsets[i + 1])
        if at < 0:
            return -1
    return at


@rule
def next_number(data, at):
    """Read the number at `at`; return it and the next place, which is -CUT or -WIDE for none."""
    value = 0
    shift = 0
    while at < len(data):
        byte = int(data[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >= _LIMIT:
                return 0, -WIDE
            return value, at
        shift += 7
        if shift >= 7 * NUMBER_BYTES:
            return 0, -WIDE
    return 0, -CUT


@rule
def read_list(data, at, moves, counts, k):
    """Read one distribution to index `k` on; return the new `k` and the place, negative if faulty."""
    size, at = next_number(data, at)
    if at < 0:
        return k, at
    if 2 * size > len(data) - at:
        return k, -CUT
    move = 0
    for i in range(size):
        step, at = next_number(data, at)
        if at < 0:
            return k, at
        move += step
        moves[k + i] = move
    for i in range(size):
        counts[k + i], at = next_number(data, at)
        if at < 0:
            return k, at
    return k + size, at


@rule
def read_lists(data, with_visits, moves, counts, offsets, visited, visits, visit_offsets):
    """Read the distributions of all plies; return FINE, CUT, WIDE or LEFT_OVER."""
    at = 0
    k = 0
    v = 0
    for i in range(len(with_visits)):
        k, at = read_list(data, at, moves, counts, k)
        if at < 0:
            return -at
        offsets[i + 1] = k
        if with_visits[i]:
            v, at = read_list(data, at, visited, visits, v)
            if at < 0:
                return -at
        visit_offsets[i + 1] = v
    return FINE if at == len(data) else LEFT_OVER


# --- MessagePack, as `core.ids.canonical_msgpack` writes it


@rule
def put_bytes(data, at, head, value, width):
    """Write a head byte and `width` bytes of `value`, high bytes first; return the next place."""
    data[at] = head
    for i in range(width):
        data[at + 1 + i] = (value >> (8 * (width - 1 - i))) & 255
    return at + 1 + width


@rule
def put_int(data, at, value):
    """Write a whole number in its shortest form."""
    if value >= 0:
        if value < 128:
            data[at] = value
            return at + 1
        if value < 1 << 8:
            return put_bytes(data, at, 0xCC, value, 1)
        if value < 1 << 16:
            return put_bytes(data, at, 0xCD, value, 2)
        if value < 1 << 32:
            return put_bytes(data, at, 0xCE, value, 4)
        return put_bytes(data, at, 0xCF, value, 8)
    if value >= -32:
        data[at] = value & 255
        return at + 1
    if value >= -(1 << 7):
        return put_bytes(data, at, 0xD0, value, 1)
    if value >= -(1 << 15):
        return put_bytes(data, at, 0xD1, value, 2)
    if value >= -(1 << 31):
        return put_bytes(data, at, 0xD2, value, 4)
    return put_bytes(data, at, 0xD3, value, 8)


@rule
def put_array(data, at, size):
    """Write the head of an array."""
    if size < 16:
        data[at] = 0x90 | size
        return at + 1
    if size < 1 << 16:
        return put_bytes(data, at, 0xDC, size, 2)
    return put_bytes(data, at, 0xDD, size, 4)


@rule
def put_pairs(data, at, moves, counts, first, last):
    """Write a distribution as an array of pairs."""
    at = put_array(data, at, last - first)
    for i in range(first, last):
        data[at] = 0x92
        at = put_int(data, at + 1, moves[i])
        at = put_int(data, at, counts[i])
    return at


@rule
def put_values(data, at, known, bits):
    """Write the values of a ply, `bits`: int64[players] of their float64; none if unknown."""
    if not known:
        return put_array(data, at, 0)
    at = put_array(data, at, len(bits))
    for i in range(len(bits)):
        at = put_bytes(data, at, 0xCB, bits[i], 8)
    return at


@rule
def put_plies(
    data, names, plies, kinds, sims, value_known, value_bits, root_known, root_bits, kls, kl_bits,
    with_visits, moves, counts, offsets, visited, visits, visit_offsets,
):  # fmt: skip
    """Write all that names an analysis of its plies; return the length.

    `names`: uint8[kinds, 16], the length of each kind's name and its letters.
    """
    at = put_array(data, 0, len(plies))
    for i in range(len(plies)):
        at = put_array(data, at, 8)
        at = put_int(data, at, plies[i])
        name = names[kinds[i]]
        letters = int(name[0])
        data[at] = 0xA0 | letters
        for j in range(letters):
            data[at + 1 + j] = name[1 + j]
        at += 1 + letters
        at = put_int(data, at, sims[i])
        at = put_values(data, at, value_known[i], value_bits[i])
        at = put_values(data, at, root_known[i], root_bits[i])
        at = put_pairs(data, at, moves, counts, offsets[i], offsets[i + 1])
        if with_visits[i]:
            at = put_pairs(data, at, visited, visits, visit_offsets[i], visit_offsets[i + 1])
        else:
            data[at] = 0xC0
            at += 1
        if kls[i] == UNKNOWN:
            data[at] = 0xC0
            at += 1
        else:
            at = put_bytes(data, at, 0xCB, kl_bits[i], 8)
    return at


# --- limits


@rule
def fair_list(moves, counts, first, last, least):
    """Tell whether moves ascend below 2**40 and counts lie from `least` to 2**31 - 1."""
    before = -1
    for i in range(first, last):
        if not (before < moves[i] < _LIMIT and least <= counts[i] < 1 << 31):
            return False
        before = moves[i]
    return True


@rule
def fair_number(value):
    """Tell whether a column's entry is unknown or from 0 to 2**31 - 1."""
    return value == UNKNOWN or 0 <= value < 1 << 31


@rule
def fair_values(known, units, one):
    """Tell whether the values of a ply lie from -1 to 1."""
    if known:
        for i in range(len(units)):
            if not -one <= units[i] <= one:
                return False
    return True


@rule
def first_fault(
    limit, one, total, plies, sims, value_known, values, root_known, roots, kls, nodes, depths, ms,
    moves, counts, offsets, visited, visits, visit_offsets,
):  # fmt: skip
    """Return the first row that no search of a game of `limit` plies has that way, -1 without one.

    `one` is the value 1 in units, `total` the sum of the counts of a policy.
    """
    before = -1
    for i in range(len(plies)):
        if not (before < plies[i] < limit):
            return i
        before = plies[i]
        if sims[i] == UNKNOWN or not fair_number(sims[i]):
            return i
        if not (fair_number(nodes[i]) and fair_number(depths[i]) and fair_number(ms[i])):
            return i
        if not fair_values(value_known[i], values[i], one):
            return i
        if not fair_values(root_known[i], roots[i], one):
            return i
        if kls[i] != UNKNOWN and not 0 <= kls[i] < one * 1_000_000:
            return i
        if not fair_list(moves, counts, offsets[i], offsets[i + 1], 1):
            return i
        if not fair_list(visited, visits, visit_offsets[i], visit_offsets[i + 1], 0):
            return i
        mass = 0
        for j in range(offsets[i], offsets[i + 1]):
            mass += counts[j]
        if mass != total:
            return i
    return -1
