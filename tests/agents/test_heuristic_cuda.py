"""The heuristic evaluator on CUDA: it compiles without a device and agrees with the CPU on one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ringrift.agents import evaluation
from ringrift.agents.listing import scratch
from ringrift.agents.weights import shipped_profile
from ringrift.rules import BoardSpec
from ringrift.rules.geometry import board_tables
from ringrift.rules.jitconf import COMPILED

from .games import CONFIGURATIONS
from .sampled import sampled_states

cuda = pytest.importorskip("numba.cuda")
pytestmark = pytest.mark.skipif(not COMPILED, reason="plain mode compiles no kernels")


def ptxas() -> str | None:
    """Find the assembler that fits the compiler: of the CUDA packages, else on the path."""
    inside = [p for folder in sys.path for p in Path(folder).glob("nvidia/*/bin/ptxas")]
    return str(inside[0]) if inside else shutil.which("ptxas")


@pytest.mark.slow
def test_the_evaluator_compiles_to_ptx_and_assembles(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from numba.cuda import dispatcher

    from ringrift.agents.benchmarks import evaluation_gpu

    # Nested callees ask the current device for its version; there may be none.
    device = SimpleNamespace(compute_capability=(9, 0))
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: device)
    ptx, _ = cuda.compile_ptx(
        evaluation_gpu.k_evaluate.py_func, evaluation_gpu.signature(), cc=(9, 0)
    )
    source = tmp_path / "evaluate.ptx"
    source.write_text(ptx)
    assembler = ptxas()
    assert assembler, "ptxas comes with nvidia-cuda-nvcc of the dev extra"
    command = [assembler, "-arch=sm_90", str(source), "-o", str(tmp_path / "k.cubin")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_a_gpu_evaluates_as_the_cpu_does(board: str, players: int) -> None:
    from ringrift.agents.benchmarks import evaluation_gpu

    spec = BoardSpec.create(board, players)
    states, profile = sampled_states(spec, 2000, seed=5), shipped_profile(spec.config)
    for full in (True, False):
        weights = profile.effective(full=full)
        there = evaluation_gpu.evaluate_on_gpu(spec, states, weights, profile.gain)
        here = np.zeros((len(states), players))
        evaluation.evaluate_all(
            states, len(states), board_tables(spec), scratch(), weights, profile.gain, here
        )
        assert np.abs(here - there).max() < 1e-6
