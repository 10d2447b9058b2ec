"""Packed moves: one integer per move, whose fields say all that the compact text says.

    bits 0-4 kind | 5-13 a | 14-22 b | 23-31 c | 32-39 x

| kind | text (rules.md 3) | a | b | c | x |
|---|---|---|---|---|---|
| PLACE | `P to count` | to | | | count |
| MOVE | `M from to` | from | to | | |
| CAPTURES, CONTINUE | `C`/`K from target to` | from | target | to | |
| RECOVER | `R mode from to ...` | from | to | extraction stack or window's first | mode, option, window's axis |
| LINE | `L cells` | first | last | | axis |
| OPTION | `O cells *` / `O cells window` | first | last | window's first cell or NONE | axis |
| REGION | `T cells` | first cell in scan order | | | seat whose markers wall it, 0 none |
| PAY | `E context cell` | cell | | | context |
| FORCE | `F cell` | cell | | | |

Every other kind is its number alone. A region's cells follow from the position; all else is in the
number. Lines run from the backward to the forward end of their axis (rules.md 9.2).
"""

from __future__ import annotations

from ringrift.rules.jitconf import rule

PLACE, SKIP_PLACE, NO_PLACE, SWAP = 1, 2, 3, 4
MOVE, CAPTURES, CONTINUE, SKIP_CAPTURE, NO_MOVE = 5, 6, 7, 8, 9
RECOVER, SKIP_RECOVER = 10, 11
LINE, OPTION, NO_LINE = 12, 13, 14
REGION, SKIP_REGION, NO_REGION = 15, 16, 17
PAY, FORCE = 18, 19
KINDS = 20

NONE = 511
"""A cell field that names no cell."""

BY_LINE, BY_FALLBACK, BY_STRIKE = 0, 1, 2  # recovery modes
FOR_LINE, FOR_TERRITORY, FOR_RECOVERY = 0, 1, 2  # payment contexts

A_SHIFT, B_SHIFT, C_SHIFT, X_SHIFT = 5, 14, 23, 32
CELL_MASK = 511
KIND_MASK = 31
X_MASK = 255


@rule
def pack(kind, a, b, c, x):
    """Pack a move into one non-negative integer below 2**40."""
    return (
        int(kind)
        | (int(a) << A_SHIFT)
        | (int(b) << B_SHIFT)
        | (int(c) << C_SHIFT)
        | (int(x) << X_SHIFT)
    )


@rule
def kind_of(m):
    """Return the kind of a packed move."""
    return int(m) & KIND_MASK


@rule
def a_of(m):
    """Return field a of a packed move."""
    return (int(m) >> A_SHIFT) & CELL_MASK


@rule
def b_of(m):
    """Return field b of a packed move."""
    return (int(m) >> B_SHIFT) & CELL_MASK


@rule
def c_of(m):
    """Return field c of a packed move."""
    return (int(m) >> C_SHIFT) & CELL_MASK


@rule
def x_of(m):
    """Return field x of a packed move."""
    return (int(m) >> X_SHIFT) & X_MASK


@rule
def recovery_x(mode, option, axis):
    """Pack mode, option and axis of a recovery slide into field x."""
    return int(mode) | (int(option) << 2) | (int(axis) << 4)


@rule
def is_noop(kind):
    """Tell whether a kind of move does not count as acting (rules.md 2.4)."""
    return (
        kind == NO_PLACE
        or kind == NO_MOVE
        or kind == NO_LINE
        or kind == NO_REGION
        or kind == SKIP_PLACE
        or kind == SKIP_CAPTURE
        or kind == SKIP_RECOVER
        or kind == SKIP_REGION
    )
