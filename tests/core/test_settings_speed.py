"""What importing and loading settings costs: the core must start in 80 ms (core.md)."""

import json
import subprocess
import sys

import pytest

HEAVY = {"pydantic", "ruamel", "structlog", "torch", "numba", "numpy", "psutil", "json"}


def answer_of(program):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def loaded_after(statement):
    # What the interpreter itself has loaded at its start, through `.pth` files, is not ours.
    return answer_of(
        "import sys; before = set(sys.modules)\n"
        f"{statement}\n"
        "after = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "import json; print(json.dumps(sorted(after)))"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "import ringrift.core.settings_loader",
        "from ringrift.core.settings import CONFIGURATIONS",
        "from ringrift.core.settings_loader import profile_names; profile_names()",
    ],
)
def test_naming_configurations_and_profiles_loads_no_model_and_no_yaml(statement):
    assert not HEAVY & set(loaded_after(statement))


def test_settings_without_a_file_need_no_yaml():
    loaded = loaded_after(
        "from ringrift.core.settings_loader import load_settings; load_settings(environ={})"
    )
    assert "pydantic" in loaded
    assert not {"ruamel", "structlog", "torch", "numba", "numpy"} & set(loaded)


def test_defining_the_model_builds_no_validator_and_reads_no_source():
    complete, meanings = answer_of(
        "import json, ringrift.core.settings.tree as tree\n"
        "from ringrift.core.settings import Section\n"
        "from ringrift.core.settings_loader import keys, load_settings\n"
        "built = [c.__name__ for c in Section.__subclasses__() if c.__pydantic_complete__]\n"
        "load_settings(environ={})\n"
        "print(json.dumps([built, keys._meanings.cache_info().currsize]))"
    )
    assert complete == []
    assert meanings == 0


def test_defining_all_sections_costs_less_than_importing_pydantic():
    """Both are timed in one process, so that a busy machine slows both."""
    program = (
        "import time, json\n"
        "a = time.perf_counter()\n"
        "from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator\n"
        "b = time.perf_counter()\n"
        "import ringrift.core.settings.tree\n"
        "print(json.dumps((time.perf_counter() - b) / (b - a)))"
    )
    assert min(answer_of(program) for _ in range(3)) < 0.8
