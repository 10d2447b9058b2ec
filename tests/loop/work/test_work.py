"""The table of work: a function for each kind of job, and nothing heavy before it is needed."""

import importlib
import subprocess
import sys

from ringrift.loop.job_specs import SPECS
from ringrift.loop.work import WORK

LOADED = """
import sys
import ringrift.loop.work
assert not {"numba", "numpy", "torch"} & sys.modules.keys()
import ringrift.loop.work.matches, ringrift.loop.work.selfplay
assert "torch" not in sys.modules
"""


def test_every_kind_of_job_has_a_function():
    assert WORK.keys() == SPECS.keys()
    for name in WORK.values():
        module, _, function = name.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_the_table_is_light_and_players_load_no_torch():
    subprocess.run([sys.executable, "-c", LOADED], check=True, timeout=60)
