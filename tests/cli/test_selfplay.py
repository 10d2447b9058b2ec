"""`ringrift selfplay`: the documented lines, what they leave, kills and signals."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from ringrift.core.paths import Paths
from ringrift.nets.nnue.file import init_nnue
from ringrift.records import GameStore
from ringrift.records.sources import read_games
from ringrift.rules import BoardSpec

from ..records.tables import tamper


@pytest.fixture
def root(tmp_path, monkeypatch):
    folder = tmp_path / "root"
    Paths(folder).create()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return folder


@pytest.fixture
def play(spawn, root):
    """Run a self-play command in the root; returns (code, result or None, stderr)."""

    def run(*words, env=None, json_mode=True):
        more = ["--json"] if json_mode else []
        process = spawn("selfplay", *words, "--root", str(root), "--no-wait", *more, env=env)
        out, err = process.communicate(timeout=280)
        return process.returncode, json.loads(out) if out and json_mode else None, err

    return run


def ids(root):
    with GameStore.open(root / "data" / "games" / "games.db") as store:
        return sorted(store.game_ids())


QUICK = ("--engine-mode", "random-only", "--workers", "1")


def test_a_dry_run_names_agents_seeds_and_needs_and_writes_nothing(ringrift, root):
    before = sorted(root.rglob("*"))
    code, out, _ = ringrift(
        "selfplay", "run", "--root", root, "--agent", "mcts:eval=heuristic,sims=8",
        "--dry-run", "--json",
    )  # fmt: skip
    assert code == 0
    found = json.loads(out)
    (agent,) = found["plan"]["agents"]
    assert len(agent["hash"]) == 64
    assert "sims=8" in agent["spec"]
    assert found["games"] == 50
    assert len(found["first_seeds"]) == 3
    assert found["disk_mb"] > 0
    assert found["memory_mb"] > 0
    assert found["device"].startswith("cpu (")
    assert found["plan"]["device"] == "cpu"
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gpu", "--device", "cuda"], "no device cuda"),
        (["hybrid", "--no-numba", "--benchmark"], "compiled code alone"),
        (["run", "--device", "tpu"], "unknown device 'tpu'"),
        (["run", "--device", "cuda:x"], "unknown device 'cuda:x'"),
        (["run", "--engine-mode", "bogus"], "unknown engine mode 'bogus'"),
        (["hybrid", "--engine-mode", "gumbel-mcts"], "--nn-model-id none"),
        (["run", "--agent", "random", "--engine-mode", "mixed"], "exclude each other"),
        (["run", "--agent", "random,random"], "2 agents"),
        (["run", "--max-moves", "x"], "no number of plies"),
        (["hybrid", "--p3-engine-mode", "random-only"], "seat 3 of 2"),
        (["run", "--nn-model-id", "abcdef", "--engine-mode", "mcts"], "abcdef"),
        (["run", "--opening-random-moves", "5-2"], "opening choices"),
        (["run", "--temperature-preset", "hot"], "hot"),
        (["run", "--fork-fraction", "0.5"], "no stored game"),
    ],
)
def test_what_does_not_fit_is_exit_2(ringrift, root, words, said):
    if "cuda" in words and Path("/dev/nvidiactl").exists():
        pytest.skip("a CUDA device is here")
    code, _, err = ringrift("selfplay", *words, "--root", root)
    assert (code, err.count("\n")) == (2, 1), err
    assert said in err
    assert not list((root / "data" / "selfplay").iterdir())


@pytest.mark.acceptance
def test_kills_lose_nothing_and_double_nothing(play, spawn, root, tmp_path):
    line = ("run", *QUICK, "--num-games", "30", "--games-per-worker", "4", "--output-dir", "one")
    for number, expected in ((signal.SIGKILL, -9), (signal.SIGTERM, 143)):
        more = ["--resume"] if expected == 143 else []
        process = spawn("selfplay", *line, *more, "--root", str(root), "--no-wait")
        journal = root / "spool"
        deadline = time.monotonic() + 120
        seen = _size(journal)
        while _size(journal) <= max(seen, 9) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode in (expected, 0)
    code, found, err = play(*line, "--resume")
    assert code == 0, err
    assert found["games"] == 30
    assert found["resumed"] > 0
    assert found["duplicates"] == 0
    resumed = ids(root)
    assert len(resumed) == 30
    (root / "data" / "games" / "games.db").unlink()
    code, found, err = play(*line[:-1], "two")
    assert code == 0, err
    assert ids(root) == resumed


@pytest.mark.slow
def test_without_numba_every_game_is_replayed_in_plain_python(play, root):
    code, found, err = play("hybrid", *QUICK, "--no-numba", "--num-games", "2", "--max-moves", "30")
    assert code == 0, err
    assert found["tags"] == {"plain-rules": 2}
    assert found["anomalies"] == {}
    assert len(ids(root)) == 2


def _size(folder):
    return sum(path.stat().st_size for path in folder.glob("*.journal"))


@pytest.mark.acceptance
def test_a_watched_run_goes_on_after_its_alias_has_moved(play, root, tmp_path):
    link = root / "models" / "ringrift_best_sq8_2p.safetensors"
    files = [
        init_nnue(BoardSpec.create("square8"), folder=tmp_path, seed=seed, hidden=32, policy=True)
        for seed in (1, 2)
    ]
    link.symlink_to(files[0])
    line = (
        "run", "--engine-mode", "gumbel-mcts", "--mcts-sims", "2", "--workers", "1", "--output-dir",
        "one", "--watch-model-updates", "--model-reload-interval", "2", "--max-moves", "40",
    )  # fmt: skip
    code, found, err = play(*line, "--num-games", "4")
    assert (code, found and found["games"]) == (0, 4), err
    link.unlink()
    link.symlink_to(files[1])
    code, found, err = play(*line, "--num-games", "8", "--resume")
    assert (code, found and found["games"]) == (0, 8), err
    assert found["resumed"] == 4
    code, _, err = play(*line[:-5], "--num-games", "9", "--resume", "--max-moves", "40")
    assert code == 4, err  # not watched: another model is another run


@pytest.mark.acceptance
@pytest.mark.timed
def test_an_emergency_stop_ends_a_run_with_75_and_keeps_its_games(spawn, root):
    process = spawn(
        "selfplay", "run", *QUICK, "--num-games", "100000", "--root", str(root), "--no-wait"
    )
    deadline = time.monotonic() + 120
    while _size(root / "spool") <= 9 and time.monotonic() < deadline:
        time.sleep(0.01)
    (root / "data" / "coordination" / "EMERGENCY_HALT").touch()
    halted = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert time.monotonic() - halted < 5
    assert "halted" in err
    assert ids(root)


LINES = [
    (
        "soak --num-games 2 --engine-mode random-only --log-jsonl soak.jsonl --summary-json s.json "
        "--square8-state-pool-output --streaming-record --emit-events"
    ),
    (
        "hybrid --board-type hex8 --engine-mode gumbel-mcts --nn-model-id none --mcts-sims 2 "
        "--max-moves 30 --num-games 2 --parity-mode off"
    ),
    (
        "gpu --board-type square8 --num-games 4 --max-moves 60 --temperature-mix random "
        "--shadow-sample-rate 1 --min-game-length 61"
    ),
]


@pytest.mark.acceptance
def test_the_documented_lines_run_and_records_say_what_played(play, root, tmp_path):
    soak, hybrid, gpu = (play(*line.split(), "--workers", "1") for line in LINES)
    for code, _, err in (soak, hybrid, gpu):
        assert code == 0, err
    assert json.loads((tmp_path / "s.json").read_text())["games"] == 2
    assert len((tmp_path / "soak.jsonl").read_text().splitlines()) == 2
    pool = (root / "data" / "eval_pools" / "square8" / "pool_v1.jsonl").read_text().splitlines()
    assert {"id", "config", "start", "moves", "rules_hash"} == json.loads(pool[0]).keys()
    assert [agent["spec"] for agent in hybrid[1]["agents"]] == [
        "gumbel:eval=heuristic,scale=1,sims=2"
    ]
    assert gpu[1]["shadow"] == {"checked": 4, "differing": 0}
    assert gpu[1]["tags"]["short"] == 4
    assert gpu[1]["folder"] == str(root / "data" / "selfplay" / "gpu")
    with GameStore.open(root / "data" / "games" / "games.db") as store:
        records = [record for _, record, _ in store.records()]
    assert len(records) == 8
    by_run = {record.meta.run: record for record in records}
    assert len(by_run) == 3


@pytest.mark.acceptance
def test_python_strict_and_the_health_check(play, root):
    code, found, err = play("soak", "--profile", "python-strict", "--engine-mode", "random-only")
    assert code == 0, err
    assert found["games"] == 6
    assert found["seed"] == 1764142864
    code, found, err = play("soak", "--profile", "ai-healthcheck", "--max-moves", "60")
    assert code == 0, err
    assert found["complete"]
    assert len(found["configurations"]) == 12
    assert all(one["games"] == 2 for one in found["configurations"])


@pytest.mark.acceptance
def test_kill_minus_nine_at_ten_instants(play, spawn, root):
    line = ("run", "--engine-mode", "random-only", "--num-games", "400", "--workers", "2")
    resume: list[str] = []
    for turn in range(10):
        process = spawn(
            "selfplay", *line, *resume, "--output-dir", "cut", "--root", str(root), "--no-wait"
        )
        seen, deadline = _size(root / "spool"), time.monotonic() + 60
        while _size(root / "spool") == seen and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05 * turn)
        if turn % 2 and process.poll() is None:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            if children:  # none are left where all games are played
                os.kill(int(children[-1]), signal.SIGKILL)
            time.sleep(0.2)
        process.kill()
        process.communicate(timeout=60)
        resume = ["--resume"]
    code, found, err = play(*line, "--resume", "--output-dir", "cut")
    assert code == 0, err
    assert (found["games"], found["duplicates"]) == (400, 0)
    cut = ids(root)
    (root / "data" / "games" / "games.db").unlink()
    code, _, err = play(*line, "--output-dir", "whole")
    assert code == 0, err
    assert ids(root) == cut
    assert len(cut) == 400


@pytest.mark.slow
def test_canonical_games_pass_and_a_tampered_one_is_named(play, root, tmp_path):
    line = ("canonical", "--board-type", "square8", "--num-games", "2", "--workers", "1")
    summary = tmp_path / "s" / "summary.json"
    code, found, err = play(*line, "--summary", str(summary), "--analysis-dir", str(tmp_path / "a"))
    assert code == 0, err
    assert found["canonical_ok"]
    assert found["db_stats"]["games_total"] == 2
    fields = json.loads(summary.read_text())
    assert fields.items() <= found.items()
    assert fields["canonical_config"]["ok"]
    assert json.loads((tmp_path / "a" / "square8_2p.json").read_text())["games"] == 2
    (game, _) = ids(root)
    store = root / "data" / "games" / "games.db"
    tamper(store, "UPDATE games SET winner = 3 - winner WHERE id = ?", game)
    code, found, err = play(*line, "--resume")
    assert (code, found["ok"], found["canonical_ok"]) == (1, False, False)
    assert game in json.dumps(found["parity_gate"])


def test_canonical_on_hosts_without_a_bus_is_exit_3(ringrift, root):
    code, _, err = ringrift("selfplay", "canonical", "--hosts", "a,b", "--root", root)
    assert (code, err.count("\n")) == (3, 1), err


@pytest.mark.slow
def test_games_are_searched_again_into_a_file_and_into_the_store(play, ringrift, root, tmp_path):
    code, _, err = play("run", *QUICK, "--num-games", "3", "--max-moves", "40")
    assert code == 0, err
    code, found, err = play("reanalyze", "--mcts-sims", "4", "--workers", "1")
    assert (code, found["searched"], found["done"]) == (0, 3, 0), err
    assert found["agents"] == {"square8_2p": "mcts:sims=4"}
    assert found["plies"] > 3
    code, again, err = play("reanalyze", "--mcts-sims", "4", "--workers", "1")
    assert (code, again["searched"], again["done"]) == (0, 0, 3), err
    games, searched = tmp_path / "games.jsonl", tmp_path / "mcts_games.jsonl"
    code, _, err = ringrift("games", "export", "--output", games, "--root", root)
    assert code == 0, err
    line = (
        "reanalyze",
        "-i",
        str(games),
        "-o",
        str(searched),
        "--mcts-sims",
        "5",
        "--workers",
        "1",
    )
    code, found, err = play(*line)
    assert (code, found["searched"]) == (0, 3), err
    assert not (tmp_path / "mcts_games.jsonl.journal").exists()
    before = searched.read_bytes()
    code, _, err = play(*line)
    assert code == 2
    assert "--append" in err
    code, found, err = play(*line, "--append")
    assert (code, found["done"]) == (0, 3), err
    assert searched.read_bytes() == before
    code, out, _ = ringrift("games", "verify", searched, "--json")
    assert (code, json.loads(out)["games"]) == (0, 3)


@pytest.mark.slow
def test_a_killed_reanalysis_goes_on(play, spawn, root, tmp_path):
    code, _, err = play("run", *QUICK, "--num-games", "24", "--max-moves", "60")
    assert code == 0, err
    line = ("reanalyze", "-i", str(root / "data" / "games" / "games.db"), "--mcts-sims", "8",
            "--workers", "1", "-o", str(tmp_path / "out.jsonl"))  # fmt: skip
    process = spawn("selfplay", *line, "--root", str(root), "--no-wait")
    journal = tmp_path / "out.jsonl.journal"
    deadline = time.monotonic() + 120
    while not (journal.exists() and journal.stat().st_size > 9) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=60)
    assert not (tmp_path / "out.jsonl").exists()
    code, found, err = play(*line)
    assert code == 0, err
    assert found["searched"] + found["done"] == 24
    assert found["done"] >= 1
    games = [game.id for game, _ in read_games(tmp_path / "out.jsonl")]
    assert sorted(games) == ids(root)
