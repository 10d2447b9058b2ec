"""The range test of the learning rate, and how often a lineage has learned from a game."""

import json

import pytest

from ringrift.training.range_test import draw_range, range_test, suggested
from ringrift.training.reuse import passes_over_games

from .engine.toy import ToyTask, settings_of


def test_the_rate_rises_until_the_loss_explodes(tmp_path):
    settings = settings_of()
    steps = []
    found = range_test(ToyTask(settings), settings, on_step=steps.append)
    assert found.rates[0] == pytest.approx(1e-6)
    assert list(found.rates) == sorted(found.rates)
    assert len(found.rates) == len(found.losses) == steps[-1]
    assert 1e-4 < found.suggested < 0.3
    draw_range(found, tmp_path / "range.svg")
    assert (tmp_path / "range.svg").read_text().lstrip().startswith("<?xml")


def test_it_can_be_stopped():
    settings = settings_of()
    found = range_test(ToyTask(settings), settings, stop=lambda: True)
    assert (found.rates, found.suggested) == ((), None)


def test_the_suggestion_is_a_tenth_of_the_best_rate():
    assert suggested([1e-3, 1e-2, 1e-1], [1.0, 0.5, 0.9]) == pytest.approx(1e-3)
    assert suggested([1e-3, 1e-2], [1.0, 1.1]) is None
    assert suggested([], []) is None


def card(folder, identity, parent, datasets, *, steps, samples):
    tree = {
        "config": "square8_2p",
        "parents": [] if parent is None else [{"id": parent, "role": "warm_start"}],
        "training": {
            "datasets": datasets,
            "steps": steps,
            "samples": samples,
            "hyperparameters": {"batch_size": 10},
        },
    }
    path = folder / identity[:2] / f"{identity}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree))
    return path.with_suffix(".safetensors")


def test_passes_add_up_over_the_lineage(tmp_path, monkeypatch):
    from ringrift.training import reuse

    games = {"d1": ("a", "b"), "d2": ("b", "c")}
    monkeypatch.setattr(reuse, "_games", lambda folder: games.get(folder.name, ()))
    card(tmp_path, "aa11", None, ["d1"], steps=20, samples=100)
    child = card(tmp_path, "bb22", "aa11", ["d2"], steps=30, samples=100)
    found = passes_over_games(child, tmp_path, tmp_path / "npz")
    assert found == {"a": 2.0, "b": 5.0, "c": 3.0}


def test_a_parent_whose_card_is_gone_ends_the_line(tmp_path):
    child = card(tmp_path, "bb22", "aa11", ["gone"], steps=30, samples=100)
    assert passes_over_games(child, tmp_path, tmp_path) == {}
