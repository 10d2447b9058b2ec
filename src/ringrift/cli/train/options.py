"""Every option of the trainers, declared once; each command takes those it names (training.md 5).

None stands for what hyper-parameters, settings or the trainer itself say.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from ringrift.cli.completion import complete_models
from ringrift.cli.heavy import NoWait
from ringrift.cli.option_sets import option
from ringrift.cli.shared_options import Board, ConfigKey, DryRun, Players, Seed

INPUT, SAMPLES, NET, LEARN, POLICY = "Input", "Samples", "Net", "Learning", "Policy"
RUN, MACHINE = "Run", "Limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The values of one call."""

    # --- what is learned from
    board: Board = "square8"
    players: Players = 2
    config_key: ConfigKey = None
    data_path: Annotated[
        Path | None,
        option(
            "--data-path", panel=INPUT, metavar="DATASET", help="Dataset: a folder or .npz file."
        ),
    ] = None
    db: Annotated[
        list[Path] | None,
        option(
            "--db",
            panel=INPUT,
            metavar="FILE...",
            help="Game stores, exported first [default: the window of data/games/games.db].",
        ),
    ] = None
    jsonl: Annotated[
        list[Path] | None,
        option(
            "--jsonl",
            panel=INPUT,
            metavar="FILE...",
            help="JSON lines; they pass the gate and are exported first.",
        ),
    ] = None
    window: Annotated[
        str | None,
        option(
            "--window",
            panel=INPUT,
            metavar="SAMPLES",
            help="all, a number of the newest samples, or auto "
            "[default: auto, all with --db or --jsonl].",
        ),
    ] = None
    val_split: Annotated[
        float | None,
        option(
            "--val-split",
            panel=SAMPLES,
            metavar="SHARE",
            help="Games for validation, by their hash [default: training.validation_split].",
        ),
    ] = None
    sample_every_n: Annotated[
        int | None,
        option("--sample-every-n", panel=SAMPLES, min=1, help="Take every n-th decision."),
    ] = None
    min_game_length: Annotated[
        int | None,
        option(
            "--min-game-length", panel=SAMPLES, min=0, help="Least plies of a game [default: 10]."
        ),
    ] = None
    max_games: Annotated[
        int | None,
        option(
            "--max-games",
            panel=SAMPLES,
            min=1,
            help="Newest games at most; of a given dataset those of the smallest ids.",
        ),
    ] = None
    max_samples: Annotated[
        int | None,
        option(
            "--max-samples",
            panel=SAMPLES,
            min=1,
            help="Training samples at most, drawn by the seed.",
        ),
    ] = None
    min_move_number: Annotated[
        int | None, option("--min-move-number", panel=SAMPLES, min=0, help="First ply.")
    ] = None
    max_move_number: Annotated[
        int | None, option("--max-move-number", panel=SAMPLES, min=0, help="Last ply.")
    ] = None
    max_reuse: Annotated[
        float | None,
        option(
            "--max-reuse",
            panel=SAMPLES,
            metavar="PASSES",
            help="Leave out games that the parents learned from so often [default: "
            "training.max_reuse].",
        ),
    ] = None
    surprise_weight: Annotated[
        float | None,
        option(
            "--surprise-weight",
            panel=SAMPLES,
            min=0.0,
            max=1.0,
            metavar="SHARE",
            help="Share of a sample's weight that follows how far the search left its prior "
            "[default: 0.5].",
        ),
    ] = None
    sampling_weights: Annotated[
        Literal["uniform", "late_game", "phase_emphasis", "combined", "victory_type"] | None,
        option(
            "--sampling-weights",
            panel=SAMPLES,
            help="Which samples count more [default: training.sampling_weights].",
        ),
    ] = None
    balanced_sampling: Annotated[
        bool,
        option(
            "--balanced-sampling",
            "--victory-balanced",
            panel=SAMPLES,
            help="The same as --sampling-weights victory_type.",
        ),
    ] = False
    symmetries: Annotated[
        Literal["auto", "none"] | None,
        option(
            "--symmetries", panel=SAMPLES, help="Draw a symmetry for each sample [default: auto]."
        ),
    ] = None
    augment_hex: Annotated[
        bool,
        option(
            "--augment-hex-symmetry",
            "--hex-augment",
            panel=SAMPLES,
            help="The same as --symmetries auto.",
        ),
    ] = False
    streaming: Annotated[
        bool | None,
        option(
            "--streaming/--no-streaming",
            "--use-streaming",
            panel=SAMPLES,
            help="Encode part by part [default: above a quarter of the free memory].",
        ),
    ] = None

    # --- the net
    model_size: Annotated[
        Literal["micro", "tiny", "small", "medium", "large"] | None,
        option(
            "--model-size",
            panel=NET,
            help="Blocks x channels: tiny 4x32, small 6x64, medium 10x128, large 12x192 "
            "[default: training.model_size; medium on a GPU].",
        ),
    ] = None
    model_version: Annotated[
        str | None,
        option("--model-version", panel=NET, metavar="NAME", help="v2, v3 and v4 mean large."),
    ] = None
    hidden_dim: Annotated[
        str | None,
        option(
            "--hidden-dim",
            panel=NET,
            metavar="N",
            help="Width of the accumulator, or auto: by the board.",
        ),
    ] = None
    num_hidden_layers: Annotated[
        int | None,
        option(
            "--num-hidden-layers",
            panel=NET,
            min=2,
            max=6,
            help="Of a NNUE: layers of 32 behind the accumulators [default: 2].",
        ),
    ] = None
    policy: Annotated[
        bool,
        option("--policy/--no-policy", panel=NET, help="Train a policy head beside the values."),
    ] = False
    warm_start: Annotated[
        str | None,
        option(
            "--warm-start",
            "--pretrained",
            panel=NET,
            metavar="REF",
            help="Go on from the weights of this model.",
            autocompletion=complete_models,
        ),
    ] = None
    transfer_from: Annotated[
        str | None,
        option(
            "--transfer-from",
            panel=NET,
            metavar="REF|BOARD",
            help="Copy what means the same from a model of another board, or from its champion.",
            autocompletion=complete_models,
        ),
    ] = None

    # --- how it learns
    epochs: Annotated[int | None, option("--epochs", panel=LEARN, min=1, help="Most epochs.")] = (
        None
    )
    batch_size: Annotated[
        int | None, option("--batch-size", panel=LEARN, min=1, help="Samples of a step.")
    ] = None
    learning_rate: Annotated[
        float | None,
        option("--learning-rate", panel=LEARN, help="Peak learning rate [default: 0.0003]."),
    ] = None
    weight_decay: Annotated[
        float | None,
        option(
            "--weight-decay",
            panel=LEARN,
            help="AdamW's, not on biases and norms [default: 0.0001].",
        ),
    ] = None
    warmup_epochs: Annotated[
        float | None,
        option(
            "--warmup-epochs",
            panel=LEARN,
            min=0,
            help="Epochs of linear warm-up, at most 5 % of the steps [default: 5].",
        ),
    ] = None
    lr_scheduler: Annotated[
        Literal["warmup_cosine", "cosine", "cosine_warmup", "plateau"] | None,
        option(
            "--lr-schedule",
            "--lr-scheduler",
            panel=LEARN,
            help="After the warm-up: a cosine to 1 %, or less on a plateau [default: cosine].",
        ),
    ] = None
    early_stopping_patience: Annotated[
        int | None,
        option(
            "--early-stopping-patience",
            panel=LEARN,
            min=0,
            help="Epochs without a better validation loss; 0 is never [default: 15].",
        ),
    ] = None
    policy_weight: Annotated[
        float | None,
        option("--policy-weight", panel=LEARN, min=0, help="Of the policy loss [default: 1]."),
    ] = None
    value_weight: Annotated[
        float | None,
        option("--value-weight", panel=LEARN, min=0, help="Of the value loss [default: 1]."),
    ] = None
    q_mix: Annotated[
        float | None,
        option(
            "--q-mix",
            panel=LEARN,
            min=0,
            max=1,
            help="Share of the search's value in the value target [default: 0.3].",
        ),
    ] = None
    lambda_z: Annotated[
        float | None,
        option(
            "--lambda",
            panel=LEARN,
            min=0,
            max=1,
            help="Share of the result in the value target [default: 0.7].",
        ),
    ] = None
    grad_clip: Annotated[
        float | None,
        option("--grad-clip", panel=LEARN, help="Largest norm of the gradient [default: 1]."),
    ] = None
    gradient_accumulation_steps: Annotated[
        int | None,
        option(
            "--gradient-accumulation-steps",
            panel=LEARN,
            min=1,
            help="Batches of one step [default: 1].",
        ),
    ] = None
    use_ema: Annotated[
        bool | None,
        option(
            "--use-ema/--no-ema",
            panel=LEARN,
            help="Average the weights, which makes the model [default: training.use_ema].",
        ),
    ] = None
    ema_decay: Annotated[
        float | None,
        option(
            "--ema-decay",
            panel=LEARN,
            min=0,
            max=1,
            help="Decay of the average [default: training.ema_decay].",
        ),
    ] = None
    label_smoothing: Annotated[
        float | None,
        option(
            "--policy-label-smoothing",
            "--label-smoothing",
            panel=LEARN,
            min=0,
            max=1,
            help="Over the legal moves, where moves played are learned.",
        ),
    ] = None
    mixed_precision: Annotated[
        bool | None,
        option(
            "--mixed-precision/--no-mixed-precision",
            "--use-amp/--no-amp",
            panel=LEARN,
            help="Shorter numbers [default: with CUDA].",
        ),
    ] = None
    amp_dtype: Annotated[
        Literal["bfloat16", "float16"] | None,
        option("--amp-dtype", panel=LEARN, help="Their type [default: bfloat16]."),
    ] = None
    deterministic: Annotated[
        bool | None,
        option(
            "--deterministic/--no-deterministic",
            panel=LEARN,
            help="The same seed gives the same bits [default: on a CPU].",
        ),
    ] = None
    use_optimized: Annotated[
        bool | None,
        option(
            "--use-optimized-hyperparams/--no-optimized-hyperparams",
            panel=LEARN,
            help="Use what studies found [default: training.use_optimized_hyperparams].",
        ),
    ] = None
    find_lr: Annotated[
        bool,
        option(
            "--find-lr",
            panel=LEARN,
            help="Raise the rate over 100 steps, print and plot the losses, train nothing.",
        ),
    ] = False

    # --- the policy of a NNUE
    policy_dropout: Annotated[
        float | None,
        option(
            "--policy-dropout",
            panel=POLICY,
            min=0,
            max=0.9,
            help="Of the policy's inputs [default: 0.1].",
        ),
    ] = None
    freeze_value: Annotated[
        bool, option("--freeze-value", panel=POLICY, help="Train the policy head alone.")
    ] = False
    temperature_start: Annotated[
        float | None,
        option("--temperature-start", panel=POLICY, help="Divides the logits [default: 2]."),
    ] = None
    temperature_end: Annotated[
        float | None,
        option("--temperature-end", panel=POLICY, help="The same at the end [default: 0.5]."),
    ] = None
    temperature_schedule: Annotated[
        Literal["cosine", "linear", "exponential"] | None,
        option("--temperature-schedule", panel=POLICY, help="Between them [default: cosine]."),
    ] = None
    max_moves_per_position: Annotated[
        int | None,
        option(
            "--max-moves-per-position",
            panel=POLICY,
            min=1,
            help="Best moves a target keeps; the legal set stays whole [default: 128].",
        ),
    ] = None
    distill_from_winners: Annotated[
        bool,
        option(
            "--distill-from-winners",
            panel=POLICY,
            help="Learn the policy of the winning seats alone.",
        ),
    ] = False
    winner_weight_boost: Annotated[
        float | None,
        option("--winner-weight-boost", panel=POLICY, min=0, help="Of their samples [default: 1]."),
    ] = None
    use_kl_loss: Annotated[
        bool,
        option(
            "--use-kl-loss",
            panel=POLICY,
            help="Learn searched distributions, whatever their share.",
        ),
    ] = False
    auto_kl_loss: Annotated[
        bool | None,
        option(
            "--auto-kl-loss/--no-auto-kl-loss",
            panel=POLICY,
            help="Learn them where there are enough [default: training.policy.auto_kl_loss].",
        ),
    ] = None
    kl_min_coverage: Annotated[
        float | None,
        option(
            "--kl-min-coverage",
            panel=POLICY,
            min=0,
            max=1,
            help="Enough: their share [default: training.policy.kl_min_coverage].",
        ),
    ] = None
    kl_min_samples: Annotated[
        int | None,
        option(
            "--kl-min-samples",
            panel=POLICY,
            min=1,
            help="Enough: their number [default: training.policy.kl_min_samples].",
        ),
    ] = None

    # --- several trainings
    all_configs: Annotated[
        bool, option("--all", panel=RUN, help="Train each configuration that has games, in turn.")
    ] = False
    kind: Annotated[
        Literal["nn", "nnue", "nnue-policy"], option("--kind", panel=NET, help="Kind of net.")
    ] = "nn"
    list_configs: Annotated[
        bool,
        option(
            "--list-configs",
            panel=RUN,
            help="Print the hyper-parameters of all configurations and their origin.",
        ),
    ] = False
    run_elo: Annotated[
        bool,
        option(
            "--run-elo/--skip-elo",
            panel=RUN,
            help="Play 50 games against random and against heuristic afterwards.",
        ),
    ] = False

    # --- the run
    demo: Annotated[
        bool,
        option(
            "--demo",
            panel=RUN,
            help="Learn 2,048 positions of random games made in memory: 5 epochs, tiny.",
        ),
    ] = False
    run_dir: Annotated[
        Path | None,
        option(
            "--run-dir",
            panel=RUN,
            metavar="DIR",
            help="Folder of the run [default: runs/CONFIGURATION/TIME-HASH].",
        ),
    ] = None
    resume: Annotated[
        bool | None,
        option(
            "--resume/--fresh",
            panel=RUN,
            help="Only go on, or always begin anew [default: go on with an unfinished equal run].",
        ),
    ] = None
    model_id: Annotated[
        str | None,
        option("--model-id", panel=RUN, metavar="NAME", help="Alias of the result."),
    ] = None
    seed: Seed = 42
    dry_run: DryRun = False

    # --- the machine
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], option("--device", panel=MACHINE, help="Device.")
    ] = "auto"
    num_workers: Annotated[
        int | None,
        option(
            "--num-workers",
            panel=MACHINE,
            min=1,
            help="Threads that make batches [default: thread budget - 1, at most 8].",
        ),
    ] = None
    no_wait: NoWait = False
