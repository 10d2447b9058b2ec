"""What stage 1 says of agents of known strength, in real games."""

import pytest

from ringrift.evaluation.contenders import Contender, ModelRow, Search
from ringrift.evaluation.players import MatchPlayers, play_matches
from ringrift.evaluation.tally import Tally
from ringrift.evaluation.two_stage import FIRST_OPPONENTS, TwoStage, sift
from ringrift.nets.nnue.file import init_nnue
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec

SQUARE = BoardSpec.create("square8", 2)


def unplayed(wanted):
    return [Tally(each.plan).result() for each in wanted]


@pytest.mark.acceptance
@pytest.mark.slow
def test_models_of_random_weights_end_in_stage_1_and_heuristic_mostly_passes(tmp_path):
    paths = [init_nnue(SQUARE, folder=tmp_path, seed=seed, hidden=256) for seed in range(20)]
    rows = [ModelRow(id=p.stem, kind="nnue", config=SQUARE.config, path=p) for p in paths]
    heuristic = Contender.of_agent("heuristic", SQUARE)
    with (
        MatchPlayers({row.id: row.path for row in rows}) as players,
        GameStore.open(tmp_path / "games.db", writer=True) as store,
    ):

        def play(wanted):
            return play_matches([each.plan for each in wanted], store, players)

        random = [Contender.of_model(row, SQUARE, Search(sims=64)) for row in rows]
        found = sift(random, TwoStage(), first=play, second=unplayed)
        assert [c.passed_first for c in found] == [False] * 20
        assert max(c.games for c in found) <= 20
        settings = [TwoStage(seed=seed) for seed in range(100)]
        play_matches(
            [s.stage1(heuristic, name) for s in settings for name in FIRST_OPPONENTS],
            store,
            players,
        )
        passed = [sift([heuristic], s, first=play, second=unplayed)[0] for s in settings]
        assert sum(c.passed_first is True for c in passed) >= 75
