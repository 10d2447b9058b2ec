"""What the loop asks of a training, and what it keeps of its samples."""

import json

import pytest

from ringrift.loop.learn import KEPT_DATASETS, TrainingOrder, drop_old_samples, job_of
from ringrift.records.analysis import Analysis
from ringrift.records.ply_analysis import PlyAnalysis, quantize
from ringrift.records.record import AgentRef, GameMeta
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec

from .stand_ins import play_randomly, tiny_plan

SEARCHED = 20
"""Plies of each game that a search looked at, the first ones."""


def searched_games(count):
    """Random games whose searches found the move that was played."""
    spec = BoardSpec.create("square8", 2)
    agents = [AgentRef(spec="random", agent_hash="0" * 64)] * 2
    for seed in range(count):
        meta = GameMeta(purpose="selfplay", run="test", index=seed)
        record = play_randomly(spec, seed, agents, meta=meta)
        plies = [
            PlyAnalysis(
                ply=ply,
                kind="full",
                sims=8,
                value=(0.0, 0.0),
                root_value=(0.0, 0.0),
                policy=quantize({record.moves[ply]: 1.0}),
            )
            for ply in range(SEARCHED)
        ]
        yield record, Analysis(game=record.id, agent="test", budget={}, plies=tuple(plies))


@pytest.fixture
def order(tmp_path):
    return TrainingOrder(
        config="square8_2p",
        store=tmp_path / "games.db",
        objects=tmp_path / "objects",
        parent="a" * 64,
        plan=tiny_plan().training,
        seed=3,
        folder=tmp_path / "run" / "generation-05" / "training",
        games_run="test",
        npz=tmp_path / "npz",
        cache=tmp_path / "cache",
        threads=1,
    )


def test_steps_follow_from_the_new_samples_and_the_window_from_the_plan(order):
    with GameStore.open(order.store, writer=True) as store:
        assert not store.ingest(searched_games(3)).quarantined
    job = job_of(order)
    new = 3 * SEARCHED
    settings, selection = job.request.settings, job.request.selection
    assert settings.steps == -(-new * order.plan.epochs // order.plan.batch_size)
    assert (settings.batch_size, settings.seed) == (order.plan.batch_size, 3)
    assert settings.early_stopping_patience == 0
    assert selection.max_games == order.plan.window_games
    assert job.request.shape.as_dict() == {"size": "micro", "encoder": "planes1-basic"}
    assert job.run == order.folder
    assert job.parent.name == "a" * 64 + ".safetensors"


def test_samples_of_the_newest_datasets_stay_and_all_manifests(order):
    ids = [f"{n:064x}" for n in range(1, 6)]
    for number, identity in enumerate(ids, start=1):
        folder = order.folder.parent.parent / f"generation-{number:02d}" / "training"
        folder.mkdir(parents=True)
        (folder / "dataset.json").write_text(json.dumps({"id": identity}))
    for identity in (*ids, "f" * 64):
        made = order.npz / order.config / identity
        made.mkdir(parents=True)
        (made / "manifest.json").touch()
        (made / "part-00000.npz").touch()
    drop_old_samples(order)
    datasets = order.npz / order.config
    kept = sorted(path.parent.name for path in datasets.glob("*/part-00000.npz"))
    assert kept == sorted([*ids[-KEPT_DATASETS:], "f" * 64])
    assert len(list(datasets.glob("*/manifest.json"))) == 6
