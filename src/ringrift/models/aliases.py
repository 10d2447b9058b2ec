"""Names of models: `models/aliases.json` and a link for each name (`models.md` 2).

The file is the truth and is replaced whole; the links `models/<alias>.safetensors` and
`models/<alias>.meta.json` follow it, each exchanged by a rename, so that a reader of either finds
the old model or the new one. What a kill left between the two is made good by the next change.
Where a file system has no links, the names are copies.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError, RefusedError, UsageError
from ringrift.core.files import PARTIAL_SUFFIX, lock, sync_folder, write_atomic
from ringrift.core.ids import short
from ringrift.core.log import get_logger
from ringrift.core.paths import Paths
from ringrift.models.decisions import read_chain
from ringrift.models.names import best_alias, check_name
from ringrift.models.promoted import Promoted, write_promoted
from ringrift.models.registry import SUFFIX, model_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ringrift.models.listing import Rating

log = get_logger(__name__)

FILE = "aliases.json"
META = ".meta.json"
LOCK_WAIT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """What a name means: the id of a model, set by whom and when (UTC, ISO 8601)."""

    id: str
    by: str
    at: str


def read_aliases(models: Path) -> dict[str, Alias]:
    """Return all aliases by name, sorted; raises `DataError` for a damaged file."""
    path = models / FILE
    try:
        tree = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"no aliases: {error}", where=str(path)) from None
    try:
        return {name: Alias(**tree[name]) for name in sorted(tree)}
    except (TypeError, AttributeError):
        raise DataError(
            "found no aliases; expected {name: {id, by, at}}", where=str(path)
        ) from None


def set_alias(models: Path, name: str, model_id: str, *, by: str) -> bool:
    """Let a name of the user's mean a model; return whether that is new.

    Raises `UsageError` for a name that is automatic, a word of references, or like an id, and
    `RefusedError` for a model that has no file.
    """
    check_name(name)
    return bool(move(models, {name: model_id}, by=by))


def remove_alias(models: Path, name: str) -> None:
    """Take a name of the user's away; raises `UsageError` for one that is not there or automatic."""
    check_name(name)
    with lock(models / ".aliases.lock", timeout_s=LOCK_WAIT_S, what="the aliases"):
        aliases = read_aliases(models)
        if name not in aliases:
            raise UsageError(f"no alias {name!r}", hint=", ".join(list(aliases)[:3]) or None)
        del aliases[name]
        _write(models, aliases)
        for ending in (SUFFIX, META):
            (models / f"{name}{ending}").unlink(missing_ok=True)
        sync_folder(models)


def move(models: Path, names: Mapping[str, str], *, by: str) -> list[str]:
    """Let names, automatic ones too, mean models; return those that meant another one before.

    `names` maps names to ids. Raises `RefusedError` for a model that has no file.
    """
    for name, model_id in names.items():
        path = model_path(models / "objects", model_id)
        if not path.is_file():
            raise RefusedError(
                f"alias {name}: model {short(model_id)} has no file", where=str(path)
            )
    models.mkdir(parents=True, exist_ok=True)
    with lock(models / ".aliases.lock", timeout_s=LOCK_WAIT_S, what="the aliases"):
        aliases = read_aliases(models)
        changed = [
            name
            for name, model_id in names.items()
            if name not in aliases or aliases[name].id != model_id
        ]
        if changed:
            now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            aliases |= {name: Alias(id=names[name], by=by, at=now) for name in changed}
            _write(models, aliases)
        _link_all(models, aliases)
    return changed


def align(models: Path, configs: Iterable[str] | None = None, *, by: str = "decision") -> list[str]:
    """Bring aliases and `promoted_models.json` in line with the decisions; return what changed.

    `configs` None means all that have decisions. A second call changes nothing. A champion without
    a file keeps its old links and is a warning.
    """
    places = sorted(path.name for path in (models / "decisions").glob("*") if path.is_dir())
    names: dict[str, str] = {}
    champions: dict[str, Promoted] = {}
    for config in places if configs is None else configs:
        chain = read_chain(models / "decisions", config)
        if chain.champion is None:
            continue
        if not model_path(models / "objects", chain.champion).is_file():
            log.warning("a champion has no file", config=config, model=short(chain.champion))
            continue
        names |= {best_alias(config): chain.champion, config: chain.champion}
        champions[config] = Promoted.of(chain, _rating(models, config, chain.champion))
    changed = move(models, names, by=by) if names else []
    if champions and write_promoted(models, champions):
        changed.append("promoted_models.json")
    return changed


def _rating(models: Path, config: str, model_id: str) -> Rating | None:
    """Return the fitted rating of a champion, None where there is none or the fit is damaged."""
    from ringrift.models.ratings import ratings_of

    try:
        return ratings_of(Paths(models.parent).ratings, config).get(model_id)
    except DataError as error:
        log.warning("no rating of the champion", config=config, why=str(error))
        return None


def _write(models: Path, aliases: Mapping[str, Alias]) -> None:
    tree: dict[str, Any] = {name: asdict(aliases[name]) for name in sorted(aliases)}
    write_atomic(models / FILE, json.dumps(tree, indent=1).encode() + b"\n")


def _link_all(models: Path, aliases: Mapping[str, Alias]) -> None:
    """Let every name that is not what its link shows be what the file says."""
    made = False
    for name, alias in aliases.items():
        target = model_path(models / "objects", alias.id)
        if not target.is_file():
            continue  # pruned; the name still says which model it was
        for ending, path in ((META, target.with_suffix(".json")), (SUFFIX, target)):
            if path.is_file():
                made |= _exchange(models / f"{name}{ending}", path)
    if made:
        sync_folder(models)


def _exchange(name: Path, target: Path) -> bool:
    """Let `name` be a link to `target`, or a copy; return whether it was not."""
    text = os.path.relpath(target, name.parent)
    if name.is_symlink():
        if name.readlink().as_posix() == text:
            return False
    elif name.is_file() and name.read_bytes() == target.read_bytes():
        return False
    partial = name.with_name(f".{name.name}.{secrets.token_hex(6)}{PARTIAL_SUFFIX}")
    try:
        partial.symlink_to(text)
    except OSError as error:
        log.debug("no links here", folder=str(name.parent), why=str(error))
        write_atomic(name, target.read_bytes())
        return True
    try:
        partial.replace(name)
    finally:
        partial.unlink(missing_ok=True)
    return True
