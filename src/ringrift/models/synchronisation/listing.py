"""Name the shared files of a models folder: models, their descriptions, decisions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ringrift.data.distributed.inventory import Inventory

if TYPE_CHECKING:
    from pathlib import Path

_MODEL = re.compile(r"([0-9a-f]{2})/(([0-9a-f]{64})\.(safetensors|json))")
_DECISION = re.compile(r"([a-z0-9]+_[234]p)/(\d{6})-[0-9a-f]{8}\.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")
MOST_BYTES = 1 << 33


@dataclass(frozen=True, slots=True)
class Shared:
    """A file that a node has: its name below `objects` or `decisions`, SHA-256 and bytes."""

    name: str
    sha256: str
    size_bytes: int

    @property
    def model_id(self) -> str | None:
        """The id of the model or description that it is; None for a decision."""
        match = _MODEL.fullmatch(self.name)
        return match[3] if match else None


@dataclass(frozen=True, slots=True)
class Listing:
    """All shared files of a node, by kind: models and descriptions by id, decisions by name."""

    models: Mapping[str, Shared] = field(default_factory=dict)
    descriptions: Mapping[str, Shared] = field(default_factory=dict)
    decisions: Mapping[str, Shared] = field(default_factory=dict)

    @classmethod
    def of(cls, files: list[Shared]) -> Listing:
        """Sort files by kind; names that are no shared file are left out."""
        models: dict[str, Shared] = {}
        descriptions: dict[str, Shared] = {}
        decisions: dict[str, Shared] = {}
        for file in files:
            match = _MODEL.fullmatch(file.name)
            if match and match[3].startswith(match[1]):
                (models if match[4] == "safetensors" else descriptions)[match[3]] = file
            elif _DECISION.fullmatch(file.name):
                decisions[file.name] = file
        return cls(models, descriptions, decisions)

    @property
    def configurations(self) -> set[str]:
        """The configurations it has decisions of."""
        return {name.partition("/")[0] for name in self.decisions}


def place_of(models: Path, name: str) -> Path | None:
    """Return where a shared file stands in a models folder; None for a name that is none."""
    if _MODEL.fullmatch(name):
        return models / "objects" / name
    return models / "decisions" / name if _DECISION.fullmatch(name) else None


def inventory(models: Path) -> Inventory:
    """Return the shared files of a folder with their hashes, as they are served."""
    return Inventory(models / "objects", models / "decisions")


def local_listing(known: Inventory) -> Listing:
    """Return what an inventory has now."""
    return Listing.of([Shared(f.name, f.link.sha256, f.link.size_bytes) for f in known.scan()])


def parsed(tree: Any) -> Listing:
    """Return the listing that a server told; raises `ValueError` for what is none."""
    entries = tree.get("files") if isinstance(tree, dict) else None
    files = []
    for entry in entries if isinstance(entries, list) else [None]:
        told = entry if isinstance(entry, dict) else {}
        name, sha256, size = told.get("name"), told.get("sha256"), told.get("bytes")
        good = isinstance(name, str) and isinstance(sha256, str) and _SHA256.fullmatch(sha256)
        if not good or not isinstance(size, int) or not 0 <= size <= MOST_BYTES:
            raise ValueError(f"an entry without name, bytes and sha256: {str(entry)[:80]}")
        files.append(Shared(str(name), str(sha256), size))
    return Listing.of(files)
