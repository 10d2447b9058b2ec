"""The section `web`: pages and move service."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ringrift.core.settings.base import Count, Port, Positive, Section, Text

_SURFACE = "(dashboard|viewer|play|moves)"

Level = Annotated[int, Field(ge=1, le=10)]
Surfaces = Annotated[
    str,
    Field(
        pattern=rf"^(all|{_SURFACE}(, ?{_SURFACE})*)$",
        title="all, or some of dashboard,viewer,play,moves",
    ),
]


class Web(Section):
    """Set the pages and the move service (`web.md`)."""

    host: Text = "127.0.0.1"
    """address that is listened on"""
    port: Port = 8001
    """port that is listened on; 0 = any free one"""
    surfaces: Surfaces = "all"
    """parts that are served"""
    workers: Count | None = None
    """move workers; null = the thread budget"""
    queue: Count = 32
    """requests that may wait; more are turned away"""
    required_levels: tuple[Level, ...] = (1, 2, 3, 5)
    """levels of the ladder without which the service is degraded"""
    stale_seconds: Positive = 20
    """age of the loop's status from which pages call it stale"""
