"""Record what becomes of a candidate and move the champion; nothing else moves one (`models.md` 4).

Effects come in one order: the decision is written and fsynced, then aliases and
`promoted_models.json` follow from the decisions. After a crash in between `follow_decisions` does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import NegativeResult, RefusedError, UsageError
from ringrift.core.ids import short
from ringrift.models.aliases import align
from ringrift.models.decisions import MOVES_CHAMPION, append, read_chain
from ringrift.models.evidence import evidence, tested_by
from ringrift.models.judging import decide
from ringrift.models.registry import model_path
from ringrift.nets.container import read_card
from ringrift.nets.loading import open_model, spec_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ringrift.core.settings.measuring import Promotion
    from ringrift.models.decisions import Chain, Decision, Kind
    from ringrift.models.judging import Measured, Rules

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision that was written, the chain with it, and whose aliases moved."""

    decision: Decision
    chain: Chain
    changed: tuple[str, ...]


def configurations(models: Path) -> list[str]:
    """Return the configurations that have decisions, sorted."""
    folder = models / "decisions"
    found = [path.name for path in folder.glob("*_?p") if path.is_dir()]
    return sorted(config for config in found if read_chain(folder, config).decisions)


def record_verdict(
    models: Path,
    chain: Chain,
    candidate: str,
    measured: Measured,
    rules: Rules,
    *,
    settings: Mapping[str, Any],
    run: str | None = None,
    generation: int | None = None,
    term: int | None = None,
    by: str = "loop",
    load: bool = True,
) -> Decided:
    """Judge a candidate, write the decision and let aliases follow it.

    Without `load` the caller has had the model loaded, to play its matches. Raises `DataError` for
    a missing measurement, `RefusedError` for a model that is not of the chain's configuration, does
    not load, or was demoted after this very test; `BusyError` where somebody else decided
    meanwhile: read the chain, measure and judge again.
    """
    verdict = decide(measured, rules)
    if verdict.outcome == "promoted":
        if load:
            require_model(models, candidate, chain.config)
        _require_new_test(chain, candidate, measured)
    return _write(
        models,
        chain,
        kind=verdict.outcome,
        candidate=candidate,
        reason=verdict.reason,
        inputs=evidence(measured, rules, verdict, settings),
        run=run,
        generation=generation,
        term=term,
        by=by,
    )


def promote_manually(
    models: Path,
    chain: Chain,
    candidate: str,
    reason: str,
    *,
    regression: str,
    term: int | None = None,
    by: str,
) -> Decided:
    """Move the champion without a test; `regression` says what became of that stage.

    Raises `UsageError` without a reason, `NegativeResult` where the model is champion already,
    `RefusedError` for a model that is not of the chain's configuration or does not load.
    """
    if not reason.strip():
        raise UsageError(
            "a promotion by hand needs a reason", where="--reason", hint="--reason TEXT"
        )
    if candidate == chain.champion:
        raise NegativeResult(f"{short(candidate)} is the champion of {chain.config} already")
    require_model(models, candidate, chain.config)
    inputs = {"tested": False, "regression": regression}
    return _write(
        models,
        chain,
        kind="manual",
        candidate=candidate,
        reason=reason,
        inputs=inputs,
        term=term,
        by=by,
    )


def first_champion(
    models: Path,
    chain: Chain,
    candidate: str,
    reason: str,
    *,
    inputs: Mapping[str, Any],
    run: str | None = None,
    term: int | None = None,
    by: str = "loop",
) -> Decided:
    """Begin a chain with the first model of its configuration."""
    if chain.decisions:
        raise RefusedError(f"{chain.config} has a champion already; another needs a test")
    return _write(
        models,
        chain,
        kind="promoted",
        candidate=candidate,
        reason=reason,
        inputs=inputs,
        run=run,
        term=term,
        by=by,
    )


def pass_over(
    models: Path,
    chain: Chain,
    candidate: str,
    newer: str,
    *,
    term: int | None = None,
    by: str = "loop",
) -> Decided:
    """Write that a model gets no test since a newer one does; the champion stays."""
    return _write(
        models,
        chain,
        kind="superseded",
        candidate=candidate,
        reason=f"superseded by {short(newer)} before its first match",
        inputs={"tested": False, "newer": newer},
        term=term,
        by=by,
    )


def move_back(
    models: Path,
    chain: Chain,
    target: str,
    reason: str,
    *,
    inputs: Mapping[str, Any],
    term: int | None = None,
    by: str,
) -> Decided:
    """Write the decision that demotes the champion in favour of `target`, and let aliases follow."""
    if chain.champion is None:
        raise NegativeResult(f"{chain.config} has no champion")
    require_model(models, target, chain.config)
    return _write(
        models,
        chain,
        kind="rolled_back",
        candidate=chain.champion,
        champion=target,
        reason=reason,
        inputs=inputs,
        term=term,
        by=by,
    )


def _write(models: Path, chain: Chain, *, kind: Kind, candidate: str, **fields: Any) -> Decided:
    longer = append(models / "decisions", chain, kind=kind, candidate=candidate, **fields)
    changed = follow_decisions(models, [chain.config]) if kind in MOVES_CHAMPION else ()
    return Decided(decision=longer.decisions[-1], chain=longer, changed=changed)


def _require_new_test(chain: Chain, candidate: str, measured: Measured) -> None:
    """Refuse a model that was demoted after the very test that is now to bring it back."""
    demoted = [
        d.sequence for d in chain.decisions if d.kind == "rolled_back" and d.candidate == candidate
    ]
    if not demoted:
        return
    used = {
        tested_by(d.inputs)
        for d in chain.decisions
        if d.candidate == candidate and d.sequence < demoted[-1]
    }
    if measured.against_champion.plan in used:
        raise RefusedError(
            f"{short(candidate)} was rolled back after this very test",
            where=f"{chain.config} decision {demoted[-1]}",
            hint="another --seed, which plays a new one",
        )


def follow_decisions(models: Path, configs: list[str] | None = None) -> tuple[str, ...]:
    """Bring aliases and `promoted_models.json` in line with the decisions; return what changed.

    A second call changes nothing. `configs` None means all that have decisions.
    """
    return tuple(align(models, configs))


def require_model(models: Path, model_id: str, config: str) -> None:
    """Load a model as a champion must load; raises `RefusedError` for any that is not fit."""
    path = model_path(models / "objects", model_id)
    _, card = read_card(path)
    if card["config"] != config:
        raise RefusedError(
            f"model {short(model_id)} was made for {card['config']}; expected {config}",
            where=str(path),
        )
    open_model(path, spec_of(card, str(path)))


def waiting_s(chain: Chain, settings: Promotion, now: datetime | None = None) -> tuple[float, str]:
    """Return how many seconds an automatic promotion has to wait, and for what; 0 for nothing."""
    now = now or datetime.now(UTC)
    times = [_when(d) for d in chain.decisions if d.kind == "promoted" and d.sequence > 1]
    if not times:
        return 0.0, ""
    rest = settings.cooldown_seconds - (now - times[-1]).total_seconds()
    if rest > 0:
        return rest, f"promotion.cooldown_seconds {settings.cooldown_seconds:g}"
    most = settings.max_promotions_per_day
    if most is not None and len(times) >= most:
        rest = DAY_S - (now - times[-most]).total_seconds()
        if rest > 0:
            return rest, f"promotion.max_promotions_per_day {most}"
    return 0.0, ""


def _when(decision: Decision) -> datetime:
    return datetime.fromisoformat(decision.at)
