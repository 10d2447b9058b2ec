"""Versions that a dataset depends on."""

from __future__ import annotations

EXPORTER_VERSION = 1
"""Rises whenever the same games and options would give other blocks or other datasets."""

MANIFEST_SCHEMA = 1
