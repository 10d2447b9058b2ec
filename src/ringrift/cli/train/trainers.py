"""`ringrift train nn|nnue|nnue-policy|optimized`: one engine with four defaults (`training.md` 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringrift.cli.option_sets import command_of
from ringrift.cli.train import command_lines
from ringrift.cli.train.options import Options

if TYPE_CHECKING:
    import typer


def nn(given: Options) -> None:
    """Train a convolutional net.

    Reads a dataset, game stores or JSON lines, without any the window of data/games/games.db, which
    is exported first. Writes a run folder (runs/CONFIGURATION/TIME-HASH) with config.json,
    metrics.jsonl, report.json and curves, and the model (models/objects). Only verified games are
    learned from, never the hold-out. Killed at any instant, the same line goes on where it was.

    Exit code 1 without samples or when the loss is not finite, 2 for a run folder of other settings,
    75 while another process trains in it, 130 and 143 after a signal, with a checkpoint kept.

    Examples: ringrift train nn --board square8 --num-players 2 |
    ringrift train nn --demo --dry-run --json

    was: run_nn_training_baseline.py
    """
    from ringrift.cli.train.training import perform

    perform("cnn", given)


def nnue(given: Options) -> None:
    """Train a NNUE on values.

    Reads a dataset, game stores or JSON lines, without any the window of data/games/games.db, which
    is exported first. Writes a run folder and the model with its integers, which then is named
    nnue_CONFIGURATION. With --policy a policy head learns beside the values.

    Exit code 1 without samples or when the loss is not finite, 2 for a run folder of other settings,
    75 while another process trains in it, 130 and 143 after a signal, with a checkpoint kept.

    Examples: ringrift train nnue --board square8 --num-players 2 --epochs 20 |
    ringrift train nnue --db data/games/games.db --hidden-dim 128 --dry-run

    was: train_nnue.py
    """
    from ringrift.cli.train.training import perform

    perform("nnue-policy" if given.policy else "nnue", given)


def nnue_policy(given: Options) -> None:
    """Train a NNUE on values and policy.

    Reads a dataset, game stores or JSON lines, without any the window of data/games/games.db, which
    is exported first. Writes a run folder and the model with its integers, which then is named
    nnue_policy_CONFIGURATION. Searched distributions are learned where there are enough of them,
    else the moves that were played; the report says which. With training.policy.enabled off
    (RINGRIFT_ENABLE_POLICY_TRAINING=0) it says so and ends with 0.

    Exit code 1 without samples or when the loss is not finite, 2 for a run folder of other settings,
    75 while another process trains in it, 130 and 143 after a signal, with a checkpoint kept.

    Examples: ringrift train nnue-policy --jsonl data/selfplay/games.jsonl --auto-kl-loss |
    ringrift train nnue-policy --board hex8 --use-kl-loss --max-games 500 --dry-run

    was: train_nnue_policy.py
    """
    from ringrift.cli.train.training import perform_policy

    perform_policy(given)


def optimized(given: Options) -> None:
    """Train with the best hyper-parameters known of a configuration.

    Reads config/hyperparameters.json and what train nn reads; writes run folders and models. With
    --all each configuration that has games is trained in turn. --run-elo plays 50 games against
    random and 50 against heuristic afterwards, which go into the game store.

    Exit code 1 without samples or when the loss is not finite, 5 when --all trained some only, 130
    and 143 after a signal, with a checkpoint kept.

    Examples: ringrift train optimized --list-configs |
    ringrift train optimized --all --epochs 50 --victory-balanced --dry-run

    was: run_optimized_training.py
    """
    from ringrift.cli.train.optimizing import perform

    perform(given)


COMMANDS = (
    ("nn", nn, command_lines.NN),
    ("nnue", nnue, command_lines.NNUE),
    ("nnue-policy", nnue_policy, command_lines.NNUE_POLICY),
    ("optimized", optimized, command_lines.OPTIMIZED),
)
_SHOWN: dict[str, dict[str, Any]] = {
    "nn": {"epochs": 50, "batch_size": 256, "sample_every_n": 1, "label_smoothing": 0},
    "nnue": {"epochs": 100, "batch_size": 512, "sample_every_n": 1, "hidden_dim": 256},
    "nnue-policy": {
        "epochs": 100,
        "batch_size": 256,
        "sample_every_n": 2,
        "hidden_dim": "auto",
        "label_smoothing": 0.1,
    },
    "optimized": {"epochs": 50, "batch_size": 256, "sample_every_n": 1},
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, function, names in COMMANDS:
        command = command_of(function, Options, names, defaults={}, shown=_SHOWN[name])
        app.command(name, cls=command_lines.TrainCommand)(command)
