"""Going back to former champions, by hand and by ratings."""

from datetime import UTC, datetime, timedelta

import pytest

from ringrift.core.errors import NegativeResult, UsageError
from ringrift.models.decisions import read_chain
from ringrift.models.listing import Rating
from ringrift.models.promotion import follow_decisions
from ringrift.models.rollback import Limits, Score, act, check, roll_back

from .made import CONFIG, crown, make_model, named


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    models = tmp_path_factory.mktemp("models")
    return models, [make_model(models, seed) for seed in range(3)]


@pytest.fixture
def models(originals, tmp_path):
    """Three champions one after the other; returns (folder, ids)."""
    source, ids = originals
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "objects").symlink_to(source / "objects")
    crown(folder, *ids)
    follow_decisions(folder)
    return folder, ids


def champion(folder):
    return read_chain(folder / "decisions", CONFIG).champion


def test_it_restores_id_and_aliases_and_a_second_one_goes_further_back(models):
    folder, (a, b, c) = models
    made = roll_back(folder, CONFIG, "worse", by="me").decision
    assert (made.kind, made.candidate, made.champion) == ("rolled_back", c, b)
    assert named(folder) == (b, b, b)
    roll_back(folder, CONFIG, "worse still", by="me")
    assert named(folder) == (a, a, a)
    with pytest.raises(NegativeResult, match="no former champion"):
        roll_back(folder, CONFIG, "why", by="me")


def test_a_promotion_after_a_rollback_goes_back_to_what_was_before_it(models):
    folder, (a, b, c) = models
    roll_back(folder, CONFIG, "worse", to=a, by="me")
    crown(folder, c)
    roll_back(folder, CONFIG, "worse again", by="me")
    assert champion(folder) == a
    assert b not in read_chain(folder / "decisions", CONFIG).in_line()


def test_to_must_be_a_former_champion(models):
    folder, (a, b, c) = models
    with pytest.raises(UsageError, match="never was champion") as error:
        roll_back(folder, CONFIG, "why", to="f" * 64, by="me")
    assert b[:12] in error.value.hint
    with pytest.raises(NegativeResult, match="already"):
        roll_back(folder, CONFIG, "why", to=c, by="me")
    roll_back(folder, CONFIG, "why", to=a, by="me")
    assert champion(folder) == a


def test_without_a_reason_nothing_happens(models):
    with pytest.raises(UsageError, match="needs a reason"):
        roll_back(models[0], CONFIG, "", by="me")


def rating(elo, games=40, half=20.0):
    return Rating(elo=elo, low=elo - half, high=elo + half, games=games)


def checks(models, ratings, score=None, times=3, limits=None):
    folder, _ = models
    return [
        check(
            folder,
            CONFIG,
            ratings,
            score,
            limits=limits or Limits(),
            state=folder.parent / "rollback.json",
        )
        for _ in range(times)
    ]


def test_a_drop_of_100_elo_with_40_games_is_due_after_3_checks(models):
    folder, (_, b, c) = models
    found = checks(models, {c: rating(1400), b: rating(1500)})
    assert [one.due for one in found] == [False, False, True]
    assert [act(folder, one, by="check") is None for one in found] == [True, True, False]
    assert champion(folder) == b


@pytest.mark.parametrize(
    ("low", "high", "score", "answer"),
    [
        (rating(1400, games=10), rating(1500), None, "unknown"),
        (rating(1400), rating(1500, games=10), None, "unknown"),
        (rating(1400), None, None, "unknown"),
        (None, rating(1500), None, "unknown"),
        (None, None, None, "unknown"),
        (rating(1400, half=60), rating(1500, half=60), None, "holds"),  # intervals meet
        (rating(1460), rating(1500), None, "holds"),  # 40 Elo
        (None, None, Score(score=0.30, games=40), "regressed"),
        (None, None, Score(score=0.30, games=10), "unknown"),
        (rating(1500), rating(1500), Score(score=0.45, games=40), "holds"),
    ],
)
def test_only_enough_games_that_tell_count(models, low, high, score, answer):
    _, (_, b, c) = models
    known = {model: found for model, found in ((c, low), (b, high)) if found is not None}
    found = checks(models, known, score, times=4)
    assert {one.answer for one in found} == {answer}
    assert any(one.due for one in found) == (answer == "regressed")


def test_one_good_check_begins_anew(models):
    _, (_, b, c) = models
    bad = {c: rating(1400), b: rating(1500)}
    checks(models, bad, times=2)
    checks(models, {c: rating(1500), b: rating(1500)}, times=1)
    assert [one.in_row for one in checks(models, bad, times=3)] == [1, 2, 3]


def test_automatic_rollbacks_respect_cooldown_and_the_day_s_limit(models):
    folder, (a, b, c) = models
    ratings = {c: rating(1300), b: rating(1400), a: rating(1500)}
    assert act(folder, checks(models, ratings)[-1], by="check") is not None
    again = checks(models, ratings)[-1]
    assert (again.champion, again.due) == (b, True)
    assert act(folder, again, by="check") is None
    later = datetime.now(UTC) + timedelta(seconds=3700)
    assert act(folder, again, now=later, by="check") is not None
    assert champion(folder) == a


def test_a_look_that_is_not_kept_writes_nothing(models):
    folder, (_, b, c) = models
    state = folder.parent / "rollback.json"
    check(folder, CONFIG, {c: rating(1), b: rating(900)}, None, state=state, keep=False)
    assert not state.exists()
