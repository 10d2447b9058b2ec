"""The stages of `ringrift train pipeline`: each calls what its own command calls (training.md 11)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.cli.train.training import job_of, name_model, prepare, told
from ringrift.core.errors import NegativeResult, NotRunningError, RingriftError
from ringrift.core.ids import short
from ringrift.training.pipeline.run import Ahead, Needless, Results, Worked

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.cli.train.options import Options
    from ringrift.cli.train.training import Prepared
    from ringrift.core.paths import Paths
    from ringrift.data.dataset import Plan
    from ringrift.data.pool.request import PoolRequest
    from ringrift.selfplay.reanalyze import ReanalyzeJob
    from ringrift.training.request import Kind

NO_NODES = "no nodes are configured (p2p_daemon.known_peers, hosts_config_path)"
NO_PEERS = "no nodes are configured (p2p_daemon.known_peers)"
SEARCH_EVERY = 5
"""Of the choices of a game without statistics every fifth is searched, as `selfplay reanalyze` does."""


class Stopped(RingriftError):
    """A signal ended a stage; what was finished is kept. `code` is the exit code."""

    def __init__(self, stage: str, code: int) -> None:
        super().__init__(f"stopped in stage {stage}")
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all stages of one run share."""

    invocation: Invocation
    kind: Kind
    options: Options
    config: str
    paths: Paths
    hosts: tuple[str, ...]
    peers: tuple[str, ...]
    folder: Path

    @property
    def nodes(self) -> tuple[str, ...]:
        """All other nodes."""
        return tuple(dict.fromkeys((*self.peers, *self.hosts)))

    @property
    def store(self) -> Path:
        """The game store."""
        return self.paths.game_store

    @cached_property
    def prepared(self) -> Prepared:
        """The training; raises `NegativeResult` while there is no game store."""
        return prepare(self.invocation, self.kind, self.options)

    def plan(self) -> Plan:
        """Return the games that would be learned from now; raises `NegativeResult` without any."""
        from ringrift.data.dataset import Plan
        from ringrift.training.sources import plan_samples

        request = self.prepared.request
        found = plan_samples(self.prepared.source, request.config, request.selection)
        assert isinstance(found, Plan)
        return found


class Stage:
    """A stage of one run."""

    name: str

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.invocation = setting.invocation

    def stands(self, result: Mapping[str, Any]) -> bool:
        """Tell whether the file that the stage made, if any, is still there."""
        return "path" not in result or Path(result["path"]).exists()


class Collect(Stage):
    """Fetch games of other nodes."""

    name = "collect"

    def look(self, results: Results) -> Ahead | Needless:
        """There is nothing to do without nodes."""
        nodes = self.setting.nodes
        if not nodes:
            return Needless(NO_NODES)
        return Ahead(inputs={"nodes": list(nodes)}, counts={"nodes": len(nodes)})

    def work(self, identity: str, results: Results) -> Worked:
        """Raise `NotRunningError`: no node of this version exchanges games."""
        raise NotRunningError(
            f"no service brings games of {len(self.setting.nodes)} nodes here",
            where=", ".join(self.setting.nodes),
            hint="--skip-collect",
        )


class Pool(Stage):
    """Take all games that lie about through the gate into the store."""

    name = "pool"

    def look(self, results: Results) -> Ahead:
        """Its inputs are the files as they are now."""
        request = self._request()
        root = self.setting.paths.root
        files = [[path.relative_to(root).as_posix(), *_state(path)] for path in request.scanned]
        return Ahead(inputs={"files": files, "gate": request.key}, counts={"files": len(files)})

    def work(self, identity: str, results: Results) -> Worked:
        """Fill the store; raises `NegativeResult` where more of a file failed than may fail."""
        from ringrift.cli.data.pooling import run_pool, share_limit

        report = run_pool(self.invocation, self._request())
        if report.errors and len(report.errors) == len(report.inputs):
            raise report.errors[0]
        limit = share_limit(self.invocation)
        failing = report.failing(limit)
        if failing:
            one = failing[0]
            raise NegativeResult(
                f"more than {limit:.0%} failed: {one.failed:,} of {one.looked_at:,} games",
                where=one.path,
                hint="ringrift data quarantine list; the same line goes on without them",
            )
        return Worked(
            result={"path": str(self.setting.store), "added": report.added},
            told=f"{report.considered:,} games checked, {report.added:,} added",
            problems=tuple(
                f"not read: {one.path}: {one.error}" for one in report.inputs if one.error
            ),
        )

    def _request(self) -> PoolRequest:
        from ringrift.cli.data.pooling import with_files
        from ringrift.data.pool.request import PoolRequest
        from ringrift.data.pool.scanning import default_inputs

        paths = self.setting.paths
        found = default_inputs(paths.selfplay, paths.games)
        return with_files(PoolRequest(output=self.setting.store), named=[], scanned=found)


class Backfill(Stage):
    """Search games that have no search statistics."""

    name = "backfill"

    def look(self, results: Results) -> Ahead:
        """Its inputs are the games to learn from and who searches."""
        from ringrift.training.pipeline.backfill import without_searches

        plan = self.setting.plan()
        missing = len(without_searches(plan))
        job, agent = self._job(plan)
        inputs = {"games": _digest(plan.ids), "agent": agent, **job.budget}
        return Ahead(inputs=inputs, counts={"games": len(plan.ids), "without_searches": missing})

    def work(self, identity: str, results: Results) -> Worked:
        """Search for at most 30 minutes; raises `Stopped` after a signal."""
        from ringrift.core.interrupt import cooperative_stop
        from ringrift.core.limits import thread_budget
        from ringrift.training.pipeline.backfill import backfill, without_searches

        plan = self.setting.plan()
        ids = without_searches(plan)
        job, _ = self._job(plan)
        with cooperative_stop() as stop, self.invocation.out.progress() as progress:
            bar = progress.task("searching", total=len(ids), unit="games")
            done = backfill(
                self.setting.store,
                ids,
                job,
                workers=thread_budget(),
                on_games=lambda games, plies: bar.update(
                    games, name=f"searching ({plies:,} plies)"
                ),
                stop=lambda: stop.requested,
            )
            bar.finish()
        if stop.requested:
            raise Stopped(self.name, stop.exit_code)
        words = f"{done.plies:,} plies of {done.searched:,} games searched by {job.agent}"
        if not ids:
            words = "every game has search statistics"
        if done.left:
            words += f"; {done.left:,} games left after 30 min: ringrift selfplay reanalyze"
        result = {"searched": done.searched, "plies": done.plies, "left": done.left}
        return Worked(result=result, told=words)

    def _job(self, plan: Plan) -> tuple[ReanalyzeJob, str]:
        from ringrift.cli.selfplay.reanalyze import Searchers

        return Searchers(self.invocation, None, None, SEARCH_EVERY, "uniform").find(plan.spec)


class Export(Stage):
    """Make the dataset."""

    name = "export"

    def look(self, results: Results) -> Ahead:
        """Its inputs are games, searches and options."""
        plan = self.setting.plan()
        plies = sum(game.plies for game in plan.games)
        return Ahead(
            inputs={"request": plan.request}, counts={"games": len(plan.games), "plies": plies}
        )

    def work(self, identity: str, results: Results) -> Worked:
        """Export what is missing."""
        from ringrift.training.sources import Places, find_samples

        prepared, paths = self.setting.prepared, self.setting.paths
        with self.invocation.out.progress() as progress:
            bar = progress.task("exporting", unit="games")
            dataset = find_samples(
                prepared.source,
                prepared.request.config,
                prepared.request.selection,
                Places(npz=paths.npz, cache=paths.cache),
                workers=prepared.machine.threads,
                on_progress=lambda done, total: bar.update(done, total=total),
            ).dataset
            bar.finish()
        found = dataset.manifest
        return Worked(
            result={"path": str(dataset.path), "dataset": found.id, "samples": found.samples},
            told=f"dataset {short(found.id)}: {found.games:,} games, {found.samples:,} samples",
        )


class Train(Stage):
    """Train on the dataset."""

    name = "train"

    def look(self, results: Results) -> Ahead:
        """Its inputs are the dataset and every resolved value."""
        from ringrift.training.engine.run_folder import FREE_SETTINGS

        request = self.setting.prepared.request
        if "export" not in results:
            return Ahead(inputs=None, counts=self._expected())
        values = {k: v for k, v in request.values().items() if k not in FREE_SETTINGS}
        inputs = {
            "dataset": results["export"]["dataset"],
            "kind": request.kind,
            "config": request.config,
            "values": values,
        }
        return Ahead(inputs=inputs, counts=self._expected())

    def _expected(self) -> dict[str, int]:
        """Return samples, about as many as the games have plies, and the most steps."""
        from ringrift.cli.train.plan_shown import counted

        request = self.setting.prepared.request
        _, samples, _ = counted(self.setting.plan(), request.selection.sample_every_n)
        steps = max(1, samples // request.settings.batch_size) * request.settings.epochs
        return {"samples": samples, "steps": steps}

    def work(self, identity: str, results: Results) -> Worked:
        """Train, or go on with a training that was killed; raises `Stopped` after a signal."""
        from ringrift.core.interrupt import cooperative_stop
        from ringrift.training.pipeline.jobs import DIGITS
        from ringrift.training.run import run_training

        setting = self.setting
        with ExitStack() as stack:
            stop = stack.enter_context(cooperative_stop())
            job = job_of(self.invocation, setting.prepared, setting.options, stack)
            job = replace(job, run=setting.folder / f"train-{identity[:DIGITS]}")
            progress = stack.enter_context(self.invocation.out.progress())
            bar = progress.task(f"{setting.config}: training", unit="steps")
            report = run_training(
                job,
                on_progress=lambda found: bar.update(
                    found.step, total=found.steps, name=told(found)
                ),
                stop=lambda: stop.requested,
            )
            bar.finish()
        if report.model_path is None or report.model_id is None:
            raise Stopped(self.name, stop.exit_code or 130)
        name_model(self.invocation, report, setting.options)
        return Worked(
            result={
                "model_id": report.model_id,
                "kind": report.kind,
                "path": str(report.model_path.with_suffix(".json")),
                "run": str(job.run),
            },
            told=f"model {short(report.model_id)}: {report.status} after {report.steps:,} steps",
        )


class Elo(Stage):
    """Play the fixed baselines."""

    name = "elo"

    def __init__(
        self, setting: Setting, *, games: int, trains: bool, newest: Mapping[str, Any] | None
    ) -> None:
        """`newest` is the result of the last training, for a run that `trains` none."""
        super().__init__(setting)
        self._games = games
        self._trains = trains
        self._newest = newest

    def look(self, results: Results) -> Ahead | Needless:
        """Its inputs are the model and the games."""
        from ringrift.cli.train.calibration_games import BASELINES, SIMS

        counts = {"games": self._games * len(BASELINES)}
        model = self._model(results)
        if model is None and self._trains:
            return Ahead(inputs=None, counts=counts)
        if model is None:
            return Needless("no training of this pipeline has finished")
        inputs = {
            "model": model["model_id"],
            "games": self._games,
            "baselines": list(BASELINES),
            "sims": SIMS,
            "seed": self.setting.options.seed,
        }
        return Ahead(inputs=inputs, counts=counts)

    def work(self, identity: str, results: Results) -> Worked:
        """Play what is missing of the matches."""
        from ringrift.cli.train.calibration_games import measure, words_of

        model = self._model(results)
        assert model is not None
        matches = measure(
            self.invocation,
            model_id=model["model_id"],
            kind=model["kind"],
            config=self.setting.config,
            seed=self.setting.options.seed,
            games=self._games,
        )
        return Worked(
            result={"model_id": model["model_id"], "matches": matches},
            told="; ".join(words_of(match) for match in matches),
        )

    def _model(self, results: Results) -> Mapping[str, Any] | None:
        return results.get("train") if self._trains else self._newest


class Sync(Stage):
    """Exchange models with other nodes."""

    name = "sync"

    def look(self, results: Results) -> Ahead | Needless:
        """There is nothing to do without nodes."""
        peers = self.setting.peers
        if not peers:
            return Needless(NO_PEERS)
        models = self._models()
        return Ahead(
            inputs=self._inputs(models), counts={"nodes": len(peers), "models": len(models)}
        )

    def work(self, identity: str, results: Results) -> Worked:
        """Collect and distribute; raises `NotRunningError` where no node answers."""
        from ringrift.cli.models.nodes import authorization_of, exchange_with

        before = self._models()
        made = exchange_with(
            self.setting.paths.models,
            [f"http://{peer}" for peer in self.setting.peers],
            authorization_of(self.invocation, self.invocation.settings()),
        )
        if not made.listings:
            silent = next(iter(made.states.values()))
            raise NotRunningError(
                f"no node answers: {silent.problem}", where=silent.name, hint="--skip-sync"
            )
        made.collect()
        made.distribute(everything=False)
        states = made.states.values()
        received = {name for state in states for name in state.received}
        sent = sum(len(state.sent) for state in states)
        return Worked(
            result={"received": len(received), "sent": sent},
            told=f"{len(made.listings)} nodes, {len(received)} models received, {sent} sent",
            problems=tuple(
                f"{state.name}: {words}"
                for state in states
                for words in (*state.bad, *([state.problem] if state.problem else ()))
            ),
            inputs=self._inputs(before | (received & self._models())),
        )

    def _models(self) -> set[str]:
        return {path.stem for path in self.setting.paths.model_objects.glob("*/*.safetensors")}

    def _inputs(self, models: set[str]) -> dict[str, Any]:
        return {"nodes": list(self.setting.peers), "models": _digest(sorted(models))}


def _digest(ids: Any) -> str:
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def _state(path: Path) -> tuple[int, int]:
    """Return size and time of a file, with what a database has in its log."""
    log = path.with_name(f"{path.name}-wal")
    found = [path.stat(), *([log.stat()] if log.exists() else [])]
    filled = [one for one in found if one.st_size] or found[:1]
    return sum(one.st_size for one in filled), max(one.st_mtime_ns for one in filled)
