"""Whose distribution counts, and how much: kinds, marks, several searches, other targets."""

import dataclasses
import random

import numpy as np
import pytest

from ringrift.data.dataset import Dataset, ExportOptions, blocks, plan_export, write_dataset
from ringrift.records import AgentRef, Analysis, GameStore

from .made_games import SQUARE8, game, played, ply_of, store_of, trainable


def dataset_of(folder, pairs, name="out", **options):
    store = store_of(folder / f"{name}.db", pairs)
    plan = plan_export([store], "square8_2p", ExportOptions(**options))
    write_dataset(plan, dict(blocks(plan, plan.ids)), folder / name)
    return Dataset.open(folder / name)


def targets(dataset):
    """{ply: {move: share}} of a dataset of one game."""
    arrays = dataset.arrays
    pointer = arrays["policy_ptr"]
    return {
        int(arrays["ply"][i]): dict(
            zip(
                arrays["policy_moves"][pointer[i] : pointer[i + 1]].tolist(),
                arrays["policy_probs"][pointer[i] : pointer[i + 1]].tolist(),
                strict=True,
            )
        )
        for i in range(len(dataset))
    }


def exact(counts):
    total = sum(counts.values())
    return {move: float(np.float32(k / total)) for move, k in counts.items()}


def test_cheap_random_and_book_plies_teach_values_only(tmp_path):
    ((record, analysis),) = trainable(1)
    plies = list(analysis.plies)
    cheap, at_random, book = plies[3].ply, plies[0].ply, plies[1].ply
    plies[3] = dataclasses.replace(plies[3], kind="cheap")
    seed = record.seed
    record, _ = game(seed, marks={at_random: "random", book: "book", plies[5].ply: "swap"})
    analysis = dataclasses.replace(analysis, game=record.id, plies=tuple(plies))
    arrays = dataset_of(tmp_path, [(record, analysis)]).arrays
    weights = dict(zip(arrays["ply"].tolist(), arrays["policy_weight"].tolist(), strict=True))
    assert {ply for ply, weight in weights.items() if weight == 0} == {cheap, at_random, book}
    assert set(weights.values()) == {0.0, 1.0}
    assert (arrays["value_weight"] == 1).all()
    assert arrays["q_mask"].all()


@pytest.fixture
def thrice(tmp_path):
    """A game searched in play, then twice again: more simulations, then fewer."""
    ((record, own),) = trainable(1)
    _, decisions, _ = played(SQUARE8, record.seed)
    rng = random.Random(5)
    some = dict(list(decisions.items())[::2])

    def again(sims, agent):
        plies = tuple(
            ply_of(SQUARE8, ply, legal, rng, kind="reanalysis", sims=sims)
            for ply, legal in some.items()
        )
        return Analysis(game=record.id, agent=agent, budget={"sample_every": 2}, plies=plies)

    best, newest = again(64, "b" * 64), again(4, "c" * 64)
    store = tmp_path / "g.db"
    for analysis in (own, best, newest):
        store_of(store, [(record, analysis)])
    return store, own, best, newest


@pytest.mark.parametrize(("choice", "index"), [("best", 2), ("own", 1), ("newest", 3)])
def test_of_several_searches_one_counts(thrice, tmp_path, choice, index):
    store, own = thrice[:2]
    plan = plan_export([store], "square8_2p", ExportOptions(analysis=choice))
    write_dataset(plan, dict(blocks(plan, plan.ids)), tmp_path / "out")
    found = targets(Dataset.open(tmp_path / "out"))
    again = {p.ply: p.policy for p in thrice[index].plies}
    for p in own.plies:
        assert found[p.ply] == exact(again.get(p.ply, p.policy))


def test_equal_simulations_take_the_newest(tmp_path):
    ((record, own),) = trainable(1)
    _, decisions, _ = played(SQUARE8, record.seed)
    rng = random.Random(6)
    other = dataclasses.replace(
        own, plies=tuple(ply_of(SQUARE8, ply, legal, rng) for ply, legal in decisions.items())
    )
    store = tmp_path / "out.db"
    store_of(store, [(record, own)])
    found = targets(dataset_of(tmp_path, [(record, other)]))
    assert found == {p.ply: exact(p.policy) for p in other.plies}


def test_the_move_played_where_that_is_wanted(tmp_path):
    ((record, analysis),) = trainable(1)
    dataset = dataset_of(tmp_path, [(record, analysis)], policy_target="played")
    assert targets(dataset) == {p.ply: {record.moves[p.ply]: 1.0} for p in analysis.plies}
    assert not dataset.arrays["policy_source"].any()
    assert dataset.arrays["q_mask"].all()


def test_visits_where_they_are_wanted_and_known(tmp_path):
    ((record, analysis),) = trainable(1)
    plies = []
    for i, p in enumerate(analysis.plies):
        moves = list(p.policy)
        visits = {moves[0]: 5, moves[-1]: 3} if len(moves) > 1 else {moves[0]: 8}
        plies.append(dataclasses.replace(p, visits=visits if i % 3 else None))
    analysis = dataclasses.replace(analysis, plies=tuple(plies))
    found = targets(dataset_of(tmp_path, [(record, analysis)], policy_target="mcts_visits"))
    for p in plies:
        expected = {record.moves[p.ply]: 1.0} if p.visits is None else exact(p.visits)
        assert found[p.ply] == expected


def test_searches_of_descent_where_they_are_wanted(tmp_path):
    agents = [
        AgentRef(spec="descent:sims=8", agent_hash="d" * 64),
        AgentRef(spec="gumbel:sims=8", agent_hash="e" * 64),
    ]
    ((record, analysis),) = trainable(1, agents=agents)
    half = len(analysis.plies) // 2
    parts = [
        dataclasses.replace(analysis, agent=agent.agent_hash, plies=plies)
        for agent, plies in zip(agents, (analysis.plies[:half], analysis.plies[half:]), strict=True)
    ]
    store_of(tmp_path / "out.db", [(record, parts[0])])
    found = targets(dataset_of(tmp_path, [(record, parts[1])], policy_target="descent_softmax"))
    for p in parts[0].plies:
        assert found[p.ply] == exact(p.policy)
    for p in parts[1].plies:
        assert found[p.ply] == {record.moves[p.ply]: 1.0}


def test_decided_plies_count_less(tmp_path):
    ((record, analysis),) = trainable(1)
    analysis = dataclasses.replace(analysis, budget={"soft_from": 30})
    pairs = [(record, analysis)]
    arrays = dataset_of(tmp_path, pairs, surprise_weight=0.0).arrays
    expected = np.where(arrays["ply"] >= 30, np.float32(0.1), 1.0)
    assert np.allclose(arrays["weight"], expected / expected.mean(), atol=1e-6)


def test_the_newest_is_by_time_and_not_by_order_of_ids(thrice):
    store, own, best, newest = thrice
    (game_,) = plan_export([store], "square8_2p", ExportOptions()).games
    assert game_.analyses == (newest.id, best.id, own.id)
    with GameStore.open(store) as opened:
        assert [a.id for a in opened.analyses(game_.id)] == [own.id, best.id, newest.id]
