"""One step of the weights: the compiled pass and torch's operations do the same."""

import pytest
import torch

from ringrift.training.engine.averaging import Average
from ringrift.training.engine.session import Session
from ringrift.training.engine.update import Update, clip, put_back

from .toy import ToyTask, settings_of

CPU = torch.device("cpu")
DECAY, BOUND, RATE = 0.1, 0.2, 0.02


def net_of(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(37, 19), torch.nn.Linear(19, 3))


def groups_of(net):
    weights = [p for p in net.parameters() if p.dim() > 1]
    biases = [p for p in net.parameters() if p.dim() == 1]
    return [
        {"params": weights, "weight_decay": DECAY, "bound": BOUND},
        {"params": biases, "weight_decay": 0.0},
    ]


def set_gradients(net, step):
    generator = torch.Generator().manual_seed(step)
    size = 3.0 if step % 2 else 1e-3
    for parameter in net.parameters():
        parameter.grad = size * torch.randn(parameter.shape, generator=generator)


def by_torch(net, average, optimizer, step):
    """Take a step as torch's own operations do; return the norm of the gradient."""
    for group in optimizer.param_groups:
        group["lr"] = RATE
    norm = torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    with torch.no_grad():
        for parameter in optimizer.param_groups[0]["params"]:
            parameter.clamp_(-BOUND, BOUND)
    average.update(step)
    return norm


def test_a_compiled_step_is_torchs_but_for_rounding():
    ours, theirs = net_of(), net_of()
    kept, reference = (Average(net, limit=0.999, use=True) for net in (ours, theirs))
    update = Update(groups_of(ours), kept, limit=1.0, device=CPU)
    plain = [{k: v for k, v in group.items() if k != "bound"} for group in groups_of(theirs)]
    optimizer = torch.optim.AdamW(plain, foreach=False, fused=False)
    for step in range(40):
        for net in (ours, theirs):
            set_gradients(net, step)
        norm = update.take(RATE, step)
        assert float(norm) == pytest.approx(float(by_torch(theirs, reference, optimizer, step)))
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(a.grad, b.grad, rtol=1e-5, atol=1e-9)
    assert float(ours[0].weight.detach().abs().max()) == pytest.approx(BOUND)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=2e-6)
        mine, other = update.optimizer.state[a], optimizer.state[b]
        assert float(mine["step"]) == float(other["step"]) == 40
        for name in ("exp_avg", "exp_avg_sq"):
            assert torch.allclose(mine[name], other[name], rtol=1e-4, atol=1e-8)
    for name, tensor in kept.tensors.items():
        assert torch.allclose(tensor, reference.tensors[name], rtol=0, atol=2e-6)


def test_both_ways_share_one_state():
    found = []
    for ways in ((True, False, True), (True, True, True)):
        net = net_of()
        update = Update(groups_of(net), Average(net, limit=0.9, use=True), limit=1.0, device=CPU)
        for step, compiled in enumerate(ways):
            set_gradients(net, step)
            update._plain = compiled
            update.take(RATE, step)
        found.append(list(net.parameters()))
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-6)


def test_without_an_average_the_weights_are_the_same():
    weights = []
    for use in (True, False):
        settings = settings_of(use_ema=use)
        task = ToyTask(settings)
        session = Session(task, settings)
        batches = task.batches(0)
        for _ in range(10):
            session.take_step(batches)
        weights.append([p.detach().clone() for p in task.net.parameters()])
    for a, b in zip(*weights, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-5)


def test_a_parameter_without_a_gradient_stays():
    net = net_of()
    before = net[1].bias.detach().clone()
    update = Update(groups_of(net), Average(net, limit=0.9, use=True), limit=1.0, device=CPU)
    set_gradients(net, 1)
    net[1].bias.grad = None
    update.take(RATE, 0)
    assert torch.equal(net[1].bias, before)
    assert not torch.equal(net[0].bias, net_of()[0].bias)


@pytest.mark.parametrize("found", [float("nan"), float("inf")])
def test_what_is_no_number_is_not_clamped_away(found):
    net = net_of()
    update = Update(groups_of(net), Average(net, limit=0.9, use=True), limit=1.0, device=CPU)
    set_gradients(net, 0)
    net[0].weight.grad[3, 4] = found
    assert not update.take(RATE, 0).isfinite()
    assert net[0].weight[3, 4].isnan()


def test_a_small_gradient_is_left_as_it_is():
    gradient = torch.nn.Parameter(torch.zeros(3))
    gradient.grad = torch.tensor([0.3, 0.0, 0.4])
    assert float(clip([gradient], 1.0)) == pytest.approx(0.5)
    assert gradient.grad.tolist() == pytest.approx([0.3, 0.0, 0.4])


def test_only_groups_with_a_bound_are_put_back():
    net = net_of()
    with torch.no_grad():
        net[0].weight[0, 0], net[0].weight[1, 1], net[0].bias[0] = 5.0, -5.0, 5.0
    put_back(torch.optim.AdamW(groups_of(net)))
    assert float(net[0].weight[0, 0].detach()) == pytest.approx(BOUND)
    assert float(net[0].weight[1, 1].detach()) == pytest.approx(-BOUND)
    assert float(net[0].bias[0].detach()) == 5.0
