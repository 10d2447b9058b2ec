"""Where datasets stand: `<folder>/<configuration>/<id>`, and which answered which request (data.md 5)."""

from __future__ import annotations

from pathlib import Path

from ringrift.core.errors import RingriftError
from ringrift.core.files import write_atomic
from ringrift.data.dataset.manifest import NAME, Manifest

REQUESTS = ".requests"


def find_datasets(npz: Path, config: str) -> list[Path]:
    """Return the datasets of a configuration, the newest first."""
    found = (npz / config).glob(f"[0-9a-f]*/{NAME}")
    return [path.parent for path in sorted(found, key=_newest_first)]


def _newest_first(path: Path) -> tuple[float, str]:
    return -path.stat().st_mtime, path.parent.name


def note_request(folder: Path, request: str) -> None:
    """Remember that the dataset in `folder` answers a request."""
    requests = folder.parent / REQUESTS
    requests.mkdir(exist_ok=True)
    write_atomic(requests / request, folder.name.encode())


def answered(parent: Path, request: str) -> tuple[Path, Manifest] | None:
    """Return the dataset below `parent` that answers a request, None if there is none or not whole."""
    note = parent / REQUESTS / request
    try:
        folder = parent / note.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    manifest = _read(folder)
    if manifest is None or manifest.request != request or not is_whole(folder, manifest):
        return None
    return folder, manifest


def answered_by_file(path: Path, request: str) -> Manifest | None:
    """Return the manifest of a dataset in one file if it answers a request."""
    manifest = _read(path) if path.is_file() else None
    return manifest if manifest is not None and manifest.request == request else None


def is_whole(folder: Path, manifest: Manifest) -> bool:
    """Tell whether all parts are there with their sizes."""
    paths = ((folder / part.name, part.size_bytes) for part in manifest.parts)
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def _read(path: Path) -> Manifest | None:
    try:
        return Manifest.read(path)
    except RingriftError:  # damaged, or of another version: it is written anew
        return None
