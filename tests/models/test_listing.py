"""The registry says what the files say, and nothing else."""

import json
import sqlite3
import subprocess
import sys
import time

import pytest

from ringrift.core.errors import DataError, UsageError
from ringrift.models.aliases import set_alias
from ringrift.models.index import rebuild
from ringrift.models.listing import Rating, list_models, played_matches
from ringrift.models.pins import pin, read_pins, unpin
from ringrift.nets import container

from .papers import CONFIG, decide, paper


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


def rows(models, **options):
    return [model.as_json() for model in list_models(models, **options).models]


def statuses(models, **options):
    return {model.id: model.status for model in list_models(models, **options).models}


def test_no_folder_is_no_model_and_nothing_is_written(models):
    assert list_models(models).models == ()
    assert not models.exists()


def test_the_status_follows_from_the_decisions(models):
    ids = [paper(models, number) for number in range(8)]
    first, second, third, weak, unclear, late, tested, new = ids
    decide(models, "promoted", first)
    decide(models, "promoted", second)
    decide(models, "rejected", weak)
    decide(models, "inconclusive", unclear)
    decide(models, "superseded", late)
    assert statuses(models, matched=lambda ids: frozenset({tested})) == {
        first: "former",
        second: "champion",
        third: "registered",
        weak: "rejected",
        unclear: "inconclusive",
        late: "superseded",
        tested: "candidate",
        new: "registered",
    }
    decide(models, "promoted", third)
    decide(models, "rolled_back", third, champion=second)
    now = statuses(models)
    assert (now[third], now[second], now[first]) == ("rolled_back", "champion", "former")
    decide(models, "rejected", first)  # tested again: it was champion all the same
    assert statuses(models)[first] == "former"
    decide(models, "promoted", third)
    assert statuses(models)[third] == "champion"


def test_a_champion_by_hand_is_marked_until_a_test(models):
    one, two = paper(models, 1), paper(models, 2)
    decide(models, "manual", one)
    (found,) = [model for model in list_models(models).models if model.id == one]
    assert (found.status, found.standing.manual) == ("champion", True)
    decide(models, "rejected", two)
    assert list_models(models).one(one).standing.manual
    decide(models, "promoted", two)
    assert not any(model.standing.manual for model in list_models(models).models)


def test_what_a_test_measured_and_the_hold_out_stand_in_the_row(models):
    model = paper(models, 1, label="one")
    decide(models, "promoted", model, elo_diff=31.5, elo_ci95=[12.0, None], games=120)
    folder = models / "objects" / model[:2] / model / "evaluations"
    folder.mkdir(parents=True)
    result = {"holdout": {"positions": 900, "value_error": 0.41}, "gap": {"value": 0.03}}
    (folder / "holdout-aa.json").write_text(json.dumps(result))
    set_alias(models, "strong", model, by="me")
    pin(models, model, by="me")
    (row,) = rows(models, ratings={model: Rating(elo=812.0, low=790.0, high=834.0, games=200)})
    assert (row["elo_diff"], row["elo_diff_ci95"]) == (31.5, [12.0, None])
    assert (row["test_games"], row["holdout_error"], row["gap"]) == (120, 0.41, 0.03)
    assert (row["elo"], row["elo_ci95"], row["rated_games"]) == (812.0, [790.0, 834.0], 200)
    assert (row["aliases"], row["pinned"], row["label"]) == (["strong"], True, "one")
    (folder / "holdout-aa.json").unlink()
    assert rows(models)[0]["gap"] is None


def test_order_and_filters(models):
    old, middle, new = (paper(models, number) for number in (1, 2, 3))
    hexagonal = paper(models, 4, config="hex8_3p", kind="nnue")
    assert [m.id for m in list_models(models).models] == [hexagonal, new, middle, old]
    rated = {
        old: Rating(elo=900, low=1, high=2, games=3),
        new: Rating(elo=500, low=1, high=2, games=3),
    }
    by_elo = list_models(models, ratings=rated, sort="elo")
    assert [m.id for m in by_elo.models] == [old, new, hexagonal, middle]
    decide(models, "promoted", middle)
    listing = list_models(models)
    assert [m.id for m in listing.of(board="hex8")] == [hexagonal]
    assert [m.id for m in listing.of(players=2, status="champion")] == [middle]
    assert [m.id for m in listing.of(kind="nnue")] == [hexagonal]
    with pytest.raises(UsageError, match="no status 'chmpion'"):
        listing.of(status="chmpion")


def test_the_index_follows_the_files(models):
    first, second = paper(models, 1), paper(models, 2)
    path = models / "objects" / first[:2] / f"{first}.safetensors"
    assert [row["file"] for row in rows(models)] == ["here", "here"]
    kept = path.read_bytes()
    path.unlink()
    assert list_models(models).one(first).file == "gone"
    aside = models / "archive" / first[:2] / f"{first}.safetensors.zst"
    aside.parent.mkdir(parents=True)
    aside.touch()
    assert list_models(models).one(first).status == "archived"
    path.write_bytes(kept)
    assert list_models(models).one(first).status == "registered"
    for file in (path, path.with_suffix(".json")):
        file.unlink()
    assert [row["id"] for row in rows(models)] == [second]


def test_a_model_that_cannot_be_read_is_told_apart(models):
    good = paper(models, 1)
    bad = models / "objects" / "ff" / f"{'f' * 64}.safetensors"
    bad.parent.mkdir()
    bad.write_bytes(b"no model")
    listing = list_models(models)
    assert [model.id for model in listing.models] == [good]
    assert listing.unreadable == {"f" * 64: "not_safetensors"}


def test_deleting_the_index_changes_nothing(models):
    ids = [paper(models, number, at="2026-01-01T00:00:00.000Z") for number in range(20)]
    for place, identity in enumerate(ids[:6]):
        decide(models, "promoted" if place % 2 else "manual", identity, elo_diff=1.0 * place)
    before = json.dumps(rows(models))
    for path in models.glob("registry.db*"):
        path.unlink()
    assert json.dumps(rows(models)) == before
    assert rebuild(models) == 20
    assert json.dumps(rows(models)) == before


def test_an_altered_decision_is_seen_at_once(models):
    one, two = paper(models, 1), paper(models, 2)
    decide(models, "promoted", one)
    chain = decide(models, "promoted", two)
    assert statuses(models)[two] == "champion"
    path = models / "decisions" / CONFIG / chain.decisions[-1].name
    path.write_bytes(path.read_bytes()[:-9])
    assert statuses(models) == {one: "champion", two: "registered"}


def test_an_index_of_another_version_is_made_anew(models):
    paper(models, 1)
    before = rows(models)
    with sqlite3.connect(models / "registry.db") as index:
        index.execute("CREATE TABLE foreign_one(x)")
        index.execute("PRAGMA user_version = 99")
    index.close()
    assert rows(models) == before


def test_a_file_that_is_no_index_is_named_with_the_way_out(models):
    paper(models, 1)
    (models / "registry.db").write_bytes(b"nonsense" * 200)
    with pytest.raises(DataError, match=r"registry\.db.*models rebuild"):
        list_models(models)
    assert rebuild(models) == 1
    assert len(list_models(models).models) == 1


def test_pins_stay_and_go(models):
    model = paper(models, 1)
    assert pin(models, model, by="me")
    assert not pin(models, model, by="you")
    assert read_pins(models)[model]["by"] == "me"
    assert unpin(models, model)
    assert not unpin(models, model)
    (models / "pins.json").write_text("[]")
    with pytest.raises(DataError, match=r"pins\.json"):
        read_pins(models)


def test_who_has_played_matches_is_read_from_the_store(tmp_path):
    from ringrift.records import AgentRef, GameMeta, GameStore, build_record
    from ringrift.rules import BoardSpec, Position

    spec = BoardSpec.create("square8", 2)
    store = tmp_path / "games.db"
    assert played_matches(store)(["a" * 64]) == frozenset()

    def game(seed, purpose, model):
        agents = [AgentRef(spec="x", agent_hash=f"{n:064x}", model_id=model) for n in (1, 2)]
        position, moves = Position.of(spec), []
        while not position.is_over:
            moves.append(int(position.legal_packed()[seed % len(position.legal_packed())]))
            position.play(moves[-1])
        return build_record(spec, seed, agents, moves, meta=GameMeta(purpose=purpose, index=seed))

    with GameStore.open(store, writer=True) as games:
        games.ingest([(game(1, "match", "a" * 64), None), (game(2, "selfplay", "b" * 64), None)])
    assert played_matches(store)(["a" * 64, "b" * 64, "c" * 64]) == {"a" * 64}


REGISTER = """
import sys, time
from pathlib import Path
from ringrift.models.registry import register
objects, file, go = map(Path, sys.argv[1:])
import ringrift.nets.nnue.file
print("ready", flush=True)
while not go.exists():
    time.sleep(0.001)
print(register(objects, file))
"""


@pytest.mark.slow
def test_two_processes_registering_one_model_leave_one_entry(models, tmp_path):
    from ringrift.models.registry import register
    from ringrift.nets.nnue.file import init_nnue
    from ringrift.rules import BoardSpec

    spec = BoardSpec.create("square8", 2)
    file = init_nnue(spec, folder=tmp_path / "elsewhere", seed=1, hidden=32, label="theirs")
    command = [
        sys.executable,
        "-c",
        REGISTER,
        *map(str, (models / "objects", file, tmp_path / "go")),
    ]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    assert [racer.communicate(timeout=60)[0] for racer in racers] == [f"{file.stem}\n"] * 2
    assert [(row["id"], row["label"]) for row in rows(models)] == [(file.stem, "theirs")]
    with sqlite3.connect(models / "registry.db") as index:
        assert index.execute("SELECT id FROM models").fetchall() == [(file.stem,)]
    index.close()
    before = sorted((path, path.stat().st_mtime_ns) for path in models.rglob("*.safetensors"))
    assert register(models / "objects", file) == file.stem
    assert sorted((p, p.stat().st_mtime_ns) for p in models.rglob("*.safetensors")) == before
    assert not list(models.rglob("*.partial"))


@pytest.mark.acceptance
@pytest.mark.timed
def test_ten_thousand_models_are_listed_within_half_a_second(models):
    one = paper(models, 1)
    path = models / "objects" / one[:2] / f"{one}.safetensors"
    beside = json.loads(path.with_suffix(".json").read_text())
    _, card, tensors = container.read_model(path)
    for number in range(2, 10_001):
        card["training"] = {"number": number}
        identity = container.model_id(tensors, card)
        path = models / "objects" / identity[:2] / f"{identity}.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(container._file_bytes(tensors, card, identity))
        path.with_suffix(".json").write_text(json.dumps({**beside, **card, "id": identity}))
    began = time.perf_counter()
    assert rebuild(models) == 10_000
    print(f"index of 10,000 models in {time.perf_counter() - began:.1f} s")
    began = time.perf_counter()
    listing = list_models(models)
    seconds = time.perf_counter() - began
    assert len(listing.models) == 10_000
    print(f"list of 10,000 models in {seconds:.3f} s")
    assert seconds < 0.5
