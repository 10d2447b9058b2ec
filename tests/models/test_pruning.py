"""What may go and what stays; the archive; leases that save a marked model."""

import os
import shutil
import time

import pytest

from ringrift.core.errors import DataError, RefusedError
from ringrift.models import leases, pruning
from ringrift.models.aliases import move
from ringrift.models.archive import (
    archive,
    archived_ids,
    archived_path,
    drop_older,
    is_archived,
    unarchive,
)
from ringrift.models.decisions import append, read_chain
from ringrift.models.listing import Rating
from ringrift.models.pins import pin
from ringrift.models.promotion import follow_decisions
from ringrift.models.pruning import Known, Limits, mark, remove_marked, survey
from ringrift.models.registry import model_path
from ringrift.nets.container import ModelError, read_card

from .made import CONFIG, crown, make_model

OLD = 30.0


def rated(elo, games=100):
    return Rating(elo=elo, low=elo - 30, high=elo + 30, games=games)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Eight models of which only `weak` may go; returns (folder, ids by name, known)."""
    folder = tmp_path_factory.mktemp("models")
    names = ("champion", "alias", "pinned", "young", "few", "strong", "unrated", "weak")
    ids = {}
    for seed, name in enumerate(names):
        ids[name] = make_model(folder, seed, age_days=1 if name == "young" else OLD)
    crown(folder, ids["champion"])
    follow_decisions(folder)
    move(folder, {"mine": ids["alias"]}, by="me")
    pin(folder, ids["pinned"], by="me")
    chain = read_chain(folder / "decisions", CONFIG)
    for name in names[3:]:
        chain = append(
            folder / "decisions", chain, kind="rejected", candidate=ids[name], reason="weaker"
        )
    elo = {"champion": 1800, "alias": 900, "pinned": 900, "young": 900, "strong": 1500, "weak": 800}
    ratings = {ids[name]: rated(value) for name, value in elo.items()}
    ratings[ids["few"]] = rated(900, games=10)
    return folder, ids, Known(ratings=ratings)


@pytest.fixture
def eight(original, tmp_path):
    """A copy of them."""
    source, ids, known = original
    shutil.copytree(source, tmp_path / "models", symlinks=True)
    return tmp_path / "models", ids, known


def free(folder, known, **more):
    return [model.id for model in survey(folder, known, Limits(), **more) if model.free]


def test_only_the_old_tested_weak_unreferenced_one_may_go(eight):
    folder, ids, known = eight
    assert free(folder, known) == [ids["weak"]]
    found = {model.id: model.references for model in survey(folder, known, Limits())}
    expected = {
        "champion": "champion",
        "alias": "alias",
        "pinned": "pin",
        "young": "young",
        "few": "few games",
        "strong": "strong",
        "unrated": "unrated",
    }
    for name, kind in expected.items():
        assert kind in found[ids[name]], name


@pytest.mark.parametrize("what", ["match_jobs", "pool", "runs"])
def test_whatever_others_need_stays(eight, what):
    folder, ids, known = eight
    needed = Known(ratings=known.ratings, **{what: frozenset({ids["weak"]})})
    assert free(folder, needed) == []


def test_a_warm_started_parent_stays_for_one_generation(eight):
    folder, ids, known = eight
    child = make_model(
        folder, 20, parents=[(ids["weak"], "warm_start")], training={"run": "r"}, age_days=OLD
    )
    assert free(folder, known) == []  # the child is the newest candidate
    chain = read_chain(folder / "decisions", CONFIG)
    append(folder / "decisions", chain, kind="rejected", candidate=child, reason="weaker")
    assert free(folder, known) == [ids["weak"]]


def test_the_five_champions_before_stay_and_the_sixth_may_go(tmp_path):
    folder = tmp_path / "models"
    ids = [make_model(folder, seed, age_days=OLD) for seed in range(7)]
    crown(folder, *ids)
    follow_decisions(folder)
    known = Known(ratings={model_id: rated(900 + n) for n, model_id in enumerate(ids)})
    assert free(folder, known) == [ids[0]]


def test_the_best_quarter_stays_whatever_its_rating(eight):
    folder, ids, known = eight
    alone = Known(ratings={ids["weak"]: known.ratings[ids["weak"]]})
    assert free(folder, alone) == []  # one of one is the best
    assert "top" in next(m.references for m in survey(folder, alone, Limits()) if m.elo)


def test_a_removal_waits_and_removes_what_the_list_said(eight):
    folder, ids, known = eight
    listed = [model for model in survey(folder, known, Limits()) if model.free]
    now = time.time()
    mark(folder, listed, now=now)
    early = remove_marked(folder, lambda: known, Limits(), keep_copy=True, now=now + 599)
    assert (early.removed, early.waiting) == ((), (ids["weak"],))
    done = remove_marked(folder, lambda: known, Limits(), keep_copy=True, now=now + 601)
    assert [model.id for model in done.removed] == [model.id for model in listed]
    assert not model_path(folder / "objects", ids["weak"]).exists()
    assert model_path(folder / "objects", ids["weak"]).with_suffix(".json").is_file()
    assert archived_ids(folder) == [ids["weak"]]
    assert pruning.marks(folder) == {}


def test_a_lease_between_mark_and_removal_saves_the_file(eight):
    folder, ids, known = eight
    now = time.time()
    mark(folder, [m for m in survey(folder, known, Limits()) if m.free], now=now - 700)
    with leases.held(folder, [ids["weak"]], holder="player"):
        assert leases.holders(folder) == {ids["weak"]: ["player"]}
        done = remove_marked(folder, lambda: known, Limits(), keep_copy=False, now=now)
    assert (done.removed, done.saved) == ((), (ids["weak"],))
    assert model_path(folder / "objects", ids["weak"]).is_file()
    assert leases.holders(folder) == {}
    assert free(folder, known) == [ids["weak"]]


def test_a_lease_that_nobody_renews_ends(eight):
    folder, ids, known = eight
    place = leases.take(folder, ids["weak"], "dead")
    assert free(folder, known) == []
    then = time.time() - leases.EXPIRES_S - 1
    os.utime(place, (then, then))
    assert free(folder, known) == [ids["weak"]]


def test_a_held_lease_is_renewed(eight, monkeypatch):
    folder, ids, _ = eight
    monkeypatch.setattr(leases, "RENEW_S", 0.05)
    with leases.held(folder, [ids["weak"]], holder="player"):
        place = folder / "leases" / ids["weak"] / "player.json"
        os.utime(place, (1, 1))
        deadline_s = time.monotonic() + 10
        while place.stat().st_mtime < 2:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)


def test_a_model_without_a_file_has_no_lease(eight):
    with pytest.raises(RefusedError, match="no file"):
        leases.take(eight[0], "f" * 64, "player")


# --- the archive


def test_archive_and_restore_give_the_same_id_and_bytes(eight):
    folder, ids, _ = eight
    path = model_path(folder / "objects", ids["weak"])
    content = path.read_bytes()
    archive(folder, ids["weak"])
    assert is_archived(folder, ids["weak"])
    path.unlink()
    assert unarchive(folder, ids["weak"][:8]) == path
    assert path.read_bytes() == content
    assert read_card(path)[0] == ids["weak"]
    assert path.stat().st_mode & 0o222 == 0
    assert archived_ids(folder) == []
    assert unarchive(folder, ids["weak"]) is None


def test_a_damaged_model_is_not_archived(eight):
    folder, ids, _ = eight
    path = model_path(folder / "objects", ids["weak"])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelError, match="hash_mismatch"):
        archive(folder, ids["weak"])
    assert archived_ids(folder) == []


def test_a_damaged_archive_copy_is_refused(eight):
    folder, ids, _ = eight
    packed = archive(folder, ids["weak"])
    model_path(folder / "objects", ids["weak"]).unlink()
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 1
    packed.write_bytes(data)
    with pytest.raises(DataError, match="damaged archive copy"):
        unarchive(folder, ids["weak"])
    assert packed.is_file()
    assert not model_path(folder / "objects", ids["weak"]).exists()


def test_old_archive_copies_are_dropped(eight):
    folder, ids, _ = eight
    archive(folder, ids["weak"])
    archive(folder, ids["strong"])
    then = time.time() - 91 * 86_400
    os.utime(archived_path(folder, ids["weak"]), (then, then))
    assert drop_older(folder, 90, dry_run=True) == [ids["weak"]]
    assert len(archived_ids(folder)) == 2
    assert drop_older(folder, 90, dry_run=False) == [ids["weak"]]
    assert archived_ids(folder) == [ids["strong"]]


def test_statistics_count_by_configuration(eight):
    folder, _, known = eight
    (found,) = pruning.statistics(survey(folder, known, Limits()))
    assert (found["config"], found["models"], found["free"]) == (CONFIG, 8, 1)
    assert found["references"]["champion"] == 1
