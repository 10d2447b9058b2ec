"""Games between the nets of two sets: who meets whom, what counts, real games that go on."""

from dataclasses import replace

import pytest

from ringrift.evaluation.contenders import Search
from ringrift.evaluation.sprt import SequentialTest
from ringrift.nets.nnue.file import init_nnue
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec
from ringrift.tuning.hp.confirm import Confirmation, Trained
from ringrift.tuning.hp.contest import GAMES_STORE, Contest, ContestRules, contest, paired

SPEC = BoardSpec.create("square8", 2)
FEW = ContestRules(search=Search(sims=2, considered=2), games=8)
TEST = SequentialTest(elo0=0.0, elo1=20.0, alpha=0.05, beta=0.05, min_games=4, max_games=8)


def side(name, *losses):
    return tuple(Trained(loss=loss, model=f"{name}{n}") for n, loss in enumerate(losses))


SIDES = Confirmation(best=side("b", 3.0, 1.0, 2.0), present=side("p", 4.0, 6.0, 5.0))


def names(pairs):
    return [(first.model, second.model) for first, second in pairs]


def test_nets_of_a_seed_meet_and_a_test_has_the_best_of_each_side():
    assert names(paired(SIDES, FEW)) == [("b0", "p0"), ("b1", "p1"), ("b2", "p2")]
    assert names(paired(SIDES, replace(FEW, test=TEST))) == [("b1", "p0")]


@pytest.mark.parametrize(
    ("score", "players", "passes"),
    [(0.5, 2, True), (0.49, 2, False), (1 / 3, 3, True), (0.3, 3, False), (None, 2, False)],
)
def test_even_odds_are_enough_without_a_test(score, players, passes):
    found = Contest(
        games=20, wins=0, losses=0, capped=0, score=score, even=1 / players, tested=False,
        verdict=None, complete=True,
    )  # fmt: skip
    assert found.passes is passes
    assert (found.elo is None) is (score is None)


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    """A study's folder with six nets of random weights, and both sides."""
    folder = tmp_path_factory.mktemp("study")
    made = [
        init_nnue(SPEC, folder=folder / "objects", seed=seed, hidden=32, policy=True).stem
        for seed in range(6)
    ]
    trained = tuple(Trained(loss=float(n), model=name) for n, name in enumerate(made))
    return folder, Confirmation(best=trained[:3], present=trained[3:])


@pytest.mark.slow
def test_games_are_paired_kept_and_not_played_twice(nets):
    folder, sides = nets
    told = []
    found = contest(
        sides, FEW, config="square8_2p", folder=folder, seed=1,
        on_progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert (found.games, found.complete, found.verdict) == (8, True, None)
    assert found.wins + found.losses + found.capped == 8
    assert found.score == pytest.approx((found.wins + found.capped / 2) / 8)
    assert told[-1] == (8, 8)
    with GameStore.open(folder / GAMES_STORE) as store:
        records = [record for _, record, _ in store.records("square8_2p", purpose="match")]
        assert store.max_seq() == 8
    assert sorted({record.meta.index for record in records}) == [0, 1, 2, 3]
    assert sum(record.meta.index > 1 for record in records) == 2  # four, two and two games
    again = contest(sides, FEW, config="square8_2p", folder=folder, seed=1)
    assert again == found
    with GameStore.open(folder / GAMES_STORE) as store:
        assert store.max_seq() == 8


@pytest.mark.slow
def test_a_contest_that_is_stopped_is_not_complete(nets):
    folder, sides = nets
    found = contest(
        sides, replace(FEW, test=TEST), config="square8_2p", folder=folder, seed=2,
        stop=lambda: True,
    )  # fmt: skip
    assert not found.complete
    assert not found.passes
