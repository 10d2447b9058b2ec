"""`ringrift models`: list, show, name, compare, make, export, lineage."""

import json
import sys
from pathlib import Path

import pytest

from ringrift.models.aliases import align
from ringrift.nets.nnue.file import init_nnue
from ringrift.rules import BoardSpec

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from papers import decide, paper

sys.path.pop(0)


@pytest.fixture
def root(tmp_path):
    (tmp_path / ".ringrift-root").touch()
    (tmp_path / "models").mkdir()
    return tmp_path


@pytest.fixture
def models(root):
    return root / "models"


@pytest.fixture
def answer(ringrift, root):
    """Run a command with --json; returns (code, result or error)."""

    def run(*words):
        code, out, err = ringrift("models", *words, "--json", "--root", root)
        assert out, err
        return code, json.loads(out)

    return run


def test_list_is_the_same_to_the_byte_after_rebuild(ringrift, models, root):
    ids = [paper(models, number, at="2026-01-01T00:00:00.000Z") for number in range(12)]
    for place, identity in enumerate(ids[:5]):
        decide(models, "promoted" if place % 2 == 0 else "rejected", identity)
    align(models)
    words = ("models", "list", "--json", "--limit", "100", "--root", root)
    before = ringrift(*words)
    assert before[0] == 0
    for path in models.glob("registry.db*"):
        path.unlink()
    assert ringrift("models", "rebuild", "--root", root)[0] == 0
    assert ringrift(*words) == before


def test_list_filters_and_counts(answer, models):
    for number in range(3):
        paper(models, number)
    hexagonal = paper(models, 5, config="hex8_3p")
    decide(models, "manual", hexagonal, config="hex8_3p")
    code, found = answer("list", "--limit", "2")
    assert (code, found["total"], len(found["models"])) == (0, 4, 2)
    code, found = answer("list", "--board", "hex8", "--players", "3", "--status", "champion")
    assert [model["id"] for model in found["models"]] == [hexagonal]
    assert found["models"][0]["manual"]
    assert answer("list", "--status", "chmpion")[0] == 2
    assert answer("list", "--board", "sqare8")[1]["error"]["hint"].startswith("square8")


def test_a_champion_by_hand_is_red_in_the_list(ringrift, models, root):
    decide(models, "manual", paper(models, 1))
    _, plain, _ = ringrift("models", "list", "--root", root)
    assert "champion (manual)" in plain
    assert "\x1b" not in plain
    _, colored, _ = ringrift("models", "list", "--root", root, "--color", "always")
    assert "\x1b[31mchampion (manual)" in colored


def test_show_has_card_decisions_and_evaluations_even_without_the_file(answer, models):
    model = paper(models, 1, label="one")
    decide(models, "promoted", model, reason="won")
    folder = models / "objects" / model[:2] / model / "evaluations"
    folder.mkdir(parents=True)
    held = {"positions": 900, "value_loss": 0.6, "value_error": 0.4}
    result = {"holdout": held, "gap": {"value": 0.03, "low": 0.01, "high": 0.05}}
    (folder / "holdout-aa.json").write_text(json.dumps(result))
    for _ in range(2):
        code, found = answer("show", "champion")
        assert code == 0
        assert found["model"]["id"] == model
        assert found["card"]["training"] == {"number": 1}
        assert [d["reason"] for d in found["decisions"]] == ["won"]
        assert found["evaluations"][0]["gap_ci95"] == [0.01, 0.05]
        file = models / "objects" / model[:2] / f"{model}.safetensors"
        assert (found["path"] is None) == (not file.exists())
        file.unlink(missing_ok=True)
    assert found["model"]["file"] == "gone"
    (folder / "holdout-aa.json").write_text("{")
    assert answer("show", model[:8])[0] == 6


def test_a_reference_that_means_nothing_or_two_things_is_exit_2(answer, models):
    paper(models, 1)
    code, found = answer("show", "nothing")
    assert (code, found["ok"]) == (2, False)
    assert found["error"]["hint"]
    assert answer("show", "champion", "--players", "2")[0] == 2  # of which board?
    assert answer("show", "champion", "--config-key", "sqare_2p")[0] == 2


def test_alias_and_pin_change_nothing_with_dry_run(answer, models):
    model = paper(models, 1)
    code, found = answer("alias", "strong", model[:8], "--dry-run")
    assert (code, found["id"], found["changed"]) == (0, model, True)
    assert answer("pin", model, "--dry-run")[1]["changed"]
    assert not [p for p in models.iterdir() if p.name in ("aliases.json", "pins.json")]
    assert answer("alias", "strong", model[:8])[0] == 0
    assert answer("show", "models/strong.pth")[1]["model"]["aliases"] == ["strong"]
    assert answer("alias")[1]["aliases"][0]["name"] == "strong"
    assert answer("alias", "square8_2p", model)[0] == 2
    assert answer("alias", "--remove", "strong")[1]["id"] is None
    assert answer("alias")[1]["aliases"] == []
    assert answer("pin", model)[1] == answer("pin", model)[1] | {"changed": True}
    assert answer("show", model)[1]["model"]["pinned"]
    assert answer("unpin", model)[1]["changed"]
    assert not answer("unpin", model)[1]["changed"]


def test_diff_of_two_models(answer, ringrift, models, root):
    one, two = paper(models, 1), paper(models, 2)
    code, found = answer("diff", one, two)
    assert (code, found["equal"]) == (0, False)
    assert [f["name"] for f in found["fields"]] == ["training.number"]
    assert found["distance"] == pytest.approx(2.0)
    assert answer("diff", one, one)[1]["equal"]
    assert "training.number" in ringrift("models", "diff", one, two, "--root", root)[1]


def test_lineage_as_text_json_and_graph(answer, ringrift, models, root):
    one = paper(models, 1, training=None)
    two = paper(models, 2, parents=[(one, "warm_start")])
    decide(models, "promoted", two, elo_diff=12.0, elo_ci95=[2.0, 22.0], games=40)
    _, text, _ = ringrift("models", "lineage", "champion", "--root", root)
    assert text.startswith(f"{two[:12]}  square8_2p  champion\n  warm_start {one[:12]}\n")
    code, found = answer("lineage", two, "--graph", "tree.svg", "--depth", "0")
    assert (code, [m["id"] for m in found["models"]]) == (0, [two])
    assert (root / "tree.svg").read_bytes().startswith(b"<?xml")
    code, found = answer("lineage", "--config-key", "square8_2p")
    assert [(t["model"], t["step"]["elo"]) for t in found["champions"]] == [(two, 12.0)]
    assert answer("lineage", "--config-key", "hex8_2p")[0] == 1
    assert answer("lineage")[0] == 2
    assert answer("lineage", two, "--graph", "tree.png")[0] == 2


def test_init_export_and_import(answer, models, root):
    words = ("init", "--kind", "nnue", "--hidden-dim", "32", "--seed", "3", "--label", "l")
    code, found = answer(*words, "--dry-run")
    assert (code, found["id"], found["plan"]["hidden_dim"]) == (0, None, 32)
    assert not list(models.iterdir())
    code, found = answer(*words)
    expected = init_nnue(BoardSpec.create("square8"), folder=root / "x", seed=3, hidden=32)
    assert (code, found["id"]) == (0, expected.stem)
    code, shown = answer("show", "candidate")
    assert (shown["model"]["random"], shown["card"]["training"]) == (True, None)
    assert answer("init", "--kind", "nnue", "--size", "tiny")[0] == 2
    assert answer("init", "--hidden-dim", "64")[0] == 2
    assert answer("export", "candidate")[0] == 2
    code, made = answer("export", "candidate", "--format", "torch", "-o", "w.pt")
    assert (code, made["size_bytes"]) == (0, (root / "w.pt").stat().st_size)
    assert answer("import", "w.pt", "--board", "hex8", "--kind", "nnue")[0] == 6
    code, taken = answer("import", "w.pt", "--kind", "nnue", "--label", "again")
    assert code == 0
    assert not answer("show", taken["id"])[1]["model"]["random"]
    code, mean = answer("average", found["id"], taken["id"])
    assert code == 0
    code, tree = answer("lineage", mean["id"])
    assert {p["role"] for p in tree["models"][0]["parents"]} == {"averaged"}
    assert answer("average", found["id"], found["id"][:8])[0] == 2
