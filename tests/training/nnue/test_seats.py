"""What layers get of the accumulators: compiled and composed alike, with their gradients."""

import pytest
import torch

from ringrift.training.nnue.seats import composed, seat_inputs


@pytest.mark.parametrize("players", [2, 3, 4])
@pytest.mark.parametrize("unit", [1.0, 127.0])
def test_compiled_and_composed_are_the_same(players, unit):
    torch.manual_seed(players)
    found = []
    # whole steps, so that seats are level and units lie on their bounds
    raw = (torch.randn(5 * players, 16) * 4).round() * unit / 4
    upper = torch.randn(5, players, 32)
    for way in (seat_inputs, composed):
        sums, bias = raw.clone().requires_grad_(), torch.zeros(16, requires_grad=True)
        x = way(sums, bias + 0.25 * unit, players, unit=unit)
        x.backward(upper)
        found.append((x.detach(), sums.grad, bias.grad))
    for mine, theirs in zip(*found, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)
    assert (found[0][0] == unit).any()
    assert (found[0][0] == 0).any()


def test_what_is_not_finite_goes_through():
    sums = torch.full((2, 4), torch.nan)
    assert seat_inputs(sums, torch.zeros(4), 2, unit=1.0).isnan().all()
