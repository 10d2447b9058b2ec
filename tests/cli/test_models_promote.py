"""`models promote` and `rollback` on a data root of their own, with real games where games matter."""

import json
import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from ringrift.cli.invocation import begin
from ringrift.core.files import is_locked, lock
from ringrift.core.paths import Paths
from ringrift.loop.promoting import Promoting
from ringrift.models.candidates import regression_opponents
from ringrift.models.decisions import append, read_chain
from ringrift.models.promotion import follow_decisions
from ringrift.models.registry import model_path
from ringrift.nets.loading import open_described
from ringrift.nets.nnue.file import init_nnue
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec
from ringrift.training.holdout_evaluation import Options, evaluate, write_result

sys.path.insert(0, str(Path(__file__).parents[1] / "loop"))
sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from games import games
from made_matches import store_games

del sys.path[:2]

CONFIG = "square8_2p"


@pytest.fixture
def root(tmp_path, monkeypatch, ringrift):
    """A root with three models, two of them champions one after the other; returns (root, ids)."""
    folder = tmp_path / "root"
    assert ringrift("--root", folder, "--yes", "config", "init")[0] == 0
    monkeypatch.setenv("RINGRIFT_ROOT", str(folder))
    models, spec = folder / "models", BoardSpec.create("square8", 2)
    ids = [
        init_nnue(spec, folder=models / "objects", seed=seed, hidden=32, policy=True).stem
        for seed in range(3)
    ]
    chain = read_chain(models / "decisions", CONFIG)
    for model_id in ids[:2]:
        chain = append(
            models / "decisions", chain, kind="promoted", candidate=model_id, reason="a test"
        )
    return folder, ids


@pytest.fixture
def call(ringrift):
    def run(*words):
        code, out, err = ringrift("models", *words, "--json")
        return code, json.loads(out), err

    return run


def champion(root):
    return read_chain(root / "models" / "decisions", CONFIG).champion


def rate(root, **elo):
    rows = [
        {"agent": model, "model_id": model, "elo": value, "elo_ci95": [value - 20, value + 20], "games": 40}
        for model, value in elo.items()
    ]  # fmt: skip
    (root / "data" / "ratings" / f"{CONFIG}-0123.json").write_text(json.dumps({"ratings": rows}))


def test_update_all_completes_a_promotion_and_then_changes_nothing(root, call):
    folder, ids = root
    code, found, _ = call("promote", "--update-all", "--dry-run")
    assert (code, found["updated"]) == (0, [])
    assert not (folder / "models" / "aliases.json").exists()
    code, found, _ = call("promote", "--update", "square8", "2")
    assert (code, sorted(found["updated"])) == (
        0,
        ["promoted_models.json", "ringrift_best_sq8_2p", CONFIG],
    )
    assert (folder / "models" / f"{CONFIG}.safetensors").resolve().stem == ids[1]
    assert call("promote", "--update-all")[1]["updated"] == []


def test_the_table_of_candidates_says_what_each_lacks(root, call, ringrift):
    _, ids = root
    code, found, _ = call("promote", "--check-candidates")
    (row,) = found["candidates"]
    assert (code, row["candidate"], row["games"], row["ready"]) == (1, ids[2], 0, False)
    assert "candidate against champion (0 games so far)" in row["missing"]
    assert "hold-out of the candidate" in row["missing"]
    code, out, _ = ringrift("models", "promote", "--check-candidates")
    assert code == 1
    assert ids[2][:12] in out
    assert "unknown" in out


def test_by_hand_the_champion_moves_with_a_reason_only(root, call, ringrift):
    folder, ids = root
    words = ("promote", "--manual", "--no-regression", "--candidate", ids[2][:8])
    code, out, err = ringrift("models", *words)
    assert (code, "--reason" in err) == (2, True)
    code, found, _ = call(*words, "--reason", "I know why", "--dry-run")
    assert (code, found["decisions"], champion(folder)) == (0, [], ids[1])
    code, found, _ = call(*words, "--reason", "I know why")
    assert (code, found["decisions"][0]["kind"], champion(folder)) == (0, "manual", ids[2])
    decision = read_chain(folder / "models" / "decisions", CONFIG).decisions[-1]
    assert decision.inputs == {"tested": False, "regression": "skipped"}
    code, out, err = ringrift("models", *words, "--reason", "again")
    assert code == 1
    code, out, _ = ringrift("models", "list", "--status", "champion")
    assert "manual" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "nothing was asked for"),
        (["--no-regression", "--update-all"], "needs --manual"),
        (["--manual", "--auto-promote"], "no test"),
        (["--against", "champion"], "needs a candidate"),
        (["--update", "nowhere", "2"], "no board"),
        (["--manual", "--reason", "x", "--candidate", "nobody"], "no model"),
    ],
)
def test_contradictions_are_usage_errors(root, ringrift, words, told):
    code, _, err = ringrift("models", "promote", *words)
    assert (code, told in err) == (2, True), err


def test_rollback_goes_back_and_says_when_it_cannot(root, call, ringrift):
    folder, ids = root
    words = ("rollback", "--board", "sq8", "--players", "2")
    assert ringrift("models", *words)[0] == 2
    code, found, _ = call(*words, "--reason", "worse", "--dry-run")
    assert (code, found["champion"], champion(folder)) == (0, ids[0], ids[1])
    code, found, _ = call(*words, "--reason", "worse")
    assert (code, found["demoted"], champion(folder)) == (0, ids[1], ids[0])
    assert (folder / "models" / f"{CONFIG}.safetensors").resolve().stem == ids[0]
    code, found, _ = call(*words, "--reason", "worse")
    assert (code, found["error"]["code"]) == (1, 1)


def test_three_checks_of_a_fallen_champion_roll_it_back(root, call, monkeypatch):
    folder, ids = root
    call("promote", "--update-all")
    found = call("promote", "--check-rollback")[1]["rollback_checks"]
    assert found[0]["answer"] == "unknown"
    rate(folder, **{ids[0]: 1500, ids[1]: 1400})
    monkeypatch.setenv("RINGRIFT_AUTO_ROLLBACK", "0")
    due = [call("promote", "--check-rollback")[1]["rollback_checks"][0]["due"] for _ in range(3)]
    assert due == [False, False, True]
    assert champion(folder) == ids[1]  # an alert only
    assert (folder / "data" / "coordination" / "alerts.db").is_file()
    monkeypatch.delenv("RINGRIFT_AUTO_ROLLBACK")
    code, found, _ = call("promote", "--check-rollback")
    assert (code, found["decisions"][0]["kind"], champion(folder)) == (0, "rolled_back", ids[0])


def test_staging_copies_loads_and_is_idempotent(root, call, tmp_path):
    folder, ids = root
    call("promote", "--update-all")
    target = tmp_path / "staging"
    words = ("promote", "--sync-staging", target, "--sync-staging-validate-health")
    found = call(*words, "--dry-run")[1]["staging"]
    assert (len(found["copied"]), target.exists()) == (3, False)
    found = call(*words)[1]["staging"]
    assert (len(found["copied"]), found["loaded"]) == (3, [ids[1]])
    assert model_path(target / "objects", ids[1]).is_file()
    assert json.loads((target / "promoted_models.json").read_bytes())["models"][CONFIG]
    assert call(*words)[1]["staging"]["copied"] == []
    model_path(folder / "models" / "objects", ids[1]).unlink()
    assert call(*words)[1]["staging"]["missing"] == [f"{CONFIG} {ids[1][:12]}"]
    assert call(*words, "--sync-staging-fail-on-missing")[0] == 1


SSH = """#!/bin/sh
# what the real one does after connecting: run the last word in a shell
for word in "$@"; do last=$word; done
exec sh -c "$last"
"""


def test_staging_by_ssh_copies_and_names_what_fails(root, call, tmp_path, monkeypatch):
    _, ids = root
    call("promote", "--update-all")
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = programs / "ssh"
    fake.write_text(SSH)
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    target = tmp_path / "a far place"
    code, found, _ = call("promote", "--sync-staging", f"host:{target}")
    assert (code, len(found["staging"]["copied"])) == (0, 3)
    assert model_path(target / "objects", ids[1]).is_file()
    fake.write_text("#!/bin/sh\necho 'Connection refused' >&2\nexit 255\n")
    code, found, _ = call("promote", "--sync-staging", f"host:{target}")
    assert (code, "Connection refused" in found["error"]["message"]) == (3, True)
    fake.unlink()
    monkeypatch.setenv("PATH", str(programs))
    code, found, _ = call("promote", "--sync-staging", f"host:{target}")
    assert (code, found["error"]["message"]) == (3, "there is no ssh program here")


def test_the_move_service_gets_agents_and_models_by_level(root, call, tmp_path):
    _, ids = root
    call("promote", "--update-all")
    file = tmp_path / "levels.json"
    assert call("promote", "--update-sandbox-config", file)[1]["sandbox"]["changed"]
    levels = json.loads(file.read_bytes())["levels"][CONFIG]
    assert levels["1"] == {"agent": "random", "available": True, "model_id": None, "reason": None}
    assert levels["6"]["model_id"] == ids[1]
    assert levels["4"]["model_id"] is None  # no NNUE has its name
    assert "nnue_square8_2p" in levels["4"]["reason"]
    assert not call("promote", "--update-sandbox-config", file)[1]["sandbox"]["changed"]


def test_without_nodes_the_cluster_is_said_to_be_none(root, call):
    code, found, err = call("promote", "--sync-cluster", "--restart-p2p")
    assert (code, found["notes"]) == (0, ["no cluster is configured: no node to tell"])
    assert "nothing is restarted" in err


def test_nodes_confirm_the_champion_and_silent_ones_are_named(root, call, tmp_path):
    folder, ids = root
    call("promote", "--update-all")
    other = tmp_path / "other" / "models"
    other.mkdir(parents=True)
    code, found, _ = call("promote", "--sync-cluster", "--host", other.parent)
    assert (code, found["cluster"]["confirmed"]) == (0, [str(other.parent)])
    assert read_chain(other / "decisions", CONFIG).champion == ids[1]
    code, found, _ = call("promote", "--sync-cluster", "--host", "http://127.0.0.1:9")
    assert (code, "http://127.0.0.1:9" in found["error"]["message"]) == (3, True)
    code, found, _ = call("promote", "--sync-cluster", "--host", folder)
    assert (code, "is this data root" in found["error"]["message"]) == (2, True)


PLANTED = (
    *(
        ("PROMOTION__MIN_GAMES", 4),
        ("PROMOTION__MAX_GAMES", 100),
        ("PROMOTION__ELO_THRESHOLD", 100),
    ),
    *(("EVALUATION__FLOOR_GAMES", 2), ("EVALUATION__SIMULATIONS", 2)),
    ("PROMOTION__COOLDOWN_SECONDS", 0),
)


@pytest.mark.slow
def test_both_models_are_measured_on_the_same_hold_out_games(root, call, monkeypatch):
    """The games of the test are planted: the candidate wins them all."""
    folder, (_, old, new) = root
    for name, value in PLANTED:
        monkeypatch.setenv(f"RINGRIFT_{name}", str(value))
    paths = Paths(folder)
    with GameStore.open(paths.game_store, writer=True) as store:
        store.ingest(games(BoardSpec.create("square8", 2), 40))
        chain = read_chain(paths.decisions, CONFIG)
        matches = Promoting(
            config=CONFIG,
            settings=begin([]).settings().values,
            store=store,
            paths=paths,
            players=lambda: pytest.fail("every game is planted"),
        ).matches(chain)
        for name, match in matches.of_generation(new, old).items():
            store_games(store, match.plan, 0.5 if name.startswith("champion") else 1.0)
        for other in regression_opponents(chain, new):
            store_games(store, matches.regression(new, other).plan, 1.0)
    # the champion was measured on other games
    loaded = open_described(model_path(paths.model_objects, old))
    few = Options(stores=[paths.game_store], most_games=3)
    other = write_result(loaded.path, evaluate(loaded, few))
    (row,) = call("promote", "--check-candidates")[1]["candidates"]
    assert row["missing"] == ["hold-out of the candidate", "hold-out of the champion"]
    code, found, err = call("promote", "--auto-promote", "--no-wait")
    assert (code, [made["kind"] for made in found["decisions"]]) == (0, ["promoted"]), err
    kept = read_chain(paths.decisions, CONFIG).decisions[-1].inputs["holdout"]
    assert kept["candidate"]["set_hash"] == kept["champion"]["set_hash"]
    assert kept["candidate"]["positions"] == kept["champion"]["positions"] > 200
    assert kept["candidate"]["value_error"] != kept["champion"]["value_error"]
    assert kept["champion"]["set_hash"] != json.loads(other.read_bytes())["set_hash"]


def small_tests(monkeypatch):
    for name, value in (
        ("EVALUATION__SIMULATIONS", 2),
        ("EVALUATION__FLOOR_GAMES", 2),
        ("PROMOTION__MIN_GAMES", 2),
        ("PROMOTION__MAX_GAMES", 4),
        ("PROMOTION__COOLDOWN_SECONDS", 0),
    ):
        monkeypatch.setenv(f"RINGRIFT_{name}", str(value))


@pytest.mark.acceptance
def test_a_candidate_is_tested_with_real_games_and_decided(root, call, monkeypatch):
    folder, ids = root
    small_tests(monkeypatch)
    follow_decisions(folder / "models")
    words = ("promote", "--auto-promote", "--workers", "1", "--no-wait")
    code, found, _ = call(*words, "--dry-run")
    assert (code, found["notes"]) == (0, [f"{CONFIG}: {ids[2][:12]} would be tested"])
    code, found, err = call(*words)
    assert code == 0, (found, err)
    (made,) = found["decisions"]
    assert (made["candidate"], made["kind"]) == (ids[2], "inconclusive"), made
    decision = read_chain(folder / "models" / "decisions", CONFIG).decisions[-1]
    assert decision.inputs["games"] == 4
    assert decision.inputs["settings"]["sims"] == 2
    assert len(decision.inputs["opening_book_hash"]) == 64
    assert champion(folder) == ids[1]
    # decided: it is no candidate any more
    assert call(*words)[1]["notes"] == [f"{CONFIG}: no candidate"]
    # a test against another model is shown, and decides nothing
    code, found, _ = call(
        "promote", "--candidate", ids[2], "--against", ids[0], "--workers", "1", "--no-wait"
    )
    assert (code, found["test"]["games"], found["decisions"]) == (0, 4, [])


@pytest.mark.slow
def test_the_daemon_is_alone_stands_aside_for_a_loop_and_ends_with_0(root, spawn, tmp_path):
    folder, _ = root
    words = ("--root", str(folder), "models", "promote", "--daemon", "--check-interval", "0.2")
    env = {"XDG_RUNTIME_DIR": os.environ["XDG_RUNTIME_DIR"]}
    held = folder / "data" / "coordination"
    with lock(held / "loop.lock"):
        first = spawn(*words, "--no-wait", env=env)
        assert "a loop runs on this data root" in first.stderr.readline()
        second = spawn(*words, "--no-wait", env=env)
        assert second.wait(60) == 75
        assert is_locked(held / "promotion.lock")
        first.send_signal(signal.SIGTERM)
        assert first.wait(60) == 0
