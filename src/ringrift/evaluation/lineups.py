"""Who sits where in the N games of a block (`evaluation.md` 3).

A seating gives each seat the place of its agent in the plan. In every block each agent has each
seat equally often, so that a block's score holds nothing of the seats.
"""

from __future__ import annotations

import hashlib
import random
from itertools import combinations_with_replacement, permutations
from typing import Literal, get_args

from ringrift.core.errors import UsageError

Lineup = Literal["pairs", "one-vs-rest", "cyclic", "permutations", "multisets"]
LINEUPS: tuple[str, ...] = get_args(Lineup)

Seating = tuple[int, ...]


def lineup_for(agents: int, players: int, asked: str = "auto") -> Lineup:
    """Return the lineup of a match of `agents` among `players` seats.

    `auto` is `pairs` for two players, `one-vs-rest` for two agents in larger games, `cyclic` for
    one agent a seat and `multisets` for numbers in between. Raises `UsageError` for what does not
    fit.
    """
    if agents < 2:
        raise UsageError(f"a match of {agents} agents; expected at least 2", where="--agent")
    if agents > players:
        raise UsageError(
            f"{agents} agents for {players} seats",
            where="--agent",
            hint="ringrift eval tournament, which pairs any number",
        )
    fitting: tuple[Lineup, ...]
    if players == 2:
        fitting = ("pairs",)
    elif agents == 2:
        fitting = ("one-vs-rest", "multisets")
    elif agents == players:
        fitting = ("cyclic", "permutations")
    else:
        fitting = ("multisets",)
    if asked == "auto" or players == 2:
        return fitting[0]
    for lineup in fitting:
        if lineup == asked:
            return lineup
    raise UsageError(
        f"lineup {asked!r} with {agents} agents and {players} players",
        where="--lineup",
        hint=", ".join(("auto", *fitting)),
    )


def seatings(
    lineup: Lineup, *, agents: int, players: int, block: int, seed: int, both_ways: bool = False
) -> tuple[Seating, ...]:
    """Return the seatings of the games of a block, one for each rotation."""
    if lineup in ("pairs", "one-vs-rest"):
        alone = int(both_ways and block % 2)
        base = (alone, *((1 - alone,) * (players - 1)))
    elif lineup == "cyclic":
        base = tuple(range(players))
    elif lineup == "permutations":
        orders = list(permutations(range(1, players)))
        base = (0, *orders[block % len(orders)])
    else:
        base = _multiset(agents, players, block, seed)
    return tuple(
        tuple(base[(seat - turn) % players] for seat in range(players)) for turn in range(players)
    )


def _multiset(agents: int, players: int, block: int, seed: int) -> Seating:
    """Return every agent once and the seats left over filled with each choice equally often."""
    extra = list(combinations_with_replacement(range(agents), players - agents))
    cycle, place = divmod(block, len(extra))
    _random(seed, "cycle", cycle).shuffle(extra)
    base = [*range(agents), *extra[place]]
    _random(seed, "block", block).shuffle(base)
    return tuple(base)


def _random(seed: int, *words: str | int) -> random.Random:
    text = " ".join(map(str, (seed, *words)))
    return random.Random(hashlib.sha256(text.encode()).digest())
