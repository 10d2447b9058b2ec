"""Soak in miniature: 20,000 games between whatever agents there are, none aborted, memory flat.

One process plays chunk after chunk: a configuration, an agent drawn for each seat, a number of random
plies first, and a ply limit that cuts most games soon after. A share of the chunks plays to the end.
Every chunk is a line of a log in the folder, with the memory that the process has after it; chunks
that are there already are not played again. From the shell, with its progress:

    python tests/evaluation/test_agent_soak.py FOLDER [GAMES]
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringrift.agents.benchmarks.process import rss
from ringrift.nets.model_file import init_model
from ringrift.nets.nnue.file import init_nnue
from ringrift.records.record import default_max_plies
from ringrift.records.verify import verify
from ringrift.rules import BOARDS, BoardSpec
from ringrift.rules.jitconf import source_key
from ringrift.selfplay.generator import play_here
from ringrift.selfplay.plans import GamePlan, PlayJob, game_seed

GAMES = 20_000
CHUNK = 20
MOST_GROWTH_BYTES = 1024
"""Growth of the playing process per game."""

WARM_CHUNKS = 200
"""Chunks until every agent has played on every board, and buffers have met their largest games."""

RUN_SEED = 5
MODELS = {"aaaaaa": "net", "bbbbbb": "nnue", "cccccc": "nnue-policy"}
LIGHT = (
    "random",
    "heuristic:mode=light,tau=0.1",
    "mix(random*1;heuristic:mode=light*1)",
    "policy@cccccc",
    "ladder:level=1",
)
SPECS = (
    *LIGHT,
    "heuristic",
    "heuristic:eps=0.2,noise=0.2",
    "alphabeta:depth=1,q=2,tt_mb=1",
    "alphabeta:depth=3,nodes=100,tt_mb=1",
    "alphabeta@bbbbbb:depth=1,q=2,tt_mb=1",
    "paranoid:depth=2,nodes=100,tt_mb=1",
    "maxn:depth=1,nodes=100,tt_mb=1",
    "brs:depth=2,nodes=100,tt_mb=1",
    "mcts:sims=4",
    "mcts:eval=rollout,sims=2",
    "mcts@aaaaaa:sims=2",
    "mcts@bbbbbb:sims=4",
    "gumbel:eval=heuristic,m=4,sims=4",
    "gumbel@aaaaaa:m=2,sims=2",
    "gumbel@cccccc:m=4,sims=4",
    "policy@aaaaaa",
    "descent:sims=2",
    "descent@bbbbbb:sims=2",
    "ladder:level=2",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Games `index * CHUNK` and on: who plays, after how many random choices, for how many plies."""

    index: int
    spec: BoardSpec
    agents: tuple[str, ...]
    random_choices: int
    max_plies: int
    whole: bool

    @classmethod
    def drawn(cls, index: int) -> Chunk:
        """Draw a chunk from its index alone."""
        draw = random.Random(f"{RUN_SEED} {index}")
        spec = BoardSpec.create(list(BOARDS)[index % 4], 2 + index // 4 % 3)
        small = spec.board in ("square8", "hex8")
        whole = draw.random() < (0.25 if small else 0.15)
        if whole:
            pool, choices, plies = (SPECS if small else LIGHT), draw.randrange(9), 0
        else:
            pool, choices = SPECS, draw.randrange(60 if small else 400)
            plies = 2 * choices + (20 if small else 8)
        return cls(
            index=index,
            spec=spec,
            agents=tuple(draw.choice(pool) for _ in range(spec.players)),
            random_choices=choices,
            max_plies=plies or default_max_plies(spec),
            whole=whole,
        )


def play_chunk(chunk: Chunk, models: Path, games: int) -> dict[str, Any]:
    """Play a chunk in this process and say what came of it."""
    agents = tuple(dict.fromkeys(chunk.agents))
    seats = [agents.index(text) for text in chunk.agents]
    named = " ".join(agents)
    job = PlayJob(
        spec=chunk.spec,
        agents=agents,
        max_plies=chunk.max_plies,
        models={
            name: str(model(kind, chunk.spec, models))
            for name, kind in MODELS.items()
            if name in named
        },
        purpose="soak",
        run="soak",
        check_invariants=True,
    )
    plans = [
        GamePlan(
            index=index,
            seed=game_seed(RUN_SEED, chunk.spec.config, index),
            seats=tuple(seats[index % len(seats) :] + seats[: index % len(seats)]),
            random_choices=chunk.random_choices,
        )
        for index in range(chunk.index * CHUNK, chunk.index * CHUNK + games)
    ]
    begun_s = time.perf_counter()
    ends: Counter[str] = Counter()
    reasons: list[str] = []
    plies = 0
    for record, _ in play_here(job, plans):
        if not ends and record.result.end != "aborted":
            verify(record)
        ends[record.result.end] += 1
        plies += record.result.plies
        if record.result.end == "aborted":
            reasons.append(f"game {record.meta.index}: {record.result.reason}")
    return {
        "chunk": chunk.index,
        "config": chunk.spec.config,
        "agents": chunk.agents,
        "games": games,
        "plies": plies,
        "ends": dict(ends),
        "aborted": reasons,
        "seconds": round(time.perf_counter() - begun_s, 3),
    }


def model(kind: str, spec: BoardSpec, folder: Path) -> Path:
    """Write a model of random weights; the second time it is there already."""
    if kind == "net":
        return init_model(spec, size="micro", seed=1, folder=folder)
    return init_nnue(spec, folder=folder, seed=1, hidden=64, policy=kind == "nnue-policy")


def soak(folder: Path, games: int) -> None:
    """Play the chunks that the log lacks, in this process, and add a line for each."""
    log = folder / "soak.jsonl"
    done = {line["chunk"] for line in lines(log)}
    begun_s, played = time.monotonic(), 0
    for index in range(-(-games // CHUNK)):
        if index in done:
            continue
        found = play_chunk(Chunk.drawn(index), folder / "models", min(CHUNK, games - index * CHUNK))
        gc.collect()
        found |= {"process": os.getpid(), "rss": rss()}
        with log.open("a", encoding="utf-8") as out:
            out.write(json.dumps(found) + "\n")
        played += found["games"]
        took_s = time.monotonic() - begun_s
        print(
            f"{index * CHUNK + found['games']:,} of {games:,} games, {played / took_s:.1f} a second, "
            f"{found['rss'] / 2**20:.1f} MiB, {found['config']} {' '.join(found['agents'])}",
            flush=True,
        )


def lines(log: Path) -> list[dict[str, Any]]:
    """Read a log; a last line that a kill cut short is dropped from the file."""
    if not log.exists():
        return []
    found, end = [], 0
    data = log.read_bytes()
    for line in data.splitlines(keepends=True):
        with contextlib.suppress(ValueError):
            if line.endswith(b"\n"):
                found.append(json.loads(line))
                end += len(line)
    if end < len(data):
        os.truncate(log, end)
    return found


def growth(games: Iterable[int], sizes: Iterable[int]) -> float:
    """Return bytes per game: the median slope between any two points (Theil 1950, Sen 1968)."""
    x, y = np.array(list(games), np.float64), np.array(list(sizes), np.float64)
    first, second = np.triu_indices(len(x), 1)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))


def report(found: list[dict[str, Any]], warm: int = WARM_CHUNKS) -> dict[str, Any]:
    """Sum up a log: games by how they ended, and the growth of the process that played longest."""
    ends: Counter[str] = Counter()
    for line in found:
        ends.update(line["ends"])
    process, _ = Counter(line["process"] for line in found).most_common(1)[0]
    own = [line for line in found if line["process"] == process][warm:]
    games = np.cumsum([line["games"] for line in own]).tolist()
    return {
        "games": sum(line["games"] for line in found),
        "plies": sum(line["plies"] for line in found),
        "hours": round(sum(line["seconds"] for line in found) / 3600, 2),
        "ends": dict(ends),
        "aborted": [reason for line in found for reason in line["aborted"]],
        "configs": len({line["config"] for line in found}),
        "specs": len({text for line in found for text in line["agents"]}),
        "measured_games": sum(line["games"] for line in own),
        "growth_bytes_per_game": growth(games, (line["rss"] for line in own)),
    }


@pytest.mark.acceptance
@pytest.mark.timeout(6 * 3600)
def test_twenty_thousand_games_of_all_agents_none_aborted_and_memory_flat(
    request: pytest.FixtureRequest,
) -> None:
    """A run that was ended goes on where it was, unless the compiled sources have changed."""
    cache = request.config.cache
    assert cache is not None
    folder = cache.mkdir("agent-soak") / source_key("selfplay")
    folder.mkdir(exist_ok=True)
    subprocess.run([sys.executable, __file__, str(folder), str(GAMES)], check=True)
    found = report(lines(folder / "soak.jsonl"))
    print(json.dumps(found))
    shutil.rmtree(folder)
    assert found["aborted"] == []
    assert (found["games"], found["configs"], found["specs"]) == (GAMES, 12, len(SPECS))
    assert found["ends"]["game_over"] > GAMES / 10
    assert found["growth_bytes_per_game"] < MOST_GROWTH_BYTES


def test_chunks_cover_every_configuration_and_agent() -> None:
    chunks = [Chunk.drawn(index) for index in range(WARM_CHUNKS)]
    assert Counter(chunk.spec.config for chunk in chunks).keys() == {
        f"{board}_{players}p" for board in BOARDS for players in (2, 3, 4)
    }
    assert {text for chunk in chunks for text in chunk.agents} == set(SPECS)
    assert 0.1 < sum(chunk.whole for chunk in chunks) / len(chunks) < 0.3
    assert Chunk.drawn(7) == Chunk.drawn(7)


@pytest.mark.acceptance
def test_a_few_chunks_play_and_go_on_where_they_ended(tmp_path: Path) -> None:
    for index in range(4):
        chunk = Chunk.drawn(index)
        light = Chunk(
            index=index,
            spec=chunk.spec,
            agents=tuple(LIGHT[(index + seat) % 3] for seat in range(chunk.spec.players)),
            random_choices=chunk.random_choices,
            max_plies=chunk.max_plies,
            whole=chunk.whole,
        )
        found = play_chunk(light, tmp_path, 4)
        assert found["aborted"] == []
        assert sum(found["ends"].values()) == 4
    log = tmp_path / "soak.jsonl"
    line = {"chunk": 0, "games": CHUNK}
    log.write_text(json.dumps(line) + "\n" + '{"chunk": 1, "ga', encoding="utf-8")
    assert lines(log) == [line]
    soak(tmp_path, CHUNK)
    assert lines(log) == [line]


def test_growth_is_found_among_steps_and_noise() -> None:
    draw = random.Random(1)
    games = range(0, 20_000, CHUNK)
    flat = [10**8 + draw.randrange(10**6) for _ in games]
    flat[500:] = [size + 10**6 for size in flat[500:]]
    leak = [size + 2000 * game for size, game in zip(flat, games, strict=True)]
    assert growth(games, flat) < 200
    assert 1900 < growth(games, leak) < 2200


if __name__ == "__main__":
    soak(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else GAMES)
