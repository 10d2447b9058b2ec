"""CUDA kernels: they compile without a device, agree with the CPU in the simulator and on a GPU."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ringrift.rules import BOARDS, BoardSpec, gpu
from ringrift.rules.cpu import core_count, random_playouts

CONFIGS = [f"{board}_{players}p" for board in BOARDS for players in (2, 3, 4)]
KERNELS = sorted(name for name in vars(gpu) if name.startswith("k_"))
SIGNATURES = {"k_playouts": gpu.signature}


def ptxas() -> str | None:
    """Find the assembler that fits the compiler: of the CUDA packages, else on the path."""
    inside = [p for folder in sys.path for p in Path(folder).glob("nvidia/*/bin/ptxas")]
    return str(inside[0]) if inside else shutil.which("ptxas")


def test_each_kernel_has_a_signature_to_compile_it_with():
    assert sorted(SIGNATURES) == KERNELS


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    # all of the rules in one kernel: 40 s
    [pytest.param(n, marks=pytest.mark.acceptance if n == "k_playouts" else ()) for n in KERNELS],
)
def test_kernel_compiles_to_ptx_and_assembles(name, monkeypatch, tmp_path):
    from numba import cuda
    from numba.cuda import dispatcher

    # Nested callees ask the current device for its version; there may be none.
    device = SimpleNamespace(compute_capability=(9, 0))
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: device)
    kernel = vars(gpu)[name]
    ptx, _ = cuda.compile_ptx(kernel.py_func, SIGNATURES[name](), cc=(9, 0))
    assert ".visible .entry" in ptx or ".visible .func" in ptx
    source = tmp_path / f"{name}.ptx"
    source.write_text(ptx)
    assembler = ptxas()
    assert assembler, "ptxas comes with nvidia-cuda-nvcc of the dev extra"
    done = subprocess.run(
        [assembler, "-arch=sm_90", str(source), "-o", str(tmp_path / "k.cubin")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_simulated_kernel_plays_the_same_games_as_compiled_rules():
    games, max_plies = 3, 60
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("simulate.py")),
            str(games),
            str(max_plies),
            *CONFIGS,
        ],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    simulated = json.loads(done.stdout)
    for config in CONFIGS:
        board, players = config.rsplit("_", 1)
        spec = BoardSpec.create(board, int(players[0]), rings_per_player=5)
        played = random_playouts(spec, games, seed=7, max_plies=max_plies)
        wanted = [played.winner, played.reason, played.plies, played.hash]
        assert simulated[config] == [column.tolist() for column in wanted], config


@pytest.mark.gpu
@pytest.mark.timeout(600)
@pytest.mark.skipif(not gpu.available(), reason="no CUDA device here")
@pytest.mark.parametrize("config", CONFIGS)
def test_gpu_plays_ten_thousand_games_as_the_cpu_does(config):
    board, players = config.rsplit("_", 1)
    spec = BoardSpec.create(board, int(players[0]))
    there = gpu.random_playouts(spec, 10_000, seed=1)
    here = random_playouts(spec, 10_000, seed=1, threads=core_count())
    for column in ("winner", "reason", "plies", "hash"):
        assert np.array_equal(getattr(there, column), getattr(here, column)), column
