"""`kill -9` of the generator, of its workers and of a store's writer at random instants."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from ringrift.core.files import open_sqlite
from ringrift.records import GameStore, Journal, verify
from ringrift.records.journal import MAGIC
from ringrift.records.jsonl import read_jsonl
from ringrift.selfplay.generator import play_here
from ringrift.selfplay.run_folder import RunFolder, indices_of

from .kill_victims import OVER, a_plan
from .runs import NAME

TESTS = Path(__file__).parents[1]
MODULE = "selfplay.kill_victims"
KINDS = ("generator", "worker", "store writer")
WORKER = "spawn_main"
JSON_FILES = {"header.json", "checkpoint.json", "summary.json"}
CUT_SHARE = 0.5
"""After so many deaths of the generator a part of the last game is missing, as if the machine died."""
END_S = 120.0
KILLS, GAMES = 100, 250
"""The games are those of one run; there are as many runs as the kills need."""
FEW = ("generator", "generator", "worker", "store writer") * 2 + KINDS[:2]
FEW_GAMES = 60
FEW_APART_S = 0.1
"""Most seconds from a life's first game, or from the kill before, to one of the few kills."""


class Nursery:
    """A process that forks victims which have all code loaded. A context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, "serve"],
            cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()

    def ask(self, *words: object) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def start(self, kind: str, folder: Path, seed: int, games: int) -> Victim:
        pid = int(self.ask("start", kind, folder, seed, games))
        return Victim(kind, folder, Fork(self, pid), folder / f"{kind}.out")


@dataclass
class Fork:
    """A process of a nursery, used as one of `subprocess` is."""

    nursery: Nursery
    pid: int
    code: int | None = None

    def poll(self) -> int | None:
        if self.code is None:
            answer = self.nursery.ask("poll", self.pid)
            self.code = None if answer == "-" else int(answer)
        return self.code

    def wait(self, timeout: float = END_S) -> int:
        deadline_s = time.monotonic() + timeout
        while self.poll() is None:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        assert self.code is not None
        return self.code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


@dataclass
class Victim:
    """A process of `kill_victims.py`, what it has printed, and when it began."""

    kind: str
    folder: Path
    process: subprocess.Popen[bytes] | Fork
    said: Path
    began_s: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, kind: str, folder: Path, seed: int, games: int) -> Victim:
        said = folder / f"{kind}.out"
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, kind, str(folder), str(seed), str(games)],
            cwd=TESTS, stdout=said.open("wb"), stderr=subprocess.STDOUT,
        )  # fmt: skip
        return cls(kind, folder, process, said)

    @property
    def lines(self) -> list[str]:
        whole = self.said.read_text().rpartition("\n")[0]
        return [line for line in whole.splitlines() if line.replace(" ", "").isdigit()]

    @property
    def workers(self) -> list[psutil.Process]:
        try:
            children = psutil.Process(self.process.pid).children()
            forked = isinstance(self.process, Fork)
            return [c for c in children if forked or any(WORKER in word for word in c.cmdline())]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def rest(self) -> int:
        return self.process.wait(END_S)


@dataclass(frozen=True)
class Kill:
    """One death: who, how many seconds after the process began, and how far the run was."""

    victim: str
    after_s: float
    games: int | None

    @property
    def at_work(self) -> bool:
        return self.games is not None


class Round:
    """One run that is killed and goes on until its games are there. A context manager.

    `wanted` are its games, played beforehand and never cut.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        games: int,
        start: Callable[[str, Path, int, int], Victim] = Victim.start,
    ) -> None:
        folder.mkdir()
        self.folder, self.seed, self.games, self._begin = folder, seed, games, start
        made = a_plan(seed)
        plans = made.games(range(games))
        self.wanted = {game[0].id: game for game in play_here(made.job(NAME), plans)}
        assert len(self.wanted) == games
        self.player, self.gatherer = self._start("play"), self._start("gather")
        self.held: int | None = None

    def __enter__(self) -> Round:
        return self

    def __exit__(self, *_error: object) -> None:
        self.player.kill()
        self.gatherer.kill()

    def _start(self, kind: str) -> Victim:
        return self._begin(kind, self.folder, self.seed, self.games)

    @property
    def over(self) -> bool:
        """Whether the games are there; a run that ended without them goes on."""
        code = self.player.process.poll()
        if code not in (None, 0):
            assert code == 3, self.player.said.read_text()
            self.player = self._start("play")
        return code == 0

    @property
    def played(self) -> int:
        """How many games this life of the generator has finished."""
        lines = self.player.lines
        return int(lines[-1].split()[1]) if lines else 0

    def first_game_s(self) -> float:
        """Wait for the first game; return the seconds since the generator's start."""
        while not self.played:
            assert self.player.process.poll() is None, self.player.said.read_text()
            time.sleep(0.02)
        return time.monotonic() - self.player.began_s

    def strike(self, rng: random.Random, kind: str | None = None) -> Kill | None:
        """Kill a process, of a kind or at random; None if that one is not there now."""
        kind = kind or rng.choice(KINDS)
        player = self.player
        games = sum(map(int, player.lines[-1].split())) if self.played else None
        if kind == "worker":
            workers = player.workers
            if not workers:
                return None
            worker = rng.choice(workers)
            try:
                after_s = time.time() - worker.create_time()
                os.kill(worker.pid, signal.SIGKILL)
            except (psutil.NoSuchProcess, ProcessLookupError):
                return None
            return Kill(kind, after_s, games)
        victim = self.gatherer if kind == "store writer" else player
        if victim.process.poll() is not None:
            return None
        victim.kill()
        kill = Kill(kind, time.monotonic() - victim.began_s, games)
        said = victim.lines
        if kind == "generator":
            self._look_at_what_is_left(said)
            if rng.random() < CUT_SHARE:
                self._tear(rng)
            self.player = self._start("play")
        else:
            self.gatherer = self._start("gather")
        return kill

    def _look_at_what_is_left(self, said: list[str]) -> None:
        """Check the files of a dead run, and that it had gone on with all that was held before."""
        if said and self.held is not None:
            assert int(said[0].split()[0]) == self.held
        run = self.folder / "run"
        for path in run.iterdir() if run.exists() else ():
            if path.name in JSON_FILES:
                json.loads(path.read_text())
            else:
                assert path.name == ".run.lock" or path.name.endswith(".partial"), path
        checkpoint = RunFolder(run).checkpoint
        done = set() if checkpoint is None else indices_of(checkpoint["done"])
        for game, analyses in self._journaled():
            assert len(analyses) == 2
            for analysis in analyses:
                verify(game, analysis)
            assert game.meta.index is not None
            done.add(game.meta.index)
        self.held = len(done)

    def _journaled(self) -> list[tuple]:  # type: ignore[type-arg]
        return list(Journal.read_groups(self.journal)) if self.journal.exists() else []

    @property
    def journal(self) -> Path:
        return self.folder / f"{NAME}.journal"

    def _tear(self, rng: random.Random) -> None:
        """Cut into the last game that the journal holds."""
        if not self.journal.exists() or not self._journaled():
            return
        size = self.journal.stat().st_size
        os.truncate(self.journal, max(len(MAGIC), size - rng.randrange(1, 40)))
        self.held = None  # whether a checkpoint has the game is not looked at

    def finish(self) -> int:
        """Let the run come to its end and compare it with what is wanted; return its games."""
        while not self.over:
            time.sleep(0.05)
        self.player.rest()
        (self.folder / OVER).touch()
        if self.gatherer.process.poll() is None:
            assert self.gatherer.rest() == 0
        wanted = self.wanted
        for name in ("games.db", "gathered.db"):
            path = self.folder / name
            with GameStore.open(path) as store:
                assert sorted(store.game_ids()) == sorted(wanted), name
                assert store.quarantined() == []
                assert store.verify_all().failures == ()
                for identity, (_, analyses) in wanted.items():
                    found = {analysis.id for analysis in store.analyses(identity)}
                    assert found == {analysis.id for analysis in analyses}, name
            with closing(open_sqlite(path, readonly=True)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        lines = Counter(
            (game.id, None if analysis is None else analysis.agent)
            for game, analysis in read_jsonl(self.folder / "games.jsonl")
        )
        assert lines == Counter((one.game, one.agent) for _, two in wanted.values() for one in two)
        assert not self.journal.exists()
        run = self.folder / "run"
        assert {path.name for path in run.iterdir()} == JSON_FILES | {".run.lock"}
        assert json.loads((run / "summary.json").read_text())["games"] == self.games
        return self.games


@pytest.mark.slow
def test_ten_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """The processes are forks, which are there at once; those of a hundred kills are spawned."""
    rng, rounds = random.Random(10), 0
    left = list(FEW)
    done: list[Kill] = []
    with Nursery() as nursery:
        while left:
            rounds += 1
            place = tmp_path / f"round{rounds}"
            with Round(place, rounds, FEW_GAMES, nursery.start) as one:
                while left and not one.over:
                    early = len(left) < len(FEW) and done[-1].victim == left[0]
                    if not early and not one.played:
                        time.sleep(0.01)
                        continue
                    time.sleep(rng.uniform(0, FEW_APART_S))
                    kill = one.strike(rng, left[0])
                    if kill is not None:
                        left.pop(0)
                        done.append(kill)
                one.finish()
    print(f"{sum(kill.at_work for kill in done)} of {len(done)} kills at work, {rounds} runs")
    assert sum(kill.at_work for kill in done) >= len(FEW) // 2


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
def test_a_hundred_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Between two kills is up to 1.2 times what a start takes to its first game."""
    rng, done, rounds, whole, most_s = random.Random(100), [], 0, 0, 0.0
    while len(done) < KILLS:
        rounds += 1
        with Round(tmp_path / f"round{rounds}", rounds, GAMES) as one:
            most_s = most_s or 1.2 * one.first_game_s()
            while len(done) < KILLS and not one.over:
                time.sleep(rng.uniform(0, most_s))
                kill = one.strike(rng)
                if kill is not None:
                    done.append(kill)
            whole += one.finish()
    for number, kill in enumerate(done, 1):
        far = "the generator starting" if kill.games is None else f"{kill.games} games kept"
        print(f"{number:3} {kill.victim:12} {kill.after_s:6.2f} s old, {far}")
    for kind in KINDS:
        own = [kill for kill in done if kill.victim == kind]
        print(f"{kind}: {len(own)} kills, {sum(kill.at_work for kill in own)} of them at work")
        assert own
    print(f"{whole} games in {rounds} runs, each there once")
    print(f"up to {most_s:.2f} s from one kill to the next")
    assert sum(kill.at_work for kill in done) >= KILLS // 5
