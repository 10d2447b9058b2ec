"""Generations of one configuration: self-play, export, train, test, promote (training.md 9).

Each step is one of our commands in a process of its own. What it gave is kept in a file of the
generation's folder, `result.json` last, so that a run which was killed goes on with what is missing;
the command it was in goes on by itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from ringrift.core.errors import DataError, UsageError
from ringrift.core.files import lock
from ringrift.core.ids import canonical_json, content_id
from ringrift.core.paths import Paths, resolve_root
from ringrift.core.spawning import end_leftovers
from ringrift.training.curriculum.children import Commands, keep
from ringrift.training.curriculum.generation_config import CurriculumConfig
from ringrift.training.curriculum.steps import STEPS, Steps

CONFIG_FILE, RESULT_FILE = "config.json", "result.json"
FORMAT = "ringrift.curriculum-generations/1"

Ended = Literal["promoted", "rejected", "inconclusive", "undecided", "below_pool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationResult:
    """What one generation gave.

    `champion` is the one before the test, `player` the model that played, None for the heuristic
    search. `outcome` is the decision; `undecided` where the hold-out is too small to tell,
    `below_pool` where the candidate was too weak for a test. `elo_diff` is None where unknown,
    `pool_score` a win share, `seconds` counts from where the generation was last gone on with.
    """

    generation: int
    champion: str
    player: str | None
    games: int
    samples: int
    dataset: str
    model_id: str
    outcome: Ended
    reason: str
    test_games: int | None
    elo_diff: float | None
    pool_score: float | None
    seconds: float

    @property
    def promoted(self) -> bool:
        """Whether the candidate became champion."""
        return self.outcome == "promoted"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "promoted": self.promoted}


class CurriculumTrainer:
    """Run generations of one configuration on a data root.

    `base_model_path` is a model of the root by any reference; it replaces `config.base_model`, plays
    the first generation and is trained on. Without one the champion does; without a champion the
    first games are played by the heuristic search, and an untrained net is who must be beaten.
    `commands` starts the child processes; by default on the root that is found from here.
    """

    def __init__(
        self,
        config: CurriculumConfig,
        base_model_path: Path | str | None = None,
        *,
        commands: Commands | None = None,
        on_step: Callable[[int, str], None] = lambda generation, step: None,
        on_result: Callable[[GenerationResult], None] = lambda result: None,
    ) -> None:
        """Find the data root; raises `UsageError` where there is none."""
        if base_model_path is not None:
            config = replace(config, base_model=str(base_model_path))
        self.config = config
        self._commands = commands or Commands(root=resolve_root().root)
        self._paths = Paths(self._commands.root)
        self._on_step = on_step
        self._on_result = on_result

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        given = self.config.output_dir
        if given is not None:
            return Path(given).absolute()
        return self._paths.runs / self.config.config_key / "curriculum-generations"

    def run(self) -> list[GenerationResult]:
        """Run all generations, those that are complete only once; return what each gave.

        Raises `UsageError` for a folder of another run, `BusyError` where somebody works in it,
        `CommandFailed` where a step did not end well, `CurriculumInterrupted` after a stop.
        """
        results = []
        with self._working():
            for generation in range(self.config.generations):
                results.append(self._generation(generation))
                self._on_result(results[-1])
        return results

    def run_generation(self, generation: int) -> GenerationResult:
        """Run one generation, from 0; raises as `run`, and `UsageError` before the one before."""
        if not 0 <= generation < self.config.generations:
            raise UsageError(
                f"generation {generation}; expected 0 to {self.config.generations - 1}",
                where="generation",
            )
        with self._working():
            for earlier in range(generation):
                if self._known(earlier) is None:
                    raise UsageError(
                        f"generation {earlier} is not complete",
                        where=str(self._place(earlier)),
                        hint="run(), which begins with the first",
                    )
            return self._generation(generation)

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Hold the folder, once what a killed run left behind has been ended."""
        if not self._paths.exists:
            self._paths.create()
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock(self.folder / ".curriculum.lock", what="curriculum"):
            end_leftovers(self._paths.root)
            self._claim()
            yield

    def _claim(self) -> None:
        """Write what decides the run, or compare it; raises `UsageError` for another run."""
        path = self.folder / CONFIG_FILE
        wanted = {"format": FORMAT, **self.config.deciding()}
        if not path.is_file():
            keep(path, wanted)
            return
        known = _read(path, "format")
        differing = [name for name in wanted if known.get(name) != wanted[name]]
        if differing:
            name = differing[0]
            raise UsageError(
                f"the folder holds generations with another {name}: {known.get(name)!r}; "
                f"asked for {wanted[name]!r}",
                where=str(path),
                hint="the values it was begun with, or another --output-dir",
            )

    @property
    def _name(self) -> str:
        """Name of the run in the names of stores; another folder is another run."""
        tree = {**self.config.deciding(), "folder": str(self.folder)}
        return content_id("curriculum-generations", canonical_json(tree))[:8]

    def _place(self, generation: int) -> Path:
        return self.folder / f"generation-{generation:03d}"

    def _store(self, generation: int) -> Path:
        """Return the store of verified games, in the folder where hold-out games are looked for."""
        name = f"curriculum-{self.config.config_key}-{self._name}-{generation:03d}.db"
        return self._paths.games / name

    def _known(self, generation: int) -> GenerationResult | None:
        path = self._place(generation) / RESULT_FILE
        if not path.is_file():
            return None
        tree = _read(path, *(field.name for field in fields(GenerationResult)))
        return GenerationResult(**{f.name: tree[f.name] for f in fields(GenerationResult)})

    def _generation(self, generation: int) -> GenerationResult:
        known = self._known(generation)
        if known is not None:
            return known
        began_s = time.monotonic()
        folder = self._place(generation)
        folder.mkdir(exist_ok=True)
        steps = Steps(
            config=self.config,
            commands=self._commands,
            folder=folder,
            generation=generation,
            stores={self._store(g): w for g, w in self.config.weights(generation).items()},
        )
        found: dict[str, Any] = {}
        for name in STEPS:
            path = folder / f"{name}.json"
            if path.is_file():
                found[name] = _read(path)
                continue
            self._on_step(generation, name)
            found[name] = getattr(steps, name)(found)
            keep(path, found[name])
        result = GenerationResult(
            generation=generation,
            champion=found["players"]["champion"],
            player=found["players"]["player"],
            games=found["pool"]["games"],
            samples=found["export"]["samples"],
            dataset=found["export"]["dataset"],
            model_id=found["train"]["model_id"],
            seconds=round(time.monotonic() - began_s, 3),
            **found["test"],
        )
        keep(folder / RESULT_FILE, result.as_dict())
        return result


def _read(path: Path, *required: str) -> dict[str, Any]:
    """Read a file of a run; raises `DataError` for a damaged one."""
    try:
        tree = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"no JSON: {error}", where=str(path), hint="another --output-dir") from None
    missing = [name for name in required if not isinstance(tree, dict) or name not in tree]
    if missing or not isinstance(tree, dict):
        raise DataError(
            f"found no {', '.join(missing) or 'object'}", where=str(path),
            hint="another --output-dir",
        )  # fmt: skip
    return tree
