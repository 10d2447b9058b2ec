"""The report of a root: points from its facts and events, drawn; here, or in a child (`loop.md` 1)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.paths import Paths
from ringrift.loop.child import Report, run_child
from ringrift.loop.events import read_events
from ringrift.loop.report import points_of

if TYPE_CHECKING:
    from ringrift.core.settings import Settings


def draw_report(
    paths: Paths, settings: Settings, config: str, folder: Path
) -> tuple[dict[str, Any], list[Path]]:
    """Gather the points of one configuration, draw and write them; return points and files."""
    from ringrift.loop.gathering import gather_readonly
    from ringrift.loop.pictures import write

    (facts,) = gather_readonly(paths, settings, time.time(), configs=(config,))
    logs = paths.from_setting(settings.log_dir)
    points = points_of(facts, read_events(logs, kinds=["games_ingested"], config=config))
    return points, write(folder, points)


def draw_in_child(paths: Paths, settings: Settings, configs: Sequence[str], folder: Path) -> None:
    """Draw the reports of some configurations in a process of its own, which loads what that takes."""
    arguments = {
        "root": paths.root,
        "settings": settings,
        "configs": tuple(configs),
        "folder": folder,
    }
    run_child(_draw_here, arguments, what="report")


def _draw_here(
    report: Report, *, root: Path, settings: Settings, configs: Sequence[str], folder: Path
) -> None:
    del report
    for config in configs:
        draw_report(Paths(root), settings, config, folder)
