"""`loop watch`: a model that appears from elsewhere gets one tournament, once (`loop.md` 7)."""

import pytest

from ringrift.core.paths import Paths
from ringrift.models.decisions import read_chain
from ringrift.records.store import GameStore

from . import live, planted

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]

WATCH = ("loop", "watch", "--profile", "quick", "--check-once", "--no-metrics")
GAMES = 50


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    yield folder
    live.end_hub(folder)


def calibration_games(root, model):
    with GameStore.open(Paths(root).game_store) as store:
        runs = {plan.hash for plan in store.plans.all(live.CONFIG, purpose="calibration")}
        records = [record for _, record, _ in store.records(live.CONFIG)]
    games = [game for game in records if game.meta.run in runs]
    return [game for game in games if model in {agent.model_id for agent in game.agents}]


def filed(root):
    return [e["job"] for e in live.events(root, "job_filed")]


def watch(root):
    code, _, err = live.call(root, *WATCH)
    assert code == 0, err[-3000:]


def test_a_model_gets_one_tournament_and_a_second_call_files_none(root):
    code, _, err = live.call(root, "config", "init", str(root))
    assert code == 0, err
    model = planted.by_hand(root)
    watch(root)
    played = calibration_games(root, model)
    assert len(played) == GAMES
    assert read_chain(Paths(root).decisions, live.CONFIG).decisions == ()  # it decides nothing
    assert len({game.id for game in played}) == GAMES
    jobs = filed(root)
    assert jobs
    watch(root)
    assert filed(root) == jobs
    assert len(calibration_games(root, model)) == GAMES
    other = planted.by_hand(root, seed=100)
    watch(root)
    assert len(calibration_games(root, other)) == GAMES
    assert len(calibration_games(root, model)) == GAMES
