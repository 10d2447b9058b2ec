"""Territory: disconnected regions, their borders and effect (rules.md 10).

Cells are handled as rows of bits: row = x, bit = y (both from 0). A cell is then adjacent to the
same bit of the rows beside it and to the bits beside it; on hex boards the row above is met at
bits y and y+1, the row below at y-1 and y. A flood fills a row with carries and shifts instead of
visiting its cells.
"""

from __future__ import annotations

from ringrift.rules.cells import clear_stack, collapse, has_buried
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    BORDER_FLOOD,
    COLLAPSED,
    COLLAPSED1,
    EMPTY,
    HEX,
    LEAST_WALL,
    MARKER,
    MAX_REGIONS,
    PLAYERS,
    RECOVERED,
    SIZE,
    STACK,
    STACK1,
    N,
)
from ringrift.rules.moves import REGION, pack


@rule
def lowest_bit(m):
    """Return the index of the lowest set bit of a non-zero row."""
    i = 0
    while (m >> i) & 1 == 0:
        i += 1
    return i


@rule
def fill_row(m, f):
    """Spread the bits `m` of the row through the connected runs of `f`; `m` is within `f`."""
    g = m | (f & ~(f + m))  # upwards: the carry runs to the end of each run
    f = int(f)
    g |= f & (g >> 1)  # downwards: doubling steps
    f &= f >> 1
    g |= f & (g >> 2)
    f &= f >> 2
    g |= f & (g >> 4)
    f &= f >> 4
    g |= f & (g >> 8)
    f &= f >> 8
    return g | (f & (g >> 16))


@rule
def touched(b, m, r):
    """Return the bits of row `r` that are adjacent to rows `m` above and below it."""
    if b.par[HEX] != 0:
        up = int(m[r - 1]) if r > 0 else 0
        down = int(m[r + 1]) if r + 1 < b.par[SIZE] else 0
        return up | (up >> 1) | down | (down << 1)
    up = int(m[r - 1]) if r > 0 else 0
    down = int(m[r + 1]) if r + 1 < b.par[SIZE] else 0
    return up | down


@rule
def flood(b, w, lo):
    """Grow `w.comp`, set on row `lo` alone, to its component of `w.free`; none is above `lo`."""
    last = b.par[SIZE] - 1
    hi = lo
    changed = True
    while changed:
        changed = False
        r = lo
        while r <= hi:
            m = int(w.comp[r])
            f = int(w.free[r])
            g = (m | touched(b, w.comp, r)) & f
            if g != m:
                w.comp[r] = fill_row(g, f)
                changed = True
            if r == hi and hi < last and touched(b, w.comp, r + 1) & int(w.free[r + 1]) != 0:
                hi += 1
            r += 1
        r = hi
        while r >= lo:
            m = int(w.comp[r])
            f = int(w.free[r])
            g = (m | touched(b, w.comp, r)) & f
            if g != m:
                w.comp[r] = fill_row(g, f)
                changed = True
            r -= 1


@rule
def seed_component(b, w, r, bit):
    """Put the component of `w.free` whose first row is `r` and holds `bit` there into `w.comp`."""
    for i in range(b.par[SIZE]):
        w.comp[i] = 0
    w.comp[r] = fill_row(1 << int(bit), int(w.free[r]))
    flood(b, w, r)


@rule
def read_rows(s, b, w):
    """Fill `w.stacks`, `w.markers` and `w.open` from the cells."""
    for r in range(b.par[SIZE]):
        w.open[r] = b.full[r]
        for q in range(1, b.par[PLAYERS] + 1):
            w.stacks[q, r] = 0
            w.markers[q, r] = 0
    for c in range(b.par[N]):
        code = int(s.cell[c])
        if code != EMPTY:
            bit = 1 << int(b.bit[c])
            r = b.row[c]
            if code < STACK1:
                w.markers[code, r] |= bit
            elif code < COLLAPSED1:
                w.stacks[code - STACK, r] |= bit
            else:
                w.open[r] &= ~bit


@rule
def read_buried(s, b, w, p):
    """Fill `w.buried` with the stacks that hold a non-top ring of `p`."""
    for r in range(b.par[SIZE]):
        w.buried[r] = 0
    for c in range(b.par[N]):
        code = s.cell[c]
        if STACK1 <= code and code < COLLAPSED1 and has_buried(s, c, p):
            w.buried[b.row[c]] |= 1 << int(b.bit[c])


@rule
def wall_off(b, w, colour):
    """Fill `w.free`: not collapsed and no marker of `colour` (0: markers are no walls)."""
    for r in range(b.par[SIZE]):
        w.free[r] = w.open[r] & ~w.markers[colour, r] if colour > 0 else w.open[r]


@rule
def controllers_in(b, w):
    """Count the players that control a stack inside `w.comp`."""
    k = 0
    for q in range(1, b.par[PLAYERS] + 1):
        for r in range(b.par[SIZE]):
            if w.stacks[q, r] & w.comp[r] != 0:
                k += 1
                break
    return k


@rule
def payable(s, b, w, p):
    """Test whether `p` could pay for `w.comp` from a stack outside it (rules.md 10.2)."""
    for r in range(b.par[SIZE]):
        mine = w.buried[r] if s.misc[RECOVERED] != 0 else w.stacks[p, r]
        if mine & ~w.comp[r] != 0:
            return True
    return False


@rule
def known_region(b, w, found):
    """Tell whether `w.comp` is among the first `found` regions."""
    for i in range(found):
        same = True
        for r in range(b.par[SIZE]):
            if w.region[i, r] != w.comp[r]:
                same = False
                break
        if same:
            return True
    return False


@rule
def take_regions(s, b, w, p, colour, active, found, limit):
    """Add the processable components of the board walled by `colour` to the found regions."""
    wall_off(b, w, colour)
    for r in range(b.par[SIZE]):
        w.todo[r] = w.free[r]
    whole = True
    for r in range(b.par[SIZE]):
        while w.todo[r] != 0:
            bit = lowest_bit(int(w.todo[r]))
            seed_component(b, w, r, bit)
            left = 0
            for i in range(b.par[SIZE]):
                w.todo[i] &= ~w.comp[i]
                left |= w.todo[i]
            if whole and left == 0:
                return found  # one component holds every stack: nothing outside could pay
            whole = False
            if not payable(s, b, w, p):
                continue
            k = controllers_in(b, w)
            if k < active and (colour > 0 or k == 1) and not known_region(b, w, found):
                if found < MAX_REGIONS:
                    for i in range(b.par[SIZE]):
                        w.region[found, i] = w.comp[i]
                    w.region_first[found] = b.at[r, bit]
                    w.region_wall[found] = colour
                    found += 1
                if found >= limit:
                    return found
    return found


@rule
def find_regions(s, b, w, p, limit):
    """Find up to `limit` distinct regions `p` can process; return their number (rules.md 10.1-3).

    Colours are tried from the mover's on in seat order, then no colour, so a region found several
    times is named by the first of them.
    """
    players = b.par[PLAYERS]
    active = 0
    collapsed = 0
    markers = 0
    for q in range(1, players + 1):
        if s.rings[q] > 0:
            active += 1
        collapsed += s.count[COLLAPSED + q]
        markers += s.count[MARKER + q]
    if active == 0 or collapsed + markers < b.par[LEAST_WALL]:
        return 0
    if s.misc[RECOVERED] == 0:
        if s.count[STACK + p] == 0:
            return 0
    elif s.rings[p] == 0:
        return 0
    read_rows(s, b, w)
    if s.misc[RECOVERED] != 0:
        read_buried(s, b, w, p)
    found = 0
    for i in range(players):
        colour = (p - 1 + i) % players + 1
        k = s.count[MARKER + colour]
        if k > 0 and k + collapsed >= b.par[LEAST_WALL]:
            found = take_regions(s, b, w, p, colour, active, found, limit)
            if found >= limit:
                return found
    if collapsed >= b.par[LEAST_WALL]:
        found = take_regions(s, b, w, p, 0, active, found, limit)
    return found


@rule
def has_region(s, b, w, p):
    """Test whether `p` can process a region (rules.md 10.2)."""
    return find_regions(s, b, w, p, 1) > 0


@rule
def gen_regions(s, b, w, p, out, n):
    """Append one `T` per processable region of `p` (rules.md 10.3)."""
    found = find_regions(s, b, w, p, MAX_REGIONS)
    for i in range(found):
        out[n] = pack(REGION, w.region_first[i], 0, 0, w.region_wall[i])
        n += 1
    return n


@rule
def read_region(s, b, w, first, colour):
    """Put the region named by its first cell and wall colour into `w.comp`."""
    read_rows(s, b, w)
    wall_off(b, w, colour)
    seed_component(b, w, b.row[first], b.bit[first])


@rule
def read_border(b, w):
    """Put the border markers of the region `w.comp` into `w.border` (rules.md 10.4)."""
    size = b.par[SIZE]
    for r in range(size):
        any_marker = 0
        for q in range(1, b.par[PLAYERS] + 1):
            any_marker |= int(w.markers[q, r])
        w.reach[r] = any_marker & ~int(w.comp[r])
    for r in range(size):
        m = int(w.comp[r])
        w.border[r] = w.reach[r] & (touched(b, w.comp, r) | (m << 1) | (m >> 1))
    if b.par[BORDER_FLOOD] == 0:
        return
    changed = True
    while changed:
        changed = False
        for r in range(size):
            m = int(w.border[r])
            if r > 0:
                m |= int(w.border[r - 1])
            if r + 1 < size:
                m |= int(w.border[r + 1])
            m = (m | (m << 1) | (m >> 1)) & int(w.reach[r])
            m |= int(w.border[r])
            if m != w.border[r]:
                w.border[r] = m
                changed = True


@rule
def apply_region(s, b, w, p, first, colour):
    """Collapse a region and its border to `p` (rules.md 10.5)."""
    read_region(s, b, w, first, colour)
    read_border(b, w)
    for c in range(b.par[N]):
        bit = int(b.bit[c])
        r = b.row[c]
        if (int(w.comp[r]) >> bit) & 1 != 0:
            code = s.cell[c]
            if STACK1 <= code and code < COLLAPSED1:
                s.elim[p] += clear_stack(s, c)
            collapse(s, c, p)
            s.terr[p] += 1
        elif (int(w.border[r]) >> bit) & 1 != 0:
            collapse(s, c, p)
            s.terr[p] += 1
