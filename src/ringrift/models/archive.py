"""Keep pruned models compressed, and bring them back with the same id (`models.md` 7).

`models/archive/<id[:2]>/<id>.safetensors.zst` is Zstandard over the file's bytes. A copy counts
once it was read back and gave the same SHA-256; a model is in the archive or in `objects`, never
in neither.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import zstandard

from ringrift.core.errors import DataError, UsageError
from ringrift.core.files import sync_folder, write_atomic
from ringrift.core.ids import resolve_prefix, short
from ringrift.models.registry import model_path
from ringrift.nets.container import ModelError, read_card

if TYPE_CHECKING:
    from pathlib import Path

ENDING = ".safetensors.zst"
LEVEL = 9
MOST_BYTES = 1 << 33
"""The largest model that is unpacked."""


def archived_path(models: Path, model_id: str) -> Path:
    """Return where the archive copy of a model stands, whether it is there or not."""
    return models / "archive" / model_id[:2] / f"{model_id}{ENDING}"


def archived_ids(models: Path) -> list[str]:
    """Return the ids of all models in the archive, sorted."""
    found = (models / "archive").glob(f"??/*{ENDING}")
    return sorted(path.name.removesuffix(ENDING) for path in found)


def archive(models: Path, model_id: str) -> Path:
    """Write a checked archive copy of a model; the model itself stays.

    Raises `ModelError` for a file whose bytes are not those of its id.
    """
    path = model_path(models / "objects", model_id)
    _require_id(path, model_id)
    target = archived_path(models, model_id)
    if not is_archived(models, model_id):
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, zstandard.ZstdCompressor(level=LEVEL).compress(path.read_bytes()))
        if not is_archived(models, model_id):
            target.unlink()
            raise DataError("the archive copy gives other bytes than the model", where=str(target))
    return target


def is_archived(models: Path, model_id: str) -> bool:
    """Tell whether the archive holds the very bytes of a model that stands in `objects`."""
    packed, path = archived_path(models, model_id), model_path(models / "objects", model_id)
    if not packed.is_file():
        return False
    try:
        return _digest(_unpacked(packed)) == _digest(path.read_bytes())
    except DataError:
        return False


def find_archived(models: Path, reference: str) -> Path | None:
    """Return where a model of the archive would stand again; None where none such is in it."""
    try:
        model_id = resolve_prefix(reference, archived_ids(models), what="model in the archive")
    except UsageError:
        return None
    return model_path(models / "objects", model_id)


def unarchive(models: Path, reference: str) -> Path | None:
    """Bring a model back by its id or its first digits; None where the archive has none such.

    The archive copy goes once the file stands. Raises `DataError` for a damaged copy.
    """
    path = find_archived(models, reference)
    if path is None:
        return None
    model_id = path.stem
    packed = archived_path(models, model_id)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        arriving = path.with_name(f".{model_id}.unpacked.safetensors")
        arriving.write_bytes(_unpacked(packed))
        try:
            _require_id(arriving, model_id)
        except ModelError as error:
            arriving.unlink()
            raise DataError(f"a damaged archive copy: {error.detail}", where=str(packed)) from None
        write_atomic(path, arriving.read_bytes())
        path.chmod(0o444)
        arriving.unlink()
    packed.unlink()
    sync_folder(packed.parent)
    return path


def drop_older(models: Path, days: float, *, dry_run: bool, now: float | None = None) -> list[str]:
    """Delete archive copies of that age for good; return the ids of their models."""
    now = time.time() if now is None else now
    found = []
    for model_id in archived_ids(models):
        path = archived_path(models, model_id)
        if now - path.stat().st_mtime < days * 86_400.0:
            continue
        found.append(model_id)
        if not dry_run:
            path.unlink()
    return found


def _require_id(path: Path, model_id: str) -> None:
    found, _ = read_card(path)
    if found != model_id:
        detail = f"content {short(found)}; expected {short(model_id)}"
        raise ModelError("hash_mismatch", str(path), detail)


def _unpacked(path: Path) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(
            path.read_bytes(), max_output_size=MOST_BYTES
        )
    except zstandard.ZstdError as error:
        raise DataError(f"a damaged archive copy: {error}", where=str(path)) from None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
