"""Find the data root and name its folders (`core.md` 4)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MARKER = ".ringrift-root"
MARKER_TEXT = "This folder is a RingRift data root; `ringrift config init` made it.\n"
ROOT_VARIABLES = ("RINGRIFT_ROOT", "RINGRIFT_PATH", "RINGRIFT_DIR")

_FOLDERS: tuple[str, ...] = (
    "config",
    "data/games",
    "data/selfplay",
    "data/npz",
    "data/eval_pools",
    "data/ratings",
    "data/tournaments",
    "data/quarantine",
    "data/coordination",
    "data/loop",
    "data/web",
    "models/objects",
    "models/decisions",
    "models/archive",
    "models/quarantine",
    "logs",
    "spool",
    "cluster",
    "releases",
    "runs",
    "cache",
)


@dataclass(frozen=True, slots=True)
class Paths:
    """Name every folder of one data root; nothing is created before `create`."""

    root: Path

    @property
    def marker(self) -> Path:
        """The file that makes a folder a data root."""
        return self.root / MARKER

    @property
    def config(self) -> Path:
        """Settings files."""
        return self.root / "config"

    @property
    def data(self) -> Path:
        """Games and what is computed from them."""
        return self.root / "data"

    @property
    def games(self) -> Path:
        """Game stores."""
        return self.root / "data" / "games"

    @property
    def game_store(self) -> Path:
        """The one store of the installation's games."""
        return self.games / "games.db"

    @property
    def selfplay(self) -> Path:
        """JSON lines written by self-play commands."""
        return self.root / "data" / "selfplay"

    @property
    def npz(self) -> Path:
        """Datasets."""
        return self.root / "data" / "npz"

    @property
    def eval_pools(self) -> Path:
        """Pools of positions for evaluation."""
        return self.root / "data" / "eval_pools"

    @property
    def ratings(self) -> Path:
        """Fitted ratings."""
        return self.root / "data" / "ratings"

    @property
    def tournaments(self) -> Path:
        """Tournament reports."""
        return self.root / "data" / "tournaments"

    @property
    def quarantine(self) -> Path:
        """Games that failed verification."""
        return self.root / "data" / "quarantine"

    @property
    def coordination(self) -> Path:
        """Locks and halt files."""
        return self.root / "data" / "coordination"

    @property
    def loop(self) -> Path:
        """Status and reports of the loop."""
        return self.root / "data" / "loop"

    @property
    def web(self) -> Path:
        """Files of the dashboard."""
        return self.root / "data" / "web"

    @property
    def models(self) -> Path:
        """Aliases; objects and decisions below."""
        return self.root / "models"

    @property
    def model_objects(self) -> Path:
        """Model files and cards, by content id."""
        return self.root / "models" / "objects"

    @property
    def decisions(self) -> Path:
        """Promotion decisions, one chain per configuration."""
        return self.root / "models" / "decisions"

    @property
    def model_archive(self) -> Path:
        """Pruned models."""
        return self.root / "models" / "archive"

    @property
    def model_quarantine(self) -> Path:
        """Models that failed validation."""
        return self.root / "models" / "quarantine"

    @property
    def logs(self) -> Path:
        """JSON lines of every component."""
        return self.root / "logs"

    @property
    def spool(self) -> Path:
        """What waits to be delivered."""
        return self.root / "spool"

    @property
    def cluster(self) -> Path:
        """Identity and state of this node."""
        return self.root / "cluster"

    @property
    def releases(self) -> Path:
        """Code shipped to other machines."""
        return self.root / "releases"

    @property
    def runs(self) -> Path:
        """One folder per run with its exact settings and results."""
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        """What can be deleted at any time."""
        return self.root / "cache"

    @property
    def exists(self) -> bool:
        """Whether the marker is there."""
        return self.marker.is_file()

    def create(self) -> None:
        """Write the marker and make all folders; what exists is kept."""
        refuse_nested(self.root)
        try:
            for folder in _FOLDERS:
                (self.root / folder).mkdir(parents=True, exist_ok=True)
            if not self.marker.exists():
                self.marker.write_text(MARKER_TEXT, encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"cannot make the data root: {error.strerror}",
                where=str(error.filename or self.root),
                hint="--root DIR with a folder that you can write",
            ) from error

    def from_setting(self, text: str) -> Path:
        """Return a path named in the settings: relative ones are relative to the root."""
        return self.root / Path(text).expanduser()


def refuse_nested(root: Path) -> None:
    """Raise `UsageError` if a folder above `root` is a data root already."""
    for parent in root.resolve().parents:
        if (parent / MARKER).is_file():
            raise UsageError(
                f"a data root inside another is refused: {root} lies in {parent}",
                where=str(parent / MARKER),
                hint=f"--root {parent}",
            )


def locate_root(
    *, option: Path | None = None, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Path | None:
    """Return the root that option, environment or the nearest marker name, else `None`."""
    cwd = Path.cwd() if cwd is None else cwd
    environ = os.environ if environ is None else environ
    named = option
    if named is None:
        text = next((environ[name] for name in ROOT_VARIABLES if environ.get(name)), None)
        named = Path(text) if text else None
    if named is not None:
        root = (cwd / named.expanduser()).resolve()
        if root.exists() and not root.is_dir():
            raise UsageError(f"the data root {root} is not a folder", where="--root")
        refuse_nested(root)
        return root
    for folder in (cwd.resolve(), *cwd.resolve().parents):
        if (folder / MARKER).is_file():
            return folder
    return None


def resolve_root(
    *,
    option: Path | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    assume_yes: bool = False,
    ask: Callable[[Path], bool] | None = None,
) -> Paths:
    """Return the data root, falling back to the working folder after asking once.

    `ask` puts the question on a terminal and is `None` without one. Raises `UsageError` where no
    root is named, none is found and nobody agrees to make one.
    """
    root = locate_root(option=option, environ=environ, cwd=cwd)
    if root is not None:
        return Paths(root)
    here = (Path.cwd() if cwd is None else cwd).resolve()
    if assume_yes or (ask is not None and ask(here)):
        return Paths(here)
    raise UsageError(
        f"no data root: no --root, no RINGRIFT_ROOT, no {MARKER} in {here} or above",
        hint="--root DIR, or --yes to use the working folder, or ringrift config init",
    )
