"""Look at what the command line's own process must not load: numba, the compiled rules, torch.

`python -P -m ringrift.cli.checks.probes NAME [ARGUMENT]...` prints one JSON object. A probe may
crash or hang: its parent bounds it and reads what became of it.
"""

from __future__ import annotations

import importlib
import io
import json
import pickle
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MATRIX_SIZE = 256
ELF = b"\x7fELF"


def compile_cache(seconds: str) -> dict[str, Any]:
    """Read the files of the present sources' compile caches as numba does; run nothing of it.

    It ends after `seconds`, the rooms in the order of their imports: the rules come first.
    The parent sets `NUMBA_DISABLE_JIT`: the decorator would fail on a folder it cannot write.
    """
    from ringrift.rules import jitconf

    root = jitconf.cache_root()
    folders = [root / f"{room}-{jitconf.source_key(room)}" for room in jitconf.ROOMS]
    folders = [folder for folder in folders if folder.is_dir()]
    damaged: dict[str, str] = {}
    files = [path for folder in folders for path in sorted(folder.rglob("*.nb[ic]"))]
    deadline_s = time.monotonic() + float(seconds)
    read = 0
    for path in files:
        if time.monotonic() > deadline_s:
            break
        read += 1
        try:
            _read_cached(path)
        except Exception as error:  # noqa: BLE001 (flipped bytes make any error)
            what = str(error).partition("\n")[0] or type(error).__name__
            damaged[str(path)] = what[:120]
    return {
        "folder": str(root),
        "refused": _refused(root),
        "folders": [str(folder) for folder in folders],
        "files": len(files),
        "read": read,
        "damaged": damaged,
    }


def _read_cached(path: Path) -> None:
    import llvmlite.binding as llvm
    import numba

    file = io.BytesIO(path.read_bytes())
    if path.suffix == ".nbi":
        version = pickle.load(file)  # noqa: S301 (numba loads the same files)
        if not isinstance(version, str):
            raise TypeError("no version")
        if version == numba.__version__:
            _stamp, overloads = pickle.load(file)  # noqa: S301
            if not all(isinstance(name, str) for name in overloads.values()):
                raise TypeError("names of data files are no text")
        return
    library = pickle.load(file)[0]  # noqa: S301
    _name, kind, content = library
    if kind == "object":
        machine_code, bitcode = content
        if not machine_code.startswith(ELF):
            raise ValueError("no machine code")
        llvm.ObjectFileRef.from_data(machine_code)
        llvm.parse_bitcode(bitcode)


def _refused(folder: Path) -> str | None:
    """Return why no file can be made in `folder`; `None` if one can."""
    path = folder / f".doctor-{secrets.token_hex(6)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.unlink()
    except OSError as error:
        return error.strerror or str(error)
    return None


def perft(board: str, depth: str) -> dict[str, Any]:
    """Count the move sequences from the start, compiled or as `NUMBA_DISABLE_JIT` says."""
    from ringrift.rules import jitconf
    from ringrift.rules.perft import perft as count
    from ringrift.rules.position import Position

    return {"count": count(Position.start(board), int(depth)), "compiled": jitconf.COMPILED}


def compile_rule() -> dict[str, Any]:
    """Compile one small function with the rules' decorator, or load it from the cache."""
    from ringrift.rules.jitconf import rule

    def triangle(last):  # type: ignore[no-untyped-def] # numba takes the types from the call
        total = 0
        for number in range(last + 1):
            total += number
        return total

    compiled: Any = rule(triangle)
    result = int(compiled(100))
    return {"result": result, "loaded": sum(compiled.stats.cache_hits.values()) == 1}


def torch_facts() -> dict[str, Any]:
    """Import torch, name its devices and multiply two matrices on each of them."""
    torch: Any = importlib.import_module("torch")  # in this process of its own only

    facts: dict[str, Any] = {
        "version": torch.__version__,
        "cuda_build": torch.version.cuda,
        "driver": _driver(),
        "devices": [],
        "matrix_errors": {"cpu": _matrix_error(torch, "cpu")},
    }
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            found = torch.cuda.get_device_properties(index)
            with torch.cuda.device(index):
                bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
            facts["devices"].append(
                {
                    "name": found.name,
                    "memory_bytes": found.total_memory,
                    "capability": f"{found.major}.{found.minor}",
                    "bf16": bf16,
                }
            )
            device = f"cuda:{index}"
            facts["matrix_errors"][device] = _matrix_error(torch, device)
    return facts


def _matrix_error(torch: Any, device: str) -> float:
    """Return the greatest relative error of a float32 product against numpy's in float64."""
    import numpy as np

    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((2, MATRIX_SIZE, MATRIX_SIZE))
    torch.backends.cuda.matmul.allow_tf32 = False
    a = torch.tensor(left, dtype=torch.float32, device=device)
    b = torch.tensor(right, dtype=torch.float32, device=device)
    found = (a @ b).double().cpu().numpy()
    wanted = left @ right
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def _driver() -> str | None:
    """Return the version of NVIDIA's driver, `None` without one."""
    pynvml: Any = importlib.import_module("pynvml")  # it has no types

    try:
        pynvml.nvmlInit()
        version = pynvml.nvmlSystemGetDriverVersion()
        pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return None
    return version.decode() if isinstance(version, bytes) else str(version)


PROBES: dict[str, Callable[..., dict[str, Any]]] = {
    "cache": compile_cache,
    "perft": perft,
    "compile": compile_rule,
    "torch": torch_facts,
}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    sys.stdout.write(json.dumps(PROBES[name](*arguments)) + "\n")
