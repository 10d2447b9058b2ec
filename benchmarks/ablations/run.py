"""Train with each default of a trainer on and off, and print what it is worth.

    .venv/bin/python benchmarks/ablations/run.py --kind cnn
    .venv/bin/python benchmarks/ablations/run.py --kind nnue-policy

The data set is made once: self-play on square8_2p by Gumbel search with the heuristic, seed 42, at
playout caps as the loop has them. Every training starts from random weights; on and off share their
seeds. What is compared is measured on the validation games, without weights: the policy's
cross-entropy against the search, the value's against the game's result, by the model as it plays.
Finished trainings are kept in the folder, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from defaults import DEFAULTS, Default
from effects import row

from ringrift.core.versions import versions
from ringrift.data.dataset import Dataset, ExportOptions, plan_export
from ringrift.data.export.run import Exporter
from ringrift.nets.loading import open_model
from ringrift.training.engine.run_folder import RunConfig, open_run
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.engine.task import Lineage
from ringrift.training.engine.trainer import train
from ringrift.training.measuring.predicting import predict
from ringrift.training.samples.table import SampleTable, read_tables
from ringrift.training.tasks import task_of

CONFIG = "square8_2p"
SELFPLAY = {
    "--board": "square8",
    "--players": "2",
    "--agent": "gumbel:eval=heuristic,sims=32",
    "--seed": "42",
    "--full-search-fraction": "0.5",
    "--cheap-sims": "8",
    "--opening-random-moves": "0-8",
}
OWN: dict[str, dict[str, Any]] = {
    "cnn": {"learning_rate": 1e-3},
    "nnue-policy": {
        "learning_rate": 1e-3,
        "dropout": 0.1,
        "temperature_start": 2.0,
        "temperature_end": 0.5,
        "max_moves_per_position": 128,
    },
}
"""What the commands have otherwise than `TrainSettings`; the rate is that of the loop."""


def main() -> None:
    """Read the command line, make what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kind", choices=("cnn", "nnue-policy"), default="cnn")
    parser.add_argument("--games", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", default="tiny", help="of the convolutional net")
    parser.add_argument("--hidden", type=int, default=128, help="of the NNUE")
    parser.add_argument("--only", help="defaults whose names hold this text")
    parser.add_argument("--folder", type=Path, default=Path("runs/ablations"))
    given = parser.parse_args()
    store = made_games(given.folder, given.games)
    print(f"{platform.processor() or platform.machine()}, one thread, {versions()}")
    chosen = [d for d in DEFAULTS if given.kind in d.kinds and (given.only or "") in d.name]
    on = losses(None, given, store)
    print(f"on: policy {np.mean(on['policy']):.4f}, value {np.mean(on['value']):.4f}, means of")
    print(f"{given.seeds} seeds. Losses without the default less losses with it, 95 % intervals:")
    print(f"{'default':32}  {'policy':28}  {'value':28}  sum")
    for default in chosen:
        print(row(default.name, on, losses(default, given, store)), flush=True)


def made_games(folder: Path, games: int) -> Path:
    """Return the store of the games, playing those that are missing."""
    root = folder / f"games-{games}"
    store = root / "data" / "games" / "games.db"
    if not (root / "done").exists():
        root.mkdir(parents=True, exist_ok=True)
        program = str(Path(sys.executable).with_name("ringrift"))
        command = [program, "--root", str(root), "selfplay", "run"]
        options = [word for option in SELFPLAY.items() for word in option]
        run = ["--num-games", str(games), "--output-dir", str(root / "run"), "--yes"]
        if (root / "run").exists():
            run.append("--resume")
        subprocess.run([*command, *options, *run], check=True, stdout=subprocess.DEVNULL)
        (root / "done").touch()
    return store


def dataset_of(store: Path, folder: Path, options: ExportOptions) -> Dataset:
    """Return the dataset of all games."""
    plan = plan_export([store], CONFIG, options)
    return Dataset.open(Exporter(output=folder / "datasets").export(plan).path)


def losses(
    default: Default | None, given: argparse.Namespace, store: Path
) -> dict[str, list[float]]:
    """Train once a seed, with a default off or none; return the losses on the validation games."""
    found: dict[str, list[float]] = {"policy": [], "value": [], "sum": []}
    for seed in range(given.seeds):
        one = trained(default, given, store, seed)
        for part, values in found.items():
            values.append(one[part])
    return found


def trained(
    default: Default | None, given: argparse.Namespace, store: Path, seed: int
) -> dict[str, float]:
    """Return the losses of one training, from its folder where it was made before."""
    shape = given.size if given.kind == "cnn" else str(given.hidden)
    name = "on" if default is None else "-".join(default.name.split())
    folder = given.folder / f"{given.kind}-{shape}-{given.games}-{given.epochs}" / name / str(seed)
    result = folder / "losses.json"
    if result.exists():
        return dict(json.loads(result.read_text()))
    off = default or Default(name="", kinds=())
    data = dataset_of(store, given.folder, ExportOptions(**off.data))
    settings = TrainSettings(
        **{
            **OWN[given.kind],
            "epochs": given.epochs,
            "seed": seed,
            "early_stopping_patience": 0,
            **off.settings,
        }
    )
    learned, held = read_tables(data, q_mix=settings.q_mix)
    began = time.monotonic()
    with off.patch():
        net = started(given, learned, seed, off)
        task = task_of(given.kind, learned, held, settings, net)
        config = RunConfig(
            settings=settings, net={"kind": given.kind}, dataset={"id": data.manifest.id}
        )
        with open_run(folder, config) as run:
            report = train(
                task, settings, run, models=folder / "models", lineage=Lineage(training={})
            )
    assert report.model_path is not None
    found = measured(report.model_path, read_tables(data, q_mix=0.0)[1])
    found["seconds"] = time.monotonic() - began
    result.write_text(json.dumps(found))
    return found


def started(given: argparse.Namespace, learned: SampleTable, seed: int, off: Default) -> Any:
    """Return a net of random weights."""
    if given.kind == "cnn":
        from ringrift.training.convnet.start import start_net

        return start_net(learned.spec, size=given.size, seed=seed, **off.net).net
    from ringrift.training.nnue.start import start_net as start_nnue

    return start_nnue(learned.spec, hidden=given.hidden, policy=True, seed=seed, parent=None)


def measured(model: Path, held: SampleTable) -> dict[str, float]:
    """Return the mean losses of a model on samples, each that counts at all counting alike."""
    found = predict(open_model(model, held.spec).evaluator(), held)
    searched = held.searched & (held.policy_weight > 0)
    decided = held.value_weight > 0
    value = -(held.win * found.win).sum(1)
    policy = float(found.policy[searched].mean())
    won = float(value[decided].mean())
    return {"policy": policy, "value": won, "sum": policy + won}


if __name__ == "__main__":
    main()
