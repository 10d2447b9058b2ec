"""`eval gauntlet` and `eval two-stage` with real models, real games and real kills."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringrift.cli.invocation import begin
from ringrift.cli.reference.schemas import schema_of
from ringrift.core.paths import Paths
from ringrift.loop.promoting import Promoting
from ringrift.models.aliases import read_aliases
from ringrift.models.decisions import append, read_chain
from ringrift.nets.nnue.file import init_nnue
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "loop"))
sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from games import games
from json_schema import problems
from made_matches import store_games

del sys.path[:3]

CONFIG = "square8_2p"
PROGRAM = Path(sys.executable).with_name("ringrift")
ENOUGH = ("--stage1-threshold", "0", "--stage1-games", "2", "--stage2-games", "2", "--sims", "2",
          "-j", "1")  # fmt: skip


@pytest.fixture
def root(tmp_path, monkeypatch, ringrift):
    """A root with a champion and a second model."""
    folder = tmp_path / "root"
    assert ringrift("--root", folder, "--yes", "config", "init")[0] == 0
    spec = BoardSpec.create("square8", 2)
    ids = [
        init_nnue(spec, folder=folder / "models" / "objects", seed=s, hidden=32).stem
        for s in range(2)
    ]
    decisions = folder / "models" / "decisions"
    append(
        decisions, read_chain(decisions, CONFIG), kind="promoted", candidate=ids[0], reason="first"
    )
    monkeypatch.setenv("RINGRIFT_ROOT", str(folder))
    return folder, ids


@pytest.fixture
def run(ringrift):
    def call(*words):
        code, out, err = ringrift("eval", *words, "--json")
        found = json.loads(out)
        if "error" not in found:
            assert problems(schema_of(f"eval {words[0]}"), found) == []
        return code, found, err

    return call


def games_of(folder):
    """The stored match games; none while the store is being made."""
    try:
        return read_games(folder)
    except sqlite3.OperationalError:
        return []


def read_games(folder):
    with sqlite3.connect(folder / "data" / "games" / "games.db") as db:
        return sorted(db.execute("SELECT id, run, \"index\" FROM games WHERE purpose = 'match'"))


def test_without_anything_the_stored_table_is_shown(root, run):
    code, found, _ = run("gauntlet")
    assert (code, found["models"]) == (0, [])
    assert not (root[0] / "data" / "baseline_gauntlet_results.json").exists()


def test_a_plan_changes_nothing(root, run, tmp_path):
    folder, ids = root

    def files():
        """All but the index of the registry, which follows from the files."""
        return sorted(path for path in folder.rglob("*") if "registry" not in path.name)

    before = files()
    code, found, _ = run("gauntlet", "--model", "champion", "--diverse", "--dry-run")
    assert code == 0
    assert {plan["model_id"] for plan in found["plans"]} == {ids[0]}
    assert len(found["plans"]) > 5
    code, found, _ = run("two-stage", "--run", "--dry-run")
    assert code == 0
    assert {m["model_id"] for m in found["models"]} == set(ids)
    assert all(plan["stored"] == 0 for plan in found["plans"])
    outside = init_nnue(BoardSpec.create("square8", 2), folder=tmp_path / "x", seed=9, hidden=32)
    code, found, _ = run("gauntlet", "--model", str(outside), "--dry-run")
    assert {plan["model_id"] for plan in found["plans"]} == {outside.stem}
    assert files() == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["gauntlet", "--model", "nobody"], "nobody"),
        (["gauntlet", "--model", "champion", "--run"], "--run"),
        (["gauntlet", "--run", "--nn-only", "--nnue-only"], "--nnue-only"),
        (["gauntlet", "--opponents", "rndom", "--run"], "random"),
        (["gauntlet", "--model", "champion", "--board", "hex8"], "hex8_2p"),
        (["two-stage"], "--model REF"),
        (["two-stage", "--model", "champion", "--run"], "--model"),
        (["two-stage", "--run", "--shard", "3", "--num-shards", "3"], "shard 3 of 3"),
        (["two-stage", "--run", "--confidence", "1.0"], "confidence"),
    ],
)
def test_what_makes_no_gauntlet_is_exit_2(root, run, words, told):
    del root
    code, found, err = run(*words)
    assert code == 2
    assert told in found["error"]["message"] + str(found["error"]["hint"]) + err


@pytest.mark.acceptance
@pytest.mark.slow
def test_a_gauntlet_is_played_shown_again_and_drawn(root, run, tmp_path):
    folder, ids = root
    outside = init_nnue(BoardSpec.create("square8", 2), folder=tmp_path / "x", seed=9, hidden=32)
    words = ("gauntlet", "--model", str(outside), "--games", "2", "--sims", "2")
    code, found, _ = run(*words, "--opponents", "random,mcts_100")
    (row,) = found["models"]
    assert code == (1 if "missed" in row["floors"].values() else 0)
    assert row["model_id"] == outside.stem
    assert row["model_path"].startswith("models/objects/")
    assert row["games_played"] == 4
    assert (row["vs_heuristic"], row["score"]) == (None, None)
    assert set(row["floors"]) == {"random", "mcts"}
    view = json.loads((folder / "data" / "baseline_gauntlet_results.json").read_text())
    assert [each["run"] for each in view] == [row["run"]]
    played = games_of(folder)
    assert len(played) == 4
    again, same, _ = run(*words, "--opponents", "mcts,random")
    assert again == code
    assert same["models"][0]["intervals"] == row["intervals"]
    assert games_of(folder) == played
    code, table, _ = run("gauntlet", "--plot", str(tmp_path / "plots"))
    assert table["models"][0]["vs_mcts"] == row["vs_mcts"]
    assert {Path(file).suffix for file in table["files"]} == {".png", ".svg", ".json"}
    assert run("gauntlet", "--results", "--model", ids[0])[1]["models"] == []


@pytest.mark.acceptance
@pytest.mark.slow
def test_two_stages_shards_and_promotion(root, run, monkeypatch):
    folder, ids = root
    for name in ("PROMOTION__MIN_GAMES", "PROMOTION__MAX_GAMES", "EVALUATION__FLOOR_GAMES"):
        monkeypatch.setenv(f"RINGRIFT_{name}", "2")
    monkeypatch.setenv("RINGRIFT_EVALUATION__SIMULATIONS", "2")
    for shard in ("0", "1"):
        code, part, _ = run(
            "two-stage", "--run", *ENOUGH, "--num-shards", "2", "--shard", shard, "--no-record"
        )
        assert code == 0
        mine = {m["model_id"] for m in part["models"]}
        assert mine == {i for i in ids if int(i, 16) % 2 == int(shard)}
        file = folder / "data" / "gauntlet_stage2" / f"{shard}.json"
        assert {m["model_id"] for m in json.loads(file.read_text())["models"]} == mine
    played = games_of(folder)
    code, whole, _ = run("two-stage", "--aggregate", *ENOUGH)
    assert code == 0
    assert {m["model_id"] for m in whole["models"]} == set(ids)
    assert all(m["stage2"]["complete"] for m in whole["models"])
    code, unsharded, _ = run("two-stage", "--run", *ENOUGH)
    assert unsharded["models"] == whole["models"]
    assert games_of(folder) == played
    final = json.loads((folder / "data" / "gauntlet_final_results.json").read_text())
    assert final["models"] == whole["models"]
    best = whole["models"][0]["model_id"]
    code, found, _ = run(
        "two-stage", "--aggregate", *ENOUGH, "--promote", "--promote-threshold", "0",
        "--promote-top-n", "1",
    )  # fmt: skip
    (promotion,) = found["promotions"]
    assert (promotion["model_id"], promotion["alias"]) == (best, f"gauntlet_promoted_{CONFIG}_1")
    assert read_aliases(folder / "models")[promotion["alias"]].id == best
    if best == ids[0]:
        assert (code, promotion["reason"]) == (0, "is the champion")
    else:
        assert promotion["decision"] or promotion["refused"]


@pytest.mark.acceptance
@pytest.mark.slow
def test_one_model_passes_or_not_by_exit_code(root, run):
    del root
    code, found, _ = run("two-stage", "--model", "candidate", *ENOUGH, "--promote-threshold", "0")
    assert (code, found["models"][0]["passed"]) == (0, True)
    code, found, _ = run("two-stage", "--model", "candidate", *ENOUGH, "--promote-threshold", "1")
    assert (code, found["models"][0]["passed"]) == (1, False)


@pytest.mark.acceptance
@pytest.mark.slow
def test_the_documented_names_end_with_the_codes_that_are_said(root, run):
    _, ids = root
    code, found, _ = run("gauntlet", "--model", "models/best.pth", "--games", "2", "--sims", "2")
    (row,) = found["models"]
    assert row["model_id"] == ids[0]
    assert code == int("missed" in row["floors"].values())
    code, found, _ = run("two-stage", "--model", "models/candidate.pth", *ENOUGH)
    (candidate,) = found["models"]
    assert candidate["model_id"] == ids[1]
    assert code == int(not candidate["passed"])
    assert run("gauntlet", "--model", "models/none.pth")[0] == 2
    assert run("two-stage", "--model", "models/none.pth")[0] == 2


@pytest.mark.acceptance
@pytest.mark.slow
def test_the_best_of_the_second_stage_becomes_champion(root, run, monkeypatch):
    """The games of its test are planted: it wins them all. Both stages are played."""
    folder, (old, new) = root
    for name, value in (
        ("PROMOTION__MIN_GAMES", 4),
        ("PROMOTION__MAX_GAMES", 100),
        ("PROMOTION__ELO_THRESHOLD", 100),
        ("EVALUATION__FLOOR_GAMES", 2),
        ("EVALUATION__SIMULATIONS", 2),
    ):
        monkeypatch.setenv(f"RINGRIFT_{name}", str(value))
    paths, invocation = Paths(folder), begin([])
    with GameStore.open(paths.game_store, writer=True) as store:
        store.ingest(games(BoardSpec.create("square8", 2), 40))
        matches = Promoting(
            config=CONFIG,
            settings=invocation.settings().values,
            store=store,
            paths=paths,
            players=lambda: pytest.fail("every game is planted"),
        ).matches(read_chain(paths.decisions, CONFIG))
        for name, match in matches.of_generation(new, old).items():
            store_games(store, match.plan, 0.5 if name.startswith("champion") else 1.0)
    code, found, err = run(
        "two-stage", "--model", new, *ENOUGH, "--promote", "--promote-threshold", "0"
    )
    (promotion,) = found["promotions"]
    assert (code, promotion["decision"], promotion["refused"]) == (0, "promoted", False), err
    decision = read_chain(paths.decisions, CONFIG).decisions[-1]
    assert (decision.kind, decision.candidate, decision.champion_before) == ("promoted", new, old)
    assert read_chain(paths.decisions, CONFIG).champion == new
    assert (paths.models / f"{CONFIG}.safetensors").resolve().stem == new
    code, found, _ = run(
        "two-stage", "--model", new, *ENOUGH, "--promote", "--promote-threshold", "0"
    )
    assert (code, found["promotions"][0]["reason"]) == (0, "is the champion")


@pytest.mark.acceptance
@pytest.mark.slow
def test_killed_in_stage_2_and_repeated_no_game_is_played_twice(root, run):
    folder, ids = root
    words = ("two-stage", "--model", ids[0], "--stage1-threshold", "0", "--stage1-games", "2",
             "--stage2-games", "40", "--sims", "2", "--promote-threshold", "0", "-j", "1")  # fmt: skip
    store = folder / "data" / "games" / "games.db"
    kept: set = set()
    for _ in range(3):
        process = subprocess.Popen(
            [PROGRAM, "eval", *words, "--no-wait"],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + 120
        while time.monotonic() < until and process.poll() is None:
            if store.exists() and len(games_of(folder)) >= len(kept) + 8:
                break
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        now = set(games_of(folder))
        assert kept <= now
        kept = now
    assert 0 < len(kept) < 124
    code, found, _ = run(*words)
    assert (code, found["models"][0]["passed"]) == (0, True)
    after = games_of(folder)
    assert kept <= set(after)
    assert len({(match, index) for _, match, index in after}) == len(after)
    assert len(after) == found["models"][0]["games"]
