"""Defaults of the sampled checks that `RINGRIFT_PARITY_VALIDATION` sets (selfplay.md 3)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ringrift.core.errors import SettingsError

VALIDATION = "RINGRIFT_PARITY_VALIDATION"
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "": {},
    "off": {"parity_mode": "off", "shadow_sample_rate": 0.0},
    "warn": {"parity_mode": "warn", "shadow_threshold": 1.0},
    "strict": {"parity_mode": "strict", "shadow_threshold": 0.0},
}


def parity_defaults() -> Mapping[str, Any]:
    """Return the defaults that the environment gives, by option; `SettingsError` for another word.

    off: no sample; warn: differing games are left out and reported; strict: one ends the run.
    """
    word = os.environ.get(VALIDATION, "").strip().lower()
    if word not in _DEFAULTS:
        raise SettingsError(
            f"found {word!r}; expected off, warn or strict", where=f"environment {VALIDATION}"
        )
    return _DEFAULTS[word]
