"""Check what arrived from another node, and move it to its place; anything wrong is refused."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from ringrift.core.errors import DataError
from ringrift.core.files import sync_folder
from ringrift.core.ids import short
from ringrift.models.registry import model_path
from ringrift.nets.container import ModelError, read_card
from ringrift.nets.loading import open_model, spec_of

if TYPE_CHECKING:
    from pathlib import Path

INCOMING = ".incoming"


def incoming(models: Path, name: str) -> Path:
    """Return where a shared file is while it arrives."""
    folder = models / INCOMING
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name.replace("/", "-")


def admit_model(models: Path, model_id: str, arrived: Path) -> Path:
    """Load a model that arrived, then let it appear under its id; a bad one is removed.

    Raises `ModelError` for one that is not of that id, or that this version cannot use.
    """
    try:
        _load(arrived, model_id)
    except ModelError:
        arrived.unlink(missing_ok=True)
        raise
    path = model_path(models / "objects", model_id)
    arrived.chmod(0o444)
    _place(arrived, path)
    return path


def _load(arrived: Path, model_id: str) -> None:
    found, card = read_card(arrived)
    if found != model_id:
        detail = f"content {short(found)}; expected {short(model_id)}"
        raise ModelError("hash_mismatch", arrived.name, detail)
    open_model(arrived, spec_of(card, arrived.name))


def admit_description(models: Path, model_id: str, arrived: Path) -> Path:
    """Let the description of a model appear; raises `DataError` for one that is not its own."""
    try:
        found = json.loads(arrived.read_bytes())
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("id") != model_id or not found.get("config"):
        arrived.unlink(missing_ok=True)
        raise DataError(f"not the description of model {short(model_id)}", where=arrived.name)
    path = model_path(models / "objects", model_id).with_suffix(".json")
    _place(arrived, path)
    return path


def is_sound(path: Path, model_id: str) -> bool:
    """Tell whether a file has the bytes that belong to an id."""
    try:
        return read_card(path)[0] == model_id
    except ModelError:
        return False


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(arrived: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrived.replace(path)
    sync_folder(path.parent)
