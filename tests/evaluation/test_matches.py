"""Matches: plans by content, blocks in plan order, resume from stored games, honest failures."""

import random

import pytest

from ringrift.core.errors import DataError, UsageError
from ringrift.core.ids import content_id
from ringrift.evaluation.matches import MatchAborted, run_match, stored_games
from ringrift.evaluation.plans import MatchPlan
from ringrift.evaluation.sprt import SequentialTest
from ringrift.evaluation.tally import Tally
from ringrift.records.record import AgentRef, GameMeta
from ringrift.records.store import GameStore
from ringrift.records.verify import build_record
from ringrift.rules import BoardSpec, Position

FIRST = AgentRef(spec="random", agent_hash=content_id("agent", b"first"))
SECOND = AgentRef(spec="heuristic", agent_hash=content_id("agent", b"second"))
SQUARE = BoardSpec.create("square8", 2)


def plan_of(games=6, spec=SQUARE, **changes):
    values = {"purpose": "manual", "agents": (FIRST, SECOND), "seed": 3}
    return MatchPlan.of_games(games, spec=spec, **{**values, **changes})


class Player:
    """Plays with random moves into a store; games in `aborting` are aborted that often."""

    def __init__(self, store, aborting=None, order=list):
        self.store = store
        self.aborting = dict(aborting or {})
        self.order = order
        self.played = []

    def __call__(self, plan, games):
        for game in self.order(games):
            self.played.append(game.index)
            meta = GameMeta(purpose="match", run=plan.hash, index=game.index)
            if self.aborting.get(game.index, 0) > 0:
                self.aborting[game.index] -= 1
                moves = game.opening
                ending = {"end": "aborted", "reason": "the agent raised"}
            else:
                moves, ending = self.moves(plan, game), {}
            record = build_record(
                plan.spec,
                game.seed,
                game.agents,
                moves,
                meta=meta,
                max_plies=plan.max_plies,
                **ending,
            )
            if not ending:
                self.store.ingest([(record, None)])
            yield record

    def moves(self, plan, game):
        rng = random.Random(game.seed)
        position = Position.of(plan.spec)
        moves = list(game.opening)
        for move in moves:
            position.play(move)
        while not position.is_over and len(moves) < plan.max_plies:
            moves.append(int(rng.choice(position.legal_packed().tolist())))
            position.play(moves[-1])
        return moves


@pytest.fixture
def store(tmp_path):
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        yield store


def test_a_plan_is_named_by_its_content():
    assert plan_of().hash == plan_of().hash
    assert plan_of(seed=4).hash != plan_of().hash
    assert plan_of(8).hash != plan_of().hash
    assert plan_of(agents=(SECOND, FIRST)).hash != plan_of().hash
    assert plan_of(test=SequentialTest()).hash != plan_of().hash
    assert plan_of(5).games == 6  # whole blocks
    with pytest.raises(UsageError, match="blocks"):
        plan_of(0)


def test_both_sides_play_each_opening_from_both_seats():
    plan = plan_of(20)
    for block in range(10):
        one, other = plan.game(2 * block), plan.game(2 * block + 1)
        assert one.opening == other.opening
        assert one.agents == (FIRST, SECOND)
        assert other.agents == (SECOND, FIRST)
        assert one.seed != other.seed
    assert len({plan.game(2 * block).opening for block in range(10)}) == 10


@pytest.mark.parametrize("players", [3, 4])
def test_with_more_players_the_first_agent_meets_the_others_from_each_seat(players):
    plan = plan_of(2 * players, spec=BoardSpec.create("hex8", players))
    for index in range(plan.games):
        agents = plan.game(index).agents
        assert [agent == FIRST for agent in agents] == [
            seat == index % players for seat in range(players)
        ]


def test_a_match_is_played_stored_and_found_again(store):
    plan = plan_of(10)
    player = Player(store)
    result = run_match(plan, store, player)
    assert result.complete
    assert result.games == 10 == result.wins + result.losses + result.capped
    assert 0 <= result.interval.low <= result.score <= result.interval.high <= 1
    assert sum(result.reasons.values()) == 10
    again = run_match(plan, store, Player(store))
    assert again == result
    assert sorted(player.played) == list(range(10))


def test_a_stopped_match_goes_on_where_it_was(store):
    plan = plan_of(12)
    whole = Player(store, order=lambda games: games[:5])
    partial = run_match(plan, store, whole, stop=lambda: len(whole.played) >= 5)
    assert not partial.complete
    assert partial.games == 4  # two whole blocks; the fifth game waits for its twin
    rest = Player(store)
    result = run_match(plan, store, rest)
    assert result.complete
    assert sorted(whole.played + rest.played) == list(range(12))


def test_the_order_of_arrival_changes_nothing(tmp_path):
    plan = plan_of(12)
    results = []
    for name, order in (("a", list), ("b", lambda games: games[::-1])):
        with GameStore.open(tmp_path / f"{name}.db", writer=True) as store:
            results.append(run_match(plan, store, Player(store, order=order)))
    assert results[0] == results[1]


def test_progress_counts_the_prefix_of_complete_blocks_only(store):
    plan = plan_of(6)
    seen = []
    run_match(
        plan,
        store,
        Player(store, order=lambda games: games[::-1]),
        on_progress=lambda t: seen.append(t.counted),
    )
    assert seen == [0, 0, 0, 0, 0, 0, 6]


def test_a_test_stops_at_its_verdict_or_its_cap(store):
    test = SequentialTest(elo1=50, min_games=4, max_games=8)
    plan = plan_of(8, test=test)
    result = run_match(plan, store, Player(store))
    assert result.complete
    assert result.standing.verdict in ("accept", "reject", "inconclusive")
    assert result.games == result.standing.games <= 8


def test_an_aborted_game_is_played_once_more(store):
    result = run_match(plan_of(6), store, Player(store, aborting={2: 1}))
    assert result.complete
    assert result.games == 6


def test_a_game_aborted_twice_fails_naming_agents_game_and_ply(store):
    with pytest.raises(
        MatchAborted, match=r"game 2 .* at ply \d+: abort:the agent raised"
    ) as caught:
        run_match(plan_of(6), store, Player(store, aborting={2: 2}))
    assert caught.value.exit_code == 5
    assert caught.value.where == "random against heuristic"


def test_a_game_that_the_plan_does_not_name_is_refused(store):
    plan = plan_of(6)
    stranger = plan_of(6, seed=99)
    game = stranger.game(0)
    meta = GameMeta(purpose="match", run=plan.hash, index=0)
    moves = Player(store).moves(stranger, game)
    store.ingest([(build_record(SQUARE, game.seed, game.agents, moves, meta=meta), None)])
    with pytest.raises(DataError, match="not the plan's"):
        list(stored_games(plan, store))


def test_capped_games_share_the_point(store):
    plan = plan_of(4, max_plies=30)
    result = run_match(plan, store, Player(store))
    assert result.capped == 4
    assert result.score == 0.5
    assert (result.wins, result.losses) == (0, 0)


def test_an_empty_match_has_no_score():
    result = Tally(plan_of(6)).result()
    assert (result.score, result.interval, result.elo, result.plies) == (None, None, None, None)
    assert result.by_seat == (None, None)
    assert not result.complete
    assert result.as_tree()["score_ci95"] is None


@pytest.mark.slow
@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 3), ("square8", 4)])
def test_equal_agents_score_an_equal_share(tmp_path, board, players):
    spec = BoardSpec.create(board, players)
    plan = plan_of(40 * players, spec=spec, agents=(FIRST, FIRST))
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        result = run_match(plan, store, Player(store))
    assert result.interval.low <= 1 / players <= result.interval.high
