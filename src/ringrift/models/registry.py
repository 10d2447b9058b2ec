"""Find model files by id; the index, aliases and lineage of `models.md` 2 come later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.errors import DataError
from ringrift.core.ids import resolve_prefix, short

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".safetensors"


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
    if len(reference) == 64:
        path = model_path(objects, reference)
        if not path.is_file():
            raise DataError(f"model {short(reference)} has no file", where=str(path))
        return path
    return model_path(objects, resolve_prefix(reference, model_ids(objects), what="model"))
