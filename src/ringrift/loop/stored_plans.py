"""The plans of matches in a store, each read once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.errors import DataError
from ringrift.core.log import get_logger
from ringrift.evaluation.plans import plan_of_text

if TYPE_CHECKING:
    from ringrift.evaluation.plans import MatchPlan, Purpose
    from ringrift.records.store import GameStore

log = get_logger(__name__)


class PlansOf:
    """The plans of one configuration and purpose, oldest first.

    One that this program cannot play is left out, with a warning.
    """

    def __init__(self, store: GameStore, config: str, purpose: Purpose) -> None:
        self._store = store
        self._config = config
        self._purpose = purpose
        self._top = -1
        self._plans: dict[str, MatchPlan | None] = {}

    def upto(self, top: int) -> list[MatchPlan]:
        """Return those that are there once the store has games up to number `top`."""
        if top != self._top:
            self._top = top
            for row in self._store.plans.all(self._config, purpose=self._purpose):
                if row.hash not in self._plans:
                    self._plans[row.hash] = _read(row.hash, row.text)
        return [plan for plan in self._plans.values() if plan is not None]


def _read(name: str, text: str) -> MatchPlan | None:
    try:
        return plan_of_text(text)
    except DataError as error:
        log.warning("a plan is left out", plan=name[:12], why=str(error))
        return None
