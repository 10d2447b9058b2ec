"""Servers of files on loopback, and one whose disk has gone bad."""

import hashlib
import os
import random
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from ringrift.data.dataset.options import ExportOptions
from ringrift.data.dataset.plan import plan_export
from ringrift.data.distributed.inventory import Inventory
from ringrift.data.distributed.metalink import PIECE_BYTES
from ringrift.data.distributed.serving import ExportServer

from .games import make_store

PIECES = 5


@pytest.fixture(scope="session")
def content():
    """Nearly five pieces, no two alike."""
    return random.Random(7).randbytes(PIECES * PIECE_BYTES - 100)


@pytest.fixture(scope="session")
def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def serve(tmp_path):
    """Start a server of a folder of its own; `files` by name. Ends with the test."""
    with ExitStack() as stack:
        count = iter(range(100))

        def start(files, **options):
            folder = tmp_path / f"served-{next(count)}"
            for name, data in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            inventory = Inventory(folder)
            server = ExportServer(inventory, port=0, **options)
            inventory.scan()
            server.folder = folder
            return stack.enter_context(server)

        yield start


@pytest.fixture
def rot():
    """Flip one bit of a file so that size and times stay: what a bad disk does."""

    def flip(path: Path, place: int):
        state = path.stat()
        with path.open("r+b") as file:
            file.seek(place)
            (byte,) = file.read(1)
            file.seek(place)
            file.write(bytes([byte ^ 1]))
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))

    return flip


@pytest.fixture
def silent():
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def nobody():
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A store of 40 random games of square8 for two."""
    return make_store(tmp_path_factory.mktemp("store") / "games.db", 40)


@pytest.fixture(scope="session")
def plan(store):
    return plan_export([store], "square8_2p", ExportOptions())
