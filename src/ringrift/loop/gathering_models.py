"""The models and decisions of each configuration as facts, from cards, reports and chains.

Files that never change are read once; which there are is looked up each time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.ids import short
from ringrift.core.log import get_logger
from ringrift.loop.decision_facts import decision_facts
from ringrift.loop.facts import ModelFacts
from ringrift.models.cards import Described, describe
from ringrift.models.decisions import read_chain
from ringrift.models.registry import SUFFIX, model_path
from ringrift.nets.container import ModelError

if TYPE_CHECKING:
    from ringrift.core.paths import Paths
    from ringrift.loop.facts import DecisionFacts
    from ringrift.models.decisions import Chain

log = get_logger(__name__)

WARM_START = "warm_start"
LOOP_RUNS = "loop"
"""Folder of the loop's trainings within the runs of a configuration."""
REPORT = "report.json"
SETTLED_S = 2.0
"""A folder that changed less than so long ago is looked into again: its clock is coarse."""
UNFINISHED = 8
"""Newest models of a configuration whose report or hold-out may still come."""


@dataclass(slots=True)
class _Known:
    """A model as its card says, and what its report and hold-out added: when those were written."""

    described: Described
    facts: ModelFacts
    stamps: tuple[int, int] = (0, 0)


class Models:
    """Keeps the models of the registry in mind by configuration; `refresh` before each look."""

    def __init__(self, paths: Paths) -> None:
        self._objects = paths.model_objects
        self._runs = paths.runs
        self._folders: dict[str, tuple[int, frozenset[str]]] = {}
        self._known: dict[str, _Known] = {}
        self._unreadable: dict[str, int] = {}
        self._by_config: dict[str, list[_Known]] = {}

    def refresh(self) -> None:
        """See which models there are now."""
        here = self._here()
        for gone in self._known.keys() - here:
            del self._known[gone]
        for new in here - self._known.keys():
            self._read(new)
        self._by_config = {}
        for known in self._known.values():
            self._by_config.setdefault(str(known.described.card.get("config")), []).append(known)

    def of(self, config: str) -> tuple[ModelFacts, ...]:
        """Return the models of a configuration whose files are here, oldest first."""
        known = sorted(
            self._by_config.get(config, ()), key=lambda each: (each.facts.made_at, each.facts.id)
        )
        for each in known[-UNFINISHED:]:
            self._complete(each, config)
        return tuple(each.facts for each in known)

    def has(self, model: str) -> bool:
        """Tell whether the file of a model is here and can be read."""
        return model in self._known

    def _here(self) -> set[str]:
        found: set[str] = set()
        now_ns = time.time_ns()
        folders = _folders(self._objects)
        for name, changed_ns in folders.items():
            known = self._folders.get(name)
            if known is None or known[0] != changed_ns:
                names = frozenset(
                    entry[: -len(SUFFIX)]
                    for entry in os.listdir(self._objects / name)  # noqa: PTH208 - names suffice
                    if entry.endswith(SUFFIX) and not entry.startswith(".")
                )
                known = (changed_ns, names)
                if now_ns - changed_ns > SETTLED_S * 1e9:
                    self._folders[name] = known
            found |= known[1]
        return found

    def _read(self, model: str) -> None:
        """Read a model; one that cannot be read is tried again once its file has changed."""
        changed_ns = _changed(model_path(self._objects, model))
        if self._unreadable.get(model) == changed_ns:
            return
        try:
            described = describe(self._objects, model)
        except ModelError as error:
            log.warning("a model cannot be read", model=short(model), why=error.message)
            self._unreadable[model] = changed_ns
            return
        made_at = _seconds(described.created_at)
        made_at = changed_ns / 1e9 if made_at is None else made_at
        self._known[model] = _Known(described, _facts(described, made_at))

    def _complete(self, known: _Known, config: str) -> None:
        """Add what report and hold-out say, once they are there."""
        model = known.facts.id
        report = _report_path(f"{self._runs}/{config}", known.described.training)
        evaluations = f"{self._objects}/{model[:2]}/{model}/evaluations"
        stamps = (_changed(report), _changed(evaluations))
        if stamps == known.stamps:
            return
        told: dict[str, Any] = {}
        if stamps[0]:
            assert report is not None
            told |= _told_by_report(_tree(Path(report)), model)
        if stamps[1]:
            told |= _told_by_holdout(Path(evaluations))
        made_at = known.facts.made_at
        known.facts = _facts(known.described, made_at, told)
        known.stamps = stamps


@dataclass(slots=True)
class Chains:
    """The chains of decisions, each read again when a file of it came."""

    folder: Path
    _known: dict[str, tuple[tuple[str, ...], Chain, tuple[DecisionFacts, ...]]] = field(
        default_factory=dict, init=False
    )

    def of(self, config: str) -> tuple[Chain, tuple[DecisionFacts, ...]]:
        """Return the chain of a configuration, and its decisions as facts."""
        try:
            names = tuple(sorted(os.listdir(self.folder / config)))  # noqa: PTH208 - names suffice
        except FileNotFoundError:
            names = ()
        known = self._known.get(config)
        if known is None or known[0] != names:
            chain = read_chain(self.folder, config)
            known = (names, chain, decision_facts(chain))
            self._known[config] = known
        return known[1], known[2]


def of_the_loop(models: Sequence[ModelFacts], chain: Chain) -> list[ModelFacts]:
    """Return the models that descend, by warm starts, from one that the chain decided about."""
    decided = {each.candidate for each in chain.decisions} | set(chain.champions())
    by_id = {model.id: model for model in models}

    def descends(model: ModelFacts) -> bool:
        seen: set[str] = set()
        parent = model.trained_from
        while parent is not None and parent not in seen:
            if parent in decided:
                return True
            seen.add(parent)
            further = by_id.get(parent)
            parent = None if further is None else further.trained_from
        return False

    return [model for model in models if model.id in decided or descends(model)]


def undecided(models: Sequence[ModelFacts], chain: Chain) -> list[ModelFacts]:
    """Return the loop's models that no decision is about, oldest first."""
    decided = {each.candidate for each in chain.decisions} | set(chain.champions())
    return [model for model in of_the_loop(models, chain) if model.id not in decided]


def _facts(
    described: Described, made_at: float, told: Mapping[str, Any] | None = None
) -> ModelFacts:
    training, datasets = described.training, described.datasets
    losses = training.get("losses")
    sides = losses if isinstance(losses, Mapping) else {}
    learned, validated = (_loss(sides.get(side)) for side in ("training", "validation"))
    card: dict[str, Any] = {
        "games": _whole(training.get("games")),
        "samples": _whole(training.get("samples")),
        "losses": () if learned is None else (learned,),
        "validation_loss": validated,
    }
    return ModelFacts(
        id=described.id,
        kind=str(described.card.get("kind")),
        made_at=made_at,
        dataset=datasets[0] if datasets else None,
        games_upto=_whole(training.get("games_upto")),
        trained_from=next((name for name, role in described.parents if role == WARM_START), None),
        random=described.card.get("training") is None,
        unfinished=bool(training.get("unfinished")),
        **{**card, **(told or {})},
    )


def _told_by_report(tree: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return what `report.json` of a training adds; nothing where it is about another model."""
    if tree.get("model_id") != model:
        return {}
    epochs = [each for each in tree.get("epochs", ()) if isinstance(each, Mapping)]
    losses = [_total(each.get("losses")) for each in epochs]
    facts = tree.get("facts")
    policy = facts.get("policy") if isinstance(facts, Mapping) else None
    calibration = tree.get("calibration")
    fitted = calibration if isinstance(calibration, Mapping) else {}
    return {
        "losses": tuple(loss for loss in losses if loss is not None),
        "seconds": _number(tree.get("seconds")),
        "coverage": _number(policy.get("coverage")) if isinstance(policy, Mapping) else None,
        "overfit_gap": _number(tree.get("overfit_gap")),
        "ece": _number(fitted.get("ece")),
        "temperature": _number(fitted.get("optimal_temperature")),
    }


def _told_by_holdout(folder: Path) -> dict[str, Any]:
    """Return what the newest hold-out result adds, of what it knows."""
    results = sorted(folder.glob("holdout-*.json"), key=_changed)
    if not results:
        return {}
    tree = _tree(results[-1])
    gap, held = tree.get("gap"), tree.get("holdout")
    found = {
        "overfit_gap": _number(gap.get("value")) if isinstance(gap, Mapping) else None,
        "ece": _number(held.get("ece")) if isinstance(held, Mapping) else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _report_path(runs: str, training: Mapping[str, Any]) -> str | None:
    """Return where the report of a training is, by the run that the card names."""
    run = training.get("run")
    if not isinstance(run, str) or not run or "/" in run or run == "..":
        return None
    own = f"{runs}/{LOOP_RUNS}/{run}/{REPORT}"
    return own if _changed(own) else f"{runs}/{run}/{REPORT}"


def _tree(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        log.warning("a result is left out", file=str(path), why=str(error))
        return {}
    return found if isinstance(found, Mapping) else {}


def _folders(objects: Path) -> dict[str, int]:
    """Return when each folder of model files changed, in ns."""
    try:
        with os.scandir(objects) as entries:
            return {
                entry.name: entry.stat().st_mtime_ns
                for entry in entries
                if len(entry.name) == 2 and entry.is_dir()
            }
    except FileNotFoundError:
        return {}


def _changed(path: str | Path | None) -> int:
    """Return when a file or folder changed, in ns, 0 where there is none."""
    try:
        return 0 if path is None else os.stat(path).st_mtime_ns  # noqa: PTH116 - asked often
    except FileNotFoundError:
        return 0


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _total(losses: Any) -> float | None:
    """Return the sum of policy and value loss, None where neither is known."""
    if not isinstance(losses, Mapping):
        return None
    known = [_number(losses.get(name)) for name in ("policy", "value")]
    found = [loss for loss in known if loss is not None]
    return sum(found) if found else None


def _loss(side: Any) -> float | None:
    """Return the loss of one side as a card tells it."""
    if not isinstance(side, Mapping):
        return None
    whole = _number(side.get("loss"))
    return _total(side) if whole is None else whole


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
