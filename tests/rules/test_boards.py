"""Boards, sizes, thresholds, directions and options (rules.md 1)."""

from __future__ import annotations

import pytest

from ringrift.core.errors import RingriftError
from ringrift.rules import BoardSpec, IllegalMove, InvalidOption, Position, parse_config

from .positions import (
    BOARDS,
    CONFIGURATIONS,
    RINGS,
    cells_of,
    legal,
    legal_starting,
    play,
    position,
    state_text,
)

CELLS = {"square8": 64, "square19": 361, "hex8": 61, "hexagonal": 469}
CENTRE = {"square8": "3,3", "square19": "9,9", "hex8": "0,0,0", "hexagonal": "0,0,0"}
RING_THRESHOLD = {
    ("square8", 2): 18, ("square8", 3): 24, ("square8", 4): 30,
    ("hex8", 2): 18, ("hex8", 3): 24, ("hex8", 4): 30,
    ("square19", 2): 72, ("square19", 3): 96, ("square19", 4): 120,
    ("hexagonal", 2): 96, ("hexagonal", 3): 128, ("hexagonal", 4): 160,
}  # fmt: skip
TERRITORY_MINIMUM = {
    ("square8", 2): 33, ("square8", 3): 22, ("square8", 4): 17,
    ("square19", 2): 181, ("square19", 3): 121, ("square19", 4): 91,
    ("hex8", 2): 31, ("hex8", 3): 21, ("hex8", 4): 16,
    ("hexagonal", 2): 235, ("hexagonal", 3): 157, ("hexagonal", 4): 118,
}  # fmt: skip


@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_empty_board_offers_three_sizes_on_every_cell(board: str, players: int) -> None:
    """22.1: 192, 1083, 183 and 1407 moves, for any number of players."""
    pos = Position.start(board, players=players)
    assert len(cells_of(board)) == CELLS[board]
    assert legal(pos) == {f"P {cell} {size}" for cell in cells_of(board) for size in (1, 2, 3)}
    assert (
        len(legal(pos)) == {"square8": 192, "square19": 1083, "hex8": 183, "hexagonal": 1407}[board]
    )


@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_start_position(board: str, players: int) -> None:
    pos = Position.start(board, players=players)
    assert (pos.phase, pos.current_player, pos.is_over) == ("ring_placement", 1, False)
    assert pos.hands == (RINGS[board],) * players
    assert pos.eliminated == pos.territory == (0,) * players
    zeros = ",".join("0" * players)
    hands = ",".join([str(RINGS[board])] * players)
    assert str(pos) == (
        "ph=ring_placement;cur=1;only=-;pend=-;act=0;rec=0;st=active;win=0;"
        f"hand={hands};elim={zeros};terr={zeros};S=;M=;C="
    )


@pytest.mark.parametrize(
    ("board", "count"), [("square8", 27), ("square19", 72), ("hex8", 24), ("hexagonal", 72)]
)
def test_rays_from_the_middle(board: str, count: int) -> None:
    """Eight directions on squares, six on hexagons: one ring in the middle reaches `count` cells."""
    pos = position(board=board, phase="movement", stacks={CENTRE[board]: "1"})
    assert len(legal_starting(pos, "M ")) == len(legal(pos)) == count


def test_square_directions_are_the_eight() -> None:
    pos = position(
        "y=1: B B B B B\ny=2: B . . . B\ny=3: B . 1 . B\ny=4: B . . . B\ny=5: B B B B B",
        phase="movement",
    )
    assert legal(pos) == {
        f"M 2,3 {cell}" for cell in ["1,2", "2,2", "3,2", "1,3", "3,3", "1,4", "2,4", "3,4"]
    }


def test_hex_directions_are_the_six() -> None:
    """(1,1,-2) is two steps away on a hexagon, though a neighbour in (x,y)."""
    ring_two = [c for c in cells_of("hex8") if max(abs(int(v)) for v in c.split(",")) == 2]
    pos = position(
        board="hex8", phase="movement", stacks={"0,0,0": "1"}, collapsed={2: " ".join(ring_two)}
    )
    near = "1,0,-1 0,1,-1 -1,1,0 -1,0,1 0,-1,1 1,-1,0"
    assert legal(pos) == {f"M 0,0,0 {cell}" for cell in near.split()}


@pytest.mark.parametrize(
    ("board", "corner", "reach"),
    [
        ("square8", "7,7", 21),
        ("square19", "18,0", 54),
        ("hex8", "4,-4,0", 16),
        ("hexagonal", "-12,0,12", 48),
    ],
)
def test_rays_end_at_the_edge(board: str, corner: str, reach: int) -> None:
    """From a corner three rays leave: 7+7+7, 18+18+18, 8+4+4 and 24+12+12 cells."""
    pos = position(board=board, phase="movement", stacks={corner: "1"})
    assert len(legal(pos)) == reach


@pytest.mark.parametrize(
    ("board", "move"),
    [
        ("square8", "P 8,0 1"), ("square8", "P 0,-1 1"), ("square19", "P 19,18 1"), ("hex8", "P 4,1,-5 1"),
        ("hexagonal", "P 12,1,-13 1"), ("hex8", "P 1,1,1 1"), ("hex8", "P 1,1 1"), ("square8", "P 1,1,-2 1"),
    ],
)  # fmt: skip
def test_cells_off_the_board_are_refused(board: str, move: str) -> None:
    pos = Position.start(board)
    before = str(pos)
    with pytest.raises(RingriftError):
        pos.play(move)
    assert str(pos) == before


def _end_of_turn(board: str, players: int, **fields: object) -> Position:
    """Player 1 is about to end his turn with `NT`; everybody has a stack among the last cells of the scan order."""
    homes = cells_of(board)[-players:]
    stacks = {home: str(seat) for seat, home in enumerate(homes, start=1)}
    pos = position(
        board=board, players=players, phase="territory_processing", stacks=stacks, **fields
    )
    assert legal(pos) == {"NT"}
    return pos


@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_ring_threshold(board: str, players: int) -> None:
    """1.3: T = round(R (n+1) / 3) credited rings win, one less does not."""
    need = RING_THRESHOLD[board, players]
    others = (0,) * (players - 1)
    assert not play(_end_of_turn(board, players, elim=(need - 1, *others)), "NT").is_over
    won = play(_end_of_turn(board, players, elim=(need, *others)), "NT")
    assert (won.is_over, won.winner, won.result.reason) == (True, 1, "ring_elimination")


@pytest.mark.parametrize(
    ("rings", "players", "need"),
    [(10, 2, 10), (10, 3, 13), (10, 4, 17), (20, 3, 27), (1, 4, 2), (1, 2, 1)],
)
def test_ring_threshold_follows_rings_per_player(rings: int, players: int, need: int) -> None:
    options = {"rings_per_player": rings}
    others = (0,) * (players - 1)
    below = _end_of_turn("square8", players, options=options, elim=(need - 1, *others))
    assert not play(below, "NT").is_over
    assert (
        play(_end_of_turn("square8", players, options=options, elim=(need, *others)), "NT").winner
        == 1
    )


@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_territory_minimum(board: str, players: int) -> None:
    """1.3: floor(cells / n) + 1 collapsed cells win, one less does not."""
    need = TERRITORY_MINIMUM[board, players]
    cells = cells_of(board)
    assert not play(
        _end_of_turn(board, players, collapsed={1: " ".join(cells[: need - 1])}), "NT"
    ).is_over
    won = play(_end_of_turn(board, players, collapsed={1: " ".join(cells[:need])}), "NT")
    assert (won.is_over, won.winner, won.result.reason) == (True, 1, "territory_control")


@pytest.mark.parametrize("rings", [1, 2, 5, 30])
def test_rings_per_player_is_the_starting_hand(rings: int) -> None:
    pos = Position.start("square8", players=3, rings_per_player=rings)
    assert pos.hands == (rings,) * 3
    assert {int(text.split()[2]) for text in legal(pos)} == set(range(1, min(rings, 3) + 1))


@pytest.mark.parametrize(
    ("board", "options"),
    [
        ("square9", {}), ("", {}), ("hex8", {"players": 1}), ("hex8", {"players": 5}), ("square8", {"players": 0}),
        ("square8", {"rings_per_player": 0}), ("square8", {"rings_per_player": -3}),
        ("square8", {"lps_rounds": 0}), ("hex8", {"base_line_length": 0}), ("hex8", {"base_line_length": -1}),
    ],
)  # fmt: skip
def test_options_out_of_range_are_usage_errors(board: str, options: dict[str, int]) -> None:
    for make in (Position.start, BoardSpec.create):
        with pytest.raises(InvalidOption) as caught:
            make(board, **options)
        assert isinstance(caught.value, RingriftError)
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)


def test_unknown_board_lists_the_known_ones() -> None:
    with pytest.raises(InvalidOption) as caught:
        Position.start("square9")
    assert "square9" in str(caught.value)
    assert all(board in str(caught.value) for board in BOARDS)


def test_spec_is_equal_for_equal_options_only() -> None:
    """hex8's base line length is 3 unless said otherwise (1.2)."""
    assert BoardSpec.create("hex8", 3) == BoardSpec.create("hex8", 3, base_line_length=3)
    assert hash(BoardSpec.create("hex8", 3)) == hash(Position.start("hex8", players=3).spec)
    distinct = {
        BoardSpec.create("hex8", 3),
        BoardSpec.create("hex8", 3, base_line_length=4),
        BoardSpec.create("hex8", 4),
        BoardSpec.create("hex8", 3, rings_per_player=17),
        BoardSpec.create("hex8", 3, lps_rounds=2),
        BoardSpec.create("hex8", 2),
        BoardSpec.create("hex8", 2, swap_rule=True),
        BoardSpec.create("square8", 2),
    }
    assert len(distinct) == 8


@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_configuration_names(board: str, players: int) -> None:
    assert parse_config(f"{board}_{players}p") == (board, players)
    assert BoardSpec.create(board, players).config == f"{board}_{players}p"


def test_short_board_names() -> None:
    assert str(Position.start("sq8")) == str(Position.start("square8"))
    assert BoardSpec.create("hex", 4) == BoardSpec.create("hexagonal", 4)
    assert BoardSpec.create("sq19", 3) == BoardSpec.create("square19", 3)


@pytest.mark.parametrize(
    "options",
    [
        {"players": True},
        {"players": 2.0},
        {"swap_rule": 1},
        {"rings_per_player": "9"},
        {"lps_rounds": True},
    ],
)
def test_options_of_the_wrong_kind_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InvalidOption):
        BoardSpec.create("square8", **options)


def test_recorded_specification_keeps_the_thresholds_of_a_reference_record() -> None:
    """FORMAT.md 1: `victoryThreshold` and `territoryVictoryMinimum` stand in the record."""
    fields = {"rings_per_player": 18, "lps_rounds": 3, "swap_rule": False}
    assert BoardSpec.recorded("square8", 2, **fields) == BoardSpec.create("square8", 2)
    own = BoardSpec.recorded("square8", 2, **fields, ring_threshold=5, territory_minimum=7)
    assert (own.ring_threshold, own.territory_minimum) == (5, 7)
    text = state_text(phase="territory_processing", elim=(5, 0), stacks={"0,0": "1", "7,7": "2"})
    assert Position.parse(text, spec=own).after("NT").winner == 1
    assert not Position.parse(text, spec=BoardSpec.create("square8")).after("NT").is_over
    with pytest.raises(InvalidOption):
        BoardSpec.recorded("square8", 2, **fields, ring_threshold=0)


def test_spec_hash_tells_specifications_apart() -> None:
    """Records, datasets and models carry it (design.md 5)."""
    specs = [BoardSpec.create(board, players) for board, players in CONFIGURATIONS]
    specs += [
        BoardSpec.create("hex8", 3, base_line_length=4),
        BoardSpec.create("square8", swap_rule=True),
    ]
    assert len({spec.hash for spec in specs}) == len(specs)
    assert all(len(spec.hash) == 64 for spec in specs)
    assert BoardSpec.create("hex8", 3).hash == BoardSpec.create("hex8", 3, base_line_length=3).hash


def test_illegal_move_names_phase_move_and_choices() -> None:
    pos = Position.start("square8")
    with pytest.raises(IllegalMove) as caught:
        pos.play("NM")
    message = str(caught.value)
    assert "ring_placement" in message
    assert "NM" in message
    assert "P " in message
    assert caught.value.exit_code == 6


def test_drawings_exist_for_every_board() -> None:
    for board, players in CONFIGURATIONS:
        empty = Position.start(board, players=players)
        pos = empty.after(f"P {CENTRE[board]} 2")
        assert pos.svg().lstrip().startswith("<svg")
        assert pos.svg().rstrip().endswith("</svg>")
        assert pos.svg() != empty.svg()
        assert pos.text() != empty.text()


def test_drawing_marks_where_legal_moves_end() -> None:
    """Landings of moves and captures, payments, regions: every kind of move shows in the picture."""
    for phase, diagram in (
        ("movement", "1 2 ."),
        ("movement", "1 . . . ."),
        ("chain_capture", "1 2 ."),
        ("forced_elimination", "1 22\n22 22"),
        ("territory_processing", ". a\na ."),
    ):
        only = "0,0" if phase == "chain_capture" else "-"
        pos = position(
            diagram,
            phase=phase,
            only=only,
            stacks={"7,7": "1", "7,5": "2"} if "." in diagram else None,
        )
        assert legal(pos) - {"ST"}
        assert pos.svg(targets=True) != pos.svg(targets=False)
