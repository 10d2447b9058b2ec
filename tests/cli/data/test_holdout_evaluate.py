"""`data holdout` on models: names that are no files, the codes, what is kept."""

import json
import sys
from pathlib import Path

import pytest

from ringrift.cli.reference.schemas import schema_of
from ringrift.models.decisions import append, read_chain
from ringrift.nets.model_file import init_model
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


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data root with 40 games, a champion and another model of random weights."""
    from ringrift.core.paths import Paths

    root = tmp_path_factory.mktemp("root")
    Paths(root).create()
    objects = root / "models" / "objects"
    with GameStore.open(root / "data" / "games" / "games.db", writer=True) as store:
        store.ingest(games(SPEC, 40))
    champion, other = (
        init_model(SPEC, size="micro", seed=seed, folder=objects).stem for seed in (3, 4)
    )
    decisions = root / "models" / "decisions"
    chain = read_chain(decisions, SPEC.config)
    append(decisions, chain, kind="manual", candidate=champion, reason="the first")
    return root, champion, other


@pytest.fixture
def holdout(ringrift, made):
    def call(*arguments):
        return ringrift("--root", made[0], "data", "holdout", *arguments)

    return call


def evaluated(answer):
    found = json.loads(answer[1])
    assert problems(schema_of("data holdout"), found) == []
    return found


@pytest.mark.slow
def test_the_documented_line_takes_an_alias_that_is_no_file(holdout, made):
    root, champion, _ = made
    code, out, err = holdout("--evaluate", "--model", "models/square8_2p.pt", "--json")
    assert code == 0, err
    found = evaluated((code, out, err))["evaluation"]
    assert (found["model"], found["config"]) == (champion, "square8_2p")
    assert not found["overfitted"]
    assert abs(found["gap"]["value"]) < 0.03
    kept = Path(found["file"])
    assert kept.is_relative_to(root / "models" / "objects")
    first = kept.read_bytes()
    assert holdout("--evaluate", "--model", "champion", "--json")[0] == 0
    assert kept.read_bytes() == first


@pytest.mark.slow
def test_a_gap_above_the_threshold_is_a_warning_and_1_when_it_is_checked(holdout, made):
    """Random weights lose ln 2; a training that lost a quarter of it was overfitted."""
    line = ("--model", made[2][:8], "--train-loss", "0.17", "--json")
    code, out, err = holdout("--evaluate", *line)
    assert (code, evaluated((code, out, err))["evaluation"]["overfitted"]) == (0, True)
    assert "above 0.1: overfitted" in err
    code, out, err = holdout("--check-overfitting", *line)
    found = evaluated((code, out, err))
    assert (code, found["ok"]) == (1, False)
    assert found["evaluation"]["gap"]["value"] == pytest.approx(0.693 - 0.17, abs=0.02)
    code, out, err = holdout("--check-overfitting", "--model", "best", "--json")
    found = evaluated((code, out, err))["evaluation"]
    assert (code, found["overfitted"], found["source"]) == (0, False, "trainable")


@pytest.mark.slow
def test_a_net_that_knows_its_games_by_heart_is_overfitted(ringrift, tmp_path):
    """The games are those of the dataset that its card names, whose manifest the root has."""
    model, store, dataset = by_heart(tmp_path / "data", SPEC, games(SPEC, 40), learned=6, epochs=15)
    line = ("--check-overfitting", "--model", model.path, "--db", store, "--json")
    code, out, err = ringrift("--root", tmp_path, "data", "holdout", *line)
    found = evaluated((code, out, err))["evaluation"]
    assert (code, found["source"], found["overfitted"]) == (1, "dataset", True)
    assert found["gap"]["value"] > 0.10
    assert found["datasets_unknown"] == 0
    assert found["training"]["games"] <= dataset.manifest.games == 6


@pytest.mark.slow
def test_strata_and_their_summary_are_shown(holdout, made):
    for file in (made[0] / "models" / "objects").rglob("holdout-*.json"):
        file.unlink()
    assert holdout("--stratified-summary", "--json")[0] == 1
    dry = holdout("--evaluate", "--model", "champion", "--dry-run", "--json")
    assert evaluated(dry)["evaluation"]["file"] is None
    assert holdout("--stratified-summary")[:2] == (1, "no stored results\n")
    code, out, _ = holdout("--evaluate-stratified", "--model", "champion")
    assert code == 0
    for word in ("stage opening", "seat 2", "hold-out, new", "gap of value loss "):
        assert word in out
    code, out, err = holdout("--stratified-summary", "--json")
    (result,) = evaluated((code, out, err))["results"]
    assert (code, result["model"]) == (0, made[1])
    assert "opening" in holdout("--stratified-summary")[1]


def test_what_is_no_model_is_exit_2(holdout, made):
    code, _, err = holdout("--evaluate")
    assert (code, "--model" in err) == (2, True)
    code, _, err = holdout("--evaluate", "--model", "models/nobody.pt")
    assert code == 2
    assert "try square8_2p" in err
    code, _, err = holdout("--evaluate", "--model", made[1], "--board", "hex8")
    assert code == 2
    assert "a model of square8_2p; asked for hex8_2p" in err


def test_few_positions_are_unknown(ringrift, made, tmp_path):
    with GameStore.open(tmp_path / "few.db", writer=True) as store:
        store.ingest(games(SPEC, 4))
    line = ("--evaluate", "--model", made[2], "--db", tmp_path / "few.db")
    code, out, err = ringrift("--root", made[0], "data", "holdout", *line)
    assert (code, out) == (1, "")
    assert "unknown" in err
