"""What `ringrift eval gauntlet` shows: the table, and pictures of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringrift.cli.output import Column

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.cli.invocation import Invocation
    from ringrift.evaluation.gauntlets import Bout, Gauntlet, GauntletResult


def show(
    run: Invocation,
    found: list[GauntletResult],
    *,
    top: int,
    settings: Gauntlet,
    plot: Path | None,
    ok: bool = True,
) -> None:
    """Print the results, the highest score first, and draw them into a folder if one is named."""
    from ringrift.evaluation.gauntlets import SCORED

    ordered = sorted(found, key=lambda r: (r.score is None, -(r.score or 0.0), r.config, r.spec))
    files = [] if plot is None else _drawn(plot, ordered[:top])
    fields = {
        **settings_tree(settings),
        "models": [result.as_tree() for result in ordered[:top]],
        "plans": [],
        "files": [str(path) for path in files],
        "dry_run": False,
    }
    columns = [
        Column("model"),
        Column("configuration"),
        Column("type"),
        *(Column(f"vs {name}") for name in SCORED),
        Column("score", number=True),
        Column("games", number=True),
    ]
    rows = [
        [
            result.name,
            result.config,
            None if result.model is None else result.model.kind,
            *(_bout_text(result.bout(name)) for name in SCORED),
            None if result.score is None else f"{result.score:.2f}",
            result.games,
        ]
        for result in ordered[:top]
    ]
    notes = [*_notes(ordered[:top]), *(f"drawn: {path}" for path in files)]
    human: Any = "no gauntlet is stored"
    if rows:
        from rich.console import Group

        human = Group(run.out.table(columns, rows), *notes)
    run.out.result(fields, human=human, ok=ok)


def _bout_text(bout: Bout | None) -> str | None:
    if bout is None or bout.share is None or bout.interval is None:
        return None
    return (
        f"{bout.share:.2f} [{bout.interval.low:.2f}, {bout.interval.high:.2f}] "
        f"n={bout.match.games} {bout.status}"
    )


def _notes(found: list[GauntletResult]) -> list[str]:
    lines = []
    for result in found:
        others = [b for b in result.bouts if b.floor is None and b.share is not None]
        lines += [
            f"{result.name} vs {b.opponent}: {b.share:.2f}, n={b.match.games}" for b in others
        ]
        for bout in result.bouts:
            warned = [bout.match.invalid] if bout.match.invalid else list(bout.match.warnings)
            lines += [f"{result.name} vs {bout.opponent}: {text}" for text in warned]
        if not result.complete:
            lines.append(f"{result.name}: not finished; the same command goes on")
    return lines


def settings_tree(settings: Gauntlet) -> dict[str, Any]:
    """Return what a result says of the settings."""
    return {
        "opponents": list(settings.opponents),
        "games": settings.games,
        "seed": settings.seed,
    }


def _drawn(folder: Path, found: list[GauntletResult]) -> list[Path]:
    """Draw the scores against each opponent with a floor, by configuration."""
    from ringrift.evaluation.gauntlets import SCORED
    from ringrift.evaluation.plots import intervals
    from ringrift.evaluation.ratings.pictures import save

    files = []
    for config in dict.fromkeys(result.config for result in found):
        for opponent in SCORED:
            bouts = [
                (result.name, bout)
                for result in found
                if result.config == config and (bout := result.bout(opponent)) is not None
            ]
            rows = [
                {
                    "name": name,
                    "score": bout.share,
                    "ci95": None if bout.interval is None else _pair(bout),
                    "games": bout.match.games,
                }
                for name, bout in bouts
            ]
            if rows:
                floor = bouts[0][1].floor
                figure = intervals(f"{config}: models against {opponent}", rows, mark=floor)
                data = {"config": config, "opponent": opponent, "floor": floor, "rows": rows}
                files += save(folder, f"gauntlet_{config}_{opponent}", figure, data, "both")
    return files


def _pair(bout: Bout) -> list[float]:
    assert bout.interval is not None
    return [bout.interval.low, bout.interval.high]
