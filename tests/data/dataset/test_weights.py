"""Values by rank, sample weights and windows against numbers computed by hand."""

import numpy as np
import pytest

from ringrift.data.dataset import Dataset, ExportOptions, blocks, plan_export, write_dataset
from ringrift.data.dataset.pack import PackedBlocks, block_key, write_pack
from ringrift.data.dataset.plan import PlannedGame
from ringrift.data.dataset.values import VICTORY_TYPES, rank_values, victory_type, win_shares
from ringrift.data.dataset.weights import GameWeights, weigh
from ringrift.data.dataset.window import window_samples

from .made_games import store_of, trainable


@pytest.mark.parametrize(
    ("ranks", "values", "wins"),
    [
        ((1, 2), (1, -1), (1, 0)),
        ((2, 1), (-1, 1), (0, 1)),
        ((1, 1), (0, 0), (0.5, 0.5)),
        ((3, 1, 2), (-1, 1, 0), (0, 1, 0)),
        ((1, 2, 2), (1, -0.5, -0.5), (1, 0, 0)),
        ((1, 1, 3), (0.5, 0.5, -1), (0.5, 0.5, 0)),
        ((4, 3, 2, 1), (-1, -1 / 3, 1 / 3, 1), (0, 0, 0, 1)),
        ((1, 2, 2, 4), (1, 0, 0, -1), (1, 0, 0, 0)),
        ((2, 2, 2, 1), (-1 / 3, -1 / 3, -1 / 3, 1), (0, 0, 0, 1)),
        ((), (0, 0, 0, 0), (0, 0, 0, 0)),
    ],
)
def test_tied_seats_share_the_mean_of_their_ranks(ranks, values, wins):
    padding = (0,) * (4 - len(values))
    assert rank_values(ranks, rank_aware=True) == pytest.approx((*values, *padding))
    assert win_shares(ranks).tolist() == [*wins, *padding]


def test_without_ranks_there_is_a_winner_and_the_others():
    assert rank_values((3, 1, 2), rank_aware=False).tolist() == [-1, 1, -1, 0]


def test_every_reason_has_a_victory_type():
    assert [victory_type(reason) for reason in VICTORY_TYPES] == list(range(len(VICTORY_TYPES)))
    assert VICTORY_TYPES[victory_type("abort:x")] == "other"


def planned(identity, split="train", **facts):
    base = {"store": 0, "seq": 1, "play": "", "plies": 9, "analyses": ()}
    return PlannedGame(id=identity, split=split, **{**base, **facts})


def weights_of(game, kls, base=None):
    kl = np.array(kls, np.float32)
    ones = np.ones(len(kls), np.float32) if base is None else np.array(base, np.float32)
    return GameWeights(game=game, base=ones, prior_kl=kl)


def test_surprise_is_half_of_a_weight_where_it_is_known():
    games = [weights_of(planned("a"), [0.0, 1.0, np.nan]), weights_of(planned("b"), [3.0, 0.0])]
    made = weigh(games, ExportOptions(surprise_weight=0.5))
    # mean KL of the four known is 1; raw: .5, 1, 1 | 2, .5 with mean 1
    assert made.of(games[0]).tolist() == [0.5, 1.0, 1.0]
    assert made.of(games[1]).tolist() == [2.0, 0.5]
    flat = weigh(games, ExportOptions(surprise_weight=0.0))
    assert flat.of(games[1]).tolist() == [1.0, 1.0]


def test_weights_are_products_of_mean_one_on_each_side():
    games = [
        weights_of(planned("a", age=0, weight=2.0), [np.nan, np.nan], base=[1.0, 0.1]),
        weights_of(planned("b", age=2), [np.nan]),
        weights_of(planned("v", split="val", age=9), [np.nan, np.nan]),
    ]
    made = weigh(games, ExportOptions(decay_half_life=2.0))
    raw = np.array([2.0, 0.2, 0.5])
    found = np.concatenate([made.of(games[0]), made.of(games[1])])
    assert found == pytest.approx(raw / raw.mean())
    assert made.of(games[2]).tolist() == [1.0, 1.0]


def test_weights_do_not_depend_on_the_order_of_the_games():
    rng = np.random.default_rng(3)
    games = [
        weights_of(planned(str(i), age=i), rng.random(7), base=rng.random(7)) for i in range(50)
    ]
    options = ExportOptions(decay_half_life=11.0)
    one, other = weigh(games, options), weigh(games[::-1], options)
    assert all(np.array_equal(one.of(game), other.of(game)) for game in games)


@pytest.mark.parametrize(
    ("available", "base", "window"),
    [(0, 10, 0), (5_000, 20_000, 5_000), (20_000, 20_000, 20_000), (200_000, 20_000, 62_669)],
)
def test_a_window_grows_slower_than_the_data(available, base, window):
    # 20,000 (1 + 0.4 (10^0.65 - 1) / 0.65) = 62,669
    assert (window_samples(available, base) if available else 0) == window


def test_a_window_takes_the_newest_games_until_it_is_full(tmp_path):
    pairs = trainable(6)
    store = store_of(tmp_path / "g.db", pairs)
    newest = [record.id for record, _ in reversed(pairs)]
    sizes = {record.id: len(analysis.plies) for record, analysis in pairs}
    wanted = sizes[newest[0]] + sizes[newest[1]] - 5
    plan = plan_export([store], "square8_2p", ExportOptions(window=wanted))
    manifest = write_dataset(plan, dict(blocks(plan, plan.ids)), tmp_path / "out")
    assert set(manifest.game_ids) == set(newest[:2])
    assert manifest.excluded == {"window": 4}
    assert manifest.request == plan.request


def test_games_outside_the_window_are_not_read(tmp_path):
    pairs = trainable(6)
    store = store_of(tmp_path / "g.db", pairs)
    plan = plan_export([store], "square8_2p", ExportOptions(window=1))
    pack = tmp_path / "a.pack"
    made = dict(blocks(plan, plan.ids))
    write_pack(pack, ((i, block_key(plan.by_id[i]), data) for i, data in made.items()))
    newest = pairs[-1][0].id
    whole = pack.read_bytes()
    for identity, data in made.items():  # all others are damaged
        if identity != newest:
            whole = whole.replace(data, bytes(len(data)))
    pack.write_bytes(whole)
    found = PackedBlocks(plan, [pack])
    assert write_dataset(plan, found, tmp_path / "out").game_ids == (newest,)
    found.close()


def test_quality_weights_reach_the_samples(tmp_path):
    pairs = trainable(3)
    store = store_of(tmp_path / "g.db", pairs)
    weights = {pairs[0][0].id: 2.0, pairs[1][0].id: 0.5}
    options = ExportOptions(surprise_weight=0.0, quality_weights="1" * 64)
    plan = plan_export([store], "square8_2p", options, weights=weights)
    write_dataset(plan, dict(blocks(plan, plan.ids)), tmp_path / "out")
    arrays = Dataset.open(tmp_path / "out").arrays
    raw = np.array([weights.get(plan.ids[game], 1.0) for game in arrays["game"]])
    assert arrays["weight"] == pytest.approx(raw / raw.mean())
    assert arrays["weight"].mean() == pytest.approx(1.0)


def test_games_that_a_limit_cut_teach_no_values(tmp_path):
    pairs = [*trainable(2), *trainable(1, first=90, most=60)]
    store = store_of(tmp_path / "g.db", pairs)
    plan = plan_export([store], "square8_2p", ExportOptions(require_completed=False))
    write_dataset(plan, dict(blocks(plan, plan.ids)), tmp_path / "out")
    arrays = Dataset.open(tmp_path / "out").arrays
    cut = arrays["game"] == plan.ids.index(pairs[2][0].id)
    assert cut.any()
    assert not arrays["value_weight"][cut].any()
    assert not arrays["win"][cut].any()
    assert not arrays["values_mp"][cut].any()
    assert (arrays["value_weight"][~cut] == 1).all()
    assert {VICTORY_TYPES[i] for i in arrays["victory_type"][cut]} == {"timeout"}


def test_values_without_ranks_are_another_dataset(tmp_path):
    store = store_of(tmp_path / "g.db", trainable(2))
    made = []
    for aware in (True, False):
        plan = plan_export([store], "square8_2p", ExportOptions(rank_aware_values=aware))
        made.append(write_dataset(plan, dict(blocks(plan, plan.ids)), tmp_path / str(aware)).id)
    assert made[0] != made[1]
