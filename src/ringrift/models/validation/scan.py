"""Look at every model file below a folder, and at what refers to models."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING

from ringrift.models.decisions import read_chain
from ringrift.models.registry import model_path
from ringrift.models.validation.files import check_file
from ringrift.models.validation.findings import Report
from ringrift.models.validation.references import check_references

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

ENDINGS = frozenset({".safetensors", ".pth", ".pt", ".pkl", ".ckpt", ".bin"})
APART = frozenset({"archive", "quarantine", "decisions", "leases", "pruning"})
"""Folders of a models folder that hold no model in use."""


def scan(
    models: Path,
    *,
    pattern: str = "*",
    full: bool = False,
    participants: Iterable[str] = (),
    on_file: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Check the files whose names fit `pattern` and every reference.

    Of champions the outputs are computed, of all with `full`. `on_file` hears how many of how many
    are done.
    """
    files = model_files(models, pattern)
    heads = {model_path(models / "objects", head) for head in champions(models).values()}
    findings = []
    for done, path in enumerate(files):
        on_file(done, len(files))
        findings.append(check_file(path, full=full or path in heads))
    on_file(len(files), len(files))
    return Report(findings=(*findings, *check_references(models, participants)))


def model_files(models: Path, pattern: str = "*") -> list[Path]:
    """Return what looks like a model file, sorted; links, archive and quarantine are left out."""
    found = []
    for path in models.rglob("*"):
        parts = path.relative_to(models).parts
        apart = parts[0] in APART or any(part.startswith(".") for part in parts)
        if apart or path.suffix not in ENDINGS or not fnmatch(path.name, pattern):
            continue
        if path.is_file() and not path.is_symlink():
            found.append(path)
    return sorted(found)


def champions(models: Path) -> dict[str, str]:
    """Return the champion's id by configuration."""
    folder = models / "decisions"
    chains = [read_chain(folder, path.name) for path in sorted(folder.glob("*_?p"))]
    return {chain.config: chain.champion for chain in chains if chain.champion is not None}
