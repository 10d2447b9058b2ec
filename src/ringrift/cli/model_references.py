"""Find the model files that specs name: ids, prefixes, files, aliases, `champion` and `nnue`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.rules import BoardSpec

SUFFIX = ".safetensors"
CHAMPION, NNUE = "champion", "nnue"
WITHOUT = "eval=heuristic or --nn-model-id none"

_ID = re.compile(r"[0-9a-f]{6,64}")


@dataclass(frozen=True, slots=True)
class ModelReferences:
    """The models of a data root; without a root only files are found."""

    root: Path | None

    @classmethod
    def of(cls, invocation: Invocation) -> ModelReferences:
        """Return the references of the data root in use, if there is one."""
        return cls(invocation.known_root())

    def file(self, name: str, board: BoardSpec) -> Path:
        """Return the file that `name` means in games of `board`; raises `UsageError` for none."""
        from ringrift.models.registry import find_model

        if name.endswith(SUFFIX):
            if not Path(name).is_file():
                raise UsageError(f"no model file {name}")
            return Path(name)
        alias = alias_of(name, board.config)
        if self.root is None:
            raise UsageError(f"no model {name!r}: no data root", hint=f"--root DIR, {WITHOUT}")
        models = self.root / "models"
        link = models / f"{alias}{SUFFIX}"
        if "/" not in alias and link.exists():
            return link.resolve()
        if name == CHAMPION and (champion := _head_of_chain(models, board)) is not None:
            return find_model(models / "objects", champion)
        if _ID.fullmatch(name):
            return find_model(models / "objects", name)
        raise UsageError(f"no model {name!r} of {board.config} in {models}", hint=WITHOUT)

    def model_id(self, name: str, board: BoardSpec) -> str:
        """Return the id of a model, whose file is named by it or says it."""
        path = self.file(name, board)
        if len(path.stem) == 64 and _ID.fullmatch(path.stem):
            return path.stem
        from ringrift.nets.container import read_card

        return read_card(path)[0]


def _head_of_chain(models: Path, board: BoardSpec) -> str | None:
    """Return the champion that the decisions name."""
    from ringrift.models.decisions import read_chain

    return read_chain(models / "decisions", board.config).champion


def alias_of(name: str, config: str) -> str:
    """Return the alias that `champion` and `nnue` stand for in a configuration, else the name."""
    from ringrift.agents.ladder import best_alias, nnue_alias

    if name == CHAMPION:
        return best_alias(config)
    return nnue_alias(config) if name == NNUE else name
