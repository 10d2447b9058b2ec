"""Where an imported game comes from and who played it, as far as its file tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ringrift.core.ids import content_id
from ringrift.records.foreign import names
from ringrift.records.foreign.fields import text_of, whole_of
from ringrift.records.foreign.game import ForeignGame
from ringrift.records.record import MOST_TEXT, AgentRef, GameMeta


def agent_of(seat: Mapping[str, object]) -> AgentRef:
    """Return who sat at a seat: `foreign:` and what is known, whose hash names no agent of ours."""
    known = {
        "type": text_of(seat, "player_type", "playerType"),
        "ai": text_of(seat, "ai_type", "aiType"),
        "difficulty": whole_of(seat, "ai_difficulty", "aiDifficulty"),
        "profile": text_of(seat, "ai_profile_id", "aiProfileId"),
    }
    words = [f"{name}={value}" for name, value in known.items() if value is not None]
    spec = plain("foreign:" + ",".join(words or ["type=unknown"]))
    return AgentRef(spec=spec, agent_hash=content_id("foreign agent", spec.encode()))


def meta_of(game: ForeignGame, notes: Counter[str]) -> GameMeta:
    """Return purpose, times and tags: format, file, row, original id, source, what was counted."""
    tags = [f"foreign:{game.format}", f"file:{game.file}", f"row:{game.row}"]
    if game.id is not None:
        tags.append(f"id:{game.id}")
    if game.source is not None:
        tags.append(f"source:{game.source}")
    tags += [f"{name}:{count}" for name, count in sorted(notes.items())]
    return GameMeta(
        purpose="match" if names.is_match(game.source) else "import",
        started=game.started,
        ms=game.ms,
        tags=tuple(plain(tag) for tag in tags),
    )


def plain(text: str) -> str:
    """Return text as records hold it: printable, and not longer than they allow."""
    return "".join(c if c.isprintable() else "?" for c in text)[:MOST_TEXT]
