"""Decide who is champion, once and for ever: a chain of records per configuration (`models.md` 4).

A decision is the file `models/decisions/<config>/<sequence>-<hash8>.json`. It holds the hash of the
decision before it; the champion is the outcome of the last one. Nothing is ever changed or removed,
and nothing else says who is champion.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from ringrift.core.errors import BusyError, DataError, RefusedError, UsageError
from ringrift.core.files import PARTIAL_SUFFIX, lock, remove_partial, sync_folder
from ringrift.core.ids import canonical_json, content_id
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = get_logger(__name__)

FORMAT = "ringrift.decision/1"
LOCK_WAIT_S = 20.0

Kind = Literal["promoted", "rejected", "inconclusive", "superseded", "rolled_back", "manual"]
MOVES_CHAMPION: frozenset[str] = frozenset({"promoted", "rolled_back", "manual"})

_NAME = re.compile(r"(\d{6})-([0-9a-f]{8})\.json")


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One link of a chain.

    `champion` is the champion after the decision, `champion_before` the one before it (None for the
    first). `inputs` keeps every number the decision was made from. `term` is the leader's term.
    """

    format: str = FORMAT
    config: str
    sequence: int
    previous: str | None
    kind: str
    candidate: str
    champion_before: str | None
    champion: str
    reason: str
    inputs: dict[str, Any] = {}
    run: str | None = None
    generation: int | None = None
    term: int = 0
    by: str = "loop"
    at: str = ""

    @property
    def hash(self) -> str:
        """64 hex digits over every field."""
        return content_id("decision", canonical_json(msgspec.to_builtins(self)))

    @property
    def at_s(self) -> float:
        """When it was made, Unix seconds; 0 where that is unknown."""
        return datetime.fromisoformat(self.at).timestamp() if self.at else 0.0

    @property
    def name(self) -> str:
        """File name of the decision."""
        return f"{self.sequence:06d}-{self.hash[:8]}.json"


@dataclass(frozen=True, slots=True)
class Chain:
    """Hold the valid decisions of one configuration, first to last."""

    config: str
    decisions: tuple[Decision, ...]

    @property
    def champion(self) -> str | None:
        """Model id of the champion; `None` before the first decision."""
        return self.decisions[-1].champion if self.decisions else None

    @property
    def head(self) -> str | None:
        """Hash of the last decision."""
        return self.decisions[-1].hash if self.decisions else None

    def until(self, at: float) -> Chain:
        """Return the chain as it was at a time (Unix s)."""
        return Chain(self.config, tuple(d for d in self.decisions if d.at_s <= at))

    def of_run(self, run: str) -> list[Decision]:
        """Return the decisions that one run made."""
        return [decision for decision in self.decisions if decision.run == run]

    def champions(self) -> list[str]:
        """Return every model that ever was champion, in order, each turn in office once."""
        found: list[str] = []
        for decision in self.decisions:
            if not found or found[-1] != decision.champion:
                found.append(decision.champion)
        return found

    def in_line(self) -> list[str]:
        """Return the champions that a rollback can go back to, the present one last.

        A rolled-back champion is no longer among them, nor is who came after the one returned to.
        """
        line: list[str] = []
        for decision in self.decisions:
            if decision.kind == "rolled_back" and decision.champion in line:
                last = len(line) - 1 - line[::-1].index(decision.champion)
                line = line[: last + 1]
            elif not line or line[-1] != decision.champion:
                line.append(decision.champion)
        return line


def read_chain(folder: Path, config: str) -> Chain:
    """Read the chain of a configuration from `models/decisions`.

    A file that is no decision, was altered, or does not follow its predecessor ends up in a warning
    and is not part of the chain; neither is anything that follows only from it.
    """
    by_sequence: dict[int, list[Decision]] = {}
    place = folder / config
    for path in sorted(place.glob("*.json")) if place.is_dir() else ():
        try:
            decision = _read(path, config)
        except DataError as error:
            log.warning("a decision is left out", file=str(path), why=error.message)
            continue
        by_sequence.setdefault(decision.sequence, []).append(decision)
    chain: list[Decision] = []
    previous: str | None = None
    while following := by_sequence.pop(len(chain) + 1, None):
        fitting = [decision for decision in following if decision.previous == previous]
        if not fitting:
            break
        # Two leaders may have written the same sequence: the higher term holds, then the lower hash.
        chosen = min(fitting, key=lambda decision: (-decision.term, decision.hash))
        chain.append(chosen)
        previous = chosen.hash
    left = [decision.name for found in by_sequence.values() for decision in found]
    if left:
        log.warning("decisions without their predecessor are left out", config=config, files=left)
    return Chain(config, tuple(chain))


def append(
    folder: Path,
    chain: Chain,
    *,
    kind: Kind,
    candidate: str,
    reason: str,
    inputs: Mapping[str, Any] | None = None,
    champion: str | None = None,
    run: str | None = None,
    generation: int | None = None,
    term: int | None = None,
    by: str = "loop",
) -> Chain:
    """Write the next decision after the chain as it was read; return the longer chain.

    Without a `term`, by hand, it is that of the last decision: no loop leads then.
    `champion` is needed by kinds that name another one than the candidate (`rolled_back`). Raises
    `BusyError` where somebody else decided meanwhile: read again and evaluate again. Raises
    `RefusedError` for a term below that of the chain, `UsageError` for what makes no champion.
    """
    decision = _next(
        chain,
        kind=kind,
        candidate=candidate,
        reason=reason,
        inputs=dict(inputs or {}),
        champion=champion,
        run=run,
        generation=generation,
        term=term,
        by=by,
    )
    place = folder / chain.config
    place.mkdir(parents=True, exist_ok=True)
    with lock(place / ".lock", timeout_s=LOCK_WAIT_S, what="the decision chain"):
        remove_partial(place)
        now = read_chain(folder, chain.config)
        if now.head != chain.head:
            raise BusyError(
                f"{chain.config}: decision {len(chain.decisions) + 1} was made by somebody else",
                where=str(place),
                hint="reading the chain again",
            )
        _create(place / decision.name, decision)
    return Chain(chain.config, (*chain.decisions, decision))


def _next(
    chain: Chain,
    *,
    kind: Kind,
    candidate: str,
    reason: str,
    inputs: dict[str, Any],
    champion: str | None,
    run: str | None,
    generation: int | None,
    term: int | None,
    by: str,
) -> Decision:
    if kind not in get_args(Kind):
        raise UsageError(f"unknown decision {kind!r}; expected one of {', '.join(get_args(Kind))}")
    if not reason:
        raise UsageError("a decision needs a reason")
    last = chain.decisions[-1] if chain.decisions else None
    if term is None:
        term = 0 if last is None else last.term
    if last is not None and term < last.term:
        raise RefusedError(
            f"{chain.config}: term {term} is below {last.term} of the last decision",
            hint="the node that holds the lease",
        )
    if champion is None:
        champion = candidate if kind in MOVES_CHAMPION else chain.champion
    if champion is None:
        raise UsageError(f"{chain.config}: the first decision must name a champion")
    if kind not in MOVES_CHAMPION and champion != chain.champion:
        raise UsageError(f"a decision of kind {kind} keeps the champion")
    return Decision(
        config=chain.config,
        sequence=len(chain.decisions) + 1,
        previous=chain.head,
        kind=kind,
        candidate=candidate,
        champion_before=chain.champion,
        champion=champion,
        reason=reason,
        inputs=inputs,
        run=run,
        generation=generation,
        term=term,
        by=by,
        at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    )


def _create(path: Path, decision: Decision) -> None:
    """Make the file appear whole, and only if it is not there."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(6)}{PARTIAL_SUFFIX}")
    try:
        with partial.open("xb") as file:
            file.write(canonical_json(msgspec.to_builtins(decision)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # unlike a rename, a link never replaces
    except FileExistsError as error:
        raise BusyError(f"decision {path.name} exists", where=str(path)) from error
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def _read(path: Path, config: str) -> Decision:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise DataError("not the name of a decision", where=str(path))
    try:
        decision = msgspec.json.decode(path.read_bytes(), type=Decision)
    except (msgspec.DecodeError, OSError) as error:
        raise DataError(f"not a decision: {error}", where=str(path)) from error
    if decision.format != FORMAT:
        raise DataError(f"format {decision.format!r}; expected {FORMAT!r}", where=str(path))
    if decision.config != config or decision.name != path.name:
        raise DataError("name and content differ", where=str(path))
    return decision
