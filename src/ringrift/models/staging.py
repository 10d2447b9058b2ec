"""Copy the champions to a place that serves games: a folder or, by `ssh`, another host (`models.md` 4)."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ringrift.core.errors import DataError, NegativeResult, NotRunningError, UsageError
from ringrift.core.files import write_atomic
from ringrift.core.ids import short
from ringrift.models.decisions import read_chain
from ringrift.models.promoted import FILE
from ringrift.models.registry import model_path
from ringrift.models.synchronisation.admission import sha256_of
from ringrift.nets.loading import open_described

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_S = 10
LIMIT_S = 600.0

_REMOTE = re.compile(r"(?P<host>[A-Za-z0-9@._\[\]:-]+?):(?P<folder>[/~].*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """What stands in a target: files copied and those that were there, champions missing here."""

    target: str
    copied: tuple[str, ...]
    present: tuple[str, ...]
    missing: tuple[str, ...]
    loaded: tuple[str, ...]


class Target(Protocol):
    """A folder somewhere, with paths relative to its models folder."""

    name: str

    def sha256(self, path: str) -> str | None:
        """Return the SHA-256 of a file, None where it is not there."""
        ...

    def put(self, source: Path, path: str) -> None:
        """Copy a file, which appears whole."""
        ...

    def load(self, path: str) -> None:
        """Load a model there; raises a `RingriftError` where it does not load."""
        ...


class FolderTarget:
    """A folder on this host."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder

    def sha256(self, path: str) -> str | None:
        """Return the SHA-256 of a file, None where it is not there."""
        found = self._folder / path
        return sha256_of(found) if found.is_file() else None

    def put(self, source: Path, path: str) -> None:
        """Copy a file, which appears whole."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, source.read_bytes())

    def load(self, path: str) -> None:
        """Load a model there."""
        place = self._folder / path
        open_described(place)


class SshTarget:
    """A folder on another host, reached by the `ssh` program and its own settings."""

    def __init__(self, host: str, folder: str) -> None:
        self.name = f"{host}:{folder}"
        self._host = host
        # a tilde is for the shell over there to expand; nothing else is
        home = folder == "~" or folder.startswith("~/")
        self._folder = f"~/{shlex.quote(folder[2:])}" if home else shlex.quote(folder)

    def sha256(self, path: str) -> str | None:
        """Return the SHA-256 of a file, None where it is not there."""
        place = f"{self._folder}/{shlex.quote(path)}"
        answer = self._run(f"test ! -f {place} || sha256sum < {place}")
        return answer.split()[0] if answer.strip() else None

    def put(self, source: Path, path: str) -> None:
        """Copy a file, which appears whole."""
        place = f"{self._folder}/{shlex.quote(path)}"
        parent = f"{self._folder}/{shlex.quote(path.rpartition('/')[0])}"
        command = f"mkdir -p {parent} && cat > {place}.partial && mv {place}.partial {place}"
        self._run(command, source=source)

    def load(self, path: str) -> None:
        """Have the program over there load the model."""
        name = path.rpartition("/")[2]
        self._run(
            f"ringrift models validate --full --models-dir {self._folder} --pattern "
            f"{shlex.quote(name)} --quiet"
        )

    def _run(self, command: str, *, source: Path | None = None) -> str:
        words = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_S}", self._host]
        try:
            with (source or Path("/dev/null")).open("rb") as stream:
                done = subprocess.run(  # noqa: S603 - a fixed program, quoted words
                    [*words, command],
                    stdin=stream,
                    capture_output=True,
                    text=True,
                    timeout=LIMIT_S,
                    check=False,
                )
        except FileNotFoundError:
            raise NotRunningError(
                "there is no ssh program here", where=self.name, hint="installing openssh-client"
            ) from None
        except subprocess.TimeoutExpired:
            raise NotRunningError(f"silent for {LIMIT_S:g} s", where=self.name) from None
        told = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        if done.returncode == 255:
            raise NotRunningError(f"ssh: {told}", where=self.name)
        if done.returncode != 0:
            raise DataError(f"the command over there failed: {told}", where=self.name)
        return done.stdout


def target_of(text: str) -> Target:
    """Return the target that a text names: a folder, or `HOST:/FOLDER` for ssh."""
    if text.startswith("-") or not text:
        raise UsageError(
            f"found {text!r}; expected a folder or HOST:/FOLDER", where="--sync-staging"
        )
    match = _REMOTE.fullmatch(text)
    if match is None or Path(text).exists():
        return FolderTarget(Path(text))
    return SshTarget(match["host"], match["folder"])


def stage(
    models: Path, target: Target, *, load: bool, fail_on_missing: bool, dry_run: bool = False
) -> Staged:
    """Copy champions, their descriptions and `promoted_models.json`; `load` each there.

    The list goes last, so that it never names a model that is not there. Raises `NegativeResult`
    with `fail_on_missing` for a champion without a file here.
    """
    copied, present, missing, loaded = [], [], [], []
    champions = list(_champions(models))
    for config, model_id in champions:
        path = model_path(models / "objects", model_id)
        if not path.is_file():
            missing.append(f"{config} {short(model_id)}")
            continue
        for file in (path.with_suffix(".json"), path):
            name = file.relative_to(models).as_posix()
            if target.sha256(name) == sha256_of(file):
                present.append(name)
                continue
            copied.append(name)
            if not dry_run:
                _put(target, file, name)
        if load and not dry_run:
            target.load(path.relative_to(models).as_posix())
            loaded.append(model_id)
    if missing and fail_on_missing:
        raise NegativeResult(f"champions without a file: {', '.join(missing)}", where=str(models))
    listed = models / FILE
    if listed.is_file() and target.sha256(FILE) != sha256_of(listed):
        copied.append(FILE)
        if not dry_run:
            _put(target, listed, FILE)
    return Staged(
        target=target.name,
        copied=tuple(copied),
        present=tuple(present),
        missing=tuple(missing),
        loaded=tuple(loaded),
    )


def _put(target: Target, file: Path, name: str) -> None:
    target.put(file, name)
    if target.sha256(name) != sha256_of(file):
        raise DataError(f"{name} arrived with other bytes", where=target.name)


def _champions(models: Path) -> Iterator[tuple[str, str]]:
    for folder in sorted((models / "decisions").glob("*_?p")):
        champion = read_chain(models / "decisions", folder.name).champion
        if champion is not None:
            yield folder.name, champion
