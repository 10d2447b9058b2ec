"""What holds for every test: no deadlines by the clock, GPU tests only where there is a GPU.

Files of one folder are spread over the run. A test marked `timed` is about wall time, which other
work on the machine may take: it is repeated.

The table of this host's tasks is one of the tests' own: what runs beside them is not theirs.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine makes single examples slow; pytest's own timeout catches what hangs.
settings.register_profile("ringrift", deadline=None)
settings.load_profile("ringrift")


def pytest_configure(config):
    folder = tempfile.mkdtemp(prefix="ringrift-tests-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["XDG_RUNTIME_DIR"] = folder


def spread(items):
    """Order files so that the next one is of another folder wherever that can be.

    Two processes take them in turn. Files of one folder call the same compiled code, and what both
    need at once both compile.
    """
    folders = {}
    for item in items:
        folders.setdefault(item.path.parent, {}).setdefault(item.path, []).append(item)
    placed = [
        ((at + 0.5) / len(files), path, files[path])
        for files in folders.values()
        for at, path in enumerate(sorted(files))
    ]
    return [item for *_, tests in sorted(placed, key=lambda one: one[:2]) for item in tests]


def pytest_collection_modifyitems(items):
    items[:] = spread(items)
    for item in items:
        if item.get_closest_marker("timed"):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=5))
    if Path("/dev/nvidiactl").exists():
        return
    without = pytest.mark.skip(reason="no CUDA device on this machine (/dev/nvidiactl is missing)")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(without)
