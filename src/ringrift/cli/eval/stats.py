"""`ringrift eval stats`: what counts of blocks say, and what a test will cost (`evaluation.md` 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.eval.options import Alpha, Beta, Elo0, Elo1, MaxGames, MinGames
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ringrift.cli.output import Output
    from ringrift.core.intervals import Interval
    from ringrift.evaluation.block_statistics import BlockStatistics
    from ringrift.evaluation.chances import Chances
    from ringrift.evaluation.sprt import SequentialTest


def stats(
    counts: Annotated[
        str | None,
        typer.Option(
            "--counts",
            metavar="N,N,...",
            help="Blocks by score: for two players pairs with 0, 1/2, ..., 2 points.",
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print how long the test takes and how it ends.")
    ] = False,
    players: Annotated[
        int, typer.Option("--players", "--num-players", min=2, max=4, help="Players.")
    ] = 2,
    elo0: Elo0 = 0.0,
    elo1: Elo1 = 20.0,
    alpha: Alpha = 0.05,
    beta: Beta = 0.05,
    min_games: MinGames = 40,
    max_games: MaxGames = 800,
) -> None:
    """Print the statistics of block counts, or the power of a test.

    Reads no files; changes nothing. Five counts for two players (pairs by points), N + 1 for N
    players (blocks of N games by wins). Shown are score, Elo, normalised Elo, the interval for a
    number of games fixed beforehand, the one that holds whenever a match stops, and the
    log-likelihood ratio of the test. With --plan: the chances and the games of the test by true
    Elo, with openings that favour seats (log-odds with a spread of 0.5).

    Exit code 2 for counts or bounds that make no test.

    Examples: ringrift eval stats --counts 3,14,41,29,6 |
    ringrift eval stats --plan --elo1 50 --max-games 400 --json
    """
    from rich.console import Group

    from ringrift.evaluation.block_statistics import describe
    from ringrift.evaluation.sprt import SequentialTest

    run = current()
    if counts is None and not plan:
        raise UsageError("nothing was asked for", hint="--counts N,N,... or --plan")
    try:
        test = SequentialTest(
            elo0=elo0,
            elo1=elo1,
            alpha=alpha,
            beta=beta,
            min_games=min_games,
            max_games=max_games,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    found = None if counts is None else describe(_numbers(counts), players, test)
    power = _power(test, players) if plan else None
    run.out.result(
        {
            "players": players,
            "test": {**test.as_tree(), "bounds": list(test.bounds)},
            "statistics": None if found is None else found.as_tree(),
            "power": None
            if power is None
            else [{"elo": elo, **chances.as_tree()} for elo, chances in power],
        },
        human=Group(*_tables(run.out, found, power, test)),
    )


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise UsageError(
            f"found {text!r}; expected whole numbers with commas", where="--counts"
        ) from None


def _power(test: SequentialTest, players: int) -> list[tuple[float, Chances]]:
    from ringrift.evaluation.power import sprt_chances

    wanted = {test.elo0, (test.elo0 + test.elo1) / 2, test.elo1, 50.0, 100.0}
    return [(elo, sprt_chances(test, elo, players)) for elo in sorted(wanted)]


def _tables(
    out: Output,
    found: BlockStatistics | None,
    power: list[tuple[float, Chances]] | None,
    test: SequentialTest,
) -> list[RenderableType]:
    tables = []
    if found is not None:
        tables.append(out.table([Column("of the blocks"), Column("value")], _rows(found)))
    if power is not None:
        head = ["true Elo", "accept %", "reject %", "inconclusive %", "mean games", "90 % games"]
        tables.append(
            out.table(
                [Column(name, number=True) for name in head],
                [
                    [
                        f"{elo:+g}",
                        *(f"{100 * c:.1f}" for c in (row.accept, row.reject, row.inconclusive)),
                        f"{row.mean_games:.0f}",
                        row.games_90,
                    ]
                    for elo, row in power
                ],
                title=f"H0 {test.elo0:+g}, H1 {test.elo1:+g} Elo, at most {test.max_games} games",
            )
        )
    return tables


def _rows(found: BlockStatistics) -> list[list[Any]]:
    from ringrift.evaluation.elo import elo_text

    def share(interval: Interval | None) -> str | None:
        return None if interval is None else f"[{interval.low:.4f}, {interval.high:.4f}]"

    standing = found.standing
    return [
        ["games", found.games],
        ["blocks", found.blocks],
        ["score", None if found.score is None else f"{found.score:.4f}"],
        ["95 % interval, number of games fixed", share(found.interval)],
        ["95 % interval, stopped at any time", share(found.sequence)],
        ["Elo, number of games fixed", elo_text(found.elo, found.elo_ends(found.interval))],
        ["Elo, stopped at any time", elo_text(found.elo, found.elo_ends(found.sequence))],
        ["normalised Elo", None if found.nelo is None else f"{found.nelo:+.1f}"],
        ["likelihood of superiority", None if found.los is None else f"{found.los:.4f}"],
        ["design effect", f"{found.design_effect:.2f}"],
        ["test", standing.reason if found.blocks else None],
    ]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("stats")(stats)
