"""Decisions of the loop: written once from stored games, also after a kill; refused to an old leader."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ringrift.core.errors import RefusedError, UsageError
from ringrift.core.paths import Paths
from ringrift.evaluation.plans import plan_of_text
from ringrift.loop import deciding
from ringrift.loop.actions import Decide, FirstChampion, RollBack, Supersede
from ringrift.loop.deciding import carry_out
from ringrift.loop.decision_facts import decision_facts
from ringrift.loop.holdouts import write_common
from ringrift.loop.match_facts import ConfigMatches
from ringrift.models import promotion
from ringrift.models.decisions import read_chain
from ringrift.models.registry import model_path
from ringrift.nets.nnue.file import init_nnue
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec
from ringrift.training.holdout_evaluation import result_path

from .made_matches import CONFIG, settings, store_games

SET = "f" * 64
SMALL = settings(
    evaluation={"floor_games": 20, "simulations": 2},
    promotion={
        "min_games": 10,
        "elo_threshold": 100.0,
        "cooldown_seconds": 0.0,
        "max_promotions_per_day": None,
    },
)


class Root:
    """A data root with models of random weights, the first of them champion."""

    def __init__(self, folder, models=3):
        self.paths = Paths(folder)
        spec = BoardSpec.create("square8", 2)
        self.ids = [
            init_nnue(spec, folder=self.paths.model_objects, seed=seed, hidden=32, policy=True).stem
            for seed in range(models)
        ]
        for model in self.ids:
            self.measure(model)
            for other in self.ids:
                write_common(self.paths.model_objects, model, other, SET)
        self.act(FirstChampion(config=CONFIG, model=self.ids[0], term=1))

    def measure(self, model):
        """Write hold-out numbers as an evaluation does."""
        file = result_path(model_path(self.paths.model_objects, model), model, SET)
        file.parent.mkdir(parents=True, exist_ok=True)
        tree = {
            "model": model,
            "config": CONFIG,
            "strata": [],
            "set_hash": SET,
            "holdout": {"value_error": 0.3, "positions": 500},
            "gap": {"value": 0.01},
        }
        file.write_text(json.dumps(tree))

    def store(self):
        return GameStore.open(self.paths.game_store, writer=True)

    def act(self, action, found=SMALL):
        with self.store() as store:
            return carry_out(action, self.paths, store, found)

    def decide(self, number=1, *, term=1, found=SMALL):
        return self.act(Decide(config=CONFIG, candidate=self.ids[number], term=term), found)

    @property
    def chain(self):
        return read_chain(self.paths.models / "decisions", CONFIG)

    def matches(self, store, number):
        found = ConfigMatches(CONFIG, store, SMALL, self.paths)
        decisions = decision_facts(self.chain)
        return found.look(self.chain, decisions, [], self.ids[number], 0.0)

    def play(self, number=1, rate=0.9):
        """Play all that the candidate is asked for; all others score 0.97 against fixed agents."""
        with self.store() as store:
            while True:
                open_ = [m for m in self.matches(store, number).matches if not m.complete]
                if not open_:
                    return
                for match in open_[:1]:
                    own = match.subject == self.ids[number]
                    found = rate if own and match.opponent != "random" else 0.97
                    plan = plan_of_text(match.plan_text)
                    store_games(store, plan, found, games=match.missing[:20])


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path)


def test_the_first_model_begins_the_chain_once(root):
    first = root.chain.decisions[0]
    assert (first.kind, first.candidate, first.term) == ("promoted", root.ids[0], 1)
    done = root.act(FirstChampion(config=CONFIG, model=root.ids[0], term=1))
    assert (done.written, done.sequence) == (False, 1)
    done = root.act(FirstChampion(config=CONFIG, model=root.ids[1], term=1))
    assert (done.written, done.sequence) == (False, 1)
    assert len(root.chain.decisions) == 1


def test_a_candidate_without_games_is_not_decided(root):
    done = root.decide()
    assert (done.written, done.sequence) == (False, None)
    assert "not everything is measured" in done.words
    assert len(root.chain.decisions) == 1


@pytest.mark.parametrize(("rate", "kind"), [(0.95, "promoted"), (0.05, "rejected")])
def test_a_decision_keeps_what_it_was_made_from_and_is_written_once(root, rate, kind):
    root.play(rate=rate)
    done = root.decide()
    assert (done.written, done.sequence) == (True, 2)
    made = root.chain.decisions[-1]
    assert (made.kind, made.candidate, made.by) == (kind, root.ids[1], "loop")
    assert made.inputs["settings"]["simulations"] == 2
    assert made.inputs["candidate_random"]["games"] == 20
    assert len(made.inputs["match_ids"]) == 5
    held = made.inputs["holdout"]
    if kind == "promoted":
        pair = {"value_error": 0.3, "gap": 0.01, "positions": 500, "set_hash": SET}
        assert held == {"candidate": pair, "champion": pair}
    else:
        assert held == {"candidate": None, "champion": None}
    assert decision_facts(root.chain)[-1].simulations == 2
    for _ in range(3):
        again = root.decide(term=2)
        assert (again.written, again.sequence) == (False, 2)
    assert len(root.chain.decisions) == 2
    assert root.chain.champion == (root.ids[1] if kind == "promoted" else root.ids[0])


def test_numbers_over_another_set_are_missing(root):
    objects = root.paths.model_objects
    root.play(rate=0.95)
    write_common(objects, root.ids[1], root.ids[0], "e" * 64)
    with root.store() as store:
        assert root.matches(store, 1).holdout_missing == (root.ids[1], root.ids[0])
    assert not root.decide().written
    write_common(objects, root.ids[1], root.ids[0], SET)
    result_path(model_path(objects, root.ids[0]), root.ids[0], SET).unlink()
    with root.store() as store:
        assert root.matches(store, 1).holdout_missing == (root.ids[0],)
    assert not root.decide().written
    root.measure(root.ids[0])
    assert root.decide().written
    assert root.chain.champion == root.ids[1]


def test_a_promotion_waits_for_cooldown_and_for_leave(root):
    root.play(rate=0.95)
    held = SMALL.promotion.model_copy(update={"cooldown_seconds": 3600.0})
    asked = SMALL.promotion.model_copy(update={"auto_promote": False})
    done = root.decide(found=SMALL.model_copy(update={"promotion": asked}))
    assert (done.written, "auto_promote" in done.words) == (False, True)
    assert root.decide(found=SMALL.model_copy(update={"promotion": held})).written
    root.play(2, rate=0.95)
    done = root.decide(2, found=SMALL.model_copy(update={"promotion": held}))
    assert (done.written, "cooldown_seconds" in done.words) == (False, True)
    assert root.decide(2).written


def test_an_old_leader_writes_nothing(root):
    root.play(rate=0.95)
    assert root.decide(term=7).written
    for action in (
        Decide(config=CONFIG, candidate=root.ids[2], term=6),
        Supersede(config=CONFIG, model=root.ids[2], newer=root.ids[1], term=6),
        RollBack(config=CONFIG, target=root.ids[0], reason="x", term=6),
    ):
        with pytest.raises(RefusedError, match="stale term"):
            root.act(action)
    assert len(root.chain.decisions) == 2


def test_a_model_is_passed_over_only_before_its_matches(root):
    with root.store() as store:
        floor = root.matches(store, 2).matches[0]
        store_games(store, plan_of_text(floor.plan_text), 0.9, games=[0, 1])
    done = root.act(Supersede(config=CONFIG, model=root.ids[2], newer=root.ids[1], term=1))
    assert (done.written, "have begun" in done.words) == (False, True)
    order = Supersede(config=CONFIG, model=root.ids[1], newer=root.ids[2], term=1)
    assert [root.act(order).written for _ in range(3)] == [True, False, False]
    made = root.chain.decisions[-1]
    assert (made.kind, made.candidate, made.champion) == ("superseded", root.ids[1], root.ids[0])


def test_a_rollback_is_done_once(root):
    root.play(rate=0.95)
    root.decide()
    order = RollBack(
        config=CONFIG, target=root.ids[0], reason="fell", inputs={"drop": 80.0}, term=1
    )
    assert [root.act(order).written for _ in range(2)] == [True, False]
    made = root.chain.decisions[-1]
    assert (made.kind, made.champion, made.inputs) == (
        "rolled_back",
        root.ids[0],
        {"automatic": True, "drop": 80.0},
    )
    with pytest.raises(UsageError, match="never was champion"):
        root.act(RollBack(config=CONFIG, target=root.ids[2], reason="fell", term=1))


def decide_and_die(folder, candidate, after_writing):
    """Carry a decision out and be killed before or after its file is there."""

    def die(*values, **named):
        os.kill(os.getpid(), signal.SIGKILL)

    if after_writing:
        promotion.follow_decisions = die
    else:
        deciding.record_verdict = die
    paths = Paths(folder)
    with GameStore.open(paths.game_store, writer=True) as store:
        carry_out(Decide(config=CONFIG, candidate=candidate, term=1), paths, store, SMALL)


@pytest.mark.parametrize("after_writing", [True, False])
def test_a_kill_leaves_one_decision(root, after_writing):
    root.play(rate=0.95)
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from loop.test_deciding import decide_and_die
decide_and_die(Path({str(root.paths.root)!r}), {root.ids[1]!r}, {after_writing})
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
    assert ended.returncode == -signal.SIGKILL
    assert len(root.chain.decisions) == (2 if after_writing else 1)
    done = root.decide()
    assert (done.written, done.sequence) == (not after_writing, 2)
    assert len(root.chain.decisions) == 2
    aliases = (root.paths.models / "aliases.json").read_text()
    assert root.ids[1] in aliases


@pytest.mark.acceptance
@pytest.mark.parametrize(("rate", "kinds"), [(0.2, {"rejected": 20}), (0.8, {"promoted": 19})])
def test_stored_games_reject_the_weak_and_promote_the_strong(tmp_path, rate, kinds):
    root = Root(tmp_path, models=21)
    counted = Counter()
    for number in range(1, 21):
        root.play(number, rate=rate)
        assert root.decide(number).written
        counted[root.chain.decisions[-1].kind] += 1
    assert counted >= Counter(kinds)
