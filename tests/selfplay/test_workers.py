"""Worker processes: deaths, stops and failures lose nothing and double nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringrift.core.errors import UsageError
from ringrift.selfplay import workers
from ringrift.selfplay.control import SearchControl
from ringrift.selfplay.generator import play_games, play_here, selfplay_plans
from ringrift.selfplay.player import WorkerFailed
from ringrift.selfplay.workers import GamesFailed, WorkerPool

from .jobs import SQUARE8, job

JOB = job(control=SearchControl(full_fraction=0.5, cheap_sims=4), device="cuda:1")
GAMES = 24


@pytest.fixture(scope="module")
def wanted() -> dict[int, str]:
    return {r.meta.index: r.id for r, _ in play_here(JOB, selfplay_plans(SQUARE8, range(GAMES), 7))}


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2, 8) as pool:
        yield pool


def test_workers_play_what_one_process_plays(pool: WorkerPool, wanted: dict[int, str]) -> None:
    games = [r for r, _ in play_games(JOB, range(GAMES), 7, pool=pool)]
    found = [(r.meta.index, r.id) for r in games]
    assert len(found) == GAMES
    assert dict(found) == wanted
    assert {r.meta.device for r in games} == {"cuda:1"}  # a job's own, though no net plays here


@pytest.mark.parametrize("after", [0, 1, 10])
def test_a_killed_worker_loses_no_game(
    pool: WorkerPool, wanted: dict[int, str], after: int
) -> None:
    found: list[tuple[int, str]] = []
    killed = False

    def kill_once() -> bool:
        nonlocal killed
        if not killed and len(found) >= after and len(pool.pids) == 2:
            os.kill(pool.pids[after % 2], signal.SIGKILL)
            killed = True
        return False

    for record, _ in play_games(JOB, range(GAMES), 7, pool=pool, stop=kill_once):
        found.append((record.meta.index, record.id))
    assert killed
    assert len(found) == GAMES
    assert dict(found) == wanted
    assert len(pool.pids) == 2


@pytest.mark.parametrize("kills", [0, 1])
def test_games_under_way_keep_their_job_and_the_others_begin_with_the_next(
    pool: WorkerPool, kills: int
) -> None:
    old, new = job("heuristic:mode=light,tau=1"), job("random")
    plans = selfplay_plans(SQUARE8, range(GAMES), 7)
    old_ids, new_ids = (
        {r.meta.index: r.id for r, _ in play_here(made, plans)} for made in (old, new)
    )
    assert not set(old_ids.values()) & set(new_ids.values())
    found: dict[int | None, str] = {}
    begun: set[int | None] = set()
    for record, _ in pool.play(old, plans):
        assert record.meta.index not in found
        found[record.meta.index] = record.id
        if len(found) == 3:
            begun = set(found) | {i for worker in pool._workers for _, i in worker.open}
            pool.renew(new, lambda index: plans[index])
            for pid in pool.pids[:kills]:
                os.kill(pid, signal.SIGKILL)
    assert 3 < len(begun) < len(plans)
    assert found == {i: (old_ids if i in begun else new_ids)[i] for i in old_ids}


def test_games_that_kill_every_worker_are_reported() -> None:
    with WorkerPool(1, 4) as pool:
        deaths = 0

        def kill() -> bool:
            nonlocal deaths
            if pool._workers and pool._workers[0].open and pool.pids:
                os.kill(pool.pids[0], signal.SIGKILL)
                deaths += 1
            return False

        with pytest.raises(GamesFailed, match="4 games were played 4 times"):
            list(play_games(JOB, range(4), 7, pool=pool, stop=kill))
        assert deaths >= workers.MOST_REPLAYS + 1


def test_a_stop_drops_games_and_the_pool_goes_on(pool: WorkerPool, wanted: dict[int, str]) -> None:
    found = []
    for record, _ in play_games(JOB, range(GAMES), 7, pool=pool, stop=lambda: len(found) >= 3):
        found.append(record.meta.index)
    assert 3 <= len(found) < GAMES
    rest = [i for i in range(GAMES) if i not in found]
    later = {r.meta.index: r.id for r, _ in play_games(JOB, rest, 7, pool=pool)}
    assert later == {i: wanted[i] for i in rest}


def test_a_caller_that_leaves_early(pool: WorkerPool, wanted: dict[int, str]) -> None:
    for record, _ in play_games(JOB, range(GAMES), 7, pool=pool):
        assert record.id == wanted[record.meta.index]
        break
    found = {r.meta.index: r.id for r, _ in play_games(JOB, range(GAMES), 7, pool=pool)}
    assert found == wanted


def test_a_model_that_is_not_there_is_an_error_and_the_pool_goes_on(
    pool: WorkerPool, tmp_path: Path
) -> None:
    with pytest.raises(WorkerFailed, match="no file is given for the model 'abcdef'") as caught:
        list(play_games(job("gumbel@abcdef"), range(2), 7, pool=pool))
    assert caught.value.exit_code == 2
    missing = job("gumbel@abcdef", models={"abcdef": str(tmp_path / "none.safetensors")})
    with pytest.raises(WorkerFailed, match=r"none\.safetensors"):
        list(play_games(missing, range(2), 7, pool=pool))
    assert len(list(play_games(job("random"), range(4), 7, pool=pool))) == 4


def test_nothing_to_play_starts_nothing() -> None:
    with WorkerPool(1) as pool:
        assert list(play_games(JOB, [], 7, pool=pool)) == []
        assert pool.pids == []
    with pytest.raises(UsageError, match="different indices"):
        list(play_games(JOB, [1, 1], 7, pool=pool))
    with pytest.raises(UsageError, match="at least 1"):
        WorkerPool(0)


PARENT = """
import sys
from ringrift.selfplay.generator import play_games
from ringrift.selfplay.workers import WorkerPool
sys.path.insert(0, {folder!r})
from jobs import job
if __name__ == "__main__":
    with WorkerPool(2, 8) as pool:
        for record, _ in play_games(job(), range(10**6), 7, pool=pool):
            print(*pool.pids, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(folder=str(Path(__file__).parent)))
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        pids = [int(p) for p in parent.stdout.readline().split()]
        assert len(pids) == 2
        if number == signal.SIGINT:
            os.killpg(parent.pid, number)  # as a terminal does
        else:
            parent.send_signal(number)
        parent.wait(20)
        deadline = time.monotonic() + 10
        while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [pid for pid in pids if alive(pid)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False
