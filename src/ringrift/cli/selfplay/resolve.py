"""Turn the options of a call into a resolved run: one path for every preset."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.cli.devices import Chosen, chosen_device
from ringrift.cli.selfplay.models_at_hand import NONE, ModelsAtHand
from ringrift.cli.selfplay.presets import HEALTH_GAMES, STRICT_GAMES, STRICT_SEED
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.cli.selfplay.options import Options
    from ringrift.cli.selfplay.presets import Preset
    from ringrift.core.settings import Settings
    from ringrift.rules import BoardSpec
    from ringrift.selfplay.control import SearchControl
    from ringrift.selfplay.modes import ModelSet, Seating
    from ringrift.selfplay.openings import Openings
    from ringrift.selfplay.run_plan import RunPlan

CONVOLUTIONAL = "cnn"
PLAIN_RULES = "plain-rules"
"""Tag of games that plain Python replayed at every ply before they were kept."""
DEVICE_GAMES = 512
"""Games in lock step on a GPU: as many as one forward pass takes positions."""

MEMORY_SHARE = 0.6
"""Share of the memory that all workers together may take before they are replaced."""
TIMED = ("mcts", "alphabeta", "paranoid", "maxn", "brs", "descent")
SEARCHING = ("mcts", "gumbel", "descent", "alphabeta", "paranoid", "maxn", "brs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A run that was asked for, with nothing left open but its folder."""

    plan: RunPlan
    games: int
    workers: int
    games_per_worker: int
    mode: str
    models: ModelsAtHand
    device: Chosen


def resolve(preset: Preset, given: Options, invocation: Invocation, settings: Settings) -> Resolved:
    """Return the run that the options and the preset come to.

    Raises `UsageError` for whatever does not exist or does not fit together.
    """
    from ringrift.selfplay.run_plan import RunPlan

    board = board_of(given)
    models = ModelsAtHand.of(invocation, board)
    seed = _seed(preset, given)
    mode, seats = seating_of(preset, given, board, models, settings)
    device = device_of(given, models, seats)
    plan = RunPlan(
        spec=board,
        seed=seed,
        seating=seats,
        max_plies=_max_plies(preset, given, board),
        control=control_of(given, board, seats),
        openings=openings_of(given, board, invocation),
        models=models.files,
        tau_mix=given.temperature_mix,
        purpose="soak" if given.soak_profile else "selfplay",
        device=device.name,
        tags=(PLAIN_RULES,) if given.no_numba else (),
        check_invariants=preset.name == "soak",
    )
    games = given.num_games or preset.games
    workers = min(_workers(given, settings, device), games)
    return Resolved(
        plan=plan,
        games=games,
        workers=workers,
        games_per_worker=min(_games_per_worker(preset, given, seats, device), -(-games // workers)),
        mode=mode,
        models=models,
        device=device,
    )


def with_profile(given: Options) -> Options:
    """Write into the options what a soak profile and scarce memory stand for."""
    if given.soak_profile == "python-strict":
        given = replace(
            given,
            num_games=given.num_games or STRICT_GAMES,
            engine_mode=given.engine_mode or "mixed",
            seed=STRICT_SEED if given.seed is None else given.seed,
            fail_on_anomaly=True,
        )
    elif given.soak_profile == "ai-healthcheck":
        given = replace(
            given,
            num_games=given.num_games or HEALTH_GAMES,
            engine_mode=given.engine_mode or "mixed",
            difficulty_band="light",
            seed=STRICT_SEED if given.seed is None else given.seed,
            fail_on_anomaly=True,
        )
    if given.memory_constrained:
        given = replace(
            given,
            difficulty_band="light",
            streaming_record=True,
            intra_game_gc_interval=given.intra_game_gc_interval or 50,
            games_per_worker=given.games_per_worker or 8,
        )
    return given


def board_of(given: Options) -> BoardSpec:
    """Return the board specification of a call."""
    from ringrift.cli.engine.parts import chosen_spec

    named = {"rings_per_player": given.rings_per_player, "lps_rounds": given.lps_rounds}
    texts = [
        *(given.rule_options or ()),
        *(f"{name}={value}" for name, value in named.items() if value is not None),
        *(("swap_rule=true",) if given.swap else ()),
    ]
    spec: BoardSpec = chosen_spec(given.config_key, given.board, given.players, texts)
    return spec


def device_of(given: Options, models: ModelsAtHand, seats: Seating) -> Chosen:
    """Return where nets are evaluated; raises `UsageError` for a device that is not there."""
    from ringrift.selfplay.agents_of import models_of

    asked = "cuda" if given.gpu else given.device
    playing = {model for text in seats.agents for model in models_of(text, models.board.config)}
    nets = any(models.kind(model) == CONVOLUTIONAL for model in playing & models.files.keys())
    return chosen_device(asked, nets=nets)


def seating_of(
    preset: Preset, given: Options, board: BoardSpec, models: ModelsAtHand, settings: Settings
) -> tuple[str, Seating]:
    """Return the name of the mode and who sits where."""
    from ringrift.selfplay.modes import ModeOptions, seating, seating_of_specs

    named = [one for one in (given.agent, given.seats, given.engine_mode) if one is not None]
    if len(named) > 1:
        raise UsageError(
            "--agent, --seats and --engine-mode exclude each other", hint="one of them"
        )
    if given.agent is not None or given.seats is not None:
        from ringrift.agents.spec import parse_specs

        text = given.agent or given.seats or ""
        specs = [models.named(str(spec)) for spec in parse_specs(text)]
        if given.agent is not None and len(specs) != 1:
            raise UsageError(f"{len(specs)} agents", where="--agent", hint="--seats for several")
        return "agents", _timed(given, seating_of_specs(specs, board.players))
    mode = given.engine_mode or preset.mode
    model = given.nn_model_id
    if given.use_policy:
        mode, model = "policy-only", given.policy_model or model
    light = preset.light and not given.use_heuristic
    options = ModeOptions(
        sims=given.full_sims or given.mcts_sims,
        band=given.difficulty_band,
        ladder=preset.ladder,
        mix_ratio=given.mix_ratio,
        nnue_blend=given.nnue_blend,
        heuristic=(*(("mode=light",) if light else ()), *_weights(given, board)),
        pool_size=given.nn_pool_size,
        weights=settings.selfplay.ai_type_weights.model_dump(),
    )
    found: ModelSet = models.model_set(model, pool_dir=given.nn_pool_dir)
    seats = seating(
        mode,
        board,
        found,
        options,
        others=_others(given, board),
        fixed=given.fixed_seats or not preset.rotate,
    )
    return mode, _timed(given, seats)


def control_of(given: Options, board: BoardSpec, seats: Seating) -> SearchControl:
    """Return how choices are searched."""
    from ringrift.selfplay.control import Resignation, SearchControl

    swap = given.swap_sides_probability if board.swap_rule else None
    preset_named = given.temperature_preset is not None
    return SearchControl(
        full_fraction=given.full_search_fraction,
        full_sims=given.full_sims if given.agent or given.seats else None,
        cheap_sims=given.cheap_sims,
        opening_top_k=given.opening_top_k,
        temperature=given.temperature_preset,
        temperature_value=None if preset_named else given.temperature,
        temperature_scale_board=given.temperature_scale_board,
        resign=Resignation(
            mode=given.resign or ("soft" if _searches_with_a_net(seats) else "off"),
            threshold=given.resign_threshold,
            plies=given.resign_plies,
            audit=given.resign_audit,
        ),
        swap_probability=swap or None,
        weight_noise=given.weight_noise,
        noise_scale=given.noise_scale,
    )


def openings_of(given: Options, board: BoardSpec, invocation: Invocation) -> Openings:
    """Return how games begin."""
    from ringrift.selfplay.openings import Openings, parse_choices, read_book

    book = () if given.opening_book is None else read_book(given.opening_book, board)
    forks: tuple[Any, ...] = ()
    if given.fork_fraction > 0:
        from ringrift.selfplay.forks import forks_of

        forks = forks_of(store_path(given, invocation), board, given.seed or 0)
    return Openings(
        choices=parse_choices(given.opening_random_moves),
        top_k=given.opening_top_k > 0,
        book=book,
        forks=forks,
        fork_fraction=given.fork_fraction,
    )


def store_path(given: Options, invocation: Invocation) -> Path:
    """Return the game store of a call."""
    if given.record_db is not None:
        return given.record_db
    return invocation.paths(create=False).game_store


def worker_memory_mb(given: Options, workers: int) -> int | None:
    """Return the memory above which a worker is replaced; None where it is unknown."""
    from ringrift.core.readings import read_memory

    if given.worker_memory_mb is not None:
        return given.worker_memory_mb
    memory = read_memory()
    if memory is None:
        return None
    return max(512, int(memory.total_bytes * MEMORY_SHARE / workers) >> 20)


def _seed(preset: Preset, given: Options) -> int:
    if given.seed is not None:
        return given.seed
    return secrets.randbelow(1 << 31) if preset.seed is None else preset.seed


def _max_plies(preset: Preset, given: Options, board: BoardSpec) -> int:
    from ringrift.records.record import default_max_plies

    if given.max_moves != "auto":
        if not given.max_moves.isdecimal() or int(given.max_moves) < 1:
            raise UsageError(
                f"{given.max_moves!r} is no number of plies", where="--max-moves", hint="auto, or N"
            )
        return int(given.max_moves)
    small = board.board in ("square8", "hex8") and board.players == 2
    return (small and preset.small_two_player_plies) or default_max_plies(board)


def _workers(given: Options, settings: Settings, device: Chosen) -> int:
    """Return the number of processes; on a GPU one holds the whole batch."""
    from ringrift.core.limits import thread_budget

    if given.workers != "auto":
        if not given.workers.isdecimal() or int(given.workers) < 1:
            raise UsageError(
                f"{given.workers!r} is no number of workers", where="--workers", hint="auto, or N"
            )
        return int(given.workers)
    if device.gpu is not None:
        return 1
    return settings.selfplay.max_concurrent_workers or thread_budget()


def _games_per_worker(preset: Preset, given: Options, seats: Seating, device: Chosen) -> int:
    if given.games_per_worker is not None:
        return given.games_per_worker
    if device.gpu is not None:
        return DEVICE_GAMES
    with_net = any("@" in spec for spec in seats.agents)
    return preset.batch or (64 if with_net else 8)


def _weights(given: Options, board: BoardSpec) -> tuple[str, ...]:
    """Return the argument that names the heuristic's weights."""
    profile = given.heuristic_profile or given.weights_profile
    if given.weights_file is None:
        return () if profile is None else (f"weights={profile}",)
    if not given.weights_file.is_file():
        raise UsageError(f"no file {given.weights_file}", where="--weights-file")
    if profile is not None:
        from ringrift.agents.weights import profile_id

        if profile != profile_id(board.config):
            raise UsageError(
                f"weights {profile} are not of {board.config}", hint=profile_id(board.config)
            )
    return (f"weights={given.weights_file}",)


def _others(given: Options, board: BoardSpec) -> tuple[str | None, ...]:
    others = (given.p2_engine_mode, given.p3_engine_mode, given.p4_engine_mode)
    for seat, mode in enumerate(others, 2):
        if mode is not None and seat > board.players:
            raise UsageError(
                f"a mode for seat {seat} of {board.players}", where=f"--p{seat}-engine-mode"
            )
    return others[: board.players - 1]


def _timed(given: Options, seats: Seating) -> Seating:
    """Write a time limit into the searches where one was asked for."""
    if given.think_time_ms is None:
        return seats
    from ringrift.agents.spec import parse_spec

    def limited(text: str) -> str:
        parsed = parse_spec(text)
        return (
            str(parsed.with_value("ms", given.think_time_ms or 0)) if parsed.kind in TIMED else text
        )

    lots = tuple(tuple((limited(text), weight) for text, weight in lot) for lot in seats.lots)
    return replace(seats, lots=lots)


def _searches_with_a_net(seats: Seating) -> bool:
    heads = [spec.partition(":")[0] for spec in seats.agents]
    return any("@" in head and head.partition("@")[0] in SEARCHING for head in heads)


def watched_model(given: Options, models: ModelsAtHand, plan: RunPlan) -> str | None:
    """Return the id of the model that is watched for updates, None without one."""
    if not given.watch_model_updates:
        return None
    if given.nn_model_id == NONE or not plan.models:
        raise UsageError("no model plays, so none can be watched", where="--watch-model-updates")
    return models.take(given.nn_model_id or "champion")
