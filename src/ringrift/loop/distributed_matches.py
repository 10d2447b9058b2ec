"""Play matches on the nodes of a hub: file their jobs, follow the store (`evaluation.md` 3).

The jobs of a plan are fixed parts of it, so the same match filed again is the same jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ringrift.cluster.jobs import NORMAL, Job, JobResult, Needs
from ringrift.core.ids import short
from ringrift.core.versions import rules_hash
from ringrift.evaluation.matches import MatchAborted
from ringrift.loop.following import FOLLOW_S, QUEUE_S, Filing, Part, filing
from ringrift.loop.job_specs import MatchSpec
from ringrift.loop.jobs_of import GPU_GB

if TYPE_CHECKING:
    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.evaluation.matches import Wanted
    from ringrift.evaluation.plans import MatchGame, MatchPlan
    from ringrift.records.record import GameRecord
    from ringrift.records.store import GameStore

BLOCKS_A_JOB = 8
ASKED = "--distributed"


class HubPlayers:
    """Plays matches as jobs of one hub, with the place of `MatchPlayers`.

    `device` is torch's name of the place where convolutional nets are evaluated; `timeout_s` is the
    time limit of a job.
    """

    def __init__(self, filed: Filing, *, device: str = "cpu", timeout_s: float) -> None:
        self._filing = filed
        self._needs = Needs() if device == "cpu" else Needs(gpu=1, gpu_mem_gb=GPU_GB)
        self._timeout_s = timeout_s

    def play(self, wanted: Wanted, store: GameStore, stop: Callable[[], bool]) -> _Following:
        """File the jobs of some matches; iterating yields their games once the store has them."""
        parts = [part for plan, games in wanted for part in self._parts(plan, games)]
        return _Following(self._filing, store, stop, parts, [plan for plan, _ in wanted])

    def _parts(self, plan: MatchPlan, games: Sequence[MatchGame]) -> Iterator[_Part]:
        size = BLOCKS_A_JOB * plan.players
        missing = {game.index for game in games}
        for chunk in sorted({index // size for index in missing}):
            numbers = tuple(range(chunk * size, min(plan.games, (chunk + 1) * size)))
            yield _Part(
                of=f"match {short(plan.hash)}",
                games=numbers,
                missing=missing.intersection(numbers),
                job=self._job(plan, numbers),
                plan=plan,
            )

    def _job(self, plan: MatchPlan, games: tuple[int, ...]) -> Job:
        config = plan.spec.config
        spec = MatchSpec(config=config, plan=plan.text.decode(), games=games)
        return Job(
            kind="match",
            config=config,
            spec={**spec.model_dump(), "games": list(games)},
            timeout_s=self._timeout_s,
            rules_hash=rules_hash(),
            needs=self._needs,
            prio=NORMAL,
            reason=f"match {short(plan.hash)}, games {games[0]} to {games[-1]}",
        )


@dataclass(slots=True, kw_only=True)
class _Part(Part):
    """Some games of a plan."""

    plan: MatchPlan

    def stands(self, result: JobResult) -> bool:
        """Raise `MatchAborted` for a game that was aborted twice in a job that was filed here."""
        aborted = result.numbers.get("aborted") or ()
        if self.filed and aborted:
            told = aborted[0]
            raise MatchAborted.twice(self.plan, told["game"], told["ply"], told["reason"])
        return not aborted and Part.stands(self, result)


@dataclass(slots=True)
class _Following:
    """The games of some matches on their way through queue, nodes and collector."""

    filing: Filing
    store: GameStore
    stop: Callable[[], bool]
    parts: list[_Part]
    plans: Sequence[MatchPlan]
    _seq: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[GameRecord]:
        look_s = 0.0
        try:
            while self.parts and not self.stop():
                if time.monotonic() >= look_s:
                    self.filing.tend(self.parts)
                    look_s = time.monotonic() + QUEUE_S
                came = False
                for record in self._stored():
                    came = True
                    yield record
                if not came and self.parts:
                    time.sleep(FOLLOW_S)
        finally:
            self._cancel(self.parts)

    def again(self, plan: MatchPlan, game: MatchGame) -> None:
        """Do nothing: a job plays an aborted game again itself."""

    def leave(self, plan: MatchPlan) -> None:
        """Cancel what is open of a match."""
        over = [part for part in self.parts if part.plan.hash == plan.hash]
        self.parts = [part for part in self.parts if part.plan.hash != plan.hash]
        self._cancel(over)

    def _stored(self) -> Iterator[GameRecord]:
        """Yield the games that came into the store since the last look."""
        for plan in self.plans:
            if not any(part.plan.hash == plan.hash for part in self.parts):
                continue
            found = self.store.records(
                plan.spec.config,
                purpose="match",
                run=plan.hash,
                after_seq=self._seq.get(plan.hash, 0),
            )
            for seq, record, _ in found:
                self._seq[plan.hash] = seq
                for part in self.parts:
                    if part.plan.hash == plan.hash:
                        part.missing.discard(-1 if record.meta.index is None else record.meta.index)
                yield record
        self.parts = [part for part in self.parts if part.missing]

    def _cancel(self, parts: Sequence[_Part]) -> None:
        self.filing.cancel(parts, "the match is over")


@contextmanager
def hub_players(paths: Paths, settings: Settings, *, device: str = "cpu") -> Iterator[HubPlayers]:
    """Connect to the hub of a root; raises `NotRunningError` where none runs or nobody leads it."""
    with filing(paths, settings, asked=ASKED) as filed:
        timeout_s = float(settings.tournament.tournament_timeout_seconds)
        yield HubPlayers(filed, device=device, timeout_s=timeout_s)
