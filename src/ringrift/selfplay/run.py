"""One run of self-play: games handed out, taken back, checked and kept (selfplay.md 1, 2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from ringrift.core.log import get_logger
from ringrift.core.settings_loader import flag
from ringrift.selfplay import draws
from ringrift.selfplay.anomalies import NO_MOVES, PLAIN, Anomaly, breach_of, write_reproducer
from ringrift.selfplay.plain_rules import PlainRules
from ringrift.selfplay.player import Hygiene
from ringrift.selfplay.recording import Places, Recorder
from ringrift.selfplay.run_folder import RunFolder, write_json
from ringrift.selfplay.shadow import Shadow, is_sampled
from ringrift.selfplay.state_pools import PoolOrder, StatePool
from ringrift.selfplay.summary import Session, summary_of
from ringrift.selfplay.workers import GamesFailed, WorkerPool

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ringrift.core.errors import BusyError
    from ringrift.records.record import GameRecord
    from ringrift.selfplay.plans import GamePlan, Played, PlayJob
    from ringrift.selfplay.reload import ModelWatch
    from ringrift.selfplay.run_plan import RunPlan

log = get_logger(__name__)

SHADOW_GAMES = 16
"""Sampled games that are played again together."""
CHUNK_GAMES = 20_000
"""Games whose plans are held at once."""
SHORT = "short"
STRICT_NO_MOVES = "RINGRIFT_STRICT_NO_MOVE_INVARIANT"


class Guard(Protocol):
    """Judges whether a run may go on; `guarding.RunGuard` is one."""

    error: BusyError | None

    def look(self, games: int) -> None:
        """Judge the machine if it is time."""
        ...

    @property
    def holds(self) -> bool:
        """Whether no new game may begin."""
        ...

    @property
    def ends(self) -> bool:
        """Whether the run must end now."""
        ...


class Players(Protocol):
    """Plays the games of a job; `workers.WorkerPool` does so here."""

    @property
    def fill(self) -> float | None:
        """Share of the places in lock step that held a game; None where it is not known."""
        ...

    @property
    def peak_bytes(self) -> int:
        """Memory of the largest worker."""
        ...

    @property
    def replaced(self) -> int:
        """How many workers were replaced."""
        ...

    def play(
        self,
        job: PlayJob,
        plans: Sequence[GamePlan],
        stop: Callable[[], bool],
        hold: Callable[[], bool],
    ) -> Iterator[Played]:
        """Play games and yield each as it ends."""
        ...

    def renew(self, job: PlayJob, plan_of: Callable[[int], GamePlan]) -> None:
        """Play the games that have not begun as another job."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """A run as it is asked for.

    `games` is the total to finish, also of a resumed run. A share `shadow_rate` is played again
    singly, a share `plain_rate` on the plain rules; games that differ are kept out. More differing
    games than the share `shadow_threshold`, or one on the plain rules if `plain_stops`, end the run;
    so does with `strict_no_moves` a player to move without a legal move.
    """

    plan: RunPlan
    run: str
    games: int
    folder: RunFolder
    places: Places
    resume: bool = False
    workers: int = 1
    games_per_worker: int = 8
    hygiene: Hygiene = field(default_factory=Hygiene)
    shadow_rate: float = 0.0
    shadow_threshold: float = 0.001
    plain_rate: float = 0.0
    plain_stops: bool = False
    fail_on_anomaly: bool = False
    strict_no_moves: bool = field(default_factory=lambda: flag(STRICT_NO_MOVES))
    min_game_length: int = 0
    pools: tuple[PoolOrder, ...] = ()
    watch: ModelWatch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended: its summary, and what kept it from ending well.

    `failed` says why its answer is no, None if it is not; `busy` is what the machine lacked.
    """

    summary: dict[str, Any]
    complete: bool
    failed: str | None
    failed_indices: tuple[int, ...]
    busy: BusyError | None


def play_run(
    order: RunOrder,
    *,
    guard: Guard,
    stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Session], None] = lambda session: None,
    players: Players | None = None,
) -> Outcome:
    """Play the games that are missing and keep them; ends early once `stop` or the guard says so.

    `players` play them, else workers of this process as the order says. What was finished is kept
    whatever happens, `kill -9` included: the same order with `resume` goes on, and its games are
    those of a run that was never cut.
    """
    with ExitStack() as stack:
        recorder = stack.enter_context(
            Recorder(order.folder, order.places, order.plan.spec.players, resume=order.resume)
        )
        pool = players or stack.enter_context(_workers(order))
        work = _Work(order, recorder, pool, guard, stop, on_progress, stack)
        work.go()
    return work.outcome()


def _workers(order: RunOrder) -> AbstractContextManager[Players]:
    return WorkerPool(order.workers, order.games_per_worker, order.hygiene)


class _Work:
    """A run in work."""

    def __init__(
        self,
        order: RunOrder,
        recorder: Recorder,
        pool: Players,
        guard: Guard,
        stop: Callable[[], bool],
        on_progress: Callable[[Session], None],
        stack: ExitStack,
    ) -> None:
        self._order = order
        self._plans = [order.plan]
        self._recorder = recorder
        self._pool = pool
        self._guard = guard
        self._stop = stop
        self._on_progress = on_progress
        self._shadow = stack.enter_context(Shadow()) if order.shadow_rate > 0 else None
        self._plain = stack.enter_context(PlainRules()) if order.plain_rate > 0 else None
        self._pools = [StatePool(one) for one in order.pools]
        if order.watch is not None:
            stack.callback(order.watch.close)
        self._held: list[Played] = []
        self._failed_indices: tuple[int, ...] = ()
        self._wrong: str | None = None
        resumed = len(recorder.done) + len(recorder.waiting)
        self._session = Session(tally=recorder.tally, total=order.games, resumed=resumed)

    @property
    def _plan(self) -> RunPlan:
        """The plan of the games that begin now; those before it had other models."""
        return self._plans[-1]

    def go(self) -> None:
        """Take what the journal holds, then play what is missing."""
        for game in self._recorder.waiting:
            self._take(game)
        for chunk in self._chunks():
            if self._ended():
                break
            self._play(chunk)
        self._check_held()
        for pool in self._pools:
            pool.write()

    def outcome(self) -> Outcome:
        """Return how the run ended and write its summary; the recorder is closed by now."""
        missing = self._order.games - len(self._recorder.done)
        complete = missing <= len(self._failed_indices)
        watch = self._order.watch
        summary = summary_of(
            self._session,
            header=self._order.folder.header,
            complete=complete,
            failed_indices=self._failed_indices,
            shadow=self._shadow,
            pools={str(pool.order.path): len(pool) for pool in self._pools},
            alerts=[] if watch is None else watch.alerts,
        )
        write_json(self._order.folder.summary, summary)
        return Outcome(
            summary=summary,
            complete=complete,
            failed=self._answer(),
            failed_indices=self._failed_indices,
            busy=self._guard.error,
        )

    def _answer(self) -> str | None:
        tally = self._recorder.tally
        if self._wrong is not None:
            return self._wrong
        if tally.unverified:
            return f"{tally.unverified} games of our own did not verify"
        if self._order.fail_on_anomaly and tally.anomalies:
            listed = ", ".join(f"{kind} {n}" for kind, n in tally.anomalies.items())
            return f"anomalies: {listed}"
        return None

    def _chunks(self) -> Iterator[Sequence[int]]:
        todo = [i for i in range(self._order.games) if i not in self._recorder.done]
        for first in range(0, len(todo), CHUNK_GAMES):
            yield todo[first : first + CHUNK_GAMES]

    def _play(self, indices: Sequence[int]) -> None:
        job = self._plan.job(self._order.run)
        try:
            for game in self._pool.play(job, self._plan.games(indices), self._ended, self._holds):
                self._take(game, fresh=True)
                self._renew()
        except GamesFailed as error:
            self._failed_indices += error.indices
        finally:
            self._session.pause()

    def _renew(self) -> None:
        """Begin games with a newer model if there is one."""
        if self._order.watch is None:
            return
        newer = self._order.watch.newer(self._plan, self._session.games)
        if newer is not self._plan:
            self._plans.append(newer)
            self._pool.renew(newer.job(self._order.run), newer.game)

    def _ended(self) -> bool:
        self._guard.look(len(self._recorder.done))
        return self._stop() or self._guard.ends or self._wrong is not None

    def _holds(self) -> bool:
        self._session.begin()  # workers are there and all is compiled
        self._session.held = self._guard.holds
        self._look()
        return self._guard.holds

    def _take(self, game: Played, *, fresh: bool = False) -> None:
        """Keep a finished game, and count the time that takes."""
        began_s = time.perf_counter()
        self._keep(game, fresh=fresh)
        self._session.recording_seconds += time.perf_counter() - began_s

    def _keep(self, game: Played, *, fresh: bool) -> None:
        """Put a game into the journal first, then where it belongs."""
        record, analyses = game
        if len(record.moves) < self._order.min_game_length and SHORT not in record.meta.tags:
            tags = (*record.meta.tags, SHORT)
            record = replace(record, meta=replace(record.meta, tags=tags))
            game = record, analyses
        if fresh:
            self._recorder.journaled(game)
            self._session.played(record)
        found = breach_of(record)
        if found is not None:
            self._note(record, found)
        index = record.meta.index
        assert index is not None
        seed = self._plan.seed
        if self._shadow is not None and is_sampled(self._order.shadow_rate, seed, index):
            self._held.append(game)
            if len(self._held) >= SHADOW_GAMES:
                self._check_held()
        elif self._plain is not None and self._takes_plain(index):
            self._settle(game, self._plain.difference(record))
        else:
            self._settle(game, None)
        if self._recorder.due:
            self._check_held()
            self._recorder.checkpoint()
        self._look()

    def _takes_plain(self, index: int) -> bool:
        return draws.uniform(self._plan.seed, "plain", index) < self._order.plain_rate

    def _look(self) -> None:
        self._session.fill = self._pool.fill
        self._session.peak_bytes = max(self._session.peak_bytes, self._pool.peak_bytes)
        self._session.replaced = self._pool.replaced
        self._on_progress(self._session)

    def _check_held(self) -> None:
        """Play the sampled games again; those that were not reached stay in the journal."""
        held, self._held = self._held, []
        if not held or self._shadow is None or self._ended():
            return
        by_index = {game[0].meta.index: game for game in held}
        for plan, games in self._by_plan(held):
            plans = plan.games(i for record, _ in games if (i := record.meta.index) is not None)
            job = plan.job(self._order.run)
            for index, found in self._shadow.compare(job, games, plans, self._ended).items():
                self._settle(by_index[index], found)
        if self._shadow.share > self._order.shadow_threshold:
            self._wrong = (
                f"{self._shadow.differing} of {self._shadow.checked} games differ when they are "
                f"played singly; threshold {self._order.shadow_threshold:g}"
            )

    def _by_plan(self, games: Sequence[Played]) -> list[tuple[RunPlan, list[Played]]]:
        """Group games by the plan that seats their agents."""
        if self._order.watch is None:
            return [(self._plan, list(games))]
        found: list[tuple[RunPlan, list[Played]]] = [(plan, []) for plan in self._plans]
        for game in games:
            mine = next(
                (own for plan, own in reversed(found) if plan.seats_those_of(game[0])), None
            )
            if mine is not None:
                mine.append(game)
            else:  # played before this process went on with the run
                log.warning("no second play: its model is not at hand", game=game[0].id[:12])
                self._settle(game, None)
        return [(plan, own) for plan, own in found if own]

    def _settle(self, game: Played, found: Anomaly | None) -> None:
        """Keep a game, or leave it out for what was found."""
        record = game[0]
        if found is not None:
            self._note(record, found)
            self._recorder.leave_out(game)
            if found.kind == PLAIN and self._order.plain_stops:
                self._wrong = f"game {record.id[:12]} ply {found.ply}: {found.detail}"
            return
        self._recorder.add(game)
        for pool in self._pools:
            pool.add(record)

    def _note(self, record: GameRecord, found: Anomaly) -> None:
        self._recorder.tally.anomalies[found.kind] += 1
        write_reproducer(self._order.folder.anomalies, record, found)
        if found.kind == NO_MOVES and self._order.strict_no_moves:
            self._wrong = f"game {record.id[:12]} ply {found.ply}: {NO_MOVES}"
