"""Carry out what control asks to have decided, each once (`loop.md` 4, 11; `cluster.md` 4).

Everything is read anew from the decisions and the stored matches. A decision that stands already is
the answer, so an order that was carried out before a crash changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.core.errors import RefusedError
from ringrift.core.ids import short
from ringrift.loop.actions import Action, Decide, Done, FirstChampion, RollBack, Supersede
from ringrift.loop.decision_facts import decision_facts
from ringrift.loop.match_facts import ConfigMatches
from ringrift.loop.measuring import described
from ringrift.models.decisions import MOVES_CHAMPION, read_chain
from ringrift.models.promotion import (
    first_champion,
    follow_decisions,
    pass_over,
    record_verdict,
    waiting_s,
)
from ringrift.models.registry import find_model
from ringrift.models.rollback import roll_back

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.models.decisions import Chain, Decision
    from ringrift.models.promotion import Decided
    from ringrift.records.store import GameStore

BY = "loop"


def carry_out(
    action: Action,
    paths: Paths,
    store: GameStore,
    settings: Settings,
    *,
    matches: Callable[[str], ConfigMatches] | None = None,
) -> Done:
    """Write the decision that an action asks for, or tell which one stands or what is missing.

    `matches` gives what follows the matches of a configuration; without it they are counted anew.
    Raises `RefusedError` for a term below that of an earlier decision, a model without a file, and
    a rollback to a model that does not load; `BusyError` where somebody else decides at the moment.
    """
    chain = read_chain(paths.models / "decisions", action.config)
    highest = max((decision.term for decision in chain.decisions), default=0)
    if action.term < highest:
        raise RefusedError(
            f"stale term: {action.config} has decisions of term {highest}; found {action.term}",
            hint="the node that holds the lease decides",
        )
    found = matches or (lambda config: ConfigMatches(config, store, settings, paths))
    return _Deciding(paths.models, chain, settings, found).carry_out(action)


@dataclass(frozen=True, slots=True)
class _Deciding:
    models: Path
    chain: Chain
    settings: Settings
    matches: Callable[[str], ConfigMatches]

    def carry_out(self, action: Action) -> Done:
        """Do it; see the function."""
        match action:
            case FirstChampion():
                return self._begin(action)
            case Decide():
                return self._decide(action)
            case Supersede():
                return self._pass_over(action)
            case RollBack():
                return self._roll_back(action)

    def _begin(self, action: FirstChampion) -> Done:
        if self.chain.decisions:
            first = self.chain.decisions[0]
            if first.candidate != action.model:
                return Done(
                    written=False,
                    sequence=first.sequence,
                    words=f"{action.config} began with {short(first.candidate)} already",
                )
            return self._stands(first)
        find_model(self.models / "objects", action.model)
        made = first_champion(
            self.models,
            self.chain,
            action.model,
            "the first model of its configuration",
            inputs={"tested": False},
            term=action.term,
            by=BY,
        )
        return _written(made)

    def _decide(self, action: Decide) -> Done:
        standing = self._about(action.candidate)
        if standing is not None:
            return self._stands(standing)
        found = self.matches(action.config)
        needs, simulations = found.needs(self.chain, decision_facts(self.chain), action.candidate)
        if needs is None or needs.verdict is None:
            return _nothing(f"{short(action.candidate)}: not everything is measured yet")
        if needs.verdict.outcome == "promoted":
            waiting, why = waiting_s(self.chain, self.settings.promotion)
            if not self.settings.promotion.auto_promote:
                return _nothing(f"{short(action.candidate)} passed; promotion.auto_promote is off")
            if waiting > 0:
                return _nothing(f"{short(action.candidate)} passed; {waiting:.0f} s more: {why}")
            find_model(self.models / "objects", action.candidate)
        made = record_verdict(
            self.models,
            self.chain,
            action.candidate,
            needs.known.measured,
            found.measuring.rules,
            settings=described(found.measuring.promotion(simulations).settings),
            generation=self._generation + (needs.verdict.outcome == "promoted"),
            term=action.term,
            by=BY,
            load=False,
        )
        return _written(made)

    def _pass_over(self, action: Supersede) -> Done:
        standing = self._about(action.model)
        if standing is not None:
            return self._stands(standing)
        if self.matches(action.config).begun(self.chain, decision_facts(self.chain), action.model):
            return _nothing(f"{short(action.model)}: its matches have begun")
        made = pass_over(
            self.models, self.chain, action.model, action.newer, term=action.term, by=BY
        )
        return _written(made)

    def _roll_back(self, action: RollBack) -> Done:
        last = self.chain.decisions[-1] if self.chain.decisions else None
        if last is not None and last.kind == "rolled_back" and last.champion == action.target:
            return self._stands(last)
        made = roll_back(
            self.models,
            action.config,
            action.reason,
            to=action.target,
            inputs={"automatic": True, **action.inputs},
            term=action.term,
            by=BY,
        )
        return _written(made)

    @property
    def _generation(self) -> int:
        """How many champions came after the first."""
        return sum(d.kind == "promoted" for d in self.chain.decisions[1:])

    def _about(self, model: str) -> Decision | None:
        """Return the last decision about a model as a candidate."""
        made = (d for d in reversed(self.chain.decisions) if d.kind != "rolled_back")
        return next((d for d in made if d.candidate == model), None)

    def _stands(self, decision: Decision) -> Done:
        """Let names follow a decision that was made before, and return it."""
        if decision.kind in MOVES_CHAMPION:
            follow_decisions(self.models, [self.chain.config])
        return Done(
            written=False,
            sequence=decision.sequence,
            words=f"decided already: {decision.kind} {short(decision.candidate)}",
        )


def _written(made: Decided) -> Done:
    decision = made.decision
    return Done(
        written=True,
        sequence=decision.sequence,
        words=f"{decision.kind} {short(decision.candidate)}: {decision.reason}",
    )


def _nothing(words: str) -> Done:
    return Done(written=False, sequence=None, words=words)
