"""What a reader of a test's verdict should know of the tests before it (`evaluation.md` 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.evaluation.many_tests import ManyTests


def tests_of(run: Invocation, config: str) -> ManyTests:
    """Return the tests of a configuration since its last promotion."""
    from ringrift.cli.eval.contending import looking
    from ringrift.evaluation.many_tests import NO_TESTS, count_tests
    from ringrift.models.decisions import read_chain

    paths = run.paths(create=False)
    promoted = [
        decision
        for decision in read_chain(paths.decisions, config).decisions
        if decision.kind == "promoted" and decision.at
    ]
    since = promoted[-1].at_s if promoted else 0.0
    with looking(paths.game_store) as store:
        return NO_TESTS if store is None else count_tests(store, config, since)
