"""Who sits where: the swap offer of the pie rule and the move of agents with their identity.

`GameRecord.agents` are the agents by the seats in which they began; after `SW` those of seats 1 and
2 have changed places (`GameRecord.agents_at_end`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.agents import streams
from ringrift.agents.protocol import Rngs
from ringrift.agents.swapping import OfferDecision

if TYPE_CHECKING:
    from ringrift.agents.protocol import Decision

_ACCEPT = Rngs(streams.SCHEDULE | (2 << 8))


def accepts(probability: float, seed: int) -> bool:
    """Draw the answer to the offer of the game with `seed`."""
    return _ACCEPT.uniform(seed, 0, 2) < probability


def drawn_tag(accepted: bool) -> str:
    """Return what a record says of an offer that was answered by lot."""
    return f"swap:{_ANSWER[accepted]}:random"


def answer_tag(decision: Decision) -> str | None:
    """Return what a record says of an agent's answer: both seats' values, and the margin."""
    if not isinstance(decision, OfferDecision):
        return None
    offer = decision.offer
    if offer.values is None:
        return drawn_tag(offer.swapped)
    first, second = offer.values
    return f"swap:{_ANSWER[offer.swapped]}:{first:.4f}:{second:.4f}:margin={offer.margin:g}"


_ANSWER = {True: "accepted", False: "declined"}
