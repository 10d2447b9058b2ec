"""The board specification: board, players and options as one frozen, hashed object (rules.md 1)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import cached_property

from ringrift.core.settings import configurations
from ringrift.rules.errors import InvalidOption

RULES_VERSION = "1"
"""Rises whenever play changes."""

BOARDS = configurations.BOARDS
SHORT_NAMES = configurations.SHORT_BOARDS

_CELLS = {"square8": 64, "hex8": 61, "square19": 361, "hexagonal": 469}
_RINGS = {"square8": 18, "hex8": 18, "square19": 72, "hexagonal": 96}
_BASE_LINE = {"square8": 3, "hex8": 3, "square19": 4, "hexagonal": 4}
_DIRECTIONS = {"square8": 8, "hex8": 6, "square19": 8, "hexagonal": 6}
_LONGEST_RAY = {"square8": 7, "hex8": 8, "square19": 18, "hexagonal": 24}

MAX_RINGS_PER_PLAYER = 128
"""Four players' rings fill the engine's pool of ring nodes."""


def board_name(text: str) -> str:
    """Return the full board name of a name or documented short name."""
    name = SHORT_NAMES.get(text, text)
    if name not in BOARDS:
        near = get_close_matches(text, [*BOARDS, *SHORT_NAMES], n=1)
        raise InvalidOption(
            f"unknown board {text!r}; expected one of {', '.join(BOARDS)}",
            hint=near[0] if near else None,
        )
    return name


def parse_config(text: str) -> tuple[str, int]:
    """Split a configuration such as `square8_2p` into board and players."""
    board, _, seats = text.rpartition("_")
    if not board or seats not in ("2p", "3p", "4p"):
        raise InvalidOption(
            f"unknown configuration {text!r}; expected <board>_<2|3|4>p", hint="square8_2p"
        )
    return board_name(board), int(seats[0])


def _whole(name: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidOption(f"{name} is {value!r}; expected a whole number from {low} to {high}")
    return value


@dataclass(frozen=True, kw_only=True)
class BoardSpec:
    """Everything that fixes the rules of one game.

    `line_length` is L, `base_line_length` D, `ring_threshold` T and `territory_minimum` TM of
    `rules.md` 1. Make one with `create`.
    """

    board: str
    players: int
    rings_per_player: int
    lps_rounds: int
    swap_rule: bool
    base_line_length: int
    line_length: int
    ring_threshold: int
    territory_minimum: int

    @classmethod
    def create(
        cls,
        board: str,
        players: int = 2,
        *,
        rings_per_player: int | None = None,
        lps_rounds: int = 3,
        swap_rule: bool = False,
        base_line_length: int | None = None,
    ) -> BoardSpec:
        """Make the specification of a game; `None` takes the board's default (rules.md 1.1, 1.2).

        Raises `InvalidOption` for an unknown board or a value out of range.
        """
        name = board_name(board)
        _whole("players", players, 2, 4)
        if not isinstance(swap_rule, bool):
            raise InvalidOption(f"swap_rule is {swap_rule!r}; expected true or false")
        rings = _RINGS[name] if rings_per_player is None else rings_per_player
        base = _BASE_LINE[name] if base_line_length is None else base_line_length
        return cls._derive(
            name,
            players,
            _whole("rings_per_player", rings, 1, MAX_RINGS_PER_PLAYER),
            _whole("lps_rounds", lps_rounds, 1, 1000),
            swap_rule,
            _whole("base_line_length", base, 3, 4),
        )

    @classmethod
    def _derive(
        cls, name: str, players: int, rings: int, lps_rounds: int, swap_rule: bool, base: int
    ) -> BoardSpec:
        small = name in ("square8", "hex8")
        return cls(
            board=name,
            players=players,
            rings_per_player=rings,
            lps_rounds=lps_rounds,
            swap_rule=swap_rule,
            base_line_length=base,
            line_length=3 if small and players > 2 else 4,
            ring_threshold=(2 * rings * (players + 1) + 3) // 6,
            territory_minimum=_CELLS[name] // players + 1,
        )

    @classmethod
    def recorded(
        cls,
        board: str,
        players: int,
        *,
        rings_per_player: int,
        lps_rounds: int,
        swap_rule: bool,
        base_line_length: int | None = None,
        ring_threshold: int | None = None,
        territory_minimum: int | None = None,
    ) -> BoardSpec:
        """Make the specification a reference record names, own thresholds and one player allowed."""
        name = board_name(board)
        base = cls._derive(
            name,
            _whole("num_players", players, 1, 4),
            _whole("ringsPerPlayer", rings_per_player, 1, MAX_RINGS_PER_PLAYER),
            _whole("lpsRoundsRequired", lps_rounds, 1, 1000),
            swap_rule,
            _BASE_LINE[name] if base_line_length is None else base_line_length,
        )
        values = asdict(base)
        if ring_threshold is not None:
            values["ring_threshold"] = _whole("victoryThreshold", ring_threshold, 1, 10_000)
        if territory_minimum is not None:
            values["territory_minimum"] = _whole(
                "territoryVictoryMinimum", territory_minimum, 1, 10_000
            )
        return cls(**values)

    @property
    def config(self) -> str:
        """Name of the configuration, such as `square8_2p`."""
        return f"{self.board}_{self.players}p"

    @property
    def cells(self) -> int:
        """Number of cells of the board."""
        return _CELLS[self.board]

    @property
    def max_moves(self) -> int:
        """Upper bound of the size of any legal set; buffers of packed moves hold as many.

        Recovery is the widest: markers x directions x extraction stacks, the two sharing the cells.
        """
        n, directions = self.cells, _DIRECTIONS[self.board]
        moves = n * directions * _LONGEST_RAY[self.board]
        slides = (n // 2 + 1) ** 2 * directions + n * directions * self.line_length
        return max(3 * n + 3, moves, slides) + 8

    @cached_property
    def hash(self) -> str:
        """64 hex digits over the rules version and every field."""
        fields = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(f"ringrift.spec {RULES_VERSION} {fields}".encode()).hexdigest()
