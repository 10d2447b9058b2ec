"""The first games of a model: once, against who tells most, and on after a stop."""

import pytest

from ringrift.core.ids import content_id
from ringrift.evaluation.calibration import begun, calibrate, is_calibrated, most_telling
from ringrift.evaluation.matches import run_match
from ringrift.evaluation.plans import OpeningChoice
from ringrift.evaluation.ratings.fit import fit
from ringrift.evaluation.ratings.games import read_games
from ringrift.records.record import AgentRef
from ringrift.records.store import GameStore

from .played import SQUARE
from .rating_stores import Pool, agent_hash
from .test_matches import Player

MODEL = AgentRef(spec="gumbel@m", agent_hash=content_id("agent", b"m"), model_id="ab" * 32)
CHAMPION = AgentRef(spec="gumbel@c", agent_hash=content_id("agent", b"c"), model_id="cd" * 32)
GAMES = 24
NAMES = ("random", "heuristic", "alphabeta:depth=2", "mcts:noise=0")


class Table:
    """Plays calibrations with random moves until `games` are over."""

    def __init__(self, path):
        self.path = path

    def play(self, games=10**9):
        """Return the calibration and the games played for it now, by run and index."""
        left, players = [games], []
        with GameStore.open(self.path, writer=True) as store:

            def stop():
                left[0] -= 1
                return left[0] < 1

            def match(plan):
                players.append((plan, Player(store)))
                return run_match(plan, store, players[-1][1], stop=stop)

            found = calibrate(
                MODEL,
                SQUARE,
                store,
                match,
                lambda: fit(read_games(self.path, "square8_2p")),
                champions=[CHAMPION],
                games=GAMES,
                openings=OpeningChoice(),
            )
            assert is_calibrated(MODEL, SQUARE, store, games=GAMES) or games < 10**9
            self.plans = begun(MODEL, SQUARE, store)
        return found, [(plan.hash, n) for plan, player in players for n in player.played]


def test_a_model_gets_its_games_once(tmp_path):
    table = Table(tmp_path / "games.db")
    first, played = table.play()
    assert first.complete
    assert first.games == GAMES
    assert first.elo is not None
    assert len(played) == len(set(played)) == 2 * GAMES  # heuristic meets random first
    again, more = table.play()
    assert again == first
    assert more == []


def test_stopped_and_begun_again_it_plays_no_game_twice(tmp_path):
    whole, _ = Table(tmp_path / "whole.db").play()
    table = Table(tmp_path / "games.db")
    played = []
    for games in (5, 30, 4):
        found, now = table.play(games)
        assert not found.complete
        played += now
    found, now = table.play()
    assert found == whole
    played += now
    assert len(played) == len(set(played)) == 2 * GAMES


def test_the_next_opponent_is_close_and_known(tmp_path):
    pool = Pool()
    for place, name in enumerate(("random", "heuristic", "alphabeta:depth=2", "mcts:noise=0")):
        for number in range(60 if place < 3 else 4):
            other = ("heuristic", "random", "heuristic", "alphabeta:depth=2")[place]
            won = number % 4 > 0
            pool.add((name, other) if number % 2 else (other, name), (1, 2) if won else (2, 1))
    fitted = fit(read_games(pool.write(tmp_path / "games.db"), "square8_2p"))
    known = {name: AgentRef(spec=name, agent_hash=agent_hash(name)) for name in NAMES}
    own = known["alphabeta:depth=2"]
    assert (
        most_telling(fitted, own, [known["mcts:noise=0"], known["heuristic"]])
        == (known["heuristic"])
    )


@pytest.mark.parametrize("games", [7, 11])
def test_whole_blocks_are_played(tmp_path, games):
    path = tmp_path / "games.db"
    with GameStore.open(path, writer=True) as store:
        found = calibrate(
            MODEL,
            SQUARE,
            store,
            lambda plan: run_match(plan, store, Player(store)),
            lambda: fit(read_games(path, "square8_2p")),
            games=games,
            openings=OpeningChoice(),
        )
    assert found.games == games + 1
