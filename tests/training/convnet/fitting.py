"""Tasks of the convolutional net on small tables, and plain steps on them."""

from __future__ import annotations

import numpy as np
import torch

from ringrift.nets.network import Architecture, Net, fresh_net
from ringrift.training.convnet.loss import losses_of, scene_of
from ringrift.training.convnet.task import ConvTask
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.engine.task import Moment
from ringrift.training.samples.table import SampleTable

from ..nnue.tables import none_of


def net_for(spec, size: str = "micro", *, seed: int = 1, encoder: str = "planes1") -> Net:
    shape = Architecture.of(spec.board, spec.players, size, encoder=encoder)
    return fresh_net(shape, seed=seed)


def task_for(
    table: SampleTable,
    val: SampleTable | None = None,
    *,
    net: Net | None = None,
    size: str = "micro",
    **options: object,
) -> ConvTask:
    """Return a task whose samples all weigh the same, without symmetries, unless told otherwise."""
    settings = TrainSettings(
        **{"sampling_weights": "uniform", "symmetries": "none", "batch_size": 64, **options}  # type: ignore[arg-type]
    )
    net = net or net_for(table.spec, size)
    return ConvTask.of(table, none_of(table) if val is None else val, settings, net=net)


def fit(task: ConvTask, steps: int, *, rate: float = 3e-3) -> None:
    """Take steps of AdamW with a rate that falls to nothing, over as many epochs as it takes."""
    task.net.train()
    optimizer = torch.optim.AdamW(task.parameter_groups(), lr=rate)
    step = epoch = 0
    while step < steps:
        for batch in task.batches(epoch):
            for group in optimizer.param_groups:
                group["lr"] = rate * (1 - step / steps)
            task.begin_step(Moment(step=step, steps=steps, epoch=epoch))
            optimizer.zero_grad(set_to_none=True)
            task.loss(batch).objective.backward()
            torch.nn.utils.clip_grad_norm_(task.net.parameters(), 1.0)
            optimizer.step()
            step += 1
            if step == steps:
                break
        epoch += 1
    task.net.eval()


def settle(task: ConvTask, batches: int = 4) -> None:
    """Let the statistics of the norms follow the weights as they are."""
    task.net.train()
    with torch.no_grad():
        for _ in range(20):
            for batch, _ in zip(task.train_feed.in_order(64), range(batches), strict=False):
                task.net(scene_of(batch.planes), batch.numbers)
    task.net.eval()


@torch.no_grad()
def errors(task: ConvTask) -> tuple[float, float]:
    """Return (policy cross-entropy less entropy, mean square error of win probabilities)."""
    task.net.eval()
    policy, value = [], []
    for batch in task.train_feed.in_order(64):
        outputs = task.net(scene_of(batch.planes), batch.numbers, auxiliary=True)
        found = losses_of(outputs, batch)
        policy.append((found.policy - found.policy_entropy).numpy())
        value.append((torch.softmax(outputs.win, 1) - batch.win).square().mean(1).numpy())
    return float(np.concatenate(policy).mean()), float(np.concatenate(value).mean())


def distinct(table: SampleTable, count: int) -> SampleTable:
    """Return `count` samples of finished games whose positions differ, spread over the table."""
    _, rows = np.unique(table.states, axis=0, return_index=True)
    rows = np.sort(rows[table.value_weight[rows] > 0])
    return table.take(rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)])
