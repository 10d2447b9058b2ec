"""From gradients to the next weights: clipping, AdamW, bounds, average (training.md 5).

On a CPU one compiled pass does all of it but the norm, in half the time of torch's operations one
after the other, which are used elsewhere; the two agree but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ringrift.training.engine import update_kernel as kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ringrift.training.engine.averaging import Average

LEAST_NORM = 1e-6
"""Added to a norm that a gradient is divided by, as torch does."""


class Update:
    """Moves the parameters of `groups`, the arguments of AdamW and, where it has one, a `bound`.

    `optimizer` holds its state, whichever way is taken. Weights stay within -bound ... bound.
    """

    def __init__(
        self, groups: list[dict[str, Any]], average: Average, *, limit: float, device: torch.device
    ) -> None:
        self.optimizer = make_optimizer(groups, device)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self._average = average
        self._limit = limit
        self._views: list[_Views] = []
        self._plain = average.covers(self.parameters) and all(
            p.device.type == "cpu" and p.dtype == torch.float32 and p.is_contiguous()
            for p in self.parameters
        )

    def take(self, rate: float, step: int, scaler: torch.amp.GradScaler | None = None) -> Tensor:
        """Take step `step`, counted from 0, at a learning rate; return the gradient's norm.

        The norm is that before clipping; the gradients are left as they were used.
        """
        if self._plain and all(p.grad is not None for p in self.parameters):
            norm = gradient_norm(self.parameters)
            self._compiled(rate, step, float(norm))
            return norm
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if scaler is not None:
            scaler.unscale_(self.optimizer)
        norm = clip(self.parameters, self._limit)
        if scaler is None:
            self.optimizer.step()
        else:
            scaler.step(self.optimizer)
            scaler.update()
        put_back(self.optimizer)
        self._average.update(step)
        return norm

    def restored(self) -> None:
        """Take note that the state of the optimiser has other tensors."""
        self._views.clear()

    def _compiled(self, rate: float, step: int, norm: float) -> None:
        if not self._views:
            self._views = self._viewed()
        scale = 1.0 if norm <= self._limit else self._limit / (norm + LEAST_NORM)
        share = 1.0 - self._average.decay(step)
        for view in self._views:
            view.taken += 1.0
            taken, group = float(view.taken), view.group
            beta1, beta2 = group["betas"]
            numbers = np.array(
                (
                    scale,
                    rate * group["weight_decay"],
                    rate / (1.0 - beta1**taken),
                    (1.0 - beta2**taken) ** 0.5,
                    1.0 - beta1,
                    beta2,
                    1.0 - beta2,
                    group["eps"],
                    group.get("bound", np.inf),
                    share,
                ),
                np.float32,
            )
            gradient = view.parameter.grad
            assert gradient is not None
            kernel.move_weights(
                view.weight, _flat(gradient), view.first, view.second, view.average, numbers
            )

    def _viewed(self) -> list[_Views]:
        averages = self._average.of(self.parameters)
        found: list[_Views] = []
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                state = self.optimizer.state[parameter]
                if not state:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"] = torch.zeros_like(parameter, requires_grad=False)
                    state["exp_avg_sq"] = torch.zeros_like(parameter, requires_grad=False)
                found.append(
                    _Views(
                        group=group,
                        parameter=parameter,
                        taken=state["step"].numpy(),
                        weight=_flat(parameter.detach()),
                        first=_flat(state["exp_avg"]),
                        second=_flat(state["exp_avg_sq"]),
                        average=_flat(averages[len(found)]),
                    )
                )
        return found


@dataclass(slots=True)
class _Views:
    """The memory of a parameter and of what belongs to it, as `update_kernel` takes it."""

    group: dict[str, Any]
    parameter: Tensor
    taken: NDArray[np.float32]
    weight: NDArray[np.float32]
    first: NDArray[np.float32]
    second: NDArray[np.float32]
    average: NDArray[np.float32]


def make_optimizer(groups: list[dict[str, Any]], device: torch.device) -> torch.optim.AdamW:
    """Return AdamW over parameter groups, fused into one kernel a step."""
    return torch.optim.AdamW(groups, lr=0.0, fused=device.type in ("cpu", "cuda"))


def gradient_norm(parameters: list[Tensor]) -> Tensor:
    """Return the norm of all gradients together."""
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def clip(parameters: list[Tensor], limit: float) -> Tensor:
    """Scale the gradients so that their norm is at most `limit`; return the norm before.

    On a GPU looking at the norm would wait for it, so there every gradient is scaled, mostly by 1.
    """
    norm = gradient_norm(parameters)
    if norm.device.type != "cpu" or not norm <= limit:
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm


@torch.no_grad()
def put_back(optimizer: torch.optim.Optimizer) -> None:
    """Put the weights of groups with a bound back into it."""
    for group in optimizer.param_groups:
        if "bound" in group:
            torch._foreach_clamp_min_(group["params"], -group["bound"])
            torch._foreach_clamp_max_(group["params"], group["bound"])


def _flat(tensor: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = tensor.view(-1).numpy()
    return found
