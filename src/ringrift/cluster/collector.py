"""Read the stream of games into a store (`cluster.md` 7).

Commit first, then tell the position, then acknowledge: a crash between leads to a second delivery,
which the store's keys absorb.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from ringrift.cluster.batches import GameBatch, read_batch
from ringrift.cluster.bus import Bus
from ringrift.cluster.positions import (
    Contiguous,
    Position,
    games_incarnation,
    read_positions,
    tell_position,
)
from ringrift.cluster.streams import GAMES, Subjects
from ringrift.core.errors import RingriftError
from ringrift.core.files import write_atomic
from ringrift.core.log import get_logger
from ringrift.evaluation.plans import plan_of_text
from ringrift.records.gate import VERIFIED
from ringrift.records.preparing import Outcome, prepare
from ringrift.records.refused import Refused
from ringrift.records.store import GameStore

log = get_logger(__name__)

ACK_WAIT_S = 30.0
MOST_PENDING = 4096
MOST_BATCHES = 200
VERIFY_S = 5.0
"""As many batches are fetched at once as are verified in this time."""
FIRST_BATCH_S = 0.5
"""What a batch is taken to need before one was seen."""
EXTEND_AFTER_S = 10.0
FETCH_S = 0.5
"""How long a fetch waits for a first batch; it returns at once when there is one."""
LOOK_EVERY_S = 2.0
TELL_EVERY_S = 60.0
LAST_RECORDS = 1000
MOST_FAILED = LAST_RECORDS // 100
"""More than 1 % of a node's last records is an alarm."""
UNREADABLE = "dead_letter"
"""Reason of a batch that could not be decoded, counted as one record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What one transaction brought: games that are new, those known before, those refused.

    `lag_s` is the age of the oldest of its batches, counted from when the hub took it; `nodes` are
    those that made them, `suspects` the nodes of whose last 1,000 records more than 1 % failed.
    """

    games: int
    duplicates: int
    quarantined: int
    reasons: Counter[str]
    seq: int
    lag_s: float
    nodes: frozenset[str]
    suspects: frozenset[str]


@dataclass(slots=True)
class _Delivery:
    """A message, whose games it holds, and its batch, None where it cannot be decoded."""

    message: Msg
    seq: int
    node: str
    run: str
    batch: GameBatch | None = None


@dataclass(slots=True)
class _Load:
    """What is ready to be written: by node and run, since each has its own source."""

    done: list[_Delivery] = field(default_factory=list)
    outcomes: defaultdict[tuple[str, str], list[Outcome]] = field(
        default_factory=lambda: defaultdict(list)
    )
    plans: dict[bytes, tuple[str, str]] = field(default_factory=dict)
    unreadable: Counter[str] = field(default_factory=Counter)


class Collector:
    """Reads everything of a hub's stream of games into one open store, until it is stopped.

    `node` names this collector. The store is written and read in the thread that calls `run`.
    Batches that cannot be decoded are kept whole in the folder `dead_letters`.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        store: GameStore,
        *,
        node: str,
        dead_letters: Path,
        on_commit: Callable[[Committed], None] = lambda _: None,
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._store = store
        self._node = node
        self._dead_letters = dead_letters
        self._on_commit = on_commit
        self._last: defaultdict[str, deque[bool]] = defaultdict(lambda: deque(maxlen=LAST_RECORDS))
        self._suspects: frozenset[str] = frozenset()
        self._batch_s = FIRST_BATCH_S
        self._incarnation = 0
        self._done = Contiguous(0)
        self._told_at_s = 0.0

    def run(self, stop: Callable[[], bool]) -> None:
        """Collect until `stop` says true.

        Raises `NotRunningError` where the hub does not answer: call it again then.
        """
        subscription = self._subscribe()
        self._tell()
        look_at_s = time.monotonic() + LOOK_EVERY_S
        while not stop():
            most = max(1, min(MOST_BATCHES, int(VERIFY_S / self._batch_s)))
            messages = self._bus.run(_fetch(subscription, most))
            if messages:
                self._take(messages, stop)
            elif time.monotonic() >= look_at_s:
                look_at_s = time.monotonic() + LOOK_EVERY_S
                if not self._bus.run(self._is_same_stream()):
                    log.warning("the hub has a new stream of games")
                    subscription = self._subscribe()
                if time.monotonic() - self._told_at_s >= TELL_EVERY_S:
                    self._tell()

    # --- the hub

    def _subscribe(self) -> JetStreamContext.PullSubscription:
        """Make this collector's consumer anew, from the first batch that it has not committed.

        So what a killed collector had fetched comes again at once. A store without games is filled
        from the stream's beginning.
        """
        return self._bus.run(self._make_consumer(refill=self._store.max_seq() == 0))

    async def _make_consumer(self, *, refill: bool) -> JetStreamContext.PullSubscription:
        js = self._bus.js
        self._incarnation, first = await games_incarnation(js)
        told = (await read_positions(js)).get(self._node)
        known = told is not None and told.incarnation == self._incarnation and not refill
        self._done = Contiguous(max(told.seq if told is not None and known else 0, first - 1))
        name = f"collector-{self._node}"
        try:
            await js.delete_consumer(GAMES, name)
        except NotFoundError:
            log.debug("a new collector", consumer=name)
        await js.add_consumer(
            GAMES,
            ConsumerConfig(
                durable_name=name,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._done.position + 1,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT_S,
                max_ack_pending=MOST_PENDING,
            ),
        )
        return await js.pull_subscribe_bind(consumer=name, stream=GAMES)

    async def _is_same_stream(self) -> bool:
        incarnation, first = await games_incarnation(self._bus.js)
        self._done.rise(first - 1)
        return incarnation == self._incarnation

    def _tell(self) -> None:
        self._told_at_s = time.monotonic()
        position = Position(
            incarnation=self._incarnation,
            seq=self._done.position,
            games=self._store.count(),
            time=time.time(),
        )
        self._bus.run(tell_position(self._bus.js, self._node, position))

    # --- what comes

    def _take(self, messages: Sequence[Msg], stop: Callable[[], bool]) -> None:
        """Verify and commit batches; those not reached before `stop` come again."""
        began_s = extended_s = time.monotonic()
        load = _Load()
        for number, message in enumerate(messages):
            if stop():
                break
            if time.monotonic() - extended_s >= EXTEND_AFTER_S:
                extended_s = time.monotonic()
                self._bus.run(_extend(messages))
            self._prepare(self._delivery(message), load)
            self._batch_s += 0.2 * ((time.monotonic() - began_s) / (number + 1) - self._batch_s)
        if load.done:
            self._commit(load)

    def _delivery(self, message: Msg) -> _Delivery:
        node, _, run = message.subject.removeprefix(self._subjects.game("", "")[:-1]).partition(".")
        found = _Delivery(message, message.metadata.sequence.stream, node, run)
        try:
            found.batch = read_batch(message.data)
            for text in found.batch.plans:
                plan_of_text(text)
        except RingriftError as error:
            found.batch = None
            self._keep_dead(found, str(error))
        return found

    def _keep_dead(self, found: _Delivery, reason: str) -> None:
        """Keep the bytes of a batch that cannot be decoded, with what is wrong beside."""
        self._dead_letters.mkdir(parents=True, exist_ok=True)
        name = f"{self._incarnation}-{found.seq}"
        write_atomic(self._dead_letters / f"{name}.batch", found.message.data)
        words = f"node {found.node}\nrun {found.run}\nreason {reason}\n"
        write_atomic(self._dead_letters / f"{name}.txt", words.encode())
        log.error("a batch cannot be read", of=found.node, run=found.run, reason=reason)

    def _prepare(self, delivery: _Delivery, load: _Load) -> None:
        load.done.append(delivery)
        batch, last = delivery.batch, self._last[delivery.node]
        if batch is None:
            load.unreadable[delivery.node] += 1
            last.append(True)
            return
        for text in batch.plans:
            plan = plan_of_text(text)
            load.plans[text] = (plan.spec.config, plan.purpose)
        for game, analyses in batch.games:
            outcomes = list(self._outcomes(game, analyses))
            load.outcomes[delivery.node, delivery.run].extend(outcomes)
            last.append(any(isinstance(outcome, Refused) for outcome in outcomes))

    def _outcomes(self, game: bytes, analyses: Sequence[bytes]) -> Iterator[Outcome]:
        for number, analysis in enumerate(analyses or (None,)):
            outcome = prepare((game, analysis), VERIFIED, self._store.has)
            if number and not isinstance(outcome, Refused):
                outcome = replace(outcome, further=True)
            yield outcome

    def _commit(self, load: _Load) -> None:
        """Write, tell, acknowledge, in this order."""
        for text, (config, purpose) in load.plans.items():
            self._store.plans.add(text, config=config, purpose=purpose)
        games = duplicates = quarantined = 0
        reasons: Counter[str] = Counter()
        for (node, run), outcomes in load.outcomes.items():
            source = f"node {node} run {run}"
            admission = self._store.admission(source=source, request="", gate=VERIFIED)
            admission.take(outcomes)
            games += admission.report.added
            duplicates += admission.report.duplicate
            quarantined += admission.report.quarantined
            reasons += admission.report.reasons
        reasons[UNREADABLE] += load.unreadable.total()
        self._done.add(delivery.seq for delivery in load.done)
        self._find_suspects()
        self._tell()
        self._bus.run(_acknowledge([delivery.message for delivery in load.done]))
        oldest = min(delivery.message.metadata.timestamp.timestamp() for delivery in load.done)
        self._on_commit(
            Committed(
                games=games,
                duplicates=duplicates,
                quarantined=quarantined + load.unreadable.total(),
                reasons=+reasons,
                seq=self._done.position,
                lag_s=max(0.0, time.time() - oldest),
                nodes=frozenset(delivery.node for delivery in load.done),
                suspects=self._suspects,
            )
        )

    def _find_suspects(self) -> None:
        found = frozenset(node for node, last in self._last.items() if sum(last) > MOST_FAILED)
        for node in found - self._suspects:
            log.error("games of a node fail", of=node, failed=sum(self._last[node]))
        self._suspects = found


async def _fetch(subscription: JetStreamContext.PullSubscription, most: int) -> list[Msg]:
    try:
        return await subscription.fetch(most, timeout=FETCH_S)
    except TimeoutError:
        return []


async def _extend(messages: Sequence[Msg]) -> None:
    """Ask for more time for what was fetched."""
    await asyncio.gather(*(message.in_progress() for message in messages))


async def _acknowledge(messages: Sequence[Msg]) -> None:
    await asyncio.gather(*(message.ack() for message in messages))
