"""What the options of `loop iterate` come to: settings of the run, and stores that are its own."""

import json

import pytest

from ringrift.cli.loop.iterate_options import IterateOptions, require_own_stores, settings_of
from ringrift.core.errors import UsageError
from ringrift.core.paths import Paths
from ringrift.core.settings_loader import load_settings
from ringrift.core.settings_loader.keys import value_at

# option: a value other than the default, the setting, its value then and by default
ROWS = {
    "games_per_iter": (7, "training.trigger_threshold_games", 7, 100),
    "dataset_policy_target": ("played", "training.policy.target", "played", "auto"),
    "selfplay_engine_mode": ("mcts", "selfplay.engine_mode", "mcts-only", None),
    "selfplay_difficulty_band": ("light", "selfplay.difficulty_band", "light", "canonical"),
    "max_moves": (900, "selfplay.max_moves", 900, 10_000),
    "promotion_threshold": (0.6, "promotion.elo_threshold", 70.437, 34.86),
    "promotion_confidence": (0.9, "promotion.significance_level", 0.1, 0.05),
    "eval_games": (30, "promotion.max_games", 30, 400),
    "promotion_pool_size": (2, "promotion.pool_size", 2, 5),
    "promotion_pool_games": (6, "promotion.pool_games_per_opponent", 6, 20),
    "promotion_pool_threshold": (0.4, "promotion.pool_threshold", 0.4, 0.5),
    "tournament_every": (3, "evaluation.full_tournament_every_cycles", 3, 0),
    "tournament_games": (4, "evaluation.full_tournament_games", 4, 10),
    "max_consecutive_failures": (2, "safety.max_consecutive_failures", 2, 5),
    "plateau_threshold": (9, "plateau_detection.elo_plateau_lookback", 9, 5),
    "adaptive": (True, "adaptive_control.enabled", True, False),
    "overlapped_selfplay": (True, "pipeline.overlapped_selfplay", True, False),
}
OWN = {
    "replay_db": "game_store",
    "holdout_db": "game_store",
    "quarantine_db": "game_store",
    "staging_db_dir": "spool",
}


@pytest.mark.parametrize("name", ROWS)
def test_each_option_is_a_setting(name):
    given, path, value, default = ROWS[name]
    for options, expected in (({}, default), ({name: given}, value)):
        loaded = load_settings(environ={}, options=settings_of(IterateOptions(**options)))
        assert value_at(loaded.values, path) == pytest.approx(expected)


def test_the_test_is_no_longer_than_its_least_games():
    loaded = load_settings(environ={}, options=settings_of(IterateOptions(eval_games=10)))
    assert (loaded.values.promotion.min_games, loaded.values.promotion.max_games) == (10, 10)


@pytest.mark.parametrize("name", OWN)
def test_the_installation_s_own_store_is_accepted_and_no_other(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = Paths(tmp_path)
    own = getattr(paths, OWN[name])
    require_own_stores(IterateOptions(), paths)
    for place in (own, own.relative_to(tmp_path)):
        require_own_stores(IterateOptions(**{name: place}), paths)
    with pytest.raises(UsageError, match=str(paths.game_store)) as error:
        require_own_stores(IterateOptions(**{name: tmp_path / "other"}), paths)
    assert error.value.where == "--" + name.replace("_", "-")
    assert str(paths.spool) in error.value.message


def test_the_plan_of_a_run_of_two_cycles_is_printed(ringrift, tmp_path):
    line = ("--root", tmp_path, "--yes", "--json", "loop", "iterate", "--iterations", "2")
    code, out, _ = ringrift(*line, "--dry-run", "--replay-db", tmp_path / "data/games/games.db")
    assert code == 0
    assert json.loads(out)["configs"]["square8_2p"]["state"] == "unborn"
