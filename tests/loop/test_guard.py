"""The loop's guard: which reason does what, told once per change."""

import os
from types import SimpleNamespace

import pytest

from ringrift.core.emergency import halt, resume
from ringrift.loop.guard import LoopGuard


def verdict(resource, used=50.0):
    space = SimpleNamespace(total_bytes=8 << 30)
    return SimpleNamespace(
        resource=resource, reason=f"{resource} is critical", used=used, critical=80.0, space=space
    )


class Machine:
    def __init__(self):
        self.critical = ()
        self.memory = 50.0

    def verdicts(self):
        return [verdict("memory", self.memory)]

    def held(self):
        return [verdict(name) for name in self.critical]

    def must_stop(self):
        return [verdict(name) for name in self.critical if name in ("memory", "disk")]


@pytest.fixture
def scene(tmp_path):
    scene = SimpleNamespace(machine=Machine(), told=[], now=0.0, root=tmp_path)
    scene.guard = LoopGuard(
        watch=scene.machine,
        root=tmp_path,
        config="square8_2p",
        on_change=scene.told.append,
        clock=lambda: scene.now,
    )
    return scene


@pytest.mark.parametrize(
    ("critical", "ends"),
    [
        (["cpu"], False),
        (["load"], False),
        (["memory"], True),
        (["disk"], True),
        (["cpu", "disk"], True),
    ],
)
def test_cpu_and_load_hold_memory_and_disk_end(scene, critical, ends):
    assert not scene.guard.hold()
    assert not scene.guard.must_end()
    scene.machine.critical = critical
    assert scene.guard.hold()
    assert scene.guard.must_end() is ends
    assert scene.told == [tuple(f"{name} is critical" for name in critical)]
    scene.machine.critical = ()
    assert not scene.guard.hold()
    assert scene.told[-1] == ()
    assert len(scene.told) == 2


def test_more_reasons_are_told_again_and_moving_numbers_are_not(scene):
    scene.machine.critical = ["cpu"]
    scene.guard.hold()
    scene.guard.hold()
    assert len(scene.told) == 1
    scene.machine.critical = ["cpu", "memory"]
    scene.guard.hold()
    assert len(scene.told) == 2


@pytest.mark.parametrize("config", [None, "square8_2p"])
def test_a_halt_file_ends_what_runs_and_its_removal_frees(scene, config):
    (scene.root / "data" / "coordination").mkdir(parents=True)
    halt(scene.root, reason="maintenance", by="ann", config=config)
    assert not scene.guard.hold() or scene.told  # looked at within half a second
    scene.now += 1
    assert scene.guard.must_end()
    ((told,),) = scene.told
    assert "maintenance" in told
    assert "ann" in told
    resume(scene.root, config)
    scene.now += 1
    assert not scene.guard.hold()


def test_the_halt_of_another_configuration_is_none_of_ours(scene):
    (scene.root / "data" / "coordination").mkdir(parents=True)
    halt(scene.root, reason="maintenance", by="ann", config="hex8_2p")
    assert not scene.guard.hold()


def test_ended_workers_come_back_only_when_there_is_room_for_them_again(scene, monkeypatch):
    gib = SimpleNamespace(memory_bytes=1 << 30)
    ours = os.getpid()
    monkeypatch.setattr("ringrift.loop.guard.tree", lambda roots: {ours: gib, 1: gib, 2: gib})
    scene.machine.critical = ["memory"]
    assert scene.guard.must_end()
    scene.guard.workers_end()  # two GiB are a quarter of the machine
    scene.machine.critical, scene.machine.memory = (), 60.0
    assert scene.guard.hold()
    assert not scene.guard.must_end()
    scene.machine.memory = 54.0
    assert not scene.guard.hold()
    scene.machine.memory = 79.0
    assert not scene.guard.hold()  # what has begun runs up to the limit itself


def test_each_look_at_the_machine_is_passed_on_once(scene):
    looks = []
    scene.guard.on_look = looks.append
    first = scene.machine.verdicts()
    scene.machine.verdicts = lambda: first
    scene.guard.hold()
    scene.guard.hold()
    assert looks == [first]
