"""Hold-out numbers: of one model where the loop looks, of two models over the same games."""

import os
import shutil
import signal
from itertools import pairwise

import pytest
from tests.models.made import make_model
from tests.training.games import games
from tests.training.trained import dataset_of

from ringrift.core.errors import DataError
from ringrift.core.paths import Paths
from ringrift.loop.holdouts import NOBODY, stored_holdout, stored_pair, write_common
from ringrift.loop.work import training, verify
from ringrift.models.registry import model_path
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec
from ringrift.training import holdout_evaluation
from ringrift.training.holdout_evaluation import result_path
from ringrift.training.measuring.games import find_games

from .jobs import context

SPEC = BoardSpec.create("square8", 2)
GAMES = 60


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A root with games."""
    root = tmp_path_factory.mktemp("stored") / "root"
    Paths(root).create()
    with GameStore.open(Paths(root).game_store, writer=True) as store:
        for played in games(SPEC, GAMES):  # one after the other: each has its own number
            store.ingest([played])
    return root


@pytest.fixture
def root(stored, tmp_path):
    shutil.copytree(stored, tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def model(root):
    values = {"hidden_dim": 32}
    spec = {"kind": "nnue-policy", "seed": 1, "init": "random", "values": values}
    return training.run(context(root, "train", **spec)).numbers["model_id"]


def trained(root, seed, *, upto, datasets=(), parents=()):
    """A model of random weights whose card says that it was trained."""
    card = {"games": 1, "games_upto": upto, "datasets": list(datasets)}
    return make_model(Paths(root).models, seed, training=card, parents=parents)


def held(root, **ages):
    """The hold-out games of a root, first stored first."""
    side = find_games([Paths(root).game_store], SPEC, "holdout", **ages)
    return sorted(side.games, key=lambda game: game[1].seq)


def compared(root, candidate, champion):
    return verify.run(context(root, "verify", model=candidate, champion=champion)).numbers


def alone(root, model):
    return verify.holdout_numbers(Paths(root), model, context(root, "train"))


def pair(root, candidate, champion):
    return stored_pair(Paths(root).model_objects, candidate, champion)


def written(root, model, set_hash):
    """When the result of a model over a set of games was written, in ns."""
    path = result_path(model_path(Paths(root).model_objects, model), model, set_hash)
    return path.stat().st_mtime_ns


def test_numbers_of_one_model_stand_beside_it(root, model):
    numbers = alone(root, model)
    found = stored_holdout(Paths(root).model_objects, model, numbers["holdout"])
    assert found is not None
    assert found.value_error == pytest.approx(numbers["value_error"], rel=1e-5)
    assert found.positions == numbers["positions"]
    assert numbers["calibration"]["phase"].keys() == {"opening", "middle", "end"}
    assert numbers["calibration"]["seat"].keys() == {"1", "2"}
    parts = numbers["calibration"]["seat"].values()
    assert sum(part["positions"] for part in parts) == numbers["positions"]
    assert numbers["temperature"] > 0


def test_two_models_are_measured_once_on_the_same_games(root, model):
    candidate = trained(root, 2, upto=held(root)[3][1].seq)
    assert pair(root, candidate, model) == NOBODY
    own = alone(root, candidate)["holdout"]
    at = written(root, candidate, own)
    assert alone(root, model)["holdout"] != own  # the champion was measured on more games
    assert pair(root, candidate, model) == NOBODY
    numbers = compared(root, candidate, model)
    found = pair(root, candidate, model)
    assert found.candidate.set_hash == found.champion.set_hash == numbers["holdout"] == own
    assert found.candidate.positions == found.champion.positions == numbers["positions"]
    assert found.candidate.value_error == numbers["value_error"]
    assert found.champion.value_error == numbers["champion_value_error"]
    assert found.candidate.value_error != found.champion.value_error
    times = written(root, candidate, own), written(root, model, own)
    assert times[0] == at  # what its training measured counts
    with GameStore.open(Paths(root).game_store, writer=True) as store:
        store.ingest(games(SPEC, GAMES + 30)[GAMES:])
    assert compared(root, candidate, model)["holdout"] == own
    assert (written(root, candidate, own), written(root, model, own)) == times
    # a number over another set counts as missing, and is no answer
    write_common(Paths(root).model_objects, candidate, model, "e" * 64)
    assert pair(root, candidate, model) == NOBODY
    compared(root, candidate, model)
    assert pair(root, candidate, model) == found
    result_path(model_path(Paths(root).model_objects, model), model, own).unlink()
    assert pair(root, candidate, model) == (found.candidate, None)


def test_games_that_either_lineage_saw_are_left_out(root, tmp_path):
    paths = Paths(root)
    dataset = dataset_of(
        paths.game_store, SPEC, paths.npz.parent, splits=("holdout",), max_games=2
    ).manifest
    upto = held(root)[-1][1].seq
    old = trained(root, 1, upto=upto, datasets=[dataset.id])
    champion = trained(root, 2, upto=upto, parents=[(old, "warm_start")])
    candidate = trained(root, 3, upto=upto)
    own = alone(root, candidate)["holdout"]
    numbers = compared(root, candidate, champion)
    assert numbers["holdout"] != own
    found = pair(root, candidate, champion)
    assert found.candidate.set_hash == found.champion.set_hash == numbers["holdout"]
    ids = {row.id for _, row in held(root)}
    assert len(ids & set(dataset.game_ids)) == 2
    seen = verify._opened(paths, champion, lambda _done, _total: None)[1]
    left = {row.id for _, row in seen.held_out(SPEC).side.games}
    assert left == ids - set(dataset.game_ids)
    assert numbers["holdout"] == seen.held_out(SPEC).set_hash


def test_the_games_are_of_the_age_of_the_candidate_s_training(root, tmp_path):
    paths = Paths(root)
    with GameStore.open(tmp_path / "newest.db", writer=True) as store:
        store.ingest(games(SPEC, GAMES)[30:])
    newest = dataset_of(tmp_path / "newest.db", SPEC, paths.npz.parent, splits=("train",))
    oldest = min(
        row.seq
        for _, row in find_games([paths.game_store], SPEC, "train").games
        if row.id in newest.manifest.game_ids
    )
    rows = [row for _, row in held(root)]

    def taken(upto, datasets=()):
        model = trained(root, 5, upto=upto, datasets=datasets)
        options = verify._opened(paths, model, lambda _done, _total: None)[1]
        return [
            row.seq
            for _, row in sorted(options.held_out(SPEC).side.games, key=lambda game: game[1].seq)
        ]

    def positions(count):
        side = find_games([paths.game_store], SPEC, "holdout", upto=rows[count - 1].seq)
        return side.count_valued(10**6)

    numbers = [row.seq for row in rows]
    assert len(numbers) >= 5
    assert all(earlier < later for earlier, later in pairwise(numbers))
    assert taken(None) == numbers
    assert taken(numbers[3]) == taken(numbers[4] - 1) == numbers[:4]
    of_window = [number for number in numbers if number >= oldest]
    assert 0 < len(of_window) < len(numbers)
    assert taken(None, [newest.manifest.id]) == of_window
    # of an age with too few positions the games that came next are taken too, no more than needed
    few = len(taken(0))
    assert taken(0) == numbers[:few]
    assert positions(few) >= 200 > positions(few - 1)


def measure_and_die(root, candidate, champion, after):
    """Compare two models and be killed once so many results are written."""
    write = holdout_evaluation.write_result
    count = 0

    def dying(*args):
        nonlocal count
        if count == after:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return write(*args)

    holdout_evaluation.write_result = dying
    compared(root, candidate, champion)


@pytest.mark.parametrize("after", [0, 1])
def test_a_kill_between_the_two_leaves_one_to_be_measured(root, model, after):
    candidate = trained(root, 2, upto=GAMES)
    pid = os.fork()
    if pid == 0:
        try:
            measure_and_die(root, candidate, model, after)
        finally:
            os._exit(70)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    left = pair(root, candidate, model)
    assert (left.candidate is None, left.champion) == (after == 0, None)
    at = written(root, candidate, left.candidate.set_hash) if after else None
    numbers = compared(root, candidate, model)
    found = pair(root, candidate, model)
    assert None not in found
    assert found.candidate.set_hash == found.champion.set_hash == numbers["holdout"]
    if after:
        assert found.candidate == left.candidate
        assert written(root, candidate, numbers["holdout"]) == at


def test_too_few_games_are_unknown_and_a_missing_model_is_an_error(root, model):
    Paths(root).game_store.unlink()
    candidate = trained(root, 2, upto=0)
    numbers = compared(root, candidate, model)
    assert numbers["value_error"] is numbers["champion_value_error"] is None
    assert "0 hold-out positions" in numbers["unknown"]
    assert "0 hold-out positions" in alone(root, model)["unknown"]
    assert pair(root, candidate, model) == NOBODY
    with pytest.raises(DataError, match="has no file"):
        compared(root, "a" * 64, model)


def test_a_damaged_note_of_the_games_is_named(root):
    objects = Paths(root).model_objects
    write_common(objects, "a" * 64, "b" * 64, "f" * 64)
    (file,) = objects.rglob("compared-*.json")
    for text in ("{", "[]", "{}"):
        file.write_text(text)
        with pytest.raises(DataError, match="no set of games") as raised:
            stored_pair(objects, "a" * 64, "b" * 64)
        assert str(file) in str(raised.value)
