"""Hold-out numbers: where decisions look for them, over the games that are meant."""

import pytest
from tests.training.games import games

from ringrift.core.errors import DataError
from ringrift.core.paths import Paths
from ringrift.loop.holdouts import stored_holdout
from ringrift.loop.work import training, verify
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec

from .jobs import context

SPEC = BoardSpec.create("square8", 2)
GAMES = 60


@pytest.fixture
def root(tmp_path):
    Paths(tmp_path / "root").create()
    return tmp_path / "root"


@pytest.fixture
def model(root):
    values = {"hidden_dim": 32}
    spec = {"kind": "nnue-policy", "seed": 1, "init": "random", "values": values}
    return training.run(context(root, "train", **spec)).numbers["model_id"]


@pytest.mark.slow
def test_numbers_stand_where_decisions_look(root, model):
    with GameStore.open(Paths(root).game_store, writer=True) as store:
        store.ingest(games(SPEC, GAMES))
        upto = store.max_seq()
    numbers = verify.run(context(root, "verify", model=model)).numbers
    found = stored_holdout(Paths(root).model_objects, model)
    assert found is not None
    assert found.value_error == pytest.approx(numbers["value_error"], rel=1e-5)
    assert (found.positions, found.set_hash) == (numbers["positions"], numbers["holdout"])
    assert (
        verify.run(context(root, "verify", model=model, upto=upto)).numbers["holdout"]
        == numbers["holdout"]
    )
    assert numbers["calibration"]["phase"].keys() == {"opening", "middle", "end"}
    assert numbers["calibration"]["seat"].keys() == {"1", "2"}
    parts = numbers["calibration"]["seat"].values()
    assert sum(part["positions"] for part in parts) == numbers["positions"]
    assert numbers["temperature"] > 0
    fewer = verify.run(context(root, "verify", model=model, upto=upto // 2)).numbers
    assert fewer["holdout"] != numbers["holdout"]


def test_too_few_games_are_unknown_and_a_missing_model_is_an_error(root, model):
    numbers = verify.run(context(root, "verify", model=model)).numbers
    assert numbers["value_error"] is None
    assert "0 hold-out positions" in numbers["unknown"]
    assert stored_holdout(Paths(root).model_objects, model) is None
    with pytest.raises(DataError, match="has no file"):
        verify.run(context(root, "verify", model="a" * 64))
