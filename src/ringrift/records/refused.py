"""What a reader hands out in place of a game that it cannot read, so that the others go on."""

from __future__ import annotations

from dataclasses import dataclass

from ringrift.records.record import VerificationError

MOST_KEPT_BYTES = 1024 * 1024
"""Of a whole file, or of a stretch of one, only its beginning goes to quarantine."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Bytes that are no game, and the complaint; its `where` names file and line or byte.

    `analysis` are the bytes of the search statistics that came with it.
    """

    data: bytes
    error: VerificationError
    analysis: bytes | None = None
