"""`loop iterate`: so many cycles of so many games; killed it goes on where it was (`loop.md` 6)."""

import json
import os
import signal
import subprocess

import pytest

from ringrift.core.paths import Paths
from ringrift.models.decisions import read_chain

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


def begin(root, iterations=CYCLES, eval_games=16, **variables):
    """Begin the command in a session of its own."""
    words = (*ITERATE, "--eval-games", str(eval_games), "--iterations", str(iterations))
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
