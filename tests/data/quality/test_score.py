"""The data quality score: three fixtures with values counted by hand, and what makes it unknown."""

from collections import Counter

import pytest

from ringrift.data.quality.score import WEIGHTS, config_of_refused, quality_score
from ringrift.records import GameStore, to_bytes, to_json
from ringrift.records.analysis_bytes import seal_pair
from ringrift.records.gate import Gate
from ringrift.records.recheck import Failure
from ringrift.rules.moves import SWAP

from ...records.conftest import make_game
from ...records.tables import change
from ..random_play import random_game
from .games import agent, choices_of, search, trainable

FULL = 200
PLAIN = (agent("heuristic"), agent("random"))
SEARCHER = agent("gumbel:eval=heuristic,sims=200")
WEAKER = agent("mcts:sims=50")


def measured(*paths, config="square8_2p"):
    found = quality_score(paths, config, full_simulations=FULL)
    return found, {part.name: part.value for part in found.components}


def make_store(path, items, gate=Gate()):  # noqa: B008 - frozen
    with GameStore.open(path, writer=True) as store:
        store.ingest(items, gate=gate)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "games.db"


# 100 games of 4 lines; 70 won by seat 1, 20 by seat 2, 10 cut by the limit; nobody searches.
ENDS = [1] * 70 + [2] * 20 + [None] * 10
PLAYED = [
    trainable(n % 4, n, agents=PLAIN, winner=winner, plies=16) for n, winner in enumerate(ENDS)
]


def test_games_without_a_search(path):
    make_store(path, [(game, None) for game in PLAYED])
    refused = [(make_game(seed=seed, limit=9), None) for seed in range(25)]
    make_store(path, refused, Gate(completed=True))
    found, values = measured(path)
    assert found.games == 100
    assert values == pytest.approx(
        {
            "verified": 100 / 125,
            "ended_by_rules": 0.9,
            "policy_coverage": None,
            "diversity": 2 * 4 / 100,
            "seat_balance": 1 - 4 * (70 / 90 - 1 / 2) if 4 * (70 / 90 - 1 / 2) < 1 else 0.0,
            "full_simulations": 0.0,
        },
        abs=1e-9,
    )
    assert values["seat_balance"] == 0.0
    by_hand = (0.25 * 0.8 + 0.20 * 0.9 + 0.15 * 0.08 + 0.10 * 0 + 0.10 * 0) / 0.80
    assert found.score == pytest.approx(by_hand, abs=1e-9)
    assert [part.name for part in found.components if part.left_out] == ["policy_coverage"]


def searched_games():
    """100 games of 60 lines, the searcher at either seat; every third ply's search is lost.

    Half of the games are searched in full, the others with a quarter of it; the last choice of each
    is a cheap search. Returns the pairs, and how many full searches there were and were kept.
    """
    items, searched, carried = [], 0, 0
    for n in range(100):
        agents = (SEARCHER, PLAIN[0]) if n % 2 else (PLAIN[0], SEARCHER)
        winner = 1 if n < 55 else 2
        game = trainable(n % 60, n, agents=agents, winner=winner, plies=16)
        own = [ply for ply, seat, _ in choices_of(game) if agents[seat - 1] is SEARCHER]
        kinds = {ply: "full" for i, ply in enumerate(own) if i % 3} | {own[-1]: "cheap"}
        searched += len(own) - 1
        carried += sum(kind == "full" for kind in kinds.values())
        items.append((game, search(game, kinds, FULL if n % 2 else FULL // 4)))
    return items, searched, carried


def test_games_with_searches(path):
    items, searched, carried = searched_games()
    make_store(path, items)
    found, values = measured(path)
    balance = 1 - 4 * 0.05
    assert 0.4 < carried / searched < 0.8
    expected = {
        "verified": 1.0,
        "ended_by_rules": 1.0,
        "policy_coverage": carried / searched,
        "diversity": 1.0,
        "seat_balance": balance,
        "full_simulations": 0.5,
    }
    assert values == pytest.approx(expected, abs=1e-9)
    by_hand = 0.25 + 0.20 + 0.20 * carried / searched + 0.15 + 0.10 * balance + 0.10 * 0.5
    assert found.score == pytest.approx(by_hand, abs=1e-9)


def test_games_of_three_players_in_two_stores(tmp_path):
    games = [random_game("square8", 3, seed) for seed in range(160)]
    first = make_store(tmp_path / "a.db", [(game, None) for game in games[:100]])
    second = make_store(tmp_path / "b.db", [(game, None) for game in games[60:]])
    config = "square8_3p"
    sides = {}
    for path in (first, second):
        with GameStore.open(path) as store:
            sides |= {row["id"]: row["split"] for row in store.rows()}
    ours = [game for game in games if sides[game.id] == "train"]
    wins = Counter(game.result.winner for game in ours if game.result.winner)
    worst = max(abs(wins[seat] / wins.total() - 1 / 3) for seat in (1, 2, 3))
    lines = len({game.moves[:12] for game in ours})
    found, values = measured(first, second, config=config)
    assert found.games == len(ours) >= 100
    assert values == pytest.approx(
        {
            "verified": 1.0,
            "ended_by_rules": 1.0,
            "policy_coverage": None,
            "diversity": min(1, 2 * lines / len(ours)),
            "seat_balance": 1 - min(1, 4 * worst),
            "full_simulations": 0.0,
        },
        abs=1e-9,
    )
    by_hand = (0.25 + 0.20 + 0.15 * values["diversity"] + 0.10 * (1 - 4 * worst)) / 0.8
    assert found.score == pytest.approx(by_hand, abs=1e-9)


def test_the_weights_sum_to_one():
    assert sum(WEIGHTS.values()) == pytest.approx(1, abs=1e-12)


# --- what is unknown


def test_below_100_games_the_score_is_unknown(path):
    make_store(path, [(game, None) for game in PLAYED[:99]])
    found, values = measured(path)
    assert (found.games, found.score) == (99, None)
    assert values["ended_by_rules"] == 90 / 99


def test_no_games_at_all(path):
    make_store(path, [])
    found, values = measured(path)
    assert (found.games, found.score) == (0, None)
    assert set(values.values()) == {None}


def test_without_a_winner_balance_and_score_are_unknown(path):
    games = [trainable(n, n, agents=PLAIN, plies=16) for n in range(100)]
    make_store(path, [(game, None) for game in games])
    found, values = measured(path)
    assert (found.games, found.score, values["seat_balance"]) == (100, None, None)
    assert values["ended_by_rules"] == 0.0


# --- what is counted


def test_a_search_follows_its_agent_across_the_pie_rule(path):
    items = []
    for n in range(300):
        game = trainable(n, n, agents=(SEARCHER, PLAIN[0]), winner=1, swap_rule=True)
        if SWAP not in game.moves:
            continue
        swap = game.moves.index(SWAP)
        own = [p for p, seat, _ in choices_of(game) if seat == (1 if p <= swap else 2)]
        items.append((game, search(game, dict.fromkeys(own, "full"), FULL)))
    assert len(items) >= 3
    make_store(path, items)
    assert measured(path)[1]["policy_coverage"] == 1.0


@pytest.mark.parametrize(
    ("spec", "full"),
    [
        ("gumbel:eval=heuristic,sims=200", 1.0),
        ("mcts", 0.0),
        ("mcts:sims=400", 1.0),
        ("mcts:ms=50", 0.0),
        ("gumbel:sims=900", 0.0),  # names no evaluator: a search all the same, of unknown size
        ("mix(descent:sims=300*0.5;random*0.5)", 1.0),
        ("alphabeta:depth=3", 0.0),
        ("heuristic", 0.0),
    ],
)
def test_the_simulations_of_a_game_whose_search_is_lost(path, spec, full):
    make_store(path, [(trainable(1, 1, agents=(agent(spec), PLAIN[0]), winner=1), None)])
    found, values = measured(path)
    assert values["full_simulations"] == full
    left_out = [part.name for part in found.components if part.left_out]
    assert left_out == (["policy_coverage"] if spec[:5] in ("alpha", "heuri") else [])


def test_marked_plies_are_no_searches(path):
    import dataclasses

    game = trainable(1, 1, agents=(SEARCHER, SEARCHER), winner=1)
    plies = [ply for ply, _, _ in choices_of(game)]
    game = dataclasses.replace(game, marks=dict.fromkeys(plies[:4], "random"))
    make_store(path, [(game, search(game, dict.fromkeys(plies[4:], "full"), FULL))])
    (part,) = [p for p in measured(path)[0].components if p.name == "policy_coverage"]
    assert (part.value, part.n) == (1.0, len(plies) - 4)


def test_several_searches_of_a_game_count_together(path):
    game = trainable(1, 1, agents=(SEARCHER, WEAKER), winner=1)
    plies = [ply for ply, _, _ in choices_of(game)]
    half = search(game, dict.fromkeys(plies[::2], "full"), 50)
    rest = search(game, dict.fromkeys(plies[1::2], "reanalysis"), FULL)
    make_store(path, [(game, half), (game, rest)])
    values = measured(path)[1]
    assert (values["policy_coverage"], values["full_simulations"]) == (1.0, 1.0)


def test_a_withdrawn_game_counts_once_as_refused(path):
    make_store(path, [(game, None) for game in PLAYED])
    with GameStore.open(path, writer=True) as store:
        store.withdraw([Failure(id=PLAYED[0].id, reason="hash", ply=1, detail="x")])
    assert measured(path)[1]["verified"] == 99 / 100


def test_refused_games_of_other_configurations_do_not_count(path):
    make_store(path, [(game, None) for game in PLAYED])
    others = [(make_game("hex8", 2, seed=seed, limit=9), None) for seed in range(9)]
    make_store(path, [*others, (b"rubbish", None)], Gate(completed=True))
    assert measured(path)[1]["verified"] == 1.0


def test_only_the_last_500_that_came_in_count(path):
    make_store(path, [(make_game(seed=1, limit=9), None)], Gate(completed=True))
    change(path, "UPDATE quarantine SET at = at - 1000")
    make_store(path, [(make_game(seed=seed, limit=3), None) for seed in range(500)])
    (part,) = [p for p in measured(path)[0].components if p.name == "verified"]
    assert (part.value, part.n) == (1.0, 500)
    make_store(path, [(make_game(seed=2, limit=9), None)], Gate(completed=True))
    assert measured(path)[1]["verified"] == 499 / 500


def test_what_refused_bytes_tell_of_their_configuration():
    game = make_game("hex8", 3, seed=1, limit=9)
    data = to_bytes(game)
    assert config_of_refused(seal_pair(data, None)) == "hex8_3p"
    assert config_of_refused(seal_pair(to_json(game).encode(), None)) == "hex8_3p"
    foreign = b'{"boardType": "square19", "numPlayers": 4}'
    assert config_of_refused(seal_pair(foreign, None)) == "square19_4p"
    for other in (data[:50], b"", b"{", b"[1]", b'{"spec": 3}', b"\x93\x01\x02\x03"):
        assert config_of_refused(seal_pair(other, None)) is None
    assert config_of_refused(b"no pair") is None
