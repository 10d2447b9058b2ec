"""Datasets of random games with invented searches, as tables of targets."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from ringrift.data.dataset import Dataset, ExportOptions, blocks, plan_export, write_dataset
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec, Position
from ringrift.rules import moves as mv
from ringrift.training.engine.session import Session, prepared
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.nnue.network import NnueNet
from ringrift.training.nnue.start import start_net
from ringrift.training.nnue.task import NnueTask
from ringrift.training.samples.symmetry import symmetries
from ringrift.training.samples.table import SampleTable, table_of

from ..games import game


@cache
def table_for(
    board: str, players: int, games: int = 4, max_plies: int | None = None
) -> SampleTable:
    """Export games through a store; return all their samples, whatever side they are on."""
    spec = BoardSpec.create(board, players)
    with tempfile.TemporaryDirectory() as name:
        store = Path(name) / "games.db"
        with GameStore.open(store, writer=True) as opened:
            for seed in range(games):
                record, analysis = game(spec, seed, max_plies=max_plies)
                opened.ingest([(record, analysis)])
        options = ExportOptions(require_completed=max_plies is None)
        plan = plan_export([store], spec.config, options)
        write_dataset(plan, dict(blocks(plan, plan.ids)), Path(name) / "dataset")
        dataset = Dataset.open(Path(name) / "dataset")
        return table_of(dataset.arrays, dataset.manifest)


def first(table: SampleTable, count: int) -> SampleTable:
    """Return `count` samples spread over the table, none so early that games share a position."""
    late = np.flatnonzero(table.ply >= 12)
    return table.take(late[np.linspace(0, len(late) - 1, count).astype(np.int64)])


def none_of(table: SampleTable) -> SampleTable:
    """Return the table without its samples."""
    return table.take(np.zeros(0, np.int64))


def net_for(
    spec: BoardSpec, *, policy: bool = True, hidden: int = 32, layers: int = 2, seed: int = 1
) -> NnueNet:
    """Return a net of random weights."""
    return start_net(spec, hidden=hidden, layers=layers, policy=policy, seed=seed)


def task_for(
    table: SampleTable,
    val: SampleTable | None = None,
    *,
    net: NnueNet | None = None,
    policy: bool = True,
    **options: object,
) -> NnueTask:
    """Return a task whose samples all weigh the same, without symmetries, unless told otherwise."""
    settings = TrainSettings(
        **{"sampling_weights": "uniform", "symmetries": "none", "batch_size": 64, **options}  # type: ignore[arg-type]
    )
    net = net or net_for(table.spec, policy=policy)
    return NnueTask.of(table, none_of(table) if val is None else val, settings, net=net)


def learn(task: NnueTask) -> Session:
    """Take all the steps of a task's settings, as the training loop does; return its state."""
    with prepared(task.settings):
        session = Session(task, task.settings)
        while session.step < session.steps:
            batches = task.batches(session.epoch)
            for _ in range(min(session.steps_per_epoch, session.steps - session.step)):
                session.take_step(batches)
    return session


def table_from(positions: list[Position]) -> SampleTable:
    """Return positions as samples of one game each; policies are invented, seat r = 0 wins."""
    spec, count = positions[0].spec, len(positions)
    legal = [p.legal_packed() for p in positions]
    rng = np.random.default_rng(7)
    shares = [rng.random(len(moves)).astype(np.float32) for moves in legal]
    pointer = np.zeros(count + 1, np.int64)
    np.cumsum([len(moves) for moves in legal], out=pointer[1:])
    slides = [bool((moves & mv.KIND_MASK == mv.RECOVER).any()) for moves in legal]
    full = (1 << len(symmetries(spec.board))) - 1
    rank = np.zeros((count, spec.players, spec.players), np.float32)
    rank[:, range(spec.players), range(spec.players)] = 1.0
    ones, zeros = np.ones(count, np.float32), np.zeros(count, np.int32)
    return SampleTable(
        spec=spec,
        dataset="d" * 64,
        games=tuple(f"game{i}" for i in range(count)),
        states=np.array([np.frombuffer(p.packed(), np.uint8) for p in positions]),
        game=np.arange(count, dtype=np.int32),
        mover=np.array([p.current_player for p in positions], np.int8),
        ply=np.array([p.ply for p in positions], np.int32),
        total_plies=zeros + 100,
        legal_count=np.array([len(moves) for moves in legal], np.int32),
        phase=zeros.astype(np.int8),
        victory_type=zeros.astype(np.int8),
        sym_mask=np.array([1 if slide else full for slide in slides], np.uint16),
        policy_ptr=pointer,
        policy_moves=np.concatenate(legal),
        policy_probs=np.concatenate([s / s.sum() for s in shares]),
        searched=np.ones(count, np.bool_),
        weight=ones,
        policy_weight=ones,
        value_weight=ones,
        win=rank[:, :, 0],
        rank=rank,
        owner=np.zeros((count, spec.cells), np.int8),
        margins=np.zeros((count, spec.players, 3), np.float32),
    )
