"""Ten games short enough to count by hand: seven ends of rules.md 15, two cut, one resigned.

Square8, two players. Of `START` only what differs from an empty board is written.
"""

from random_games import agent

from ringrift.records import GameMeta, build_record
from ringrift.rules import BoardSpec, Position

START = (
    "ph=ring_placement;cur={cur};only=-;pend=-;act=0;rec=0;st=active;win=0;"
    "hand={hand};elim={elim};terr={terr};S={S};M={M};C={C}"
)
EMPTY = {"cur": 1, "hand": "0,0", "elim": "0,0", "terr": "0,0", "S": "", "M": "", "C": ""}
HALF = " ".join(f"{x},{y}:1" for x in range(8) for y in range(4, 8))  # 32 cells of seat 1

DIES = "NP;M 0,0 1,0;NL;NT"  # the last ring moves onto a marker, and leaves one
LAST = {"S": "0,0:1", "M": "1,0:2"}
QUIET = "P 0,0 1;M 0,0 0,1;NL;NT"
ANSWER = "P 7,7 1;M 7,7 7,6;NL;NT"

GAMES = {
    "tie_break_territory": ({**LAST, "C": "5,5:1 6,6:1", "terr": "2,0"}, DIES),
    "tie_break_rings": (LAST, DIES),
    "tie_break_markers": ({**LAST, "elim": "0,1"}, DIES),
    "tie_break_last_mover": ({**LAST, "elim": "0,1", "M": "1,0:2 7,7:2"}, DIES),
    "last_player_standing_early": (
        {"cur": 2, "S": "0,0:112", "C": "0,1:1 1,0:1 1,1:1", "terr": "3,0"},
        "NP;NM;NL;F 0,0",
    ),
    "ring_elimination": (
        {"S": "0,0:11 1,0:2 3,0:2 7,7:2", "M": "2,0:2", "elim": "17,0"},
        "NP;C 0,0 1,0 2,0;K 2,0 3,0 4,0;NL;NT",
    ),
    "territory_control": (
        {"S": "0,0:1 7,3:2", "M": "1,0:1", "C": HALF, "terr": "32,0"},
        "NP;M 0,0 2,0;NL;NT",
    ),
    "max_plies": (None, f"{QUIET};{ANSWER}"),
    "swapped": (None, f"{QUIET};SW;{ANSWER}"),
    "resignation": (
        {"S": "3,0:1 7,7:2", "M": "0,0:1 1,0:1 2,0:1", "hand": "5,5"},
        "SP;M 3,0 3,1;L 0,0|1,0|2,0|3,0;E line 3,1;NL;NT",
    ),
}


def known_games():
    """The records, without analyses, by name."""
    return {name: (made(name, *game), []) for name, game in GAMES.items()}


def made(name, fields, moves):
    spec = BoardSpec.create("square8", 2, swap_rule=name == "swapped")
    start = None if fields is None else START.format(**{**EMPTY, **fields})
    position = Position.of(spec) if start is None else Position.parse(start, spec=spec)
    packed = []
    for text in moves.split(";"):
        packed.append(position.pack(text))
        position.play(text)
    resigned = name == "resignation"
    return build_record(
        spec,
        1,
        [agent("random"), agent("heuristic:mode=light")],
        packed,
        start=start,
        end="resigned" if resigned else None,
        resigned=2 if resigned else None,
        max_plies=len(packed) if name in ("max_plies", "swapped") else None,
        meta=GameMeta(host="here", ms=250, started=1.7e9),
    )
