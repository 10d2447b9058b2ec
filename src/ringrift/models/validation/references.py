"""Check what names models: aliases, decisions, parents, participants of matches."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError
from ringrift.core.ids import short
from ringrift.models.aliases import read_aliases
from ringrift.models.decisions import read_chain
from ringrift.models.registry import SUFFIX, model_path
from ringrift.models.validation.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    Cards = Mapping[str, Mapping[str, Any]]


def check_references(models: Path, participants: Iterable[str] = ()) -> Iterator[Finding]:
    """Yield every reference that leads nowhere; `participants` are model ids that matches name."""
    cards = descriptions(models)
    yield from _aliases(models)
    yield from _decisions(models, cards)
    yield from _lineage(models, cards)
    for model_id in sorted(set(participants) - cards.keys()):
        yield Finding(
            code="participant_unknown",
            ref=f"matches of {short(model_id)}",
            detail=f"matches name model {short(model_id)}, which has no card",
            model_id=model_id,
        )


def descriptions(models: Path) -> dict[str, dict[str, Any]]:
    """Return the description beside every model by id, of pruned ones too; unreadable ones are not in it."""
    found = {}
    for path in (models / "objects").glob("??/*.json"):
        if len(path.stem) != 64:
            continue
        try:
            card = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(card, dict):
            found[path.stem] = card
    return found


def _aliases(models: Path) -> Iterator[Finding]:
    try:
        aliases = read_aliases(models)
    except DataError as error:
        yield Finding(code="alias_dangling", ref=error.where or str(models), detail=error.message)
        return
    for name, alias in aliases.items():
        if not model_path(models / "objects", alias.id).is_file():
            yield Finding(
                code="alias_dangling",
                ref=f"alias {name}",
                detail=f"names {short(alias.id)}, which has no file",
                model_id=alias.id,
            )
    for link in sorted(models.glob(f"*{SUFFIX}")):
        if link.is_symlink() and not link.exists() and link.stem not in aliases:
            yield Finding(
                code="alias_dangling", ref=f"alias {link.stem}", detail="a link without its file"
            )


def _decisions(models: Path, cards: Cards) -> Iterator[Finding]:
    for folder in sorted((models / "decisions").glob("*_?p")):
        chain = read_chain(models / "decisions", folder.name)
        champion = chain.champion
        if champion is not None and not model_path(models / "objects", champion).is_file():
            yield Finding(
                code="decision_dangling",
                ref=f"champion of {chain.config}",
                detail=f"model {short(champion)} has no file",
                model_id=champion,
            )
        for decision in chain.decisions:
            if decision.candidate not in cards and decision.candidate != champion:
                yield Finding(
                    code="decision_dangling",
                    ref=f"decision {chain.config}/{decision.name}",
                    detail=f"model {short(decision.candidate)} has no card",
                    model_id=decision.candidate,
                )


def _lineage(models: Path, cards: Cards) -> Iterator[Finding]:
    parents = {model_id: _parents(card) for model_id, card in cards.items()}
    for model_id in sorted(cards):
        for parent in parents[model_id]:
            if parent not in cards:
                yield Finding(
                    code="lineage_missing",
                    ref=f"parent of {short(model_id)}",
                    detail=f"model {short(parent)} has no card",
                    model_id=parent,
                )
    for model_id in sorted(_in_a_cycle(parents)):
        yield Finding(
            code="lineage_missing",
            ref=f"parents of {short(model_id)}",
            detail="it is its own ancestor",
            path=model_path(models / "objects", model_id).with_suffix(".json"),
            model_id=model_id,
        )


def _parents(card: Mapping[str, Any]) -> list[str]:
    named = card.get("parents")
    entries = named if isinstance(named, list) else []
    return [str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry]


def _in_a_cycle(parents: Mapping[str, list[str]]) -> set[str]:
    """Return the models that are among their own ancestors."""
    left = {m: {p for p in found if p in parents} for m, found in parents.items()}
    while done := [m for m, found in left.items() if not found]:
        for m in done:
            del left[m]
        for found in left.values():
            found.difference_update(done)
    # What is left descends from a cycle or is in one: only the latter reaches itself.
    return {m for m in left if _reaches(m, left)}


def _reaches(model_id: str, parents: Mapping[str, set[str]]) -> bool:
    seen: set[str] = set()
    waiting = list(parents[model_id])
    while waiting:
        one = waiting.pop()
        if one == model_id:
            return True
        if one not in seen:
            seen.add(one)
            waiting += parents.get(one, ())
    return False
