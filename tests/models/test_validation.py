"""Every code of a bad model has a file that gives exactly that code; good ones are left alone."""

import io
import json
import os
import pickle
import shutil
import time
import zipfile

import numpy as np
import pytest
import torch

from ringrift.core.errors import DataError, RefusedError
from ringrift.models import quarantine
from ringrift.models.aliases import FILE, move
from ringrift.models.promotion import follow_decisions
from ringrift.models.validation import CODES, check_file, scan
from ringrift.models.validation.pickles import foreign_names
from ringrift.nets.container import read_model, write_model

from .made import CONFIG, crown, make_model

CANARY = "canary"


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    models = tmp_path_factory.mktemp("models")
    return models, make_model(models, 1), make_model(models, 2)


@pytest.fixture
def models(originals, tmp_path):
    """A folder with two good models, one of them champion; returns (folder, champion, other)."""
    source, champion, other = originals
    folder = tmp_path / "models"
    shutil.copytree(source, folder)
    crown(folder, champion)
    follow_decisions(folder)
    return folder, champion, other


class Malicious:
    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return (os.mkdir, (self.target,))


def path_of(folder, model_id):
    return folder / "objects" / model_id[:2] / f"{model_id}.safetensors"


def altered(folder, model_id, *, card=None, tensors=None, edit=None):
    """Write a model whose card or tensors are others than they should be, under an id of its own."""
    _, known, arrays = read_model(path_of(folder, model_id))
    arrays = {name: array.copy() for name, array in arrays.items()}
    if edit is not None:
        edit(arrays)
    arrays.update(tensors or {})
    return write_model(folder / "objects", arrays, {**known, **(card or {})})


def set_all(name, value):
    def edit(arrays):
        arrays[name][...] = value

    return edit


def same_outputs(folder, model_id):
    _, card, _ = read_model(path_of(folder, model_id))
    outputs = [[0.0] * len(row) for row in card["probe"]["outputs"]]
    return {"probe": {**card["probe"], "outputs": outputs}}


def other_outputs(folder, model_id):
    _, card, _ = read_model(path_of(folder, model_id))
    outputs = [[value + 0.25 for value in row] for row in card["probe"]["outputs"]]
    return {"probe": {**card["probe"], "outputs": outputs}}


def plant(code, folder, other, tmp_path):
    """Make what gives a code; return the file it is about, None for a reference."""
    good = path_of(folder, other)
    new = folder / "objects" / "planted.safetensors"
    if code == "empty":
        new.touch()
    elif code == "truncated":
        new.write_bytes(good.read_bytes()[:-100])
    elif code == "not_safetensors":
        new.write_bytes(b"hello, I am a text and no model at all")
    elif code == "unsafe_pickle":
        new = folder / "old.pth"
        torch.save({"weights": Malicious(tmp_path / CANARY)}, new)
    elif code == "hash_mismatch":
        data = bytearray(good.read_bytes())
        data[-9] ^= 4
        new.write_bytes(data)
    elif code == "card_missing":
        from safetensors.numpy import save_file

        save_file({"a": np.ones((2, 2), np.float32)}, str(new))
    elif code == "card_invalid":
        return altered(folder, other, card={"schema": 99})
    elif code == "shape_mismatch":
        return altered(folder, other, tensors={"last.weight": np.ones((2, 32), np.float32)})
    elif code == "not_finite":
        return altered(folder, other, edit=set_all("last.weight", np.nan))
    elif code == "dead":
        return altered(folder, other, edit=set_all("second.weight", 0))
    elif code == "unknown_encoder":
        return altered(folder, other, card={"encoder": {"id": "other", "hash": "0" * 16}})
    elif code == "layout_mismatch":
        return altered(folder, other, card={"policy_layout_hash": "0" * 16})
    elif code == "spec_mismatch":
        return altered(folder, other, card={"codec_hash": "0" * 16})
    elif code == "probe_mismatch":
        return altered(folder, other, card=other_outputs(folder, other))
    elif code == "alias_dangling":
        aliases = json.loads((folder / FILE).read_bytes())
        aliases["mine"] = {"id": "f" * 64, "by": "me", "at": "2026-01-01T00:00:00Z"}
        (folder / FILE).write_text(json.dumps(aliases))
        return None
    elif code == "decision_dangling":
        crown(folder, "e" * 64, other, kind="manual")
        return None
    elif code == "lineage_missing":
        make_model(folder, 7, parents=[("d" * 64, "warm_start")], training={"run": "r"})
        return None
    elif code == "participant_unknown":
        return None
    return new


@pytest.mark.parametrize("code", CODES)
def test_each_fixture_gives_exactly_its_code_and_the_valid_ones_none(models, tmp_path, code):
    folder, _, other = models
    path = plant(code, folder, other, tmp_path)
    participants = ["c" * 64] if code == "participant_unknown" else []
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    report = scan(folder, full=True, participants=participants)
    assert [finding.code for finding in report.bad] == [code]
    assert report.bad[0].path == path
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert not (tmp_path / CANARY).exists()


def test_outputs_that_are_equal_on_all_probes_are_dead(models):
    folder, _, other = models
    path = altered(folder, other, card=same_outputs(folder, other))
    assert check_file(path).code == "dead"


def test_without_full_outputs_are_computed_for_champions_only(models):
    folder, _, other = models
    path = altered(folder, other, card=other_outputs(folder, other))
    assert scan(folder).good
    crown(folder, path.stem)
    follow_decisions(folder)
    assert [finding.code for finding in scan(folder).bad] == ["probe_mismatch"]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_no_pickle_is_executed_in_whatever_form_it_comes(models, tmp_path, protocol):
    folder, _, _ = models
    data = pickle.dumps(Malicious(tmp_path / CANARY), protocol=protocol)
    for name, content in (("raw.pkl", data), ("zipped.pt", zipped(data))):
        (folder / name).write_bytes(content)
        assert check_file(folder / name).code in ("unsafe_pickle", "not_safetensors")
    if protocol:
        assert check_file(folder / "raw.pkl").code == "unsafe_pickle"
    assert check_file(folder / "zipped.pt").code == "unsafe_pickle"
    assert not (tmp_path / CANARY).exists()


def zipped(data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", data)
    return buffer.getvalue()


def test_a_name_hidden_in_the_memo_is_foreign():
    # the words `builtins` and `eval` are stored, then taken from the memo to make the name
    hidden = b"\x80\x04\x8c\x08builtins\x94\x8c\x04eval\x94\x30\x30h\x00h\x01\x93."
    assert foreign_names(hidden) == ("?.?",)


def test_weights_alone_are_named_for_import(models):
    folder, _, _ = models
    torch.save({"a": torch.ones(2)}, folder / "weights.pth")
    found = check_file(folder / "weights.pth")
    assert found.code == "not_safetensors"
    assert "models import" in found.detail


def test_a_pattern_and_the_folders_apart(models):
    folder, _, _ = models
    for place in ("archive", "quarantine/x"):
        (folder / place).mkdir(parents=True)
        (folder / place / "bad.pth").write_bytes(b"bad")
    (folder / "bad.pth").write_bytes(b"bad")
    assert len(scan(folder).bad) == 1
    assert [f.path.name for f in scan(folder, pattern="*.pth").findings] == ["bad.pth"]


@pytest.mark.acceptance
def test_a_hundred_models_of_a_megabyte_take_less_than_ten_seconds(tmp_path):
    folder = tmp_path / "models"
    first = make_model(folder, 1)
    _, card, arrays = read_model(path_of(folder, first))
    shape = card["architecture"]["shapes"]["inputs.weight"]
    for seed in range(100):
        weights = np.random.default_rng(seed).normal(size=(shape[0] * 2, shape[1]))
        tensors = {**arrays, "wide": weights.astype(np.float32)[: 10**6 // 128]}
        shapes = {name: list(array.shape) for name, array in tensors.items()}
        told = {**card, "architecture": {**card["architecture"], "shapes": shapes}}
        assert write_model(folder / "objects", tensors, told).stat().st_size > 1_000_000
    began_s = time.monotonic()
    report = scan(folder)
    assert time.monotonic() - began_s < 10
    assert (len(report.findings), report.good) == (101, True)


# --- cleaning up


def test_a_clean_up_does_what_its_plan_lists_and_nothing_is_lost(models, tmp_path):
    folder, champion, other = models
    bad = [plant(c, folder, other, tmp_path) for c in ("unsafe_pickle", "hash_mismatch", "dead")]
    contents = {path: path.read_bytes() for path in bad}
    plan = quarantine.plan_cleanup(folder, scan(folder))
    assert sorted(step.path for step in plan) == sorted(bad)
    done = quarantine.clean_up(folder, plan, folder / "quarantine")
    assert done == plan
    assert scan(folder).good
    assert path_of(folder, champion).is_file()
    for path, content in contents.items():
        assert not path.exists()
        wanted = path.stem if len(path.stem) == 64 else path.name
        assert quarantine.restore(folder, wanted[:64], folder / "quarantine") == path
        assert path.read_bytes() == content
    assert quarantine.restore(folder, "nothing", folder / "quarantine") is None


def test_a_champion_for_another_version_is_not_moved(models):
    folder, _, other = models
    path = altered(folder, other, card={"codec_hash": "0" * 16})
    crown(folder, path.stem)
    follow_decisions(folder)
    (step,) = quarantine.plan_cleanup(folder, scan(folder))
    assert (step.action, step.code) == ("kept", "spec_mismatch")
    quarantine.clean_up(folder, [step], folder / "quarantine")
    assert path.is_file()


def test_a_lost_description_is_written_anew(models):
    folder, _, other = models
    beside = path_of(folder, other).with_suffix(".json")
    known = json.loads(beside.read_bytes())
    beside.unlink()
    (finding,) = scan(folder).bad
    assert (finding.code, finding.repair) == ("card_missing", True)
    quarantine.clean_up(
        folder, quarantine.plan_cleanup(folder, scan(folder)), folder / "quarantine"
    )
    assert scan(folder).good
    again = json.loads(beside.read_bytes())
    assert {k: v for k, v in again.items() if k not in ("created_at", "host")} == {
        k: v for k, v in known.items() if k not in ("created_at", "host")
    }


def test_where_a_good_copy_can_be_fetched_it_is(models):
    folder, champion, _ = models
    path = path_of(folder, champion)
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(good[:-1] + b"!")
    asked = []

    def fetch(model_id):
        asked.append(model_id)
        path.write_bytes(good)
        return True

    plan = quarantine.plan_cleanup(folder, scan(folder))
    done = quarantine.clean_up(folder, plan, folder / "quarantine", fetch=fetch)
    assert ([step.action for step in done], asked) == (["fetched"], [champion])
    assert scan(folder).good


def test_restoring_refuses_an_occupied_place_and_changed_bytes(models, tmp_path):
    folder, _, other = models
    path = plant("hash_mismatch", folder, other, tmp_path)
    quarantine.clean_up(
        folder, quarantine.plan_cleanup(folder, scan(folder)), folder / "quarantine"
    )
    path.write_bytes(b"something else")
    with pytest.raises(RefusedError, match="stands in its place"):
        quarantine.restore(folder, path.name, folder / "quarantine")
    path.unlink()
    kept = next((folder / "quarantine").rglob(path.name))
    kept.write_bytes(b"changed")
    with pytest.raises(DataError, match="changed in quarantine"):
        quarantine.restore(folder, path.name, folder / "quarantine")


def test_an_alias_of_a_pruned_model_is_reported(models):
    folder, _, other = models
    move(folder, {"mine": other}, by="me")
    path_of(folder, other).unlink()
    assert [f.code for f in scan(folder).bad] == ["alias_dangling"]
    assert CONFIG in json.loads((folder / FILE).read_bytes())
