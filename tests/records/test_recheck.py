"""Stored games are checked again: on either engine, in part, and by every filter."""

import dataclasses

import pytest

from ringrift.core.errors import UsageError
from ringrift.records import GameMeta, GameStore
from ringrift.records.engines import Engines
from ringrift.records.recheck import sampled, verify_copies
from ringrift.records.selection import Selection

from .conftest import make_analysis, make_game

GAMES = [make_game(seed=seed, limit=12) for seed in range(40)]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "games.db"
    with GameStore.open(path, writer=True) as store:
        store.ingest([(game, make_analysis(game)) for game in GAMES])
    return path


def illegal(game):
    return dataclasses.replace(game, moves=(*game.moves[:-1], 1 << 30))


def test_limit_takes_the_newest_and_a_sample_always_the_same(path):
    seen = []
    with GameStore.open(path) as store:
        report = store.verify_all(limit=7, on_progress=lambda games, _: seen.append(games))
        assert (report.games, report.plies) == (7, 7 * 12)
        assert seen[-1] == 7
        assert store.verify_all(limit=100).games == 40
        half = [game for game in GAMES if sampled(game.id, 0.5)]
        assert 8 < len(half) < 32
        assert store.verify_all(sample=0.5).games == len(half)
        assert [g for g in GAMES if sampled(g.id, 0.25)] == [g for g in half if sampled(g.id, 0.25)]
        assert store.verify_all("hex8_2p").games == 0
        assert store.verify_all(reason="timeout").games == 40
        assert store.verify_all(model=GAMES[0].agents[0].model_id).games == 40
        assert store.verify_all(model="0" * 64).games == 0
        assert store.verify_all(since=4e9).games == 0
        for share in (0.0, -1, 1.5, float("nan")):
            with pytest.raises(UsageError, match="share above 0"):
                store.verify_all(sample=share)


@pytest.mark.slow
def test_plain_rules_find_the_same(monkeypatch):
    bad = illegal(GAMES[3])
    copies = [(GAMES[0], [make_analysis(GAMES[0])]), (bad, []), (GAMES[1], [])]
    with Engines("both") as both, Engines("compiled") as compiled:
        plays, expected = both.plays(copies), compiled.plays(copies)
        assert plays[::2] == expected[::2]
        assert (plays[1].engine, plays[1].error.reason) == ("compiled", "illegal_move")
        # As if the compiled engine took the move that the rules refuse.
        monkeypatch.setattr("ringrift.records.engines._compiled", lambda copy: "a play")
        fault = both.plays([(bad, [])])[0]
        assert (fault.engine, fault.error.reason) == ("plain", "illegal_move")
    report = verify_copies(copies, engine="plain")
    assert report.games == 3
    assert [(f.id, f.engine, f.reason, f.ply) for f in report.failures] == [
        (bad.id, "plain", "illegal_move", 11)
    ]


def test_records_of_files_are_chosen_by_the_same_filters():
    game = dataclasses.replace(
        GAMES[0], meta=GameMeta(purpose="match", run="r", started=1_700_000_000.0)
    )
    model = game.agents[0].model_id
    for fitting in (
        {},
        {"config": "square8_2p", "run": "r", "purpose": "match", "reason": "timeout"},
        {"model": model, "since": 1_700_000_000.0},
        {"model": model[:8]},
    ):
        assert Selection(**fitting).fits(game)
    for other in (
        {"config": "hex8_2p"},
        {"run": "q"},
        {"purpose": "selfplay"},
        {"reason": "lps_rounds"},
        {"model": "0" * 64},
        {"since": 1_700_000_001.0},
    ):
        assert not Selection(**other).fits(game)


@pytest.mark.timed
@pytest.mark.acceptance
def test_a_store_is_verified_fast_enough(tmp_path):
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        store.ingest([(make_game(seed=seed), None) for seed in range(300)])
        store.verify_all(limit=10)
        reports = [store.verify_all() for _ in range(5)]
    best = max(report.plies / report.seconds for report in reports)
    print(f"{best:,.0f} plies/s, decoding, play hashes and columns included")
    assert best >= 200_000
