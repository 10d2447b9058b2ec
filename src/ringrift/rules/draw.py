"""Drawings of a position, as SVG and as text, for all four boards.

A `Drawing` is plain data (cells, counters, highlights); `svg` and `text` turn it into a picture. Nothing here knows
the rules: whoever holds a position fills a `Drawing` and calls one of the two.
"""

from ringrift.rules.draw_model import BOARDS, Drawing, DrawingError
from ringrift.rules.draw_svg import svg
from ringrift.rules.draw_text import text

__all__ = ["BOARDS", "Drawing", "DrawingError", "svg", "text"]
