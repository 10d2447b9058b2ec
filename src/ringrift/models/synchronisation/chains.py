"""Take over the decisions of another node, which only ever extend the chain (`models.md` 8).

Where two chains part, the decision of the higher term holds, of equal terms the one of the lower
hash: so all nodes agree whatever they hear first. What gives way stands in `superseded/` beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from ringrift.core.errors import DataError
from ringrift.core.files import lock, write_atomic
from ringrift.core.ids import short
from ringrift.models.decisions import FORMAT, LOCK_WAIT_S, Decision, read_chain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What became of another node's decisions of one configuration.

    `added` were taken over, `superseded` are ours that gave way, `refused` says why theirs were not
    taken.
    """

    config: str
    added: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()
    refused: str | None = None


def parse_decision(data: bytes, config: str, name: str) -> Decision:
    """Return a decision from its bytes; raises `DataError` where name and content differ."""
    try:
        decision = msgspec.json.decode(data, type=Decision)
    except msgspec.DecodeError as error:
        raise DataError(f"not a decision: {error}", where=name) from None
    if decision.format != FORMAT or decision.config != config or decision.name != name:
        raise DataError("name and content of the decision differ", where=name)
    return decision


def merge(folder: Path, config: str, theirs: Sequence[tuple[Decision, bytes]]) -> Merged:
    """Take over another node's decisions (with their bytes, in any order) as far as they hold."""
    place = folder / config
    place.mkdir(parents=True, exist_ok=True)
    with lock(place / ".lock", timeout_s=LOCK_WAIT_S, what="the decision chain"):
        ours = read_chain(folder, config).decisions
        other = _linked(theirs)
        parting = _parting(ours, [decision for decision, _ in other])
        new = other[parting:]
        if not new:
            return Merged(config=config)
        if parting < len(ours):
            mine, first = ours[parting], new[0][0]
            if (-mine.term, mine.hash) < (-first.term, first.hash):
                return Merged(config=config, refused=_told(first, mine))
        before = ours[parting - 1].term if parting else 0
        for decision, _ in new:
            if decision.term < before:
                told = f"decision {decision.sequence} of term {decision.term} after term {before}"
                return Merged(config=config, refused=told)
            before = decision.term
        # Ours are copied aside, then theirs come, then ours go: a kill leaves no gap in the chain.
        gone = ours[parting:]
        for decision in gone:
            aside = place / SUPERSEDED
            aside.mkdir(exist_ok=True)
            write_atomic(aside / decision.name, (place / decision.name).read_bytes())
        for decision, data in new:
            write_atomic(place / decision.name, data)
        for decision in gone:
            (place / decision.name).unlink(missing_ok=True)
    return Merged(
        config=config,
        added=tuple(decision.name for decision, _ in new),
        superseded=tuple(decision.name for decision in gone),
    )


def _linked(found: Sequence[tuple[Decision, bytes]]) -> list[tuple[Decision, bytes]]:
    """Return the decisions that follow each other from the first, as `read_chain` chooses."""
    by_sequence: dict[int, list[tuple[Decision, bytes]]] = {}
    for entry in found:
        by_sequence.setdefault(entry[0].sequence, []).append(entry)
    chain: list[tuple[Decision, bytes]] = []
    previous: str | None = None
    while following := by_sequence.get(len(chain) + 1):
        fitting = [entry for entry in following if entry[0].previous == previous]
        if not fitting:
            break
        chosen = min(fitting, key=lambda entry: (-entry[0].term, entry[0].hash))
        chain.append(chosen)
        previous = chosen[0].hash
    return chain


def _parting(ours: Sequence[Decision], theirs: Sequence[Decision]) -> int:
    """Return how many decisions two chains have in common."""
    pairs = zip(ours, theirs, strict=False)
    return next(
        (i for i, (a, b) in enumerate(pairs) if a.hash != b.hash), min(len(ours), len(theirs))
    )


def _told(theirs: Decision, ours: Decision) -> str:
    relation = "an older term" if theirs.term < ours.term else "the same term, a higher hash"
    return (
        f"decision {theirs.sequence} ({short(theirs.hash)}, term {theirs.term}) is of {relation} "
        f"than ours ({short(ours.hash)}, term {ours.term})"
    )
