"""The net: one path for twelve configurations, and nothing outside the board matters."""

import numpy as np
import pytest
import torch

from ringrift.core.errors import UsageError
from ringrift.nets.encoder import GLOBALS, MASK_PLANE, PLANES, encode_batch, grid
from ringrift.nets.network import SIZES, Architecture, MaskedNorm, fresh_net, seat_values
from ringrift.rules import BOARDS, BoardSpec
from ringrift.rules.geometry import board_tables
from ringrift.rules.policy import policy_layout

from .sampling import positions

CONFIGS = [(board, players) for board in BOARDS for players in (2, 3, 4)]


def inputs(spec, count, *, size=None):
    height, width = size or grid(spec.board)
    planes = np.zeros((count, height, width, PLANES), np.float32)
    numbers = np.zeros((count, GLOBALS), np.float32)
    states = np.concatenate([p._states for p in positions(spec, count)])
    encode_batch(states, board_tables(spec), planes, numbers)
    return torch.from_numpy(planes).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(numbers)


def lively(spec, size="micro", seed=1):
    """Make a net whose outputs and statistics are far from those of a fresh one."""
    net = fresh_net(Architecture.of(spec.board, spec.players, size), seed=seed)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for layer in (net.policy_planes, net.policy_scalars, net.win, net.rank):
            if layer is not None:
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator))
        for module in net.modules():
            if isinstance(module, MaskedNorm):
                module.mean.copy_(0.2 * torch.randn(module.mean.shape, generator=generator))
                module.bias.copy_(0.5 * torch.randn(module.mean.shape, generator=generator))
    return net


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_one_path_runs_every_configuration(board, players):
    spec = BoardSpec.create(board, players)
    net = lively(spec).train()
    outputs = net(*inputs(spec, 3))
    height, width = grid(board)
    assert outputs.planes.shape == (3, len(policy_layout(board).planes), height, width)
    assert outputs.scalars.shape == (3, 9)
    assert outputs.win.shape == (3, players)
    values = seat_values(outputs)
    assert values.shape == (3, players)
    assert values.sum(1).abs().max() < 1e-5
    assert values.abs().max() <= 1 + 1e-6
    sum(o.sum() for o in outputs if o is not None).backward()
    grads = {n: p.grad for n, p in net.named_parameters()}
    assert [n for n, g in grads.items() if g is None or not g.abs().sum() > 0] == []


@pytest.mark.parametrize("board", ["hex8", "hexagonal"])
@pytest.mark.parametrize("training", [False, True])
def test_noise_outside_the_board_changes_nothing(board, training):
    spec = BoardSpec.create(board, 3)
    net = lively(spec).train(training)
    planes, numbers = inputs(spec, 4)
    off = planes[:, MASK_PLANE : MASK_PLANE + 1] == 0
    noisy = torch.where(off, torch.randn_like(planes) * 10, planes)
    noisy[:, MASK_PLANE] = planes[:, MASK_PLANE]
    with torch.no_grad():
        clean, dirty = net(planes, numbers), net(noisy, numbers)
    on = (~off).expand_as(clean.planes)
    assert (clean.planes - dirty.planes)[on].abs().max() < 1e-5
    for a, b in zip(clean[1:], dirty[1:], strict=True):
        assert (a - b).abs().max() < 1e-5


def test_padding_hex8_to_a_larger_grid_changes_nothing():
    spec = BoardSpec.create("hex8", 2)
    net = lively(spec).eval()
    with torch.no_grad():
        small = net(*inputs(spec, 4))
        large = net(*inputs(spec, 4, size=(25, 25)))
    on = inputs(spec, 1)[0][0, MASK_PLANE] > 0
    assert (small.planes - large.planes[:, :, :9, :9])[:, :, on].abs().max() < 1e-5
    assert (small.win - large.win).abs().max() < 1e-5
    assert (small.scalars - large.scalars).abs().max() < 1e-5


def test_masked_statistics_equal_those_of_the_cells_alone():
    torch.manual_seed(0)
    x, mask = torch.randn(5, 4, 9, 9), (torch.rand(1, 1, 9, 9) < 0.6).float().expand(5, 1, 9, 9)
    norm, plain = MaskedNorm(4).train(), MaskedNorm(4).train()
    y = norm(x, mask)
    cells = x.permute(0, 2, 3, 1)[mask[:, 0] > 0].reshape(-1, 4, 1, 1)
    z = plain(cells, None)
    assert torch.allclose(y.permute(0, 2, 3, 1)[mask[:, 0] > 0], z[:, :, 0, 0], atol=1e-5)
    assert torch.allclose(norm.variance, plain.variance, atol=1e-5)
    assert torch.allclose(norm.mean, plain.mean, atol=1e-6)


def test_hex_kernels_reach_the_six_neighbours_only():
    net = fresh_net(Architecture.of("hex8", 2, "micro"), seed=1)
    x = torch.zeros(1, PLANES, 9, 9)
    x[0, 0, 4, 4] = 1.0
    touched = net.stem(x)[0].abs().sum(0).nonzero().tolist()
    steps = {(x - 4, y - 4) for y, x in touched}
    assert steps == {(0, 0), (1, 0), (0, 1), (-1, 1), (-1, 0), (0, -1), (1, -1)}


def test_seed_names_the_weights_and_spares_the_global_generator():
    shape = Architecture.of("square8", 2, "micro")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    a, b, c = fresh_net(shape, seed=1), fresh_net(shape, seed=1), fresh_net(shape, seed=2)
    assert torch.rand(1) == expected
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.stem.weight, c.stem.weight)


def test_an_unknown_size_lists_the_known_ones():
    with pytest.raises(UsageError, match="micro, tiny, small, medium, large"):
        Architecture.of("square8", 2, "giant")
    assert SIZES["tiny"] == (4, 32)
