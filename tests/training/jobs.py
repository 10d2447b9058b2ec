"""Small jobs of the trainer on games that were made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.request import Request, Shape
from ringrift.training.run import Job
from ringrift.training.sources import Places, Selection, Source

from .games import games

SQUARE8 = BoardSpec.create("square8", 2)


def store_of(folder: Path, count: int = 16) -> Path:
    """Write a store of random games."""
    path = folder / "games.db"
    with GameStore.open(path, writer=True) as opened:
        opened.ingest(games(SQUARE8, count))
    return path


def nnue_policy_job(folder: Path, store: Path, **settings: Any) -> Job:
    """Ask for a NNUE of 32 with a policy head."""
    request = Request(
        kind="nnue-policy",
        config=SQUARE8.config,
        settings=TrainSettings(**{"epochs": 1, "batch_size": 64, **settings}),
        selection=Selection(min_game_length=0),
        shape=Shape(hidden=32),
    )
    return Job(
        request=request,
        source=Source(stores=(store,)),
        places=Places(npz=folder / "npz", cache=folder / "cache"),
        objects=folder / "objects",
        runs=folder / "runs",
    )
