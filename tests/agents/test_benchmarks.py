"""Benchmarks measure what they say: same games from one seed, exact scores, leaks that are seen."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ringrift.agents.benchmarks import policy
from ringrift.agents.benchmarks.compare import compare, plot
from ringrift.agents.benchmarks.engine import measure_engine
from ringrift.agents.benchmarks.gpu_cpu import measure_devices
from ringrift.agents.benchmarks.memory import MIB, MemoryCase, run_case, slope
from ringrift.agents.benchmarks.pairs import play_pair
from ringrift.agents.benchmarks.positions import random_positions
from ringrift.agents.benchmarks.process import Watch
from ringrift.agents.benchmarks.results import (
    Check,
    Figure,
    append_line,
    figures_of,
    gate_status,
    read_result,
)
from ringrift.agents.evaluators import ConstantEvaluator, HeuristicEvaluator
from ringrift.agents.factory import make_agent
from ringrift.core.errors import DataError, UsageError
from ringrift.records import AgentRef, GameMeta, GameStore, build_record
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay

SPEC = BoardSpec.create("square8", 2)


def figure(samples, name="rate", *, better="higher", case="square8_2p", unit="plies/s"):
    return Figure(case=case, name=name, unit=unit, samples=tuple(samples), better=better)


def pair(first="heuristic", second="random", spec=SPEC):
    return make_agent(first, spec), make_agent(second, spec)


# --- games of a pair


def test_two_runs_with_one_seed_give_equal_scores_and_moves():
    runs = [play_pair(SPEC, pair(), 6, seed=42) for _ in range(2)]
    scores = [(run.wins, run.losses, run.capped, run.plies, run.hash) for run in runs]
    assert scores[0] == scores[1]
    assert play_pair(SPEC, pair(), 6, seed=43).hash != runs[0].hash


def test_games_do_not_depend_on_the_games_beside_them():
    def decided(games):
        found = set()

        class Noting:
            def __init__(self, agent):
                self.spec, self.agent = agent.spec, agent

            def choose(self, positions, budget, rng):
                decisions = self.agent.choose(positions, budget, rng)
                for state, seed, decision in zip(
                    positions.states, positions.seeds, decisions, strict=True
                ):
                    found.add((seed, int(state["misc"][lay.PLY]), self.spec.text, decision.move))
                return decisions

        play_pair(SPEC, tuple(Noting(agent) for agent in pair()), games, seed=7)
        return found

    two, six = decided(2), decided(6)
    assert two < six
    assert len(two) > 100


@pytest.mark.parametrize("players", [2, 3, 4])
def test_the_score_is_the_first_agents_and_capped_games_are_neither(players):
    spec = BoardSpec.create("square8", players)
    games = 6 * players
    whole = play_pair(spec, pair(spec=spec), games, seed=1)
    assert whole.wins + whole.losses + whole.capped == games
    assert whole.wins > games / players
    cut = play_pair(spec, pair(spec=spec), games, seed=1, max_plies=9)
    assert (cut.wins, cut.losses, cut.capped, cut.plies) == (0, 0, games, 9 * games)


def test_the_second_agent_gets_the_losses_of_the_first():
    there = play_pair(SPEC, pair("heuristic", "random"), 8, seed=5)
    back = play_pair(SPEC, pair("random", "heuristic"), 8, seed=5)
    # A block is one opening from every seat, so both play the same games.
    assert (there.wins, there.losses, there.plies) == (back.losses, back.wins, back.plies)
    assert there.wins != there.losses


def test_an_illegal_move_is_an_error_that_names_the_agent():
    class Wrong:
        spec = make_agent("random", SPEC).spec

        def choose(self, positions, budget, rng):
            return [SimpleNamespace(move=0) for _ in range(len(positions))]

    with pytest.raises(DataError, match=r"random played illegal move 0 at ply 4 of square8_2p"):
        play_pair(SPEC, (Wrong(), Wrong()), 2, seed=1)


def test_positions_are_of_random_games_and_none_is_over():
    states = random_positions(SPEC, 64, seed=3)
    assert not (states["misc"][:, lay.PHASE] == lay.OVER).any()
    plies = states["misc"][:, lay.PLY]
    assert plies.min() < 30
    assert plies.max() > 90
    assert (random_positions(SPEC, 64, seed=3)["cell"] == states["cell"]).all()


@pytest.mark.slow
def test_the_row_of_a_configuration_follows_from_its_figures():
    rounds = []
    found = measure_engine(
        SPEC,
        ("heuristic", "random"),
        make_agent,
        games=2,
        seconds=0.1,
        threads=1,
        seed=42,
        repeat=3,
        on_round=lambda: rounds.append(1),
    )
    row, by_name = found.row, {f.name: f for f in found.figures}
    assert len(rounds) == 3
    assert row["same_in_all_repeats"]
    assert row["plies_per_s"] == sorted(by_name["plies_per_s"].samples)[1]
    assert row["ns_per_ply"] == pytest.approx(1e9 / row["plies_per_s"])
    assert row["legal_moves_per_s"] > row["legal_sets_per_s"] > 0
    assert 0 < sum(row["agent_share"]) <= 1
    assert found.checks[0].found == by_name["playout_plies_per_s"].value


def test_a_watch_sees_memory_that_is_given_back_and_collections():
    with Watch() as watch:
        block = np.ones(8 << 20)
        del block
        for _ in range(3):
            cycle = []
            cycle.append(cycle)
            del cycle
        __import__("gc").collect()
    with Watch() as quiet:
        pass
    assert watch.cost.gc_collections >= 1
    if watch.cost.peak_of == "run":
        assert watch.cost.peak_rss_bytes - quiet.cost.peak_rss_bytes > 32 * MIB


# --- devices


def test_without_a_gpu_its_times_are_unknown_and_nothing_is_demanded():
    pairs = measure_devices(SPEC, states=3, iterations=4, seed=1, gpu=False)
    assert [p.operation for p in pairs] == ["evaluation", "playout"]
    for p in pairs:
        assert p.gpu is p.speedup is p.check() is None
        tree = p.as_tree()["cpu"]
        assert tree["min_ms"] <= tree["avg_ms"] <= tree["max_ms"]
        assert tree["throughput_per_s"] == pytest.approx(3000 / tree["avg_ms"])
        assert [f.name for f in p.figures()] == ["cpu_ms"]


@pytest.mark.gpu
def test_on_a_gpu_both_devices_agree_and_have_times():
    for p in measure_devices(SPEC, states=64, iterations=3, seed=1, gpu=True):
        assert p.speedup > 0


@pytest.mark.slow
@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 3)])
def test_the_simulated_kernel_values_positions_as_the_cpu_does(board, players):
    from ringrift.agents.weights import default_profile

    spec = BoardSpec.create(board, players)
    games = [random_moves(spec, seed)[: 30 * (seed + 1)] for seed in range(3)]
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("simulate_evaluation.py")),
            board,
            str(players),
        ],
        input=json.dumps(games),
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    states = np.concatenate([after(spec, moves)._states for moves in games])
    values = np.zeros((3, players))
    profile = default_profile(spec.config)
    from ringrift.agents.evaluation import evaluate_all
    from ringrift.agents.listing import scratch
    from ringrift.rules.geometry import board_tables

    evaluate_all(
        states, 3, board_tables(spec), scratch(), profile.effective(), profile.gain, values
    )
    assert np.abs(values).max() > 0.01
    assert np.allclose(json.loads(done.stdout), values, rtol=0, atol=1e-9)


# --- policies


def random_moves(spec, seed):
    rng, position, moves = random.Random(seed), Position.of(spec), []
    while not position.is_over:
        moves.append(int(rng.choice(position.legal_packed().tolist())))
        position.play(moves[-1])
    return moves


def after(spec, moves):
    position = Position.of(spec)
    for move in moves:
        position.play(move)
    return position


def record(seed, *, marks=None, run="r1"):
    agents = [AgentRef(spec=f"random:a={n}", agent_hash=f"{n:064x}") for n in (1, 2)]
    meta = GameMeta(purpose="match", run=run, index=seed, started=1.7e9 + seed)
    return build_record(SPEC, seed, agents, random_moves(SPEC, seed), marks=marks or {}, meta=meta)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Two stores of four games each, two of them in both."""
    folder = tmp_path_factory.mktemp("stores")
    paths = [folder / "a.db", folder / "b.db"]
    for path, seeds in zip(paths, (range(4), range(2, 6)), strict=True):
        with GameStore.open(path, writer=True) as store:
            store.ingest([(record(seed), None) for seed in seeds])
    return paths


def test_uniform_scores_one_over_the_legal_moves(stores):
    games = policy.find_games(stores, SPEC, most=10, seed=1)
    sample = policy.draw_positions(games, most=10_000, seed=1)
    legal = np.diff(sample.offsets)
    scores = policy.score(sample, ConstantEvaluator(SPEC))
    line = policy.table(sample, scores)["all"]
    assert line["positions"] == sample.choices == len(sample)
    for column, k in enumerate((1, 3, 5)):
        assert line[f"top_{k}"] == pytest.approx(np.minimum(k / legal, 1).mean(), abs=1e-9)
        assert (scores.hits[:, column] <= 1).all()
    assert line["cross_entropy"] == pytest.approx(np.log(legal).mean())
    assert line["mean_legal"] == pytest.approx(legal.mean())


def test_a_policy_that_knows_the_moves_is_always_right(stores):
    sample = policy.draw_positions(
        policy.find_games(stores, SPEC, most=3, seed=1), most=400, seed=1
    )

    class Knowing:
        def __init__(self):
            self.played = iter(sample.played.tolist())

        def evaluate(self, states, boards, moves, offsets):
            logits = np.zeros(len(moves), np.float32)
            for i in range(len(states)):
                part = slice(offsets[i], offsets[i + 1])
                logits[part][moves[part] == next(self.played)] = 30
            return logits, np.zeros((len(states), 2), np.float32)

    line = policy.table(sample, policy.score(sample, Knowing()))["all"]
    assert (line["top_1"], line["top_5"]) == (1, 1)
    assert line["cross_entropy"] < 1e-6


def test_ranks_are_counted_among_greater_and_level_logits():
    hits, loss = policy._of_position(np.log(np.array([0.5, 0.2, 0.2, 0.1])), 2)
    assert hits == [0, 1, 1]
    assert loss == pytest.approx(-np.log(0.2))
    hits, _ = policy._of_position(np.zeros(10), 4)
    assert hits == pytest.approx([0.1, 0.3, 0.5])


def test_thirds_and_move_types_share_out_all_positions(stores):
    sample = policy.draw_positions(
        policy.find_games(stores, SPEC, most=6, seed=1), most=400, seed=2
    )
    table = policy.table(sample, policy.score(sample, HeuristicEvaluator(SPEC)))
    for part in ("thirds", "move_types"):
        assert sum(line["positions"] for line in table[part].values()) == len(sample) == 400
    assert {"placement", "move", "capture"} <= table["move_types"].keys()
    assert table["thirds"]["opening"]["mean_legal"] > table["thirds"]["end"]["mean_legal"]


@pytest.mark.acceptance
def test_the_order_at_the_root_changes_the_nodes_and_the_best_needs_least(stores):
    from ringrift.agents.benchmarks.nodes import RootSearches

    sample = policy.draw_positions(policy.find_games(stores, SPEC, most=6, seed=1), most=60, seed=3)
    searches = RootSearches(sample, positions=12)

    class Opposite(HeuristicEvaluator):
        def evaluate(self, *arguments):
            logits, values = super().evaluate(*arguments)
            return -logits, values

    good, level, bad = (
        searches.count(kind(SPEC)) for kind in (HeuristicEvaluator, ConstantEvaluator, Opposite)
    )
    assert 0 < good < bad
    assert level not in (good, bad)
    assert searches.count(HeuristicEvaluator(SPEC)) == good


def test_a_model_must_be_no_worse_than_uniform_in_both_scores():
    uniform = {"top_1": 0.1, "cross_entropy": 2.0}
    for top, loss, status in ((0.2, 1.9, "passed"), (0.05, 1.9, "failed"), (0.2, 2.1, "failed")):
        checks = policy.demands("c", {"top_1": top, "cross_entropy": loss}, uniform=uniform)
        assert gate_status(checks) == status


def test_games_do_not_depend_on_the_order_of_stores_and_count_once(stores):
    there = policy.find_games(stores, SPEC, most=10, seed=1)
    back = policy.find_games(stores[::-1], SPEC, most=10, seed=1)
    assert [game.id for game in there] == [game.id for game in back]
    assert len({game.id for game in there}) == len(there) == 6
    few = policy.find_games(stores, SPEC, most=2, seed=1)
    assert [game.id for game in few] == [game.id for game in there][:2]
    with pytest.raises(DataError, match="no game of hex8_2p"):
        policy.find_games(stores, BoardSpec.create("hex8", 2), most=2, seed=1)


def test_plies_that_nobody_chose_are_left_out():
    free, marked = record(9), record(9, marks={0: "random", 1: "random"})
    counts = [policy.draw_positions([g], most=1000, seed=1).choices for g in (free, marked)]
    assert counts[0] - counts[1] == 2


def test_a_logit_that_is_not_finite_is_an_error(stores):
    class Broken(ConstantEvaluator):
        def evaluate(self, *arguments):
            logits, values = super().evaluate(*arguments)
            logits[-1] = np.nan
            return logits, values

    sample = policy.draw_positions(policy.find_games(stores, SPEC, most=1, seed=1), most=9, seed=1)
    with pytest.raises(DataError, match="not finite"):
        policy.score(sample, Broken(SPEC))


# --- memory

LEAKING = """
from ringrift.agents.factory import make_agent

KEPT = []
MIB = 1 << 20

class Leaking:
    def __init__(self, agent):
        self.spec = agent.spec
        self.agent = agent

    def choose(self, positions, budget, rng):
        KEPT.extend(b"x" * (MIB + len(KEPT)) for _ in range(len(positions)))
        return self.agent.choose(positions, budget, rng)

def make(text, spec):
    return Leaking(make_agent(text, spec))

def die(text, spec):
    import os
    os._exit(9)
"""


@pytest.fixture
def leaking(tmp_path, monkeypatch):
    """A module with an agent that keeps 1 MiB per move; importable in spawned processes."""
    (tmp_path / "leaking_agent.py").write_text(LEAKING)
    monkeypatch.syspath_prepend(str(tmp_path))
    import leaking_agent

    yield leaking_agent
    sys.modules.pop("leaking_agent")


@pytest.mark.slow
def test_a_planted_leak_of_1_mb_a_move_is_reported(leaking):
    case = MemoryCase(agent="random", config="square8_2p", games=5, max_plies=24)
    found = run_case(case, leaking.make)
    assert found.row["status"] == "measured"
    assert found.row["moves"] == 5 * 24
    # Of 24 plies four are the opening's, which another agent plays.
    assert found.row["growth_bytes_per_move"] * 24 / 20 > 0.9 * MIB
    assert found.row["growth_bytes_per_game"] > 0.9 * 20 * MIB
    worst = found.row["allocations"][0]
    assert worst["file"].endswith("/leaking_agent.py")
    assert worst["bytes_per_game"] > 0.9 * 20 * MIB
    assert not found.checks[0].passed


@pytest.mark.slow
def test_an_agent_without_a_leak_passes_the_gate():
    case = MemoryCase(agent="random", config="square8_2p", games=6)
    found = run_case(case, make_agent)
    assert found.row["growth_bytes_per_game"] < 0.2 * MIB
    assert found.checks[0].passed


@pytest.mark.slow
def test_a_case_that_cannot_be_measured_says_why(leaking):
    lost = run_case(MemoryCase(agent="policy@abcdef", config="square8_2p"), make_agent)
    assert lost.row["status"] == "unavailable"
    assert "abcdef" in lost.row["reason"]
    dead = run_case(MemoryCase(agent="random", config="square8_2p"), leaking.die)
    assert dead.row["status"] == "failed"
    assert lost.figures == dead.checks == ()


def test_slopes_are_those_of_least_squares():
    assert slope([0, 1, 2, 3], [5, 7, 9, 11]) == pytest.approx((2, 0))
    x, y = list(range(20)), np.random.default_rng(1).integers(0, 100, 20).tolist()
    found, error = slope(x, y)
    assert found == pytest.approx(np.polyfit(x, y, 1)[0])
    covariance = np.polyfit(x, y, 1, cov=True)[1]
    assert error == pytest.approx(np.sqrt(covariance[0, 0]))
    assert slope([3], [4]) == (0, 0)


# --- results and their comparison


def test_lines_are_appended_and_found_by_number(tmp_path):
    path = tmp_path / "runs" / "engine.jsonl"
    for k in range(3):
        append_line(path, {"k": k, "figures": [figure([1.0 + k]).as_tree()]})
    with path.open("a") as file:
        file.write('{"k": 9, "fig')  # a writer was killed
    append_line(path, {"k": 3, "figures": []})
    assert read_result(f"{path}@1")["k"] == 0
    assert read_result(str(path))["k"] == 3
    assert read_result(f"{path}@-4")["k"] == 1
    assert figures_of(read_result(f"{path}@2"), "x") == [figure([2.0])]
    with pytest.raises(DataError, match=r"engine\.jsonl:4"):
        read_result(f"{path}@4")
    for bad in (f"{path}@9", f"{path}@0", str(tmp_path / "none.json")):
        with pytest.raises(UsageError):
            read_result(bad)


@pytest.mark.parametrize(
    "change", [{"better": "red"}, {"samples": []}, {"samples": [True]}, {"case": 3}]
)
def test_a_damaged_figure_is_named(change):
    with pytest.raises(DataError, match=next(iter(change))):
        Figure.of_tree({**figure([1.0]).as_tree(), **change}, "file figures[0]")


def test_a_ratio_has_the_interval_of_resampled_medians():
    rng = np.random.default_rng(3)
    a, b = rng.normal(100, 5, 40), rng.normal(130, 5, 40)
    (found,) = compare([figure(a)], [figure(b)])
    assert found.ratio == pytest.approx(np.median(b) / np.median(a))
    assert found.low < found.ratio < found.high
    assert found.low > 1.2
    assert found.high < 1.4
    assert found.verdict == "better"
    (again,) = compare([figure(a)], [figure(b)])
    assert again == found


def test_verdicts_follow_what_is_better():
    slow, fast = [10.0, 10.1, 9.9], [20.0, 20.1, 19.9]
    for better, verdict in (("higher", "better"), ("lower", "worse")):
        (found,) = compare([figure(slow, better=better)], [figure(fast, better=better)])
        assert found.verdict == verdict
    (level,) = compare([figure(slow)], [figure([9.95, 10.0, 10.05])])
    assert level.verdict == "level"
    (single,) = compare([figure([10.0])], [figure([20.0])])
    assert (single.ratio, single.low, single.verdict) == (2, None, "unknown")
    (zero,) = compare([figure([0.0, 0.0])], [figure(fast)])
    assert zero.ratio is zero.low is None


def test_only_common_figures_of_one_unit_are_compared():
    found = compare(
        [figure([1.0], "x"), figure([1.0], "y")], [figure([1.0], "y"), figure([1.0], "z")]
    )
    assert [ratio.name for ratio in found] == ["y"]
    with pytest.raises(UsageError, match="no figure in common"):
        compare([figure([1.0], "x")], [figure([1.0], "y")])
    with pytest.raises(UsageError, match="plies/s"):
        compare([figure([1.0])], [figure([1.0], unit="ms")])


def test_the_plot_of_one_comparison_is_one_file():
    ratios = compare([figure([1.0, 2.0]), figure([1.0], "y")], [figure([2.0, 3.0])])
    one, other = (plot(ratios, a="a.json", b="b.json") for _ in range(2))
    assert one == other
    assert b"<svg" in one


def test_a_gate_is_passed_when_all_demands_are_met():
    checks = [
        Check(case="c", name="n", unit="x", found=found, wanted=3.0, most=most)
        for found, most in ((3.0, False), (3.0, True), (2.0, False), (4.0, True))
    ]
    assert [check.passed for check in checks] == [True, True, False, False]
    assert gate_status(checks[:2]) == "passed"
    assert gate_status(checks) == "failed"
    assert gate_status([]) == "not run"
