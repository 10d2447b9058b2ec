"""What a promotion is decided from: which matches, reused when stored, more only where it goes on."""

import pytest

from ringrift.core.ids import derived_seed
from ringrift.evaluation.contenders import Search
from ringrift.evaluation.matches import run_match
from ringrift.evaluation.promotion import (
    PromotionMatches,
    PromotionSettings,
    promotion_evidence,
)
from ringrift.evaluation.sprt import SequentialTest
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec

from .test_matches import Player

CANDIDATE, CHAMPION, FORMER = ("a" * 64, "b" * 64, "c" * 64)
SETTINGS = PromotionSettings(
    spec=BoardSpec.create("square8", 2),
    seed=7,
    search=Search(sims=8),
    test=SequentialTest(elo1=50, min_games=4, max_games=8),
    floor_games=4,
)


@pytest.fixture
def played(tmp_path):
    """Evidence from games of random moves; returns (evidence of, titles in the order of play)."""
    titles = []
    with GameStore.open(tmp_path / "games.db", writer=True) as store:

        def play(match):
            found = match.stored(store)
            if found.complete:
                return found
            titles.append(match.title)
            return run_match(match.plan, store, Player(store), title=match.title)

        def evidence(**options):
            return promotion_evidence(CANDIDATE, CHAMPION, SETTINGS, play=play, **options)

        yield evidence, titles


def test_floors_and_test_are_played_once_and_former_champions_where_it_goes_on(played):
    evidence, titles = played
    first = evidence(former=[FORMER], goes_on=lambda found: False)
    assert titles == [
        "candidate vs random",
        "candidate vs heuristic",
        "champion vs random",
        "champion vs heuristic",
        "candidate vs champion",
    ]
    assert first.regression is None
    assert first.against_champion.verdict == "inconclusive"
    assert first.candidate_random.games == 4
    assert len(first.book_hash) == 64
    second = evidence(former=[FORMER], goes_on=lambda found: found == first)
    assert titles[5:] == [f"candidate vs former champion {FORMER[:12]}"]
    assert second.regression[0].games == 20
    assert second.against_champion == first.against_champion
    assert evidence(former=[FORMER]).regression is None  # nothing was accepted


def test_a_participant_that_did_not_change_is_not_measured_again():
    matches = PromotionMatches(SETTINGS)
    before = matches.floor("candidate", CANDIDATE, "random").plan
    assert matches.floor("champion", CANDIDATE, "random").plan.hash == before.hash
    assert matches.floor("champion", CHAMPION, "random").plan.hash != before.hash
    assert matches.regression(CANDIDATE, CHAMPION).plan.hash != before.hash


def test_a_match_takes_its_openings_by_purpose_alone():
    matches = PromotionMatches(SETTINGS)
    one, other = matches.gate(CANDIDATE, CHAMPION).plan, matches.gate(CANDIDATE, FORMER).plan
    assert one.seed == other.seed == derived_seed(7, "square8_2p", "gate")
    assert one.game(0).opening == other.game(0).opening
    assert (one.openings.part, matches.book_hash(CANDIDATE, CHAMPION)) == (
        "reserved",
        one.openings.book_hash,
    )
    assert matches.floor("champion", CHAMPION, "random").plan.openings.part == "open"
    assert matches.regression(CANDIDATE, FORMER).plan.openings.part == "reserved"
    assert one.game(0).seed != other.game(0).seed
