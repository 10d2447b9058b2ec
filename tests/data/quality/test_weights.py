"""Weights by rating: the documented steps, and a table of twelve games with planted ratings."""

import json

import numpy as np
import pytest

from ringrift.core.errors import DataError
from ringrift.data.quality.filtering import FilterOptions, filter_games
from ringrift.data.quality.ratings import Ratings, read_ratings
from ringrift.data.quality.weights import (
    normalised,
    quality_weight,
    read_weights,
    write_weights,
)
from ringrift.records import GameStore
from ringrift.rules.moves import SWAP

from .games import agent, trainable

CONFIG = "square8_2p"


@pytest.mark.parametrize(
    ("elo", "weight"),
    [
        (400, 0.1),
        (1299.9, 0.1),
        (1300, 0.5),
        (1399.9, 0.5),
        (1400, 1.0),
        (1500, 1.3),
        (1599.9, 1.3),
        (1600, 1.5),
        (1650, 1.75),
        (1700, 2.0),
        (3000, 2.0),
    ],
)
def test_the_steps_are_those_of_the_document(elo, weight):
    assert quality_weight(elo) == weight


def test_weights_have_mean_1_and_an_unrated_game_weighs_1():
    weights = normalised([1250.0, None, 1650.0, 1450.0, None])
    assert weights.dtype == np.float32
    assert weights.mean() == pytest.approx(1, abs=1e-6)
    assert weights[[1, 4]].tolist() == [1.0, 1.0]
    assert weights[0] / weights[2] == pytest.approx(0.1 / 1.75)
    assert normalised([]).tolist() == []
    assert normalised([None]).tolist() == [1.0]


# Elo of the two seats, winner (None: cut by the limit); the mean and so the weight in the comment.
TABLE = [
    (1200, 1390, 2),  # 1295: 0.1
    (1300, 1300, 1),  # 1300: 0.5
    (1390, 1400, 1),  # 1395: 0.5
    (1400, 1400, 2),  # 1400: 1.0
    (1450, 1540, 1),  # 1495: 1.0
    (1500, 1500, None),  # 1500: 1.3
    (1590, 1600, 1),  # 1595: 1.3
    (1600, 1600, 2),  # 1600: 1.5
    (1700, 1600, None),  # 1650: 1.75
    (1700, 1700, 1),  # 1700: 2.0
    (1800, 1900, 1),  # 1850: 2.0
    (400, 1700, 2),  # 1050: 0.1, a random agent
]
RAW = [0.1, 0.5, 0.5, 1.0, 1.0, 1.3, 1.3, 1.5, 1.75, 2.0, 2.0, 0.1]
EVERY = FilterOptions(min_avg_elo=0, min_winner_elo=0)


def named(elo):
    return agent("random" if elo == 400 else f"gumbel:sims={elo}")


RATINGS = Ratings(
    elo={named(elo).agent_hash: elo for row in TABLE for elo in row[:2] if elo != 400}, fit="f1t"
)
GAMES = [
    trainable(n, n, agents=(named(a), named(b)), winner=winner)
    for n, (a, b, winner) in enumerate(TABLE)
]


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "games.db"
    with GameStore.open(path, writer=True) as opened:
        opened.ingest([(game, None) for game in GAMES])
    return path


def kept(store, ratings=RATINGS, **options):
    found = filter_games([store], CONFIG, ratings, FilterOptions(**options))
    return found, dict(zip(found.ids, found.weights.tolist(), strict=True))


def test_twelve_games_with_planted_ratings_have_exactly_these_weights(store):
    _, weights = kept(store, min_avg_elo=0, min_winner_elo=0)
    mean = sum(RAW) / 12
    expected = {g.id: float(np.float32(w / mean)) for g, w in zip(GAMES, RAW, strict=True)}
    assert weights == expected


def test_random_and_timeout_games_vanish_with_their_switch(store):
    found, weights = kept(
        store, min_avg_elo=0, min_winner_elo=0, exclude_random=True, exclude_timeout=True
    )
    assert found.excluded == {"random": 1, "timeout": 2}
    left = [g.id for n, g in enumerate(GAMES) if n not in (5, 8, 11)]
    assert sorted(weights) == sorted(left)
    assert sum(weights.values()) / len(weights) == pytest.approx(1, abs=1e-6)


def test_the_least_ratings(store):
    found, weights = kept(store)  # 1350 on average, 1300 of the winner
    assert found.excluded == {"average_elo": 3}
    assert len(weights) == 9
    found, _ = kept(store, min_avg_elo=0, min_winner_elo=1600)
    assert found.excluded == {"winner_elo": 6}, "a game without a winner is not judged by one"


def test_the_winner_is_who_sat_there_at_the_end(tmp_path):
    """After the pie rule the seats are exchanged: the stronger agent began at seat 1."""
    strong, weak = named(1800), named(1200)
    game = next(
        made
        for made in (
            trainable(n, n, agents=(strong, weak), winner=2, swap_rule=True) for n in range(400)
        )
        if SWAP in made.moves
    )
    assert game.agents_at_end == (weak, strong)
    path = tmp_path / "games.db"
    with GameStore.open(path, writer=True) as opened:
        opened.ingest([(game, None)])
    assert len(kept(path, min_avg_elo=0, min_winner_elo=1500)[1]) == 1


def test_games_by_the_kinds_of_their_agents(store, tmp_path):
    found, _ = kept(store, min_avg_elo=0, min_winner_elo=0, ai_types=("gumbel",))
    assert found.excluded == {"ai_type": 1}
    found, weights = kept(store, min_avg_elo=0, min_winner_elo=0, ai_types=("gumbel:sims=1300",))
    assert list(weights) == [GAMES[1].id]


def test_without_a_fit_only_random_is_rated(store):
    found, weights = kept(store, Ratings())
    assert {a.spec: a.elo for a in found.agents.values() if a.elo is not None} == {"random": 400}
    assert found.unrated == 12
    assert set(weights.values()) == {1.0}
    found, weights = kept(store, Ratings(), exclude_unrated=True)
    assert (found.excluded, weights) == ({"unrated": 12}, {})


def test_games_of_a_random_pair_are_known_without_a_fit(tmp_path):
    path = tmp_path / "games.db"
    pair = (agent("random"), agent("random"))
    with GameStore.open(path, writer=True) as opened:
        opened.ingest([(trainable(1, 1, agents=pair, winner=1), None)])
    assert kept(path, Ratings())[0].excluded == {"average_elo": 1}


def test_a_game_that_two_stores_hold_counts_once(store, tmp_path):
    other = tmp_path / "other.db"
    with GameStore.open(other, writer=True) as opened:
        opened.ingest([(game, None) for game in GAMES[:4]])
    found = filter_games([store, other], CONFIG, RATINGS, EVERY)
    assert (found.games, len(set(found.ids)), len(found.ids)) == (12, 12, 12)


def test_only_games_to_train_on_are_read(tmp_path):
    path = tmp_path / "games.db"
    with GameStore.open(path, writer=True) as opened:
        opened.ingest([(game, None) for game in GAMES])
        opened.raise_holdout(100)
    assert filter_games([path], CONFIG, RATINGS, EVERY).games == 0


# --- files


def test_the_file_of_weights_comes_back_and_is_the_same_each_time(store, tmp_path):
    found, weights = kept(store, min_avg_elo=0, min_winner_elo=0)
    facts = {"config": CONFIG, "fit": "f1t"}
    path, beside = write_weights(tmp_path, CONFIG, found.ids, found.weights, facts)
    assert path.name == "square8_2p_quality_weights.npz"
    assert json.loads(beside.read_text()) == facts
    assert read_weights(path) == weights
    with np.load(path, allow_pickle=False) as file:
        assert set(file) == {"game_ids", "weights"}
        assert file["game_ids"].dtype == "S64"
        assert file["weights"].dtype == np.float32
        assert sorted(file["game_ids"].tolist()) == file["game_ids"].tolist()
    before = path.read_bytes()
    write_weights(tmp_path, CONFIG, found.ids[::-1], found.weights[::-1], facts)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arrays", "place"),
    [
        ({}, "no array"),
        ({"game_ids": np.zeros(2, "S64")}, "weights"),
        ({"game_ids": np.zeros(2, "S8"), "weights": np.ones(2, np.float32)}, "S64"),
        ({"game_ids": np.zeros(2, "S64"), "weights": np.ones(3, np.float32)}, "float32[2]"),
        ({"game_ids": np.zeros(2, "S64"), "weights": np.ones(2)}, "float64[2]"),
        (
            {"game_ids": np.zeros(1, "S64"), "weights": np.array([np.nan], np.float32)},
            "no numbers",
        ),
    ],
)
def test_a_file_that_holds_no_weights_is_named(tmp_path, arrays, place):
    path = tmp_path / "w.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError) as caught:
        read_weights(path)
    assert place in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"nothing", b"PK\x03\x04 cut"])
def test_a_file_that_is_none_is_named(tmp_path, data):
    path = tmp_path / "w.npz"
    path.write_bytes(data)
    with pytest.raises(DataError, match="no file of weights"):
        read_weights(path)


def test_the_newest_fit_is_read(tmp_path):
    import os

    for number, (name, elo) in enumerate((("aa", 1), ("bb", 3), ("cc", 2))):
        path = tmp_path / f"{CONFIG}-{name}.json"
        rows = [{"agent_hash": "x", "elo": elo}, {"agent_hash": "y", "elo": None}]
        path.write_text(json.dumps({"ratings": rows}))
        os.utime(path, (100 + number % 2, 100 + number % 2))
    assert read_ratings(tmp_path, CONFIG) == Ratings(elo={"x": 3.0}, fit="bb")
    assert read_ratings(tmp_path, "hex8_2p") == Ratings()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "no fit of ratings"),
        ("[]", "field ratings"),
        ('{"ratings": [{"elo": 3}]}', "ratings[0]"),
        ('{"ratings": [{"agent_hash": "x", "elo": "3"}]}', "ratings[0].elo"),
        ('{"ratings": [{"agent_hash": "x", "elo": NaN}]}', "ratings[0].elo"),
    ],
)
def test_a_damaged_fit_is_named_with_its_field(tmp_path, text, place):
    path = tmp_path / f"{CONFIG}-aa.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_ratings(tmp_path, CONFIG)
    assert place in str(caught.value)
    assert str(path) in str(caught.value)
