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
CHAMPION, BEST, NNUE = "champion", "best", "nnue"
WITHOUT = "eval=heuristic or --nn-model-id none"

_ID = re.compile(r"[0-9a-f]{6,64}")
_OLD_SUFFIXES = (".pth", ".pt", SUFFIX)


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
        if name == CHAMPION and (champion := _head_of_chain(models, board.config)) is not None:
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

    def named(self, name: str, config: str | None = None) -> Path:
        """Return the file of a model by the grammar of models.md 1; raises `UsageError` for none.

        `config` is the configuration whose champion is meant; a card says what the model is for.
        """
        if Path(name).is_file():
            return Path(name)
        if self.root is None:
            raise UsageError(f"no model {name!r}: no data root", hint="--root DIR")
        from ringrift.models.registry import find_model, model_ids

        models = self.root / "models"
        objects = models / "objects"
        if _ID.fullmatch(name) and any(i.startswith(name) for i in model_ids(objects)):
            return find_model(objects, name)
        for alias in dict.fromkeys((name, _stem(name))):
            link = models / f"{alias}{SUFFIX}"
            if "/" not in alias and link.is_file():
                return link.resolve()
            meant = config if alias in (CHAMPION, BEST) else _config(alias)
            if meant is None and alias in (CHAMPION, BEST):
                meant = self._only_champion()
            if meant is not None and (champion := _head_of_chain(models, meant)) is not None:
                return find_model(objects, champion)
        raise UsageError(f"no model {name!r} in {models}", hint=self._some())

    def _only_champion(self) -> str:
        """Return the only configuration that has a champion."""
        found = self._champions()
        if len(found) != 1:
            told = ", ".join(found) or "none"
            raise UsageError(
                f"configurations with a champion: {told}", hint="--board and --players"
            )
        return found[0]

    def _champions(self) -> list[str]:
        decisions = (self.root or Path()) / "models" / "decisions"
        configs = sorted(path.name for path in decisions.glob("*") if path.is_dir())
        models = decisions.parent
        return [config for config in configs if _head_of_chain(models, config) is not None]

    def _some(self) -> str:
        models = (self.root or Path()) / "models"
        links = sorted(path.name.removesuffix(SUFFIX) for path in models.glob(f"*{SUFFIX}"))
        return (
            ", ".join([*self._champions(), *links][:3]) or "ringrift loop run, which makes models"
        )


def _stem(name: str) -> str:
    """Return the last part of a path without the endings of model files."""
    last = name.rsplit("/", 1)[-1]
    ending = next((suffix for suffix in _OLD_SUFFIXES if last.endswith(suffix)), "")
    return last.removesuffix(ending)


def _config(alias: str) -> str | None:
    """Return the configuration that an alias names, None if it names none."""
    from ringrift.rules import parse_config

    try:
        board, players = parse_config(alias)
    except UsageError:
        return None
    return f"{board}_{players}p"


def _head_of_chain(models: Path, config: str) -> str | None:
    """Return the champion that the decisions name."""
    from ringrift.models.decisions import read_chain

    return read_chain(models / "decisions", config).champion


def alias_of(name: str, config: str) -> str:
    """Return the alias that `champion` and `nnue` stand for in a configuration, else the name."""
    from ringrift.agents.ladder import best_alias, nnue_alias

    if name == CHAMPION:
        return best_alias(config)
    return nnue_alias(config) if name == NNUE else name
