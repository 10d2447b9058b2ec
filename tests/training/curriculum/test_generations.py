"""Generations without the commands they run: values, weights, and going on after a kill."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ringrift.core.errors import BusyError, DataError, UsageError
from ringrift.core.host_table import HostTable
from ringrift.data.quality.weights import read_weights
from ringrift.models import judging
from ringrift.training.curriculum import CurriculumConfig, CurriculumTrainer
from ringrift.training.curriculum.children import CommandFailed, Commands, CurriculumInterrupted
from ringrift.training.curriculum.retention import games_in, write_game_weights
from ringrift.training.curriculum.steps import HOLDOUT_UNKNOWN

from ..jobs import store_of

DOCUMENTED = {
    "board_type": "square8", "num_players": 2, "generations": 10, "games_per_generation": 1000,
    "training_epochs": 20, "eval_games": 100, "promotion_threshold": 0.55,
    "promotion_confidence": 0.95, "data_retention": 3, "historical_decay": 0.8, "max_moves": 10000,
    "learning_rate": 1e-3, "batch_size": 32, "adaptive_eval": True, "adaptive_min_games": 30,
    "adaptive_max_games": 300, "adaptive_batch_size": 20, "adaptive_interval_width": 0.04,
    "use_model_pool": False, "model_pool_size": 5, "model_pool_games": 20,
    "model_pool_threshold": 0.55, "output_dir": None, "base_model": None, "seed": 42,
}  # fmt: skip


def test_the_defaults_are_those_of_the_document():
    config = CurriculumConfig()
    assert {name: getattr(config, name) for name in DOCUMENTED} == DOCUMENTED
    assert config.config_key == "square8_2p"
    assert config.elo_threshold == pytest.approx(34.86, abs=0.01)
    assert config.test_games == (30, 300)
    assert replace(config, adaptive_eval=False).test_games == (100, 100)
    assert replace(config, board_type="hex").config_key == "hexagonal_2p"


def test_older_generations_weigh_less_and_the_oldest_are_dropped():
    config = CurriculumConfig()
    assert config.weights(0) == {0: 1.0}
    assert config.weights(6) == pytest.approx({6: 1.0, 5: 0.8, 4: 0.64, 3: 0.512})
    assert replace(config, data_retention=1, historical_decay=0.5).weights(6) == {6: 1.0, 5: 0.5}
    assert replace(config, data_retention=0).weights(6) == {6: 1.0}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("board_type", "chess"), ("num_players", 5), ("generations", 0), ("batch_size", 0),
        ("promotion_threshold", 0.5), ("promotion_confidence", 1.0), ("historical_decay", 0.0),
        ("data_retention", -1), ("learning_rate", 0.0), ("kind", "nnue"), ("simulations", 0),
        ("adaptive_min_games", 301), ("model_pool_threshold", 1.5),
        ("adaptive_batch_size", 10), ("adaptive_interval_width", 0.1),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_refused_by_name(name, value):
    with pytest.raises(UsageError, match=name) as error:
        CurriculumConfig(**{name: value})
    assert error.value.where == name
    if name.startswith("adaptive_") and name != "adaptive_min_games":
        assert "only" in error.value.message


def test_games_get_the_weight_of_their_newest_generation(tmp_path, store):
    ids = games_in(store, "square8_2p")
    assert ids
    path = write_game_weights(tmp_path / "w", "square8_2p", {store: 0.8}, {})
    assert read_weights(path) == dict.fromkeys(ids, pytest.approx(0.8))
    assert write_game_weights(tmp_path / "v", "square8_2p", {store: 0.8}, {}).read_bytes() == (
        path.read_bytes()
    )
    copy = tmp_path / "copy.db"
    copy.write_bytes(store.read_bytes())
    both = write_game_weights(tmp_path / "b", "square8_2p", {store: 1.0, copy: 0.8}, {})
    assert set(read_weights(both).values()) == {np.float32(1.0)}


# --- a program that stands for ours: it notes each call and answers from a table

PROGRAM = textwrap.dedent(
    """
    import json, sys, time
    from pathlib import Path

    root = Path(sys.argv[sys.argv.index("--root") + 1])
    words = sys.argv[1:]
    name = " ".join(words[:2])
    with (root / "calls.txt").open("a") as file:
        file.write(" ".join(words) + "\\n")
    answers = json.loads((root / "answers.json").read_text())
    code, answer = answers[name]
    if name == answers.get("slow"):
        (root / "slow").touch()
        time.sleep(60)
    print(json.dumps(answer))
    sys.exit(code)
    """
)
CHAMPION, CANDIDATE = "c" * 64, "d" * 64


def shown(decisions=()):
    return {
        "model": {
            "id": CHAMPION, "kind": "cnn", "random": False, "test_games": 40, "elo_diff": 12.0,
        },
        "decisions": list(decisions),
    }  # fmt: skip


def decided(kind):
    return {"kind": kind, "reason": "measured", "games": 40, "elo_diff": 12.0}


def answers(**changed):
    found = {
        "models lineage": [0, {"champions": [{"model": CHAMPION}]}],
        "models show": [0, shown()],
        "selfplay run": [0, {"games": 6, "plies": 500, "ends": {"game_over": 6}}],
        "data pool": [0, {}],
        "data export": [0, {"datasets": [{"id": "e" * 64, "path": "set", "samples": 300}]}],
        "train nn": [0, {"model_id": CANDIDATE, "epochs": 2}],
        "models promote": [0, {"decisions": [decided("rejected")], "test": None}],
    }
    return {**found, **{name.replace("_", " "): answer for name, answer in changed.items()}}


@pytest.fixture
def root(tmp_path, tmp_path_factory, monkeypatch):
    """A data root, on a host of its own: starts of programs are counted there."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("host")))
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "answers.json").write_text(json.dumps(answers()))
    return tmp_path


def commands_of(root, **more):
    return Commands(root=root, program=(sys.executable, "-S", str(root / "program.py")), **more)


def trainer_of(root, store, generations=1, stop=lambda: False, **more):
    config = CurriculumConfig(generations=generations, games_per_generation=6, **more)
    trainer = CurriculumTrainer(config, commands=commands_of(root, stop=stop))
    for generation in range(generations):
        place = trainer._store(generation)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(store.read_bytes())
    return trainer


def trained(trainer):
    """Write what all steps before the strength of the candidate would have kept."""
    found = {
        "players": {"champion": CHAMPION, "player": CHAMPION, "parent": CHAMPION},
        "selfplay": {"games": 6, "plies": 500, "ends": {}},
        "pool": {"games": 6},
        "export": {"dataset": "e" * 64, "path": "set", "samples": 300},
        "train": {"model_id": CANDIDATE, "epochs": 2},
    }
    place = trainer.folder / "generation-000"
    place.mkdir(parents=True, exist_ok=True)
    for name, tree in found.items():
        (place / f"{name}.json").write_text(json.dumps(tree))
    return trainer


def calls(root):
    path = root / "calls.txt"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return store_of(tmp_path_factory.mktemp("store"))


def test_a_generation_runs_its_commands_once_and_is_known_afterwards(root, store):
    trainer = trainer_of(root, store)
    (result,) = trainer.run()
    assert (result.outcome, result.promoted, result.champion) == ("rejected", False, CHAMPION)
    assert (result.model_id, result.player, result.samples) == (CANDIDATE, CHAMPION, 300)
    assert result.games == len(games_in(store, "square8_2p"))
    names = [" ".join(words[:2]) for words in calls(root)]
    assert names == [
        "models lineage", "models show", "selfplay run", "data pool", "data export", "train nn",
        "models show", "models promote",
    ]  # fmt: skip
    lines = {name: " ".join(words) for name, words in zip(names, calls(root), strict=True)}
    assert f"--nn-model-id {CHAMPION}" in lines["selfplay run"]
    assert f"--warm-start {CHAMPION}" in lines["train nn"]
    assert "--min-games 30 --max-games 300" in lines["models promote"]
    again = trainer_of(root, store)
    assert again.run() == [result]
    assert len(calls(root)) == len(names)


def test_a_failed_step_is_done_again_and_those_before_it_are_not(root, store):
    error = {"error": {"code": 75, "message": "memory is short", "where": None, "hint": "wait"}}
    (root / "answers.json").write_text(json.dumps(answers(train_nn=[75, error])))
    with pytest.raises(CommandFailed, match="memory is short") as found:
        trainer_of(root, store).run()
    assert found.value.exit_code == 75
    assert found.value.where == "ringrift train nn"
    (root / "answers.json").write_text(json.dumps(answers()))
    before = len(calls(root))
    trainer_of(root, store).run()
    assert [" ".join(words[:2]) for words in calls(root)[before:]] == [
        "train nn", "models show", "models promote",
    ]  # fmt: skip


def test_a_decision_that_was_made_before_a_kill_is_taken_over(root, store):
    made = {"kind": "promoted", "role": "candidate", "reason": "H1"}
    (root / "answers.json").write_text(json.dumps(answers(models_show=[0, shown([made])])))
    (result,) = trained(trainer_of(root, store)).run()
    assert (result.outcome, result.test_games) == ("promoted", 40)
    assert "models promote" not in [" ".join(words[:2]) for words in calls(root)]


def test_without_hold_out_games_nothing_is_promoted(root, store):
    with pytest.raises(DataError) as found:
        judging._worse_on_holdout(SimpleNamespace(candidate_holdout=None, champion_holdout=None))
    assert found.value.message.startswith(HOLDOUT_UNKNOWN)
    error = {"error": {"code": 6, "message": found.value.message, "where": None, "hint": None}}
    (root / "answers.json").write_text(json.dumps(answers(models_promote=[6, error])))
    (result,) = trained(trainer_of(root, store)).run()
    assert (result.outcome, result.promoted) == ("undecided", False)
    error["error"]["message"] = "a damaged file"
    (root / "answers.json").write_text(json.dumps(answers(models_promote=[6, error])))
    with pytest.raises(CommandFailed, match="a damaged file") as failed:
        trained(trainer_of(root, store, output_dir=root / "other")).run()
    assert failed.value.exit_code == 6


def test_a_candidate_below_the_pool_is_not_tested(root, store):
    former = ["a" * 64, "b" * 64, "a" * 64]
    champions = [{"model": one} for one in [*former, CHAMPION]]
    against = {"decisions": [], "test": {"score": 0.4, "games": 20}}
    (root / "answers.json").write_text(
        json.dumps(
            answers(models_lineage=[0, {"champions": champions}], models_promote=[0, against])
        )
    )
    (result,) = trained(trainer_of(root, store, use_model_pool=True)).run()
    assert (result.outcome, result.pool_score) == ("below_pool", pytest.approx(0.4))
    others = [words[words.index("--against") + 1] for words in calls(root) if "--against" in words]
    assert others == ["a" * 64, "b" * 64]
    assert sum("--candidate" in words for words in calls(root)) == 2


def test_a_folder_of_other_generations_is_refused_and_more_of_the_same_are_not(root, store):
    trained(trainer_of(root, store)).run()
    with pytest.raises(UsageError, match="another batch_size: 32; asked for 64"):
        trainer_of(root, store, batch_size=64).run()
    assert [one.generation for one in trainer_of(root, store, generations=2).run()] == [0, 1]
    weights = root / "runs/square8_2p/curriculum-generations/generation-001"
    found = read_weights(weights / "square8_2p_quality_weights.npz")
    assert set(found.values()) == {np.float32(1.0)}  # both stores hold the same games


def test_a_generation_needs_those_before_it(root, store):
    trainer = trained(trainer_of(root, store, generations=2))
    with pytest.raises(UsageError, match="generation 0 is not complete"):
        trainer.run_generation(1)
    with pytest.raises(UsageError, match="expected 0 to 1"):
        trainer.run_generation(2)
    assert trainer.run_generation(0).generation == 0
    assert not (trainer.folder / "generation-001").exists()


def test_a_damaged_file_is_named(root, store):
    trainer = trained(trainer_of(root, store))
    path = trainer.folder / "generation-000/train.json"
    path.write_text("{")
    with pytest.raises(DataError) as found:
        trainer.run()
    assert found.value.where == str(path)


def test_a_stop_ends_the_child_and_the_next_run_goes_on(root, store):
    (root / "answers.json").write_text(json.dumps(answers(slow="selfplay run")))
    with pytest.raises(CurriculumInterrupted):
        trainer_of(root, store, stop=(root / "slow").exists).run()
    (root / "answers.json").write_text(json.dumps(answers()))
    assert trainer_of(root, store).run()[0].outcome == "rejected"


def tasks_of(root):
    return [task for task in HostTable.open().tasks(root=root) if task.category == "curriculum"]


RUN = """
import sys
from pathlib import Path
from ringrift.training.curriculum import CurriculumConfig, CurriculumTrainer
from ringrift.training.curriculum.children import Commands

root = Path(sys.argv[1])
config = CurriculumConfig(generations=1, games_per_generation=6)
commands = Commands(root=root, program=(sys.executable, str(root / "program.py")))
CurriculumTrainer(config, commands=commands).run()
"""


def test_a_killed_run_leaves_a_child_that_the_next_one_ends(root, store):
    (root / "answers.json").write_text(json.dumps(answers(slow="train nn")))
    trainer = trainer_of(root, store)
    process = subprocess.Popen([sys.executable, "-c", RUN, str(root)])
    try:
        deadline_s = time.monotonic() + 60
        while not (root / "slow").exists():
            assert time.monotonic() < deadline_s
            assert process.poll() is None
            time.sleep(0.02)
        with pytest.raises(BusyError):
            trainer.run()
        assert len(tasks_of(root)) == 1
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    (root / "answers.json").write_text(json.dumps(answers()))
    before = len(calls(root))
    assert trainer.run()[0].outcome == "rejected"
    assert calls(root)[before][:2] == ["train", "nn"]
    assert not tasks_of(root)


def test_a_command_that_prints_nothing_is_an_error_with_its_log(root):
    (root / "program.py").write_text("import sys; print('oops', file=sys.stderr); sys.exit(3)")
    with pytest.raises(CommandFailed, match="ended with 3 and no result") as found:
        commands_of(root).run(["models", "show"], log=root / "x.log")
    assert found.value.exit_code == 3
    assert (root / "x.log").read_text() == "oops\n"
