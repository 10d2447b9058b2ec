"""How a NNUE stands on validation samples (training.md 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ringrift.training.nnue.network import seat_values

if TYPE_CHECKING:
    from torch import Tensor

    from ringrift.training.nnue.task import NnueTask

BATCH = 1024
TOP = (1, 3, 5)


@torch.no_grad()
def measure(task: NnueTask) -> dict[str, float | None]:
    """Measure the integers that would play on the validation samples of a task.

    Keys are those of `Task.validate`, `policy_entropy` and `value_entropy`; the policy's are left out
    of a net without one. Losses weigh samples as the dataset does, accuracies count them.
    """
    table = task.val_feed.table
    if not len(table):
        return {}
    # the mover's value by the ranking, -1 to 1
    outcomes = torch.from_numpy(table.rank[:, 0]) @ torch.linspace(1, -1, table.spec.players)
    device = next(task.net.parameters()).device
    sums = _Sums()
    rounding, task.net.rounding = task.net.rounding, True
    try:
        at = 0
        for cpu_batch in task.val_feed.in_order(BATCH):
            batch = type(cpu_batch)(*(tensor.to(device) for tensor in cpu_batch))
            found = task.losses(batch, learning=False)
            outcome = outcomes[at : at + BATCH].to(device)
            at += BATCH
            sums.add("value_loss", found.value, batch.value_weight)
            sums.add("value_entropy", found.value_entropy, batch.value_weight)
            agrees = seat_values(found.seats)[:, 0].sign() == outcome.sign()
            decided = (batch.value_weight > 0) & (outcome != 0)
            sums.add("sign_accuracy", agrees.float(), decided.float())
            if found.policy is None:
                continue
            sums.add("policy_loss", found.policy.cross_entropy, batch.policy_weight)
            sums.add("policy_entropy", found.policy.entropy, batch.policy_weight)
            sums.add("learned", found.policy.learned, batch.policy_weight)
            place = _place_of_best(found.policy.logs, batch.target, batch.legal)
            counted = (batch.policy_weight > 0).float()
            for top in TOP:
                sums.add(f"policy_top{top}", (place < top).float(), counted)
    finally:
        task.net.rounding = rounding
    means = sums.means()
    parts = [means.pop("learned", None), means["value_loss"]]
    known = [part for part in parts if part is not None]
    return {"loss": sum(known) if known else None, **means}


class _Sums:
    """Weighted sums by name, in double precision."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[float, float]] = {}

    def add(self, name: str, values: Tensor, weights: Tensor) -> None:
        total, weight = self._found.get(name, (0.0, 0.0))
        weights = weights.double()
        total += float((values.double() * weights).sum())
        self._found[name] = total, weight + float(weights.sum())

    def means(self) -> dict[str, float | None]:
        return {name: t / w if w > 0 else None for name, (t, w) in self._found.items()}


def _place_of_best(logs: Tensor, target: Tensor, legal: Tensor) -> Tensor:
    """Return the place that the net gives the target's best move, `int64[B]`, 0 for its first.

    Of several that are best, the one that the net holds highest; of moves that the net holds equal,
    the first of the legal set goes first.
    """
    best = target == target.amax(1, keepdim=True)
    own, chosen = logs.masked_fill(~best, -torch.inf).max(1, keepdim=True)
    number = torch.arange(logs.shape[1], device=logs.device)
    before = (logs > own) | ((logs == own) & (number < chosen))
    return (before & legal).sum(1)
