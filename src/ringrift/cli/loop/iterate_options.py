"""The options of `loop iterate`, and the settings that they stand for (`loop.md` 6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ringrift.cli.loop.options import END, WORK, Options
from ringrift.cli.option_sets import option
from ringrift.cli.shared_options import Board, ConfigKey, Players
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from ringrift.core.paths import Paths

TEST, POOL, TOURNAMENTS, OLD = "Test", "Former champions", "Tournaments", "Old scripts"
UNVERIFIED = "unverified games cannot be trained on"
LEAST_TEST = 40
"""Games of the test before it may end, unless it has fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IterateOptions(Options):
    """The values of one call."""

    board: Board = "square8"
    players: Players = 2
    config_key: ConfigKey = None
    iterations: Annotated[int, option("--iterations", panel=END, min=1, help="Cycles to run.")] = (
        100
    )
    max_consecutive_failures: Annotated[
        int,
        option(
            "--max-consecutive-failures",
            panel=END,
            min=1,
            help="Failures of a stage in a row that hold the configuration.",
        ),
    ] = 5

    # --- games and samples
    games_per_iter: Annotated[
        int, option("--games-per-iter", panel=WORK, min=1, help="New games before each training.")
    ] = 100
    selfplay_engine_mode: Annotated[
        str | None,
        option(
            "--selfplay-engine-mode",
            panel=WORK,
            metavar="MODE",
            help="Who plays, as selfplay run --engine-mode; best-vs-pool from the second champion on "
            "[default: the champion's Gumbel search].",
        ),
    ] = None
    selfplay_difficulty_band: Annotated[
        Literal["canonical", "light"],
        option(
            "--selfplay-difficulty-band", panel=WORK, help="Levels of the ladder in the mode mixed."
        ),
    ] = "canonical"
    max_moves: Annotated[
        int, option("--max-moves", panel=WORK, min=1, help="Plies at which a game is cut.")
    ] = 10_000
    dataset_policy_target: Annotated[
        Literal["auto", "played", "mcts_visits", "descent_softmax"],
        option(
            "--dataset-policy-target",
            panel=WORK,
            help="What the policy learns; auto is what the search found: the visits of mcts, the "
            "improved policy of Gumbel.",
        ),
    ] = "auto"
    overlapped_selfplay: Annotated[
        bool,
        option(
            "--overlapped-selfplay", panel=WORK, help="Go on playing while training and testing."
        ),
    ] = False
    adaptive: Annotated[
        bool, option("--adaptive", panel=WORK, help="Let test lengths follow the news.")
    ] = False

    # --- the test against the champion
    promotion_threshold: Annotated[
        float,
        option(
            "--promotion-threshold",
            panel=TEST,
            metavar="SCORE",
            help="Score against the champion that the test looks for, above 0.5.",
        ),
    ] = 0.55
    promotion_confidence: Annotated[
        float,
        option("--promotion-confidence", panel=TEST, help="1 minus each error rate of the test."),
    ] = 0.95
    eval_games: Annotated[
        int, option("--eval-games", panel=TEST, min=2, help="Most games of the test.")
    ] = 400
    plateau_threshold: Annotated[
        int,
        option(
            "--plateau-threshold",
            panel=TEST,
            min=1,
            help="Decisions without progress that count as a plateau.",
        ),
    ] = 5

    # --- the games against former champions
    promotion_pool_size: Annotated[
        int,
        option(
            "--promotion-pool-size",
            panel=POOL,
            min=0,
            help="Former champions that a candidate plays; 0: none.",
        ),
    ] = 5
    promotion_pool_games: Annotated[
        int,
        option(
            "--promotion-pool-games-per-opponent",
            panel=POOL,
            min=1,
            help="Games against each of them.",
        ),
    ] = 20
    promotion_pool_threshold: Annotated[
        float,
        option(
            "--promotion-pool-threshold",
            panel=POOL,
            metavar="SCORE",
            help="Score that the upper 95 % bound must reach against each.",
        ),
    ] = 0.5

    # --- tournaments
    tournament_every: Annotated[
        int,
        option(
            "--tournament-every-n-iterations",
            panel=TOURNAMENTS,
            min=0,
            help="Full tournament of the champion after so many cycles; the next waits for it. "
            "0: none.",
        ),
    ] = 0
    tournament_games: Annotated[
        int,
        option(
            "--tournament-games-per-config",
            panel=TOURNAMENTS,
            min=1,
            help="Its games against each opponent.",
        ),
    ] = 10

    # --- names of old scripts
    replay_db: Annotated[
        Path | None,
        option(
            "--replay-db",
            panel=OLD,
            metavar="FILE",
            help="Where games are; only this installation's own.",
        ),
    ] = None
    staging_db_dir: Annotated[
        Path | None,
        option(
            "--staging-db-dir",
            panel=OLD,
            metavar="DIR",
            help="Where games wait for the store; only this installation's own.",
        ),
    ] = None
    holdout_db: Annotated[
        Path | None,
        option(
            "--holdout-db",
            panel=OLD,
            metavar="FILE",
            help="Where hold-out games are; only this installation's own.",
        ),
    ] = None
    quarantine_db: Annotated[
        Path | None,
        option(
            "--quarantine-db",
            panel=OLD,
            metavar="FILE",
            help="Where refused games are; only this installation's own.",
        ),
    ] = None
    resume: Annotated[
        bool, option("--resume", panel=OLD, help="Accepted: it always goes on where it was.")
    ] = False
    state_file: Annotated[
        Path | None,
        option("--state-file", panel=OLD, metavar="FILE", help="Accepted, not used, with a note."),
    ] = None
    allow_legacy: Annotated[
        bool, option("--allow-legacy", panel=OLD, help=f"Refused: {UNVERIFIED}.")
    ] = False
    allow_pending_gate: Annotated[
        bool, option("--allow-pending-gate", panel=OLD, help=f"Refused: {UNVERIFIED}.")
    ] = False


def configuration(options: IterateOptions) -> str:
    """Return the configuration that board and players, or the key, name."""
    from ringrift.core.settings import CONFIGURATIONS
    from ringrift.core.settings.configurations import SHORT_BOARDS

    board = SHORT_BOARDS.get(options.board, options.board)
    named = options.config_key or f"{board}_{options.players}p"
    if named not in CONFIGURATIONS:
        raise UsageError(
            f"unknown configuration {named!r}; expected one of {', '.join(CONFIGURATIONS)}",
            where="--board",
        )
    return named


def settings_of(options: IterateOptions) -> dict[str, Any]:
    """Return the settings that the options stand for; raises `UsageError` naming the option."""
    score, confidence = options.promotion_threshold, options.promotion_confidence
    _between("--promotion-threshold", score, 0.5, 1)
    _between("--promotion-confidence", confidence, 0.5, 1)
    _between("--promotion-pool-threshold", options.promotion_pool_threshold, 0, 1)
    found: dict[str, Any] = {
        "training.trigger_threshold_games": options.games_per_iter,
        "training.min_interval_seconds": 0,
        "training.policy.target": options.dataset_policy_target,
        "selfplay.difficulty_band": options.selfplay_difficulty_band,
        "selfplay.max_moves": options.max_moves,
        "promotion.elo_threshold": round(400 * math.log10(score / (1 - score)), 3),
        "promotion.significance_level": round(1 - confidence, 9),
        "promotion.max_games": options.eval_games,
        "promotion.min_games": min(LEAST_TEST, options.eval_games),
        "promotion.pool_size": options.promotion_pool_size,
        "promotion.pool_games_per_opponent": options.promotion_pool_games,
        "promotion.pool_threshold": options.promotion_pool_threshold,
        "promotion.cooldown_seconds": 0,
        "promotion.max_promotions_per_day": None,
        "evaluation.full_tournament_every_cycles": options.tournament_every,
        "evaluation.full_tournament_games": options.tournament_games,
        "safety.max_consecutive_failures": options.max_consecutive_failures,
        "plateau_detection.elo_plateau_lookback": options.plateau_threshold,
        "adaptive_control.enabled": options.adaptive,
        "pipeline.overlapped_selfplay": options.overlapped_selfplay,
    }
    if options.selfplay_engine_mode is not None:
        from ringrift.selfplay.modes import mode_name

        mode = mode_name(options.selfplay_engine_mode, where="--selfplay-engine-mode")
        found["selfplay.engine_mode"] = mode
    return found


def require_own_stores(options: IterateOptions, paths: Paths) -> None:
    """Raise `UsageError` for a store that is not this installation's: there is one for all games."""
    own = {
        "--replay-db": (options.replay_db, (paths.game_store,)),
        "--staging-db-dir": (options.staging_db_dir, (paths.spool,)),
        "--holdout-db": (options.holdout_db, (paths.game_store,)),
        "--quarantine-db": (options.quarantine_db, (paths.game_store, paths.quarantine)),
    }
    for name, (given, known) in own.items():
        if given is not None and given.resolve() not in {path.resolve() for path in known}:
            raise UsageError(
                f"found {given}; games, hold-out games and quarantine all live in "
                f"{paths.game_store}, and what waits for it in {paths.spool}",
                where=name,
                hint=f"{name} {known[0]}, or without it",
            )


def _between(name: str, found: float, low: float, high: float) -> None:
    if not low < found < high:
        raise UsageError(f"found {found}; expected above {low}, below {high}", where=name)
