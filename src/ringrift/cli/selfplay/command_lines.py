"""Which command of `ringrift selfplay` takes which options."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from ringrift.cli.selfplay.options import POOL_OPTIONS
from ringrift.cli.selfplay.parity_defaults import parity_defaults

COMMON = (
    "board", "players", "config_key", "rule_options", "rings_per_player", "lps_rounds", "swap",
    "num_games", "max_moves", "seed", "engine_mode", "agent", "seats", "nn_model_id",
    "nn_pool_size", "nn_pool_dir", "nnue_blend", "weights_file", "mcts_sims",
    "full_search_fraction", "full_sims", "cheap_sims", "temperature_preset", "temperature",
    "temperature_scale_board", "resign", "resign_threshold", "resign_plies", "resign_audit",
    "weight_noise", "noise_scale", "watch_model_updates", "model_reload_interval",
    "opening_random_moves", "opening_top_k", "opening_book", "fork_fraction",
    "swap_sides_probability", "output_dir", "record_db", "no_record_db", "lean_db", "log_jsonl",
    "resume", "dry_run", "workers", "games_per_worker", "device", "gc_interval",
    "worker_memory_mb", "memory_constrained", "no_wait", "fail_on_anomaly", "hosts",
    "distributed_job_timeout_seconds", "distributed_fetch_timeout_seconds",
)  # fmt: skip
"""What sections 2, 4 and 5 of selfplay.md give to every command."""
RUN = (*COMMON, "difficulty_band", "heuristic_profile", "summary_json", "intra_game_gc_interval")
SOAK = (
    *RUN, "soak_profile", "streaming_record", "profile_timing", "square8_pool",
    "square8_pool_states", "square8_pool_every", "square19_pool", "square19_pool_states",
    "square19_pool_every", "hex_pool", "hex_pool_states", "hex_pool_every", "resume_from_jsonl",
    "checkpoint_interval", "gpu", "model_alias_path", "think_time_ms", "emit_events",
    "include_training_data",
)  # fmt: skip
HYBRID = (
    *COMMON, "p2_engine_mode", "p3_engine_mode", "p4_engine_mode", "fixed_seats", "mix_ratio",
    "weights_profile", "parity_mode", "benchmark", "no_numba",
)  # fmt: skip
GPU = (
    *COMMON, "weights_profile", "benchmark", "shadow_validation", "shadow_sample_rate",
    "shadow_threshold", "use_heuristic", "use_policy", "policy_model", "min_game_length",
    "temperature_mix",
)  # fmt: skip
CANONICAL = (
    *COMMON, "difficulty_band", "summary", "analysis_dir", "skip_analyses",
    "parity_limit_games_per_db", "parity_timeout_seconds", "reset_db",
)  # fmt: skip


class PoolCommand(TyperCommand):
    """Give a pool option that stands without a value its default, and checks the environment's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default where no word follows, then parse."""
        ctx.default_map = {**(ctx.default_map or {}), **parity_defaults()}
        made: list[str] = []
        for place, word in enumerate(args):
            made.append(word)
            following = args[place + 1 : place + 2]
            if word in POOL_OPTIONS and (not following or following[0].startswith("-")):
                made.append(POOL_OPTIONS[word])
        return super().parse_args(ctx, made)
