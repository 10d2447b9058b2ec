"""Aliases: a reader sees the old model or the new one, whatever is killed in between."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringrift.core.errors import DataError, RefusedError, UsageError
from ringrift.models.aliases import align, move, read_aliases, remove_alias, set_alias
from ringrift.models.names import automatic_names
from ringrift.nets.container import read_model

from .papers import CONFIG, decide, paper


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


def target(models, name="strong", ending=".safetensors"):
    return (models / f"{name}{ending}").resolve().name


def test_a_name_is_an_entry_and_two_links(models):
    model = paper(models, 1)
    assert set_alias(models, "strong", model, by="me")
    assert not set_alias(models, "strong", model, by="you")
    alias = read_aliases(models)["strong"]
    assert (alias.id, alias.by) == (model, "me")
    assert target(models) == f"{model}.safetensors"
    assert target(models, ending=".meta.json") == f"{model}.json"
    assert not (models / "strong.safetensors").readlink().is_absolute()  # the root may move
    other = paper(models, 2)
    assert set_alias(models, "strong", other, by="you")
    assert target(models) == f"{other}.safetensors"
    remove_alias(models, "strong")
    assert read_aliases(models) == {}
    assert not list(models.glob("strong*"))
    with pytest.raises(UsageError, match="no alias 'strong'"):
        remove_alias(models, "strong")


@pytest.mark.parametrize(
    "name",
    [
        "square8_2p",
        "ringrift_best_sq8_2p",
        "ringrift_best_hex_4p",
        "nnue_hex8_3p",
        "nnue_policy_square19_2p",
        "champion",
        "candidate",
        "nnue",
        "none",
        "abcdef",
        "0123456789",
        "a/b",
        "../x",
        "",
        ".hidden",
        "net.pth",
        "x" * 101,
    ],
)
def test_names_that_a_user_cannot_give(models, name):
    model = paper(models, 1)
    with pytest.raises(UsageError):
        set_alias(models, name, model, by="me")
    assert not (models / "aliases.json").exists()


def test_there_are_48_automatic_names():
    assert len(automatic_names()) == 48


def test_a_model_without_a_file_gets_no_name(models):
    models.mkdir()
    with pytest.raises(RefusedError, match="has no file"):
        set_alias(models, "strong", "a" * 64, by="me")
    assert read_aliases(models) == {}


def test_aliases_follow_the_decisions_once(models):
    one, two = paper(models, 1), paper(models, 2)
    other = paper(models, 3, config="hex_3p".replace("hex", "hexagonal"))
    decide(models, "promoted", one, games=60)
    decide(models, "promoted", other, config="hexagonal_3p")
    assert align(models) == [
        "ringrift_best_hex_3p",
        "hexagonal_3p",
        "ringrift_best_sq8_2p",
        "square8_2p",
        "promoted_models.json",
    ]
    assert align(models) == []
    decide(models, "promoted", two, games=80)
    kept = (models / "promoted_models.json").read_bytes()
    assert align(models, ["hexagonal_3p"]) == []
    assert (models / "promoted_models.json").read_bytes() == kept
    assert len(align(models, [CONFIG])) == 3
    told = json.loads((models / "promoted_models.json").read_text())
    entry = told["models"][CONFIG]
    assert entry == {
        "model_id": two,
        "alias_id": "ringrift_best_sq8_2p",
        "path": f"objects/{two[:2]}/{two}.safetensors",
        "elo_rating": None,
        "elo_ci95": None,
        "games_played": 80,
        "promoted_at": entry["promoted_at"],
    }
    assert (models / entry["path"]).is_file()
    assert told["models"]["hexagonal_3p"]["model_id"] == other


def test_the_rating_of_a_champion_is_told_and_a_damaged_one_is_unknown(models):
    model = paper(models, 1)
    decide(models, "promoted", model)
    ratings = models.parent / "data" / "ratings"
    ratings.mkdir(parents=True)
    row = {"model_id": model, "elo": 800.0, "elo_ci95": [780.0, 820.0], "games": 90}
    (ratings / f"{CONFIG}-aa.json").write_text(json.dumps({"ratings": [row]}))
    align(models)
    told = json.loads((models / "promoted_models.json").read_text())["models"][CONFIG]
    assert (told["elo_rating"], told["elo_ci95"]) == (800.0, [780.0, 820.0])
    (ratings / f"{CONFIG}-aa.json").write_text("{")
    align(models)
    told = json.loads((models / "promoted_models.json").read_text())["models"][CONFIG]
    assert told["elo_rating"] is None


def test_a_champion_whose_file_was_lost_leaves_the_links(models):
    one, two = paper(models, 1), paper(models, 2)
    decide(models, "promoted", one)
    align(models)
    decide(models, "promoted", two)
    (models / "objects" / two[:2] / f"{two}.safetensors").unlink()
    assert align(models) == []
    assert target(models, CONFIG) == f"{one}.safetensors"


def test_what_a_kill_left_is_made_good_by_the_next_change(models):
    one, two = paper(models, 1), paper(models, 2)
    move(models, {"strong": one, "other": one}, by="me")
    tree = json.loads((models / "aliases.json").read_text())
    tree["strong"]["id"] = two  # killed before the links were exchanged
    (models / "aliases.json").write_text(json.dumps(tree))
    assert target(models) == f"{one}.safetensors"
    assert move(models, {"other": one}, by="me") == []
    assert target(models) == f"{two}.safetensors"


def test_without_links_a_name_is_a_copy(models, monkeypatch):
    """As on a file system that has none; that alone is not real here."""

    def refuse(self, to, target_is_directory=False):
        raise PermissionError(1, "Operation not permitted", str(self))

    monkeypatch.setattr(Path, "symlink_to", refuse)
    one, two = paper(models, 1), paper(models, 2)
    for model in (one, two):
        set_alias(models, "strong", model, by="me")
        assert not (models / "strong.safetensors").is_symlink()
        assert read_model(models / "strong.safetensors")[0] == model
        assert json.loads((models / "strong.meta.json").read_text())["id"] == model
    monkeypatch.undo()
    set_alias(models, "strong", one, by="me")
    assert (models / "strong.safetensors").is_symlink()


def test_a_damaged_file_is_named_and_kept(models):
    model = paper(models, 1)
    (models / "aliases.json").write_text("{broken")
    with pytest.raises(DataError, match=r"aliases\.json"):
        set_alias(models, "strong", model, by="me")
    assert (models / "aliases.json").read_text() == "{broken"


CHANGE = """
import sys
from pathlib import Path
from ringrift.models.aliases import move
models, *ids = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
for change in range(int(ids.pop())):
    move(Path(models), {"square8_2p": ids[change % 2], "strong": ids[change % 2]}, by="test")
"""


def changer(models, ids, changes):
    process = subprocess.Popen(
        [sys.executable, "-c", CHANGE, str(models), *ids, str(changes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_a_reader_always_loads_a_whole_model(models):
    """A thousand looks a second while another process changes the alias 200 times."""
    ids = [paper(models, number) for number in (1, 2)]
    move(models, {"square8_2p": ids[0]}, by="test")
    process = changer(models, ids, 200)
    process.stdin.write("\n")
    process.stdin.close()
    seen, looks, due = [], 0, time.monotonic()
    while process.poll() is None:
        identity, card, tensors = read_model(models / "square8_2p.safetensors")
        assert (card["training"]["number"], identity) == (1 + ids.index(identity), identity)
        assert tensors["w"].tolist() == [card["training"]["number"]] * 4
        seen += [identity] if seen[-1:] != [identity] else []
        told = json.loads((models / "square8_2p.meta.json").read_text())
        assert told["id"] in ids
        looks += 1
        due = max(due + 0.001, time.monotonic() - 0.1)
        time.sleep(max(0.0, due - time.monotonic()))
    assert process.returncode == 0
    assert looks >= 200
    assert len(seen) > 10
    assert read_aliases(models)["square8_2p"].id == ids[1]


def test_the_test_reader_sees_a_torn_model(models):
    model = paper(models, 1)
    path = models / "objects" / model[:2] / f"{model}.safetensors"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(RefusedError, match="truncated"):
        read_model(path)


@pytest.mark.parametrize("kills", [6, pytest.param(60, marks=pytest.mark.acceptance)])
@pytest.mark.slow
def test_a_killed_change_leaves_whole_names(models, kills):
    ids = [paper(models, number) for number in (1, 2)]
    move(models, {"square8_2p": ids[0], "strong": ids[0]}, by="test")
    rng = random.Random(5)
    for _ in range(kills):
        process = changer(models, ids, 10_000)
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(rng.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for name in ("square8_2p", "strong"):
            assert read_model(models / f"{name}.safetensors")[0] in ids
            assert read_aliases(models)[name].id in ids
        move(models, {"other": ids[0]}, by="test")
        for name in ("square8_2p", "strong"):
            assert target(models, name) == f"{read_aliases(models)[name].id}.safetensors"
