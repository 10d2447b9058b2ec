"""Play a run of self-play on the nodes of a hub: file its ranges as jobs, follow the store.

The ranges of a run are fixed by its plan and its numbers, so the same run filed again is the same
jobs (`selfplay.md` 3). A game is that of a run on one machine: it follows from plan and index.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ringrift.cluster.hub import connected_nodes, read_state
from ringrift.cluster.jobs import NORMAL, Job, JobResult, Needs
from ringrift.core.errors import NegativeResult, NotRunningError, UsageError
from ringrift.core.log import get_logger
from ringrift.core.versions import rules_hash
from ringrift.loop.following import (
    FOLLOW_S,
    LEADERLESS_S,
    QUEUE_S,
    Filing,
    Part,
    filing,
    followed,
)
from ringrift.loop.jobs_of import GPU_GB
from ringrift.loop.planned_games import written
from ringrift.records.analysis_bytes import analysis_from_bytes
from ringrift.records.game_bytes import from_bytes

if TYPE_CHECKING:
    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.records.store import GameStore
    from ringrift.selfplay.plans import GamePlan, Played, PlayJob
    from ringrift.selfplay.run_plan import RunPlan

log = get_logger(__name__)

ASKED = "--hosts"
ALL = "all"
MOST_OPEN = 64
"""Jobs of a run that are in the queue at once: the loop reads the whole queue at every pass."""


class TimeIsOver(NegativeResult):
    """The games of a run were not played, or did not come, in the time that they were given."""


@dataclass(slots=True, kw_only=True)
class _Part(Part):
    """A range of a run; `ids` are those of its games by index, once they are played."""

    here: Callable[[str], bool]
    ids: dict[int, str] = field(default_factory=dict)
    done_s: float | None = None

    def stands(self, result: JobResult) -> bool:
        """Take note of what was played; old games that are not here are played again."""
        if result.status != "done":
            return False
        self.done_s = self.done_s or time.monotonic()
        self.ids = {int(index): name for index, name in result.numbers.get("ids", {}).items()}
        known = all(index in self.ids and self.here(self.ids[index]) for index in self.missing)
        return known or Part.stands(self, result)

    def renew(self) -> None:
        """Take another job for the same games."""
        Part.renew(self)
        self.ids, self.done_s = {}, None


@dataclass(slots=True)
class HubPool:
    """Plays self-play as jobs of one hub, with the place of a `WorkerPool`.

    The run has `games` games; `plan` fixes them. A job has `job_games`, its time limit is
    `job_timeout_s`. `nodes` are those that play, none for any. `play_limit_s` bounds playing,
    `fetch_limit_s` the time from the end of the last job until its games are here; 0 is no limit.
    `by_node` counts the games that nodes have played, those of whole ranges alone.
    """

    filing: Filing
    store: GameStore
    plan: RunPlan
    games: int
    job_games: int
    job_timeout_s: float
    nodes: tuple[str, ...] = ()
    connected: Callable[[], set[str]] = set
    play_limit_s: float = 0.0
    fetch_limit_s: float = 0.0
    by_node: Counter[str] = field(default_factory=Counter)
    fill: float | None = None
    peak_bytes: int = 0
    replaced: int = 0
    _seq: int = 0
    _uncounted: list[_Part] = field(default_factory=list)
    _seen_s: dict[str, float] = field(default_factory=dict)

    def play(
        self,
        job: PlayJob,
        plans: Sequence[GamePlan],
        stop: Callable[[], bool] = lambda: False,
        hold: Callable[[], bool] = lambda: False,
    ) -> Iterator[Played]:
        """File the games and yield each once it is stored; ends early once `stop` says so.

        Whatever ends it, what is still open is cancelled. Raises `TimeIsOver`, `JobFailed`, and
        `NotRunningError` where nobody leads the jobs for long or no node is left.
        """
        parts = list(self._parts(job, {plan.index for plan in plans}))
        self._seq = 0
        began_s = look_s = time.monotonic()
        self._seen_s = dict.fromkeys(self.nodes, began_s)
        try:
            while parts and not stop():
                hold()
                came = False
                for game in self._arrived(job, parts):
                    came = True
                    yield game
                self._uncounted += [part for part in parts if not part.missing]
                parts = [part for part in parts if part.missing]
                if parts and time.monotonic() >= look_s:
                    self._reassign(parts)
                    self.filing.tend(parts[:MOST_OPEN])
                    self._count()
                    self._check_time(parts, began_s)
                    look_s = time.monotonic() + QUEUE_S
                elif not came and parts:
                    time.sleep(FOLLOW_S)
            self._count()
        finally:
            self.filing.cancel(parts, "the command that asked for it has ended")

    def renew(self, job: PlayJob, plan_of: Callable[[int], GamePlan]) -> None:
        """Raise `UsageError`: what is filed stays as it is."""
        raise UsageError("the games of a hub keep their models", where=ASKED)

    @property
    def words(self) -> str:
        """How many games each node has played, for people."""
        return ", ".join(f"{node} {games}" for node, games in sorted(self.by_node.items()))

    def _parts(self, job: PlayJob, missing: set[int]) -> Iterator[_Part]:
        for number in sorted({index // self.job_games for index in missing}):
            first = number * self.job_games
            indices = range(first, min(self.games, first + self.job_games))
            node = self.nodes[number % len(self.nodes)] if self.nodes else ""
            yield _Part(
                of=f"run {job.run}",
                games=tuple(indices),
                missing=missing.intersection(indices),
                job=self._job(job, indices, node),
                here=self._is_here,
            )

    def _job(self, job: PlayJob, indices: range, node: str) -> Job:
        spec = written(job, self.plan.games(indices))
        return Job(
            kind="selfplay",
            config=spec.config,
            spec=spec.model_dump(mode="json", exclude_defaults=True),
            timeout_s=self.job_timeout_s,
            rules_hash=rules_hash(),
            needs=Needs() if job.device == "cpu" else Needs(gpu=1, gpu_mem_gb=GPU_GB),
            prio=NORMAL,
            reason=f"{job.run}, games {indices[0]} to {indices[-1]}",
            node=node,
        )

    def _arrived(self, job: PlayJob, parts: Sequence[_Part]) -> Iterator[Played]:
        """Yield the missing games that are in the store by now, those that it refused too."""
        of = {index: part for part in parts for index in part.missing}
        found = self.store.records(
            job.spec.config, purpose=job.purpose, run=job.run, after_seq=self._seq
        )
        for seq, record, _ in found:
            self._seq = seq
            index = -1 if record.meta.index is None else record.meta.index
            if index in of and index in of[index].missing:
                of[index].missing.discard(index)
                yield record, tuple(self.store.analyses(record.id))
        for part in parts:
            for index in sorted(part.missing & part.ids.keys()):
                if (game := self._game(part.ids[index])) is not None:
                    part.missing.discard(index)
                    record, analyses = game
                    meta = replace(record.meta, run=job.run, index=index)
                    yield replace(record, meta=meta), analyses

    def _game(self, identity: str) -> Played | None:
        """Return a game that another run brought, or that was refused; None if it is not here."""
        if (stored := self.store.get(identity)) is not None:
            return stored[0], tuple(self.store.analyses(identity))
        if not self.store.quarantine.has(identity):
            return None
        _, game, analysis = self.store.quarantine.get(identity)
        return from_bytes(game), () if analysis is None else (analysis_from_bytes(analysis),)

    def _is_here(self, identity: str) -> bool:
        return self.store.has(identity) or self.store.quarantine.has(identity)

    def _count(self) -> None:
        """Count the games of ranges that are here whole and whose jobs have ended."""
        waiting, self._uncounted = self._uncounted, []
        for part in waiting:
            result = self.filing.run(self.filing.queue.result(part.job.id))
            if result is None:
                self._uncounted.append(part)
            else:
                self.by_node[result.node] += len(result.numbers.get("ids", ()))

    def _check_time(self, parts: Sequence[_Part], began_s: float) -> None:
        now_s = time.monotonic()
        games = sum(len(part.missing) for part in parts)
        if all(part.done_s is not None for part in parts):
            last_s = max(part.done_s or 0.0 for part in parts)
            if 0 < self.fetch_limit_s < now_s - last_s:
                raise TimeIsOver(
                    f"{games} games that were played did not come in {self.fetch_limit_s:g} s",
                    where="--distributed-fetch-timeout-seconds",
                    hint="the same command goes on",
                )
        elif 0 < self.play_limit_s < now_s - began_s:
            raise TimeIsOver(
                f"{games} of {self.games} games were not played in {self.play_limit_s:g} s",
                where="--distributed-job-timeout-seconds",
                hint="the same command goes on",
            )

    def _reassign(self, parts: Sequence[_Part]) -> None:
        """Give the ranges of nodes that are gone to the others that were named."""
        if not self.nodes:
            return
        now_s = time.monotonic()
        self._seen_s |= dict.fromkeys(self.connected() & self._seen_s.keys(), now_s)
        left = [node for node in self.nodes if now_s - self._seen_s[node] <= LEADERLESS_S]
        if not left:
            raise NotRunningError(
                f"none of {', '.join(self.nodes)} is connected to the hub", where=ASKED
            )
        gone = [part for part in parts if part.done_s is None and part.job.node not in left]
        if not gone:
            return
        names = ", ".join(sorted({part.job.node for part in gone}))
        log.warning("ranges of nodes that are gone go to others", of=names, ranges=len(gone))
        self.filing.cancel(gone, "its node is gone")
        for number, part in enumerate(gone):
            part.job = replace(part.job, node=left[number % len(left)])
            part.filed = 0


@contextmanager
def hub_pool(
    paths: Paths,
    settings: Settings,
    plan: RunPlan,
    games: int,
    *,
    hosts: str,
    play_limit_s: float = 0.0,
    fetch_limit_s: float = 0.0,
) -> Iterator[HubPool]:
    """Connect to the hub of a root and open its store to read.

    `hosts` are names of nodes with commas between, or `all`. Raises `NotRunningError` where no hub
    runs or nobody leads it, `UsageError` for a node that is not connected.
    """
    with filing(paths, settings, asked=ASKED) as filed:
        nodes = named_nodes(hosts, connected(paths))
        with followed(paths.game_store) as store:
            yield HubPool(
                filed,
                store,
                plan,
                games,
                job_games=settings.selfplay.games_per_job,
                job_timeout_s=float(settings.selfplay.worker_timeout_seconds),
                nodes=nodes,
                connected=lambda: connected(paths),
                play_limit_s=play_limit_s,
                fetch_limit_s=fetch_limit_s,
            )


def connected(paths: Paths) -> set[str]:
    """Return the nodes that are connected to the hub of a root, none where it does not answer."""
    state = read_state(paths.cluster / "hub")
    try:
        return set() if state is None else connected_nodes(state.monitor_port)
    except NotRunningError as error:
        log.debug("nodes not known", error=error.message)
        return set()


def named_nodes(hosts: str, known: set[str]) -> tuple[str, ...]:
    """Return the nodes that a list names, none for `all`; raises `UsageError` for an unknown one."""
    named = tuple(dict.fromkeys(name.strip() for name in hosts.split(",") if name.strip()))
    if not named:
        raise UsageError("no node is named", where=ASKED, hint=f"{ALL}, or NODE,NODE")
    if named == (ALL,):
        return ()
    if unknown := [name for name in named if name not in known]:
        raise UsageError(
            f"no node {unknown[0]!r} is connected; there are {', '.join(sorted(known)) or 'none'}",
            where=ASKED,
            hint=ALL,
        )
    return named
