"""The rules in a small world of their own: jobs take time, facts follow them, a fake clock runs."""

import random
from dataclasses import replace

import pytest

from ringrift.core.ids import content_id
from ringrift.loop.actions import Decide, FirstChampion
from ringrift.loop.facts import PlayFacts
from ringrift.loop.plan import JobsSeen
from ringrift.loop.reconciler import reconcile

from .rules_scene import (
    CONFIG,
    GOOD,
    NOW,
    conditions,
    decision,
    match,
    model,
    result,
    settings,
    unborn,
)

TEST_GAMES = 64
PASS_S = 2.0
COST_S = {"selfplay": 3.0, "dataset": 2.0, "train": 10.0, "match": 2.0, "verify": 1.0}


class World:
    """One machine with two slots. Games reach the store `lag_s` after their job's end."""

    def __init__(self, *, lag_s=0.0, wins=(True,), abort=()):
        self.now = NOW
        self.facts = replace(unborn(), gates=GOOD)
        self.open, self.running, self.results = [], {}, {}
        self.arriving = []
        self.lag_s, self.wins, self.abort = lag_s, list(wins), set(abort)
        self.executed, self.most_trainings = [], 0
        self.fresh = {}
        self.stored = {}
        self.verified = set()

    def plan(self):
        seen = JobsSeen(open=tuple(self.open), results=dict(self.results))
        return reconcile([self.facts], seen, settings(), conditions(now=self.now))

    def step(self):
        """Let a pass's time go by: what is due ends, the plan is carried out, slots are filled."""
        self.now += PASS_S
        for job, ends in list(self.running.values()):
            if ends <= self.now:
                self.end(job, ends)
        while self.arriving and self.arriving[0][0] <= self.now:
            self.arriving.pop(0)[1]()
        self.look()
        plan = self.plan()
        for action in plan.actions:
            self.act(action)
        for job in plan.jobs:
            assert all(job.id != known.id for known in self.open)
            if job.id in plan.forget:
                del self.results[job.id]
            assert job.id not in self.results
            self.open.append(job)
        trainings = [job for job in self.open if job.kind in ("dataset", "train")]
        self.most_trainings = max(self.most_trainings, len(trainings))
        for job in sorted(self.open, key=lambda job: job.prio):
            if len(self.running) < 2 and job.id not in self.running:
                self.running[job.id] = (job, self.now + COST_S[job.kind])
        return plan

    def end(self, job, ends):
        del self.running[job.id]
        self.open.remove(job)
        self.executed.append(job)
        numbers = getattr(self, job.kind)(job) or {}
        found = result(job, took=COST_S[job.kind], **numbers)
        self.results[job.id] = replace(found, ended_at=ends, started_at=ends - COST_S[job.kind])

    def later(self, effect):
        self.arriving.append((self.now + self.lag_s, effect))

    # --- what jobs do

    def selfplay(self, job):
        def arrive():
            spec, play = job.spec, self.facts.play
            upto = max(play.next_index.get(spec["run"], 0), spec["first"] + spec["games"])
            self.facts = replace(
                self.facts,
                games=self.facts.games + spec["games"],
                max_seq=self.facts.max_seq + spec["games"],
                play=PlayFacts(next_index={**play.next_index, spec["run"]: upto}),
            )

        self.later(arrive)
        return {"games": job.spec["games"]}

    def dataset(self, job):
        identity = content_id("dataset", f"{job.spec['parent']} {job.spec['upto']}".encode())
        self.fresh[identity] = job.spec["upto"]
        return {
            "dataset": identity,
            "parent": job.spec["parent"],
            "samples": 1000,
            "games_upto": job.spec["upto"],
            "preflight": [],
        }

    def train(self, job):
        identity = content_id("model", job.id.encode())
        random_one = job.spec["init"] == "random"
        made = replace(
            model(identity, random=random_one),
            made_at=self.now,
            seconds=10.0,
            trained_from=job.spec["parent"],
            dataset=job.spec["dataset"],
            games_upto=self.fresh.get(job.spec["dataset"]),
        )

        def arrive():
            undecided = (
                self.facts.undecided
                if random_one
                else (
                    *self.facts.undecided,
                    (identity, False),
                )
            )
            self.facts = replace(self.facts, models=(*self.facts.models, made), undecided=undecided)

        self.later(arrive)
        return {"model_id": identity, "parent": job.spec["parent"], "dataset": job.spec["dataset"]}

    def match(self, job):
        games = set(job.spec["games"])
        lost = {game for game in games & self.abort if job.spec["attempt"] == 1}

        def arrive():
            self.stored.setdefault(job.spec["plan"], set()).update(games - lost)

        self.later(arrive)
        return {"aborted": [{"game": game, "ply": 3, "reason": "NaN"} for game in sorted(lost)]}

    def verify(self, job):
        self.later(lambda: self.verified.add(job.spec["model"]))

    # --- what the keeper sees and writes

    def look(self):
        """Make the facts that follow from stored games."""
        facts = self.facts
        upto = max((one.games_upto or 0 for one in facts.models), default=0)
        facts = replace(facts, new_games=facts.max_seq - upto)
        candidate = facts.candidate
        if candidate is None:
            self.facts = replace(facts, matches=(), holdout_missing=(), ready_to_decide=False)
            return
        plan = f"{candidate} against {facts.champion}"
        left = [game for game in range(TEST_GAMES) if game not in self.stored.get(plan, ())]
        test = match(
            games=TEST_GAMES,
            missing=left,
            complete=not left,
            plan_text=plan,
            subject=candidate,
            verdict=None if left else "accept" if self.wins[0] else "reject",
        )
        missing = () if left else tuple(m for m in (candidate,) if m not in self.verified)
        self.facts = replace(
            facts,
            matches=(test,),
            undecided=tuple((m, len(left) < TEST_GAMES) for m, _ in facts.undecided),
            holdout_missing=missing,
            ready_to_decide=not left and not missing,
        )

    def act(self, action):
        facts = self.facts
        if isinstance(action, FirstChampion):
            made = decision("promoted", action.model, before=None)
            champion = action.model
        else:
            assert isinstance(action, Decide)
            won = self.wins[0]
            self.wins = [*self.wins[1:], won]
            kind = "promoted" if won else "rejected"
            made = decision(kind, action.candidate, before=facts.champion)
            champion = action.candidate if won else facts.champion
        made = replace(made, at=self.now, sequence=len(facts.decisions) + 1)
        assert made.candidate not in [d.candidate for d in facts.decisions]
        undecided = tuple(pair for pair in facts.undecided if pair[0] != made.candidate)
        self.facts = replace(
            facts, champion=champion, decisions=(*facts.decisions, made), undecided=undecided
        )
        self.look()

    @property
    def cycles(self):
        return max(0, len(self.facts.decisions) - 1)


def play(world, cycles, *, most_s=4000.0, each=lambda world: None):
    end = world.now + most_s
    while world.cycles < cycles:
        assert world.now < end, world.plan().configs
        world.step()
        each(world)


@pytest.mark.parametrize("lag_s", [0.0, 5.0])
def test_cycles_follow_each_other(lag_s):
    world = World(lag_s=lag_s, wins=(True, False))
    play(world, 6)
    ids = [job.id for job in world.executed]
    assert len(ids) == len(set(ids))  # nothing is done twice
    assert world.most_trainings == 1
    kinds = [job.kind for job in world.executed if job.kind in ("dataset", "train", "verify")]
    assert kinds == ["train", *["dataset", "train", "verify"] * 6]
    assert [d.kind for d in world.facts.decisions[1:]] == ["promoted", "rejected"] * 3
    assert all(model.dataset for model in world.facts.models[1:])
    # Self-play never stands still, and no slot's queue is longer than two.
    assert sum(job.kind == "selfplay" for job in world.executed) > 30
    assert sum(job.kind == "selfplay" for job in world.open) <= 4


def test_aborted_games_of_a_test_are_played_in_a_second_attempt():
    world = World(abort={5, 40})
    play(world, 2)
    attempts = [job.spec["attempt"] for job in world.executed if job.kind == "match"]
    assert attempts.count(2) == 4
    assert max(attempts) == 2


@pytest.mark.parametrize("seed", range(5))
def test_cycles_go_on_when_results_open_jobs_and_children_are_lost(seed):
    """The hub's storage is wiped at random moments: what the facts show is never lost."""
    drawn = random.Random(seed)

    def shake(world):
        if drawn.random() < 0.1:
            world.results.clear()
        if drawn.random() < 0.1:
            world.running.clear()
            world.open.clear()

    world = World(lag_s=3.0, wins=(True, True, False))
    play(world, 6, each=shake, most_s=8000.0)
    assert len({model.id for model in world.facts.models}) == len(world.facts.models)
    decided = [d.candidate for d in world.facts.decisions]
    assert len(decided) == len(set(decided)) == 7
    assert world.facts.config == CONFIG
