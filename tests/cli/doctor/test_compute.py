"""Numba, the rules, torch and the GPU: each planted defect shows on its line, and on no other."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ringrift.cli.checks import compute
from ringrift.cli.checks.compute import check_rules, check_torch
from ringrift.cli.checks.model import ProbeError, run_probe
from ringrift.cli.checks.runner import run_checks
from ringrift.cli.checks.table import ALL_CHECKS

from .conftest import PROBED, calm, probing

H100 = {"name": "NVIDIA H100", "memory_bytes": 80 << 30, "capability": "9.0", "bf16": True}
PACKS = "from ringrift.rules.moves import pack; print(pack(1, 2, 3, 4, 5))"


def child_environ(**changes):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, **{name: str(value) for name, value in changes.items()}}


def pack_in(folder):
    return subprocess.run(
        [sys.executable, "-c", PACKS],
        env=child_environ(NUMBA_CACHE_DIR=folder),
        capture_output=True,
        check=False,
    )


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A real compile cache with one rule in it."""
    folder = tmp_path_factory.mktemp("numba")
    assert pack_in(folder).returncode == 0
    assert len(list(folder.rglob("*.nbi"))) >= 1
    return folder


@pytest.fixture
def cache(compiled, tmp_path):
    return Path(shutil.copytree(compiled, tmp_path / "cache"))


def with_cache(machine, folder):
    """The healthy machine with the real look into a cache; the rest stays recorded."""

    def probe(name, *arguments, environ, timeout_s):
        if name == "cache":
            return run_probe(name, *arguments, environ=environ, timeout_s=timeout_s)
        return PROBED[name]

    return machine(probe=probe, environ=child_environ(NUMBA_CACHE_DIR=folder))


def flip(path, place):
    content = bytearray(path.read_bytes())
    at = place if isinstance(place, int) else content.index(place)
    content[at] ^= 0xFF
    path.write_bytes(content)


DAMAGES = {
    "a flipped byte in an index": lambda folder: flip(
        next(p for p in folder.rglob("*.nbi") if p.stat().st_size), 0
    ),
    "an empty index, as after a power cut": lambda folder: next(folder.rglob("*.nbi")).write_bytes(
        b""
    ),
    "a flipped byte in a data file": lambda folder: flip(next(folder.rglob("*.nbc")), 3),
    "a flipped byte in the machine code's header": lambda folder: flip(
        next(folder.rglob("*.nbc")), b"\x7fELF"
    ),
    "half a data file": lambda folder: os.truncate(next(folder.rglob("*.nbc")), 2000),
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_compile_cache(machine, only, cache, damage):
    damage(cache)
    line = only(with_cache(machine, cache), "compile-cache")
    assert "1 of " in line.seen
    assert str(cache) in line.seen
    assert line.remedy.startswith("ringrift doctor --fix")


@pytest.mark.slow
def test_a_sound_cache_is_sound_and_another_source_s_folder_is_not_read(machine, bad_lines, cache):
    other = cache / "rules-0123456789abcdef"
    other.mkdir()
    (other / "x.nbi").write_bytes(b"nonsense")
    assert bad_lines(with_cache(machine, cache)) == []


@pytest.mark.slow
def test_a_cache_too_large_for_the_time_is_read_in_part_and_says_so(machine, cache):
    context = with_cache(machine, cache)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compute, "READING_S", -1.0)
        (line,) = [
            line
            for line in run_checks(context, ALL_CHECKS).findings
            if line.check == "compile-cache"
        ]
    assert line.state == "ok"
    assert re.match(r"0 of [1-9]\d* files in ", line.seen), line.seen


@pytest.mark.slow
def test_fix_removes_the_damaged_folder_alone_and_the_rules_compile_again(machine, cache):
    """The reason for the check: with such an index every command that uses the rules ends."""
    sound = cache / "records-0123456789abcdef"
    sound.mkdir()
    (sound / "kept.nbi").write_bytes(b"")
    DAMAGES["a flipped byte in an index"](cache)
    assert pack_in(cache).returncode != 0
    report = run_checks(with_cache(machine, cache), ALL_CHECKS, repair=True)
    assert report.healthy
    assert len(report.repaired) == 1
    assert "removed the compile cache" in report.repaired[0]
    assert [path.name for path in cache.iterdir()] == [sound.name]
    assert (sound / "kept.nbi").exists()
    assert pack_in(cache).returncode == 0


def test_fix_removes_what_goes_wrong_only_when_it_runs(machine, tmp_path):
    """A flipped byte inside the machine code: no file looks wrong, the count is."""
    folder = tmp_path / "rules-of-this-source"
    folder.mkdir()

    def probe(name, *_, environ, timeout_s):
        if name == "cache":
            return {**PROBED["cache"], "folders": [str(folder)] if folder.exists() else []}
        if name == "perft" and folder.exists() and "NUMBA_DISABLE_JIT" not in environ:
            return {"count": 3190, "compiled": True}
        return PROBED[name]

    context = machine(probe=probe)
    (_, line) = check_rules(context)
    assert (line.check, line.state) == ("perft", "fail")
    report = run_checks(context, ALL_CHECKS, repair=True)
    assert report.healthy
    assert report.repaired == (f"removed the compile cache {folder}",)
    assert not folder.exists()


@pytest.mark.slow
def test_a_cache_folder_that_cannot_be_made(machine, only, tmp_path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "numba"
    line = only(with_cache(machine, folder), "compile-cache")
    assert line.seen == f"cannot write {folder}: Not a directory"
    assert "NUMBA_CACHE_DIR" in line.remedy


@pytest.mark.slow
def test_the_plain_rules_really_count_what_is_known(machine):
    context = replace(machine(probe=run_probe, environ=child_environ()), quick=True)
    (_, line) = check_rules(context)
    assert line.state == "ok"
    assert "3,192 sequences (plain rules)" in line.seen


@pytest.mark.slow
def test_a_wrong_count_is_a_failure(machine, only):
    def probe(name, *arguments, environ, timeout_s):
        if name == "perft":
            return run_probe(name, *arguments, environ=environ, timeout_s=timeout_s)
        return PROBED[name]

    context = machine(probe=probe, known_perft=3193, environ=child_environ())
    line = only(replace(context, quick=True), "perft")
    assert "3,192" in line.seen
    assert "3,193 are right" in line.seen


def test_compiled_rules_that_crash_are_a_failure(machine, only):
    crashed = probing(perft=ProbeError("the process ended by signal 11"))
    line = only(machine(probe=crashed), "perft")
    assert "signal 11" in line.seen
    assert "--fix" in line.remedy


def test_a_cold_cache_on_a_slow_machine_is_a_warning_after_the_plain_count(machine, only):
    def probe(name, *_, environ, timeout_s):
        if name == "perft" and "NUMBA_DISABLE_JIT" not in environ:
            raise ProbeError(f"no answer within {timeout_s:.0f} s")
        return PROBED[name]

    line = only(machine(probe=probe), "perft", "warn")
    assert "(plain rules); compiling took longer" in line.seen


def test_damage_keeps_the_compiled_rules_from_being_run(machine, bad_lines):
    seen = []

    def probe(name, *_, environ, timeout_s):
        seen.append((name, "NUMBA_DISABLE_JIT" in environ))
        if name == "cache":
            return {**PROBED["cache"], "files": 3, "read": 3, "damaged": {"/c/x.nbi": "bad"}}
        return PROBED[name]

    assert [line.check for line in bad_lines(machine(probe=probe))] == ["compile-cache"]
    assert ("perft", True) in seen
    assert ("perft", False) not in seen


@pytest.mark.slow
def test_numba_really_compiles_and_loads(tmp_path):
    environ = child_environ(NUMBA_CACHE_DIR=tmp_path)
    first, second = (run_probe("compile", environ=environ, timeout_s=60) for _ in range(2))
    assert first == {"result": 5050, "loaded": False}
    assert second == {"result": 5050, "loaded": True}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ProbeError("ImportError: libllvm.so"), "cannot compile: ImportError: libllvm.so"),
        ({"result": 5050, "loaded": False}, "not found in its cache"),
        ({"result": 5049, "loaded": True}, "compiled code is wrong"),
    ],
)
def test_a_numba_that_does_not_compile_or_cache(machine, only, answer, words):
    line = only(machine(probe=probing(compile=answer)), "numba")
    assert words in line.seen
    assert "numba" in line.remedy


def test_rules_that_run_uncompiled_are_a_warning(machine, only):
    environ = {**machine().environ, "NUMBA_DISABLE_JIT": "1"}
    assert "uncompiled" in only(machine(environ=environ), "numba", "warn").seen


@pytest.mark.slow
def test_a_torch_that_cannot_be_imported(machine, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libc10.so: cannot open')\n")
    environ = child_environ(PYTHONPATH=tmp_path)
    (line,) = check_torch(machine(probe=run_probe, environ=environ))
    assert (line.check, line.state) == ("torch", "fail")
    assert "libc10.so" in line.seen
    assert "torch" in line.remedy


@pytest.mark.slow
def test_the_installed_torch_multiplies_right():
    facts = run_probe("torch", environ=child_environ(), timeout_s=60)
    assert 0 < facts["matrix_errors"]["cpu"] < 1e-5


def torch_with(**changes):
    return probing(torch={**PROBED["torch"], **changes})


def test_a_wrong_product(machine, only):
    line = only(
        machine(probe=torch_with(matrix_errors={"cpu": 3e-7, "cuda:0": 0.02})), "matrix-product"
    )
    assert "cuda:0 by 2.0e-02" in line.seen
    nan = torch_with(matrix_errors={"cpu": float("nan")})
    only(machine(probe=nan), "matrix-product")


def test_a_missing_gpu_fails_only_where_one_is_asked_for(machine, bad_lines, only):
    assert bad_lines(machine()) == []
    line = only(replace(machine(), gpu_required=True), "gpu")
    assert line.seen.startswith("no CUDA device")
    assert "GPU" in line.remedy


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"driver": "580.1"}, "torch 2.13.0 is for CPUs"),
        ({"driver": "450.1", "cuda_build": "13.0"}, "driver 450.1, torch for CUDA 13.0"),
    ],
)
def test_a_gpu_that_torch_cannot_use(machine, only, changes, words):
    context = machine(probe=torch_with(**changes))
    assert words in only(context, "gpu", "warn").seen
    assert words in only(replace(context, gpu_required=True), "gpu").seen


def test_a_gpu_is_named_with_driver_and_bf16(machine):
    probe = torch_with(
        cuda_build="13.0",
        driver="580.1",
        devices=[H100],
        matrix_errors={"cpu": 3e-7, "cuda:0": 4e-7},
    )
    context = replace(machine(probe=probe), gpu_required=True)
    lines = {line.check: line for line in check_torch(context)}
    assert {line.state for line in lines.values()} == {"ok"}
    assert lines["gpu"].seen == (
        "NVIDIA H100, 80 GiB, compute capability 9.0, bf16 yes; driver 580.1"
    )
    assert "cuda:0" in lines["matrix-product"].seen


def test_a_quick_run_asks_the_driver_instead_of_torch(machine, bad_lines):
    from ringrift.core.readings import Gpu

    context = replace(machine(probe=probing(torch=ProbeError("asked"))), quick=True)
    assert bad_lines(context) == []
    (line,) = bad_lines(replace(context, gpu_required=True))
    assert (line.check, line.state) == ("gpu", "fail")
    gpu = Gpu(index=0, name="NVIDIA H100", memory=None)
    facts = replace(context.facts, read=lambda path: calm(path, gpus=(gpu,)))
    assert bad_lines(replace(context, gpu_required=True, facts=facts)) == []


@pytest.mark.gpu
def test_the_gpu_of_this_machine_passes(machine):
    context = replace(machine(probe=run_probe, environ=dict(os.environ)), gpu_required=True)
    assert {line.state for line in check_torch(context)} == {"ok"}
