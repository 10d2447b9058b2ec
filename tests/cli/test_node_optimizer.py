"""`ringrift node optimizer`: aims and decisions as recorded, and a picture of them."""

import json
import math
import random
import struct
import xml.etree.ElementTree as ET

import pytest

from ringrift.core.optimizer import Control, Load, Optimizer, Reading
from ringrift.core.optimizer_history import FILE_NAME, History
from ringrift.core.paths import Paths
from ringrift.core.settings import Settings
from ringrift.core.targets import GB, Hardware, targets_of

SECTION = Settings().resource_targets
MACHINE = Hardware(cpus=32, memory_bytes=128 * GB, gpu_memory_bytes=(24 * GB,))


@pytest.fixture
def root(tmp_path):
    paths = Paths(tmp_path / "root")
    paths.create()
    return paths.root


def record(root, updates=60):
    """An optimizer's first half hour on a simulated machine, as a node would write it."""
    now = {"s": 1_770_000_000.0}
    noise, plant, workers = random.Random(4), 5.0, 0
    targets = targets_of(MACHINE, SECTION)
    optimizer = Optimizer(targets, Control.from_settings(SECTION), clock=lambda: now["s"])
    path = Paths(root).coordination / FILE_NAME
    with History(path, clock=lambda: now["s"]) as history:
        for step in range(updates):
            memory = 97.0 if step == 40 else 20 + plant / 3
            reading = Reading(
                workers=workers,
                cpu=Load(used=min(100.0, max(0.0, plant + noise.uniform(-5, 5)))),
                gpu=None if step < 3 else Load(used=min(100.0, 0.8 * plant)),
                memory=Load(used=memory),
                games_per_hour=90.0 * workers,
                demand_games_per_hour=4000.0,
            )
            decision = optimizer.update(reading)
            history.record(reading, decision)
            workers = decision.workers
            now["s"] += 30
            plant += (100 * workers / 18 - plant) * (1 - math.exp(-0.5))
    return path


def test_without_a_root_or_a_decision_the_aims_are_shown(ringrift, root):
    for words in ((), ("--root", root)):
        code, out, _ = ringrift(*words, "node", "optimizer", "--json")
        answer = json.loads(out)
        assert code == 0
        assert answer["ok"] is True
        assert answer["decisions"] == []
        assert answer["targets"]["slots"] >= 1
        assert answer["targets"]["aims"]["cpu"]["target"] >= 60
    code, out, _ = ringrift("--root", root, "node", "optimizer")
    assert code == 0
    assert "no decision yet" in out
    assert not (Paths(root).coordination / FILE_NAME).exists()


def test_the_last_decisions_are_shown_with_their_reasons(ringrift, root):
    record(root)
    code, out, _ = ringrift("--root", root, "node", "optimizer", "--last", "3", "--json")
    decisions = json.loads(out)["decisions"]
    assert code == 0
    assert len(decisions) == 3
    assert [row["at"] for row in decisions] == sorted(row["at"] for row in decisions)
    assert decisions[-1].keys() >= {
        "at", "cpu", "gpu", "memory", "resource", "input", "target", "error", "proportional",
        "integral", "derivative", "level", "workers_before", "workers", "slots", "games_per_hour",
        "action", "reason",
    }  # fmt: skip
    code, out, _ = ringrift("--root", root, "node", "optimizer", "--last", "60")
    assert code == 0
    assert "gpu could not be read" in out
    assert "is below 55 %" in out
    assert "memory is critical" in out


def test_status_is_the_newest_decision_alone(ringrift, root):
    record(root)
    answer = json.loads(ringrift("--root", root, "node", "optimizer", "--status", "--json")[1])
    assert len(answer["decisions"]) == 1
    out = ringrift("--root", root, "node", "optimizer", "--status")[1]
    assert f"{answer['decisions'][0]['workers']} workers" in out
    assert "decisions, newest last" not in out


def test_settings_move_the_aims(ringrift, monkeypatch):
    monkeypatch.setenv("RINGRIFT_RESOURCE_TARGETS__MAX_JOBS_PER_NODE", "1")
    answer = json.loads(ringrift("node", "optimizer", "--json")[1])
    assert answer["targets"]["slots"] == 1


@pytest.mark.slow
def test_the_plot_is_a_picture_of_its_suffix(ringrift, root, tmp_path):
    record(root)
    code, out, _ = ringrift("--root", root, "node", "optimizer", "--plot", "use.png", "--json")
    assert code == 0
    assert json.loads(out)["decisions"] == 60
    picture = (tmp_path / "use.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    assert width >= 1000
    assert height >= 600
    assert ringrift("--root", root, "node", "optimizer", "--plot", "use.SVG")[0] == 0
    drawing = ET.fromstring((tmp_path / "use.SVG").read_text())
    assert drawing.tag.endswith("svg")
    assert sum(1 for _ in drawing.iter("{http://www.w3.org/2000/svg}path")) > 20


def test_a_plot_of_nothing_is_1_and_of_another_kind_2(ringrift, root):
    code, _, err = ringrift("--root", root, "node", "optimizer", "--plot", "use.png")
    assert code == 1
    assert "decided nothing yet" in err
    code, _, err = ringrift("--root", root, "node", "optimizer", "--plot", "use.pdf")
    assert code == 2
    assert "expected .png or .svg" in err


def test_a_plot_into_a_missing_folder_is_a_usage_error(ringrift, root):
    record(root, updates=2)
    code, _, err = ringrift("--root", root, "node", "optimizer", "--plot", "no/such/use.png")
    assert code == 2
    assert "no folder" in err


def test_a_damaged_database_is_bad_data(ringrift, root):
    path = Paths(root).coordination / FILE_NAME
    path.write_bytes(b"not a database at all, but long enough to look at" * 30)
    code, _, err = ringrift("--root", root, "node", "optimizer")
    assert code == 6
    assert FILE_NAME in err
