"""Breaches found in games of a run, each left as a file that reproduces it (selfplay.md 5).

A file holds `{anomaly, spec, start, seed, moves, found}`: `spec` as in a game's JSON line, `moves` the
compact texts up to the fault, joined with `;`, and `found` what is known of it. `ringrift engine
replay FILE` plays them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.selfplay.run_folder import write_json

if TYPE_CHECKING:
    from ringrift.records.record import GameRecord

NO_MOVES = "INV-ACTIVE-NO-MOVES"
INVARIANTS = (
    "INV-S-MONOTONIC",
    "INV-ELIMINATION-MONOTONIC",
    NO_MOVES,
    "INV-RING-CONSERVATION",
    "INV-HASH",
)
SHADOW, PLAIN, VERIFY = "SHADOW-DIFFERS", "PLAIN-DIFFERS", "NOT-VERIFIED"
_ABORT = "abort:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One breach: `kind` is its type, `ply` the first move that is at fault."""

    kind: str
    ply: int
    detail: str = ""


def breach_of(record: GameRecord) -> Anomaly | None:
    """Return the invariant whose breach ended a game, None for any other end."""
    reason = record.result.reason
    if record.result.end != "aborted" or not reason.startswith(_ABORT):
        return None
    word, _, detail = reason.removeprefix(_ABORT).partition(" ")
    if word not in INVARIANTS:
        return None
    return Anomaly(kind=word, ply=max(0, len(record.moves) - 1), detail=detail)


def write_reproducer(folder: Path, record: GameRecord, found: Anomaly) -> Path:
    """Write `<type>-<game>.json` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{found.kind}-{record.id[:12]}.json"
    write_json(path, reproducer(record, found))
    return path


def reproducer(record: GameRecord, found: Anomaly) -> dict[str, Any]:
    """Return what reproduces a breach as plain data."""
    from ringrift.records.game_json import to_json

    game = json.loads(to_json(record))
    moves = game["moves"].split(";") if game["moves"] else []
    return {
        "anomaly": found.kind,
        "spec": {name: value for name, value in game["spec"].items() if name != "hash"},
        "start": game["start"],
        "seed": record.seed,
        "moves": ";".join(moves[: found.ply + 1]),
        "found": {
            "ply": found.ply,
            "detail": found.detail,
            "game": record.id,
            "run": record.meta.run,
            "index": record.meta.index,
            "agents": [agent.spec for agent in record.agents],
        },
    }
