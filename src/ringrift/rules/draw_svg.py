"""A drawing as a self-contained SVG picture.

All lengths are in units of a picture 640 wide; `size_px` only scales it. The picture brings its own light board, so it
reads the same on a light and on a dark page. Seats differ by colour (at least 44 apart in CIE Lab for normal sight and
for protan, deutan and tritan vision), by the shape of their markers and by the direction of their territory's hatch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from ringrift.rules.draw_model import BOARDS, HEX_BOARDS, Drawing, board_cells, cell_key, clean

WIDTH = 640.0
_MARGIN = 22.0
_LABEL_GUTTER = 16.0
_TITLE_HEIGHT = 34.0
_PANEL_HEIGHT = 122.0
_MAX_TITLE = 64

_CARD, _EDGE, _TILE = "#f7f4ec", "#d9d2c1", "#e9e3d3"
_INK, _MUTED = "#26231c", "#766f60"
_FACE = ("", "#1d4e9e", "#f5b000", "#c03a2b", "#63c5da")
"""Colour of each seat; index 0 is nobody."""
_SIDE = ("", "#143a78", "#c98d00", "#912a1f", "#3f9fb5")
_RIM = ("", "#0b2149", "#6d4c00", "#551610", "#1f5c6b")
_TINT = ("", "#c3cfe0", "#f6e1ab", "#e9c6bd", "#d2e9ea")
_FONTS = "system-ui, 'DejaVu Sans', sans-serif"
_HATCH_DEGREES = (0, 45, 135, 0, 90)

# Lengths as parts of the pitch, the distance of neighbouring cells.
_RING_RX, _RING_RY, _RING_THICK, _HOLE = 0.36, 0.205, 0.115, 0.48
_MAX_RISE = 0.46
_MARKER_R = 0.2
_COUNTED_FROM = 7
"""Stacks of at least this many rings carry their height as a number."""


def svg(d: Drawing, *, size_px: int = 640) -> str:
    """Draw a position as one `<svg>` element, `size_px` wide, without any reference outside itself."""
    if size_px < 1:
        raise ValueError(f"size_px: {size_px} is not a width in pixels")
    top = _MARGIN + (_TITLE_HEIGHT if d.title else 0.0)
    layout = (_hexagon_layout if d.board in HEX_BOARDS else _square_layout)(d.board, top)
    height = layout.bottom + _PANEL_HEIGHT
    ids = f"ringrift-{d.board}"
    title = clean(d.title)
    size = f'width="{size_px}" height="{_n(size_px * height / WIDTH)}"'
    box = f'viewBox="0 0 {_n(WIDTH)} {_n(height)}"'
    card = f'width="{_n(WIDTH - 2)}" height="{_n(height - 2)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} {box} font-family={quoteattr(_FONTS)}>',
        f"<title>{escape(title or f'RingRift position on {d.board}')}</title>",
        f"<desc>{escape(_description(d))}</desc>",
        *_definitions(ids, layout.pitch),
        f'<rect x="1" y="1" {card} rx="14" fill="{_CARD}" stroke="{_EDGE}"/>',
    ]
    if title:
        shown = title if len(title) <= _MAX_TITLE else title[: _MAX_TITLE - 1] + "\u2026"
        font = min(18.0, 850 / len(shown))
        parts.append(
            _label(_MARGIN + 6, _MARGIN + 16, shown, size=font, anchor="start", strong=True)
        )
    parts += _board(d, layout, ids)
    parts += _panel(d, layout, ids)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Where things lie: `centres` in reading order, the outline of a tile about the origin, labels along the edges."""

    pitch: float
    centres: dict[str, tuple[float, float]]
    tile: tuple[tuple[float, float], ...]
    labels: tuple[tuple[float, float, str], ...]
    bottom: float


def _square_layout(board: str, top: float) -> _Layout:
    size = BOARDS[board]
    left = _MARGIN + _LABEL_GUTTER
    pitch = (WIDTH - 2 * left) / size
    first = top + _LABEL_GUTTER
    centres = {
        cell_key(board, x, y): (left + (x + 0.5) * pitch, first + (y + 0.5) * pitch)
        for x, y in board_cells(board)
    }
    half = pitch / 2 * 0.95
    labels = [(left + (i + 0.5) * pitch, first - 10, str(i)) for i in range(size)]
    labels += [(left - 12, first + (i + 0.5) * pitch, str(i)) for i in range(size)]
    labels += [(left - 12, first - 10, "y\N{REVERSE SOLIDUS}x")]
    return _Layout(
        pitch=pitch,
        centres=centres,
        tile=((-half, -half), (half, -half), (half, half), (-half, half)),
        labels=tuple(labels),
        bottom=first + size * pitch + 8,
    )


def _hexagon_layout(board: str, top: float) -> _Layout:
    """Lay out pointy-topped hexagons: x grows to the east, y to the south-east, z to the north-west."""
    radius = BOARDS[board]
    left = _MARGIN + _LABEL_GUTTER
    pitch = (WIDTH - 2 * left) / (2 * radius + 1)
    side = pitch / math.sqrt(3)
    middle = top + _LABEL_GUTTER + side * (1.5 * radius + 1)

    def centre(x: float, y: float) -> tuple[float, float]:
        return WIDTH / 2 + pitch * (x + y / 2), middle + 1.5 * side * y

    # Each diagonal is named just beyond its last cell: y at the left ends, z at the upper right, x at the lower right.
    beyond = 0.5 + 11 / pitch
    labels = []
    for value in range(-radius, radius + 1):
        low, high = max(-radius, -radius - value), min(radius, radius - value)
        labels.append((*centre(low - beyond, value), str(value)))
        labels.append((*centre(value, high + beyond), str(value)))
        labels.append((*centre(high + beyond, low - beyond), str(-low - high)))
    (yx, yy), (zx, zy) = centre(-beyond, -radius), centre(radius + beyond, -radius - beyond)
    xx, xy = centre(0, radius + beyond)
    labels += [(yx - 22, yy, "y"), (zx + 20, zy, "z"), (xx + 20, xy, "x")]
    corner = side * 0.95
    angles = [math.radians(60 * i + 30) for i in range(6)]
    return _Layout(
        pitch=pitch,
        centres={cell_key(board, x, y): centre(x, y) for x, y in board_cells(board)},
        tile=tuple((corner * math.cos(a), corner * math.sin(a)) for a in angles),
        labels=tuple(labels),
        bottom=middle + side * (1.5 * radius + 1) + _LABEL_GUTTER + 8,
    )


def _definitions(ids: str, pitch: float) -> Iterator[str]:
    """Yield the shapes used many times; they depend on the board alone, so pictures may share a page."""
    rx, ry, thick = pitch * _RING_RX, pitch * _RING_RY, pitch * _RING_THICK
    line = max(0.5, pitch * 0.014)
    yield "<defs>"
    for seat in range(1, 5):
        yield (
            f'<g id="{ids}-ring{seat}" stroke="{_RIM[seat]}" stroke-width="{_n(line)}">'
            f'<path d="M{_n(-rx)} 0V{_n(thick)}A{_n(rx)} {_n(ry)} 0 0 0 {_n(rx)} {_n(thick)}V0Z" fill="{_SIDE[seat]}"/>'
            f'<ellipse rx="{_n(rx)}" ry="{_n(ry)}" fill="{_FACE[seat]}"/>'
            f'<ellipse rx="{_n(rx * _HOLE)}" ry="{_n(ry * _HOLE)}" fill="{_RIM[seat]}" stroke="none"/></g>'
        )
        yield (
            f'<path id="{ids}-marker{seat}" d="{_marker_path(seat, pitch * _MARKER_R)}" fill="{_FACE[seat]}" '
            f'stroke="{_RIM[seat]}" stroke-width="{_n(line)}" stroke-linejoin="round"/>'
        )
        step = max(3.5, pitch * 0.16)
        yield (
            f'<pattern id="{ids}-land{seat}" width="{_n(step)}" height="{_n(step)}" patternUnits="userSpaceOnUse" '
            f'patternTransform="rotate({_HATCH_DEGREES[seat]})"><rect width="{_n(step)}" height="{_n(step)}" '
            f'fill="{_TINT[seat]}"/><path d="M0 {_n(step / 2)}H{_n(step)}" stroke="{_FACE[seat]}" '
            f'stroke-width="{_n(step * 0.24)}" stroke-opacity="0.5"/></pattern>'
        )
    yield "</defs>"


def _marker_path(seat: int, r: float) -> str:
    """Outline of a seat's marker: circle, diamond, triangle, cross, of about equal area."""
    if seat == 1:
        return f"M{_n(-r)} 0A{_n(r)} {_n(r)} 0 1 1 {_n(r)} 0A{_n(r)} {_n(r)} 0 1 1 {_n(-r)} 0Z"
    if seat == 2:
        return _polygon([(0, -1.25 * r), (1.25 * r, 0), (0, 1.25 * r), (-1.25 * r, 0)])
    if seat == 3:
        return _polygon([(0, -1.3 * r), (1.28 * r, 0.92 * r), (-1.28 * r, 0.92 * r)])
    a, b = 0.42 * r, 1.18 * r
    corners = [
        (-a, -b),
        (a, -b),
        (a, -a),
        (b, -a),
        (b, a),
        (a, a),
        (a, b),
        (-a, b),
        (-a, a),
        (-b, a),
        (-b, -a),
        (-a, -a),
    ]
    return _polygon(corners)


def _board(d: Drawing, layout: _Layout, ids: str) -> Iterator[str]:
    """Yield the board from the ground up: tiles, territory, labels, highlights, markers, stacks, targets."""
    tiles = "".join(
        _polygon(layout.tile, centre)
        for key, centre in layout.centres.items()
        if key not in d.collapsed
    )
    yield f'<path class="tiles" d="{tiles}" fill="{_TILE}"/>'
    for key, centre in layout.centres.items():
        if key in d.collapsed:
            seat = d.collapsed[key]
            yield (
                f'<path class="collapsed" data-cell="{key}" data-owner="{seat}" d="{_polygon(layout.tile, centre)}" '
                f'fill="url(#{ids}-land{seat})" stroke="{_FACE[seat]}" stroke-width="{_n(layout.pitch * 0.02)}"/>'
            )
    size = min(12.0, max(8.5, layout.pitch * 0.3))
    for x, y, name in layout.labels:
        yield _label(x, y, name, size=size, dy=0.35 * size)
    yield from _last_move(d, layout)
    for key, (x, y) in layout.centres.items():
        if key in d.markers:
            seat = d.markers[key]
            yield (
                f'<use class="marker" data-cell="{key}" data-owner="{seat}" href="#{ids}-marker{seat}" '
                f'x="{_n(x)}" y="{_n(y)}"/>'
            )
    for key, (x, y) in layout.centres.items():
        if key in d.stacks:
            yield _stack(key, d.stacks[key], x, y, layout.pitch, ids)
    for key in dict.fromkeys(d.targets):
        yield _target(d, key, layout)


def _stack(key: str, rings: str, x: float, y: float, pitch: float, ids: str) -> str:
    """Draw the rings from the bottom up, closer together the more there are, centred on the cell as a whole."""
    step = min(_RING_THICK, _MAX_RISE / max(1, len(rings) - 1)) * pitch
    bottom = y + (step * (len(rings) - 1) - _RING_THICK * pitch) / 2
    uses = "".join(
        f'<use href="#{ids}-ring{ring}" x="{_n(x)}" y="{_n(bottom - level * step)}"/>'
        for level, ring in enumerate(rings)
    )
    return (
        f'<g class="stack" data-cell="{key}" data-rings="{rings}"><title>{key}: {rings}</title>{uses}'
        f"{_height_badge(len(rings), x, y, pitch)}</g>"
    )


def _height_badge(height: int, x: float, y: float, pitch: float) -> str:
    if height < _COUNTED_FROM:
        return ""
    size = pitch * 0.24
    wide = size * (1.15 if height < 10 else 1.6)
    cx, cy = x + pitch * 0.46 - wide / 2, y + pitch * 0.3
    return (
        f'<rect x="{_n(cx - wide / 2)}" y="{_n(cy - size * 0.6)}" width="{_n(wide)}" height="{_n(size * 1.2)}" '
        f'rx="{_n(size * 0.4)}" fill="{_INK}"/>'
        + _label(cx, cy, str(height), size=size, dy=size * 0.36, strong=True, fill="#ffffff")
    )


def _last_move(d: Drawing, layout: _Layout) -> Iterator[str]:
    """Outline the cells the last move touched and point from the first to the last of them."""
    width = max(1.4, layout.pitch * 0.035)
    for key in dict.fromkeys(d.last_move):
        outline = _polygon(layout.tile, layout.centres[key])
        yield (
            f'<path class="last-move" d="{outline}" fill="#ffffff" fill-opacity="0.55" stroke="{_INK}" '
            f'stroke-width="{_n(width)}" stroke-linejoin="round"/>'
        )
    if len(d.last_move) < 2 or d.last_move[0] == d.last_move[-1]:
        return
    (x0, y0), (x1, y1) = layout.centres[d.last_move[0]], layout.centres[d.last_move[-1]]
    length = math.hypot(x1 - x0, y1 - y0)
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    tip = 0.4 * layout.pitch
    head = 0.2 * layout.pitch
    xt, yt = x1 - ux * tip, y1 - uy * tip
    xb, yb = xt - ux * head, yt - uy * head
    arrow = _polygon(
        [
            (xt, yt),
            (xb - uy * head * 0.6, yb + ux * head * 0.6),
            (xb + uy * head * 0.6, yb - ux * head * 0.6),
        ]
    )
    yield (
        f'<path class="last-move-arrow" d="M{_n(x0)} {_n(y0)}L{_n(xb)} {_n(yb)}" stroke="{_INK}" '
        f'stroke-width="{_n(width * 1.2)}" stroke-linecap="round"/><path d="{arrow}" fill="{_INK}"/>'
    )


def _target(d: Drawing, key: str, layout: _Layout) -> str:
    """Mark a legal target: a dot, moved to the corner where a stack or marker has the middle."""
    x, y = layout.centres[key]
    pitch = layout.pitch
    dot = (
        f'r="{_n(pitch * 0.085)}" fill="{_INK}" stroke="#ffffff" stroke-width="{_n(pitch * 0.025)}"'
    )
    if key not in d.stacks and key not in d.markers:
        return f'<circle class="target" cx="{_n(x)}" cy="{_n(y)}" {dot}/>'
    return f'<circle class="target" cx="{_n(x + 0.33 * pitch)}" cy="{_n(y - 0.27 * pitch)}" {dot}/>'


def _panel(d: Drawing, layout: _Layout, ids: str) -> Iterator[str]:
    """Yield the status line and one card a seat: its ring, marker and territory, and its counters."""
    top = layout.bottom
    yield _label(_MARGIN + 6, top + 16, d.headline, size=14, anchor="start", strong=True)
    gap, height = 10.0, 72.0
    width = (WIDTH - 2 * _MARGIN - gap * (d.seats - 1)) / d.seats
    y = top + 28
    for seat in range(1, d.seats + 1):
        x = _MARGIN + (seat - 1) * (width + gap)
        chosen = seat == (d.winner or d.current_player)
        yield (
            f'<g class="seat" data-seat="{seat}"><rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" '
            f'height="{_n(height)}" rx="9" fill="#ffffff" stroke="{_FACE[seat] if chosen else _EDGE}" '
            f'stroke-width="{2.5 if chosen else 1}"/>'
        )
        yield _symbol(f"{ids}-ring{seat}", x + 20, y + 17, 24 / (2 * _RING_RX * layout.pitch))
        yield _label(x + 36, y + 24, f"Player {seat}", size=12, anchor="start", strong=True)
        marker_scale = 5.2 / (_MARKER_R * layout.pitch)
        yield _symbol(f"{ids}-marker{seat}", x + width - 32, y + 20, marker_scale)
        hatch_scale = min(1.0, 24 / layout.pitch)
        side = _n(13 / hatch_scale)
        yield (
            f'<rect transform="translate({_n(x + width - 22)} {_n(y + 13.5)}) scale({hatch_scale:.4f})" '
            f'width="{side}" height="{side}" fill="url(#{ids}-land{seat})" stroke="{_FACE[seat]}" '
            f'stroke-width="{_n(1 / hatch_scale)}"/>'
        )
        for column, (name, value) in enumerate(d.counters(seat)):
            middle = x + width * (2 * column + 1) / 6
            yield _label(middle, y + 50, value, size=15, strong=True)
            yield _label(middle, y + 63, name, size=10)
        yield "</g>"


def _symbol(name: str, x: float, y: float, scale: float) -> str:
    return f'<use href="#{name}" transform="translate({_n(x)} {_n(y)}) scale({scale:.4f})"/>'


def _description(d: Drawing) -> str:
    """Say in words what the picture shows."""
    seats = "; ".join(
        f"player {seat}: " + ", ".join(f"{name} {value}" for name, value in d.counters(seat))
        for seat in range(1, d.seats + 1)
    )
    sentences = [
        f"{d.board}: {len(d.stacks)} stacks, {len(d.markers)} markers, {len(d.collapsed)} collapsed cells"
    ]
    sentences += [d.headline, f"last move {' to '.join(d.last_move)}" if d.last_move else "", seats]
    return ". ".join(filter(None, sentences)) + "."


def _label(
    x: float,
    y: float,
    words: str,
    *,
    size: float,
    dy: float = 0.0,
    anchor: str = "middle",
    strong: bool = False,
    fill: str = "",
) -> str:
    fill = fill or (_INK if strong else _MUTED)
    weight = 600 if strong else 400
    return (
        f'<text x="{_n(x)}" y="{_n(y + dy)}" font-size="{_n(size)}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{fill}">{escape(words)}</text>'
    )


def _polygon(corners: Iterable[tuple[float, float]], centre: Sequence[float] = (0.0, 0.0)) -> str:
    return "M" + "L".join(f"{_n(centre[0] + x)} {_n(centre[1] + y)}" for x, y in corners) + "Z"


def _n(value: float) -> str:
    """Write a length with at most two decimals, the same on every platform."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")
