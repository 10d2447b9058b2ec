"""The house of design.md 3: imports go from left to right, and heavy ones stay in their rooms."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "ringrift"

# design.md 3, in its order: a room may import the rooms before it.
ROOMS = (
    "core",
    "rules",
    "records",
    "nets",
    "agents",
    "selfplay",
    "data",
    "training",
    "evaluation",
    "models",
    "tuning",
    "cluster",
    "loop",
    "web",
    "cli",
)
MODULES = sorted(PACKAGE.rglob("*.py"))

# Packages with one home: the room or module that may import them.
ONLY_IN = {
    "numba.cuda": {"rules/gpu.py"},
    "typer": {"cli"},
    "rich": {"cli"},
    "structlog": {"core/log.py"},
    "ruamel": {"core/settings_loader/yaml_file.py", "core/yaml_text.py"},
    "prometheus_client": {"core/metrics.py"},
    "simple_pid": {"core/optimizer.py"},
    "pybreaker": {"core/breakers.py"},
    "stamina": {"core/retries.py"},
    "pynvml": {"core/readings.py"},
}
# Rooms that import no torch, not even inside a function. The loop is control: its workers run in
# processes of their own (design.md 2.8).
WITHOUT_TORCH = {"core", "rules", "records", "loop", "cli"}


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def room_of(path):
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else None


def modules_of(room):
    return [path for path in MODULES if room_of(path) == room]


@cache
def imports(path):
    """All modules a file imports, at its top and inside functions, as absolute dotted names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = ["ringrift", *path.relative_to(PACKAGE).parts[: -node.level]]
                base = ".".join([*package, *([base] if base else [])])
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def under(name, prefix):
    return name == prefix or name.startswith(f"{prefix}.")


def test_every_folder_is_a_room_of_the_house():
    folders = {
        path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    assert folders <= set(ROOMS)


@pytest.mark.parametrize("room", [None, *ROOMS])
def test_imports_go_from_left_to_right(room):
    allowed = set() if room is None else set(ROOMS[: ROOMS.index(room) + 1])
    beyond = set(ROOMS) - allowed
    assert not [
        f"{name_of(path)} imports {name}"
        for path in modules_of(room)
        for name in imports(path)
        if any(under(name, f"ringrift.{other}") for other in beyond)
    ]


@pytest.mark.parametrize("module", ONLY_IN)
def test_imports_that_have_one_home_stay_there(module):
    homes = ONLY_IN[module]
    assert not [
        name_of(path)
        for path in MODULES
        if name_of(path) not in homes
        and room_of(path) not in homes
        and any(under(name, module) for name in imports(path))
    ]


@pytest.mark.parametrize(
    ("room", "package"), [*((room, "torch") for room in sorted(WITHOUT_TORCH)), ("core", "numba")]
)
def test_no_heavy_package_where_control_and_rules_live(room, package):
    assert not [
        name_of(path)
        for path in modules_of(room)
        if any(under(name, package) for name in imports(path))
    ]


def test_the_check_sees_relative_nested_and_plain_imports(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    path = tmp_path / "loop" / "x.py"
    path.parent.mkdir()
    path.write_text(
        "from . import a\n"
        "from ..core import ids\n"
        "import numba.cuda as c\n"
        "def f():\n    from torch import nn\n"
    )
    assert imports(path) >= {
        "ringrift.loop.a",
        "ringrift.core.ids",
        "numba.cuda",
        "torch.nn",
    }


IMPORTED = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*sorted({"torch", "numba"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("core", {"torch", "numba"}),
        ("rules", {"torch"}),
        ("records", {"torch"}),
        ("loop", {"torch"}),
    ],
)
def test_rooms_load_no_heavy_package_through_others(room, forbidden):
    """What `ast` cannot see: a light module that imports a heavy one of its own room."""
    modules = [
        "ringrift." + name_of(path)[:-3].replace("/", ".").removesuffix(".__init__")
        for path in modules_of(room)
        if path.name != "gpu.py"
    ]
    if not modules:
        pytest.skip(f"room {room} does not exist yet")
    answer = subprocess.run(
        [sys.executable, "-c", IMPORTED, *modules], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert not forbidden & set(answer.stdout.split())
