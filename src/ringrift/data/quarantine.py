"""Give refused games another try, or let go of them (data.md 2)."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ringrift.core.files import write_atomic
from ringrift.records.analysis import Analysis
from ringrift.records.envelope import sealed_head
from ringrift.records.game_bytes import GAME_FORMAT
from ringrift.records.game_json import from_json, line_type
from ringrift.records.gate import Gate, opened
from ringrift.records.quarantine import Entry
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.store import GameStore

MANIFEST_FORMAT = "ringrift.dropped/1"
DAY_S = 86_400.0


@dataclass(slots=True, kw_only=True)
class RetryReport:
    """What became of refused games: let in now, here already, or refused again by reason.

    `unreadable` are kept as they are: the beginning of a file, a line of a foreign format.
    """

    considered: int = 0
    added: int = 0
    duplicate: int = 0
    unreadable: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def retry(
    store: GameStore,
    entries: Sequence[Entry],
    gate: Gate,
    *,
    on_game: Callable[[], None] = lambda: None,
) -> RetryReport:
    """Take the kept bytes of refused games through the gate again.

    What holds now leaves the quarantine; the others stay, under the reason the gate gives now.
    """
    report = RetryReport()
    for entry in entries:
        report.considered += 1
        _, game, analysis = store.quarantine.get(entry.id)
        on_game()
        try:
            found = _read(game, analysis)
            if found is None:
                report.unreadable += 1
                continue
            gate.check(*found)
        except VerificationError as error:
            report.reasons[error.reason] += 1
            if error.reason != entry.reason:
                detail = f"{error.detail}; before: {entry.reason}: {entry.detail}"
                store.quarantine.reword(entry.id, error.reason, error.ply, detail)
            continue
        taken = store.ingest([found], source=entry.source, gate=gate)
        report.added += taken.added
        report.duplicate += taken.duplicate
        store.quarantine.remove([entry.id])
    return report


def drop(store: GameStore, entries: Sequence[Entry], folder: Path) -> Path:
    """Delete refused games for good; return the manifest that was written before.

    It names each: id, reason, ply, detail, source, time, size and SHA-256 of its bytes.
    """
    dropped = []
    for entry in entries:
        _, game, analysis = store.quarantine.get(entry.id)
        dropped.append(
            {
                "id": entry.id,
                "reason": entry.reason,
                "ply": entry.ply,
                "detail": entry.detail,
                "source": entry.source,
                "at": _stamp(entry.at),
                "game_bytes": len(game),
                "game_sha256": hashlib.sha256(game).hexdigest(),
                "analysis_sha256": None
                if analysis is None
                else hashlib.sha256(analysis).hexdigest(),
            }
        )
    now = time.time()
    tree = {
        "format": MANIFEST_FORMAT,
        "store": str(store.path.resolve()),
        "at": _stamp(now),
        "games": len(dropped),
        "dropped": dropped,
    }
    data = (json.dumps(tree, indent=1, ensure_ascii=False) + "\n").encode()
    folder.mkdir(parents=True, exist_ok=True)
    time_of_day = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    name = f"dropped-{time_of_day}-{hashlib.sha256(data).hexdigest()[:8]}.json"
    write_atomic(folder / name, data)
    store.quarantine.remove(entry.id for entry in entries)
    return folder / name


def _read(game: bytes, analysis: bytes | None) -> tuple[GameRecord, Analysis | None] | None:
    """Return the record that was kept; None for what is no whole record of ours."""
    if _is_sealed(game):
        found = opened(game, analysis)
        return found.record, found.analysis
    return (from_json(game), None) if _is_line(game) else None


def _is_sealed(game: bytes) -> bool:
    try:
        return sealed_head(game)[0] == GAME_FORMAT
    except VerificationError:
        return False


def _is_line(game: bytes) -> bool:
    try:
        return line_type(game) == "game"
    except VerificationError:
        return False


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
