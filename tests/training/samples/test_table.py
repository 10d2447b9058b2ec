"""Targets of a dataset: seats relative to the mover, shares that sum to one, weights that hold."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ringrift.core.errors import RefusedError
from ringrift.data.dataset import Dataset, ExportOptions, blocks, plan_export, write_dataset
from ringrift.data.dataset.values import VICTORY_TYPES
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.samples.coverage import choose_policy_loss
from ringrift.training.samples.table import read_tables, table_of

from ..games import game

SPECS = [BoardSpec.create("square8", 2), BoardSpec.create("hex8", 3)]
CUT_PLIES = 60


def exported(folder, pairs, spec, **options):
    with GameStore.open(folder / "games.db", writer=True) as store:
        report = store.ingest(pairs)
    assert not report.quarantined
    plan = plan_export([folder / "games.db"], spec.config, ExportOptions(**options))
    write_dataset(plan, dict(blocks(plan, plan.ids)), folder / "dataset")
    return Dataset.open(folder / "dataset")


@pytest.fixture(scope="module", params=SPECS, ids=lambda spec: spec.config)
def made(request, tmp_path_factory):
    """(pairs by id, dataset): games of which every other ply is searched, some cut off."""
    spec = request.param
    pairs = [game(spec, seed, cheap=0.3) for seed in range(16)]
    pairs += [game(spec, seed, max_plies=CUT_PLIES) for seed in range(100, 104)]
    pairs = [(record, replace(found, plies=found.plies[::2])) for record, found in pairs]
    folder = tmp_path_factory.mktemp("table")
    dataset = exported(folder, pairs, spec, require_completed=False)
    return {record.id: (record, found) for record, found in pairs}, dataset


@pytest.fixture(scope="module")
def whole(made):
    pairs, dataset = made
    return pairs, table_of(dataset.arrays, dataset.manifest)


def rows(whole):
    """Yield (sample, record, what the search says of the ply or None)."""
    pairs, table = whole
    for i in range(len(table)):
        record, analysis = pairs[table.games[table.game[i]]]
        told = {ply.ply: ply for ply in analysis.plies}
        yield i, record, told.get(int(table.ply[i]))


def test_both_sides_together_are_the_dataset(made):
    _, dataset = made
    train, val = read_tables(dataset)
    assert len(train) + len(val) == len(dataset)
    assert 0 < len(val) < len(train)
    assert not set(np.unique(train.game)) & set(np.unique(val.game))


def test_results_are_seen_from_the_mover(whole):
    _, table = whole
    n = table.spec.players
    for i, record, told in rows(whole):
        ranks, mover = record.result.ranks, int(table.mover[i])
        if not ranks:
            continue
        expected = [1.0 if ranks[(mover - 1 + r) % n] == 1 else 0.0 for r in range(n)]
        if n == 2 and told is not None:
            own = told.root_value[mover - 1]
            shares = [0.5 * (1 + own), 0.5 * (1 - own)]
            expected = [0.7 * z + 0.3 * q for z, q in zip(expected, shares, strict=True)]
        assert table.win[i] == pytest.approx(expected, abs=1e-6)
        assert table.rank[i].argmax(1).tolist() == [
            ranks[(mover - 1 + r) % n] - 1 for r in range(n)
        ]
        assert table.rank[i].sum(0) == pytest.approx(np.ones(n))


def test_without_mixing_the_result_alone_counts(made):
    _, dataset = made
    plain = table_of(dataset.arrays, dataset.manifest, q_mix=0.0)
    counted = plain.value_weight > 0
    assert set(np.unique(plain.win[counted])) == {0.0, 1.0}
    assert (plain.win[counted] == plain.rank[counted][:, :, 0]).all()


def test_what_the_end_leaves_is_seen_from_the_mover(whole):
    _, table = whole
    spec, n = table.spec, table.spec.players
    for i, record, _ in rows(whole):
        mover, result = int(table.mover[i]), record.result
        seats = [(mover - 1 + r) % n for r in range(n)]
        for column, (found, unit) in enumerate(
            (
                (result.terr, spec.territory_minimum),
                (result.elim, spec.ring_threshold),
                (result.hand, spec.rings_per_player),
            )
        ):
            expected = [found[seat] / unit for seat in seats]
            assert table.margins[i, :, column] == pytest.approx(expected)
        owned = np.bincount(table.owner[i], minlength=n + 1)[1:]
        assert owned.tolist() == [result.terr[seat] for seat in seats]


def test_a_game_cut_off_teaches_no_values(whole):
    _, table = whole
    cut = 0
    for i, record, _ in rows(whole):
        if record.result.end == "max_plies":
            cut += 1
            assert table.value_weight[i] == 0
        else:
            assert table.value_weight[i] == table.weight[i]
    assert cut > 50


def test_policies_are_those_of_the_search_or_the_move_played(whole):
    _, table = whole
    kinds = set()
    for i, record, told in rows(whole):
        entries = slice(table.policy_ptr[i], table.policy_ptr[i + 1])
        found = dict(
            zip(table.policy_moves[entries].tolist(), table.policy_probs[entries], strict=True)
        )
        assert sum(found.values()) == pytest.approx(1, abs=1e-5)
        assert table.searched[i] == (told is not None)
        if told is None:
            assert list(found) == [record.moves[table.ply[i]]]
        else:
            assert found.keys() == told.policy.keys()
        cheap = told is not None and told.kind == "cheap"
        kinds.add((told is not None, cheap))
        assert table.policy_weight[i] == (0 if cheap else table.weight[i])
    assert len(kinds) == 3


def test_facts_of_samples_are_those_of_their_games(whole):
    _, table = whole
    for i, record, _ in rows(whole):
        assert table.total_plies[i] == len(record.moves)
        assert VICTORY_TYPES[table.victory_type[i]] in (record.result.reason, "other")


def test_taken_samples_keep_all_that_is_theirs(whole):
    _, table = whole
    chosen = np.array([7, 3, len(table) - 1, 3])
    few = table.take(chosen)
    assert len(few) == 4
    for at, i in enumerate(chosen):
        theirs = slice(table.policy_ptr[i], table.policy_ptr[i + 1])
        ours = slice(few.policy_ptr[at], few.policy_ptr[at + 1])
        assert (few.policy_moves[ours] == table.policy_moves[theirs]).all()
        assert (few.states[at] == table.states[i]).all()
    assert len(table.take(np.zeros(0, np.int64)).policy_moves) == 0


def test_a_divergence_leaves_the_searched_samples_alone(whole):
    _, table = whole
    kl = choose_policy_loss(table, TrainSettings(policy_loss="kl")).apply(table)
    assert (kl.policy_weight[~table.searched] == 0).all()
    assert (kl.policy_weight[table.searched] == table.policy_weight[table.searched]).all()
    assert kl.value_weight is table.value_weight
    ce = choose_policy_loss(table, TrainSettings(policy_loss="ce")).apply(table)
    assert ce is table


def described(spec, *games):
    """A manifest of games with these (end, ranks)."""
    return SimpleNamespace(
        id="0" * 64,
        board_spec=spec,
        game_ids=tuple(map(str, range(len(games)))),
        game_facts=tuple({"end": end, "ranks": ranks} for end, ranks in games),
    )


def one_each(spec, movers, **changed):
    """The arrays of one sample of each game."""
    count, n = len(movers), spec.players
    arrays = {
        "states": np.zeros((count, 4), np.uint8),
        "game": np.arange(count),
        "mover": np.array(movers, np.int8),
        "policy_ptr": np.arange(count + 1),
        "policy_moves": np.zeros(count, np.uint64),
        "policy_probs": np.ones(count, np.float32),
        "final_owner": np.tile(np.arange(n + 1, dtype=np.int8), (count, 1)),
        "q": np.zeros((count, 4), np.float32),
        "q_mask": np.zeros(count, np.bool_),
        **{f"final_{name}": np.zeros((count, 4), np.int16) for name in ("terr", "elim", "hand")},
    }
    plain = ("ply", "total_plies", "legal_count", "phase", "victory_type", "sym_mask")
    arrays |= {name: np.ones(count, np.int32) for name in plain}
    arrays |= {name: np.ones(count, np.float32) for name in ("weight", "policy_weight")}
    return {**arrays, "policy_source": np.zeros(count, np.uint8), **changed}


def test_tied_ranks_share_their_mass():
    spec = BoardSpec.create("square8", 4)
    games = (("game_over", [1, 2, 2, 4]), ("game_over", [3, 1, 1, 3]))
    table = table_of(one_each(spec, (1, 3)), described(spec, *games))
    third = [[1, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1]]
    assert table.rank[0].tolist() == third
    # seen from seat 3: seats 3, 4, 1, 2
    assert table.rank[1].tolist() == [
        [0.5, 0.5, 0, 0],
        [0, 0, 0.5, 0.5],
        [0, 0, 0.5, 0.5],
        [0.5, 0.5, 0, 0],
    ]
    assert table.win[1].tolist() == [0.5, 0, 0, 0.5]


def test_owners_are_counted_from_the_mover():
    spec = BoardSpec.create("square8", 3)
    games = [("game_over", [1, 2, 3])] * 3
    table = table_of(one_each(spec, (1, 2, 3)), described(spec, *games))
    assert table.owner.tolist() == [[0, 1, 2, 3], [0, 3, 1, 2], [0, 2, 3, 1]]


@pytest.mark.parametrize(("end", "weight"), [("resigned", 1), ("max_plies", 0), ("aborted", 0)])
def test_only_games_with_a_result_weigh(end, weight):
    spec = BoardSpec.create("square8", 2)
    ranks = [2, 1] if end == "resigned" else []
    arrays = one_each(
        spec, (2,), q=np.array([[-0.5, 0.5, 0, 0]], np.float32), q_mask=np.ones(1, bool)
    )
    table = table_of(arrays, described(spec, (end, ranks)))
    assert table.value_weight.tolist() == [weight]
    if weight:
        assert table.win[0] == pytest.approx([0.7 + 0.3 * 0.75, 0.3 * 0.25])


def test_features_alone_are_refused():
    spec = BoardSpec.create("square8", 2)
    arrays = one_each(spec, (1,))
    del arrays["states"]
    with pytest.raises(RefusedError, match="features alone"):
        table_of(arrays, described(spec, ("game_over", [1, 2])))
