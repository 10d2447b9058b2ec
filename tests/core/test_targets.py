"""Targets: tiers, aims and slots by the table of the document, on any machine."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift.core.limits import thread_budget
from ringrift.core.settings import Settings
from ringrift.core.targets import GB, Hardware, detect, slots_of, targets_of, tier_of

SETTINGS = Settings().resource_targets
GIB = 1 << 30


def machine(cpus, *gpus_gb, memory_gb=1000):
    return Hardware(
        cpus=cpus,
        memory_bytes=memory_gb * GB,
        gpu_memory_bytes=tuple(int(size * GB) for size in gpus_gb),
    )


@pytest.mark.parametrize(
    ("hardware", "tier"),
    [
        (machine(4, 80), "high_end"),
        (machine(4, 40), "high_end"),
        (machine(64), "high_end"),
        (machine(63.5, 39.9), "mid_tier"),
        (machine(8, 12), "mid_tier"),
        (machine(8, 4, 24), "mid_tier"),
        (machine(8, 11.9, 11.9), "low_tier"),
        (machine(8, 0), "low_tier"),
        (machine(63), "cpu_only"),
        (machine(2), "cpu_only"),
        (Hardware(cpus=8, memory_bytes=None, gpu_memory_bytes=(12 * GIB,)), "mid_tier"),
    ],
)
def test_the_largest_gpu_or_many_cpus_make_the_tier(hardware, tier):
    assert tier_of(hardware, SETTINGS) == tier


@pytest.mark.parametrize(
    ("hardware", "cpu", "gpu", "memory"),
    [
        (machine(32, 80), 75, 80, 65),
        (machine(32, 16), 70, 75, 60),
        (machine(32, 8), 65, 70, 55),
        (machine(32), 70, None, 60),
        (machine(64), 75, None, 65),
    ],
)
def test_the_tier_moves_the_targets(hardware, cpu, gpu, memory):
    aims = targets_of(hardware, SETTINGS).aims
    assert aims["cpu"].target == cpu
    assert aims["memory"].target == memory
    assert (aims["gpu"].target if "gpu" in aims else None) == gpu
    assert (aims["cpu"].minimum, aims["cpu"].maximum) == (60, 80)
    assert (aims["memory"].minimum, aims["memory"].maximum) == (40, 70)


def test_a_moved_target_stays_between_minimum_and_maximum():
    near = SETTINGS.model_copy(update={"cpu_target": 78.0, "memory_target": 69.0})
    aims = targets_of(machine(64, 80), near).aims
    assert (aims["cpu"].target, aims["memory"].target) == (80, 70)
    near = SETTINGS.model_copy(update={"cpu_target": 62.0})
    assert targets_of(machine(8, 8), near).aims["cpu"].target == 60


# min(tier maximum, max_jobs_per_node, max(min(2, thread budget), round(CPUs x 0.5 x factor)),
# memory / need), worked out by hand.
@pytest.mark.parametrize(
    ("hardware", "need_gb", "slots"),
    [
        (machine(1), 0, 1),
        (machine(2), 0, 2),
        (machine(4), 0, 2),
        (machine(16), 0, 4),
        (machine(60), 0, 15),
        (machine(63, 8), 0, 16),
        (machine(16, 8), 0, 6),
        (machine(16, 16), 0, 8),
        (machine(63, 16), 0, 32),
        (machine(16, 80), 0, 12),
        (machine(60, 80), 0, 45),
        (machine(128), 0, 48),
        (machine(16, memory_gb=8), 3, 2),
        (machine(16, memory_gb=8), 9, 0),
        (Hardware(cpus=16, memory_bytes=None), 9, 4),
        (machine(0.5), 0, 1),
    ],
)
def test_slots_by_the_formula(hardware, need_gb, slots):
    assert slots_of(hardware, SETTINGS, need_bytes=need_gb * GB) == slots


def test_the_node_maximum_and_the_jobs_per_core_are_settings():
    assert slots_of(machine(128), SETTINGS.model_copy(update={"max_jobs_per_node": 7})) == 7
    wide = SETTINGS.model_copy(update={"max_jobs_per_node": 500})
    assert slots_of(machine(128), wide) == 64, "the tier's own maximum"
    assert slots_of(machine(16), SETTINGS.model_copy(update={"jobs_per_core": 1.0})) == 8


@given(
    cpus=st.floats(0.1, 512),
    memory_bytes=st.none() | st.integers(0, 1 << 42),
    gpus=st.lists(st.integers(0, 200 * GB), max_size=4),
    need_bytes=st.integers(0, 1 << 40),
)
def test_slots_stay_within_every_bound(cpus, memory_bytes, gpus, need_bytes):
    hardware = Hardware(cpus=cpus, memory_bytes=memory_bytes, gpu_memory_bytes=tuple(gpus))
    targets = targets_of(hardware, SETTINGS, need_bytes=need_bytes)
    assert 0 <= targets.slots <= SETTINGS.max_jobs_per_node
    assert 0 <= targets.least <= min(2, targets.slots, targets.threads)
    assert targets.threads == thread_budget(cpus)
    assert ("gpu" in targets.aims) == bool(gpus)
    if need_bytes and memory_bytes is not None:
        assert targets.slots * need_bytes <= memory_bytes


def test_this_machine_is_detected_and_may_work():
    hardware = detect()
    assert hardware.cpus > 0
    assert hardware.memory_bytes is None or hardware.memory_bytes > 1 << 28
    assert targets_of(hardware, SETTINGS).slots >= 1


def test_importing_targets_is_light():
    script = (
        "import sys, ringrift.core.targets, ringrift.core.optimizer;"
        "print(sorted({'psutil', 'pynvml', 'simple_pid', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
