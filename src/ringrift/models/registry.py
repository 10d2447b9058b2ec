"""Find model files by id, and take new ones into the registry (`models.md` 2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic
from ringrift.core.ids import resolve_prefix, short

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".safetensors"

_WHOLE_ID = re.compile(r"[0-9a-f]{64}")


def model_path(objects: Path, model_id: str) -> Path:
    """Return where the file of a model stands, whether it is there or not."""
    return objects / model_id[:2] / f"{model_id}{SUFFIX}"


def has_model(objects: Path, model_id: str) -> bool:
    """Tell whether the file of a model is there."""
    return model_path(objects, model_id).is_file()


def model_ids(objects: Path) -> list[str]:
    """Return the ids of all model files, sorted."""
    return sorted(path.stem for path in objects.glob(f"??/*{SUFFIX}"))


def find_model(objects: Path, reference: str) -> Path:
    """Return the file of an id or of a unique prefix of one.

    Raises `UsageError` for a prefix that fits none or several, `DataError` for a missing file.
    """
    if _WHOLE_ID.fullmatch(reference):
        path = model_path(objects, reference)
        if not path.is_file():
            raise DataError(f"model {short(reference)} has no file", where=str(path))
        return path
    return model_path(objects, resolve_prefix(reference, model_ids(objects), what="model"))


def register(objects: Path, path: Path, *, label: str | None = None) -> str:
    """Take a model file into the registry and return its id; a second time changes nothing.

    A file that stands elsewhere is copied, with the description beside it, or with a new one that
    has the `label`. It is loaded first, as for play: raises `ModelError` for one that is not
    exactly right.
    """
    from ringrift.models.index import open_index
    from ringrift.nets.container import description
    from ringrift.nets.loading import open_described

    found = open_described(path)
    identity = found.id
    target = model_path(objects, identity)
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".json")
        if label is not None:
            write_atomic(
                target.with_suffix(".json"), description(dict(found.card), identity, label)
            )
        elif beside.is_file() and not target.with_suffix(".json").exists():
            write_atomic(target.with_suffix(".json"), beside.read_bytes())
        write_atomic(target, path.read_bytes())
        target.chmod(0o444)
    with open_index(objects.parent):
        return identity
