"""The convolutional policy and value net (training.md 3): one architecture for every board.

`B` batch, `C` channels, `H`, `W` the grid of the board. Inputs are the planes and globals of one of
`encoders`, seen from the mover; outputs are in relative seats, the mover first. On hex boards the
two kernel corners that are no neighbours stay 0, and the mask keeps the cells outside the board out
of every sum: activations are masked before each convolution and each pooling, and the statistics
of the norms count cells of the board only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone knows)
from torch import Tensor, nn

from ringrift.core.errors import UsageError
from ringrift.nets.encoder import GLOBALS
from ringrift.nets.encoders import DEFAULT, encoder_named
from ringrift.rules.geometry import geometry
from ringrift.rules.policy import policy_layout

SIZES = {
    "micro": (2, 16),
    "tiny": (4, 32),
    "small": (6, 64),
    "medium": (10, 128),
    "large": (12, 192),
}
"""Residual blocks and channels of each `--model-size`."""

VALUE_WIDTH = 64
OWNERS = 5
"""Classes of a cell at the end of a game: nobody's territory, or that of relative seat 0 to 3."""
MARGINS = 3
"""Shares of a seat at the end of a game: territory, eliminated rings, rings in hand."""

ValueUtility = Literal["rank", "win"]
"""What the value of a seat is with three or four players: its expected rank, or its win."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Shape of a net, which determines every tensor, and how its values are read."""

    board: str
    players: int
    size: str
    blocks: int
    channels: int
    encoder: str = DEFAULT
    value_utility: ValueUtility = "rank"

    @classmethod
    def of(cls, board: str, players: int, size: str, *, encoder: str = DEFAULT) -> Architecture:
        """Return the architecture of a named size.

        Raises `UsageError` for an unknown size or encoder.
        """
        if size not in SIZES:
            raise UsageError(f"model size {size!r}; expected one of {', '.join(SIZES)}")
        blocks, channels = SIZES[size]
        return cls(
            board=board,
            players=players,
            size=size,
            blocks=blocks,
            channels=channels,
            encoder=encoder_named(encoder).id,
        )


class Outputs(NamedTuple):
    """What the net says of a batch, per relative seat r.

    `planes`: `[B, P, H, W]` and `scalars`: `[B, 9]` are policy logits; `win`: `[B, players]` logits
    of who wins; `rank`: `[B, players, players]` logits of the rank of each seat, 3-4 players only.
    What is learned beside the play is there when it was asked for: `owner`: `[B, 5, H, W]` logits
    of whose territory a cell becomes, `margins`: `[B, players, 3]`.
    """

    planes: Tensor
    scalars: Tensor
    win: Tensor
    rank: Tensor | None
    owner: Tensor | None
    margins: Tensor | None


class Scene(NamedTuple):
    """Where a batch has cells, on a board that does not fill its grid.

    `mask`: `[B, 1, H, W]`, 1 on the board; `rows`: `int64[B * cells]`, the indices of its cells in
    a tensor `[B * H * W, C]`, in training only.
    """

    mask: Tensor
    rows: Tensor | None


class MaskedNorm(nn.Module):
    """Batch normalisation whose statistics count the cells of the board only, then a ReLU."""

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-4) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.mean: Tensor
        self.variance: Tensor
        self.momentum = momentum
        self.eps = eps

    def forward(self, x: Tensor, scene: Scene | None) -> Tensor:
        """Return `x`: `[B, C, H, W]` normalised, at least 0, and 0 outside the board.

        In training the cells of the board are laid together, so that the fused kernel sees them
        alone; masked sums took two to seven times as long.
        """
        if scene is None or scene.rows is None:
            h = self._rectified(x)
            return h if scene is None else h * scene.mask
        batch, channels, height, width = x.shape
        flat = x.permute(0, 2, 3, 1).reshape(-1, channels)
        cells = self._rectified(flat.index_select(0, scene.rows))
        whole = torch.zeros_like(flat).index_copy_(0, scene.rows, cells)
        return whole.view(batch, height, width, channels).permute(0, 3, 1, 2)

    def _rectified(self, x: Tensor) -> Tensor:
        statistics = (self.mean, self.variance, self.weight, self.bias)
        y = F.batch_norm(x, *statistics, self.training, self.momentum, self.eps)
        return F.relu(y, inplace=True)


class Convolution(nn.Module):
    """A 3x3 convolution; on hex boards only over the six neighbours and the cell itself."""

    def __init__(self, inputs: int, outputs: int, *, hexagonal: bool, gain: float = 1.0) -> None:
        super().__init__()
        taps = 7 if hexagonal else 9
        self.hexagonal = hexagonal
        self.weight = nn.Parameter(
            torch.randn(outputs, inputs, 3, 3) * (gain * (2.0 / (inputs * taps)) ** 0.5)
        )
        # [dy + 1, dx + 1]: (1, 1) and (-1, -1) are no hex neighbours (rules.md 1.5)
        corners = torch.ones(3, 3)
        if hexagonal:
            corners[0, 0] = corners[2, 2] = 0.0
            with torch.no_grad():
                self.weight.mul_(corners)
        self.register_buffer("corners", corners, persistent=False)
        self.corners: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Convolve `x`: `[B, inputs, H, W]` with zero padding."""
        weight = self.weight * self.corners if self.hexagonal else self.weight
        return F.conv2d(x, weight, padding=1)


class Pool(nn.Module):
    """Global pooling: mean, mean x (width - 14) / 10, max over the cells of the board."""

    def __init__(self, board: str) -> None:
        super().__init__()
        g = geometry(board)
        self.cells = len(g.keys)
        self.width_factor = (g.size - 14) / 10

    def forward(self, h: Tensor) -> Tensor:
        """Pool `h`: `[B, C, H, W]`, not negative and 0 outside the board, to `[B, 3 C]`."""
        flat = h.flatten(2)
        mean = flat.sum(2) / self.cells
        return torch.cat((mean, mean * self.width_factor, flat.amax(2)), 1)


class Block(nn.Module):
    """A residual block: norm, ReLU, convolution, twice; every second adds its pooled input."""

    def __init__(self, architecture: Architecture, *, pooled: bool) -> None:
        super().__init__()
        c, hexagonal = architecture.channels, geometry(architecture.board).hex
        self.norm1 = MaskedNorm(c)
        self.conv1 = Convolution(c, c, hexagonal=hexagonal)
        self.norm2 = MaskedNorm(c)
        self.conv2 = Convolution(c, c, hexagonal=hexagonal, gain=architecture.blocks**-0.5)
        self.pool = Pool(architecture.board) if pooled else None
        self.bias = nn.Linear(3 * c, c, bias=False) if pooled else None

    def forward(self, x: Tensor, scene: Scene | None) -> Tensor:
        """Return `x`: `[B, C, H, W]` plus the branch."""
        h = self.norm1(x, scene)
        y = self.conv1(h)
        if self.pool is not None and self.bias is not None:
            y = y + self.bias(self.pool(h))[:, :, None, None]
        branch: Tensor = self.conv2(self.norm2(y, scene))
        return x + branch


class Net(nn.Module):
    """The whole net. A fresh one has random weights of torch's generator: see `fresh_net`."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        g = geometry(architecture.board)
        layout = policy_layout(architecture.board)
        c, players = architecture.channels, architecture.players
        encoder = encoder_named(architecture.encoder)
        self.architecture = architecture
        self.masked = len(g.keys) < g.size**2
        self.mask_plane = encoder.planes.index("mask")
        places = sorted((c[1] + g.radius, c[0] + g.radius) for c in g.coordinates)
        for name, axis in (("ys", 0), ("xs", 1)):
            numbers = torch.tensor([place[axis] for place in places])
            self.register_buffer(name, numbers, persistent=False)
        self.ys: Tensor
        self.xs: Tensor
        self.stem = Convolution(len(encoder.planes), c, hexagonal=g.hex)
        self.stem_globals = nn.Linear(GLOBALS, c)
        self.blocks = nn.ModuleList(
            Block(architecture, pooled=i % 2 == 1) for i in range(architecture.blocks)
        )
        self.norm = MaskedNorm(c)
        self.pool = Pool(architecture.board)
        self.policy = nn.Conv2d(c, c, 1, bias=False)
        self.policy_bias = nn.Linear(3 * c, c)
        self.policy_planes = nn.Conv2d(c, len(layout.planes), 1)
        self.policy_scalars = nn.Linear(3 * c, len(layout.scalars))
        self.value = nn.Linear(3 * c, VALUE_WIDTH)
        self.win = nn.Linear(VALUE_WIDTH, players)
        self.rank = nn.Linear(VALUE_WIDTH, players * players) if players > 2 else None
        self.owner = nn.Conv2d(c, OWNERS, 1)
        self.margins = nn.Linear(VALUE_WIDTH, players * MARGINS)
        self._soften()

    def _soften(self) -> None:
        """Start near the uniform policy and the even value."""
        heads = (self.win, self.rank, self.owner, self.margins)
        for layer in (self.policy_planes, self.policy_scalars, *heads):
            if layer is not None:
                nn.init.normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, planes: Tensor, numbers: Tensor, *, auxiliary: bool = False) -> Outputs:
        """Evaluate `planes`: `[B, planes of the encoder, H, W]` and `numbers`: `[B, GLOBALS]`.

        The mask is read from its plane; what other planes hold outside the board is of no effect.
        `auxiliary` asks for the outputs that only training uses.
        """
        scene = self._scene(planes) if self.masked else None
        if scene is not None:
            planes = planes * scene.mask
        x = self.stem(planes) + self.stem_globals(numbers)[:, :, None, None]
        for block in self.blocks:
            x = block(x, scene)
        h = self.norm(x, scene)
        pooled = self.pool(h)
        p = self.policy(h) + self.policy_bias(pooled)[:, :, None, None]
        p = F.relu(p, inplace=not torch.is_grad_enabled())
        v = F.relu(self.value(pooled))
        players = self.architecture.players
        return Outputs(
            planes=self.policy_planes(p),
            scalars=self.policy_scalars(pooled),
            win=self.win(v),
            rank=None if self.rank is None else self.rank(v).view(-1, players, players),
            owner=self.owner(h) if auxiliary else None,
            margins=self.margins(v).view(-1, players, MARGINS) if auxiliary else None,
        )

    def _scene(self, planes: Tensor) -> Scene:
        batch, _, height, width = planes.shape
        mask = planes[:, self.mask_plane : self.mask_plane + 1]
        if not self.training:
            return Scene(mask, None)
        places = self.ys * width + self.xs
        first = torch.arange(batch, device=planes.device) * (height * width)
        return Scene(mask, (first[:, None] + places).flatten())


def fresh_net(architecture: Architecture, *, seed: int) -> Net:
    """Make a net with random weights named by `seed`, leaving torch's generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Net(architecture)


def rank_values(players: int) -> Tensor:
    """Return the value of each rank: 1, ..., -1, evenly spaced (agents.md 2)."""
    return torch.linspace(1.0, -1.0, players)


def seat_values(outputs: Outputs, utility: ValueUtility = "rank") -> Tensor:
    """Return the value of each relative seat, `[B, players]`, in [-1, 1] with sum 0.

    Two players: 2 p - 1 and its negative. More: the expected rank value less its mean over seats,
    scaled down where that leaves the range: the seats' ranks are predicted apart from each other.
    With the utility `win` (n p - 1) / (n - 1) of n seats.
    """
    if outputs.rank is None or utility == "win":
        seats = outputs.win.shape[1]
        return (seats * torch.softmax(outputs.win, 1) - 1.0) / (seats - 1)
    ranks = torch.softmax(outputs.rank, 2)
    expected = ranks @ rank_values(ranks.shape[2]).to(ranks)
    centred = expected - expected.mean(1, keepdim=True)
    return centred / centred.abs().amax(1, keepdim=True).clamp(min=1.0)
