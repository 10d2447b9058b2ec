"""How a convolutional net stands on samples, without symmetries (training.md 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ringrift.nets.network import rank_values, seat_values
from ringrift.training.convnet.loss import AUXILIARY, legal_moves, losses_of, scene_of
from ringrift.training.sums import WeightedSums, place_of_best

if TYPE_CHECKING:
    from ringrift.nets.network import Net
    from ringrift.training.samples.cnn import CnnBatch, CnnFeed

BATCH = 256


@torch.no_grad()
def measure(net: Net, feed: CnnFeed) -> dict[str, float | None]:
    """Measure a net as it stands on the samples of a feed; empty without any.

    Keys are those of `Task.validate`, with the entropies of the targets and the auxiliary losses.
    Losses weigh samples as the feed does, accuracies count them: `policy_top3` is the share of
    samples whose best move is among the net's first three, `sign_accuracy` that of the movers'
    values on the right side of 0 in decided games.
    """
    if not len(feed):
        return {}
    device, training = next(net.parameters()).device, net.training
    net.eval()
    sums = WeightedSums()
    try:
        for on_cpu in feed.in_order(BATCH):
            _add(sums, net, type(on_cpu)(*(tensor.to(device) for tensor in on_cpu)))
    finally:
        net.train(training)
    means = sums.means()
    weights = {"policy_loss": 1.0, "value_loss": 1.0}
    weights |= {f"{name}_loss": weight for name, weight in AUXILIARY.items()}
    known = [(mean, weights[name]) for name, mean in means.items() if name in weights]
    parts = [mean * weight for mean, weight in known if mean is not None]
    return {"loss": sum(parts) if parts else None, **means}


def _add(sums: WeightedSums, net: Net, batch: CnnBatch) -> None:
    outputs = net(scene_of(batch.planes), batch.numbers, auxiliary=True)
    found = losses_of(outputs, batch)
    policy, value = batch.policy_weight, batch.value_weight
    sums.add("policy_loss", found.policy, policy)
    sums.add("policy_entropy", found.policy_entropy, policy)
    sums.add("value_loss", found.value, value)
    sums.add("value_entropy", found.value_entropy, value)
    sums.add("owner_loss", found.owner, value)
    sums.add("margins_loss", found.margins, value)
    if found.rank is not None:
        sums.add("rank_loss", found.rank, value)
    sums.add_places(place_of_best(found.logs, batch.target, legal_moves(batch)), policy > 0)
    outcome = batch.rank[:, 0] @ rank_values(batch.rank.shape[2]).to(batch.rank)
    predicted = seat_values(outputs, net.architecture.value_utility)[:, 0]
    decided = (value > 0) & (outcome != 0)
    sums.add("sign_accuracy", (predicted.sign() == outcome.sign()).float(), decided.float())
