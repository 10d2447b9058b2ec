"""The models that a run of self-play may use: found once, named by id in every spec."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.cli.model_references import CHAMPION, NNUE, ModelReferences
from ringrift.core.errors import RingriftError, UsageError

if TYPE_CHECKING:
    from ringrift.agents.spec import AgentSpec
    from ringrift.cli.invocation import Invocation
    from ringrift.rules import BoardSpec
    from ringrift.selfplay.modes import ModelSet

NONE = "none"
MOST_KNOWN = 8


@dataclass(slots=True)
class ModelsAtHand:
    """Finds models of one configuration; `files` are those found so far, by id."""

    references: ModelReferences
    board: BoardSpec
    files: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, invocation: Invocation, board: BoardSpec) -> ModelsAtHand:
        """Return the models of the data root in use."""
        return cls(ModelReferences.of(invocation), board)

    def take(self, name: str) -> str:
        """Return the id of the model that `name` means and note its file; raises `UsageError`."""
        path = self.references.file(name, self.board)
        identity = self.references.model_id(name, self.board)
        self.files[identity] = str(path.resolve())
        return identity

    def current(self, name: str) -> tuple[str, Path]:
        """Return id and file that `name` means now."""
        identity = self.take(name)
        return identity, Path(self.files[identity])

    def kind(self, identity: str) -> str:
        """Return the kind that a model's card names."""
        from ringrift.nets.container import read_card

        return str(read_card(Path(self.files[identity]))[1]["kind"])

    def model_set(self, named: str | None, *, pool_dir: Path | None) -> ModelSet:
        """Return the models for the engine modes; `named` is what was asked for by name."""
        from ringrift.selfplay.modes import WITH_POLICY, ModelSet

        if named == NONE:
            return ModelSet(without=True, known=self._known())
        best = self._optional(CHAMPION) if named is None else self.take(named)
        kind = None if best is None else self.kind(best)
        nnue = self._optional(NNUE)
        if nnue is None and kind is not None and kind.startswith("nnue"):
            nnue = best
        return ModelSet(
            best=best,
            nnue=nnue,
            pool=self._pool(pool_dir),
            policy=kind is None or kind in WITH_POLICY,
            known=self._known(),
        )

    def named(self, text: str) -> str:
        """Return an agent spec with every model named by its id."""
        from ringrift.agents.ladder import level_of
        from ringrift.agents.spec import parse_spec

        parsed = parse_spec(text)
        if parsed.kind == "ladder":
            model = level_of(self.board.config, int(parsed.number("level"))).model
            if model is not None:
                self.files[model] = str(self.references.file(model, self.board).resolve())
        return str(self._named(parsed))

    def _named(self, parsed: AgentSpec) -> AgentSpec:
        parts = tuple((self._named(part), weight) for part, weight in parsed.parts)
        model = None if parsed.model is None else self.take(parsed.model)
        return replace(parsed, model=model, parts=parts)

    def _optional(self, name: str) -> str | None:
        try:
            return self.take(name)
        except UsageError:
            return None

    def _known(self) -> tuple[str, ...]:
        from ringrift.models.registry import model_ids

        root = self.references.root
        if root is None:
            return ()
        models = root / "models"
        aliases = sorted(path.stem for path in models.glob("*.safetensors"))
        return (*aliases, *(name[:12] for name in model_ids(models / "objects")))[:MOST_KNOWN]

    def _pool(self, folder: Path | None) -> tuple[str, ...]:
        """Return earlier models, newest first."""
        if folder is not None:
            if not folder.is_dir():
                raise UsageError(f"no folder {folder}", where="--nn-pool-dir")
            newest = sorted(
                folder.glob("*.safetensors"), key=lambda p: p.stat().st_mtime, reverse=True
            )
            return tuple(dict.fromkeys(self.take(str(path)) for path in newest))
        if self.references.root is None:
            return ()
        from ringrift.models.decisions import read_chain

        chain = read_chain(self.references.root / "models" / "decisions", self.board.config)
        found: dict[str, None] = {}
        for champion in reversed(chain.champions()):
            try:
                found[self.take(champion)] = None
            except RingriftError:
                continue  # its file has been pruned
        return tuple(found)
