"""Fits of real stores: what counts, what does not, and the file that others read."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest

from ringrift.core.errors import DataError
from ringrift.core.ids import canonical_json
from ringrift.data.quality.ratings import read_ratings
from ringrift.evaluation.ratings.fit import FitRules, fit
from ringrift.evaluation.ratings.games import Participant, RatedGames, read_games
from ringrift.evaluation.ratings.leaderboard import leaderboard, matrix
from ringrift.evaluation.ratings.pairings import pairings
from ringrift.evaluation.ratings.service import RatingSource
from ringrift.models.ratings import ratings_of
from ringrift.records import AgentRef, GameMeta, GameStore, build_record
from ringrift.rules import BoardSpec, Position
from ringrift.rules import moves as mv

from .rating_stores import Pool, agent_hash

SPECS = ("random", "heuristic", "alphabeta:depth=2", "gumbel@model", "mcts:noise=0")


def pool_of(config="square8_2p", *, blocks=60, seed=0, agents=SPECS):
    """Blocks of games between agents of rising strength, all connected."""
    rng = np.random.default_rng(seed)
    pool = Pool(config)
    for block in range(blocks):
        group = rng.choice(len(agents), pool.players, replace=False)
        for turn in range(pool.players):
            seats = np.roll(group, turn)
            order = np.argsort(-(0.8 * seats + rng.gumbel(size=pool.players)))
            ranks = np.empty(pool.players, dtype=int)
            ranks[order] = np.arange(1, pool.players + 1)
            index = block % 10 * pool.players + turn
            at = 1.7e9 + 7200 * len(pool.games)
            names = [agents[seat] for seat in seats]
            pool.add(names, ranks.tolist(), run=f"run{block // 10}", index=index, at=at)
    return pool


def source_of(folder, rules=None):
    return RatingSource(
        store=folder / "games.db",
        objects=folder / "objects",
        folder=folder / "ratings",
        rules=rules or FitRules(),
    )


def rows_of(tree):
    return {row["spec"]: row for row in tree["ratings"]}


@pytest.mark.parametrize("config", ["square8_2p", "hex8_3p", "square8_4p"])
def test_order_split_and_repetition_of_the_input_change_no_byte(tmp_path, config):
    pool = pool_of(config)
    texts = []
    for number in range(3):
        games = list(pool.games)
        random.Random(number).shuffle(games)
        folder = tmp_path / str(number)
        cut = number * len(games) // 4
        pool.write(folder / "games.db", games[:cut] or games)
        pool.write(folder / "games.db", games)  # once more: all that is there already
        source = source_of(folder)
        source.tree(config)
        (path,) = source.folder.iterdir()
        texts.append((path.name, path.read_bytes()))
    assert len(set(texts)) == 1


def test_the_anchor_is_400_and_strength_rises(tmp_path):
    pool_of(blocks=200).write(tmp_path / "games.db")
    rows = rows_of(source_of(tmp_path).tree("square8_2p"))
    elos = [rows[spec]["elo"] for spec in SPECS]
    assert elos == sorted(elos)
    assert elos[0] == 400.0
    assert rows["random"]["elo_ci95"] == [400.0, 400.0]
    assert {spec: row["frozen"] for spec, row in rows.items()} == {
        "random": "random",
        "heuristic": "heuristic",
        "mcts:noise=0": "mcts_100",
        "alphabeta:depth=2": None,
        "gumbel@model": None,
    }


def test_capped_and_aborted_games_rate_nobody(tmp_path):
    pool = pool_of()
    pool.write(tmp_path / "plain" / "games.db")
    for number in range(9):
        pool.add(["random", "heuristic"], None, run="c", index=number)
        pool.add(["random", "heuristic"], None, run="a", index=number, end="aborted")
    pool.write(tmp_path / "more" / "games.db")
    plain, more = (source_of(tmp_path / n).tree("square8_2p") for n in ("plain", "more"))
    for spec in SPECS:
        for field in ("elo", "se", "games", "wins", "losses"):
            assert rows_of(plain)[spec][field] == rows_of(more)[spec][field]
    assert rows_of(more)["heuristic"]["capped"] == 9
    assert more["report"]["capped_share"] == round(9 / (120 + 18), 4)


def test_without_a_path_of_games_to_random_there_is_no_rating(tmp_path):
    pool = pool_of(blocks=120)
    for number in range(40):
        pool.add(["one", "other"], [1 + number % 2, 2 - number % 2], run="apart", index=number)
    pool.add(["loose", "random"], None, run="capped", index=0)
    pool.add(["new", "random"], [1, 2], run="new", index=0)
    pool.write(tmp_path / "games.db")
    rows = rows_of(source_of(tmp_path).tree("square8_2p"))
    for spec in ("one", "other", "loose"):
        row = rows[spec]
        assert (row["elo"], row["elo_ci95"], row["se"], row["unconnected"]) == (None,) * 3 + (True,)
    assert rows["new"]["provisional"]
    assert rows["new"]["se_method"] == "hessian"
    assert not rows["random"]["provisional"]
    assert rows["random"]["se_method"] == "blocks"


def test_nobody_is_rated_without_the_anchor(tmp_path):
    pool = Pool()
    pool.add(["one", "other"], [1, 2])
    pool.write(tmp_path / "games.db")
    tree = source_of(tmp_path).tree("square8_2p")
    assert [row["elo"] for row in tree["ratings"]] == [None, None]
    assert source_of(tmp_path).tree("hex8_4p")["ratings"] == []


def test_the_prior_draws_to_the_parent_model(tmp_path):
    """A child that won once: drawn to a strong parent it is stronger than drawn to the heuristic."""
    pool = pool_of(blocks=100)
    pool.add(["gumbel@child", "heuristic"], [1, 2], run="child", index=0)
    pool.write(tmp_path / "games.db")
    games = read_games(tmp_path / "games.db", "square8_2p")
    child = games.index(agent_hash("gumbel@child"))
    parents = {agent_hash("gumbel@child"): agent_hash("gumbel@model")}
    alone, with_parent = fit(games, FitRules()), fit(games, FitRules(), parents)
    assert with_parent.elo(child) > alone.elo(child) + 20
    # one win and one virtual draw against the same opponent: odds 3 to 1, first seat apart
    heavy = fit(games, FitRules(prior_draws=1e6))
    heuristic = games.index(agent_hash("heuristic"))
    assert heavy.elo(child) == pytest.approx(heavy.elo(heuristic), abs=0.1)


def test_winner_places_and_as_of(tmp_path):
    pool = pool_of("square8_4p", blocks=40)
    pool.write(tmp_path / "games.db")
    full = source_of(tmp_path).tree("square8_4p")
    winner = source_of(tmp_path, FitRules(places="winner")).tree("square8_4p")
    assert full["digest"] != winner["digest"]
    assert winner["settings"]["places"] == "winner"
    assert rows_of(full)["gumbel@model"]["se"] < rows_of(winner)["gumbel@model"]["se"]
    early = source_of(tmp_path).games("square8_4p", as_of=1.7e9 + 7200 * 13 - 1)
    assert len(early.ids) == 13  # of those that began more than an hour before, all
    assert len(list((tmp_path / "ratings").iterdir())) == 2


def test_an_end_after_the_time_is_not_yet(tmp_path):
    """Of games that began within the last hour the stored duration decides."""
    spec = BoardSpec.create("square8", 2)
    agents = [AgentRef(spec=name, agent_hash=agent_hash(name)) for name in ("random", "heuristic")]
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        for seed, ms in ((1, 2_000), (2, 9_000)):
            meta = GameMeta(purpose="match", run="r", index=seed, started=1.7e9, ms=ms)
            record = build_record(spec, seed, agents, random_moves(spec, seed), meta=meta)
            store.ingest([(record, None)])
    for at, count in ((1.7e9 + 1, 0), (1.7e9 + 5, 1), (1.7e9 + 10, 2)):
        assert len(read_games(tmp_path / "games.db", "square8_2p", as_of=at).ids) == count


def random_moves(spec, seed, *, swap=False):
    rng, position, moves = random.Random(seed), Position.of(spec), []
    while not position.is_over:
        legal = [int(move) for move in position.legal_packed()]
        swaps = [move for move in legal if mv.kind_of(move) == mv.SWAP]
        plain = [move for move in legal if move not in swaps]
        moves.append(swaps[0] if swaps and swap else rng.choice(plain))
        position.play(moves[-1])
    return moves


def test_after_a_swap_the_result_is_the_other_agents(tmp_path):
    spec = BoardSpec.create("square8", 2, swap_rule=True)
    agents = [AgentRef(spec=name, agent_hash=agent_hash(name)) for name in ("random", "heuristic")]
    winners = {}
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        for seed in range(6):
            meta = GameMeta(purpose="match", run="r", index=seed)
            moves = random_moves(spec, seed, swap=seed % 2 == 0)
            record = build_record(spec, seed, agents, moves, meta=meta)
            store.ingest([(record, None)])
            winners[record.id] = record.agents_at_end[record.result.winner - 1].agent_hash
            assert (record.agents_at_end != record.agents) == (seed % 2 == 0)
    games = read_games(tmp_path / "games.db", "square8_2p")
    for number, identity in enumerate(games.ids):
        seat = int(np.argmin(games.ranks[number]))
        assert games.participants[games.seats[number, seat]].agent_hash == winners[identity]


# --- the file


def test_the_file_is_read_by_models_and_data(tmp_path):
    pool = pool_of(blocks=80)
    pool.write(tmp_path / "games.db")
    source = source_of(tmp_path)
    tree = source.tree("square8_2p")
    row = rows_of(tree)["gumbel@model"]
    rating = ratings_of(source.folder, "square8_2p")[agent_hash("gumbel@model")]
    assert (rating.elo, [rating.low, rating.high], rating.games) == (
        row["elo"],
        row["elo_ci95"],
        row["games"],
    )
    found = read_ratings(source.folder, "square8_2p")
    assert found.of(agent_hash("heuristic"), "heuristic") == rows_of(tree)["heuristic"]["elo"]
    assert found.fit == tree["digest"][:16]


def test_a_fit_is_made_once_and_again_when_its_file_is_gone_or_games_came(tmp_path):
    pool = pool_of()
    pool.write(tmp_path / "games.db")
    source = source_of(tmp_path)
    first = source.tree("square8_2p")
    (path,) = source.folder.iterdir()
    path.write_bytes(path.read_bytes().replace(b'"games":120', b'"games":121'))
    assert source.tree("square8_2p")["games"] == 121  # read, not fitted
    path.unlink()
    assert source.tree("square8_2p") == first
    pool.add(["random", "heuristic"], [1, 2], run="new", index=0)
    pool.write(tmp_path / "games.db")
    assert source.tree("square8_2p")["games"] == 121
    assert len(list(source.folder.iterdir())) == 2
    path.write_text("[1]")
    pool_of().write(tmp_path / "old" / "games.db")
    with pytest.raises(DataError, match="no fit of ratings"):
        RatingSource(
            store=tmp_path / "old" / "games.db", objects=tmp_path, folder=source.folder
        ).tree("square8_2p")


def test_damaged_columns_name_store_and_game(tmp_path):
    pool = pool_of(blocks=4)
    pool.games[3] = (pool.games[3][0], (1, 7), *pool.games[3][2:])
    pool.write(tmp_path / "games.db")
    with pytest.raises(DataError, match=r"found '\[1, 7\]'.*games\.db game [0-9a-f]{12}"):
        read_games(tmp_path / "games.db", "square8_2p")


# --- pairings and rows


def test_a_cycle_of_agents_is_told(tmp_path):
    """Stone, scissors, paper: each wins 9 of 10 against the next, and all are equally strong."""
    pool = Pool()
    names = ["random", "one", "two"]
    for number in range(120):
        for a, b in ((0, 1), (1, 2), (2, 0)):
            ranks = [1, 2] if number % 10 else [2, 1]
            seats = [names[a], names[b]]
            turned = number % 2
            pool.add(
                seats[::-1] if turned else seats, ranks[::-1] if turned else ranks,
                run=f"{a}{b}", index=number,
            )  # fmt: skip
    pool.write(tmp_path / "games.db")
    report = source_of(tmp_path).tree("square8_2p")["report"]
    assert len(report["non_transitive"]) == 3
    assert all(abs(pair["z"]) > 8 for pair in report["non_transitive"])
    assert report["p"] < 1e-20
    straight = pool_of(blocks=300)
    straight.write(tmp_path / "straight" / "games.db")
    report = source_of(tmp_path / "straight").tree("square8_2p")["report"]
    assert report["non_transitive"] == []
    assert report["pairs"] == 9  # of 10; one has 14 games
    assert report["p"] > 0.01


def test_residuals_of_one_against_the_rest_have_variance_1():
    """With one opponent in three seats the orders of a game are not independent; z knows."""
    rng = np.random.default_rng(3)
    who = tuple(Participant(agent_hash=agent_hash(n), spec=n) for n in ("random", "one", "two"))
    theta = np.array([0.0, 0.7, 1.2])
    squares = []
    for _ in range(60):
        seats = np.array([np.roll([0, 1, 1, 1], t % 4) for t in range(40)] + [[0, 2, 1, 1]] * 40)
        order = np.argsort(-(theta[seats] + rng.gumbel(size=seats.shape)), axis=1)
        count = len(seats)
        games = RatedGames(
            config="square8_4p",
            participants=who,
            ids=tuple(f"{number:064x}" for number in range(count)),
            seats=seats,
            ranks=np.argsort(order, axis=1) + 1,
            capped=np.zeros(count, dtype=bool),
            blocks=np.arange(count),
            runs=np.zeros(count, dtype=np.int64),
            run_names=("r",),
            started=np.full(count, 1.7e9),
        )
        found = fit(games, FitRules(prior_draws=1e-6))
        planted = replace(found.strengths, theta=theta, gamma=np.zeros(4))
        judged = pairings(replace(found, strengths=planted, fitted=np.arange(3)))
        assert [p.games for p in judged] == [80, 40, 40]
        squares += [p.z**2 for p in judged]
    assert 0.75 < float(np.mean(squares)) < 1.3  # against planted strengths: 1 +- 0.11


def test_rows_are_sorted_chosen_and_joined_in_a_matrix(tmp_path):
    pool = pool_of(blocks=100)
    pool.add(["lucky", "random"], [1, 2], run="new", index=0)
    pool.write(tmp_path / "games.db")
    tree = source_of(tmp_path).tree("square8_2p")
    rows = leaderboard(tree, {})
    assert "lucky" not in [row["spec"] for row in rows]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["spec"] for row in leaderboard(tree, {}, top=2)] == [r["spec"] for r in rows[:2]]
    fixed = leaderboard(tree, {}, kinds=("fixed",), min_games=0)
    assert "gumbel@model" not in [row["spec"] for row in fixed]
    assert [row["spec"] for row in leaderboard(tree, {}, kinds=("nn",))] == ["gumbel@model"]
    by_lower = leaderboard(tree, {}, min_games=0, sort="lower")
    lower = [row["elo_ci95"][0] for row in by_lower]
    assert lower == sorted(lower, reverse=True)
    cells = matrix(tree, rows)
    for one in range(5):
        assert cells[one][one] is None
        for other in range(5):
            if one != other:
                cell, back = cells[one][other], cells[other][one]
                assert cell["games"] == back["games"] > 0
                assert cell["observed"] + back["observed"] == pytest.approx(1.0)
    wins = sum(row["wins"] for row in tree["ratings"])
    assert wins == sum(row["losses"] for row in tree["ratings"]) == 201


def test_differences_come_from_the_covariance(tmp_path):
    pool_of(blocks=200).write(tmp_path / "games.db")
    found = source_of(tmp_path).fit("square8_2p")
    one, other = agent_hash("gumbel@model"), agent_hash("heuristic")
    difference = found.difference(one, other)
    index, second = found.games.index(one), found.games.index(other)
    assert difference.elo == pytest.approx(found.elo(index) - found.elo(second))
    apart = (found.se(index) ** 2 + found.se(second) ** 2) ** 0.5
    assert difference.se < 0.95 * apart  # both stand on the same games with random
    assert difference.los > 0.99
    back = found.difference(other, one)
    assert (back.elo, back.los) == pytest.approx((-difference.elo, 1 - difference.los))
    assert found.difference(one, agent_hash("nobody")) is None


def test_the_tree_is_plain_json(tmp_path):
    pool_of("hex8_3p").write(tmp_path / "games.db")
    tree = source_of(tmp_path).tree("hex8_3p")
    assert json.loads(canonical_json(tree)) == tree
    assert sum(seat["elo"] for seat in tree["seats"]) == pytest.approx(0.0, abs=0.2)


@pytest.mark.acceptance
@pytest.mark.timed
def test_a_store_of_200000_games_is_rated_in_15_s(tmp_path):
    import time

    rng = np.random.default_rng(0)
    pool = Pool()
    names = ["random", *(f"agent{number}" for number in range(1, 2000))]
    theta = rng.normal(size=2000)
    for block in range(100_000):
        one, other = rng.choice(2000, 2, replace=False)
        for turn, (a, b) in enumerate(((one, other), (other, one))):
            won = rng.random() < 1.0 / (1.0 + np.exp(theta[b] - theta[a]))
            pool.add([names[a], names[b]], [1, 2] if won else [2, 1], index=2 * block + turn)
    pool.write(tmp_path / "games.db")
    began_s, cpu_s = time.monotonic(), time.process_time()
    games = read_games(tmp_path / "games.db", "square8_2p")
    read_s, read_cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
    fit(games)
    fitted_s, fitted_cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
    print(
        f"read {read_s:.1f} s (CPU {read_cpu_s:.1f} s), "
        f"read and fitted {fitted_s:.1f} s (CPU {fitted_cpu_s:.1f} s)"
    )
    assert len(games.participants) == 2000
    assert fitted_s < 15
