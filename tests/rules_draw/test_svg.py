"""The SVG: well formed, complete, inside its frame, without outside references, tellable apart."""

import itertools
import math
import re
import xml.etree.ElementTree as ET
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift.rules import draw_svg
from ringrift.rules.draw import Drawing, svg
from ringrift.rules.draw_model import clean

from .drawings import ALL_BOARDS, crowded

NS = "{http://www.w3.org/2000/svg}"


def parsed(d, **options):
    return ET.fromstring(svg(d, **options))


def of_class(root, name):
    return [element for element in root.iter() if element.get("class") == name]


def frame(root):
    left, top, width, height = map(float, root.get("viewBox").split())
    assert (left, top) == (0, 0)
    return width, height


def numbers(words):
    return [float(n) for n in re.findall(r"-?\d+\.?\d*", words)]


def corners(path):
    """Corner points of a path that has only absolute M, L and Z."""
    assert re.fullmatch(r"[MLZ0-9. -]+", path)
    values = numbers(path)
    return list(zip(values[::2], values[1::2], strict=True))


@pytest.mark.parametrize("board", ALL_BOARDS)
def test_the_picture_names_itself(board):
    root = parsed(crowded(board))
    assert root.tag == f"{NS}svg"
    assert root.get("role") == "img"
    assert [child.tag for child in root][:2] == [f"{NS}title", f"{NS}desc"]
    assert root[0].text == f"{board}_4p"
    assert "chain capture, player 3 to move" in root[1].text
    assert "player 3: hand 7, elim 0, terr 117" in root[1].text


def test_a_picture_without_title_still_has_a_name():
    assert parsed(Drawing(board="hex8"))[0].text == "RingRift position on hex8"


@pytest.mark.parametrize("board", ALL_BOARDS)
def test_every_cell_appears_exactly_once(board):
    d = crowded(board)
    root = parsed(d)
    stacks = [(e.get("data-cell"), e.get("data-rings")) for e in of_class(root, "stack")]
    assert sorted(stacks) == sorted(d.stacks.items())
    for name, owners in (("marker", d.markers), ("collapsed", d.collapsed)):
        found = [(e.get("data-cell"), int(e.get("data-owner"))) for e in of_class(root, name)]
        assert sorted(found) == sorted(owners.items()), name
    (tiles,) = of_class(root, "tiles")
    assert tiles.get("d").count("M") + len(d.collapsed) == len(draw_svg.board_cells(board))


@pytest.mark.parametrize("board", ALL_BOARDS)
def test_rings_rise_from_the_bottom_in_their_order(board):
    for stack in of_class(parsed(crowded(board)), "stack"):
        uses = stack.findall(f"{NS}use")
        assert "".join(use.get("href")[-1] for use in uses) == stack.get("data-rings")
        heights = [float(use.get("y")) for use in uses]
        assert all(low > high for low, high in itertools.pairwise(heights))
        assert len({use.get("x") for use in uses}) == 1


def test_a_tall_stack_carries_its_height_and_stays_as_high_as_a_cell():
    d = Drawing(board="square8", stacks={"0,0": "12" * 18, "3,3": "1" * 6, "5,5": "2" * 7})
    tall, low, seven = of_class(parsed(d), "stack")
    words = [[text.text for text in stack.findall(f"{NS}text")] for stack in (tall, low, seven)]
    assert words == [["36"], [], ["7"]]
    ys = [float(use.get("y")) for use in tall.findall(f"{NS}use")]
    assert max(ys) - min(ys) < 36


@pytest.mark.parametrize("board", ALL_BOARDS)
def test_everything_lies_inside_the_frame(board):
    root = parsed(crowded(board))
    width, height = frame(root)
    points = []
    for element in root.iter():
        name = element.get("class")
        if name in ("collapsed", "tiles", "last-move", "last-move-arrow"):
            points += corners(element.get("d"))
        elif element.tag == f"{NS}text":
            points.append((float(element.get("x")), float(element.get("y"))))
        elif element.tag == f"{NS}circle":
            points.append((float(element.get("cx")), float(element.get("cy"))))
        elif element.tag == f"{NS}use" and element.get("x"):
            points.append((float(element.get("x")), float(element.get("y"))))
        elif element.tag == f"{NS}rect" and element.get("x"):
            x, y, w, h = (float(element.get(k)) for k in ("x", "y", "width", "height"))
            points += [(x, y), (x + w, y + h)]
    assert len(points) > 3 * len(draw_svg.board_cells(board))
    assert all(0 < x < width and 0 < y < height for x, y in points)
    rings = [
        (float(use.get("x")), float(use.get("y")))
        for stack in of_class(root, "stack")
        for use in stack.findall(f"{NS}use")
    ]
    radius = max(float(e.get("rx")) for e in root.iter(f"{NS}ellipse"))
    assert all(radius < x < width - radius and radius < y < height - radius for x, y in rings)


@pytest.mark.parametrize("board", ALL_BOARDS)
def test_nothing_is_fetched_or_run(board):
    drawn = svg(crowded(board, title="http://example.org/x"))
    root = ET.fromstring(drawn)
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    allowed = {"svg", "title", "desc", "defs", "g", "path", "ellipse", "pattern", "rect", "use"}
    assert {e.tag.removeprefix(NS) for e in root.iter()} <= allowed | {"text", "circle"}
    for element in root.iter():
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert "style" not in name
            if "href" in name:
                assert value.startswith("#")
                assert value[1:] in ids
            elif "url(" in value:
                assert re.fullmatch(r"url\(#([\w-]+)\)", value)
                assert value[5:-1] in ids
            else:
                assert "//" not in value


def test_pictures_of_one_board_may_share_a_page():
    first = parsed(crowded("hex8"))
    second = parsed(Drawing(board="hex8"))
    assert ET.tostring(first.find(f"{NS}defs")) == ET.tostring(second.find(f"{NS}defs"))
    other = parsed(Drawing(board="square8"))
    ids = [{e.get("id") for e in root.iter() if e.get("id")} for root in (first, other)]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize(
    "title",
    [
        "<script>alert(1)</script>",
        "]]> & &amp; \"quoted\" 'single'",
        "</title></svg><!--",
        "nul\x00 bell\x07 escape\x1b[31m",
        "lone \ud800 surrogate",
        "two\nlines\tand a tab",
        "\u202eturned",
        "wide" * 100,
    ],
)
def test_hostile_titles_are_only_text(title):
    drawn = svg(crowded("square8", title=title, phase=title))
    root = ET.fromstring(drawn.encode("utf-8"))
    assert root[0].text == clean(title)
    plain = Counter(e.tag for e in parsed(crowded("square8")).iter())
    assert Counter(e.tag for e in root.iter()) == plain


@given(title=st.text(st.characters(), max_size=80), phase=st.text(max_size=20))
def test_any_text_gives_well_formed_xml(title, phase):
    root = ET.fromstring(svg(Drawing(board="hex8", title=title, phase=phase)).encode("utf-8"))
    assert root.find(f"{NS}desc").text


@pytest.mark.parametrize("board", ALL_BOARDS)
def test_the_size_scales_the_whole_picture(board):
    small, large = parsed(crowded(board), size_px=320), parsed(crowded(board), size_px=1280)
    assert small.get("viewBox") == large.get("viewBox")
    width, height = frame(small)
    for root, size in ((small, 320), (large, 1280)):
        assert float(root.get("width")) == size
        assert float(root.get("height")) == pytest.approx(size * height / width, abs=0.01)
    with pytest.raises(ValueError, match="size_px: 0"):
        svg(crowded(board), size_px=0)


def centres(board, keys):
    root = parsed(Drawing(board=board, markers=dict.fromkeys(keys, 1)))
    return {
        e.get("data-cell"): (float(e.get("x")), float(e.get("y"))) for e in of_class(root, "marker")
    }


def test_square_axes_run_east_and_south():
    at = centres("square8", ["0,0", "1,0", "0,1"])
    (x, y), (xe, ye), (xs, ys) = at["0,0"], at["1,0"], at["0,1"]
    assert (xe > x, ye) == (True, y)
    assert (xs, ys > y) == (x, True)
    assert xe - x == pytest.approx(ys - y, abs=0.02)


@pytest.mark.parametrize("board", ["hex8", "hexagonal"])
def test_hexagonal_neighbours_stand_around_a_cell_at_equal_distance(board):
    around = ["1,0,-1", "0,1,-1", "-1,1,0", "-1,0,1", "0,-1,1", "1,-1,0"]
    at = centres(board, ["0,0,0", *around])
    x, y = at["0,0,0"]
    steps = [(at[key][0] - x, at[key][1] - y) for key in around]
    lengths = [math.hypot(*step) for step in steps]
    assert max(lengths) - min(lengths) < 0.03
    degrees = [round(math.degrees(math.atan2(dy, dx))) % 360 for dx, dy in steps]
    assert degrees == [0, 60, 120, 180, 240, 300]  # clockwise from east, y downwards


def test_highlights():
    d = Drawing(
        board="square8",
        stacks={"4,4": "12"},
        markers={"1,1": 1},
        last_move=("1,1", "2,2", "4,4"),
        targets=("4,4", "6,6", "6,6"),
    )
    root = parsed(d)
    assert len(of_class(root, "last-move")) == 3
    assert len(of_class(root, "last-move-arrow")) == 1
    assert len(of_class(root, "target")) == 2
    one = parsed(Drawing(board="square8", last_move=("1,1",)))
    assert len(of_class(one, "last-move")) == 1
    assert of_class(one, "last-move-arrow") == []


def test_the_winner_is_marked_before_the_mover():
    def marked(**fields):
        root = parsed(Drawing(board="hex8", hands=(0, 0, 0), **fields))
        cards = of_class(root, "seat")
        return [int(c.get("data-seat")) for c in cards if c[0].get("stroke-width") == "2.5"]

    assert marked(current_player=2) == [2]
    assert marked(current_player=2, winner=3) == [3]
    assert marked() == []


# Linear RGB seen by dichromats (Machado, Oliveira and Fernandes 2009, severity 1.0).
SIGHT = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def lab(color, sight):
    levels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
    r, g, b = (
        min(1.0, max(0.0, sum(m * v for m, v in zip(row, linear, strict=True)))) for row in sight
    )
    xyz = (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883,
    )
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in xyz)
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize("sight", SIGHT)
def test_seat_colours_stay_apart_for_every_kind_of_sight(sight):
    for palette, least in ((draw_svg._FACE, 40), (draw_svg._SIDE, 25)):
        seen = [lab(color, SIGHT[sight]) for color in palette[1:]]
        apart = min(math.dist(a, b) for a, b in itertools.combinations(seen, 2))
        assert apart > least
    card = lab(draw_svg._TILE, SIGHT[sight])
    assert min(math.dist(card, lab(c, SIGHT[sight])) for c in draw_svg._FACE[1:]) > 25


def test_seats_differ_without_colour():
    assert len({draw_svg._marker_path(seat, 10.0) for seat in range(1, 5)}) == 4
    assert len(set(draw_svg._HATCH_DEGREES[1:])) == 4


@pytest.mark.parametrize(
    ("value", "written"),
    [(1.0, "1"), (100.0, "100"), (-0.001, "0"), (0.0, "0"), (2.346, "2.35"), (-3.1, "-3.1")],
)
def test_lengths_are_short_and_never_minus_zero(value, written):
    assert draw_svg._n(value) == written
