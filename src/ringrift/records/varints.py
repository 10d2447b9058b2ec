"""Lists of numbers below 2**40 as bytes: seven bits a byte, low bits first, the last byte < 128."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ringrift.records.record import MOVE_LIMIT, VerificationError

MOVE_BYTES = 6
"""Most bytes of one number."""
_SHIFTS = np.arange(MOVE_BYTES, dtype=np.int64) * 7


def pack_numbers(numbers: Sequence[int]) -> bytes:
    """Encode whole numbers from 0 to 2**40 - 1. Raises `ValueError` for any other."""
    values = np.array(numbers, np.int64)
    if not len(values):
        return b""
    if values.min() < 0 or values.max() >= MOVE_LIMIT:
        raise ValueError(f"numbers from {values.min()} to {values.max()}; expected 0 to 2**40 - 1")
    shifted = values[:, None] >> _SHIFTS  # int64[n, 6]: what is left from each byte on
    used = shifted > 0
    used[:, 0] = True
    digits = shifted & 127
    digits[:, :-1] |= used[:, 1:].astype(np.int64) << 7
    return digits[used].astype(np.uint8).tobytes()


def unpack_numbers(data: bytes, where: str) -> list[int]:
    """Decode what `pack_numbers` wrote; raises `VerificationError` for anything out of range."""
    digits = np.frombuffer(data, np.uint8)
    if not len(digits):
        return []
    ends = np.flatnonzero(digits < 128)
    if not len(ends) or ends[-1] != len(digits) - 1:
        raise VerificationError("truncated", "the last number is cut off", where=where)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > MOVE_BYTES:
        raise VerificationError("malformed", "a number of more than 40 bits", where=where)
    place = np.arange(len(digits)) - np.repeat(starts, lengths)
    parts = (digits & 127).astype(np.int64) << (7 * place)
    values = np.add.reduceat(parts, starts)
    if values.max() >= MOVE_LIMIT:
        raise VerificationError("malformed", "a number of more than 40 bits", where=where)
    numbers: list[int] = values.tolist()
    return numbers
