"""Games without search statistics get some, for a limited time."""

import pytest

from ringrift.data.dataset import ExportOptions, plan_export
from ringrift.records import GameStore
from ringrift.rules import BoardSpec
from ringrift.selfplay.reanalyze import ReanalyzeJob
from ringrift.training.pipeline.backfill import backfill, without_searches

from ..games import game

SQUARE8 = BoardSpec.create("square8", 2)
JOB = ReanalyzeJob(agent="mcts:eval=heuristic,sims=8", every=20)


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "games.db"
    with GameStore.open(path, writer=True) as opened:
        for seed in range(12):
            record, analysis = game(SQUARE8, seed)
            opened.ingest([(record, analysis if seed % 3 == 0 else None)])
    return path


def missing(store):
    return without_searches(plan_export([store], "square8_2p", ExportOptions()))


def searches(store, identity):
    with GameStore.open(store) as opened:
        return opened.analyses(identity)


def test_games_without_searches_are_found_newest_first(store):
    found = missing(store)
    with GameStore.open(store) as opened:
        wanted = [r.id for _, r, a in opened.records(newest_first=True) if a is None]
    assert 5 <= len(found) <= 8
    assert found == [identity for identity in wanted if identity in found]


@pytest.mark.slow
def test_they_are_searched_and_nothing_else_is(store):
    ids = missing(store)
    told = []
    done = backfill(store, ids, JOB, on_games=lambda games, plies: told.append((games, plies)))
    assert (done.searched, done.left) == (len(ids), 0)
    assert told[-1] == (done.searched, done.plies)
    assert missing(store) == []
    found = [searches(store, identity) for identity in ids]
    assert all(len(analyses) == 1 for analyses in found)
    assert done.plies == sum(len(analyses[0].plies) for analyses in found)
    assert backfill(store, [], JOB).searched == 0


def test_when_the_time_is_over_it_says_what_is_left(store):
    ids = missing(store)
    done = backfill(store, ids, JOB, limit_s=0.0)
    assert (done.searched, done.left) == (0, len(ids))
    assert missing(store) == ids
