"""How a NNUE stands on validation samples (training.md 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ringrift.training.nnue.network import seat_values
from ringrift.training.sums import WeightedSums, place_of_best

if TYPE_CHECKING:
    from ringrift.training.nnue.task import NnueTask

BATCH = 1024


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
    sums = WeightedSums()
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
            place = place_of_best(found.policy.logs, batch.target, batch.legal)
            sums.add_places(place, batch.policy_weight > 0)
    finally:
        task.net.rounding = rounding
    means = sums.means()
    parts = [means.pop("learned", None), means["value_loss"]]
    known = [part for part in parts if part is not None]
    return {"loss": sum(known) if known else None, **means}
