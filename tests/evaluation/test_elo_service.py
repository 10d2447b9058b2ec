"""The service for programs: recording from many processes, ratings, feedback."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ringrift.core.errors import UsageError
from ringrift.core.paths import Paths
from ringrift.evaluation.elo_service import UnverifiedRecord, get_elo_service
from ringrift.evaluation.training_feedback import feedback
from ringrift.nets.nnue.file import init_nnue
from ringrift.records import GameStore
from ringrift.rules import BoardSpec

from .played import SQUARE, agent, match_game

CONFIG = "square8_2p"


@pytest.fixture
def root(tmp_path):
    Paths(tmp_path / "root").create()
    return tmp_path / "root"


def test_there_is_one_service_per_root(root, tmp_path, monkeypatch):
    assert get_elo_service(root) is get_elo_service(str(root))
    Paths(tmp_path / "other").create()
    assert get_elo_service(tmp_path / "other") is not get_elo_service(root)
    monkeypatch.setenv("RINGRIFT_ROOT", str(root))
    assert get_elo_service() is get_elo_service(root)


def test_a_game_is_recorded_once(root):
    service = get_elo_service(root)
    record = match_game(1)
    assert service.record_match(record) == "inserted"
    assert service.record_match(record) == "known"


def test_anything_less_than_a_complete_verified_match_game_is_refused(root):
    service = get_elo_service(root)
    record = match_game(1)
    with pytest.raises(TypeError, match="a dict; expected a GameRecord"):
        service.record_match({"winner": "heuristic"})
    lie = replace(record.result, winner=3 - record.result.winner)
    with pytest.raises(UnverifiedRecord, match="winner"):
        service.record_match(replace(record, result=lie))
    with pytest.raises(UnverifiedRecord, match="purpose selfplay; expected match"):
        service.record_match(match_game(2, purpose="selfplay"))
    assert not (root / "data" / "games" / "games.db").exists()


RECORDER = """
import sys
from evaluation.played import match_game
from ringrift.evaluation.elo_service import get_elo_service

root, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
service = get_elo_service(root)
for seed in range(first, first + count):
    assert service.record_match(match_game(seed)) == "inserted"
"""


def record_in_processes(root, count):
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    lines = [
        [sys.executable, "-c", RECORDER, str(root), str(number * count), str(count)]
        for number in (0, 1)
    ]
    processes = [subprocess.Popen(line, env=environ) for line in lines]
    assert [process.wait(timeout=1200) for process in processes] == [0, 0]
    with GameStore.open(root / "data" / "games" / "games.db") as store:
        assert store.game_ids(purpose="match") == {match_game(s).id for s in range(2 * count)}


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
def test_two_processes_record_500_games_each(root):
    record_in_processes(root, 500)


def test_threads_and_ratings(root):
    service = get_elo_service(root)
    assert service.get_rating("heuristic", CONFIG) is None
    assert service.get_win_rate("random", "heuristic", CONFIG) is None
    games = [match_game(seed, run=f"run{seed // 20}") for seed in range(40)]
    threads = [
        threading.Thread(target=lambda part=part: [service.record_match(g) for g in part])
        for part in (games[:20], games[20:])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rating = service.get_rating("heuristic", CONFIG)
    assert rating.games == 40
    assert not rating.provisional
    assert rating.ci95[0] < rating.elo < rating.ci95[1]
    assert service.get_rating(agent("heuristic").agent_hash, CONFIG) == rating
    assert service.get_rating("random", CONFIG).elo == 400.0
    assert service.get_rating("mcts_100", CONFIG) is None
    rate, back = (
        service.get_win_rate(*pair, CONFIG)
        for pair in (("heuristic", "random"), ("random", "heuristic"))
    )
    won = sum(g.agents[g.result.winner - 1].spec == "heuristic" for g in games)
    assert (rate.n, rate.rate) == (40, pytest.approx(won / 40))
    assert back.rate == pytest.approx(1 - rate.rate)
    board = service.get_leaderboard(CONFIG, limit=1)
    assert board[0]["rank"] == 1
    first, last = service.get_history("heuristic", CONFIG)
    assert (first.rating.games, last.rating) == (20, rating)
    assert (first.run, last.run) == ("run0", "run1")


def test_a_model_is_registered_for_its_own_configuration(root, tmp_path):
    service = get_elo_service(root)
    hexagon = BoardSpec.create("hex8", 2)
    path = init_nnue(hexagon, folder=tmp_path / "elsewhere", seed=0, hidden=32)
    with pytest.raises(UsageError, match="is of hex8_2p; expected square8_2p"):
        service.register_model(path, CONFIG)
    identity = service.register_model(path, "hex8_2p")
    assert identity == path.stem
    assert service.register_model(identity[:12], "hex8_2p") == identity
    with pytest.raises(UsageError, match="model"):
        service.register_model("0123456789", "hex8_2p")


def test_feedback_follows_the_table():
    def found(elos):
        told = feedback("square8", 2, elos)
        return (
            told.elo_stagnating, told.elo_declining, told.epochs_multiplier, told.lr_multiplier,
            told.exploration_boost, told.recommended_curriculum_stage,
        )  # fmt: skip

    assert found([]) == (False, False, 1.0, 1.0, 0.0, 0)
    assert found([1650.0]) == (False, False, 1.0, 1.0, 0.0, 1)
    assert feedback("square8", 2, [1650.0]).recent_elo_delta is None
    assert found([1500.0, 1520.0, 1550.0]) == (False, False, 1.0, 1.0, 0.0, 0)
    assert found([1700.5, 1702.0, 1709.0]) == (True, False, 1.5, 0.8, 0.1, 2)
    assert found([1700.0, 1705.0, 1680.0]) == (True, True, 2.0, 0.5, 0.2, 2)
    assert found([1900.0, 1500.0, 1510.0, 1520.0, 1530.0, 1540.0]) == (
        True, False, 1.5, 0.8, 0.1, 3,
    )  # fmt: skip
    assert feedback("square8", 2, [1500.0, 1520.0, 1550.0]).recent_elo_delta == 50.0


def test_feedback_of_a_root(root):
    service = get_elo_service(root)
    told = service.get_training_feedback("square8", 2)
    assert (told.best_elo, told.recent_elo_delta, told.epochs_multiplier) == (None, None, 1.0)
    model = init_nnue(SQUARE, folder=root / "models" / "objects", seed=0, hidden=32).stem
    for seed in range(4):
        names = ("random", f"alphabeta@{model}:depth=1,eval=nnue")
        service.record_match(match_game(seed, names=names))
    rated = service.get_rating(model, CONFIG)
    assert service.get_training_feedback("square8", 2).best_elo == rated.elo
