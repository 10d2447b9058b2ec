"""Times in foreign records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ringrift.records.record import refuse

LEAST_MILLISECONDS = 1e11
"""Numbers from here on count milliseconds: as seconds they would be after the year 5000."""


def seconds_of(value: Any) -> float | None:
    """Return a time as Unix seconds: ISO text, seconds or milliseconds; None where unknown."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value) / 1000 if value >= LEAST_MILLISECONDS else float(value)
    else:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            raise refuse("time", value, "an ISO time or Unix seconds") from None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not 0 <= seconds < 1e12:
        raise refuse("time", value, "a time after 1970")
    return seconds


def iso(seconds: float | None) -> str | None:
    """Return Unix seconds as ISO text in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
