"""`ringrift bench` as a user runs it: what is printed, stored, demanded and refused."""

import json
import random
import sys
from pathlib import Path

import pytest

from ringrift.cli.reference.schemas import schema_of

sys.path.insert(0, str(Path(__file__).parent))
from json_schema import problems

sys.path.pop(0)

PAIR = ("bench", "engine", "--boards", "square8", "--agents", "heuristic,random")
SHORT = ("--games", "4", "--repeat", "2", "--seconds", "0.1")
PLAYOUTS = ("bench", "engine", "--playouts-only", "--seconds", "0.1", "--repeat", "2")


@pytest.fixture
def answer(ringrift):
    """Run a command line with --json; returns (code, object), which must be as published."""

    def run(*arguments):
        code, out, err = ringrift(*arguments, "--json")
        assert out, err
        found = json.loads(out)
        assert problems(schema_of(found["command"]), found) == []
        assert found["ok"] is (code == 0)
        return code, found

    return run


@pytest.fixture
def data_root(tmp_path):
    from ringrift.core.paths import Paths

    paths = Paths(tmp_path / "root")
    paths.create()
    return paths


@pytest.fixture(scope="module")
def games():
    """Six random games of square8_2p, of two runs."""
    from ringrift.records import AgentRef, GameMeta, build_record
    from ringrift.rules import BoardSpec, Position

    spec, found = BoardSpec.create("square8", 2), []
    agents = [AgentRef(spec=f"random:a={n}", agent_hash=f"{n:064x}") for n in (1, 2)]
    for seed in range(6):
        rng, position, moves = random.Random(seed), Position.of(spec), []
        while not position.is_over:
            moves.append(int(rng.choice(position.legal_packed().tolist())))
            position.play(moves[-1])
        run = f"key-1/g{seed:02d}" if seed < 2 else "key-10/g01"
        meta = GameMeta(purpose="selfplay", run=run, index=seed, started=1.7e9 + seed)
        found.append(build_record(spec, seed, agents, moves, meta=meta))
    return found


@pytest.fixture
def stored(data_root, games):
    from ringrift.records import GameStore

    with GameStore.open(data_root.games / "games.db", writer=True) as store:
        store.ingest([(game, None) for game in games])
    return data_root


# --- engine


@pytest.mark.slow
def test_two_runs_with_one_seed_give_equal_wins_losses_and_capped(answer):
    rows = [answer(*PAIR, *SHORT)[1]["results"][0] for _ in range(2)]
    scores = [tuple(row[k] for k in ("wins", "losses", "capped", "moves_hash")) for row in rows]
    assert scores[0] == scores[1]
    assert sum(scores[0][:3]) == 4
    assert rows[0]["same_in_all_repeats"]


@pytest.mark.slow
def test_the_rates_of_a_pair_are_medians_between_least_and_greatest(answer):
    code, found = answer(*PAIR, *SHORT)
    assert code == 0
    (row,) = found["results"]
    assert row["min"] <= row["plies_per_s"] <= row["max"]
    assert row["peak_rss_bytes"] > 1 << 20
    rates = next(f for f in found["figures"] if f["name"] == "plies_per_s")
    assert (len(rates["samples"]), rates["value"]) == (2, row["plies_per_s"])
    assert found["machine"]["cores"] >= 1
    assert found["rules_hash"]


@pytest.mark.slow
def test_playouts_alone_keep_their_form(answer):
    code, found = answer(*PLAYOUTS, "--boards", "square8,hexagonal", "--players", "2,3")
    assert code == 0
    names = ["square8_2p", "square8_3p", "hexagonal_2p", "hexagonal_3p"]
    assert [row["configuration"] for row in found["results"]] == names
    for row in found["results"]:
        assert row.keys() >= {"plies", "games", "plies_per_s", "games_per_s", "threads"}
        assert row["min"] <= row["plies_per_s"] <= row["max"]


@pytest.mark.slow
def test_the_gate_is_1_where_a_figure_misses_its_demand(answer, monkeypatch):
    from ringrift.agents.benchmarks import engine

    monkeypatch.setitem(engine.LEAST_PLIES_PER_S, "square8_2p", 1.0)
    line = (*PLAYOUTS, "--boards", "square8", "--gate")
    code, found = answer(*line)
    assert (code, found["gate"]["status"]) == (0, "passed")
    monkeypatch.setitem(engine.LEAST_PLIES_PER_S, "square8_2p", 1e12)
    code, found = answer(*line)
    assert (code, found["gate"]["status"]) == (1, "failed")
    assert answer(*line[:-1])[0] == 0
    code, found = answer(*PLAYOUTS, "--boards", "hex8", "--gate")
    assert (code, found["gate"]["status"]) == (1, "not run")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("engine", "--agents", "heuristic"), 2, "two"),
        (("engine", "--agents", "heuristik,random"), 2, "heuristic"),
        (("engine", "--boards", "go"), 2, "square8"),
        (("gpu-cpu", "--players", "5"), 2, "players"),
        (("policy",), 2, "--db"),
        (("policy", "--db", "nowhere.db"), 2, "nowhere.db"),
        (("policy", "--db", "x.db", "--run-dir", "nowhere"), 2, "x.db"),
        (("memory", "--quick", "--full"), 2, "--quick"),
        (("memory", "--difficulties", "11"), 2, "1 to 10"),
        (("memory", "--ai-types", "nobody"), 2, "nobody"),
        (("memory", "--remote", "node-3"), 3, "nodes come with the cluster"),
        (("compare", "a.json", "b.json"), 2, "a.json"),
        (("compare", "a.json", "b.json", "--plot", "x.png"), 2, "FILE.svg"),
    ],
)
def test_bad_words_are_one_line_and_the_documented_code(ringrift, words, code, said):
    found, out, err = ringrift("bench", *words)
    assert found == code, err
    (line,) = [text for text in err.splitlines() if text.startswith("error:")]
    assert said in line
    assert out == ""


@pytest.mark.parametrize("name", ["engine", "gpu-cpu", "memory", "policy"])
def test_a_dry_run_prints_the_plan_and_writes_nothing(answer, stored, name):
    before = sorted(stored.root.rglob("*"))
    code, found = answer("--root", stored.root, "bench", name, "--dry-run")
    assert code == 0
    assert found["plan"]["seed"] == 42
    assert sorted(stored.root.rglob("*")) == before


def test_a_machine_at_its_limits_is_exit_75_before_anything_is_measured(ringrift, monkeypatch):
    monkeypatch.setenv("RINGRIFT_LIMITS__MEMORY_WARNING", "1")
    monkeypatch.setenv("RINGRIFT_LIMITS__MEMORY_CRITICAL", "2")
    for words in (("engine",), ("gpu-cpu",), ("memory",)):
        code, out, err = ringrift("bench", *words, "--no-wait")
        assert (code, out) == (75, ""), err
        assert "memory" in err


# --- where results go


@pytest.mark.slow
def test_results_are_appended_below_the_data_root_and_no_root_is_made(answer, data_root, tmp_path):
    line = (*PLAYOUTS, "--boards", "square8")
    for _ in range(2):
        answer("--root", data_root.root, *line)
    path = data_root.runs / "bench" / "engine.jsonl"
    assert len(path.read_text().splitlines()) == 2
    answer("--root", tmp_path / "none", *line, "--output", tmp_path / "one.json")
    assert not (tmp_path / "none").exists()
    kept = json.loads((tmp_path / "one.json").read_text())
    assert kept["benchmark"] == "engine"
    code, found = answer("bench", "compare", f"{path}@1", tmp_path / "one.json")
    assert code == 0
    assert [ratio["name"] for ratio in found["ratios"]] == ["plies_per_s", "games_per_s"]


# --- gpu-cpu


@pytest.mark.slow
def test_without_a_gpu_its_columns_are_null_and_only_the_gate_fails(answer, monkeypatch):
    from ringrift.rules import gpu

    monkeypatch.setattr(gpu, "available", lambda: False)
    line = ("bench", "gpu-cpu", "--board", "square8,hex8", "--iterations", "2", "--states", "4")
    code, found = answer(*line)
    assert code == 0
    assert (found["gate"]["status"], found["gate_passed"]) == ("not run", None)
    assert found["gpu_reason"] == "no CUDA device"
    assert len(found["results"]) == 4
    assert all(row["gpu"] is row["speedup"] is None for row in found["results"])
    assert all(row["cpu"]["avg_ms"] > 0 for row in found["results"])
    assert answer(*line, "--gate")[0] == 1


# --- policy


@pytest.mark.slow
def test_the_uniform_row_scores_one_over_the_legal_moves(answer, stored):
    code, found = answer("--root", stored.root, "bench", "policy", "--repeat", "2")
    assert code == 0
    assert (found["games"], found["positions"]) == (6, found["choices"])
    uniform, heuristic = found["results"]
    assert (uniform["policy"], heuristic["policy"]) == ("uniform", "heuristic")
    assert abs(uniform["all"]["top_1"] - mean_inverse(stored)) < 0.01
    assert uniform["nodes_saved"] == 0
    assert heuristic["nodes_saved"] == 1 - heuristic["nodes"] / uniform["nodes"] != 0
    assert uniform["spread"]["top_1"]["min"] <= uniform["all"]["top_1"]
    assert found["gate"]["status"] == "not run"


def mean_inverse(paths):
    """Return the mean of 1 / legal moves over all choices, counted with `Position`."""
    from ringrift.records import GameStore
    from ringrift.rules import Position

    shares = []
    with GameStore.open(paths.games / "games.db") as store:
        for _, record, _ in store.records():
            position = Position.of(record.spec)
            for move in record.moves:
                if len(position.legal_packed()) > 1:
                    shares.append(1 / len(position.legal_packed()))
                position.play(move)
    return sum(shares) / len(shares)


def test_a_run_of_the_loop_gives_its_own_games_alone(answer, stored):
    folder = stored.runs / "square8_2p" / "key-1"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text("{}")
    _, found = answer(
        "--root",
        stored.root,
        "bench",
        "policy",
        "--run-dir",
        folder,
        "--repeat",
        "1",
        "--depth",
        "0",
    )
    assert (found["games"], found["run"]) == (2, "key-1")
    assert found["results"][0]["nodes_saved"] is None


@pytest.mark.slow
def test_a_model_is_a_row_and_what_the_gate_judges(answer, stored):
    from ringrift.nets.model_file import init_model
    from ringrift.rules import BoardSpec

    spec = BoardSpec.create("square8", 2)
    model = init_model(spec, size="micro", seed=1, folder=stored.model_objects).stem
    line = ("--root", stored.root, "bench", "policy", "--model", model[:12], "--repeat", "1")
    code, found = answer(*line, "--max-positions", "200", "--gate")
    assert [row["policy"] for row in found["results"]][-1] == model[:12]
    assert (found["model"], found["positions"]) == (model, 200)
    uniform, mine = found["results"][0]["all"], found["results"][-1]["all"]
    better = mine["top_1"] >= uniform["top_1"] and mine["cross_entropy"] <= uniform["cross_entropy"]
    assert (code == 0) is (found["gate"]["status"] == "passed") is better
    assert mine["cross_entropy"] != uniform["cross_entropy"]


# --- memory


@pytest.mark.slow
def test_each_case_is_measured_in_a_process_of_its_own(answer, tmp_path):
    code, found = answer(
        "bench", "memory", "--ai-types", "random,policy@abcdef123456", "--games", "3",
        "--max-plies", "30", "--repeat", "1", "--output-dir", tmp_path / "out",
    )  # fmt: skip
    assert code == 0
    fine, lost = found["results"]
    assert (fine["status"], fine["moves"]) == ("measured", 90)
    assert fine["peak_rss_bytes"] >= fine["start_rss_bytes"] > 1 << 20
    assert lost["status"] == "unavailable"
    assert "abcdef123456" in lost["reason"]
    assert found["gate"]["status"] == "not run"
    kept = json.loads((tmp_path / "out" / "bench-memory.json").read_text())
    assert kept["results"] == found["results"]


def test_sizes_of_the_memory_benchmark_contain_each_other(answer):
    plans = [
        set(answer("bench", "memory", size, "--dry-run")[1]["plan"]["cases"])
        for size in ("--quick", "--standard", "--full")
    ]
    assert plans[0] < plans[1] < plans[2]
    assert answer("bench", "memory", "--dry-run")[1]["plan"]["cases"] == [
        "square8_2p random",
        "square8_2p heuristic",
    ]
    more = answer("bench", "memory", "--nnue", "--difficulties", "1,3", "--dry-run")[1]
    assert [name for name in more["plan"]["cases"] if "ladder" in name or "nnue" in name]


# --- train


@pytest.mark.slow
def test_the_training_loop_is_measured_beside_a_bare_one(answer, monkeypatch):
    from ringrift.training import speed

    line = ("bench", "train", "--kind", "nnue", "--hidden-dim", "32", "--batch-size", "32")
    short = ("--samples", "256", "--seconds", "0.1", "--repeat", "2", "--threads", "1", "--no-wait")
    monkeypatch.setitem(speed.LEAST_RATIO, "nnue", 0.001)
    code, found = answer(*line, *short, "--gate")
    assert (code, found["gate"]["status"]) == (0, "passed")
    (row,) = found["results"]
    assert (row["kind"], row["batch_samples"], row["threads"]) == ("nnue", 32, 1)
    assert row["ratio_low"] is None
    ratios = next(f for f in found["figures"] if f["name"] == "ratio")
    assert (len(ratios["samples"]), ratios["value"]) == (2, row["ratio"])
    monkeypatch.setitem(speed.LEAST_RATIO, "nnue", 1000.0)
    code, found = answer(*line, *short, "--gate")
    assert (code, found["gate"]["status"]) == (1, "failed")


def test_a_kind_that_no_trainer_has_is_exit_2(ringrift):
    code, _, err = ringrift("bench", "train", "--kind", "nn,forest")
    assert code == 2
    assert "forest" in err
    assert "nnue-policy" in err


# --- compare


def test_ratios_are_printed_drawn_and_judged(answer, tmp_path):
    for name, scale in (("a", 1.0), ("b", 0.5)):
        rates = {
            "case": "square8_2p",
            "name": "plies_per_s",
            "unit": "plies/s",
            "better": "higher",
            "statistic": "median",
            "value": 100 * scale,
            "samples": [scale * x for x in (99.0, 100.0, 101.0)],
        }
        (tmp_path / f"{name}.json").write_text(json.dumps({"figures": [rates]}))
    line = ("bench", "compare", "a.json", "b.json")
    code, found = answer(*line, "--plot", "ratios.svg")
    (ratio,) = found["ratios"]
    assert (code, ratio["ratio"], ratio["verdict"], found["worse"]) == (0, 0.5, "worse", 1)
    assert ratio["low"] <= 0.5 <= ratio["high"]
    assert b"<svg" in (tmp_path / "ratios.svg").read_bytes()
    assert answer(*line, "--gate")[0] == 1
    assert answer("bench", "compare", "b.json", "a.json", "--gate")[0] == 0


def test_a_file_that_is_no_result_is_exit_6_with_its_line(ringrift, tmp_path):
    (tmp_path / "a.json").write_text('{"results": []}\n')
    code, _, err = ringrift("bench", "compare", "a.json", "a.json")
    assert code == 6
    assert "a.json:1" in err
