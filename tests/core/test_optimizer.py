"""The optimizer: it settles a slow, noisy plant, moves by one increment, and stays in its slots."""

import json
import math
import random
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringrift.core.errors import DataError
from ringrift.core.metrics import Metrics
from ringrift.core.optimizer import Control, Load, Optimizer, Reading, fitting, most_loaded
from ringrift.core.optimizer_history import KEEP_S, History
from ringrift.core.settings import Settings
from ringrift.core.targets import GB, Hardware, targets_of
from ringrift.core.utilization import UtilizationMeter

SETTINGS = Settings().resource_targets
CONTROL = Control.from_settings(SETTINGS)
MACHINE = targets_of(Hardware(cpus=128, memory_bytes=512 * GB), SETTINGS)
assert MACHINE.slots == 48

LAG_S = 60.0
NOISE = 5.0


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def decide(reading, *, targets=MACHINE, control=CONTROL):
    """The first decision of a new optimizer."""
    return Optimizer(targets, control, clock=Clock()).update(reading)


def reading(workers, cpu=50.0, *, others=0.0, memory=10.0, gpu=None, **more):
    return Reading(
        workers=workers,
        cpu=None if cpu is None else Load(used=cpu, others=others),
        gpu=None if gpu is None else Load(used=gpu),
        memory=None if memory is None else Load(used=memory),
        **more,
    )


# The simulated plant


def simulate(slots, gain, start, seed, *, control=CONTROL, targets=MACHINE, updates=125):
    """Steer a first-order plant whose load is `gain` percent per percent of the slots.

    Returns its utilisation after each update, what was measured, and the decisions.
    """
    noise, clock = random.Random(seed), Clock()
    aims = {"cpu": targets.aims["cpu"], "memory": targets.aims["memory"]}
    aims["cpu"] = replace(aims["cpu"], target=70.0)
    targets = replace(targets, slots=slots, aims=aims)
    optimizer = Optimizer(targets, control, clock=clock)
    plant, workers = start, round(start / gain / 100 * slots)
    true, measured, decisions = [], [], []
    for _ in range(updates):
        seen = min(100.0, max(0.0, plant + noise.uniform(-NOISE, NOISE)))
        decision = optimizer.update(reading(workers, seen))
        workers = decision.workers
        measured.append(seen)
        true.append(plant)
        decisions.append(decision)
        clock.now_s += control.update_s
        final = min(100.0, gain * 100 * workers / slots)
        plant += (final - plant) * (1 - math.exp(-control.update_s / LAG_S))
    return true, measured, decisions


def visits(values):
    """When the values first are within 60 to 80, and how often they leave in the next 100."""
    inside = [60 <= value <= 80 for value in values]
    first = inside.index(True)
    return first, sum(
        before and not after
        for before, after in zip(inside[first : first + 100], inside[first + 1 :], strict=False)
    )


@pytest.mark.parametrize("start", [0.0, 50.0, 100.0])
@pytest.mark.parametrize(
    ("slots", "gain"), [(16, 1), (24, 1), (32, 1), (48, 1), (48, 0.85), (24, 1.5), (48, 2), (64, 1)]
)
def test_a_slow_noisy_plant_settles_within_20_updates_and_stays(slots, gain, start):
    updates, leaves, inside = [], [], 0
    for seed in range(40):
        true, measured, _ = simulate(slots, gain, start, seed)
        first, left = visits(true)
        updates.append(first)
        leaves.append(left)
        inside += sum(60 <= value <= 80 for value in measured[-80:])
    print(
        f"{slots=} {gain=} {start=}: {max(updates)} updates, {max(leaves)} leaves, {inside / 32}%"
    )
    assert max(updates) <= 20
    assert max(leaves) <= 2
    assert inside / (40 * 80) >= 0.95, "the measured utilisation stays too, but for rare noise"


def test_a_plant_that_cannot_be_filled_takes_all_slots_and_no_more():
    _, _, decisions = simulate(24, 0.4, 0.0, seed=1)
    assert decisions[-1].workers == 24
    assert "no slot is left" in decisions[-1].reason


def test_without_noise_the_number_of_workers_comes_to_rest():
    _, _, decisions = simulate(48, 1, 0.0, seed=1, targets=MACHINE)
    quiet = Counter(decision.workers for decision in decisions[-60:])
    assert len(quiet) <= 4


# Increments, slots, critical


def check(decision, control=CONTROL):
    """What holds for every decision."""
    assert 0 <= decision.workers <= decision.slots
    moved = decision.workers - decision.workers_before
    if decision.action not in ("critical", "slots"):
        assert -control.step_down <= moved <= control.step_up, decision
    assert (moved == 0) == (decision.action in ("hold", "unknown"))
    if decision.action == "critical":
        assert moved < 0
    assert 0 <= decision.games_per_hour <= 5000


def percent(rng):
    return rng.choice((None, rng.uniform(0, 100), rng.uniform(50, 90), 0.0, 100.0))


def load(rng):
    used = percent(rng)
    return None if used is None else Load(used=used, others=rng.choice((0, rng.uniform(0, used))))


@pytest.mark.slow
def test_ten_thousand_random_traces_never_exceed_the_slots():
    rng = random.Random(20)
    actions = Counter()
    for _ in range(10_000):
        hardware = Hardware(
            cpus=rng.choice((0.5, 1, 2, 4, 16, 64, 256)),
            memory_bytes=rng.randrange(1, 512) * GB,
            gpu_memory_bytes=rng.choice(((), (8 * GB,), (80 * GB, 16 * GB))),
        )
        targets = targets_of(hardware, SETTINGS, need_bytes=rng.choice((0, GB, 40 * GB)))
        clock = Clock()
        optimizer = Optimizer(targets, CONTROL, clock=clock)
        workers = rng.randrange(0, 70)
        for _ in range(rng.randrange(1, 12)):
            decision = optimizer.update(
                Reading(
                    workers=workers,
                    cpu=load(rng),
                    gpu=load(rng),
                    memory=load(rng),
                    games_per_hour=rng.choice((None, 0.0, rng.uniform(0, 9000))),
                    demand_games_per_hour=rng.choice((None, 0.0, rng.uniform(0, 9000))),
                )
            )
            check(decision)
            assert decision.slots == targets.slots
            actions[decision.action] += 1
            workers = decision.workers
            clock.now_s += rng.uniform(30, 90)
    assert actions.keys() == {"up", "down", "trim", "hold", "critical", "slots", "unknown"}


@given(
    loads=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), min_size=1, max_size=8),
    slots=st.integers(0, 64),
    workers=st.integers(0, 80),
)
@settings(max_examples=300)
def test_any_trace_of_loads_keeps_to_increments_and_slots(loads, slots, workers):
    clock = Clock()
    optimizer = Optimizer(replace(MACHINE, slots=slots, least=min(2, slots)), CONTROL, clock=clock)
    for used, share in loads:
        decision = optimizer.update(reading(workers, used, others=used * share, memory=used / 2))
        check(decision)
        workers = decision.workers
        clock.now_s += 30


def test_far_below_four_more_and_above_two_fewer():
    up = decide(reading(10, 54.9))
    assert (up.workers, up.action) == (14, "up")
    down = decide(reading(40, 81.0))
    assert (down.workers, down.action) == (38, "down")
    assert decide(reading(46, 40.0)).workers == 48, "the slots bound the last increment"
    assert decide(reading(48, 40.0)).reason == "cpu 40.0 % is below 55 %, but no slot is left"


def test_production_that_is_enough_adds_no_workers():
    decision = decide(reading(8, 30.0, games_per_hour=2000.0))
    assert (decision.workers, decision.action) == (8, "hold")
    assert decision.reason.endswith("but 2,000 games/h are enough")


def test_adding_workers_stops_where_no_more_fit():
    decision = decide(reading(3, 54.0))
    assert decision.workers == 4, "four of them would use 72 %, five 90 %"
    decision = decide(reading(1, 50.0))
    assert decision.workers == 2, "two workers may use all of the processor"


def test_critical_memory_falls_at_once_to_what_fits():
    decision = decide(reading(40, 70.0, memory=95.0))
    assert decision.action == "critical"
    assert decision.workers == math.floor(40 * 70 / 95)
    assert decision.reason == "memory is critical: 29 workers fit"
    assert decide(reading(1, 70.0, memory=95.0)).workers == 0


def test_a_processor_full_of_others_work_leaves_no_room():
    decision = decide(reading(20, 100.0, others=85.0))
    assert (decision.action, decision.workers) == ("critical", 0)
    decision = decide(reading(20, 100.0, others=60.0))
    assert (decision.action, decision.workers) == ("down", 18)
    assert decide(reading(0, 90.0, others=90.0)).reason == "cpu is critical"


def test_a_gpu_is_steered_where_there_is_one():
    targets = targets_of(
        Hardware(cpus=32, memory_bytes=64 * GB, gpu_memory_bytes=(16 * GB,)), SETTINGS
    )
    decision = decide(reading(8, 30.0, gpu=95.0), targets=targets)
    assert (decision.resource, decision.action, decision.workers) == ("gpu", "critical", 6)
    assert decide(reading(8, 30.0, gpu=95.0)).resource == "cpu", "no GPU aims without a GPU"


def test_two_processors_are_not_refused_to_ourselves():
    small = targets_of(Hardware(cpus=2, memory_bytes=8 * GB), SETTINGS)
    clock, workers = Clock(), 0
    optimizer = Optimizer(small, CONTROL, clock=clock)
    seen = []
    for _ in range(40):
        workers = optimizer.update(reading(workers, 50.0 * workers)).workers
        seen.append(workers)
        clock.now_s += 30
    assert seen == [2] * 40


def test_work_of_others_is_not_taken_for_ours():
    assert fitting(reading(2, 70.0, others=50.0, memory=0.0), MACHINE) == 3
    assert fitting(reading(2, 50.0, others=50.0, memory=0.0), MACHINE) == MACHINE.slots
    assert fitting(reading(0, 50.0), MACHINE) == MACHINE.slots


def test_the_most_loaded_resource_is_the_one_relative_to_its_target():
    assert most_loaded(reading(4, 60.0, memory=55.0), MACHINE) == "memory"
    assert most_loaded(reading(4, 66.0, memory=50.0), MACHINE) == "cpu"
    assert most_loaded(reading(4, None, memory=None), MACHINE) is None


def test_what_cannot_be_read_adds_nothing():
    decision = decide(reading(4, None, memory=None))
    assert (decision.workers, decision.action, decision.input) == (4, "unknown", None)
    decision = decide(reading(4, None, memory=5.0))
    assert (decision.workers, decision.action) == (4, "hold")
    assert decision.reason.endswith("but cpu could not be read")


def test_workers_beyond_the_slots_go_at_once():
    decision = decide(reading(60, 70.0))
    assert (decision.workers, decision.action) == (48, "slots")


# Time, terms and gains


def test_updates_are_at_least_their_interval_apart():
    clock = Clock()
    optimizer = Optimizer(MACHINE, CONTROL, clock=clock)
    assert CONTROL.update_s >= 30
    assert optimizer.due
    assert optimizer.update(reading(1, 10)) is not None
    clock.now_s += CONTROL.update_s - 0.1
    assert not optimizer.due
    assert optimizer.update(reading(5, 10)) is None
    clock.now_s += 0.1
    assert optimizer.update(reading(5, 10)) is not None


@pytest.mark.parametrize(
    ("error", "factor"), [(15.1, 1.5), (-15.1, 1.5), (15, 1), (5, 1), (4.9, 0.7), (0, 0.7)]
)
def test_gains_are_larger_far_from_the_target_and_smaller_near_it(error, factor):
    assert CONTROL.gain(error) == pytest.approx(factor)
    clock = Clock()
    target = MACHINE.aims["cpu"].target
    decision = Optimizer(MACHINE, CONTROL, clock=clock).update(reading(20, target - error))
    assert decision.proportional == pytest.approx(CONTROL.kp * factor * error)
    assert decision.error == pytest.approx(error)


def test_a_long_overload_does_not_wind_the_integral_up():
    clock = Clock()
    optimizer = Optimizer(MACHINE, CONTROL, clock=clock)
    for _ in range(500):
        decision = optimizer.update(reading(0, 100.0, others=100.0))
        assert abs(decision.integral) <= CONTROL.integral_limit
        assert decision.workers == 0
        clock.now_s += 30
    workers = [0]
    for _ in range(14):
        workers.append(optimizer.update(reading(workers[-1], 100 * workers[-1] / 48)).workers)
        clock.now_s += 30
    assert workers[1:4] == [4, 8, 12]
    assert 30 <= workers[-1] <= 38


def test_trims_wait_for_the_hysteresis_and_end_at_the_target():
    clock = Clock()
    optimizer = Optimizer(MACHINE, CONTROL, clock=clock)
    workers, target = 30, MACHINE.aims["cpu"].target
    for _ in range(30):
        decision = optimizer.update(reading(workers, target - 4.9))
        assert (decision.action, decision.workers) == ("hold", 30)
        clock.now_s += 30
    seen = []
    for _ in range(30):
        decision = optimizer.update(reading(workers, target - 8 + (workers - 30) * 2))
        seen.append(decision.action)
        workers = decision.workers
        clock.now_s += 30
    assert "trim" in seen
    assert workers in (33, 34)
    assert seen[-5:] == ["hold"] * 5


# The rate of games


def test_the_rate_starts_at_1000_and_follows_what_the_workers_make():
    assert CONTROL.rate_start == 1000
    assert decide(reading(0, 0.0)).games_per_hour == 1000
    clock = Clock()
    optimizer = Optimizer(MACHINE, CONTROL, clock=clock)
    for _ in range(60):
        decision = optimizer.update(reading(20, 70.0, games_per_hour=2400.0))
        clock.now_s += 30
    assert decision.games_per_hour == pytest.approx(2400 * decision.workers / 20, rel=0.02)


@pytest.mark.parametrize(("made", "rate"), [(90_000.0, 5000), (3.0, 100)])
def test_the_rate_stays_within_100_and_5000(made, rate):
    clock = Clock()
    optimizer = Optimizer(MACHINE, CONTROL, clock=clock)
    for _ in range(80):
        decision = optimizer.update(reading(20, 70.0, games_per_hour=made))
        clock.now_s += 30
    assert decision.games_per_hour == rate


@pytest.mark.parametrize("demand", [0.0, 40.0, 700.0])
def test_the_rate_is_never_above_the_demand(demand):
    assert decide(reading(8, 30.0, demand_games_per_hour=demand)).games_per_hour == demand


def test_a_demand_that_is_met_adds_no_workers():
    met = reading(8, 30.0, games_per_hour=800.0, demand_games_per_hour=700.0)
    decision = decide(met)
    assert (decision.workers, decision.action) == (8, "hold")
    assert decision.reason == "cpu 30.0 % is below 55 %, but the demand is met"
    assert decide(reading(8, 30.0, demand_games_per_hour=700.0)).workers == 12
    assert decide(reading(8, 30.0, games_per_hour=0.0, demand_games_per_hour=700.0)).workers == 12


def test_decisions_are_published_as_metrics():
    metrics = Metrics()
    Optimizer(MACHINE, CONTROL, clock=Clock(), metrics=metrics).update(reading(10, 30.0))
    assert metrics.value("ringrift_optimizer_workers") == 14
    assert metrics.value("ringrift_optimizer_slots") == 48
    assert metrics.value("ringrift_optimizer_games_per_hour") > 1000


# What is kept


def test_the_history_keeps_readings_and_decisions_with_reasons(tmp_path):
    path = tmp_path / "coordination" / "optimizer.db"
    clock = Clock()
    with History(path, clock=clock) as history:
        for workers in (4, 8):
            seen = reading(workers, 30.0, others=5.0, demand_games_per_hour=900.0)
            history.record(seen, decide(seen))
            clock.now_s += 30
    with History(path, readonly=True) as history:
        entries = history.last(10)
        assert [entry.decision.workers for entry in entries] == [8, 12]
        assert history.last(1) == entries[-1:]
        assert history.last() == entries
    assert entries[0].decision == decide(reading(4, 30.0, others=5.0, demand_games_per_hour=900.0))
    assert (entries[0].at_s, entries[0].cpu, entries[0].gpu) == (1000.0, 30.0, None)
    assert entries[0].demand_games_per_hour == 900.0
    with sqlite3.connect(path) as database:
        strict = database.execute("SELECT name, strict FROM pragma_table_list").fetchall()
        others = database.execute("SELECT cpu_others FROM utilization_metrics").fetchall()
    assert {("utilization_metrics", 1), ("optimization_history", 1)} <= set(strict)
    assert others == [(5.0,), (5.0,)]


def test_the_history_forgets_after_14_days(tmp_path):
    clock = Clock()
    path = tmp_path / "optimizer.db"
    with History(path, clock=clock) as history:
        for step in range(4):
            history.record(reading(step), decide(reading(step)))
            clock.now_s += KEEP_S / 2
        kept = [entry.decision.workers_before for entry in history.last()]
    assert kept == [1, 2, 3]
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM optimization_history").fetchone() == (3,)


def test_a_missing_or_foreign_history_is_a_data_error(tmp_path):
    with pytest.raises(DataError):
        History(tmp_path / "none.db", readonly=True)
    (tmp_path / "notes.db").write_text("not a database, but long enough to be looked at" * 20)
    with pytest.raises(DataError):
        History(tmp_path / "notes.db")


# This machine


BURN = "import time\nend = time.monotonic() + 30\nwhile time.monotonic() < end: pass"


def test_the_meter_sees_a_busy_processor(tmp_path):
    meter = UtilizationMeter(tmp_path)
    burner = subprocess.Popen([sys.executable, "-c", BURN])
    try:
        time.sleep(1.2)
        seen = meter.read(workers=1, demand_games_per_hour=5.0)
    finally:
        burner.kill()
        burner.wait()
    assert seen.cpu is not None
    assert 100 / 2048 < seen.cpu.used <= 100
    assert 0 <= seen.cpu.others <= seen.cpu.used
    assert seen.memory is not None
    assert 0 < seen.memory.used <= 100
    assert (seen.workers, seen.demand_games_per_hour) == (1, 5.0)
    assert meter.read(workers=1).cpu is None, "a mean over no time means nothing"


def test_a_run_of_the_real_parts_writes_decisions(tmp_path):
    code = """
    import json, sys, time
    from pathlib import Path
    from ringrift.core.optimizer import Control, Optimizer
    from ringrift.core.optimizer_history import History
    from ringrift.core.settings import Settings
    from ringrift.core.targets import detect, targets_of
    from ringrift.core.utilization import UtilizationMeter
    section = Settings().resource_targets
    optimizer = Optimizer(targets_of(detect(), section), Control.from_settings(section))
    meter = UtilizationMeter(Path(sys.argv[1]))
    time.sleep(0.6)
    reading = meter.read(workers=0)
    with History(Path(sys.argv[1]) / "optimizer.db") as history:
        history.record(reading, optimizer.update(reading))
        (entry,) = history.last(5)
    print(json.dumps([entry.cpu, entry.memory, entry.decision.workers, entry.decision.reason]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    cpu, memory, workers, reason = json.loads(done.stdout)
    assert cpu is not None
    assert memory is not None
    assert workers >= 0
    assert reason
