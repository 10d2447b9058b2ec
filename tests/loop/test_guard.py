"""The loop's guard: which reason does what, and when the loop may go on."""

from types import SimpleNamespace

import pytest

from ringrift.core.emergency import halt, resume
from ringrift.core.limits import State
from ringrift.loop.guard import ALL, LoopGuard

CONFIG, OTHER = "square8_2p", "hex8_2p"
GIB = 1 << 30


def verdict(resource, used=50.0, state=State.OK):
    space = SimpleNamespace(total_bytes=8 * GIB)
    words = f"{resource} is {state.name.lower()}"
    return SimpleNamespace(
        resource=resource, reason=words, used=used, critical=80.0, space=space, state=state
    )


class Machine:
    """A watch that says what the test wants."""

    def __init__(self):
        self.critical = ()
        self.warning = ()
        self.memory = 50.0

    def verdicts(self):
        warnings = [verdict(name, state=State.WARNING) for name in self.warning]
        return [verdict("memory", self.memory), *warnings]

    def held(self):
        return [verdict(name, state=State.CRITICAL) for name in self.critical]

    def must_stop(self):
        return [each for each in self.held() if each.resource in ("memory", "disk")]


@pytest.fixture
def scene(tmp_path):
    (tmp_path / "data" / "coordination").mkdir(parents=True)
    scene = SimpleNamespace(machine=Machine(), now=0.0, root=tmp_path, looks=[])
    scene.guard = LoopGuard(
        watch=scene.machine,
        root=tmp_path,
        configs=(CONFIG, OTHER),
        on_look=scene.looks.append,
        clock=lambda: scene.now,
    )

    def look():
        scene.now += 1
        return scene.guard.look()

    scene.look = look
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
    held = scene.look()
    assert (held.level, held.reasons, held.end) == ("ok", (), False)
    scene.machine.critical = critical
    held = scene.look()
    assert held.level == "critical"
    assert held.end is ends
    assert set(held.reasons) == {f"{name} is critical" for name in critical}
    scene.machine.critical = ()
    assert scene.look().level == "ok"


def test_a_warning_is_one_and_less_than_critical(scene):
    scene.machine.warning = ["cpu"]
    held = scene.look()
    assert (held.level, held.reasons, held.end) == ("warning", ("cpu is warning",), False)
    scene.machine.critical = ["disk"]
    assert scene.look().reasons == ("disk is critical",)


def test_a_look_is_half_a_second_old_at_most(scene):
    scene.look()
    scene.machine.critical = ["disk"]
    scene.now += 0.4
    assert scene.guard.look().level == "ok"
    scene.now += 0.2
    assert scene.guard.look().level == "critical"


@pytest.mark.parametrize(("config", "key"), [(None, ALL), (CONFIG, CONFIG)])
def test_a_halt_file_is_found_and_its_removal_too(scene, config, key):
    halt(scene.root, reason="maintenance", by="ann", config=config)
    held = scene.look()
    assert held.level == "ok"
    assert list(held.halted) == [key]
    assert "maintenance" in held.halted[key]
    assert "ann" in held.halted[key]
    resume(scene.root, config)
    assert scene.look().halted == {}


def test_the_halt_of_a_configuration_that_is_not_worked_on_is_none_of_ours(scene):
    halt(scene.root, reason="maintenance", by="ann", config="square19_2p")
    assert scene.look().halted == {}


def test_ended_workers_come_back_only_when_there_is_room_for_them_again(scene, monkeypatch):
    one = SimpleNamespace(memory_bytes=GIB)
    monkeypatch.setattr("ringrift.loop.guard.tree", lambda pids: dict.fromkeys(pids, one))
    scene.machine.critical = ["memory"]
    assert scene.look().end
    scene.guard.workers_end([1, 2])  # two GiB are a quarter of the machine
    scene.machine.critical, scene.machine.memory = (), 60.0
    held = scene.look()
    assert (held.level, held.end) == ("critical", False)
    assert "2.0 GiB for the workers are not free" in held.reasons[0]
    scene.machine.memory = 54.0
    assert scene.look().level == "ok"
    scene.machine.memory = 79.0
    assert scene.look().level == "ok"  # what has begun runs up to the limit itself


def test_each_look_at_the_machine_is_passed_on_once(scene):
    first = scene.machine.verdicts()
    scene.machine.verdicts = lambda: first
    scene.look()
    scene.look()
    assert scene.looks == [first]
