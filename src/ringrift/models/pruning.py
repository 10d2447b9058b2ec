"""Choose the models that may go, and remove them in two steps (`models.md` 7).

A file may go when nothing refers to it. A removal marks it, and recounts ten minutes later: what
was taken into use in between stays. Cards, decisions, evaluations and matches are never removed.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ringrift.core.files import sync_folder, write_atomic
from ringrift.models import leases
from ringrift.models.aliases import read_aliases
from ringrift.models.archive import archive
from ringrift.models.decisions import read_chain
from ringrift.models.pins import read_pins
from ringrift.models.registry import model_ids, model_path
from ringrift.models.validation.references import descriptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ringrift.models.listing import Rating

FORMER_CHAMPIONS = 5
GRACE_S = 600.0
DAY_S = 86_400.0

Kind = Literal[
    "champion",
    "former champion",
    "alias",
    "pin",
    "candidate",
    "match job",
    "lease",
    "pool",
    "run",
    "parent",
    "young",
    "unrated",
    "few games",
    "strong",
    "top",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What pruning has to be told: ratings, and the ids that others still need.

    `match_jobs` are in open matches, `pool` are opponents of the current pool and frozen
    participants, `runs` are the models of trainings that can be gone on with.
    """

    ratings: Mapping[str, Rating] = field(default_factory=dict)
    match_jobs: frozenset[str] = frozenset()
    pool: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Which models are weak, tested and old enough to go; `keep_top` is a share of each config."""

    min_elo: float = 1400.0
    min_games: int = 30
    min_age_days: float = 7.0
    keep_top: float = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model file with what refers to it; none means that it may go."""

    id: str
    config: str
    label: str | None
    elo: float | None
    games: int
    age_days: float
    size_bytes: int
    references: tuple[Kind, ...]

    @property
    def free(self) -> bool:
        """Whether nothing refers to it."""
        return not self.references


def survey(models: Path, known: Known, limits: Limits, *, now: float | None = None) -> list[Model]:
    """Return every model file with its references, by configuration, weakest first."""
    now = time.time() if now is None else now
    cards = descriptions(models)
    ids = model_ids(models / "objects")
    references = _references(models, ids, cards, known, now)
    top = _top(ids, cards, known, limits.keep_top)
    found = []
    for model_id in ids:
        state = model_path(models / "objects", model_id).stat()
        age = (now - state.st_mtime) / DAY_S
        card = cards.get(model_id, {})
        rated = known.ratings.get(model_id)
        kinds = [*references.get(model_id, ()), *_kept_by(rated, age, limits)]
        kinds += ["top"] if model_id in top else []
        found.append(
            Model(
                id=model_id,
                config=str(card.get("config", "unknown")),
                label=card.get("label"),
                elo=None if rated is None else rated.elo,
                games=0 if rated is None else rated.games,
                age_days=age,
                size_bytes=state.st_size,
                references=tuple(dict.fromkeys(kinds)),
            )
        )
    return sorted(found, key=lambda m: (m.config, math.inf if m.elo is None else m.elo, m.id))


def mark(models: Path, chosen: Iterable[Model], *, now: float | None = None) -> None:
    """Mark models for removal; those marked already keep the time of their mark."""
    now = time.time() if now is None else now
    folder = models / "pruning"
    folder.mkdir(parents=True, exist_ok=True)
    for model in chosen:
        path = folder / f"{model.id}.json"
        if not path.exists():
            write_atomic(path, json.dumps({"at": now, "elo": model.elo}).encode() + b"\n")


def marks(models: Path) -> dict[str, float]:
    """Return when each marked model was marked, seconds since the epoch; a damaged mark is now."""
    found = {}
    for path in (models / "pruning").glob("*.json"):
        try:
            found[path.stem] = float(json.loads(path.read_bytes())["at"])
        except (OSError, ValueError, KeyError, TypeError):
            found[path.stem] = time.time()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What a removal did: removed, taken into use again since the mark, not due yet."""

    removed: tuple[Model, ...]
    saved: tuple[str, ...]
    waiting: tuple[str, ...]


def remove_marked(
    models: Path,
    known: Callable[[], Known],
    limits: Limits,
    *,
    keep_copy: bool,
    grace_s: float = GRACE_S,
    now: float | None = None,
) -> Removal:
    """Recount what was marked `grace_s` ago, and remove what is still free.

    With `keep_copy` a checked copy stands in the archive before a file goes. `known` is asked once,
    while nobody can take a lease.
    """
    now = time.time() if now is None else now
    removed, saved, waiting = [], [], []
    with leases.removal_lock(models):
        state = {m.id: m for m in survey(models, known(), limits, now=now)}
        for model_id, at in sorted(marks(models).items()):
            model = state.get(model_id)
            if model is not None and model.free and now - at < grace_s:
                waiting.append(model_id)
                continue
            if model is not None and model.free:
                _remove(models, model_id, keep_copy=keep_copy)
                removed.append(model)
            elif model is not None:
                saved.append(model_id)
            (models / "pruning" / f"{model_id}.json").unlink(missing_ok=True)
    return Removal(removed=tuple(removed), saved=tuple(saved), waiting=tuple(waiting))


def statistics(found: Iterable[Model]) -> list[dict[str, Any]]:
    """Return models, bytes and references of each kind, by configuration."""
    by_config: dict[str, list[Model]] = {}
    for model in found:
        by_config.setdefault(model.config, []).append(model)
    return [
        {
            "config": config,
            "models": len(some),
            "bytes": sum(model.size_bytes for model in some),
            "free": sum(model.free for model in some),
            "references": dict(sorted(Counter(k for m in some for k in m.references).items())),
        }
        for config, some in sorted(by_config.items())
    ]


def _remove(models: Path, model_id: str, *, keep_copy: bool) -> None:
    path = model_path(models / "objects", model_id)
    if keep_copy:
        archive(models, model_id)
    path.unlink()
    sync_folder(path.parent)


def _references(
    models: Path, ids: list[str], cards: Mapping[str, Mapping[str, Any]], known: Known, now: float
) -> dict[str, list[Kind]]:
    found: dict[str, list[Kind]] = {}

    def add(kind: Kind, some: Iterable[str]) -> None:
        for model_id in some:
            found.setdefault(model_id, []).append(kind)

    decided: set[str] = set()
    for folder in sorted((models / "decisions").glob("*_?p")):
        chain = read_chain(models / "decisions", folder.name)
        line = list(dict.fromkeys(reversed(chain.champions())))
        add("champion", line[:1])
        add("former champion", line[1 : 1 + FORMER_CHAMPIONS])
        add("former champion", chain.in_line()[-1 - FORMER_CHAMPIONS : -1])
        decided |= {d.candidate for d in chain.decisions} | set(chain.champions())
    add("alias", [alias.id for alias in read_aliases(models).values()])
    add("pin", read_pins(models))
    add("candidate", _newest_undecided(ids, cards, decided))
    add("match job", known.match_jobs)
    add("lease", leases.holders(models, now=now))
    add("pool", known.pool)
    add("run", known.runs)
    add("parent", _parents(list(found), cards))
    return found


def _newest_undecided(
    ids: Iterable[str], cards: Mapping[str, Mapping[str, Any]], decided: set[str]
) -> Iterator[str]:
    newest: dict[Any, tuple[str, str]] = {}
    for model_id in ids:
        card = cards.get(model_id)
        if card is not None and model_id not in decided:
            config = card.get("config")
            made = (str(card.get("created_at")), model_id)
            newest[config] = max(newest.get(config, made), made)
    yield from (model_id for _, model_id in newest.values())


def _parents(ids: Iterable[str], cards: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the models that others were warm-started from."""
    return [
        str(parent.get("id"))
        for model_id in ids
        for parent in cards.get(model_id, {}).get("parents") or ()
        if isinstance(parent, dict) and parent.get("role") == "warm_start"
    ]


def _kept_by(rated: Rating | None, age_days: float, limits: Limits) -> Iterator[Kind]:
    if age_days < limits.min_age_days:
        yield "young"
    if rated is None:
        yield "unrated"
        return
    if rated.games < limits.min_games:
        yield "few games"
    if rated.elo >= limits.min_elo:
        yield "strong"


def _top(
    ids: Iterable[str], cards: Mapping[str, Mapping[str, Any]], known: Known, share: float
) -> set[str]:
    by_config: dict[Any, list[str]] = {}
    for model_id in ids:
        if model_id in known.ratings:
            by_config.setdefault(cards.get(model_id, {}).get("config"), []).append(model_id)
    best: set[str] = set()
    for some in by_config.values():
        some.sort(key=lambda model_id: (-known.ratings[model_id].elo, model_id))
        best.update(some[: math.ceil(share * len(some))])
    return best
