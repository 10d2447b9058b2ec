"""How many tests a verdict should be read with."""

from dataclasses import replace

from ringrift.evaluation.group_sequential import WilsonTest
from ringrift.evaluation.many_tests import count_tests
from ringrift.evaluation.plans import MatchPlan
from ringrift.evaluation.sprt import SequentialTest
from ringrift.records.store import GameStore

from .played import SQUARE, agent


def test_tests_since_a_time_and_their_alphas_are_counted(tmp_path):
    path = tmp_path / "games.db"
    agents = (agent("random"), agent("heuristic"))
    plan = MatchPlan.of_games(40, purpose="test", spec=SQUARE, agents=agents, seed=1)
    plans = [
        replace(plan, test=SequentialTest(alpha=0.05)),
        replace(plan, purpose="gate", test=WilsonTest(threshold=0.55, confidence=0.9)),
        plan,  # a regression match is no test
        replace(plan, purpose="manual", test=SequentialTest(alpha=0.01)),
    ]
    with GameStore.open(path, writer=True) as store:
        assert count_tests(store, "square8_2p", 0.0).tests == 0
        for one in plans:
            store.plans.add(one.text, config=one.spec.config, purpose=one.purpose)
        newest = max(row.made_at for row in store.plans.all())
        found = count_tests(store, "square8_2p", 0.0)
        assert (found.tests, found.expected_false) == (2, 0.1)
        assert "2 tests since the last promotion" in found.words
        assert count_tests(store, "square8_2p", newest).tests == 0
        assert count_tests(store, "hex8_2p", 0.0).tests == 0
