"""`ringrift train curriculum` without a switch of stages: options, plan, refusals, whole runs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.unhurried import only_unhurried

from ringrift.cli.reference.schemas import schema_of
from ringrift.core.paths import Paths

sys.path.insert(0, str(Path(__file__).parents[1]))
from json_schema import problems

sys.path.pop(0)

CONFIG = "square8_2p"
TINY = ["--games-per-gen", "20", "--model-size", "tiny"]


@pytest.fixture
def curriculum(ringrift, tmp_path, monkeypatch):
    """Call the command in a root; returns (code, JSON)."""
    monkeypatch.setenv("RINGRIFT_ROOT", str(tmp_path))
    Paths(tmp_path).create()

    def run(*words):
        code, out, _ = ringrift("train", "curriculum", *words, "--json")
        return code, json.loads(out)

    return run


def test_the_plan_names_games_weights_and_tests(curriculum, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    code, found = curriculum("--generations", "5", "--games-per-gen", "20", "--dry-run")
    assert code == 0
    assert not problems(schema_of("train curriculum"), found)
    last = found["plan"][4]
    assert (last["games"], last["least_test_games"], last["most_test_games"]) == (20, 30, 300)
    assert last["weights"] == pytest.approx({"4": 1.0, "3": 0.8, "2": 0.64, "1": 0.512})
    assert sorted(tmp_path.rglob("*")) == before
    _, found = curriculum("--config-key", "hex8_3p", "--eval-games", "40", "--dry-run")
    assert found["config"] == "hex8_3p"
    assert len(found["plan"]) == 10
    assert found["plan"][0]["most_test_games"] == found["plan"][0]["least_test_games"] == 40


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["--db", "games.db"], "--db"),
        (["--strict"], "--strict"),
        (["--warm-start", "champion"], "--warm-start"),
        (["--model-id", "name"], "--model-id"),
        (["--fresh"], "--fresh"),
        (["--stage", "1", "--generations", "2"], "--generations"),
        (["--list-stages", "--use-model-pool"], "--use-model-pool"),
        (["--show-weights", "--base-model", "champion"], "--base-model"),
    ],
)
def test_options_of_the_other_form_are_refused(curriculum, words, where):
    code, found = curriculum(*words)
    assert (code, found["error"]["where"]) == (2, where)


# --- whole runs


def line(root, *words):
    command = "from ringrift.cli.main import main; main()"
    return [
        sys.executable, "-c", command, "train", "curriculum", "--root", str(root), "--json",
        *words,
    ]  # fmt: skip


def whole(root, *words):
    done = subprocess.run(line(root, *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def own_root(tmp_path, monkeypatch, **settings):
    only_unhurried(monkeypatch)
    for name, value in settings.items():
        monkeypatch.setenv(f"RINGRIFT_{name}", str(value))
    Paths(tmp_path).create()
    return tmp_path


@pytest.mark.acceptance
@pytest.mark.timed
@pytest.mark.timeout(1800)
def test_two_generations_of_20_games_take_less_than_5_minutes(tmp_path, monkeypatch):
    measuring = {"EVALUATION__SIMULATIONS": 16, "EVALUATION__FLOOR_GAMES": 20}
    root = own_root(tmp_path, monkeypatch, SELFPLAY__MCTS_SIMULATIONS=16, **measuring)
    began_s = time.monotonic()
    found = whole(root, *TINY, "--generations", "2", "--eval-games", "20")
    assert time.monotonic() - began_s < 300
    assert not problems(schema_of("train curriculum"), found)
    first, second = found["generations"]
    assert (first["games"], second["games"]) == (20, 20)
    assert first["player"] is None
    assert second["samples"] > first["samples"]
    assert found["model_id"] == (second["model_id"] if second["promoted"] else second["champion"])


QUICK = {
    "EVALUATION__SIMULATIONS": 8,
    "EVALUATION__FLOOR_GAMES": 4,
    "SELFPLAY__MCTS_SIMULATIONS": 8,
}
SHORT = [
    "--generations", "2", "--games-per-gen", "6", "--eval-games", "4", "--model-size", "micro",
    "--batch-size", "256",
]  # fmt: skip


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_a_run_killed_in_every_step_gives_what_an_unbroken_one_gives(tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    own_root(tmp_path / "whole", monkeypatch, **QUICK)
    root = own_root(tmp_path / "broken", monkeypatch, **QUICK)
    wanted = whole(tmp_path / "whole", *SHORT)
    folder = root / f"runs/{CONFIG}/curriculum-generations"
    for generation, step in (
        (0, "selfplay"),
        (0, "train"),
        (0, "test"),
        (1, "export"),
        (1, "test"),
    ):
        log = folder / f"generation-{generation:03d}" / f"{step}.log"
        process = subprocess.Popen(line(root, *SHORT), stdout=subprocess.DEVNULL)
        try:
            while not log.exists():
                assert process.poll() is None
                time.sleep(0.05)
            time.sleep(4.0 if step in ("train", "test") else 0.5)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        assert not log.with_name("result.json").exists() or step == "test"
    found = whole(root, *SHORT)
    names = ("generation", "games", "samples", "model_id", "outcome", "champion", "test_games")
    assert [[one[n] for n in names] for one in found["generations"]] == [
        [one[n] for n in names] for one in wanted["generations"]
    ]


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_a_planted_bad_candidate_is_not_promoted(tmp_path, monkeypatch):
    quick = {**QUICK, "EVALUATION__SIMULATIONS": 16, "EVALUATION__FLOOR_GAMES": 20}
    root = own_root(tmp_path, monkeypatch, **quick)
    short = [*TINY, "--generations", "1", "--eval-games"]
    first = whole(root, *short, "4")["generations"][0]
    command = [sys.executable, "-c", "from ringrift.cli.main import main; main()"]

    def run(*words):
        done = subprocess.run(
            [*command, *words, "--root", str(root), "--json"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    run(
        "models", "promote", "--manual", "--reason", "the trained one", "--no-regression",
        "--candidate", first["model_id"],
    )  # fmt: skip
    bad = run("models", "init", "--size", "tiny", "--seed", "99")["id"]
    place = root / "runs" / "planted" / "generation-000"
    place.mkdir(parents=True)
    (place / "train.json").write_text(json.dumps({"model_id": bad, "epochs": 1}))
    (result,) = whole(root, *short, "40", "--output-dir", str(place.parent))["generations"]
    assert result["model_id"] == bad
    assert result["champion"] == first["model_id"]
    assert not result["promoted"]
    assert result["outcome"] in ("rejected", "inconclusive")
    (champion,) = run("models", "list", "--status", "champion")["models"]
    assert champion["id"] == first["model_id"]
