"""What the columns of a stored game say, all of it computed from the record (selfplay.md 6)."""

from __future__ import annotations

import json
from typing import Any

from ringrift.records.record import GameRecord
from ringrift.records.schema import HOLDOUT_PERCENT, VAL_PERCENT
from ringrift.rules.codec import layout_hash

TRAINABLE_PURPOSES = ("selfplay", "soak")

ROW = (
    "seq",
    "id",
    "config",
    "plies",
    "winner",
    "end",
    "reason",
    "purpose",
    "run",
    "index",
    "split",
    "agents",
    "played_at",
    "ingested_at",
)
"""Columns that `rows` returns."""

DERIVED = (
    "play_hash",
    "config",
    "board",
    "players",
    "rules_hash",
    "spec_hash",
    "seed",
    "plies",
    "winner",
    "end",
    "reason",
    "ranks",
    "final_hash",
    "purpose",
    "run",
    "index",
    "host",
    "agents",
    "played_at",
)


def split_of(
    play: str,
    purpose: str,
    *,
    holdout_percent: int = HOLDOUT_PERCENT,
    val_percent: int = VAL_PERCENT,
    admit_imports: bool = False,
) -> str:
    """Return the side of a play (data.md 1): by its hash alone, so the same on every host."""
    if purpose not in TRAINABLE_PURPOSES and not (admit_imports and purpose == "import"):
        return "never"
    if int(play[:16], 16) % 10_000 < 100 * holdout_percent:
        return "holdout"
    if int(play[16:32], 16) % 10_000 < 100 * val_percent:
        return "val"
    return "train"


def derived(record: GameRecord, play: str) -> dict[str, Any]:
    """Return the columns that follow from the record."""
    spec, result, meta = record.spec, record.result, record.meta
    return {
        "id": record.id,
        "play_hash": play,
        "config": spec.config,
        "board": spec.board,
        "players": spec.players,
        "rules_hash": layout_hash,
        "spec_hash": spec.hash,
        "seed": record.seed - (1 << 64) if record.seed >> 63 else record.seed,
        "plies": result.plies,
        "winner": result.winner,
        "end": result.end,
        "reason": result.reason,
        "ranks": json.dumps(result.ranks),
        "final_hash": result.final_hash,
        "purpose": meta.purpose,
        "run": meta.run,
        "index": meta.index,
        "host": meta.host,
        "agents": json.dumps([agent.spec for agent in record.agents]),
        "played_at": meta.started,
    }
