"""`models validate`, `prune`, `restore` and `sync` on data roots of their own."""

import json
import os
import shutil
import signal
import time

import pytest

from ringrift.models.decisions import append, read_chain
from ringrift.models.promotion import follow_decisions
from ringrift.models.registry import model_ids, model_path
from ringrift.nets.nnue.file import init_nnue
from ringrift.rules import BoardSpec

CONFIG = "square8_2p"
OLD_S = 30 * 86_400


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A models folder with four models, the first of them champion, the third weak and old."""
    models = tmp_path_factory.mktemp("made") / "models"
    spec = BoardSpec.create("square8", 2)
    ids = [init_nnue(spec, folder=models / "objects", seed=s, hidden=32).stem for s in range(4)]
    chain = read_chain(models / "decisions", CONFIG)
    for kind, model_id in (("promoted", ids[0]), ("rejected", ids[1]), ("rejected", ids[2])):
        chain = append(models / "decisions", chain, kind=kind, candidate=model_id, reason="a test")
    follow_decisions(models)
    then = time.time() - OLD_S
    os.utime(model_path(models / "objects", ids[2]), (then, then))
    return models, ids


@pytest.fixture
def root(made, tmp_path, monkeypatch, ringrift):
    """A data root with a copy of them; returns (root, ids)."""
    folder = tmp_path / "root"
    assert ringrift("--root", folder, "--yes", "config", "init")[0] == 0
    shutil.rmtree(folder / "models")
    shutil.copytree(made[0], folder / "models", symlinks=True)
    monkeypatch.setenv("RINGRIFT_ROOT", str(folder))
    rows = [
        {"agent": model, "model_id": model, "elo": elo, "elo_ci95": [elo - 9, elo + 9], "games": 90}
        for model, elo in zip(made[1], (1800, 1500, 900, 1000), strict=True)
    ]
    ratings = folder / "data" / "ratings" / f"{CONFIG}-0123.json"
    ratings.parent.mkdir(parents=True, exist_ok=True)
    ratings.write_text(json.dumps({"ratings": rows}))
    return folder, made[1]


@pytest.fixture
def call(ringrift):
    def run(*words):
        code, out, err = ringrift("models", *words, "--json")
        return code, json.loads(out), err

    return run


def spoil(path):
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"!")


# --- validate


def test_validate_is_content_with_good_models_and_1_for_a_bad_one(root, call, ringrift):
    folder, ids = root
    code, found, _ = call("validate")
    assert (code, found["counts"]) == (0, {"ok": 4})
    bad = model_path(folder / "models" / "objects", ids[1])
    spoil(bad)
    code, found, _ = call("validate", "--full")
    assert (code, found["counts"]) == (1, {"ok": 3, "hash_mismatch": 1})
    code, out, _ = ringrift("models", "validate")
    assert (code, "hash_mismatch" in out) == (1, True)
    assert call("validate", "--pattern", "*.pth")[0] == 0


def test_cleanup_does_what_its_dry_run_lists_and_restore_undoes_it(root, call):
    folder, ids = root
    bad = model_path(folder / "models" / "objects", ids[1])
    spoil(bad)
    content = bad.read_bytes()
    _, plan, _ = call("validate", "--cleanup", "--dry-run")
    assert bad.is_file()
    code, done, _ = call("validate", "--cleanup", "--update-db")
    assert (code, done["cleanup"], done["updated_db"]) == (1, plan["cleanup"], True)
    assert not bad.exists()
    assert call("validate")[0] == 0
    code, found, _ = call("restore", ids[1][:10], "--dry-run")
    assert (code, found["source"], bad.exists()) == (0, "quarantine", False)
    assert call("restore", ids[1][:10])[0] == 0
    assert bad.read_bytes() == content
    assert call("restore", ids[1][:10])[0] == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--scan", "--cleanup"], 2),
        (["--models-dir", "nowhere"], 2),
        (["--host", "all"], 3),
    ],
)
def test_validate_refuses_what_cannot_be(root, ringrift, words, code):
    assert ringrift("models", "validate", *words)[0] == code


def test_matches_of_a_model_without_a_card_are_named(root, call):
    import random

    from ringrift.records import AgentRef, GameMeta, GameStore, build_record
    from ringrift.rules import Position

    folder, ids = root
    spec = BoardSpec.create("square8", 2)
    rng, position, moves = random.Random(0), Position.of(spec), []
    while not position.is_over:
        moves.append(int(rng.choice(position.legal_packed().tolist())))
        position.play(moves[-1])
    agents = [
        AgentRef(spec=f"random:a={n}", agent_hash=f"{n:064x}", model_id=model)
        for n, model in enumerate((ids[0], "f" * 64))
    ]
    game = build_record(spec, 0, agents, moves, meta=GameMeta(purpose="match", run="r", index=0))
    with GameStore.open(folder / "data" / "games" / "games.db", writer=True) as store:
        store.ingest([(game, None)])
    code, found, _ = call("validate")
    assert (code, found["counts"]) == (1, {"ok": 4, "participant_unknown": 1})
    assert found["findings"][-1]["model"] == "f" * 64


# --- prune and restore


def test_the_dry_run_lists_what_is_removed_and_a_copy_brings_it_back(root, call, ringrift):
    folder, ids = root
    weak = model_path(folder / "models" / "objects", ids[2])
    code, plan, _ = call("prune", "--dry-run")
    assert (code, [model["id"] for model in plan["listed"]]) == (0, [ids[2]])
    code, found, _ = call("prune", "--archive", "--mark-only")
    assert (found["removed"], found["waiting"], weak.exists()) == ([], [ids[2]], True)
    code, found, _ = call("prune", "--archive", "--grace-seconds", "0")
    assert (code, found["removed"], weak.exists()) == (0, [ids[2]], False)
    # what is left of it: card, decisions, lineage
    code, found, _ = call("list")
    shown = {model["id"]: model["status"] for model in found["models"]}
    assert shown[ids[2]] == "archived"
    assert call("show", ids[2])[0] == 0
    assert call("lineage", ids[2])[0] == 0
    assert call("validate")[0] == 0
    code, found, _ = call("restore", ids[2][:8])
    assert (code, found["source"], weak.stem) == (0, "archive", ids[2])
    assert weak.is_file()


def test_without_a_terminal_nothing_is_deleted_for_good(root, call):
    folder, ids = root
    code, found, _ = call("prune", "--grace-seconds", "0")
    assert (code, "--force" in found["error"]["where"]) == (2, True)
    assert len(model_ids(folder / "models" / "objects")) == 4
    assert call("prune", "--force", "--grace-seconds", "0")[1]["removed"] == [ids[2]]
    assert call("restore", ids[2][:8])[0] == 1


def test_old_archive_copies_need_force(root, call):
    folder, _ = root
    call("prune", "--archive", "--grace-seconds", "0")
    assert call("prune", "--archive-older-than-days", "0")[0] == 2
    code, found, _ = call("prune", "--archive-older-than-days", "0", "--force")
    assert (code, len(found["dropped"])) == (0, 1)
    assert not list((folder / "models" / "archive").rglob("*.zst"))


def test_statistics_and_limits(root, call, ringrift):
    code, found, _ = call("prune", "--stats")
    assert (code, found["statistics"][0]["models"], found["statistics"][0]["free"]) == (0, 4, 1)
    assert "may go" in ringrift("models", "prune", "--stats")[1]
    assert call("prune", "--dry-run", "--min-elo", "800")[1]["listed"] == []
    assert call("prune", "--dry-run", "--min-age-days", "60")[1]["listed"] == []
    assert call("prune", "--dry-run", "--min-games", "100")[1]["listed"] == []


def test_a_run_that_can_be_gone_on_with_keeps_its_models(root, call):
    folder, ids = root
    run = folder / "runs" / "train" / "r1"
    run.mkdir(parents=True)
    (run / "config.json").write_text(json.dumps({"net": {"parent": ids[2]}}))
    assert call("prune", "--dry-run")[1]["listed"] == []
    (run / "report.json").write_text("{}")
    assert len(call("prune", "--dry-run")[1]["listed"]) == 1


# --- sync


def test_sync_without_nodes_says_so(root, call, ringrift):
    code, found, _ = call("sync")
    assert (code, found["nodes"]) == (0, [])
    assert "name some with --host" in ringrift("models", "sync")[1]


def test_two_roots_end_equal_and_the_state_is_for_readers(root, call, tmp_path):
    folder, ids = root
    other = tmp_path / "other" / "models"
    (other / "objects").mkdir(parents=True)
    one = init_nnue(BoardSpec.create("hex8", 2), folder=other / "objects", seed=9, hidden=32).stem
    words = ("sync", "--sync", "--all", "--host", other.parent)
    code, found, _ = call(*words, "--dry-run")
    assert (code, found["nodes"][0]["received"], len(found["nodes"][0]["sent"])) == (0, [one], 4)
    assert len(model_ids(other / "objects")) == 1
    assert call(*words)[0] == 0
    assert model_ids(other / "objects") == model_ids(folder / "models" / "objects")
    assert read_chain(other / "decisions", CONFIG).champion == ids[0]
    state = json.loads((folder / "data" / "model_sync_state.json").read_bytes())
    assert state["nodes"][0]["bytes"] > 0
    assert call(*words)[1]["nodes"][0]["bytes"] == 0


def test_nodes_out_of_reach_are_3_and_some_of_them_5(root, call, tmp_path):
    (tmp_path / "near" / "models").mkdir(parents=True)
    gone = ("--host", "http://127.0.0.1:9")
    assert call("sync", *gone)[0] == 3
    code, found, _ = call("sync", *gone, "--host", tmp_path / "near")
    assert (code, [node["reachable"] for node in found["nodes"]]) == (5, [False, True])
    assert call("sync", "--host", "ftp://127.0.0.1")[0] == 2
    assert call("sync", "--discover", "--collect")[0] == 2
    assert call("sync", "--token", "env:NO_SUCH_TOKEN")[0] in (2, 78)


@pytest.mark.slow
def test_a_served_root_is_collected_from_with_its_token(root, call, spawn, tmp_path, monkeypatch):
    folder, ids = root
    token = tmp_path / "token"
    token.write_text("a token of enough letters\n")
    token.chmod(0o600)
    words = ("models", "sync", "--serve", "--port", "0", "--json", "--token", f"file:{token}")
    env = {"XDG_RUNTIME_DIR": os.environ["XDG_RUNTIME_DIR"]}
    server = spawn("--root", str(folder), *words, env=env)
    url = json.loads(server.stdout.readline())["url"]
    other = tmp_path / "other"
    monkeypatch.setenv("RINGRIFT_ROOT", str(other))
    assert call("sync", "--collect", "--host", url, "--yes")[0] == 3  # no token
    code, found, _ = call("sync", "--collect", "--host", url, "--token", f"file:{token}")
    assert (code, sorted(found["nodes"][0]["received"])) == (0, sorted(ids))
    assert (other / "models" / f"{CONFIG}.safetensors").resolve().stem == ids[0]
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0
