"""The trainer of the convolutional net: one plain loop from samples to a model file.

On a CPU the same samples, options and parent give the same weights bit for bit, so a training that
was killed is simply run again and ends in the same model. The model file appears whole at the end;
a run folder holds `config.json` before the first step, `metrics.jsonl`, and `report.json` after.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ringrift.core.errors import NegativeResult, UsageError
from ringrift.core.files import write_atomic
from ringrift.nets.model_file import LoadedModel, load_model, save_model
from ringrift.nets.network import Architecture, MaskedNorm, Net, fresh_net
from ringrift.training.batches import Batch, Feed, Loss, loss_of, total
from ringrift.training.dataset import Samples, build_samples, window

if TYPE_CHECKING:
    from torch import Tensor

    from ringrift.records.store import GameStore
    from ringrift.rules.spec import BoardSpec

METRICS_EVERY = 50
FINAL_RATE = 0.01
"""The cosine ends at this share of the learning rate."""


class TrainingDiverged(NegativeResult):
    """A loss or gradient that is not finite; nothing was saved. `step` says where."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"{what} is not finite at step {step}", hint="a lower learning rate")
        self.step = step


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How to train; each field says its meaning and default (training.md 3, 5)."""

    steps: int
    """Optimiser steps."""
    seed: int = 42
    """Names the order of samples, their symmetries, and the weights where there is no parent."""
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    """AdamW; not on biases and norms."""
    warmup: float = 0.05
    """Share of the steps with linearly rising rate; then a cosine."""
    grad_clip: float = 1.0
    ema_decay: float = 0.999
    """Limit of the decay of averaged weights, which is min(limit, (1 + t) / (10 + t))."""
    policy_weight: float = 1.0
    value_weight: float = 1.0
    q_mix: float = 0.3
    augment: bool = True
    """Draw a symmetry of the board for each sample."""
    threads: int = 1
    """Torch threads; another number may round sums differently."""

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch_size", 2), ("threads", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}; expected at least {least}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One report of a running training: step of steps, mean losses since the last, speed."""

    step: int
    steps: int
    policy_loss: float
    policy_kl: float
    value_loss: float
    learning_rate: float
    grad_norm: float
    samples_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Mean losses over samples: policy cross-entropy and its excess over the targets' entropy."""

    samples: int
    policy_loss: float
    policy_kl: float
    value_loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What a training made."""

    model_path: Path
    model_id: str
    parent_id: str | None
    dataset_id: str
    games: int
    samples: int
    steps: int
    train: Scores
    validation: Scores | None
    seconds: float
    samples_per_s: float


OnProgress = Callable[[Progress], None]


def train(
    store: GameStore,
    spec: BoardSpec,
    *,
    options: TrainOptions,
    models: Path,
    run_folder: Path,
    parent: Path | None = None,
    size: str | None = None,
    games: int | None = None,
    after_seq: int = 0,
    up_to_seq: int | None = None,
    run: str | None = None,
    label: str | None = None,
    on_progress: OnProgress | None = None,
) -> TrainReport:
    """Train on the newest self-play games of `store` and write a model into `models`.

    The weights start from the model file `parent`, else fresh of `size`. The window is the newest
    `games` games (None: all) with `after_seq < seq <= up_to_seq`. Validation is the store's `val`
    split of the same range. Raises `NegativeResult` without samples, `ModelError` for an unfit
    parent, `TrainingDiverged`.
    """
    # By id: what is learned from a set of games must not depend on the order of their arrival.
    played, held = (
        sorted(
            window(
                store,
                spec,
                split=split,
                games=games,
                after_seq=after_seq,
                up_to_seq=up_to_seq,
                run=run,
            ),
            key=lambda game: game[0].id,
        )
        for split in ("train", "val")
    )
    samples = build_samples(played, spec, q_mix=options.q_mix, augment=options.augment)
    validation = build_samples(held, spec, q_mix=options.q_mix, augment=False) if held else None
    loaded = None if parent is None else load_model(parent, spec)
    net = _start_net(loaded, spec, size, options.seed)
    return train_net(
        net,
        samples,
        validation,
        options=options,
        models=models,
        run_folder=run_folder,
        parent=loaded,
        lineage={"games_upto": up_to_seq, "window_games": games, "run": run},
        label=label,
        on_progress=on_progress,
    )


def _start_net(loaded: LoadedModel | None, spec: BoardSpec, size: str | None, seed: int) -> Net:
    if loaded is not None:
        if size not in (None, loaded.net.architecture.size):
            found = loaded.net.architecture.size
            raise UsageError(f"model size {size!r}; the parent has {found!r}")
        return loaded.net
    if size is None:
        raise UsageError("a training without a parent needs a model size")
    return fresh_net(Architecture.of(spec.board, spec.players, size), seed=seed)


def train_net(
    net: Net,
    samples: Samples,
    validation: Samples | None,
    *,
    options: TrainOptions,
    models: Path,
    run_folder: Path,
    parent: LoadedModel | None = None,
    lineage: dict[str, Any] | None = None,
    label: str | None = None,
    on_progress: OnProgress | None = None,
) -> TrainReport:
    """Train `net` in place on `samples` and write the averaged weights as a model; see `train`."""
    run_folder.mkdir(parents=True, exist_ok=True)
    config = {
        "options": asdict(options),
        "config": samples.spec.config,
        "size": net.architecture.size,
        "parent": None if parent is None else parent.id,
        "dataset": samples.id,
        "games": len(samples.games),
        "samples": len(samples),
        "version": version("ringrift"),
        **(lineage or {}),
    }
    _write_json(run_folder / "config.json", config)
    started = time.monotonic()
    with _torch_threads(options.threads):
        session = Session(net, samples, options)
        with (run_folder / "metrics.jsonl").open("w", encoding="utf-8") as metrics:
            for progress in session.run():
                metrics.write(json.dumps(asdict(progress)) + "\n")
                metrics.flush()
                if on_progress is not None:
                    on_progress(progress)
        session.adopt_average()
        trained = scores(net, samples)
        checked = None if validation is None else scores(net, validation)
    seconds = time.monotonic() - started
    path = save_model(
        net,
        samples.spec,
        models,
        training={
            **{k: v for k, v in config.items() if k not in ("config", "size", "parent")},
            "losses": _rounded(trained),
            "validation": None if checked is None else _rounded(checked),
            "device": "cpu",
        },
        parents=() if parent is None else ({"id": parent.id, "role": "warm_start"},),
        label=label,
    )
    report = TrainReport(
        model_path=path,
        model_id=path.stem,
        parent_id=None if parent is None else parent.id,
        dataset_id=samples.id,
        games=len(samples.games),
        samples=len(samples),
        steps=options.steps,
        train=trained,
        validation=checked,
        seconds=seconds,
        samples_per_s=session.samples_seen / max(session.seconds, 1e-9),
    )
    _write_json(run_folder / "report.json", {**asdict(report), "model_path": str(path)})
    return report


class Session:
    """The state of one training: net, averaged weights, optimiser, schedule, step."""

    def __init__(self, net: Net, samples: Samples, options: TrainOptions) -> None:
        self.net = net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.feed = Feed(samples)
        self.options = options
        self.step = 0
        self.samples_seen = 0
        self.seconds = 0.0
        self.optimizer = torch.optim.AdamW(parameter_groups(net, options), lr=0.0)
        self._state = [t for t in net.state_dict().values() if t.is_floating_point()]
        self._average = [t.detach().clone() for t in self._state]

    def learning_rate(self, step: int) -> float:
        """Return the rate of a step, counted from 0: linear warm-up, then a cosine to 1 %."""
        o = self.options
        warm = max(1, round(o.warmup * o.steps))
        if step < warm:
            return o.learning_rate * (step + 1) / warm
        share = (step - warm) / max(1, o.steps - warm)
        cosine = 0.5 * (1.0 + math.cos(math.pi * share))
        return o.learning_rate * (FINAL_RATE + (1.0 - FINAL_RATE) * cosine)

    def batches(self) -> Iterator[Batch]:
        """Yield batches epoch after epoch, without end."""
        epoch = 0
        while True:
            yield from self.feed.epoch(self.options.batch_size, seed=self.options.seed, epoch=epoch)
            epoch += 1

    def run(self) -> Iterator[Progress]:
        """Train all steps; yield a report every fifty and at the end."""
        window_losses: list[Loss] = []
        began = time.monotonic()
        seen = 0
        for batch in self.batches():
            loss, norm = self.train_step(batch)
            window_losses.append(loss)
            seen += len(batch.planes)
            done = self.step == self.options.steps
            if done or self.step % METRICS_EVERY == 0:
                elapsed = time.monotonic() - began
                self.samples_seen += seen
                self.seconds += elapsed
                mean = _mean(window_losses, seen)
                yield Progress(
                    step=self.step,
                    steps=self.options.steps,
                    policy_loss=mean.policy_loss,
                    policy_kl=mean.policy_kl,
                    value_loss=mean.value_loss,
                    learning_rate=self.learning_rate(self.step - 1),
                    grad_norm=norm,
                    samples_per_s=seen / max(elapsed, 1e-9),
                )
                window_losses, seen, began = [], 0, time.monotonic()
            if done:
                return

    def train_step(self, batch: Batch) -> tuple[Loss, float]:
        """Take one optimiser step; return the loss and the gradient norm before clipping."""
        o = self.options
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(self.step)
        loss = loss_of(self.net, batch)
        objective = total(loss, policy_weight=o.policy_weight, value_weight=o.value_weight)
        if not math.isfinite(objective.item()):
            raise TrainingDiverged(self.step, "the loss")
        self.optimizer.zero_grad(set_to_none=True)
        objective.backward()
        norm = clip(self.net, o.grad_clip)
        if not math.isfinite(norm):
            raise TrainingDiverged(self.step, "the gradient")
        self.optimizer.step()
        self._update_average()
        self.step += 1
        return detached(loss), norm

    def _update_average(self) -> None:
        decay = min(self.options.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self._average, self._state, 1.0 - decay)

    def adopt_average(self) -> None:
        """Put the averaged weights into the net."""
        with torch.no_grad():
            for live, average in zip(self._state, self._average, strict=True):
                live.copy_(average)
        self.net.eval()


def parameter_groups(net: Net, options: TrainOptions) -> list[dict[str, Any]]:
    """Split the parameters into those that decay and those that do not: biases and norms."""
    norms = {id(p) for m in net.modules() if isinstance(m, MaskedNorm) for p in m.parameters()}
    decayed = [p for p in net.parameters() if p.dim() > 1 and id(p) not in norms]
    kept = [p for p in net.parameters() if p.dim() <= 1 or id(p) in norms]
    return [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]


def clip(net: Net, limit: float) -> float:
    """Scale the gradients so that their norm is at most `limit`; return the norm before."""
    return float(torch.nn.utils.clip_grad_norm_(net.parameters(), limit))


def detached(loss: Loss) -> Loss:
    """Return the sums without the graph they came from."""
    return Loss(*(getattr(loss, name).detach() for name in Loss.__slots__))


def scores(net: Net, samples: Samples, *, batch_size: int = 512) -> Scores:
    """Return the mean losses of `net` over `samples`, without symmetries."""
    was_training = net.training
    net.eval()
    with torch.inference_mode():
        losses = [loss_of(net, batch) for batch in Feed(samples).in_order(batch_size)]
    net.train(was_training)
    return _mean(losses, len(samples))


def _mean(losses: list[Loss], samples: int) -> Scores:
    def summed(name: str) -> float:
        parts: list[Tensor] = [getattr(loss, name) for loss in losses]
        return float(torch.stack(parts).sum())

    policy_weight = max(summed("policy_weight"), 1e-6)
    policy = summed("policy") / policy_weight
    return Scores(
        samples=samples,
        policy_loss=policy,
        policy_kl=policy - summed("entropy") / policy_weight,
        value_loss=summed("value") / max(summed("value_weight"), 1e-6),
    )


def _rounded(s: Scores) -> dict[str, Any]:
    return {k: v if isinstance(v, int) else float(f"{v:.6g}") for k, v in asdict(s).items()}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    text = json.dumps(value, indent=1, sort_keys=True, default=str)
    write_atomic(path, text.encode() + b"\n")


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
