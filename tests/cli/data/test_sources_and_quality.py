"""`ringrift data` verify-sources, quarantine, export-shards, import-shards, holdout, filter, quality."""

import json
import shlex

import pytest

from ringrift.core.paths import Paths
from ringrift.data.registry import register
from ringrift.records import GameStore
from ringrift.records.gate import Gate

from ...data.quality.games import agent, trainable
from ...records.conftest import make_game

PAIR = (agent("gumbel:sims=1500"), agent("random"))
GAMES = [trainable(n, n, agents=PAIR, winner=1 + n % 2) for n in range(12)]
OTHERS = [make_game(seed=seed, limit=20) for seed in range(40)]


@pytest.fixture
def root(tmp_path, ringrift):
    """A data root with games, some of them refused, registered; the working folder."""
    del ringrift
    Paths(tmp_path).create()
    path = tmp_path / "data" / "games" / "games.db"
    with GameStore.open(path, writer=True) as store:
        store.ingest([(game, None) for game in GAMES + OTHERS])
        cut = [make_game(seed=seed, limit=12) for seed in range(100, 104)]
        store.ingest([(game, None) for game in cut], gate=Gate(completed=True), source="cut.jsonl")
        store.ingest([(b"rubbish", None)], source="cut.jsonl")
    register(tmp_path, path)
    return tmp_path


@pytest.fixture
def answer(ringrift, root):
    """Run `ringrift data ... --json` in the root; returns (code, object, stderr)."""

    def ask(line):
        code, out, err = ringrift("--root", root, "data", *shlex.split(line), "--json")
        return code, json.loads(out), err

    return ask


@pytest.fixture
def files(root):
    """What a command may not change without being asked, by name."""

    def read():
        skipped = ("-shm", "-wal", ".lock")
        return {
            path.relative_to(root): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and not path.name.endswith(skipped) and "logs" not in path.parts
        }

    return read


# --- verify-sources


def test_sources_that_hold(answer):
    code, found, _ = answer("verify-sources")
    assert (code, found["ok"], found["problems"]) == (0, True, [])
    assert len(found["stores"]) == 1


def test_sources_that_do_not(answer, root):
    GameStore.open(root / "run.db", writer=True, kind="selfplay").close()
    code, found, _ = answer("verify-sources --db run.db none.db data/games/games.db")
    assert (code, found["ok"]) == (1, False)
    assert [(p["db"], p["code"]) for p in found["problems"]] == [
        ("run.db", "not_canonical"),
        ("none.db", "missing"),
    ]


@pytest.mark.parametrize(
    "option", ["--allow-legacy", "--allow-pending-gate", "--allow-status pending_gate"]
)
def test_there_is_no_way_around_the_gate(answer, option):
    code, found, err = answer(f"verify-sources {option}")
    assert code == 4
    assert "there is no switch around" in err
    assert found["error"]["where"] == option.split()[0]


def test_a_folder_means_the_stores_in_it(answer, root):
    GameStore.open(root / "data" / "games" / "run.db", writer=True, kind="selfplay").close()
    code, found, _ = answer("verify-sources --db data/games")
    assert code == 1
    assert len(found["stores"]) == 2


def test_a_registered_store_that_is_gone(answer, root):
    (root / "data" / "games" / "games.db").unlink()
    code, found, _ = answer("verify-sources")
    assert (code, [p["code"] for p in found["problems"]]) == (1, ["missing"])


# --- quarantine


def test_looking_at_the_quarantine(answer, ringrift, root):
    code, found, _ = answer("quarantine list")
    assert (code, found["total"], found["reasons"]["incomplete"]) == (0, 5, 4)
    code, found, _ = answer("quarantine list --reason incomplete --limit 2")
    assert [game["ply"] for game in found["games"]] == [11, 11]
    identity = found["games"][0]["id"]
    code, found, _ = answer(f"quarantine show {identity[:10]} --output refused.bin")
    assert (code, found["id"], found["record"]["config"]) == (0, identity, "square8_2p")
    assert (root / "refused.bin").stat().st_size == found["game_bytes"]
    code, out, _ = ringrift("data", "quarantine", "show", identity[:10])
    assert code == 0
    assert "cut.jsonl" in out
    rubbish = next(g for g in answer("quarantine list")[1]["games"] if g["reason"] != "incomplete")
    assert answer(f"quarantine show {rubbish['id']}")[1]["record"] is None


def test_trying_refused_games_again(answer, files):
    before = files()
    code, found, _ = answer("quarantine retry --no-require-completed --dry-run")
    assert (code, found["considered"]) == (0, 5)
    assert files() == before
    code, found, _ = answer("quarantine retry")
    assert (found["added"], found["refused"], found["unreadable"]) == (0, {"incomplete": 4}, 1)
    code, found, _ = answer("quarantine retry --no-require-completed")
    assert (code, found["added"]) == (0, 4)
    assert answer("quarantine list")[1]["total"] == 1


def test_letting_go_of_refused_games(answer, ringrift, root, files):
    assert answer("quarantine drop")[0] == 1, "none is 30 days old"
    before = files()
    code, found, _ = answer("quarantine drop --older-than-days 0 --dry-run")
    assert (code, found["games"], found["manifest"]) == (0, 5, None)
    code, _, err = ringrift("data", "quarantine", "drop", "--older-than-days", "0")
    assert code == 2
    assert "--yes" in err
    assert files() == before
    code, found, _ = answer("quarantine drop --older-than-days 0 --reason incomplete --yes")
    assert (code, found["games"]) == (0, 4)
    manifest = root / "data" / "quarantine" / found["manifest"].rpartition("/")[2]
    assert json.loads(manifest.read_text())["games"] == 4
    assert answer("quarantine list")[1]["total"] == 1


# --- shards


def test_shards_there_and_back(answer, root, files):
    before = files()
    code, found, _ = answer("export-shards --output shards --dry-run")
    assert (code, found["games"], found["shards"]) == (0, 52, [])
    assert files() == before
    code, found, _ = answer("export-shards --output shards")
    assert (code, found["games"]) == (0, 52)
    upto = found["games_upto"]
    code, found, _ = answer("import-shards shards --db other.db --dry-run")
    assert (code, found["shards"][0]["added"]) == (0, 52)
    assert not (root / "other.db").exists()
    code, found, _ = answer("import-shards shards --db other.db")
    assert (code, sum(s["added"] for s in found["shards"])) == (0, 52)
    with GameStore.open(root / "data/games/games.db") as a, GameStore.open(root / "other.db") as b:
        first, second = ({r["id"]: r["split"] for r in store.rows()} for store in (a, b))
    assert first == second
    code, found, _ = answer(f"export-shards --since {upto} --output none")
    assert (code, found["games"], found["list"]) == (0, 0, None)
    assert not (root / "none").exists()


def test_shards_of_a_list_of_ids(answer, root):
    (root / "ids.txt").write_text("".join(f"{game.id}\n" for game in GAMES[:3]))
    code, found, _ = answer("export-shards --ids ids.txt --output some")
    assert (code, found["games"]) == (0, 3)
    (root / "ids.txt").write_text("0123\n")
    code, _, err = answer("export-shards --ids ids.txt --output some")
    assert code == 6
    assert "ids.txt:1" in err
    assert answer("export-shards --ids ids.txt --since 3 --output some")[0] == 2


def test_a_damaged_shard_is_exit_1_and_named(answer, root):
    answer("export-shards --output shards")
    (shard,) = (root / "shards").glob("*.rrshard")
    shard.write_bytes(shard.read_bytes()[:-100])
    for dry in ("", "--dry-run"):
        code, found, _ = answer(f"import-shards shards --db other.db {dry}")
        assert (code, found["ok"]) == (1, False)
        assert sum(found["shards"][0]["quarantined"].values()) == 1


# --- hold-out


def test_the_hold_out_described_and_reserved(answer, ringrift, root, files):
    del root
    code, found, _ = answer("holdout --stats")
    (stats,) = found["configurations"]
    assert (code, stats["config"]) == (0, "square8_2p")
    assert sum(band["positions"] for band in stats["overlap"]) == stats["positions"]
    assert ringrift("data", "holdout")[0] == 0
    before = files()
    code, told, _ = answer("holdout --reserve --percent 60 --dry-run")
    assert files() == before
    code, done, _ = answer("holdout --reserve --percent 60")
    assert done["stores"] == told["stores"]
    assert done["stores"][0]["moved"] > 0
    code, again, _ = answer("holdout --reserve --percent 60")
    assert (code, again["stores"][0]["moved"]) == (0, 0)
    code, _, err = answer("holdout --reserve --percent 10")
    assert code == 4
    assert "60" in err


def test_an_empty_store_shows_none(ringrift, tmp_path):
    Paths(tmp_path).create()
    code, out, _ = ringrift("--root", tmp_path, "data", "holdout", "--stats")
    assert code == 0
    assert "none" in out
    GameStore.open(tmp_path / "data" / "games" / "games.db", writer=True).close()
    code, out, _ = ringrift("--root", tmp_path, "data", "holdout", "--stats")
    assert code == 0
    assert "none" in out
    with GameStore.open(tmp_path / "data" / "games" / "games.db", writer=True) as store:
        store.ingest([(GAMES[0], None)])
    code, out, _ = ringrift("--root", tmp_path, "data", "holdout", "--stats")
    assert code == 0
    assert "none" in out
    assert " 0 " not in out


@pytest.mark.parametrize("words", ["--reserve --stats", "--percent 20", "--stats --evaluate"])
def test_one_thing_at_a_time(answer, words):
    assert answer(f"holdout {words}")[0] == 2


# --- filter and quality


def test_games_are_filtered_and_weighed(answer, root, files):
    fit = {"ratings": [{"agent_hash": PAIR[0].agent_hash, "elo": 2600.0}]}
    (root / "data" / "ratings" / "square8_2p-abc.json").write_text(json.dumps(fit))
    before = files()
    line = "filter --board sq8 --players 2 --ai-types gumbel:sims=1500 random --min-winner-elo 0"
    code, found, _ = answer(f"{line} --stats")
    (stats,) = found["configurations"]
    assert (code, stats["fit"], stats["kept"], stats["unrated"]) == (0, "abc", 12, 0)
    assert {a["spec"]: a["elo"] for a in stats["agents"]}["random"] == 400
    assert answer(f"{line} --create-weighted-npz --dry-run")[0] == 0
    assert files() == before
    code, found, _ = answer(f"{line} --create-weighted-npz")
    folder = root / "data" / "training" / "weighted"
    assert (folder / "square8_2p_quality_weights.npz").is_file()
    facts = json.loads((folder / "square8_2p_quality_weights.json").read_text())
    assert (facts["fit"], facts["kept"], facts["games"]) == ("abc", 12, stats["games"])


def test_without_a_fit_agents_are_shown_as_unrated(ringrift, root):
    code, out, _ = ringrift("--root", root, "data", "filter")
    assert code == 0
    assert "unrated" in out
    assert "1500" not in out.replace("gumbel:sims=1500", "")
    code, _, _ = ringrift("--root", root, "data", "filter", "--unrated", "exclude", "--json")
    assert code == 1, "nothing is left"


@pytest.mark.parametrize(
    "words",
    [
        "filter --unrated maybe",
        "filter --stats --create-weighted-npz",
        "filter --board octagon",
        "filter --data-dir nowhere",
        "filter --db data/games --data-dir data/games",
    ],
)
def test_mistakes_of_the_filter(answer, words):
    assert answer(words)[0] == 2


def test_the_score_of_each_configuration(answer, root, monkeypatch):
    code, found, _ = answer("quality")
    (score,) = found["configurations"]
    assert (code, score["score"]) == (0, None), "fewer than 100 games"
    assert {part["name"] for part in score["components"]} >= {"verified", "diversity"}
    with GameStore.open(root / "data/games/games.db", writer=True) as store:
        more = (trainable(0, n, agents=PAIR, plies=16) for n in range(20, 119))
        store.ingest([(game, None) for game in more])
    code, found, _ = answer("quality")
    assert (code, found["ok"]) == (1, False)
    assert found["configurations"][0]["score"] < found["limit"] == 0.7
    monkeypatch.setenv("RINGRIFT_SAFETY__DATA_QUALITY_SCORE_MIN", "0.01")
    assert answer("quality")[0] == 0
