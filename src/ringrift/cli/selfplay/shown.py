"""The table at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ringrift.cli.invocation import current
from ringrift.cli.output import Column

if TYPE_CHECKING:
    from rich.console import Console


def summary_table(console: Console, summary: Mapping[str, Any]) -> None:
    """Print a summary; of several configurations one line each."""
    out = current().out
    if "configurations" in summary:
        listed = [
            (one["config"], one["games"], one["plies"], _counts(one["anomalies"]) or "none")
            for one in summary["configurations"]
        ]
        columns = [
            Column("configuration"),
            Column("games", number=True),
            Column("plies", number=True),
            Column("anomalies"),
        ]
        console.print(out.table(columns, listed))
        return
    rows: list[tuple[str, Any]] = [
        ("games", f"{summary['games']:,} of {summary['requested']:,}{_resumed(summary)}"),
        ("plies", f"{summary['plies']:,}"),
        ("ends", _counts(summary["ends"])),
        ("victories", _counts(summary["victory_types"])),
        ("wins by seat", _counts(summary["wins"])),
        ("mean value by seat", _numbers(summary["mean_values"])),
        ("length quantiles", _counts(summary["length_quantiles"] or {})),
        ("swaps", summary["swaps"]),
        ("timeouts", f"{summary['timeouts']:,}{'  (more than 5 %)' if summary['timeout_warning'] else ''}"),
        ("anomalies", _counts(summary["anomalies"]) or "none"),
        ("duplicates", summary["duplicates"]),
        ("plies/s", summary["plies_per_s"]),
        ("games/h", summary["games_per_hour"]),
        ("batch fill", summary["batch_fill"]),
        ("largest worker, MB", summary["peak_rss_mb"]),
        *(
            (f"{agent['spec']}", f"{agent['won']}-{agent['lost']}-{agent['capped']}")
            for agent in summary["agents"]
        ),
        *(("left out", part) for part in summary["unavailable"]),
        *(("alert", text) for text in summary["alerts"]),
    ]  # fmt: skip
    console.print(out.table([Column(summary["config"]), Column(summary["mode"])], rows))
    console.print(f"run folder: {summary['folder']}", soft_wrap=True)


def _counts(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _numbers(values: list[float] | None) -> str | None:
    return None if values is None else " ".join(f"{value:+.3f}" for value in values)


def _resumed(summary: Mapping[str, Any]) -> str:
    return f", {summary['resumed']:,} from before" if summary["resumed"] else ""
