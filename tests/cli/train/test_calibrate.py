"""`train calibrate`: what is measured, what is written, and what is refused."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from ringrift.cli.reference.schemas import schema_of
from ringrift.core.paths import Paths
from ringrift.models.decisions import append, read_chain
from ringrift.nets.model_file import init_model, load_model
from ringrift.nets.nnue.file import init_nnue, load_nnue
from ringrift.nets.probe import probe_positions
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "training"))
from games import games
from json_schema import problems
from trained import by_heart

sys.path.pop(0)
sys.path.pop(0)

SPEC = BoardSpec.create("square8", 2)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data root with 40 games, a champion that knows those held out, and a model that does not."""
    root = tmp_path_factory.mktemp("root")
    Paths(root).create()
    objects = root / "models" / "objects"
    played = games(SPEC, 40)
    with GameStore.open(root / "data" / "games" / "games.db", writer=True) as store:
        store.ingest(played)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    model, _, _ = by_heart(elsewhere, SPEC, played, learned=None, epochs=2, split="holdout")
    (objects / model.id[:2]).mkdir(parents=True)
    shutil.copy(model.path, objects / model.id[:2])
    other = init_nnue(SPEC, folder=objects, seed=1, hidden=32).stem
    decisions = root / "models" / "decisions"
    chain = read_chain(decisions, SPEC.config)
    append(decisions, chain, kind="manual", candidate=model.id, reason="the first")
    return root, model.id, other


@pytest.fixture
def calibrate(ringrift, made):
    def call(*arguments):
        return ringrift("--root", made[0], "train", "calibrate", *arguments)

    return call


def answered(answer):
    code, out, err = answer
    assert code == 0, err
    found = json.loads(out)
    assert problems(schema_of("train calibrate"), found) == []
    return found["calibration"]


def files(root):
    return sorted(path for path in root.rglob("*") if path.is_file() and "-" not in path.suffix)


def test_the_champion_is_measured_on_hold_out_games(calibrate, made):
    before = files(made[0])
    found = answered(calibrate("--by", "phase,seat,ply,agent", "--json"))
    assert (found["model"], found["source"]) == (made[1], "holdout")
    assert found["overall"]["total_samples"] == found["positions"] >= 200
    assert 0 < found["overall"]["ece"] < 0.5
    assert list(found["groups"]) == ["phase", "seat", "ply", "agent"]
    for reports in found["groups"].values():
        assert sum(r["total_samples"] for r in reports.values()) == found["positions"]
    assert list(found["groups"]["agent"]) == ["random"]
    assert list(found["groups"]["seat"]) == ["1", "2"]
    assert found["corrected"]["total_samples"] == found["positions"]
    assert found["temperature"] == pytest.approx(found["overall"]["optimal_temperature"], rel=1e-3)
    assert (found["applied"], files(made[0])) == (None, before)
    assert answered(calibrate("--by", "agent,ply,seat,phase", "--json")) == found


def test_text_shows_the_table_and_the_temperature(calibrate):
    code, out, _ = calibrate("--by", "seat", "--method", "isotonic", "--bins", "5")
    assert code == 0
    for words in ("all games, corrected by isotonic", "seat 2", "hold-out games; temperature"):
        assert words in out


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_a_correction_lowers_the_error_on_games_it_was_not_fitted_to(calibrate, method):
    found = answered(calibrate("--method", method, "--json"))
    assert found["corrected"]["ece"] < found["overall"]["ece"]


def test_apply_writes_the_same_tensors_under_another_card(calibrate, made):
    found = answered(calibrate("--apply", "--json"))
    path = Path(found["file"])
    assert path.is_relative_to(made[0] / "models" / "objects")
    model = load_nnue(path, SPEC)
    assert model.id == found["applied"] != made[1]
    assert model.card["calibration"] == {"temperature": found["temperature"]}
    assert model.card["parents"] == [{"id": made[1], "role": "calibrated_from"}]
    parent = load_nnue(path.parents[1] / made[1][:2] / f"{made[1]}.safetensors", SPEC)
    p = probe_positions(SPEC)
    one, other = (
        m.evaluator().predict(p.states, p.boards, p.moves, p.offsets) for m in (parent, model)
    )
    before, after = (w[:, 0] - w[:, 1] for w in (one.win, other.win))
    assert before == pytest.approx(found["temperature"] * after, rel=1e-5)
    assert other.values[:, 0] == pytest.approx(2.0 * np.exp(other.win[:, 0]) - 1.0, abs=1e-5)
    again = answered(calibrate("--model", model.id[:12], "--json"))
    assert again["temperature"] == pytest.approx(1.0, abs=0.001)
    assert again["overall"]["log_loss"] < found["overall"]["log_loss"]
    assert answered(calibrate("--json"))["model"] == made[1]


def test_a_model_that_knows_nothing_has_no_temperature_to_apply(calibrate, made):
    before = files(made[0])
    code, out, err = calibrate("--model", made[2], "--apply")
    assert (code, out, files(made[0])) == (1, "", before)
    assert "no temperature to apply: the loss is least at 20" in err


def test_with_groups_by_phase_each_third_gets_its_own(calibrate, made):
    found = answered(calibrate("--by", "phase", "--apply", "--json"))
    model = load_nnue(Path(found["file"]), SPEC)
    field = model.card["calibration"]["temperature"]
    thirds = found["groups"]["phase"]
    assert field == found["by_third"] if len(set(found["by_third"])) > 1 else found["by_third"][0]
    for name, temperature in zip(("opening", "middle", "end"), found["by_third"], strict=True):
        if thirds.get(name, {"total_samples": 0})["total_samples"] < 200:
            assert temperature == found["temperature"]
        else:
            assert temperature == pytest.approx(thirds[name]["optimal_temperature"], rel=1e-3)


def test_diagrams_are_drawn(calibrate, tmp_path):
    found = answered(calibrate("--by", "seat", "--plots", tmp_path / "plots", "--json"))
    assert [Path(path).name for path in found["plots"]] == [
        "00-all.png",
        "01-corrected.png",
        "02-seat-1.png",
        "03-seat-2.png",
    ]
    assert all(imread(path).std() > 0.01 for path in found["plots"])


def test_a_dry_run_measures_and_writes_nothing(calibrate, made, tmp_path):
    before = files(made[0])
    line = ("--apply", "--plots", tmp_path / "plots", "--dry-run")
    found = answered(calibrate(*line, "--json"))
    assert (found["model"], found["overall"], found["positions"]) == (made[1], None, None)
    assert found["games"] > 0
    assert "nothing measured" in calibrate(*line)[1]
    assert (files(made[0]), (tmp_path / "plots").exists()) == (before, False)


def test_a_dataset_gives_its_validation_games(calibrate, ringrift, made, tmp_path):
    code, _, err = ringrift(
        "--root", made[0], "data", "export", "--output", tmp_path / "sets", "--json"
    )
    assert code == 0, err
    (folder,) = (path.parent for path in (tmp_path / "sets").rglob("manifest.json"))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert 0 < manifest["val_samples"] < manifest["samples"]
    answer = calibrate("--data", folder, "--json")
    if manifest["val_samples"] < 200:
        assert answer[0] == 1
    else:
        found = answered(answer)
        assert (found["source"], found["positions"]) == (manifest["id"], manifest["val_samples"])
    wrong = load_model(
        init_model(BoardSpec.create("hex8", 2), size="micro", seed=1, folder=tmp_path),
        BoardSpec.create("hex8", 2),
    )
    code, _, err = calibrate("--model", wrong.path, "--data", folder)
    assert (code, "a dataset of square8_2p" in err) == (2, True)


def test_what_is_refused(calibrate, made, ringrift, tmp_path):
    code, _, err = calibrate("--apply", "--method", "platt")
    assert (code, "--method temperature" in err) == (2, True)
    code, _, err = calibrate("--by", "seat,colour")
    assert (code, "'colour'" in err) == (2, True)
    assert calibrate("--model", "models/nobody.pt")[0] == 2
    assert calibrate("--data", tmp_path / "none")[0] == 2
    assert calibrate("--bins", "0")[0] == 2
    code, _, err = calibrate("--board", "hex8", "--model", made[1])
    assert (code, "a model of square8_2p" in err) == (2, True)


def test_few_positions_are_unknown(ringrift, made, tmp_path):
    root = tmp_path / "few"
    Paths(root).create()
    with GameStore.open(root / "data" / "games" / "games.db", writer=True) as store:
        store.ingest(games(SPEC, 4))
    model = init_nnue(SPEC, folder=root / "models" / "objects", seed=1, hidden=32)
    code, out, err = ringrift("--root", root, "train", "calibrate", "--model", model.stem)
    assert (code, out) == (1, "")
    assert "unknown" in err
    assert "expected at least 200" in err
