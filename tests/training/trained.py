"""Nets that know some games by heart, trained by the engine that trains every net."""

from __future__ import annotations

from ringrift.data.dataset import Dataset, ExportOptions, blocks, plan_export, write_dataset
from ringrift.nets.nnue.file import load_nnue
from ringrift.records.store import GameStore
from ringrift.training.engine.run_folder import RunConfig, open_run
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.engine.task import Lineage
from ringrift.training.engine.trainer import train
from ringrift.training.nnue.start import start_net
from ringrift.training.nnue.task import NnueTask
from ringrift.training.samples.table import read_tables


def dataset_of(store, spec, folder, **options):
    """Export games of a store to `folder/npz/<config>/<id>`, as the installation names them."""
    plan = plan_export([store], spec.config, ExportOptions(**options))
    made = dict(blocks(plan, plan.ids))
    manifest = write_dataset(plan, made, folder / "npz" / spec.config / "new")
    path = folder / "npz" / spec.config / manifest.id[:16]
    return Dataset.open((folder / "npz" / spec.config / "new").rename(path))


def by_heart(folder, spec, played, *, learned, epochs, hidden=32, split="train"):
    """Store games, train a NNUE on the newest `learned` of one side until it knows them.

    Returns the model, the store and the dataset, all below `folder`.
    """
    folder.mkdir(exist_ok=True)
    path = folder / "games.db"
    with GameStore.open(path, writer=True) as store:
        store.ingest(played)
    dataset = dataset_of(path, spec, folder, splits=(split,), max_games=learned)
    table, _ = read_tables(dataset)
    settings = TrainSettings(
        epochs=epochs,
        batch_size=64,
        learning_rate=1e-2,
        weight_decay=0.0,
        symmetries="none",
        sampling_weights="uniform",
        ema_decay=0.9,
    )
    net = start_net(spec, hidden=hidden, policy=False, seed=1)
    task = NnueTask.of(table, table.take(table.policy_ptr[:0]), settings, net=net)
    manifest = dataset.manifest
    config = RunConfig(settings=settings, net={"kind": task.kind}, dataset={"id": manifest.id})
    with open_run(folder / "run", config) as run:
        report = train(
            task,
            settings,
            run,
            models=folder / "objects",
            lineage=Lineage(training={"datasets": [manifest.id]}),
        )
    model = next((folder / "objects").glob(f"??/{report.model_id}.safetensors"))
    return load_nnue(model, spec), path, dataset
