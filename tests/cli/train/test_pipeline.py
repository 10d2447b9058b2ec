"""`ringrift train pipeline`: the plan, a pass, what is skipped, a kill in training."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from ringrift.cli.reference.schemas import schema_of
from ringrift.core.paths import Paths
from ringrift.models.aliases import read_aliases
from ringrift.models.synchronisation.serving import serve_models
from ringrift.nets.nnue.file import init_nnue
from ringrift.records import GameStore, write_jsonl
from ringrift.training.pipeline.run import STAGES

from ...data.dataset.made_games import SQUARE8, game, trainable

sys.path.insert(0, str(Path(__file__).parents[1]))
from json_schema import problems

sys.path.pop(0)

CONFIG = "square8_2p"
SMALL = ["--hidden-dim", "32", "--epochs", "2", "--batch-size", "32"]
SMALL += ["--max-samples", "200"]


@pytest.fixture
def paths(tmp_path):
    paths = Paths(tmp_path / "root")
    paths.create()
    return paths


@pytest.fixture
def pipeline(ringrift, paths):
    """Run the pipeline in the root; returns (code, JSON, standard error)."""

    def run(*words):
        line = ["train", "pipeline", "--root", paths.root, *map(str, words), "--json"]
        code, out, err = ringrift(*line)
        found = json.loads(out)
        if "error" not in found:
            assert problems(schema_of("train pipeline"), found) == []
        return code, found, err

    return run


def lines_of(paths, count=6):
    """Games that were searched, as self-play leaves them."""
    games = [*trainable(count), *trainable(2, split="val")]
    write_jsonl(paths.selfplay / "games.jsonl", [(one, [found]) for one, found in games])


def states(found):
    return {one["stage"]: one["state"] for one in found["stages"]}


def test_the_plan_has_a_line_for_each_stage_and_each_skip_removes_one(pipeline, paths):
    lines_of(paths)
    before = sorted(paths.root.rglob("*"))
    code, found, err = pipeline("--dry-run")
    assert code == 0, err
    assert [one["stage"] for one in found["stages"]] == list(STAGES)
    assert found["stages"][1]["counts"] == {"files": 1}
    assert "no nodes are configured" in found["stages"][0]["told"]
    for stage in ("collect", "backfill", "train", "elo", "sync"):
        code, found, err = pipeline("--dry-run", f"--skip-{stage}")
        assert code == 0, err
        assert [one["stage"] for one in found["stages"]] == [s for s in STAGES if s != stage]
    assert [path for path in sorted(paths.root.rglob("*")) if path.suffix != ".log"] == before


@pytest.mark.slow
def test_a_pass_is_done_once(pipeline, paths):
    lines_of(paths)
    words = [*SMALL, "--skip-elo"]
    code, first, err = pipeline(*words)
    assert code == 0, err
    assert states(first) == {
        **dict.fromkeys(("pool", "backfill", "export", "train"), "done"),
        **dict.fromkeys(("collect", "sync"), "skipped"),
    }
    results = {one["stage"]: one["result"] for one in first["stages"]}
    assert results["pool"]["added"] == 8
    assert results["backfill"]["searched"] == 0
    assert read_aliases(paths.models)[f"nnue_{CONFIG}"].id == results["train"]["model_id"]
    config = json.loads((Path(results["train"]["run"]) / "config.json").read_text())
    assert config["settings"]["sampling_weights"]["value"] == "victory_type"
    assert config["dataset"] == results["export"]["dataset"]

    models = sorted(paths.model_objects.rglob("*"))
    code, again, _ = pipeline(*words)
    assert (code, again["nothing_to_do"]) == (0, True)
    assert set(states(again).values()) == {"finished before", "skipped"}
    assert sorted(paths.model_objects.rglob("*")) == models
    code, planned, _ = pipeline(*words, "--dry-run")
    assert (code, planned["nothing_to_do"]) == (0, True)


def test_without_games_it_ends_with_1_and_names_what_makes_some(pipeline):
    code, found, _ = pipeline(*SMALL)
    assert code == 1
    assert "ringrift selfplay run" in found["error"]["hint"]


def test_nodes_that_cannot_be_reached_end_it_with_3(pipeline, monkeypatch):
    monkeypatch.setenv("RINGRIFT_P2P_DAEMON__KNOWN_PEERS", '["127.0.0.1:1"]')
    code, found, _ = pipeline(*SMALL)
    assert (code, found["error"]["hint"]) == (3, "--skip-collect")
    assert "127.0.0.1:1" in found["error"]["where"]


def test_models_are_exchanged_with_peers_and_a_silent_one_ends_it_with_3(
    pipeline, paths, monkeypatch, tmp_path
):
    lines_of(paths, count=2)
    words = ["--skip-collect", "--skip-backfill", "--skip-train", "--skip-elo"]
    there = tmp_path / "there"
    model = init_nnue(SQUARE8, folder=there / "objects", seed=1, hidden=32).stem
    with serve_models(there, port=0) as server:
        peer = server.url.removeprefix("http://")
        monkeypatch.setenv("RINGRIFT_P2P_DAEMON__KNOWN_PEERS", json.dumps([peer]))
        code, found, err = pipeline(*words)
        assert code == 0, err
        code, again, _ = pipeline(*words)
        assert (code, again["nothing_to_do"]) == (0, True)
    assert result_of(found, "sync") == {"received": 1, "sent": 0}
    assert list(paths.model_objects.glob(f"??/{model}.safetensors"))
    init_nnue(SQUARE8, folder=paths.model_objects, seed=2, hidden=32)
    code, found, _ = pipeline(*words)
    assert (code, found["error"]["hint"]) == (3, "--skip-sync")


@pytest.mark.parametrize(
    "words", [["--model-size", "tiny"], ["--no-use-nnue", "--hidden-dim", "64"]]
)
def test_an_option_of_the_other_kind_of_net_is_refused(pipeline, words):
    code, found, _ = pipeline(*words)
    assert (code, found["error"]["where"]) == (2, words[-2])


def test_a_file_whose_games_fail_stops_it_and_names_the_file(pipeline, paths):
    lines_of(paths, count=2)
    path = paths.selfplay / "games.jsonl"
    games = [json.loads(line) for line in path.read_text().splitlines()]
    for one in games:
        if one["type"] == "game":
            one["moves"] = ";".join(one["moves"].split(";")[::-1])
    path.write_text("".join(json.dumps(one) + "\n" for one in games))
    code, found, _ = pipeline(*SMALL)
    assert (code, found["error"]["where"]) == (1, str(path))
    assert "ringrift data quarantine list" in found["error"]["hint"]


def test_without_a_training_there_is_no_model_to_measure(pipeline, paths):
    lines_of(paths)
    code, found, _ = pipeline("--dry-run", "--skip-train")
    assert code == 0
    assert states(found)["elo"] == "skipped"


# --- what takes long


def bits(result):
    return load_file(Path(result["path"]).with_suffix(".safetensors"))


def result_of(found, stage):
    return next(one["result"] for one in found["stages"] if one["stage"] == stage)


@pytest.mark.acceptance
def test_killed_in_training_it_continues_there_and_ends_in_the_same_bits(
    spawn, pipeline, paths, ringrift, tmp_path
):
    lines_of(paths, count=16)
    words = ["--hidden-dim", "32", "--epochs", "40", "--batch-size", "16"]
    words += ["--skip-elo", "--skip-sync"]
    process = spawn("train", "pipeline", "--root", str(paths.root), *words)
    run = paths.runs / "pipeline" / CONFIG
    deadline_s = time.monotonic() + 240
    while len(list(run.glob("train-*/checkpoint/*"))) < 2:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert not list(run.glob("train-*.json"))
    code, found, err = pipeline(*words)
    assert code == 0, err
    assert states(found) == {
        "collect": "skipped",
        **dict.fromkeys(("pool", "backfill", "export"), "finished before"),
        "train": "done",
    }
    (log,) = run.glob("train-*/train.log")
    assert " continued at step " in log.read_text()

    whole = Paths(tmp_path / "whole")
    whole.create()
    lines_of(whole, count=16)
    code, out, err = ringrift("train", "pipeline", "--root", whole.root, *words, "--json")
    assert code == 0, err
    expected = bits(result_of(json.loads(out), "train"))
    got = bits(result_of(found, "train"))
    assert expected.keys() == got.keys()
    assert all((expected[name] == got[name]).all() for name in expected)


@pytest.mark.acceptance
def test_a_signal_ends_it_with_130_and_the_finished_stages(spawn, paths):
    lines_of(paths)
    words = [*SMALL[:2], "--epochs", "500", "--batch-size", "16", "--skip-elo", "--json"]
    process = spawn("train", "pipeline", "--root", str(paths.root), *words)
    run = paths.runs / "pipeline" / CONFIG
    while not list(run.glob("train-*/checkpoint/*")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    found = json.loads(out)
    assert (found["ok"], list(states(found))) == (False, ["collect", "pool", "backfill", "export"])
    assert "stopped in stage train; to go on: ringrift train pipeline" in err


@pytest.mark.acceptance
def test_the_documented_line_on_60_games_ends_with_0_within_10_minutes(pipeline, paths):
    with GameStore.open(paths.games / "games.db", writer=True) as store:
        store.ingest([game(seed, searched=0.0) for seed in range(60)])
    began_s = time.monotonic()
    code, found, err = pipeline("--board", "square8", "--num-players", "2")
    assert code == 0, err
    assert time.monotonic() - began_s <= 600
    assert states(found) == {
        **dict.fromkeys(("pool", "backfill", "export", "train", "elo"), "done"),
        **dict.fromkeys(("collect", "sync"), "skipped"),
    }
    assert result_of(found, "backfill")["searched"] >= 50
    assert [match["games"] for match in result_of(found, "elo")["matches"]] == [50, 50]
    code, again, _ = pipeline("--board", "square8", "--num-players", "2")
    assert (code, again["nothing_to_do"]) == (0, True)
