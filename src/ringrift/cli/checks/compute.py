"""Check that Numba compiles, the rules count right, and torch and the GPU compute (`core.md` 11)."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.cli.checks.model import Check, Context, Finding, ProbeError, fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CACHE_PROBE_S = 15.0
QUICK_READING_S, READING_S = 0.4, 12.0
"""How long the files of a compile cache are read; hundreds of them are megabytes of machine code."""
PLAIN_PERFT_S = 10.0
COMPILED_PERFT_S = 38.0
"""A cold cache of the rules takes half a minute to fill on one core."""
COMPILE_PROBE_S = 15.0
TORCH_PROBE_S = 20.0
GREATEST_ERROR = 1e-5
"""A sum of 256 float32 products differs by some 3e-7 of the greatest value."""
DEPTH = 3

WRITABLE = "NUMBA_CACHE_DIR=DIR with a folder that you can write"
CLEAR = "ringrift doctor --fix, which empties the damaged cache folders"
EMPTY = "NUMBA_CACHE_DIR with an empty folder, else pip install --force-reinstall numba llvmlite"
REINSTALL = "pip install --force-reinstall numba llvmlite"


def check_rules(context: Context) -> Iterable[Finding]:
    """Look through the compile cache, then count perft of square8 with what is in it."""
    usable = False
    try:
        cache = _cache(context)
    except ProbeError as error:
        yield fail("compile-cache", f"cannot be read: {error}", EMPTY)
    else:
        found = _cache_finding(cache)
        usable = found.state == "ok"
        yield found
    yield _perft(context, compiled=usable and not context.quick)


def clear_damaged_caches(context: Context, found: Sequence[Finding]) -> Iterable[str]:
    """Remove the cache folders that hold a damaged file; Numba fills them again.

    Damage inside the machine code shows only when it runs: where the compiled rules go wrong and
    their source does not, all folders of this source are removed.
    """
    failed = {finding.check for finding in found if finding.state == "fail"}
    if not failed:
        return
    cache = _cache(context)
    folders: set[str] = set()
    if cache["damaged"]:
        folders = {
            folder
            for folder in cache["folders"]
            for path in cache["damaged"]
            if Path(path).is_relative_to(folder)
        }
    elif failed == {"perft"} and _perft(context, compiled=False).state == "ok":
        folders = set(cache["folders"])
    for folder in sorted(folders):
        shutil.rmtree(folder)
        yield f"removed the compile cache {folder}"


def _cache(context: Context) -> dict[str, Any]:
    environ = {**context.environ, "NUMBA_DISABLE_JIT": "1"}
    seconds = QUICK_READING_S if context.quick else READING_S
    return context.facts.probe("cache", str(seconds), environ=environ, timeout_s=CACHE_PROBE_S)


def _cache_finding(cache: dict[str, Any]) -> Finding:
    folder, damaged = cache["folder"], cache["damaged"]
    if cache["refused"]:
        return fail("compile-cache", f"cannot write {folder}: {cache['refused']}", WRITABLE)
    if damaged:
        path, what = next(iter(damaged.items()))
        count = f"{len(damaged)} of {cache['read']} files damaged"
        return fail("compile-cache", f"{count}: {path} ({what})", CLEAR)
    part = f"{cache['read']} of " if cache["read"] < cache["files"] else ""
    return ok("compile-cache", f"{part}{cache['files']} files in {folder}")


def _perft(context: Context, *, compiled: bool) -> Finding:
    """Count with the compiled rules if they are to be trusted, else with the same source."""
    note = ""
    if compiled:
        try:
            return _perft_finding(context, "compiled", COMPILED_PERFT_S, context.environ)
        except ProbeError as error:
            if "no answer" not in str(error):
                return fail("perft", f"the compiled rules failed: {error}", CLEAR)
            note = f"; compiling took longer than {COMPILED_PERFT_S:.0f} s"
    environ = {**context.environ, "NUMBA_DISABLE_JIT": "1"}
    try:
        found = _perft_finding(context, "plain", PLAIN_PERFT_S, environ)
    except ProbeError as error:
        return fail("perft", f"the rules failed: {error}", REINSTALL)
    if note and found.state == "ok":
        return warn("perft", found.seen + note, "again: what was compiled is kept")
    return found


def _perft_finding(context: Context, engine: str, timeout_s: float, environ: Any) -> Finding:
    answer = context.facts.probe(
        "perft", "square8", str(DEPTH), environ=environ, timeout_s=timeout_s
    )
    count, known = answer["count"], context.facts.known_perft
    seen = f"square8 to depth {DEPTH}: {count:,} sequences ({engine} rules)"
    if count != known:
        return fail(
            "perft",
            f"{seen}; {known:,} are right",
            CLEAR if engine == "compiled" else REINSTALL,
        )
    return ok("perft", seen)


def check_numba(context: Context) -> Iterable[Finding]:
    """Compile one function in an empty cache folder, then load it in another process."""
    with tempfile.TemporaryDirectory(prefix="ringrift-doctor-") as folder:
        environ = {**context.environ, "NUMBA_CACHE_DIR": folder}
        environ.pop("NUMBA_DISABLE_JIT", None)
        try:
            first, second = (
                context.facts.probe("compile", environ=environ, timeout_s=COMPILE_PROBE_S)
                for _ in range(2)
            )
        except ProbeError as error:
            yield fail("numba", f"cannot compile: {error}", REINSTALL)
            return
    if (first["result"], second["result"]) != (5050, 5050):
        yield fail("numba", f"compiled code is wrong: {first}, {second}", REINSTALL)
    elif not second["loaded"]:
        yield fail("numba", "compiled code is not found in its cache again", REINSTALL)
    elif context.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        yield warn("numba", "NUMBA_DISABLE_JIT is set: rules run uncompiled", "unsetting it")
    else:
        yield ok("numba", f"{context.facts.installed('numba')}: compiles, and loads what it cached")


def check_torch(context: Context) -> Iterable[Finding]:
    """Import torch in a process of its own; judge its devices and a product on each."""
    try:
        facts = context.facts.probe("torch", environ=context.environ, timeout_s=TORCH_PROBE_S)
    except ProbeError as error:
        yield fail("torch", f"cannot be imported: {error}", "pip install --force-reinstall torch")
        return
    build = f"for CUDA {facts['cuda_build']}" if facts["cuda_build"] else "for CPUs only"
    yield ok("torch", f"{facts['version']}, built {build}")
    yield _gpu(context, facts)
    yield _products(facts["matrix_errors"])


def _gpu(context: Context, facts: dict[str, Any]) -> Finding:
    devices, driver = facts["devices"], facts["driver"]
    if devices:
        names = ", ".join(
            f"{device['name']}, {device['memory_bytes'] / 2**30:.0f} GiB, compute capability "
            f"{device['capability']}, bf16 {'yes' if device['bf16'] else 'no'}"
            for device in devices
        )
        seen = f"{names}; driver {driver or 'unknown'}"
        return ok("gpu", seen)
    if driver is None:
        seen = "no CUDA device: NVIDIA's driver is not there"
        remedy = "a machine with an NVIDIA GPU and its driver"
    elif facts["cuda_build"] is None:
        seen = f"no CUDA device: driver {driver} is there, torch {facts['version']} is for CPUs"
        remedy = "a torch that is built for CUDA"
    else:
        seen = f"no CUDA device: driver {driver}, torch for CUDA {facts['cuda_build']}"
        remedy = f"a driver for CUDA {facts['cuda_build']}, or CUDA_VISIBLE_DEVICES"
    if context.gpu_required:
        return fail("gpu", seen, remedy)
    if driver is None:
        return ok("gpu", f"{seen}; not asked for")
    return warn("gpu", seen, remedy)


def _products(errors: dict[str, float]) -> Finding:
    wrong = [
        f"{device} by {error:.1e}" for device, error in errors.items() if not error < GREATEST_ERROR
    ]
    if wrong:
        return fail(
            "matrix-product",
            f"differs from float64: {', '.join(wrong)}",
            "another build of torch; on a GPU also its memory and power",
        )
    worst = max(errors.values())
    return ok("matrix-product", f"{', '.join(errors)}: relative error at most {worst:.0e}")


def check_gpu_quickly(context: Context) -> Iterable[Finding]:
    """Look for a device through NVIDIA's library, where a quick run is asked for a GPU."""
    if not (context.quick and context.gpu_required):
        return
    devices = context.facts.read(Path.cwd()).gpus
    if devices:
        yield ok("gpu", f"{', '.join(device.name for device in devices)}; torch was not asked")
    else:
        yield fail(
            "gpu",
            "no CUDA device: NVIDIA's driver names none",
            "a machine with an NVIDIA GPU and its driver",
        )


CHECKS = (
    Check(name="gpu", run=check_gpu_quickly, limit_s=3),
    Check(name="rules", run=check_rules, limit_s=55, fix=clear_damaged_caches),
    Check(name="numba", run=check_numba, limit_s=32, quick=False),
    Check(name="torch", run=check_torch, limit_s=22, quick=False),
)
