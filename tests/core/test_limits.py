"""The one table of thresholds: where each state begins, how much to leave out, the thread budget."""

import io
import re
import tokenize
from pathlib import Path

import pytest

from ringrift.core.limits import Limit, Resource, State, judge, limit_of, thread_budget, worst
from ringrift.core.readings import Gpu, Readings, Space
from ringrift.core.settings.limits import Limits

SOURCE = Path(__file__).parents[2] / "src" / "ringrift"

# core.md 5; the load's limit is for four CPUs.
TABLE = {
    "disk": (65, 70),
    "memory": (70, 80),
    "cpu": (70, 80),
    "gpu 0": (70, 80),
    "load": (None, 6.0),
}


def space(percent: float | None) -> Space | None:
    if percent is None:
        return None
    total = 100 << 30
    return Space(
        used_percent=percent,
        available_bytes=round(total * (100 - percent) / 100),
        total_bytes=total,
    )


def look(*, cpus=4.0, disk=1.0, memory=1.0, cpu=1.0, gpu=1.0, load=0.1, bound=None) -> Readings:
    return Readings(
        path=Path("/data"),
        cpus=cpus,
        disk=space(disk),
        memory=space(memory),
        cpu_percent=cpu,
        load=load,
        gpus=(Gpu(index=0, name="x", memory=space(gpu)),),
        bound=bound,
    )


def of(name: str, used: float | None, limits: Limits | None = None):
    found = judge(look(**{name.split(maxsplit=1)[0]: used}), limits or Limits())
    return next(verdict for verdict in found if verdict.name == name)


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("off", [-0.1, 0.0, 0.1])
def test_each_state_begins_at_its_limit(name, off):
    warning, critical = TABLE[name]
    at_critical = of(name, critical + off)
    below = State.OK if warning is None else State.WARNING
    assert at_critical.state is (State.CRITICAL if off >= 0 else below)
    assert at_critical.used == pytest.approx(critical + off)
    if warning is not None:
        assert of(name, warning + off).state is (State.WARNING if off >= 0 else State.OK)


def test_the_table_is_that_of_the_document():
    found = judge(look(), Limits())
    assert {verdict.name: (verdict.warning, verdict.critical) for verdict in found} == TABLE
    assert {verdict.state for verdict in found} == {State.OK}
    assert not any(verdict.limit.raised for verdict in found)


@pytest.mark.parametrize("name", TABLE)
def test_a_reading_that_failed_is_unknown_and_leaves_nothing_out(name):
    verdict = of(name, None)
    assert verdict.state is State.UNKNOWN
    assert verdict.degradation == 0
    assert "unknown" in verdict.reason


@pytest.mark.parametrize(
    ("percent", "degradation"),
    [(69.9, 0), (70, 1), (74.9, 1), (75, 2), (77.9, 2), (78, 3), (79.9, 3), (80, 4), (99, 4)],
)
def test_degradation_rises_in_steps(percent, degradation):
    assert of("memory", percent).degradation == degradation


def test_degradation_of_the_load_is_all_or_nothing():
    assert of("load", 5.99).degradation == 0
    assert of("load", 6).degradation == 4


def test_a_critical_lowered_alone_takes_the_warning_with_it():
    limits = Limits(disk_critical=10)
    assert of("disk", 9.9, limits).state is State.OK
    assert of("disk", 9.9, limits).degradation == 0
    assert of("disk", 10, limits).state is State.CRITICAL
    assert of("disk", 10, limits).warning == 10


def test_100_percent_switches_the_cpus_off_and_nothing_else():
    assert of("cpu", 100, Limits(cpu_critical=100)).state is State.OK
    assert of("cpu", 100, Limits(cpu_critical=100)).degradation == 0
    assert of("cpu", 99.9, Limits(cpu_critical=99.9)).state is State.CRITICAL
    assert of("memory", 100, Limits(memory_critical=100)).state is State.CRITICAL


def test_values_above_the_table_are_marked():
    def raised(**values):
        found = judge(look(), Limits(**values))
        return {verdict.name for verdict in found if verdict.limit.raised}

    assert raised(memory_critical=80.1) == {"memory"}
    assert raised(disk_warning=66) == {"disk"}
    assert raised(load_critical_multiplier=1.6) == {"load"}
    assert raised(gpu_critical=90, cpu_critical=20) == {"gpu 0"}


def test_a_verdict_names_place_reading_limit_and_key():
    disk = of("disk", 71.26)
    assert disk.reason == "71.3 % of the disk in use, limit 70 %"
    assert (disk.path, disk.key) == (Path("/data"), "limits.disk_critical")
    assert of("disk", 65.9).reason == "65.9 % of the disk in use, warning from 65 %"
    assert of("load", 7).reason == "load of others 7.00 on 4 CPUs, limit 6"
    assert of("load", 7).key == "limits.load_critical_multiplier"
    assert of("cpu", 91).reason == "others use 91.0 % of the CPUs, limit 80 %"
    assert of("gpu 0", 91).reason == "91.0 % of GPU 0's memory in use, limit 80 %"
    inside = judge(look(memory=50, bound=Path("/sys/fs/cgroup/x")), Limits())[1]
    assert inside.reason == "50.0 % of the container's memory in use, limit 80 %"
    assert inside.path == Path("/sys/fs/cgroup/x")


def test_the_gravest_state_counts_and_failed_readings_do_not():
    assert worst(judge(look(), Limits())) is State.OK
    assert worst(judge(look(disk=None), Limits())) is State.OK
    assert worst(judge(look(disk=None, memory=75), Limits())) is State.WARNING
    assert worst(judge(look(cpu=90, memory=75), Limits())) is State.CRITICAL
    assert worst(()) is State.UNKNOWN


def test_held_work_goes_on_two_points_below_critical():
    assert limit_of(Resource.MEMORY, Limits(), cpus=4).release == 78
    assert limit_of(Resource.LOAD, Limits(), cpus=4).release == pytest.approx(6 - 0.08)
    assert isinstance(limit_of(Resource.CPU, Limits(), cpus=1), Limit)


@pytest.mark.parametrize(
    ("cpus", "threads"),
    [(0.3, 1), (0.5, 1), (1, 1), (1.5, 1), (2, 2), (2.2, 2), (3, 2), (4, 3), (5, 4), (8, 6), (10, 8),
     (15, 12), (16, 12), (64, 51), (100, 80), (192, 153)],
)  # fmt: skip
def test_the_thread_budget_is_all_up_to_two_then_four_fifths(cpus, threads):
    assert thread_budget(cpus) == threads


def test_the_thread_budget_is_of_this_machine_by_default():
    from ringrift.core.cgroups import available_cpus

    assert thread_budget() == thread_budget(available_cpus())
    budgets = [thread_budget(cpus / 10) for cpus in range(1, 400)]
    assert budgets == sorted(budgets)


THRESHOLD = re.compile(r"0?\.(65|7|70|8|80)|(65|70|80)(\.0)?")
ABOUT = re.compile(
    r"disk|memory|\bcpus?\b|\bgpus?\b|\bload\b|percent|critical|warning", re.IGNORECASE
)


def stray_numbers(text: str) -> list[tuple[int, str]]:
    """Lines of code that hold one of the table's numbers beside one of its words."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NUMBER and THRESHOLD.fullmatch(token.string):
            code = token.line.partition("#")[0]
            if ABOUT.search(code):
                found.append((token.start[0], token.line.strip()))
    return found


def test_the_check_for_stray_numbers_sees_them():
    assert stray_numbers("if memory.percent > 80: pass\n")
    assert stray_numbers("CPU_CRITICAL = 0.8\n")
    assert stray_numbers("DISK_WARNING = 65.0  # limit\n")
    assert not stray_numbers('"""80 % of memory"""\nwidth = 80\nexit_code = 70  # disk\n')


def test_no_other_module_has_thresholds_of_its_own():
    # The targets and tiers of core.md 8 are aims below the limits and stand in the settings too.
    homes = {path for path in SOURCE.joinpath("core").rglob("*.py") if "settings" in str(path)}
    stray = {
        str(path.relative_to(SOURCE)): found
        for path in SOURCE.rglob("*.py")
        if path not in homes and (found := stray_numbers(path.read_text(encoding="utf-8")))
    }
    assert stray == {}
