"""What the tests of exporting commands share: a root with a store, processes that end with the test."""

import pytest

from ringrift.core.paths import Paths


@pytest.fixture
def root(tmp_path, store):
    paths = Paths(tmp_path)
    paths.create()
    (paths.games / "games.db").write_bytes(store.read_bytes())
    return paths


@pytest.fixture
def start(spawn):
    """Start the program as `spawn` does; what still runs at the end of the test is killed."""
    started = []

    def begin(*arguments, **options):
        started.append(spawn(*arguments, **options))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()
