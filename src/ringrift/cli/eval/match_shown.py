"""What `ringrift eval match` shows: a line while games are played, tables at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ringrift.cli.output import Column
from ringrift.evaluation.elo import elo_from_score, elo_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from ringrift.cli.eval.match_plan import PlannedMatch
    from ringrift.cli.output import Output, Progress
    from ringrift.core.intervals import Interval
    from ringrift.evaluation.chances import Chances
    from ringrift.evaluation.many_tests import ManyTests
    from ringrift.evaluation.plans import MatchPlan
    from ringrift.evaluation.ratings.pictures import PlotFormat
    from ringrift.evaluation.results import MatchResult
    from ringrift.evaluation.tally import Tally

DRAWN_EVERY_S = 0.25
SHARE_OF_TIME = 20
BAR = 16
LEAST_WAY = 1e-6
SHOWN_DIGITS = 12


class LiveMatch:
    """Keeps one task of a progress display: how it stands, and how many games are to be expected.

    Statistics are computed seldom enough that they take a twentieth of the time at most.
    """

    def __init__(self, progress: Progress, plan: MatchPlan) -> None:
        self._plan = plan
        self._task = progress.task("starting workers", total=plan.games, unit="games")
        self._next_s = 0.0

    def show(self, games: Tally) -> None:
        """Show where the match stands, now and then."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            self._task.update(games.counted)
            return
        result = games.result()
        took_s = time.monotonic() - now_s
        self._next_s = now_s + max(DRAWN_EVERY_S, SHARE_OF_TIME * took_s)
        self._task.update(
            games.counted, name=standing_words(result), total=expected_games(self._plan, result)
        )

    def finish(self) -> None:
        """Take the display away."""
        self._task.finish()


def standing_words(result: MatchResult) -> str:
    """Return W-L-capped, score and Elo with their intervals, and the place between the bounds."""
    words = [f"{result.wins}-{result.losses}-{result.capped}"]
    if result.score is not None:
        words += [f"score {result.score:.3f} {_ends(result.interval)}", f"Elo {elo_words(result)}"]
    standing = result.standing
    if standing is not None and standing.llr is not None and standing.bounds is not None:
        low, high = standing.bounds
        words.append(f"LLR {standing.llr:+.2f} {_bar(standing.llr, low, high)}")
    return ", ".join(words)


def expected_games(plan: MatchPlan, result: MatchResult) -> int:
    """Return how many games the match comes to if the score stays as it is."""
    standing = result.standing
    if standing is None or not standing.llr or standing.bounds is None:
        return plan.games
    if standing.verdict is not None:
        return result.games
    low, high = standing.bounds
    way = standing.llr / (high if standing.llr > 0 else low)
    return min(plan.games, max(result.games, round(standing.games / max(way, LEAST_WAY))))


def elo_words(result: MatchResult) -> str:
    """Return the Elo difference with its interval, `> +e` without a loss."""
    score = result.score
    elo = None if score is None else elo_from_score(score, len(result.by_seat))
    return elo_text(elo, result.elo_ci95)


def show_plan(out: Output, wanted: PlannedMatch, elo_true: float) -> None:
    """Print what would be played, and how long a test takes at a true Elo difference."""
    plan = wanted.plan
    chances = _chances(plan, elo_true)
    lines = [
        f"{plan.spec.config}, {plan.games} games at most in blocks of {plan.players}, {plan.lineup}",
        f"match {plan.hash[:SHOWN_DIGITS]}",
        *(f"agent {number}: {who.spec}" for number, who in enumerate(plan.participants, 1)),
        f"openings: {plan.openings.part}; {wanted.workers} workers, device {wanted.device.note}",
    ]
    if chances is not None:
        lines.append(
            f"at {elo_true:+g} Elo: {chances.mean_games:.0f} games in the mean, {chances.games_90} in "
            f"90 % of cases at most; accept {100 * chances.accept:.1f} %, reject "
            f"{100 * chances.reject:.1f} %, inconclusive {100 * chances.inconclusive:.1f} %"
        )
    out.result(
        {
            "dry_run": True,
            "run": plan.hash,
            "plan": plan.as_tree(),
            "games": plan.games,
            "workers": wanted.workers,
            "device": wanted.device.name,
            "elo_true": elo_true,
            "expected": None if chances is None else chances.as_tree(),
        },
        human="\n".join(lines),
    )


def show_result(
    out: Output,
    wanted: PlannedMatch,
    result: MatchResult,
    report: Mapping[str, Any],
    folder: Path | None,
    tests: ManyTests | None,
) -> None:
    """Print the result of a match; `tests` are those a test should be read with."""
    from rich.console import Group

    fields = {
        **report,
        "dry_run": False,
        "folder": None if folder is None else str(folder),
        "tests_since_promotion": None if tests is None else tests.as_tree(),
    }
    told = [] if tests is None else [tests.words]
    out.result(
        fields,
        human=Group(*_tables(out, wanted, result, report), *told),
        ok=result.invalid is None,
    )


def draw(folder: Path, result: MatchResult, counted: Tally, kinds: PlotFormat) -> None:
    """Draw the score by seat and, where a test has one, its path, with the data beside them."""
    from ringrift.evaluation.plots import llr_path, share_by_seat
    from ringrift.evaluation.ratings.pictures import save

    agents = result.as_tree()["agents"]
    save(folder, "by_seat", share_by_seat(result.title, agents), {"agents": agents}, kinds)
    standing = result.standing
    if standing is not None and standing.bounds is not None:
        data = {"llr": counted.llrs, "bounds": list(standing.bounds)}
        figure = llr_path(result.title, counted.llrs, standing.bounds)
        save(folder, "llr", figure, data, kinds)


def _tables(
    out: Output, wanted: PlannedMatch, result: MatchResult, report: Mapping[str, Any]
) -> list[RenderableType]:
    plan = wanted.plan
    return [
        out.table(
            [Column("match"), Column(f"{plan.spec.config} {plan.hash[:SHOWN_DIGITS]}")],
            _rows(result, report["seconds"], report["games_per_s"]),
        ),
        _by_agent(out, plan, result),
        *([f"invalid: {result.invalid}"] if result.invalid else []),
        *(f"warning: {warning}" for warning in result.warnings),
        result.reason if result.complete else f"not finished: {result.reason}",
    ]


def _rows(result: MatchResult, seconds: float | None, rate: float | None) -> list[list[Any]]:
    rows: list[list[Any]] = [
        ["games, blocks", f"{result.games}, {result.blocks}"],
        ["won-lost-capped", f"{result.wins}-{result.losses}-{result.capped}"],
        ["score", None if result.score is None else f"{result.score:.4f} {_ends(result.interval)}"],
        ["Elo", elo_words(result)],
        ["by opening third", _listed(result.by_third)],
        ["blocks by score", ", ".join(f"{value:.3g}: {n}" for value, n in result.counts if n)],
        ["plies, median", result.plies],
        ["ms per move", result.ms_per_ply],
        ["ended by", ", ".join(f"{why}: {n}" for why, n in result.reasons.items())],
        ["duplicates, repeats", f"{result.duplicates}, {result.repeats}"],
        ["lost by time", result.timeouts],
        ["played in", "nothing" if seconds is None else f"{seconds:.1f} s, {rate:.1f} games/s"],
    ]
    standing = result.standing
    if standing is not None and standing.llr is not None:
        rows.append(["LLR", f"{standing.llr:+.3f}"])
    if result.reverse is not None:
        rows.append(["share of the second agent alone", f"{result.reverse:.4f}"])
    return rows


def _by_agent(out: Output, plan: MatchPlan, result: MatchResult) -> RenderableType:
    seats = [Column(f"seat {seat + 1}", number=True) for seat in range(plan.players)]
    head = [Column("agent"), *(Column(n, number=True) for n in ("seat games", "won", "score"))]
    return out.table(
        [*head, *seats],
        [
            [
                agent.spec,
                agent.seat_games,
                agent.wins,
                None if agent.score is None else f"{agent.score:.4f} {_ends(agent.interval)}",
                *(None if score is None else f"{score:.3f}" for score in agent.by_seat),
            ]
            for agent in result.agents
        ],
    )


def _chances(plan: MatchPlan, elo: float) -> Chances | None:
    from ringrift.evaluation.elo import score_from_elo
    from ringrift.evaluation.group_sequential import WilsonTest, wilson_chances
    from ringrift.evaluation.power import sprt_chances
    from ringrift.evaluation.sprt import SequentialTest

    if isinstance(plan.test, SequentialTest):
        return sprt_chances(plan.test, elo, plan.players)
    if isinstance(plan.test, WilsonTest):
        return wilson_chances(plan.test, score_from_elo(elo, plan.players), plan.players)
    return None


def _bar(value: float, low: float, high: float) -> str:
    place = round((value - low) / (high - low) * BAR)
    filled = min(BAR, max(0, place))
    return f"[{'#' * filled}{'.' * (BAR - filled)}]"


def _listed(shares: Sequence[float | None]) -> str:
    return ", ".join("unknown" if share is None else f"{share:.3f}" for share in shares)


def _ends(interval: Interval | None) -> str:
    return "" if interval is None else f"[{interval.low:.3f}, {interval.high:.3f}]"
