"""`ringrift train nn|nnue|nnue-policy|optimized`: documented lines, refusals, runs, resuming."""

import io
import json
import os
import signal
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from tests.unhurried import only_unhurried

from ringrift.cli import main as program
from ringrift.cli.reference.schemas import schema_of
from ringrift.cli.train.command_lines import NOT_OFFERED
from ringrift.core.hyperparameters import as_json_text, shipped_hyperparameters
from ringrift.core.paths import Paths
from ringrift.models.aliases import read_aliases
from ringrift.records import GameStore, write_jsonl
from ringrift.records.store import GameStore as Store

from ...data.dataset.made_games import trainable

sys.path.insert(0, str(Path(__file__).parents[1]))
from json_schema import problems

sys.path.pop(0)

CONFIG = "square8_2p"
SMALL = ["--epochs", "2", "--batch-size", "32", "--hidden-dim", "32", "--max-samples", "200"]


@pytest.fixture(scope="module")
def pairs():
    return [*trainable(6), *trainable(2, split="val")]


@pytest.fixture
def root(tmp_path, monkeypatch, pairs):
    """A data root with games of both sides."""
    monkeypatch.setenv("RINGRIFT_ROOT", str(tmp_path))
    paths = Paths(tmp_path)
    paths.create()
    with GameStore.open(paths.games / "games.db", writer=True) as store:
        store.ingest(pairs)
    return paths


@pytest.fixture
def train(ringrift, root, monkeypatch):
    """Run a trainer in the root; returns (code, JSON, standard error)."""
    monkeypatch.setenv("RINGRIFT_ROOT", str(root.root))

    def run(command, *words):
        code, out, err = ringrift("train", command, *map(str, words), "--json")
        found = json.loads(out)
        if "error" not in found:
            assert problems(schema_of(f"train {command}"), found) == []
        return code, found, err

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pairs):
    """A data root in which one NNUE was trained, named `first`: (paths, report, standard error)."""
    paths = Paths(tmp_path_factory.mktemp("trained"))
    paths.create()
    with GameStore.open(paths.games / "games.db", writer=True) as store:
        store.ingest(pairs)
    words = ["train", "nnue", "--root", str(paths.root), *SMALL, "--model-id", "first", "--json"]
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        only_unhurried(patch)
        assert program.run(words) == 0, err.getvalue()
    return paths, json.loads(out.getvalue()), err.getvalue()


@pytest.fixture
def again(ringrift, trained):
    """Run a trainer in the root where there is a model; returns (code, JSON, standard error)."""

    def run(command, *words):
        root = str(trained[0].root)
        code, out, err = ringrift("train", command, "--root", root, *map(str, words), "--json")
        return code, json.loads(out), err

    return run


# --- the documented lines


@pytest.mark.parametrize(
    "line",
    [
        "nn --board square8 --num-players 2",
        "nnue --board square8 --num-players 2",
        "nnue-policy --auto-kl-loss",
        "optimized --board hex8 --players 2 --kind nn",
        "optimized --all",
    ],
)
def test_without_games_a_line_ends_with_1_and_names_what_makes_some(ringrift, tmp_path, line):
    for place in (tmp_path / "nothing", tmp_path / "root"):
        if place.name == "root":
            Paths(place).create()
        words = [*line.split(), "--root", place] if place.name == "root" else line.split()
        code, _, err = ringrift("train", *words)
        assert code == 1, err
        assert "ringrift selfplay run" in err


def test_a_line_without_sources_trains_on_the_window_and_names_the_model(trained):
    root, report, _ = trained
    assert problems(schema_of("train nnue"), report) == []
    assert report["status"] == "finished"
    for alias in (f"nnue_{CONFIG}", "first"):
        assert read_aliases(root.models)[alias].id == report["model_id"]
    run = root.runs / CONFIG / report["run"]
    config = json.loads((run / "config.json").read_text())
    assert config["settings"]["batch_size"] == {"value": 32, "origin": "--batch-size"}
    assert config["settings"]["learning_rate"]["value"] == 3e-4
    assert report["values"]["window"] == "auto"
    card = json.loads(next(root.model_objects.glob(f"??/{report['model_id']}.json")).read_text())
    told = card["training"]
    assert told["datasets"] == [report["dataset"]]
    assert told["run"] == report["run"]
    assert (told["steps"], told["samples"]) == (report["steps"], 200)
    for name in ("games_upto", "games", "window", "epochs", "best_epoch", "hyperparameters"):
        assert told[name] is not None, name
    for name in ("losses", "seed", "version", "commit", "device"):
        assert name in told


def test_a_finished_run_is_not_gone_on_with(again):
    code, found, _ = again("nnue", *SMALL, "--model-id", "first", "--resume")
    assert (code, found["error"]["where"]) == (2, "--resume")


def test_a_run_folder_of_other_settings_is_refused(again, trained):
    root, report, _ = trained
    folder = root.runs / CONFIG / report["run"]
    code, found, _ = again("nnue", *SMALL, "--learning-rate", "0.1", "--run-dir", folder)
    assert code == 2
    assert "learning_rate 0.0003, now 0.1" in found["error"]["message"]


def test_two_sources_are_refused(again, trained):
    root, report, _ = trained
    dataset = root.npz / CONFIG / report["dataset"]
    store = root.games / "games.db"
    code, found, _ = again("nnue", "--data-path", dataset, "--db", store)
    assert (code, found["error"]["code"]) == (2, 2)


@pytest.mark.acceptance
def test_json_lines_their_dataset_and_the_store_teach_the_same(again, trained, pairs):
    root, report, _ = trained
    lines = root.root / "lines"
    lines.mkdir()
    for part, games in (("a", pairs[:4]), ("b", pairs[4:])):
        write_jsonl(lines / f"{part}.jsonl", [(game, [found]) for game, found in games])
    dataset = root.npz / CONFIG / report["dataset"]
    for words in (["--jsonl", lines / "a.jsonl", lines / "b.jsonl"], ["--data-path", dataset]):
        code, found, err = again("nnue", *words, *SMALL)
        assert code == 0, err
        assert found["losses"] == report["losses"]


def test_a_store_that_is_no_source_is_refused(train, root):
    with Store.open(root.games / "games.db", writer=True) as store:
        store._connection.execute("UPDATE meta SET value = 'imported' WHERE key = 'kind'")
    code, found, _ = train("nnue", *SMALL)
    assert code == 4
    assert "not_canonical" in found["error"]["message"]


@pytest.mark.acceptance
def test_the_demo_needs_no_games_and_leaves_none(ringrift, tmp_path):
    Paths(tmp_path / "root").create()
    code, out, err = ringrift(
        *("train", "nn", "--demo", "--root", tmp_path / "root"),
        *("--epochs", "1", "--model-size", "micro", "--json"),
    )
    assert code == 0, err
    report = json.loads(out)
    card = json.loads(next((tmp_path / "root").glob("models/objects/??/*.json")).read_text())
    assert card["training"]["samples"] == 2048
    assert report["config"] == CONFIG
    assert not list((tmp_path / "root" / "data" / "npz").iterdir())


def test_a_plan_changes_nothing_and_says_everything(train, root):
    before = sorted(str(path) for path in root.root.rglob("*") if path.suffix != ".log")
    code, plan, err = train("nnue-policy", *SMALL, "--dry-run")
    assert code == 0, err
    assert plan["games"] == 8
    assert plan["steps"] > 0
    assert plan["seconds"] > 0
    assert plan["parameters"] > 10_000
    assert plan["values"]["temperature_start"] == 2.0
    assert plan["origins"]["hidden_dim"] == "--hidden-dim"
    after = sorted(str(path) for path in root.root.rglob("*") if path.suffix != ".log")
    assert [p for p in after if not p.endswith(("-wal", "-shm"))] == before


# --- what is refused


@pytest.mark.parametrize("switch", [names[0] for names in NOT_OFFERED.values()])
def test_what_no_ablation_supports_is_refused_naming_the_paragraph(ringrift, switch):
    for command in ("nn", "nnue", "nnue-policy", "optimized"):
        code, _, err = ringrift("train", command, switch)
        assert code == 2
        assert "is not offered" in err
        assert "training.md 12" in err


@pytest.mark.parametrize(
    "words",
    [
        ["--device", "cuda"],
        ["--warm-start", "nothing"],
        ["--num-hidden-layers", "7"],
        ["--surprise-weight", "2"],
        ["--window", "some"],
        ["--val-split", "1"],
        ["--learning-rate", "0"],
        ["--jsonl", "nothing.jsonl"],
        ["--data-path", "nothing"],
    ],
)
def test_a_mistake_is_exit_2_and_begins_nothing(train, root, words):
    import torch

    if "cuda" in words and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    code, found, _ = train("nnue", *words)
    assert code == 2, found
    assert not list(root.runs.iterdir())


def test_policies_can_be_switched_off(train, root, monkeypatch):
    monkeypatch.setenv("RINGRIFT_ENABLE_POLICY_TRAINING", "0")
    code, found, _ = train("nnue-policy", *SMALL)
    assert (code, found["disabled"]) == (0, True)
    assert not list(root.runs.iterdir())


# --- weights that are taken over


def test_a_warm_start_keeps_the_shape_and_counts_passes(again):
    code, plan, err = again("nnue", *SMALL[:4], "--warm-start", "first", "--dry-run")
    assert code == 0, err
    assert plan["values"]["hidden_dim"] == 32
    assert plan["values"]["num_hidden_layers"] == 2
    assert plan["origins"]["hidden_dim"] == "the model to begin with"
    code, refused, _ = again("nnue", *SMALL, "--warm-start", "first", "--num-hidden-layers", "3")
    assert code == 2
    assert refused["error"]["hint"] == "--num-hidden-layers 2"
    code, found, _ = again("nnue", *SMALL, "--warm-start", "first", "--max-reuse", "0.5")
    assert code == 1
    assert "max_reuse" in found["error"]["message"]


def test_a_board_s_champion_is_transferred(train, root):
    from ringrift.models.decisions import append, read_chain
    from ringrift.nets.model_file import init_model
    from ringrift.rules import BoardSpec

    other = init_model(BoardSpec.create("hex8", 2), size="micro", seed=1, folder=root.model_objects)
    append(
        root.decisions,
        read_chain(root.decisions, "hex8_2p"),
        kind="promoted",
        candidate=other.stem,
        reason="test",
    )
    words = ["--transfer-from", "hex8", "--model-size", "micro", "--epochs", "1"]
    code, report, err = train("nn", *words, "--max-samples", "100", "--batch-size", "32")
    assert code == 0, err
    card = json.loads(next(root.model_objects.glob(f"??/{report['model_id']}.json")).read_text())
    assert card["parents"] == [{"id": other.stem, "role": "transfer"}]
    log = (root.runs / CONFIG / report["run"] / "train.log").read_text()
    assert "not transferred: " in log


# --- hyper-parameters


def test_list_configs_prints_all_twelve_as_config_show_does(train, ringrift, root):
    (root.config / "hyperparameters.json").write_text(as_json_text(shipped_hyperparameters()))
    _, found, _ = train("optimized", "--list-configs")
    assert len(found["configs"]) == 12
    code, out, _ = ringrift("config", "show", "--config-key", "hex8_3p", "--json")
    assert code == 0
    shown = json.loads(out)["hyperparameters"]
    assert next(c for c in found["configs"] if c["config"] == "hex8_3p") == shown


@pytest.mark.acceptance
def test_all_trains_each_configuration_with_games(train):
    words = ["--all", "--kind", "nnue", *SMALL[:2], *SMALL[2:6]]
    code, found, err = train("optimized", *words)
    assert code == 0, err
    assert [one["config"] for one in found["trainings"]] == [CONFIG]
    assert found["failed"] == {}


@pytest.mark.acceptance
def test_a_range_test_finds_a_rate_and_trains_nothing(train, root):
    code, found, err = train("nnue", *SMALL, "--find-lr")
    assert code == 0, err
    assert 1e-6 < found["suggested"] < 1
    assert Path(found["plot"]).stat().st_size > 1000
    assert not list(root.model_objects.rglob("*.safetensors"))


# --- interrupted


def interrupted(spawn, root, signum, words):
    """Start a training, end it by a signal once it has written metrics; return its exit code."""
    process = spawn("--root", str(root), *words)
    deadline = time.monotonic() + 240
    while not any(path.stat().st_size for path in root.glob("runs/*/*/metrics.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signum)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def tensors(root):
    (path,) = root.glob("models/objects/??/*.safetensors")
    return load_file(path)


@pytest.mark.acceptance
@pytest.mark.timeout(600)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_training_goes_on_to_the_same_weights(spawn, tmp_path, pairs, signum):
    words = ["train", "nnue", *SMALL[2:], "--epochs", "60", "--json"]
    roots = [tmp_path / name for name in ("broken", "whole")]
    for root in roots:
        paths = Paths(root)
        paths.create()
        with GameStore.open(paths.games / "games.db", writer=True) as store:
            store.ingest(pairs)
    code, _, err = interrupted(spawn, roots[0], signum, words)
    assert code == (130 if signum == signal.SIGINT else -signal.SIGKILL), err
    assert ("to go on: ringrift" in err) is (signum == signal.SIGINT)
    assert not list(roots[0].glob("models/objects/??/*.safetensors"))
    for root in roots:
        process = spawn("--root", str(root), *words)
        out, err = process.communicate(timeout=400)
        assert process.returncode == 0, err
        assert json.loads(out)["status"] in ("finished", "early_stopped")
    assert len(list((roots[0] / "runs" / CONFIG).iterdir())) == 1
    broken, whole = (tensors(root) for root in roots)
    assert broken.keys() == whole.keys()
    assert all((broken[name] == whole[name]).all() for name in whole)
