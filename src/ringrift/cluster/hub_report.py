"""How the hub of a root stands: its server, what it holds beside what it should (`cluster.md` 3)."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from ringrift.cluster.election import Term
from ringrift.cluster.hub import HubState
from ringrift.cluster.positions import Position, read_positions
from ringrift.cluster.spool import SpoolState
from ringrift.cluster.streams import LEASE, Examined
from ringrift.core.errors import NotRunningError

ANSWER_S = 2.0
LEADER = "leader"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a server says of itself."""

    version: str
    pid: int
    port: int
    monitor_port: int
    incarnation: int
    memory_bytes: int
    cpu_percent: float
    connections: int
    uptime_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseFacts:
    """Who holds the lease, in which term, and how long ago that was said last."""

    node: str
    term: str
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HubReport:
    """What there is to tell of a hub."""

    server: ServerFacts
    examined: Sequence[Examined]
    leader: LeaseFacts | None
    committed: dict[str, Position]
    spool: SpoolState | None

    @property
    def ok(self) -> bool:
        """Whether all that should be there is, as it should be."""
        return all(found.condition == "ok" for found in self.examined)

    def as_fields(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "server": asdict(self.server),
            "holds": [_held_fields(found) for found in self.examined],
            "leader": None if self.leader is None else asdict(self.leader),
            "committed": {node: asdict(found) for node, found in self.committed.items()},
            "spool": None if self.spool is None else asdict(self.spool),
        }


def server_facts(state: HubState) -> ServerFacts:
    """Ask the server; raises `NotRunningError` where it does not answer."""
    url = f"http://127.0.0.1:{state.monitor_port}/varz"
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_S) as answer:
            told = json.load(answer)
        return ServerFacts(
            version=str(told["version"]),
            pid=state.pid,
            port=state.port,
            monitor_port=state.monitor_port,
            incarnation=state.incarnation,
            memory_bytes=int(told["mem"]),
            cpu_percent=float(told["cpu"]),
            connections=int(told["connections"]),
            uptime_s=_uptime_s(str(told["uptime"])),
        )
    except (OSError, ValueError, KeyError, urllib.error.URLError) as error:
        raise NotRunningError(f"the hub does not answer: {error!r}", where=url) from None


async def lease_facts(js: JetStreamContext, *, incarnation: int) -> LeaseFacts | None:
    """Return who leads, None where nobody does; `incarnation` is the hub's."""
    try:
        message = await js.get_last_msg(f"KV_{LEASE}", f"$KV.{LEASE}.{LEADER}", direct=False)
    except NotFoundError:
        return None
    if not message.data:
        return None
    try:
        tree = json.loads(message.data)
        node, term = str(tree["node"]), str(tree["term"])
    except (ValueError, KeyError, TypeError):  # of another program
        node, term = "?", "?"
    written_s = message.time.timestamp() if message.time is not None else time.time()
    return LeaseFacts(
        node=node,
        term=term or str(Term(incarnation, message.seq or 0)),
        age_s=round(max(0.0, time.time() - written_s), 3),
    )


async def hub_report(
    js: JetStreamContext,
    state: HubState,
    *,
    examined: Sequence[Examined],
    spool: SpoolState | None,
) -> HubReport:
    """Return how a hub stands, given what was found in it and this node's spool."""
    return HubReport(
        server=server_facts(state),
        examined=examined,
        leader=await lease_facts(js, incarnation=state.incarnation),
        committed=await read_positions(js),
        spool=spool,
    )


def _held_fields(found: Examined) -> dict[str, Any]:
    info = found.info
    return {
        "name": found.name,
        "kind": found.kind,
        "condition": found.condition,
        "differences": [
            {"setting": each.setting, "found": str(each.found), "wanted": str(each.wanted)}
            for each in found.differences
        ],
        "messages": None if info is None else info.state.messages,
        "bytes": None if info is None else info.state.bytes,
        "consumers": None if info is None else info.state.consumer_count,
        "first_seq": None if info is None else info.state.first_seq,
        "last_seq": None if info is None else info.state.last_seq,
        "incarnation": None
        if info is None or info.created is None
        else int(info.created.timestamp() * 1e6),
    }


_UNIT_S = {"y": 365 * 86_400, "d": 86_400, "h": 3600, "m": 60, "s": 1}


def _uptime_s(text: str) -> float:
    """Read a duration such as `2d3h4m5s`."""
    total, digits = 0, ""
    for letter in text:
        if letter.isdigit():
            digits += letter
        else:
            total, digits = total + int(digits) * _UNIT_S[letter], ""
    return float(total)
