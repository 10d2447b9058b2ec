"""Checkpoints of a run: tensors with their JSON, written whole, the newest two kept (training.md 6)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from ringrift.core.errors import DataError
from ringrift.core.files import remove_partial, write_atomic

KEPT = 2

Found = tuple[dict[str, Tensor], dict[str, Any]]


class Checkpoints:
    """The checkpoints of a folder, named by their step: `<step>.safetensors` and `<step>.json`.

    The JSON holds the digest of the tensors and is written last: without it there is no checkpoint.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        remove_partial(folder)

    def steps(self) -> list[int]:
        """Return the steps of the checkpoints, the newest first."""
        names = (path.stem for path in self.folder.glob("*.json"))
        return sorted((int(name) for name in names if name.isdigit()), reverse=True)

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write a checkpoint; it is there whole or not at all."""
        data = tensor_bytes(dict(tensors))
        described = {**state, "sha256": hashlib.sha256(data).hexdigest()}
        text = json.dumps(described, sort_keys=True, allow_nan=False)
        write_atomic(self._tensors(step), data)
        write_atomic(self._json(step), text.encode())

    def keep(self, steps: set[int]) -> None:
        """Remove all but some checkpoints, the JSON of each before its tensors."""
        for step in set(self.steps()) - steps:
            self._json(step).unlink()
        for path in self.folder.glob("*.safetensors"):
            if not (path.stem.isdigit() and int(path.stem) in steps):
                path.unlink()

    def load(self, step: int) -> Found:
        """Read a checkpoint; raises `DataError` naming the file that is missing or damaged."""
        path, beside = self._tensors(step), self._json(step)
        try:
            state = json.loads(beside.read_bytes())
            data = path.read_bytes()
        except OSError as error:
            raise DataError(f"no checkpoint: {error.strerror}", where=str(error.filename)) from None
        except ValueError as error:
            raise DataError(f"a damaged checkpoint: {error}", where=str(beside)) from None
        digest = hashlib.sha256(data).hexdigest()
        expected = state.pop("sha256", None) if isinstance(state, dict) else None
        if digest != expected:
            raise DataError(
                f"a damaged checkpoint: {len(data):,} bytes with SHA-256 {digest[:16]}; "
                f"expected {str(expected)[:16]}",
                where=str(path),
            )
        try:
            return read_tensors(data), state
        except SafetensorError as error:
            raise DataError(f"a damaged checkpoint: {error}", where=str(path)) from None

    def newest(self, warn: Callable[[str], None]) -> Found | None:
        """Read the newest whole checkpoint; each damaged one before it is told to `warn`."""
        for step in self.steps():
            try:
                return self.load(step)
            except DataError as error:
                warn(f"checkpoint of step {step} left out: {error}")
        return None

    def _tensors(self, step: int) -> Path:
        return self.folder / f"{step:09d}.safetensors"

    def _json(self, step: int) -> Path:
        return self.folder / f"{step:09d}.json"
