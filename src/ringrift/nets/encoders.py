"""The encoders of the convolutional net by id: what a card names is what plays (training.md 1)."""

from __future__ import annotations

from ringrift.core.errors import UsageError
from ringrift.nets.encoder import ENCODER, Encoder
from ringrift.nets.planes1 import PLANES1

ENCODERS = {PLANES1.id: PLANES1, ENCODER.id: ENCODER}
DEFAULT = PLANES1.id

STEPS = 24
"""Every plane value of every encoder is a whole multiple of 1 / STEPS, at most 2: a byte holds it."""


def encoder_named(name: str) -> Encoder:
    """Return the encoder of that id; raises `UsageError` for an unknown one."""
    if name not in ENCODERS:
        raise UsageError(f"encoder {name!r}; expected one of {', '.join(ENCODERS)}")
    return ENCODERS[name]
