"""The passes of control with stand-ins for keeper and queue: what it asks, and when it ends."""

import threading
from dataclasses import dataclass, field, replace

import pytest

from ringrift.core.errors import NotRunningError, RefusedError
from ringrift.core.settings import Settings
from ringrift.loop.actions import Done
from ringrift.loop.control import Control, held_by
from ringrift.loop.facts import ConfigFacts, DecisionFacts
from ringrift.loop.guard import Held
from ringrift.loop.keeper import Collected, Gathered, KeeperGone
from ringrift.loop.plan import Conditions
from ringrift.loop.run_options import RunOptions

from .rules_scene import match

CONFIG = "square8_2p"
NOW = 1_800_000_000.0


def decision(sequence, kind="rejected"):
    return DecisionFacts(
        sequence=sequence,
        kind=kind,
        candidate=f"{sequence:064x}",
        champion_before="a" * 64 if sequence > 1 else None,
        champion="a" * 64,
        at=NOW,
        by="loop",
        reason="",
    )


@dataclass
class Keeper:
    """Hands out facts one after the other, the last for ever; an error is raised."""

    found: list
    acted: list = field(default_factory=list)
    refuses: bool = False

    def gather(self, now):
        facts = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(facts, Exception):
            raise facts
        return Gathered(facts=(facts,), collected=Collected(), seconds=0.0)

    def act(self, action):
        self.acted.append(action)
        if self.refuses:
            raise RefusedError("stale term")
        return Done(written=True, words="done")


@dataclass
class Jobs:
    leads: bool = True
    results: dict = field(default_factory=dict)
    filed: list = field(default_factory=list)
    tended: int = 0

    def open(self):
        return tuple(self.filed)

    def carry_out(self, plan):
        known = {job.id for job in self.filed}
        new = [job for job in plan.jobs if job.id not in known]
        self.filed += new
        return tuple(new)

    def tend(self):
        self.tended += 1


def control(keeper, jobs=None, **options):
    passes = []
    made = Control(
        settings=Settings(loop={"reconcile_seconds": 0.01}),
        options=RunOptions(profile="quick", configs=(CONFIG,), **options),
        facts=keeper,
        jobs=jobs or Jobs(),
        conditions=lambda: Conditions(now=NOW, rules_hash="0" * 16, slots=2),
        look=Held,
        on_pass=passes.append,
    )
    return made, passes


def never():
    return False


def unborn():
    return ConfigFacts(config=CONFIG, champion=None)


def with_decisions(*sequences):
    return ConfigFacts(config=CONFIG, champion="a" * 64, decisions=tuple(map(decision, sequences)))


def test_once_files_what_is_missing_and_leaves():
    jobs = Jobs()
    made, passes = control(Keeper([unborn()]), jobs, once=True)
    why, last = made.run(never)
    assert why == "once"
    assert [job.kind for job in jobs.filed][:1] == ["train"]
    assert last.filed == tuple(jobs.filed)
    assert len(passes) == jobs.tended == 1


def test_nothing_is_written_without_the_lead():
    jobs, keeper = Jobs(leads=False), Keeper([unborn()])
    made, _ = control(keeper, jobs, once=True)
    _, last = made.run(never)
    assert last.plan.jobs
    assert not jobs.filed
    assert not keeper.acted
    assert not jobs.tended


def test_cycles_count_from_the_start_of_the_run():
    found = [with_decisions(1, 2), with_decisions(1, 2, 3), with_decisions(1, 2, 3, 4)]
    made, passes = control(Keeper(found), max_cycles=2)
    why, _ = made.run(never)
    assert why == "cycles"
    assert len(passes) == 3


def test_the_last_cycle_waits_for_its_tournament():
    tournament = match("tournament", games=16, missing=range(16))
    waits = replace(with_decisions(1, 2, 3), side_matches=(tournament,))
    found = [with_decisions(1, 2), waits, waits, with_decisions(1, 2, 3)]
    made, passes = control(Keeper(found), max_cycles=1)
    why, _ = made.run(never)
    assert (why, len(passes)) == ("cycles", 4)


def test_the_keepers_death_costs_a_pass():
    gone = KeeperGone("gone")
    made, passes = control(Keeper([gone, NotRunningError("hub"), unborn()]), once=True)
    why, _ = made.run(never)
    assert why == "once"
    assert len(passes) == 1


def test_a_refused_action_ends_nothing():
    facts = ConfigFacts(
        config=CONFIG, champion=None, models=(), decisions=(), undecided=(("b" * 64, False),)
    )
    keeper = Keeper([facts], refuses=True)
    made, _ = control(keeper, once=True)
    _, last = made.run(never)
    assert last.done == ()


@pytest.mark.parametrize(
    ("milestones", "why"), [({"beats_random": NOW}, "time"), ({"first_cycle": NOW}, "milestone")]
)
def test_until_waits_for_its_milestone(milestones, why):
    facts = ConfigFacts(config=CONFIG, champion="a" * 64, milestones=milestones)
    made, _ = control(Keeper([facts]), until="first_cycle", max_minutes=0.001)
    assert made.run(never)[0] == why


def test_it_stops_when_told_also_while_it_waits():
    stop = threading.Event()
    made, _ = control(Keeper([unborn()]))
    made.settings = Settings(loop={"reconcile_seconds": 600})
    threading.Timer(0.3, stop.set).start()
    why, last = made.run(stop.is_set)
    assert why == "stopped"
    assert last is not None


def test_the_guard_is_part_of_the_conditions():
    conditions = Conditions(now=NOW, rules_hash="", slots=1)
    found = held_by(
        conditions, Held(level="critical", reasons=("memory 91 %",), halted={"all": "by a test"})
    )
    assert found.guard == "critical"
    assert found.guard_reasons == ("memory 91 %",)
    assert found.held == {"all": "by a test"}
