"""The best of a two-stage gauntlet get names and go through `ringrift models promote`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.core.errors import RingriftError
from ringrift.core.ids import short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.cli.invocation import Invocation
    from ringrift.evaluation.two_stage import Candidate

ALIAS = "gauntlet_promoted"
REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What became of one of the best; `decision` is that of `models promote`, None without one.

    `refused` tells that it could not be tested, `reason` why.
    """

    model_id: str
    alias: str
    decision: str | None
    refused: bool
    reason: str

    @property
    def words(self) -> str:
        """One line for people."""
        return f"{self.alias} {short(self.model_id)}: {self.decision or ''} {self.reason}"


def promote(
    run: Invocation, best: Sequence[Candidate], *, workers: int, dry_run: bool
) -> list[Promotion]:
    """Name the best of each configuration and test them in turn until one is champion."""
    by_config: dict[str, list[str]] = {}
    for candidate in best:
        model_id = candidate.contender.agent.model_id
        if model_id is not None:
            by_config.setdefault(candidate.contender.spec.config, []).append(model_id)
    found = []
    for config, ids in by_config.items():
        if not dry_run:
            _name(run, config, ids)
        found += _tested(run, config, ids, workers=workers, dry_run=dry_run)
    return found


def _name(run: Invocation, config: str, ids: Sequence[str]) -> None:
    """Let the aliases of a configuration mean these models, best first, and no others."""
    from ringrift.models.aliases import move, read_aliases, remove_alias

    models = run.paths().models
    names = {_alias(config, place): model_id for place, model_id in enumerate(ids, 1)}
    prefix = f"{ALIAS}_{config}_"
    for name in read_aliases(models):
        if name.startswith(prefix) and name not in names:
            remove_alias(models, name)
    move(models, names, by="two-stage")


def _alias(config: str, place: int) -> str:
    return f"{ALIAS}_{config}_{place}"


def _tested(
    run: Invocation, config: str, ids: Sequence[str], *, workers: int, dry_run: bool
) -> list[Promotion]:
    from ringrift.models.decisions import read_chain

    crowned = read_chain(run.paths(create=not dry_run).models / "decisions", config).champion
    found: list[Promotion] = []
    done = False
    for place, model_id in enumerate(ids, 1):
        decision, refused = None, False
        if done:
            reason = f"{short(crowned or '')} is champion"
        elif model_id == crowned:
            reason, done = "is the champion", True
        elif dry_run:
            reason = "would be tested against the champion"
        else:
            decision, refused, reason = _decided(run, config, model_id, workers)
            if decision == "promoted":
                crowned, done = model_id, True
        found.append(
            Promotion(
                model_id=model_id,
                alias=_alias(config, place),
                decision=decision,
                refused=refused,
                reason=reason,
            )
        )
    return found


def _decided(
    run: Invocation, config: str, model_id: str, workers: int
) -> tuple[str | None, bool, str]:
    """Return the decision of `models promote` about a model, whether it refused, and why."""
    from ringrift.cli.models.promoting import Promotions
    from ringrift.core.limits import thread_budget

    work = Promotions(
        run,
        config=config,
        options={},
        seed=0,
        workers=min(workers, thread_budget()),
        hosts=[],
        dry_run=False,
    )
    try:
        work.test(model_id, None)
    except RingriftError as error:
        return None, True, error.message
    if not work.decisions:
        return None, True, "stopped before a decision"
    return work.decisions[-1].kind, False, work.decisions[-1].reason
