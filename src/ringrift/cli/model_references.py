"""Models as command lines and agent specs name them, by the grammar of `models.references`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.errors import UsageError
from ringrift.core.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringrift.cli.invocation import Invocation
    from ringrift.models.references import References
    from ringrift.rules import BoardSpec

CHAMPION, NNUE = "champion", "nnue"
WITHOUT = "eval=heuristic or --nn-model-id none"


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
        with _saying_how_to_do_without():
            return self._found.file(_written_out(name, board.config), board.config)

    def model_id(self, name: str, board: BoardSpec) -> str:
        """Return the id of the model that `name` means; raises `UsageError` for none."""
        with _saying_how_to_do_without():
            return self._found.id(_written_out(name, board.config), board.config)

    def named(self, name: str, config: str | None = None) -> Path:
        """Return the file of a model; raises `UsageError` for none.

        `config` is the configuration whose champion is meant; a card says what the model is for.
        """
        return self._found.file(name, config)

    @property
    def _found(self) -> References:
        from ringrift.models.references import References

        return References(None if self.root is None else Paths(self.root).models)


@contextmanager
def _saying_how_to_do_without() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        hint = WITHOUT if error.hint is None else f"{error.hint}, {WITHOUT}"
        raise UsageError(error.message, where=error.where, hint=hint) from None


def _written_out(name: str, config: str) -> str:
    """Return the alias that the word `nnue` of agent specs stands for, else the name."""
    from ringrift.agents.ladder import nnue_alias

    return nnue_alias(config) if name == NNUE else name
