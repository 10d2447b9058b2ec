"""The canonical state text and its parser (FORMAT.md 3, rules.md 23.1)."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import Any

import numpy as np

from ringrift.rules import layout as lay
from ringrift.rules.errors import InvalidPosition
from ringrift.rules.geometry import geometry
from ringrift.rules.spec import BoardSpec

FIELDS = (
    "ph",
    "cur",
    "only",
    "pend",
    "act",
    "rec",
    "st",
    "win",
    "hand",
    "elim",
    "terr",
    "S",
    "M",
    "C",
)
MAX_CREDIT = 9_999
_ONLY_PHASES = (lay.MOVEMENT, lay.CAPTURE, lay.CHAIN)

Record = Any
"""One element of a `layout.STATE` array."""


def rings_of(s: Record, cell: int) -> str:
    """Return the rings of a stack as digits from bottom to top."""
    return _rings(int(s["top"][cell]), s["below"].tolist(), s["owner"].tolist())


def _rings(top: int, below: list[int], owner: list[int]) -> str:
    digits = ""
    while top >= 0:
        digits = str(owner[top]) + digits
        top = below[top]
    return digits


def board_text(s: Record, keys: tuple[str, ...]) -> str:
    """Write the S, M and C fields."""
    used = int(s["misc"][lay.RINGS_USED])
    top, below, owner = s["top"].tolist(), s["below"][:used].tolist(), s["owner"][:used].tolist()
    stacks, markers, collapsed = [], [], []
    for key, code, ring in zip(keys, s["cell"].tolist(), top, strict=False):
        if code == lay.EMPTY:
            continue
        if code < lay.STACK1:
            markers.append(f"{key}:{code}")
        elif code < lay.COLLAPSED1:
            stacks.append(f"{key}:{_rings(ring, below, owner)}")
        else:
            collapsed.append(f"{key}:{code - lay.COLLAPSED}")
    return f"S={' '.join(stacks)};M={' '.join(markers)};C={' '.join(collapsed)}"


def pending(s: Record) -> str:
    """Name the debt that is owed, `-` for none."""
    m = s["misc"]
    if m[lay.PHASE] == lay.LINES and m[lay.LINE_DEBT]:
        return "line"
    if m[lay.PHASE] == lay.TERRITORY and m[lay.TERRITORY_DEBT]:
        return "recovery" if m[lay.RECOVERED] else "territory"
    return "-"


def canonical_text(s: Record, spec: BoardSpec) -> str:
    """Write a position as its canonical text."""
    keys = geometry(spec.board).keys
    m = s["misc"].tolist()
    over = m[lay.PHASE] == lay.OVER
    if over:
        turn = "cur=0;only=-;pend=-;act=0;rec=0;st=over"
    else:
        only = keys[m[lay.ONLY]] if m[lay.ONLY] >= 0 else "-"
        turn = (
            f"cur={m[lay.CUR]};only={only};pend={pending(s)}"
            f";act={m[lay.ACTED]};rec={m[lay.RECOVERED]};st=active"
        )
    lists = ";".join(
        f"{name}={','.join(map(str, s[name][1 : spec.players + 1].tolist()))}"
        for name in ("hand", "elim", "terr")
    )
    phase = lay.PHASE_NAMES[m[lay.PHASE]]
    return f"ph={phase};{turn};win={m[lay.WINNER]};{lists};{board_text(s, keys)}"


def lps_text(s: Record, spec: BoardSpec) -> str:
    """Write the last-player-standing counters (FORMAT.md 5)."""
    m = s["misc"].tolist()
    mask = ",".join(
        f"{q}:{m[lay.LPS_REAL] >> q & 1}"
        for q in range(1, spec.players + 1)
        if m[lay.LPS_SEEN] >> q & 1
    )
    return "/".join(
        (
            str(m[lay.LPS_ROUND]),
            str(m[lay.LPS_FIRST] or "-"),
            str(m[lay.LPS_EXCLUSIVE] or "-"),
            str(m[lay.LPS_STREAK]),
            str(m[lay.LPS_STREAK_SEAT] or "-"),
            mask,
        )
    )


class _Reader:
    """Reads the fields of one canonical text, naming the field in every complaint."""

    def __init__(self, text: str, spec: BoardSpec) -> None:
        self.spec = spec
        self.fields: dict[str, str] = {}
        parts = text.strip().split(";")
        names = [part.partition("=")[0] if "=" in part else None for part in parts]
        if names != list(FIELDS):
            wrong = next(w for w, n in zip_longest((*FIELDS, "end"), names) if w != n)
            raise InvalidPosition(
                f"position text of {len(parts)} fields does not follow the canonical order",
                where=f"field {wrong}",
                hint="ph=..;cur=..;only=..;pend=..;act=..;rec=..;st=..;win=..;hand=..;elim=..;"
                "terr=..;S=..;M=..;C=..",
            )
        for part in parts:
            name, _, value = part.partition("=")
            self.fields[name] = value

    def fail(self, name: str, expected: str) -> InvalidPosition:
        """Make the complaint about a field."""
        return InvalidPosition(
            f"found {self.fields[name]!r:.60}; expected {expected}", where=f"field {name}"
        )

    def choice(self, name: str, options: tuple[str, ...]) -> int:
        """Read one of the options; return its index."""
        if self.fields[name] not in options:
            raise self.fail(name, " or ".join(options))
        return options.index(self.fields[name])

    def number(self, name: str, text: str, low: int, high: int) -> int:
        """Read a number without sign or leading zeros, in range."""
        if not re.fullmatch(r"0|[1-9][0-9]{0,8}", text) or not low <= int(text) <= high:
            raise self.fail(name, f"numbers from {low} to {high}")
        return int(text)

    def seats(self, name: str, high: int) -> list[int]:
        """Read one number per seat."""
        parts = self.fields[name].split(",")
        if len(parts) != self.spec.players:
            raise self.fail(name, f"{self.spec.players} numbers joined by commas")
        return [self.number(name, part, 0, high) for part in parts]

    def cells(self, name: str, value: str) -> list[tuple[int, str]]:
        """Read `key:value` entries in key order; `value` is the pattern of the values."""
        index = geometry(self.spec.board).index
        entries: list[tuple[int, str]] = []
        for entry in self.fields[name].split(" ") if self.fields[name] else []:
            key, _, content = entry.partition(":")
            cell = index.get(key)
            if cell is None or not re.fullmatch(value, content):
                raise self.fail(
                    name, f"entries <cell of {self.spec.board}>:<{value}>, not {entry!r:.40}"
                )
            if entries and entries[-1][0] >= cell:
                raise self.fail(name, f"cells in key order, each once, at {entry!r:.40}")
            entries.append((cell, content))
        return entries


def read_position(text: str, spec: BoardSpec) -> np.ndarray[Any, np.dtype[Any]]:
    """Parse a canonical text into a one-element `STATE` array.

    Counters of last player standing, who has moved, and the previous mover start empty. Raises
    `InvalidPosition` naming the field.
    """
    r = _Reader(text, spec)
    states = lay.zeros(1, lay.STATE)
    s = states[0]
    _read_board(r, s)
    _read_turn(r, s)
    return states


def _read_board(r: _Reader, s: Record) -> None:
    spec = r.spec
    seat = f"[1-{spec.players}]" if spec.players > 1 else "1"
    s["cell"][:] = lay.WALL
    s["cell"][: spec.cells] = lay.EMPTY
    s["top"][:] = s["bottom"][:] = -1
    used = 0
    for cell, digits in r.cells("S", f"{seat}{{1,{lay.MAX_RINGS}}}"):
        if used + len(digits) > lay.MAX_RINGS:
            raise r.fail("S", f"at most {lay.MAX_RINGS} rings")
        for i, digit in enumerate(digits):
            s["owner"][used] = int(digit)
            s["below"][used] = used - 1 if i else -1
            s["rings"][int(digit)] += 1
            used += 1
        s["bottom"][cell] = used - len(digits)
        s["top"][cell] = used - 1
        s["height"][cell] = len(digits)
        s["cap"][cell] = len(digits) - len(digits.rstrip(digits[-1]))
        s["cell"][cell] = lay.STACK + int(digits[-1])
    s["misc"][lay.RINGS_USED] = used
    for name, base in (("M", lay.MARKER), ("C", lay.COLLAPSED)):
        for cell, owner in r.cells(name, seat):
            if s["cell"][cell] != lay.EMPTY:
                raise r.fail(name, f"a cell that holds nothing else, at {owner}")
            s["cell"][cell] = base + int(owner)
    s["count"][: lay.CODES] = np.bincount(s["cell"][: spec.cells], minlength=lay.CODES)
    for name, high in (("hand", lay.MAX_RINGS), ("elim", MAX_CREDIT), ("terr", MAX_CREDIT)):
        s[name][1 : spec.players + 1] = r.seats(name, high)
    if int(s["hand"].sum()) + used > lay.MAX_RINGS:
        raise r.fail("hand", f"at most {lay.MAX_RINGS} rings in hands and stacks together")
    s["misc"][lay.TURN] = 1  # who has no ring by now went out in a turn before
    s["out_turn"][1 : spec.players + 1] = (s["hand"] + s["rings"])[1 : spec.players + 1] == 0


def _read_turn(r: _Reader, s: Record) -> None:
    spec, m = r.spec, s["misc"]
    phase = m[lay.PHASE] = r.choice("ph", lay.PHASE_NAMES)
    over = phase == lay.OVER
    if r.choice("st", ("active", "over")) != int(over):
        raise r.fail("st", "over" if over else "active")
    m[lay.CUR] = r.number("cur", r.fields["cur"], 0 if over else 1, 0 if over else spec.players)
    m[lay.WINNER] = r.number("win", r.fields["win"], 0, spec.players if over else 0)
    m[lay.ACTED] = r.choice("act", ("0", "1"))
    m[lay.RECOVERED] = r.choice("rec", ("0", "1"))
    if over and (m[lay.ACTED] or m[lay.RECOVERED]):
        raise r.fail("act", "0 in a finished game")
    _read_only(r, s, int(phase))
    debt = r.choice("pend", ("-", "line", "territory", "recovery"))
    m[lay.LINE_DEBT] = debt == 1
    m[lay.TERRITORY_DEBT] = debt >= 2
    owed_in = (None, lay.LINES, lay.TERRITORY, lay.TERRITORY)[debt]
    if owed_in is not None and (
        owed_in != phase or ((debt == 3) != bool(m[lay.RECOVERED]) and debt > 1)
    ):
        raise r.fail("pend", "a debt of this phase, 'recovery' exactly with rec=1")


def _read_only(r: _Reader, s: Record, phase: int) -> None:
    m, text = s["misc"], r.fields["only"]
    m[lay.ONLY] = -1
    if text != "-":
        cell = geometry(r.spec.board).index.get(text)
        if cell is None or phase not in _ONLY_PHASES:
            raise r.fail("only", f"- or a cell of {r.spec.board}, in movement or capture phases")
        if s["cell"][cell] != lay.STACK + m[lay.CUR]:
            raise r.fail("only", "a stack of the player to move")
        m[lay.ONLY] = cell
    elif phase in (lay.CAPTURE, lay.CHAIN):
        raise r.fail("only", "the cell that captures")
