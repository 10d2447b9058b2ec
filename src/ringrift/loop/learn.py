"""Make models: random weights, and candidates trained from the store, in a child process.

The functions named `*_here` run in the child and are the only ones that load torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.files import remove_partial
from ringrift.loop.child import Report, run_child
from ringrift.loop.plan import TrainingPlan, spec_of

if TYPE_CHECKING:
    from collections.abc import Callable

TRAINING = "training.json"


def make_random_model(
    *, config: str, size: str, seed: int, objects: Path, stop: Callable[[], bool]
) -> str:
    """Write a model of random weights and return its id."""
    arguments = {"config": config, "size": size, "seed": seed, "objects": objects}
    made: str = run_child(random_model_here, arguments, what="model init", stop=stop)
    return made


def random_model_here(
    report: Report, *, config: str, size: str, seed: int, objects: Path
) -> str:
    """Write a model of random weights; in the child."""
    del report
    from ringrift.nets.model_file import init_model

    return init_model(spec_of(config), size=size, seed=seed, folder=objects).stem


def train_candidate(
    *,
    config: str,
    store: Path,
    objects: Path,
    parent: str,
    plan: TrainingPlan,
    seed: int,
    folder: Path,
    new_games: int,
    threads: int,
    on_report: Report,
    stop: Callable[[], bool],
) -> dict[str, Any]:
    """Train a candidate from `parent` and return the report, which also stands in `folder`.

    The report is written once the model file is there, as the child's last act: it is the fact
    that a generation has its candidate.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial(folder)
    arguments = {
        "config": config,
        "store": store,
        "objects": objects,
        "parent": parent,
        "plan": plan,
        "seed": seed,
        "folder": folder,
        "new_games": new_games,
        "threads": threads,
    }
    result: dict[str, Any] = run_child(
        train_here, arguments, what="training", on_report=on_report, stop=stop, threads=threads
    )
    return result


def train_here(
    report: Report,
    *,
    config: str,
    store: Path,
    objects: Path,
    parent: str,
    plan: TrainingPlan,
    seed: int,
    folder: Path,
    new_games: int,
    threads: int,
) -> dict[str, Any]:
    """Train; in the child."""
    raise NotImplementedError
