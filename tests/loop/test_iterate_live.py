"""`loop iterate`: so many cycles of so many games; killed it goes on where it was (`loop.md` 6)."""

import json
import os
import signal
import subprocess
import time

import pytest

from ringrift.core.paths import Paths
from ringrift.data.dataset import Manifest
from ringrift.evaluation.elo import elo_from_score
from ringrift.evaluation.plans import plan_of_text
from ringrift.models.decisions import read_chain
from ringrift.records.store import GameStore

from . import live, planted

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]

CYCLES = 2
ITERATE = ("loop", "iterate", "--profile", "quick", "--no-metrics", "--games-per-iter", "30")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    yield folder
    live.end_hub(folder)


def begin(root, iterations=CYCLES, eval_games=16, more=(), **variables):
    """Begin the command in a session of its own."""
    words = (*ITERATE, "--eval-games", str(eval_games), "--iterations", str(iterations), *more)
    return subprocess.Popen(
        live.command(root, "--yes", "--json", *words),
        env=live.environ(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=root.with_suffix(".log").open("ab"),
        start_new_session=True,
    )


def end_of(process, root):
    code, out, err = live.finish(process, root)
    assert code == 0, err[-3000:]
    return json.loads(out)


def datasets(root):
    return sorted(path.parent.name for path in Paths(root).npz.glob("*/*/manifest.json"))


def trained(root):
    return [e["data"]["model"] for e in live.events(root, "training_finished")]


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_killed_after_export_and_after_training_it_goes_on_there(root):
    process = begin(root)
    live.await_(process, root, lambda: datasets(root))
    kill(process)
    exported = datasets(root)
    process = begin(root)
    live.await_(process, root, lambda: trained(root))
    kill(process)
    assert set(exported) <= set(datasets(root))
    (model,) = trained(root)
    result = end_of(begin(root), root)
    assert result["ended"] == "cycles"
    assert len(live.decisions(root)) >= CYCLES
    live.check_whole(root)
    assert live.decisions(root)[0].candidate == model  # not trained again
    assert trained(root).count(model) == 1


def test_a_table_row_for_each_cycle_and_no_work_by_the_clock(root):
    result = end_of(begin(root), root)
    assert [row["iteration"] for row in result["iterations"]] == list(range(1, CYCLES + 1))
    assert all(row["decision"] in live.DECIDING for row in result["iterations"])
    assert result["champion"] == read_chain(Paths(root).decisions, live.CONFIG).champion
    assert not live.events(root, "shadow_finished")
    live.check_whole(root)


def test_every_option_acts_in_a_run(root):
    options = {
        "--selfplay-engine-mode": "mixed",
        "--selfplay-difficulty-band": "light",
        "--max-moves": 90,
        "--dataset-policy-target": "played",
        "--promotion-pool-size": 2,
        "--promotion-pool-games-per-opponent": 4,
        "--promotion-pool-threshold": 0.4,
        "--tournament-every-n-iterations": 1,
        "--tournament-games-per-config": 2,
        "--replay-db": Paths(root).game_store,
    }
    baselines = {"RINGRIFT_EVALUATION__BASELINE_MODELS": '["random", "heuristic"]'}
    words = [str(word) for pair in options.items() for word in pair]
    end_of(begin(root, more=words, **baselines), root)
    with GameStore.open(Paths(root).game_store) as store:
        played = [game for _, game, _ in store.records(live.CONFIG, purpose="selfplay")]
        tournaments = [plan_of_text(row.text) for row in store.plans.all(purpose="full")]
        left = [plan for plan in tournaments if len(store.indices(plan.hash)) < plan.games]
    kinds = {agent.kind for game in played for agent in game.agents}
    assert kinds <= {"random", "heuristic", "alphabeta", "mcts"}
    assert len(kinds) > 2
    assert {game.max_plies for game in played} == {90}
    assert len({plan.seed for plan in tournaments}) == CYCLES
    assert {plan.games for plan in tournaments} == {2}
    assert left == []
    for decision in live.decisions(root):
        assert decision.inputs["rules"]["regression_elo"] == pytest.approx(elo_from_score(0.4))
        assert decision.inputs["settings"]["regression_games"] == 4
    for name in datasets(root):
        manifest = Manifest.read(Paths(root).npz / live.CONFIG / name)
        assert manifest.options["policy_target"] == "played"
    live.check_whole(root)


def test_ten_cycles_of_fifty_games_take_less_than_twenty_minutes(root):
    words = ("--games-per-iter", "50", "--iterations", "10")
    plain = {name: value for name, value in live.environ().items() if name not in live.SMALL}
    begun_s = time.monotonic()
    subprocess.run(
        live.command(root, "--yes", "--json", "loop", "iterate", "--no-metrics", *words),
        env=plain,
        check=True,
        timeout=1800,
    )
    minutes = (time.monotonic() - begun_s) / 60
    assert len(live.decisions(root)) == 10
    assert minutes < 20


def test_a_planted_bad_candidate_leaves_the_champion(root):
    end_of(begin(root, 1), root)
    champion = read_chain(Paths(root).decisions, live.CONFIG).champion
    bad = planted.noised(root, champion, games_upto=live.games(root))
    end_of(begin(root, 1, eval_games=200, RINGRIFT_EVALUATION__FLOOR_GAMES="20"), root)
    chain = read_chain(Paths(root).decisions, live.CONFIG)
    (decision,) = [each for each in chain.decisions if each.candidate == bad]
    assert decision.kind in ("rejected", "inconclusive")
    assert decision.champion == champion
    assert bad not in chain.champions()
    live.check_whole(root)
