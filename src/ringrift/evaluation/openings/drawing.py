"""Random openings, and lists of them that follow from a seed alone (`evaluation.md` 2).

An opening is a list of packed moves from the start: 4 to 10 random choices for two players, times
half the players for more, forced plies between them included. The game is not over after it and no
swap is on offer.
"""

from __future__ import annotations

from functools import lru_cache

from ringrift.agents import streams
from ringrift.core.errors import DataError
from ringrift.core.ids import canonical_json, content_id
from ringrift.rules import BoardSpec, Position
from ringrift.rules import moves as mv

MIN_CHOICES = 4
MAX_CHOICES = 10
MOST_TRIES = 1000

_COUNT, _MOVES = 0, 1


@lru_cache(maxsize=16)
def openings(
    spec: BoardSpec,
    seed: int,
    count: int,
    *,
    min_choices: int = MIN_CHOICES,
    max_choices: int = MAX_CHOICES,
) -> tuple[tuple[int, ...], ...]:
    """Return `count` openings of different positions; the first are the same whatever `count` is.

    Raises `DataError` where the rules do not offer as many positions.
    """
    found: list[tuple[int, ...]] = []
    seen: set[int] = set()
    number = failures = 0
    while len(found) < count:
        drawn = draw(spec, seed, number, min_choices, max_choices)
        number += 1
        if drawn is None or drawn[1].hash64 in seen:
            failures += 1
            if failures > MOST_TRIES + count:
                raise DataError(
                    f"{spec.config}: only {len(found)} distinct openings of "
                    f"{min_choices}-{max_choices} choices found; expected {count}"
                )
            continue
        seen.add(drawn[1].hash64)
        found.append(drawn[0])
    return tuple(found)


def book_hash(spec: BoardSpec, seed: int, count: int) -> str:
    """Return 64 hex digits that name a list of openings by its moves."""
    moves = [list(opening) for opening in openings(spec, seed, count)]
    return content_id("openings", canonical_json([spec.hash, moves]))


def draw(
    spec: BoardSpec, seed: int, number: int, least: int, most: int
) -> tuple[tuple[int, ...], Position] | None:
    """Play opening `number` of a seed; return its moves and position, `None` if it is of no use."""
    a, b = streams.stream(seed, number, 0, streams.OPENING)
    drawn = least + streams.below(a, b, _COUNT, most - least + 1)
    left = -(-int(drawn) * spec.players // 2)
    position = Position.of(spec)
    played: list[int] = []
    while not position.is_over:
        legal = position.legal_packed()
        if len(legal) > 1 and left == 0:
            break
        swap = [int(move) for move in legal if mv.kind_of(int(move)) == mv.SWAP]
        choices = [int(move) for move in legal if int(move) not in swap]
        index = 0
        if len(choices) > 1:
            index = int(streams.below(a, b, _MOVES + len(played), len(choices)))
            left -= 1
        played.append(choices[index])
        position.play(choices[index])
    if position.is_over or swap_pending(position):
        return None
    return tuple(played), position


def swap_pending(position: Position) -> bool:
    """Tell whether the seat to move is offered a swap."""
    return any(mv.kind_of(int(move)) == mv.SWAP for move in position.legal_packed())
