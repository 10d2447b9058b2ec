"""The gate of the store: what a game must be before it enters (data.md 2)."""

from __future__ import annotations

from dataclasses import dataclass

from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import analysis_from_bytes
from ringrift.records.game_bytes import from_bytes
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.verify import verified_play

SOURCE_TAG = "source:"
"""Begins the tag that names where an imported game comes from."""

GATE_VERSION = 1
"""Rises whenever verification asks for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What an ingest asks and grants beside verification.

    `admit_imports` gives imported games a split by content, as self-play has it; `completed` refuses
    games that the ply limit cut. Games whose source has one of `match_sources` in its name are
    matches, which nobody learns from.
    """

    admit_imports: bool = False
    completed: bool = False
    match_sources: tuple[str, ...] = ()

    def check(self, record: GameRecord, analysis: Analysis | None) -> str:
        """Verify a game; return its play hash. Raises `VerificationError` with the reason."""
        play = verified_play(record, analysis)
        if self.completed and record.result.end == "max_plies":
            detail = f"the limit of {record.max_plies} plies ended it; expected an end by the rules"
            raise VerificationError("incomplete", detail, ply=len(record.moves) - 1)
        return play

    def purpose_of(self, record: GameRecord) -> str:
        """Return the purpose that a game's split follows."""
        sources = [tag for tag in record.meta.tags if tag.startswith(SOURCE_TAG)]
        parts = self.match_sources
        if any(part.lower() in source.lower() for source in sources for part in parts):
            return "match"
        return record.meta.purpose


VERIFIED = Gate()
"""Asks for verification alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A game as it goes into the store: its bytes, and what they hold."""

    record: GameRecord
    data: bytes
    analysis: Analysis | None
    analysis_data: bytes | None


def opened(data: bytes, analysis_data: bytes | None) -> Checked:
    """Decode the bytes of a game and of its analysis; raises `VerificationError`."""
    return Checked(
        record=from_bytes(data),
        data=data,
        analysis=None if analysis_data is None else analysis_from_bytes(analysis_data),
        analysis_data=analysis_data,
    )
