"""Which trainer takes which options, and the switches that none offers (training.md 5, 12)."""

from __future__ import annotations

from typing import Any

from ringrift.cli.lists import ListCommand
from ringrift.core.errors import UsageError

COMMON = (
    "board", "players", "config_key", "data_path", "db", "jsonl", "window", "val_split",
    "sample_every_n", "min_game_length", "max_games", "max_samples", "min_move_number",
    "max_move_number", "max_reuse", "surprise_weight", "sampling_weights", "balanced_sampling",
    "symmetries", "augment_hex", "streaming", "warm_start", "epochs", "batch_size", "learning_rate",
    "weight_decay", "warmup_epochs", "lr_scheduler", "early_stopping_patience", "value_weight",
    "q_mix", "grad_clip", "gradient_accumulation_steps", "use_ema", "ema_decay",
    "mixed_precision", "amp_dtype", "deterministic", "use_optimized", "find_lr", "run_dir",
    "resume", "model_id", "seed", "dry_run", "device", "num_workers", "no_wait",
)  # fmt: skip
OF_POLICY = ("policy_weight", "label_smoothing")
OF_CNN = (*OF_POLICY, "model_size", "model_version", "transfer_from")
OF_NNUE = ("hidden_dim", "num_hidden_layers", "lambda_z")
NN = (*COMMON, *OF_CNN, "demo")
NNUE = (*COMMON, *OF_NNUE, *OF_POLICY, "policy")
NNUE_POLICY = (
    *COMMON, *OF_NNUE, *OF_POLICY, "policy_dropout", "freeze_value", "temperature_start",
    "temperature_end", "temperature_schedule", "max_moves_per_position", "distill_from_winners",
    "winner_weight_boost", "use_kl_loss", "auto_kl_loss", "kl_min_coverage", "kl_min_samples",
)  # fmt: skip
OPTIMIZED = (
    *COMMON, *OF_CNN, *OF_NNUE, "all_configs", "kind", "list_configs", "run_elo",
)  # fmt: skip

NOT_OFFERED = {
    "spectral norm": ("--spectral-norm", "--use-spectral-norm"),
    "stochastic depth": ("--stochastic-depth", "--use-stochastic-depth", "--stochastic-depth-prob"),
    "value whitening": ("--value-whitening", "--whiten-values"),
    "a cyclic rate": ("--cyclic-lr", "--use-cyclic-lr", "--cyclic-lr-period"),
    "hard-example mining": ("--hard-example-mining", "--hard-example-top-k"),
    "focal loss": ("--focal-loss", "--use-focal-loss", "--focal-gamma"),
    "SWA beside EMA": ("--swa", "--use-swa", "--swa-start-fraction", "--swa-start"),
    "growing batch sizes": ("--dynamic-batch", "--dynamic-batch-schedule", "--dynamic-batching"),
    "another optimiser than AdamW": ("--optimizer", "--lars", "--lamb"),
    "a mixture of experts": ("--moe", "--use-moe", "--mixture-of-experts"),
    "contrastive or self-supervised pre-training": (
        "--contrastive",
        "--contrastive-pretrain",
        "--self-supervised",
        "--ss-pretrain",
    ),
    "population-based training": ("--pbt", "--population-based-training"),
    "architecture search": ("--nas", "--architecture-search"),
}
"""Switches by what they ask for."""

_WHAT = {switch: what for what, switches in NOT_OFFERED.items() for switch in switches}


class TrainCommand(ListCommand):
    """Takes several words after `--db` and `--jsonl`, and refuses what no ablation supports."""

    list_options = frozenset({"--db", "--jsonl"})

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raise `UsageError` naming the paragraph for a switch that is not offered, else parse."""
        for word in args:
            switch = word.partition("=")[0]
            if switch in _WHAT:
                raise UsageError(
                    f"{_WHAT[switch]} is not offered: no ablation supports it",
                    where=switch,
                    hint="training.md 12, the paragraph Not offered",
                )
        return super().parse_args(ctx, args)
