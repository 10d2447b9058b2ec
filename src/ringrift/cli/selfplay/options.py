"""Every option of `ringrift selfplay`, declared once; each command takes those it names.

`Options` holds the values of one call. None stands for what the preset or the mode decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from ringrift.cli.completion import complete_models
from ringrift.cli.heavy import NoWait
from ringrift.cli.option_sets import option
from ringrift.cli.selfplay.canonical_options import (
    CHECKS,
    OUTPUT,
    CanonicalOptions,
)
from ringrift.cli.selfplay.hosts_options import MACHINE
from ringrift.cli.shared_options import Board, ConfigKey, DryRun, Players

GAME, MODE, SEARCH, OPENING = "Game", "Agents", "Search", "Openings"

POOL_DEFAULT = "auto"
POOL_OPTIONS = {"--square8-state-pool-output": POOL_DEFAULT}


def _flag(*names: str, panel: str, help: str) -> Any:  # noqa: A002
    return option(*names, panel=panel, help=help)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(CanonicalOptions):
    """The values of one call."""

    # --- the game
    board: Board = "square8"
    players: Players = 2
    config_key: ConfigKey = None
    rule_options: Annotated[
        list[str] | None,
        option(
            "--options",
            "--option",
            panel=GAME,
            metavar="K=V",
            help="Rule option: rings_per_player, lps_rounds, swap_rule, base_line_length.",
        ),
    ] = None
    rings_per_player: Annotated[
        int | None, option("--rings-per-player", panel=GAME, min=1, help="Rings of each player.")
    ] = None
    lps_rounds: Annotated[
        int | None,
        option(
            "--lps-victory-rounds", panel=GAME, min=1, help="Rounds of the last player standing."
        ),
    ] = None
    swap: Annotated[
        bool, _flag("--swap", panel=GAME, help="Play with the pie rule (two players).")
    ] = False
    num_games: Annotated[
        int | None, option("--num-games", panel=GAME, min=1, help="Games to finish, in all.")
    ] = None
    max_moves: Annotated[
        str,
        option(
            "--max-moves",
            panel=GAME,
            metavar="N",
            help="Plies at which a game is cut; auto is 500 to 2000 by board and players.",
        ),
    ] = "auto"
    seed: Annotated[
        int | None, option("--seed", panel=GAME, min=0, help="Seed of the run; it is recorded.")
    ] = None

    # --- who plays
    engine_mode: Annotated[
        str | None,
        option("--engine-mode", panel=MODE, metavar="MODE", help="Who plays, as gumbel-mcts-only."),
    ] = None
    agent: Annotated[
        str | None, option("--agent", panel=MODE, metavar="SPEC", help="One agent for all seats.")
    ] = None
    seats: Annotated[
        str | None,
        option("--seats", panel=MODE, metavar="SPEC,SPEC", help="An agent for each seat."),
    ] = None
    p2_engine_mode: Annotated[
        str | None, option("--p2-engine-mode", panel=MODE, metavar="MODE", help="Mode of seat 2.")
    ] = None
    p3_engine_mode: Annotated[
        str | None, option("--p3-engine-mode", panel=MODE, metavar="MODE", help="Mode of seat 3.")
    ] = None
    p4_engine_mode: Annotated[
        str | None, option("--p4-engine-mode", panel=MODE, metavar="MODE", help="Mode of seat 4.")
    ] = None
    fixed_seats: Annotated[
        bool,
        _flag(
            "--fixed-seats", panel=MODE, help="Keep modes at their seats; else they rotate by game."
        ),
    ] = False
    nn_model_id: Annotated[
        str | None,
        option(
            "--nn-model-id",
            panel=MODE,
            metavar="ID",
            help="Model of the searches: alias, id or file; none plays them by the heuristic "
            "[default: champion].",
            autocompletion=complete_models,
        ),
    ] = None
    difficulty_band: Annotated[
        Literal["canonical", "light"],
        option("--difficulty-band", panel=MODE, help="Levels of the ladder in mixed games."),
    ] = "canonical"
    nn_pool_size: Annotated[
        int,
        option("--nn-pool-size", panel=MODE, min=0, help="Earlier models in best-vs-pool; 0 is 5."),
    ] = 0
    nn_pool_dir: Annotated[
        Path | None,
        option(
            "--nn-pool-dir",
            panel=MODE,
            metavar="DIR",
            help="Folder of their files, newest first [default: the former champions].",
        ),
    ] = None
    nnue_blend: Annotated[
        float,
        option("--nnue-blend", panel=MODE, min=0, max=1, help="Share of NNUE in nnue-guided."),
    ] = 0.5
    mix_ratio: Annotated[
        float,
        option(
            "--mix-ratio", panel=MODE, min=0, max=1, help="Share of heuristic choices in mixed."
        ),
    ] = 0.8
    weights_file: Annotated[
        Path | None,
        option(
            "--weights-file",
            "--heuristic-weights-file",
            panel=MODE,
            metavar="FILE",
            help="Weights of the heuristic.",
        ),
    ] = None
    heuristic_profile: Annotated[
        str | None,
        option(
            "--heuristic-profile", panel=MODE, metavar="ID", help="Id of the heuristic's weights."
        ),
    ] = None
    weights_profile: Annotated[
        str | None,
        option("--profile", panel=MODE, metavar="ID", help="Id of the heuristic's weights."),
    ] = None
    use_heuristic: Annotated[
        bool,
        _flag("--use-heuristic", panel=MODE, help="Play by all 27 features, not by the light 19."),
    ] = False
    use_policy: Annotated[
        bool, _flag("--use-policy", panel=MODE, help="Play by a model's policy.")
    ] = False
    policy_model: Annotated[
        str | None,
        option("--policy-model", panel=MODE, metavar="ID", help="Model of --use-policy."),
    ] = None

    # --- search control
    mcts_sims: Annotated[
        int, option("--mcts-sims", panel=SEARCH, min=1, help="Simulations of a search.")
    ] = 100
    full_search_fraction: Annotated[
        float,
        option(
            "--full-search-fraction",
            panel=SEARCH,
            min=0,
            max=1,
            help="Share of choices searched in full.",
        ),
    ] = 1.0
    full_sims: Annotated[
        int | None,
        option(
            "--full-sims",
            panel=SEARCH,
            min=1,
            help="Simulations of a full search [default: --mcts-sims].",
        ),
    ] = None
    cheap_sims: Annotated[
        int | None,
        option(
            "--cheap-sims", panel=SEARCH, min=1, help="Simulations of a cheap one [full / 6, >= 8]."
        ),
    ] = None
    temperature_preset: Annotated[
        str | None,
        option("--temperature-preset", panel=SEARCH, metavar="NAME", help="Temperature schedule."),
    ] = None
    temperature: Annotated[
        float | None,
        option("--temperature", panel=SEARCH, min=0, max=10, help="Fixed temperature of choices."),
    ] = None
    temperature_mix: Annotated[
        Literal["uniform", "weighted", "random"] | None,
        option("--temperature-mix", panel=SEARCH, help="Draw a temperature for each game."),
    ] = None
    temperature_scale_board: Annotated[
        bool,
        _flag("--temperature-scale-board", panel=SEARCH, help="Stretch schedules on large boards."),
    ] = False
    resign: Annotated[
        Literal["off", "soft", "hard"] | None,
        option(
            "--resign",
            panel=SEARCH,
            help="Decided games: off, searched less, or resigned [soft with a net, else off].",
        ),
    ] = None
    resign_threshold: Annotated[
        float, option("--resign-threshold", panel=SEARCH, help="Value that decides a game.")
    ] = 0.95
    resign_plies: Annotated[
        int, option("--resign-plies", panel=SEARCH, min=1, help="Choices in a row above it.")
    ] = 6
    resign_audit: Annotated[
        float, option("--resign-audit", panel=SEARCH, help="Share of games never shortened.")
    ] = 0.1
    weight_noise: Annotated[
        float,
        option("--weight-noise", panel=SEARCH, help="Noise on the heuristic's weights, per game."),
    ] = 0.0
    noise_scale: Annotated[
        float, option("--noise-scale", panel=SEARCH, help="Noise on the heuristic's values.")
    ] = 0.0
    think_time_ms: Annotated[
        float | None,
        option("--think-time-ms", panel=SEARCH, min=1, help="Time of a search [none: budgets]."),
    ] = None
    watch_model_updates: Annotated[
        bool,
        _flag(
            "--watch-model-updates", panel=SEARCH, help="Begin games with a newer model once there."
        ),
    ] = False
    model_reload_interval: Annotated[
        int,
        option("--model-reload-interval", panel=SEARCH, min=1, help="Games between two looks."),
    ] = 100
    model_alias_path: Annotated[
        Path | None,
        option(
            "--model-alias-path",
            panel=SEARCH,
            metavar="FILE",
            help="File or link that is watched [default: the model's alias].",
        ),
    ] = None

    # --- openings
    opening_random_moves: Annotated[
        str,
        option(
            "--opening-random-moves",
            "--random-opening-moves",
            panel=OPENING,
            metavar="K|A-B",
            help="First choices drawn at random.",
        ),
    ] = "0"
    opening_top_k: Annotated[
        int,
        option(
            "--opening-top-k",
            panel=OPENING,
            min=0,
            help="Draw them among the agent's best K instead; 0 is off.",
        ),
    ] = 0
    opening_book: Annotated[
        Path | None,
        option("--opening-book", panel=OPENING, metavar="FILE", help="Book to begin games with."),
    ] = None
    fork_fraction: Annotated[
        float,
        option(
            "--fork-fraction",
            panel=OPENING,
            min=0,
            max=1,
            help="Share begun at a position of a stored game.",
        ),
    ] = 0.0
    swap_sides_probability: Annotated[
        float | None,
        option(
            "--swap-sides-probability",
            panel=OPENING,
            min=0,
            max=1,
            help="Accept the swap offer at random; 0: the agent decides.",
        ),
    ] = None

    # --- output
    output_dir: Annotated[
        Path | None, option("--output-dir", panel=OUTPUT, metavar="DIR", help="Run folder.")
    ] = None
    record_db: Annotated[
        Path | None,
        option(
            "--record-db",
            "--output-db",
            "--db",
            panel=OUTPUT,
            metavar="FILE",
            help="Game store [default: data/games/games.db].",
        ),
    ] = None
    no_record_db: Annotated[
        bool, _flag("--no-record-db", panel=OUTPUT, help="Write games.jsonl instead of a store.")
    ] = False
    lean_db: Annotated[
        bool,
        _flag(
            "--lean-db/--no-lean-db",
            panel=OUTPUT,
            help="Keep exports without snapshots; records are always actions only.",
        ),
    ] = True
    log_jsonl: Annotated[
        Path | None,
        option("--log-jsonl", panel=OUTPUT, metavar="FILE", help="Append games as JSON lines."),
    ] = None
    summary_json: Annotated[
        Path | None,
        option("--summary-json", panel=OUTPUT, metavar="FILE", help="Copy of the summary."),
    ] = None
    min_game_length: Annotated[
        int, option("--min-game-length", panel=OUTPUT, min=0, help="Tag shorter games `short`.")
    ] = 0
    resume: Annotated[
        bool,
        _flag("--resume", panel=OUTPUT, help="Go on with a run; --num-games is the total."),
    ] = False
    resume_from_jsonl: Annotated[
        bool, _flag("--resume-from-jsonl", panel=OUTPUT, help="The same as --resume.")
    ] = False
    square8_pool: Annotated[
        str | None,
        option(
            "--square8-state-pool-output",
            panel=OUTPUT,
            metavar="[FILE]",
            help="Pool of positions; alone: data/eval_pools/square8/pool_v1.jsonl.",
        ),
    ] = None
    square19_pool: Annotated[
        str | None,
        option(
            "--square19-state-pool-output", panel=OUTPUT, metavar="FILE", help="Pool of square19."
        ),
    ] = None
    hex_pool: Annotated[
        str | None,
        option("--hex-state-pool-output", panel=OUTPUT, metavar="FILE", help="Pool of hexagonal."),
    ] = None
    square8_pool_states: Annotated[
        int,
        option("--square8-state-pool-max-states", panel=OUTPUT, min=0, help="Most positions."),
    ] = 500
    square19_pool_states: Annotated[
        int,
        option("--square19-state-pool-max-states", panel=OUTPUT, min=0, help="Most positions."),
    ] = 0
    hex_pool_states: Annotated[
        int, option("--hex-state-pool-max-states", panel=OUTPUT, min=0, help="Most positions.")
    ] = 0
    square8_pool_every: Annotated[
        int,
        option(
            "--square8-state-pool-sampling-interval",
            panel=OUTPUT,
            min=0,
            help="Plies between two positions.",
        ),
    ] = 4
    square19_pool_every: Annotated[
        int,
        option(
            "--square19-state-pool-sampling-interval",
            panel=OUTPUT,
            min=0,
            help="Plies between two positions.",
        ),
    ] = 0
    hex_pool_every: Annotated[
        int,
        option(
            "--hex-state-pool-sampling-interval",
            panel=OUTPUT,
            min=0,
            help="Plies between two positions.",
        ),
    ] = 0
    dry_run: DryRun = False

    # --- the machine
    workers: Annotated[
        str,
        option(
            "--workers", panel=MACHINE, metavar="N", help="Worker processes; auto: thread budget."
        ),
    ] = "auto"
    games_per_worker: Annotated[
        int | None,
        option(
            "--games-per-worker",
            "--gpu-batch-size",
            "--batch-size",
            panel=MACHINE,
            min=1,
            help="Games that a worker holds in lock step; on a GPU 512 if not given.",
        ),
    ] = None
    device: Annotated[
        str,
        option(
            "--device",
            panel=MACHINE,
            metavar="NAME",
            help="Where convolutional nets run: auto, cpu, cuda or cuda:N.",
        ),
    ] = "auto"
    gpu: Annotated[bool, _flag("--gpu", panel=MACHINE, help="The same as --device cuda.")] = False
    no_numba: Annotated[
        bool,
        _flag(
            "--no-numba",
            panel=MACHINE,
            help="Plain-Python rules at every ply of every game; a difference ends the run.",
        ),
    ] = False
    gc_interval: Annotated[
        int,
        option("--gc-interval", panel=MACHINE, min=0, help="Games between garbage collections."),
    ] = 0
    intra_game_gc_interval: Annotated[
        int,
        option(
            "--intra-game-gc-interval",
            panel=MACHINE,
            min=0,
            help="Choices between garbage collections.",
        ),
    ] = 0
    worker_memory_mb: Annotated[
        int | None,
        option(
            "--worker-memory-mb",
            panel=MACHINE,
            min=64,
            help="Replace a worker above it [default: its share of 60 % of the memory].",
        ),
    ] = None
    memory_constrained: Annotated[
        bool,
        _flag(
            "--memory-constrained",
            panel=MACHINE,
            help="Light band, 8 games per worker, frequent garbage collection.",
        ),
    ] = False
    no_wait: NoWait = False

    # --- checks
    soak_profile: Annotated[
        Literal["python-strict", "ai-healthcheck"] | None,
        option(
            "--profile",
            panel=CHECKS,
            help="python-strict: 6 games beside plain-Python rules; ai-healthcheck: 2 games of "
            "each configuration.",
        ),
    ] = None
    fail_on_anomaly: Annotated[
        bool, _flag("--fail-on-anomaly", panel=CHECKS, help="Exit 1 if an invariant was broken.")
    ] = False
    parity_mode: Annotated[
        Literal["off", "warn", "strict"],
        option(
            "--parity-mode",
            panel=CHECKS,
            help="Compare 5 % of the games with the plain rules; strict ends at a difference. "
            "RINGRIFT_PARITY_VALIDATION sets another default.",
        ),
    ] = "warn"
    shadow_validation: Annotated[
        bool,
        _flag("--shadow-validation", panel=CHECKS, help="Accepted; sampled games are checked."),
    ] = False
    shadow_sample_rate: Annotated[
        float,
        option(
            "--shadow-sample-rate",
            panel=CHECKS,
            min=0,
            max=1,
            help="Share of games played again singly on the CPU.",
        ),
    ] = 0.05
    shadow_threshold: Annotated[
        float,
        option(
            "--shadow-threshold",
            panel=CHECKS,
            min=0,
            max=1,
            help="Differing share that ends the run.",
        ),
    ] = 0.001
    benchmark: Annotated[
        bool,
        _flag("--benchmark", "--benchmark-only", panel=CHECKS, help="Print speed, keep no game."),
    ] = False
    profile_timing: Annotated[
        bool, _flag("--profile-timing", panel=CHECKS, help="Print where the time went.")
    ] = False
    streaming_record: Annotated[
        bool, _flag("--streaming-record", panel=OUTPUT, help="Accepted: every game is, always.")
    ] = False
    checkpoint_interval: Annotated[
        int,
        option(
            "--checkpoint-interval",
            panel=OUTPUT,
            min=0,
            help="Accepted: every game is a checkpoint.",
        ),
    ] = 0
    emit_events: Annotated[bool, _flag("--emit-events", panel=OUTPUT, help="No effect.")] = False
    include_training_data: Annotated[
        bool, _flag("--include-training-data", panel=OUTPUT, help="No effect.")
    ] = False
