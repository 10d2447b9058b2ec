"""Tuned sets and studies, read from real files again when they change."""

import json

import pytest

from ringrift.core.hyperparameters import (
    HYPERPARAMETERS_FILE,
    Hyperparameters,
    save_tuned,
)
from ringrift.core.paths import Paths
from ringrift.loop.facts import TuningFacts
from ringrift.loop.gathering_tuning import TunedSets
from ringrift.tuning.hp.report import study_folder, write_report

CONFIG = "hex8_2p"
REPORT = {
    "job": "j" * 64,
    "ended_at": 1000.0,
    "upto": 700,
    "trials": [{"number": 1}, {"number": 2}],
    "written": True,
    "outcome": "gain 0.1: written, confidence low",
    "confirmation": {"gain": 0.1, "spread": 0.01},
    "contest": {"score": 0.6, "games": 20},
}


@pytest.fixture
def paths(tmp_path):
    made = Paths(tmp_path)
    (tmp_path / "config").mkdir()
    return made


def test_nothing_is_tuned_without_a_file(paths):
    assert TunedSets(paths).of(CONFIG) == TuningFacts()


def test_a_set_is_known_once_it_is_written(paths):
    known = TunedSets(paths)
    assert known.of(CONFIG).confidence == "none"
    path = paths.root / HYPERPARAMETERS_FILE
    save_tuned(path, CONFIG, Hyperparameters(batch_size=512), method="test", trials=30)
    found = known.of(CONFIG)
    assert (found.confidence, found.trials) == ("medium", 30)
    assert found.tuned_at is not None
    assert known.of("square8_2p").confidence == "none"


def test_the_newest_study_of_the_loop_is_known(paths):
    known = TunedSets(paths)
    for kind, report in (("nnue", {**REPORT, "ended_at": 900.0, "written": False}),
                         ("nnue-policy", REPORT)):  # fmt: skip
        folder = study_folder(paths.runs, CONFIG, kind)
        folder.mkdir(parents=True)
        write_report(folder, report)
    by_hand = study_folder(paths.runs, CONFIG, "nn")
    by_hand.mkdir()
    write_report(by_hand, {name: REPORT[name] for name in REPORT if name != "job"})
    study = known.of(CONFIG).study
    assert (study.at, study.upto, study.trials, study.written) == (1000.0, 700, 2, True)
    assert (study.gain, study.score, study.games) == (0.1, 0.6, 20)


def test_what_cannot_be_read_is_unknown_and_says_where(paths):
    path = paths.root / HYPERPARAMETERS_FILE
    path.write_text("{")
    found = TunedSets(paths).of(CONFIG)
    assert found.confidence is None
    assert "hyperparameters.json" in found.error
    path.unlink()
    folder = study_folder(paths.runs, CONFIG, "nnue")
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps({"job": "j"}))
    found = TunedSets(paths).of(CONFIG)
    assert found.confidence is None
    assert "report.json" in found.error
