"""The checks `GPU`, `net` and `pipeline`: a small piece of each computation that a training needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ringrift.nets.network import Architecture, fresh_net
from ringrift.nets.nnue import forward, network, reference
from ringrift.nets.nnue.evaluator import NnueEvaluator
from ringrift.records.verify import verify
from ringrift.rules import BoardSpec, Position, parse_config
from ringrift.rules.geometry import board_tables
from ringrift.selfplay.generator import play_here, selfplay_plans
from ringrift.selfplay.plans import PlayJob
from ringrift.training.convnet.task import ConvTask
from ringrift.training.engine.session import Session, prepared
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.engine.tally import Tally, TrainingDiverged
from ringrift.training.measuring.positions import positions_of_games
from ringrift.training.preflight.model import Check, Context, Part, of_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ringrift.records.analysis import Analysis
    from ringrift.records.record import GameRecord
    from ringrift.training.samples.cnn import CnnBatch

SAMPLES = 32
POSITIONS = 64
SIMULATIONS = 4
AGENT = f"gumbel:eval=heuristic,m=4,sims={SIMULATIONS}"
MOST_PLIES = 300
LARGEST_DIFFERENCE = 0.05
"""Win probability of the float NNUE less the integer one (training.md 4)."""
_ROUNDING = 1e-5
_SIDE = 1024
_GREATEST_ERROR = 1e-2
"""A product in float32 on a device may use TF32."""
REINSTALL = "pip install --force-reinstall torch numba"
_GAME = "game"


def check_gpu(context: Context) -> Check:
    """Allocate on each CUDA device and compare one product with the CPU's."""
    if not torch.cuda.is_available():
        if context.require_gpu:
            remedy = "a machine with a CUDA device, or without --require-gpu"
            return Check(name="GPU", state="FAIL", found="no CUDA device", remedy=remedy)
        return Check(name="GPU", state="ok", found="no CUDA device; none asked for")
    parts = []
    one = torch.rand(_SIDE, _SIDE, generator=torch.Generator().manual_seed(1))
    for number in range(torch.cuda.device_count()):
        name = torch.cuda.get_device_name(number)
        there = one.to(f"cuda:{number}")
        error = float(((there @ there).cpu() - one @ one).abs().max() / _SIDE)
        wrong = not error < _GREATEST_ERROR
        parts.append(Part("FAIL" if wrong else "ok", f"{name}: error {error:.0e}", REINSTALL))
    return of_parts("GPU", parts, limit=f"error {_GREATEST_ERROR:g}")


# --- net


def check_net(context: Context) -> Check:
    """Take one optimiser step of a small net on 32 samples; compare float and integer NNUE."""
    spec = small_spec(context)
    game = context.notes.get(_GAME) or play_one(spec)
    context.notes[_GAME] = game
    parts = [*_step(spec, [game]), *_nnue(spec)]
    limit = f"finite loss on {SAMPLES} samples; NNUE within {LARGEST_DIFFERENCE:g}"
    return of_parts("net", parts, limit=limit)


def small_spec(context: Context) -> BoardSpec:
    """Return the configuration of the run with the fewest cells and players."""
    specs = [BoardSpec.create(*parse_config(config)) for config in context.configs]
    return min(specs or [BoardSpec.create("square8")], key=lambda s: (s.cells, s.players))


def _step(spec: BoardSpec, games: list[tuple[GameRecord, Analysis]]) -> list[Part]:
    table = positions_of_games(games, spec).table
    size = min(SAMPLES, len(table))
    table = table.take(np.arange(size))
    settings = TrainSettings(steps=1, batch_size=size, symmetries="none")
    net = fresh_net(Architecture.of(spec.board, spec.players, "tiny"), seed=1)
    task = ConvTask.of(table, table.take(np.zeros(0, np.int64)), settings, net=net)
    before = [p.detach().clone() for p in net.parameters()]
    tally = Tally()
    try:
        with prepared(settings):
            session: Session[CnnBatch] = Session(task, settings)
            session.take_step(task.batches(0))
            session.readings.drain(tally)
    except TrainingDiverged as error:
        return [Part("FAIL", error.message, REINSTALL)]
    losses = tally.losses()
    total = (losses["policy"] or 0.0) + (losses["value"] or 0.0)
    norm = tally.grad_norm or 0.0
    if all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)):
        return [Part("FAIL", f"loss {total:.3g}, gradient {norm:.3g}, weights stayed", REINSTALL)]
    return [Part("ok", f"loss {total:.2f}, gradient {norm:.2f} on {size} samples")]


def _nnue(spec: BoardSpec) -> list[Part]:
    """Compare compiled integer inference with the reference, and that with the float weights."""
    shape = network.Shape(board=spec.board, players=spec.players, hidden=64, policy=True)
    floats = network.random_weights(shape, seed=1)
    integers = network.quantise(floats, shape)
    evaluator = NnueEvaluator(
        network.lay_out(integers, shape),
        spec,
        wide=integers["inputs.bias"].dtype == np.int32,
        prior="policy",
    )
    worst_float = worst_exact = 0.0
    for position in some_positions(spec, POSITIONS):
        state = position._states[0]  # noqa: SLF001 (the compiled form)
        inputs = [reference.active_inputs(state, spec, q) for q in range(1, spec.players + 1)]
        z = reference.outputs(
            integers, reference.layer_inputs(reference.accumulators(integers, inputs))
        )
        moves = position.legal_packed()
        offsets = np.array([0, len(moves)], np.int32)
        _, values = evaluator.evaluate(
            position._states,  # noqa: SLF001
            board_tables(spec),
            moves,
            offsets,
        )
        worst_exact = max(worst_exact, float(np.abs(values[0] - reference.values(z)).max()))
        exact = _softmax(z / forward.OUTPUT_SCALE)
        worst_float = max(
            worst_float, float(np.abs(_softmax(_float(floats, inputs)) - exact).max())
        )
    if worst_exact > _ROUNDING or worst_float > LARGEST_DIFFERENCE:
        found = f"NNUE: compiled differs by {worst_exact:.1g}, float by {worst_float:.2g}"
        return [Part("FAIL", found, REINSTALL)]
    return [Part("ok", f"NNUE float within {worst_float:.3f} of integer")]


def _float(weights: Mapping[str, NDArray[Any]], inputs: Sequence[Sequence[int]]) -> NDArray[Any]:
    """Return the logit of each seat as the float weights give it."""
    sums = np.stack(
        [weights["inputs.weight"][list(some)].sum(0) + weights["inputs.bias"] for some in inputs]
    )
    clipped = np.clip(sums, 0, 1)
    others = np.stack([np.delete(clipped, p, 0).max(0) for p in range(len(clipped))])
    x = np.concatenate((clipped, others), 1)
    for name in network.LAYER_NAMES[: network.LAYERS]:
        x = np.clip(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"], 0, 1)
    found: NDArray[Any] = (x @ weights["last.weight"].T + weights["last.bias"])[:, 0]
    return found


def _softmax(z: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(z - z.max())
    found: NDArray[Any] = powers / powers.sum()
    return found


def some_positions(spec: BoardSpec, count: int) -> list[Position]:
    """Return the first positions of random games."""
    rng, found = np.random.Generator(np.random.PCG64(1)), list[Position]()
    position = Position.of(spec)
    while len(found) < count:
        found.append(position.copy())
        position.play(int(rng.choice(position.legal_packed())))
        if position.is_over:
            position = Position.of(spec)
    return found


# --- pipeline


def check_pipeline(context: Context) -> Check:
    """Play one game by search, verify it, make samples of it; nothing is written."""
    spec = small_spec(context)
    record, analysis = context.notes.get(_GAME) or play_one(spec)
    context.notes[_GAME] = (record, analysis)
    verify(record, analysis)
    table = positions_of_games([(record, analysis)], spec).table
    searched = int(table.searched.sum())
    if searched != len(analysis.plies):
        found = f"{searched} searched samples of {len(analysis.plies)} searched plies"
        return Check(name="pipeline", state="FAIL", found=found, remedy="ringrift doctor")
    found = f"{spec.config}: {len(record.moves)} plies played, {len(table)} samples"
    return Check(name="pipeline", state="ok", found=found, limit=f"{SIMULATIONS} simulations")


def play_one(spec: BoardSpec) -> tuple[GameRecord, Analysis]:
    """Play one game of at most 300 plies at 4 simulations."""
    job = PlayJob(spec=spec, agents=(AGENT,), max_plies=MOST_PLIES, run="preflight")
    ((record, analyses),) = play_here(job, selfplay_plans(spec, [0], 1), games=1)
    return record, analyses[0]
