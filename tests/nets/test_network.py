"""The net: one path for twelve configurations, and nothing outside the board matters."""

import pytest
import torch

from ringrift.core.errors import UsageError
from ringrift.nets.encoder import grid
from ringrift.nets.network import SIZES, Architecture, MaskedNorm, Scene, fresh_net, seat_values
from ringrift.nets.planes1 import MASK_AT, PLANES
from ringrift.rules import BOARDS, BoardSpec
from ringrift.rules.policy import policy_layout

from .sampling import encoded, positions

CONFIGS = [(board, players) for board in BOARDS for players in (2, 3, 4)]


def inputs(spec, count, *, size=None, encoder="planes1"):
    planes, numbers = encoded(positions(spec, count), encoder, size)
    return torch.from_numpy(planes).permute(0, 3, 1, 2), torch.from_numpy(numbers)


def lively(spec, size="micro", seed=1, encoder="planes1"):
    """Make a net whose outputs and statistics are far from those of a fresh one."""
    shape = Architecture.of(spec.board, spec.players, size, encoder=encoder)
    net = fresh_net(shape, seed=seed)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for layer in (net.policy_planes, net.policy_scalars, net.win, net.rank, net.owner):
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
    assert net(*inputs(spec, 3)).owner is None
    outputs = net(*inputs(spec, 3), auxiliary=True)
    height, width = grid(board)
    assert outputs.planes.shape == (3, len(policy_layout(board).planes), height, width)
    assert outputs.scalars.shape == (3, 9)
    assert outputs.win.shape == (3, players)
    assert outputs.owner.shape == (3, 5, height, width)
    assert outputs.margins.shape == (3, players, 3)
    values = seat_values(outputs)
    assert values.shape == (3, players)
    assert values.sum(1).abs().max() < 1e-5
    assert values.abs().max() <= 1 + 1e-6
    sum(o.sum() for o in outputs if o is not None).backward()
    grads = {n: p.grad for n, p in net.named_parameters()}
    assert [n for n, g in grads.items() if g is None or not g.abs().sum() > 0] == []


@pytest.mark.parametrize("board", ["hex8", "hexagonal"])
@pytest.mark.parametrize("encoder", ["planes1", "planes1-basic"])
@pytest.mark.parametrize("training", [False, True])
def test_noise_outside_the_board_changes_nothing(board, encoder, training):
    spec = BoardSpec.create(board, 3)
    net = lively(spec, encoder=encoder).train(training)
    planes, numbers = inputs(spec, 4, encoder=encoder)
    off = planes[:, -1:] == 0
    assert off.any()
    noisy = torch.where(off, torch.randn_like(planes) * 10, planes)
    noisy[:, -1] = planes[:, -1]
    with torch.no_grad():
        clean, dirty = (net(p, numbers, auxiliary=True) for p in (planes, noisy))
    on = ~off
    for a, b in zip(clean, dirty, strict=True):
        difference = (a - b).abs()
        if a.dim() == 4:
            difference = difference[on.expand_as(a)]
        assert difference.max() < 1e-5


@pytest.mark.parametrize("training", [False, True])
def test_padding_hex8_to_a_larger_grid_changes_nothing(training):
    spec = BoardSpec.create("hex8", 2)
    net = lively(spec).train(training)
    with torch.no_grad():
        small = net(*inputs(spec, 4))
        large = net(*inputs(spec, 4, size=(25, 25)))
    on = inputs(spec, 1)[0][0, MASK_AT] > 0
    assert (small.planes - large.planes[:, :, :9, :9])[:, :, on].abs().max() < 1e-5
    assert (small.win - large.win).abs().max() < 1e-5
    assert (small.scalars - large.scalars).abs().max() < 1e-5


def test_statistics_count_the_cells_of_the_board_alone():
    torch.manual_seed(0)
    x, mask = torch.randn(5, 4, 9, 9), (torch.rand(1, 1, 9, 9) < 0.6).float().expand(5, 1, 9, 9)
    norm, plain = MaskedNorm(4).train(), MaskedNorm(4).train()
    on = mask[:, 0] > 0
    y = norm(x, Scene(mask, on.flatten().nonzero()[:, 0])).permute(0, 2, 3, 1)
    cells = x.permute(0, 2, 3, 1)[on].reshape(-1, 4, 1, 1)
    z = plain(cells, None)
    assert torch.allclose(y[on], z[:, :, 0, 0], atol=1e-5)
    assert (y[~on] == 0).all()
    assert torch.allclose(norm.variance, plain.variance, atol=1e-5)
    assert torch.allclose(norm.mean, plain.mean, atol=1e-6)
    again = norm.eval()(x, Scene(mask, None)).permute(0, 2, 3, 1)
    expected = ((x.permute(0, 2, 3, 1) - norm.mean) * torch.rsqrt(norm.variance + 1e-4)).relu()
    assert torch.allclose(again[on], expected[on], atol=1e-5)
    assert (again[~on] == 0).all()


@pytest.mark.parametrize("players", [2, 3, 4])
def test_values_by_rank_or_by_win(players):
    spec = BoardSpec.create("square8", players)
    outputs = lively(spec)(*inputs(spec, 5))
    p = torch.softmax(outputs.win, 1)
    win, rank = seat_values(outputs, "win"), seat_values(outputs)
    assert torch.allclose(win, (players * p - 1) / (players - 1))
    assert win.sum(1).abs().max() < 1e-5
    if players == 2:
        assert torch.equal(win, rank)
        assert torch.allclose(rank, torch.stack((2 * p[:, 0] - 1, 1 - 2 * p[:, 0]), 1), atol=1e-6)
    else:
        q = torch.softmax(outputs.rank, 2) @ torch.linspace(1, -1, players)
        centred = q - q.mean(1, keepdim=True)
        assert (torch.sign(rank) == torch.sign(centred)).all()
        assert rank.abs().max() <= 1 + 1e-6


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
    with pytest.raises(UsageError, match="planes1, planes1-basic"):
        Architecture.of("square8", 2, "tiny", encoder="planes2")
    assert SIZES["tiny"] == (4, 32)
