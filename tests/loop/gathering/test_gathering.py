"""What is gathered of real stores, chains and models: right, the same step by step, and side by side."""

import hashlib
import json
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace

import pytest

from ringrift.core.settings import Settings
from ringrift.data.quality.score import quality_score
from ringrift.evaluation.participants import participant
from ringrift.evaluation.plans import MatchPlan
from ringrift.evaluation.sprt import SequentialTest
from ringrift.loop.feedback import newest_trained
from ringrift.loop.gathering import Gatherer, gather_readonly
from ringrift.models.registry import model_path
from ringrift.records import GameStore
from ringrift.records.gate import Gate
from ringrift.rules import BoardSpec

from ...models.papers import decide, paper
from ...records.tables import rows, tamper
from .grown import CONFIG, new_root, played, random_model, run_of, searched, store_games, trained

NOW = 1.8e9
SETTINGS = Settings()
CONFIGS = (CONFIG, "hex8_2p")
SPEC = BoardSpec.create("square8", 2)
FULL = SETTINGS.selfplay.mcts_simulations


@pytest.fixture
def paths(tmp_path):
    return new_root(tmp_path / "root")


def look(paths, configs=CONFIGS, now=NOW):
    return gather_readonly(paths, SETTINGS, now, configs=configs)


def tree(paths):
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths.root.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_an_empty_root_knows_nothing_and_stays_empty(paths):
    before = tree(paths)
    first, second = look(paths)
    assert (first.config, second.config) == CONFIGS
    assert first.champion is None
    assert (first.games, first.new_games, first.models, first.error) == (0, 0, (), None)
    assert first.gates.quality is None
    assert first.gates.preflight is None
    assert tree(paths) == before


def test_numbers_of_the_games(paths):
    games = [played(n) for n in range(120)]
    games += [played(n, purpose="match", run="m", seed=1000 + n) for n in range(5)]
    games += [played(n, config="hex8_2p") for n in range(7)]
    store_games(paths, games)
    path = paths.game_store
    with GameStore.open(path, writer=True) as store:
        refused = [played(n, seed=5000 + 4 * n) for n in range(15)]
        assert store.ingest(refused, gate=Gate(completed=True)).quarantined == 15
    facts, other = look(paths)
    wins = Counter(w for (w,) in rows(path, "SELECT winner FROM games WHERE run LIKE 'loop/sq%'"))
    ((trainable,),) = rows(path, "SELECT count(*) FROM trainable WHERE config = 'square8_2p'")
    assert facts.games == 125
    assert facts.new_games == trainable > 80
    assert facts.max_seq == other.max_seq == 132
    assert facts.gates.seat_wins == (wins[1], wins[2])
    assert min(wins[0], wins[1], wins[2]) > 10
    assert facts.gates.seat_games == 120
    assert facts.gates.failure_rate == pytest.approx(15 / 140)
    found = quality_score([path], CONFIG, full_simulations=FULL)
    assert found.score is None  # fewer than 100 trainable games
    coverage = {part.name: part.value for part in found.components}["policy_coverage"]
    assert facts.gates.policy_share == pytest.approx(coverage)
    assert facts.gates.needs_policy
    assert facts.play.next_index == {run_of(): 120}
    capped = sum(game.result.end == "max_plies" for game, _ in games[:120])
    assert facts.play.move_limit_share == pytest.approx(capped / 120)
    lines = {game.moves[:12] for game, _ in games[:120]}
    assert facts.play.distinct_openings == pytest.approx(len(lines) / 120)
    assert other.games == 7
    assert other.gates.failure_rate == 0.0
    assert other.play.next_index == {run_of("hex8_2p"): 7}


def test_the_last_hour(paths):
    store_games(paths, [played(n) for n in range(10)])
    ((at,),) = rows(paths.game_store, "SELECT max(ingested_at) FROM games")
    with Gatherer(paths, SETTINGS, CONFIGS) as gatherer:
        assert gatherer.gather(at + 1)[0].play.games_last_hour == 10
        assert gatherer.gather(at + 3602)[0].play.games_last_hour == 0


def test_looking_often_finds_what_one_look_finds(paths):
    """Games, copies of plays, quarantine and models come in random portions."""
    rng = random.Random(7)
    games = [played(n) for n in range(150)]
    games += [played(n, config="hex8_2p") for n in range(20)]
    copies = [replace(game, seed=10_000 + n) for n, (game, _) in enumerate(games[:40])]
    games += [(game, searched(game)) for game in copies]
    rng.shuffle(games)
    champion = random_model(paths)
    decide(paths.models, "promoted", champion)
    store_games(paths, [])
    with Gatherer(paths, SETTINGS, CONFIGS) as gatherer:
        gatherer.gather(NOW)
        made = 0
        while games:
            portion = [games.pop() for _ in range(min(len(games), rng.randrange(1, 40)))]
            with GameStore.open(paths.game_store, writer=True) as store:
                store.ingest(portion)
                if rng.random() < 0.5:
                    bad = played(0, seed=20_000 + 4 * len(games))
                    store.ingest([bad], gate=Gate(completed=True))
                top = store.max_seq()
            if rng.random() < 0.4:
                made += 1
                trained(paths, made, champion, upto=rng.randrange(top))
            assert gatherer.gather(NOW) == look(paths)
        last = gatherer.gather(NOW)[0]
    assert made
    found = quality_score([paths.game_store], CONFIG, full_simulations=FULL)
    assert last.gates.quality == pytest.approx(found.score, abs=1e-12)
    assert last.new_games > 0


def test_old_games_leave_the_window(paths, monkeypatch):
    """Of more games than are looked at only the newest count, as in a score measured anew."""
    for module in ("ringrift.data.quality.score", "ringrift.loop.gathering_games"):
        monkeypatch.setattr(f"{module}.LAST_GAMES", 40)
        monkeypatch.setattr(f"{module}.LAST_LINES", 20)
    monkeypatch.setattr("ringrift.data.quality.score.LEAST_GAMES", 10)
    store_games(paths, [])
    with Gatherer(paths, SETTINGS, CONFIGS) as gatherer:
        for start in range(0, 120, 15):
            spec = "random" if start % 2 else "gumbel:eval=heuristic,sims=32"
            store_games(paths, [played(n, spec=spec) for n in range(start, start + 15)])
            facts = gatherer.gather(NOW)[0]
            found = quality_score([paths.game_store], CONFIG, full_simulations=FULL)
            coverage = {part.name: part.value for part in found.components}["policy_coverage"]
            assert facts.gates.quality == pytest.approx(found.score, abs=1e-12)
            assert facts.gates.policy_share == pytest.approx(coverage, abs=1e-12)
            assert facts.gates.seat_games == min(start + 15, 40)
    assert found.games == 40


def test_a_copy_of_a_play_counts_once(paths):
    game, analysis = next(
        (g, a) for g, a in (played(n) for n in range(20)) if _side(paths, g, a) == "train"
    )
    store_games(paths, [(game, analysis)])
    with Gatherer(paths, SETTINGS, CONFIGS) as gatherer:
        assert gatherer.gather(NOW)[0].new_games == 1
        other = replace(game, seed=99)
        store_games(paths, [(other, searched(other))])
        assert gatherer.gather(NOW)[0].new_games == 1
        assert gatherer.gather(NOW)[0].games == 2


def _side(paths, game, analysis):
    folder = paths.root / "sides"
    with GameStore.open(folder / f"{game.id[:8]}.db", writer=True) as store:
        store.ingest([(game, analysis)])
        return store.rows()[0]["split"]


def test_models_and_decisions(paths):
    first = random_model(paths)
    decide(paths.models, "promoted", first, settings={"simulations": 16})
    second = trained(paths, 1, first, upto=3)
    decide(
        paths.models,
        "promoted",
        second,
        score=0.6,
        elo_diff=70.0,
        elo_ci95=[20.0, 120.0],
        games=80,
        settings={"simulations": 32},
    )
    old = trained(paths, 2, second, upto=5)
    new = trained(paths, 3, old, upto=6)
    stranger = trained(paths, 4, None, upto=9)
    store_games(paths, [played(n) for n in range(30)])
    facts, _ = look(paths)
    assert facts.champion == second
    assert facts.generation == 1
    assert [model.id for model in facts.models] == [first, second, old, new, stranger]
    assert [model.random for model in facts.models] == [True, False, False, False, False]
    assert facts.undecided == ((old, False), (new, False))
    assert facts.candidate == new
    model = facts.model(new)
    assert (model.trained_from, model.games_upto, model.samples) == (old, 6, 300)
    assert model.losses == (2.5,)
    assert model.validation_loss == 2.75
    assert model.dataset == f"{3:064x}"
    last = facts.decisions[-1]
    assert (last.score, last.elo, last.elo_ci95, last.games) == (0.6, 70.0, (20.0, 120.0), 80)
    assert [decision.simulations for decision in facts.decisions] == [16, 32]
    sql = "SELECT count(*) FROM trainable WHERE config = 'square8_2p' AND seq > 6"
    assert facts.new_games == rows(paths.game_store, sql)[0][0]
    decide(paths.models, "superseded", old)
    facts, _ = look(paths)
    assert facts.undecided == ((new, False),)


def test_the_snapshot_of_a_training_is_no_candidate(paths):
    first = random_model(paths)
    decide(paths.models, "promoted", first)
    training = {"run": "job1", "datasets": ["1" * 64], "unfinished": True}
    parents = ((first, "snapshot"),)
    taken = paper(paths.models, 1, config="square8_2p", parents=parents, training=training)
    facts, _ = look(paths)
    assert facts.model(taken).unfinished
    assert facts.candidate is None
    assert newest_trained(facts) is None


def test_tests_since_the_last_promotion_are_counted(paths):
    agents = tuple(participant(name, SPEC) for name in ("random", "heuristic"))
    plan = MatchPlan.of_games(
        40, purpose="test", spec=SPEC, agents=agents, seed=1, test=SequentialTest(alpha=0.05)
    )
    store_games(paths, [played(0)])
    with GameStore.open(paths.game_store, writer=True) as store:
        store.plans.add(plan.text, config=CONFIG, purpose="test")
    found, other = look(paths)
    assert (found.tests, found.tests_expected_false) == (1, 0.05)
    assert (other.tests, other.tests_expected_false) == (0, 0.0)
    time.sleep(1.0)  # a decision is dated in whole seconds
    decide(paths.models, "promoted", random_model(paths))
    assert look(paths)[0].tests == 0


def test_report_and_hold_out_are_added_when_they_come(paths):
    first = random_model(paths)
    decide(paths.models, "promoted", first)
    model = trained(paths, 1, first)
    store_games(paths, [])
    with Gatherer(paths, SETTINGS, (CONFIG,)) as gatherer:

        def facts():
            return gatherer.gather(NOW)[0].model(model)

        assert facts().losses == (2.5,)
        assert facts().seconds is None
        folder = paths.runs / CONFIG / "loop" / "job1"
        folder.mkdir(parents=True)
        report = {
            "model_id": model,
            "epochs": [{"losses": {"policy": 2.0 - n, "value": 0.5}} for n in range(2)],
            "facts": {"policy": {"coverage": 0.4}},
            "seconds": 12.5,
            "overfit_gap": None,
            "calibration": {"ece": 0.2, "optimal_temperature": 1.25},
        }
        (folder / "report.json").write_text(json.dumps(report))
        found = facts()
        assert (found.losses, found.seconds, found.coverage) == ((2.5, 1.5), 12.5, 0.4)
        assert (found.ece, found.temperature, found.overfit_gap) == (0.2, 1.25, None)
        folder = model_path(paths.model_objects, model).with_suffix("") / "evaluations"
        folder.mkdir(parents=True)
        result = {
            "model": model,
            "config": CONFIG,
            "strata": {},
            "set_hash": "a",
            "gap": {"value": 0.07},
            "holdout": {"ece": 0.03, "value_error": 0.6, "positions": 900},
        }
        (folder / "holdout-1.json").write_text(json.dumps(result))
        found = facts()
        assert (found.ece, found.overfit_gap, found.temperature) == (0.03, 0.07, 1.25)


def test_a_lost_champion_is_the_error_of_its_configuration_alone(paths):
    champions = {}
    for config in CONFIGS:
        champions[config] = random_model(paths, len(champions), config=config)
        decide(paths.models, "promoted", champions[config], config=config)
    trained(paths, 5, champions[CONFIG])
    store_games(paths, [played(0), played(0, config="hex8_2p")])
    path = model_path(paths.model_objects, champions[CONFIG])
    kept = path.read_bytes()
    path.unlink()
    broken, whole = look(paths)
    assert broken.champion == champions[CONFIG]
    assert broken.candidate is None
    assert champions[CONFIG][:12] in broken.error
    assert str(path) in broken.error
    assert whole.error is None
    assert whole.games == 1
    path.write_bytes(kept[:-100])
    path.with_suffix(".json").unlink()
    with Gatherer(paths, SETTINGS, CONFIGS) as gatherer:
        assert "can be read" in gatherer.gather(NOW)[0].error
        path.unlink()
        path.write_bytes(kept)
        assert [facts.error for facts in gatherer.gather(NOW)] == [None, None]


def test_a_damaged_game_is_the_error_of_its_configuration_alone(paths):
    store_games(paths, [played(n) for n in range(3)])
    store_games(paths, [played(n, config="hex8_2p") for n in range(3)])
    tamper(paths.game_store, "UPDATE games SET record = x'00' WHERE seq = 2")
    broken, whole = look(paths)
    assert "game 2" in broken.error
    assert whole.error is None
    assert whole.play.distinct_openings is not None


def test_a_look_changes_nothing(paths):
    first = random_model(paths)
    decide(paths.models, "promoted", first)
    trained(paths, 1, first)
    store_games(paths, [played(n) for n in range(20)])
    before = tree(paths)
    look(paths)
    assert tree(paths) == before


def test_a_store_that_cannot_be_read_for_a_while_is_told_and_read_again(paths):
    champion = random_model(paths)
    decide(paths.models, "promoted", champion)
    store_games(paths, [played(n) for n in range(5)])
    with Gatherer(paths, SETTINGS, CONFIGS) as gatherer:
        gatherer.gather(NOW)
        store_games(paths, [played(n) for n in range(5, 10)])
        alter(paths.game_store, "ALTER TABLE quarantine RENAME TO elsewhere")
        broken, other = gatherer.gather(NOW)
        assert broken.champion == champion
        assert "quarantine" in broken.error
        assert "quarantine" in other.error
        alter(paths.game_store, "ALTER TABLE elsewhere RENAME TO quarantine")
        assert gatherer.gather(NOW) == look(paths)
        assert gatherer.gather(NOW)[0].games == 10


def alter(path, sql):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
