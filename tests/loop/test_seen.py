"""What results say of a configuration: failures in a row, whoever filed the jobs."""

from dataclasses import replace

import pytest

from ringrift.loop.plan import JobsSeen
from ringrift.loop.seen import Jobs

from .rules_scene import CONFIG, conditions, named_result

FAILED = named_result("a", "match", status="failed")


@pytest.mark.parametrize(
    ("term", "counted"), [("1790000000.7", 3), ("", 0), (None, 3)], ids=["leader", "person", "old"]
)
def test_what_a_person_filed_does_not_hold_the_loop(term, counted):
    error = FAILED.error if term is None else {**FAILED.error, "term": term}
    results = {"a": replace(FAILED, error=error)}
    found = Jobs(JobsSeen(open=(), results=results), conditions()).of(CONFIG).failures(3)
    assert found.count == counted
