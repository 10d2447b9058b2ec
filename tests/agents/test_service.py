"""Moves for people's games from worker processes: time, memory, death, a full queue."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ringrift.agents.explain import breakdown
from ringrift.agents.factory import make_agent
from ringrift.agents.move_worker import MoveJob, MoveWorkerFailed, Shelf
from ringrift.agents.protocol import Budget, Decision, Rngs
from ringrift.agents.service import DecisionService, MoveTimedOut, QueueFull
from ringrift.core.errors import BusyError, DataError, UsageError
from ringrift.rules import BoardSpec, InvalidPosition, Position

from .games import batch_of, choices, random_game

SQUARE8 = BoardSpec.create("square8")
SEARCH = "descent"
LONG = "gumbel:eval=heuristic,sims=1000000"
TENTH = Budget(time_ms=100)


@pytest.fixture(scope="module")
def service() -> Iterator[DecisionService]:
    with DecisionService(workers=2, warm=[(SEARCH, SQUARE8)]) as made:
        assert made.wait_ready(200)
        yield made


def failure_of(ask: Callable[[], object]) -> Exception | None:
    try:
        ask()
    except Exception as error:  # noqa: BLE001 - what the test is about
        return error
    return None


def test_a_decision_is_that_of_the_agent(service: DecisionService) -> None:
    position = choices(SQUARE8, 1, seed=4)[0]
    for text in ("heuristic", "descent:sims=8", "level_2"):
        found = service.decide(position, agent=text, seed=9)
        batch = batch_of([position], [9])
        (wanted,) = make_agent(text, SQUARE8).choose(batch, Budget(), Rngs())
        assert isinstance(found, Decision)
        assert found.move == wanted.move
        assert found.time_ms > 0
    assert service.decide(position, difficulty=2, seed=9) is not None


def test_positions_come_as_text_state_or_moves(service: DecisionService) -> None:
    position = choices(SQUARE8, 1, seed=4)[0]
    wanted = service.decide(position, agent="heuristic", seed=9)
    assert wanted is not None
    text = json.dumps({"config": "square8_2p", "state": str(position)})
    for form in (str(position), text):
        found = service.decide(form, agent="heuristic", seed=9)
        assert found is not None
        assert found.move in position.legal_packed()
    started = json.dumps({"config": "square8_2p", "moves": "P 3,3 2"})
    assert service.decide(started, agent="heuristic") is not None
    with pytest.raises((DataError, InvalidPosition), match="field"):
        service.decide(
            str(position).replace("act=0", "act=7").replace("act=1", "act=7"), agent="random"
        )


def test_a_finished_game_has_no_move(service: DecisionService) -> None:
    assert service.decide(random_game(SQUARE8, 1)[-1], agent="heuristic") is None


def test_what_is_wrong_is_said_at_once(service: DecisionService) -> None:
    position = Position.of(SQUARE8)
    for ask, said in (
        (lambda: service.decide(position, agent="mctz"), "unknown agent kind"),
        (lambda: service.decide(position, agent="policy@abcdef"), "no models"),
        (lambda: service.decide(position, difficulty=10), "level 10 of square8_2p is unavailable"),
        (lambda: service.decide(position), "one of them"),
        (lambda: service.decide(position, agent="random", deadline_s=0), "deadline"),
    ):
        with pytest.raises(UsageError, match=said):
            ask()
    with pytest.raises(UsageError, match="not in depth or time"):  # raised in the worker
        service.decide(position, agent="gumbel:eval=heuristic", budget=TENTH)


def test_evaluation_and_ladder(service: DecisionService) -> None:
    position = choices(SQUARE8, 1, seed=4)[0]
    found = service.evaluate(position, 2)
    assert found.breakdown == breakdown(position, 2)
    assert sum(found.values) == pytest.approx(0)
    assert [level.available for level in service.ladder("square8_2p")[:2]] == [True, True]
    assert not service.ladder("square8_2p")[9].available


@pytest.mark.timed
@pytest.mark.slow
def test_32_calls_at_once_are_answered_in_time(service: DecisionService) -> None:
    """Two cores, 100 ms each: sixteen rounds take 1.6 s."""
    positions = choices(SQUARE8, 32)

    def ask(i: int) -> float:
        begun_s = time.monotonic()
        assert service.decide(positions[i], agent=SEARCH, seed=i, budget=TENTH) is not None
        return time.monotonic() - begun_s

    with ThreadPoolExecutor(32) as pool:
        took_s = list(pool.map(ask, range(32)))
    assert np.percentile(took_s, 95) < 3


@pytest.mark.slow
def test_killing_a_worker_fails_one_request_only(service: DecisionService) -> None:
    position = Position.of(SQUARE8)
    budget = Budget(time_ms=2500)

    def ask(i: int) -> Exception | None:
        return failure_of(lambda: service.decide(position, agent=SEARCH, seed=i, budget=budget))

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, i) for i in range(4)]
        time.sleep(1.0)
        killed = service.pids[0]
        os.kill(killed, signal.SIGKILL)
        failed = [error for future in asked if (error := future.result()) is not None]
    assert [type(error) for error in failed] == [MoveWorkerFailed]
    assert "exit code -9" in str(failed[0])
    assert killed not in service.pids
    assert service.decide(position, agent=SEARCH, budget=TENTH) is not None


@pytest.mark.timed
@pytest.mark.slow
def test_a_search_that_overruns_is_ended_and_the_worker_replaced(service: DecisionService) -> None:
    position = Position.of(SQUARE8)
    service.decide(position, agent="gumbel:eval=heuristic,sims=2")  # compiles what LONG runs
    before = service.cache_stats()["replaced"]
    begun_s = time.monotonic()
    with pytest.raises(MoveTimedOut):
        service.decide(position, agent=LONG, deadline_s=1.0)
    assert time.monotonic() - begun_s < 4
    assert service.decide(position, agent="heuristic") is not None
    assert service.cache_stats()["replaced"] <= before + 1


@pytest.mark.timed
@pytest.mark.slow
def test_a_full_queue_is_refused_at_once_and_closing_fails_who_waits() -> None:
    position = Position.of(SQUARE8)
    with DecisionService(workers=1, queue=1, warm=[(SEARCH, SQUARE8)]) as one:
        assert one.wait_ready(200)
        errors: list[Exception | None] = []

        def ask() -> None:
            budget = Budget(time_ms=4000)
            errors.append(failure_of(lambda: one.decide(position, agent=SEARCH, budget=budget)))

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
            time.sleep(0.5)
        begun_s = time.monotonic()
        with pytest.raises(QueueFull) as caught:
            one.decide(position, agent=SEARCH, budget=TENTH)
        assert caught.value.exit_code == BusyError.exit_code
        assert time.monotonic() - begun_s < 0.5
    for thread in threads:
        thread.join()
    assert all(error is not None for error in errors)


@pytest.mark.slow
def test_a_worker_that_needs_too_much_memory_fails_its_request() -> None:
    with (
        DecisionService(workers=1, memory_bytes=1 << 20, timeout_s=20) as small,
        pytest.raises(MoveWorkerFailed, match=r"more than .* of memory"),
    ):
        small.decide(Position.of(SQUARE8), agent="heuristic")


def test_agents_and_models_are_kept_and_forgotten(tmp_path: Path) -> None:
    shelf = Shelf()
    job = MoveJob(board=SQUARE8, agent="random")
    first = shelf.agent(job)
    assert shelf.agent(MoveJob(board=SQUARE8, agent="random")) is first
    assert shelf.stats == {"agents": 1, "models": 0, "hits": 1, "misses": 1}
    for n in range(1, 60):
        shelf.agent(MoveJob(board=SQUARE8, agent=f"heuristic:tau={n}"))
    assert shelf.stats["agents"] == 32
    shelf.clear()
    assert shelf.stats["agents"] == 0
    job = MoveJob(board=SQUARE8, agent="policy@x", models=(("x", str(tmp_path / "none")),))
    with pytest.raises(Exception, match="missing"):
        shelf.agent(job)


@pytest.mark.slow
def test_requests_of_a_model_share_a_batch_and_are_answered_as_alone(tmp_path: Path) -> None:
    from ringrift.nets.model_file import init_model

    file = init_model(SQUARE8, size="micro", seed=1, folder=tmp_path)
    positions = choices(SQUARE8, 12)

    def find(name: str, board: BoardSpec) -> Path:
        if name != "champion":
            raise UsageError(f"no model {name!r}")
        return file

    def ask(service: DecisionService, i: int) -> int:
        budget = Budget(sims=16)
        found = service.decide(positions[i], agent="gumbel@champion", seed=i, budget=budget)
        assert found is not None
        return found.move

    text = "gumbel@champion"
    with DecisionService(workers=1, find=find, warm=[(text, SQUARE8)]) as service:
        assert service.wait_ready(200)
        alone = [ask(service, i) for i in range(12)]
        asked = service.cache_stats()["hits"]
        with ThreadPoolExecutor(12) as pool:
            together = list(pool.map(lambda i: ask(service, i), range(12)))
        assert together == alone
        assert service.cache_stats()["hits"] - asked < 12
        assert service.cache_stats()["models"] == 1
        with pytest.raises(UsageError, match="no model 'other'"):
            service.decide(positions[0], agent="gumbel@other")
