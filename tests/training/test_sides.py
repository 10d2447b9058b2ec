"""Which samples are learned from: chosen by game, never from the hold-out, never on both sides."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ringrift.core.errors import NegativeResult, RefusedError, UsageError
from ringrift.data.dataset import Dataset
from ringrift.data.dataset.manifest import NAME
from ringrift.records import write_jsonl
from ringrift.records.columns import split_of
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec
from ringrift.training.sides import read_sides
from ringrift.training.sources import Places, Selection, Source, find_samples

from .games import games

SPEC = BoardSpec.create("square8", 2)
CONFIG = SPEC.config


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "games.db"
    with GameStore.open(path, writer=True) as opened:
        opened.ingest(games(SPEC, 24))
    return path


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    return Places(npz=folder / "npz", cache=folder / "cache")


def found(store, places, **selection):
    chosen = Selection(**{"min_game_length": 0, **selection})
    dataset = find_samples(Source(stores=(store,)), CONFIG, chosen, places).dataset
    return dataset, read_sides(dataset, chosen)


def test_the_surprise_weight_names_the_dataset_and_weighs_its_samples(places, tmp_path):
    surprising = [
        (
            record,
            replace(
                played,
                plies=tuple(replace(p, prior_kl=1.0 + 2 * (p.ply % 2)) for p in played.plies),
            ),
        )
        for record, played in games(SPEC, 6)
    ]
    path = tmp_path / "games.db"
    with GameStore.open(path, writer=True) as opened:
        assert not opened.ingest(surprising).quarantined
    given = ({}, {"surprise_weight": 0.5}, {"surprise_weight": 0.0}, {"surprise_weight": 1.0})
    usual, half, none, whole = (found(path, places, **more)[0] for more in given)
    assert half.manifest.id == usual.manifest.id
    assert len({made.manifest.id for made in (half, none, whole)}) == 3
    assert (none.arrays["weight"] == 1.0).all()
    kl = 1.0 + 2 * (half.arrays["ply"] % 2)
    for share, made in ((0.5, half), (1.0, whole)):
        raw = (1 - share) + share * kl / kl.mean()
        for side in (0, 1):
            own = made.arrays["split_val"] == side
            assert own.any()
            assert made.arrays["weight"][own] == pytest.approx(raw[own] / raw[own].mean())


def plays(manifest, table):
    return {manifest.game_facts[game]["play"] for game in np.unique(table.game)}


def changed(dataset, folder, change):
    """Copy a dataset with another manifest."""
    made = folder / "changed"
    made.mkdir()
    for path in dataset.path.iterdir():
        (made / path.name).write_bytes(path.read_bytes())
    tree = json.loads((made / NAME).read_bytes())
    change(tree)
    (made / NAME).write_text(json.dumps(tree))
    return Dataset.open(made)


def test_no_play_is_on_both_sides_and_validation_is_that_of_the_store(store, places):
    dataset, sides = found(store, places)
    train, val = plays(dataset.manifest, sides.train), plays(dataset.manifest, sides.val)
    assert train
    assert val
    assert not train & val
    assert all(split_of(play, "selfplay") == "val" for play in val)
    assert sides.facts()["samples"] == len(sides.train)
    assert len(sides.train) + len(sides.val) == len(dataset)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5])
def test_another_share_is_split_by_game_too(store, places, share):
    dataset, sides = found(store, places, val_split=share)
    train, val = plays(dataset.manifest, sides.train), plays(dataset.manifest, sides.val)
    assert not train & val
    assert len(train | val) == dataset.manifest.games
    assert bool(val) is (share > 0)


def test_a_play_on_both_sides_is_refused(store, places, tmp_path):
    dataset, sides = found(store, places)
    one, other = int(sides.train.game[0]), int(sides.val.game[0])

    def leak(tree):
        tree["game_facts"][other]["play"] = tree["game_facts"][one]["play"]

    with pytest.raises(RefusedError, match="on the sides of training and validation"):
        read_sides(changed(dataset, tmp_path, leak), Selection())


def test_positions_of_a_game_on_both_sides_are_refused(store, places):
    dataset, sides = found(store, places)
    dataset = Dataset(dataset.path, dataset.manifest)
    row = int(np.flatnonzero(dataset.arrays["game"] == sides.train.game[0])[3])
    dataset.arrays["split_val"][row] = 1
    with pytest.raises(RefusedError, match="positions of one game"):
        read_sides(dataset, Selection())


def test_the_hold_out_is_refused_by_its_hash_and_by_the_store(store, places, tmp_path):
    dataset, _ = found(store, places)

    def held(tree):
        tree["game_facts"][0]["play"] = "0" * 64

    with pytest.raises(RefusedError, match="hold-out leak"):
        read_sides(changed(dataset, tmp_path, held), Selection())
    other = tmp_path / "games.db"
    other.write_bytes(store.read_bytes())
    with GameStore.open(other, writer=True) as opened:
        opened._connection.execute("UPDATE games SET split = 'holdout' WHERE split = 'train'")
    with pytest.raises(RefusedError, match="hold-out leak"):
        read_sides(dataset, Selection(), stores=[other])


def test_a_dataset_of_the_hold_out_is_no_source(store, places, tmp_path):
    from ringrift.data.dataset import ExportOptions, blocks, plan_export, write_dataset

    plan = plan_export([store], CONFIG, ExportOptions(splits=("holdout",)))
    write_dataset(plan, dict(blocks(plan, plan.ids)), tmp_path / "held")
    with pytest.raises(RefusedError, match="hold-out is not trained on"):
        find_samples(Source(data_path=tmp_path / "held"), CONFIG, Selection(), places)


def test_a_dataset_that_is_given_is_selected_from_as_an_export_selects(store, places):
    whole, _ = found(store, places)
    for selection in (
        {"sample_every_n": 3},
        {"min_game_length": 90},
        {"max_move_number": 40, "min_move_number": 10},
    ):
        chosen = Selection(**{"min_game_length": 0, **selection})
        given = read_sides(whole, chosen, given=True)
        _, made = found(store, places, **selection)
        assert len(given.train) > 0
        assert np.array_equal(given.train.states, made.train.states), selection
        assert np.array_equal(given.val.states, made.val.states), selection


def test_json_lines_pass_the_gate(store, places, tmp_path):
    lines = tmp_path / "games.jsonl"
    write_jsonl(lines, [(record, [analysis]) for record, analysis in games(SPEC, 24)])
    with lines.open("a") as file:
        file.write(lines.read_text().splitlines()[0].replace('"seed":0', '"seed":1') + "\n")
    chosen = Selection(min_game_length=0)
    of_lines = find_samples(Source(jsonl=(lines,)), CONFIG, chosen, places)
    of_store, _ = found(store, places)
    assert of_lines.dataset.manifest.game_ids == of_store.manifest.game_ids
    assert sum(of_lines.refused.values()) == 1


def test_most_samples_are_drawn_by_the_seed(store, places):
    dataset, _ = found(store, places)
    one, again, other = (
        read_sides(dataset, Selection(max_samples=50), seed=seed).train for seed in (1, 1, 2)
    )
    assert len(one) == 50
    assert np.array_equal(one.states, again.states)
    assert not np.array_equal(one.states, other.states)


def test_zero_samples_are_an_answer(store, places):
    with pytest.raises(NegativeResult, match="zero samples"):
        found(store, places, min_move_number=100_000)
    with pytest.raises(NegativeResult, match="zero samples") as caught:
        find_samples(Source(stores=(store,)), "hex8_3p", Selection(), places)
    assert "selfplay run --board hex8 --players 3" in caught.value.hint


def test_mistakes_are_named(store, places, tmp_path):
    with pytest.raises(UsageError, match="different sources"):
        Source(data_path=tmp_path, stores=(store,))
    for wrong in ({"val_split": 1.0}, {"sample_every_n": 0}, {"max_samples": 0}):
        with pytest.raises(UsageError):
            Selection(**wrong)
    dataset, _ = found(store, places)
    with pytest.raises(UsageError, match="expected hex8_2p"):
        find_samples(Source(data_path=dataset.path), "hex8_2p", Selection(), places)
    with pytest.raises(UsageError, match="no dataset"):
        find_samples(Source(data_path=tmp_path / "x"), CONFIG, Selection(), places)
    with pytest.raises(UsageError, match="no file"):
        find_samples(Source(jsonl=(tmp_path / "x",)), CONFIG, Selection(), places)
