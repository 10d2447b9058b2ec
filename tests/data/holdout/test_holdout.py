"""What is kept out of training: reserved once, never given back, its positions counted."""

import random

import pytest

from ringrift.core.errors import RefusedError
from ringrift.data.holdout.overlap import BANDS, position_overlap
from ringrift.data.holdout.reserve import reserve, would_reserve
from ringrift.data.holdout.stats import games_to_walk, holdout_stats
from ringrift.data.walk import choices, state_hashes
from ringrift.records import GameStore
from ringrift.rules import BoardSpec, Position

from ...records.conftest import make_game
from ...records.tables import rows
from ..random_play import random_game

CONFIG = "square8_2p"
GAMES = [make_game(seed=seed, limit=30) for seed in range(60)]


def make_store(path, games):
    with GameStore.open(path, writer=True) as store:
        store.ingest([(game, None) for game in games])
    return path


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "games.db", GAMES)


def sides(path):
    with GameStore.open(path) as store:
        return {row["id"]: row["split"] for row in store.rows()}


# --- the walk


def texts_before(record):
    position, found = Position.of(record.spec), []
    for move in record.moves:
        legal = position.legal_packed()
        found.append((str(position), position.current_player, len(legal)))
        position.play(move)
    return found


def test_the_walk_sees_every_position_before_its_move():
    for record in (make_game("hex8", 3, seed=1), make_game(seed=2)):
        movers, counts = choices(record)
        plain = texts_before(record)
        assert movers.tolist() == [seat for _, seat, _ in plain]
        assert counts.tolist() == [n for _, _, n in plain]
        assert len(state_hashes(record)) == len(record.moves)


def test_equal_positions_have_equal_hashes_and_others_other_ones():
    by_text = {}
    for game in GAMES:
        for hashed, (text, *_) in zip(state_hashes(game).tolist(), texts_before(game), strict=True):
            by_text.setdefault(hashed, set()).add(text)
    # What a text leaves out (the counters of lps) may tell positions of one text apart, not more.
    assert all(len(found) == 1 for found in by_text.values())
    assert len({state_hashes(game)[0] for game in GAMES}) == 1


def test_another_specification_has_other_hashes():
    plain, swapped = make_game(seed=1, limit=5), make_game(seed=1, limit=5, swap_rule=True)
    assert not set(state_hashes(plain).tolist()) & set(state_hashes(swapped).tolist())


# --- overlap


def by_hand(path, config):
    """Overlap from the texts of the positions, band by band."""
    held, trained = [], set()
    with GameStore.open(path) as store:
        for _, game, _ in store.records(config, split="train"):
            trained.update(text for text, *_ in texts_before(game))
        for _, game, _ in store.records(config, split="holdout"):
            held += [(ply, text) for ply, (text, *_) in enumerate(texts_before(game))]
    found = []
    for first, last in BANDS:
        inside = [t for ply, t in held if first <= ply and (last is None or ply <= last)]
        found.append((len(inside), sum(text in trained for text in inside)))
    return found


def lines_of(prefixes, count):
    """Games of which many share their first twelve plies."""
    games, spec = [], BoardSpec.create("square8", 2)
    from ringrift.records import build_record

    from ...records.conftest import agents

    for n in range(count):
        position, moves = Position.of(spec), []
        rng = random.Random(f"line {n % prefixes}")
        while len(moves) < 90 and not position.is_over:
            if len(moves) == 12:
                rng = random.Random(f"rest {n}")
            moves.append(int(rng.choice(position.legal_packed().tolist())))
            position.play(moves[-1])
        limit = {} if position.is_over else {"max_plies": len(moves)}
        games.append(build_record(spec, n, agents(2), moves, **limit))
    return games


def test_the_overlap_is_that_of_the_positions(tmp_path):
    path = make_store(tmp_path / "games.db", lines_of(5, 80))
    bands = position_overlap([path], CONFIG)
    assert [(band.positions, band.in_training) for band in bands] == by_hand(path, CONFIG)
    assert [(band.first, band.last) for band in bands] == list(BANDS)
    early, late = bands[0], bands[3]
    assert early.share == 1.0
    assert late.share < 0.1


def test_games_of_all_stores_are_compared(tmp_path):
    games = lines_of(2, 40)
    first = make_store(tmp_path / "a.db", games[:20])
    second = make_store(tmp_path / "b.db", games[20:])
    both = make_store(tmp_path / "both.db", games)
    apart, together = position_overlap([first, second], CONFIG), position_overlap([both], CONFIG)
    assert apart == together
    assert sum(band.positions for band in apart) > 0


def test_nothing_kept_out_has_no_share(tmp_path):
    path = make_store(tmp_path / "games.db", [])
    assert [(b.positions, b.share) for b in position_overlap([path], CONFIG)] == [(0, None)] * 5


# --- stats


def test_stats_count_what_is_kept_out(store):
    (stats,) = holdout_stats([store])
    found = sides(store)
    held = [game for game in GAMES if found[game.id] == "holdout"]
    assert held
    assert stats.config == CONFIG
    assert stats.games == len(held)
    assert stats.positions == sum(len(game.moves) for game in held)
    assert stats.other_games == sum(side in ("train", "val") for side in found.values())
    assert stats.share == len(held) / 60
    assert stats.purposes == {"selfplay": len(held)}
    assert stats.victories == {"timeout": len(held)}
    assert stats.newest == max(
        at for (at,) in rows(store, "SELECT ingested_at FROM games WHERE split = 'holdout'")
    )


def test_stats_of_one_board_or_number_of_players(tmp_path):
    made = [make_game(board, players, seed=s, limit=6) for board in ("square8", "hex8")
            for players in (2, 3) for s in range(12)]  # fmt: skip
    path = make_store(tmp_path / "games.db", made)
    every = [stats.config for stats in holdout_stats([path])]
    assert every == ["hex8_2p", "hex8_3p", "square8_2p", "square8_3p"]
    assert [s.config for s in holdout_stats([path], board="hex8", players=3)] == ["hex8_3p"]
    assert [s.config for s in holdout_stats([path], players=2)] == ["hex8_2p", "square8_2p"]
    walked = []
    holdout_stats([path], on_game=lambda: walked.append(1))
    assert len(walked) <= games_to_walk([path], None, None) <= 48


def test_an_empty_store_has_no_stats(tmp_path):
    path = make_store(tmp_path / "games.db", [])
    assert holdout_stats([path]) == []


# --- reserve


def test_reserving_is_idempotent_and_moves_out_of_training_only(store):
    before = sides(store)
    told = would_reserve(store, 50)
    assert sides(store) == before
    done = reserve(store, 50)
    after = sides(store)
    assert done == told
    assert (done.before, done.percent) == (10, 50)
    assert done.moved == sum(before[i] != after[i] for i in after) > 0
    assert {after[i] for i in after if before[i] != after[i]} == {"holdout"}
    again = reserve(store, 50)
    assert (again.moved, again.games, sides(store)) == (0, done.games, after)
    assert reserve(store, None).percent == 50


def test_less_is_refused(store):
    reserve(store, 30)
    for act in (reserve, would_reserve):
        with pytest.raises(RefusedError, match="30") as caught:
            act(store, 20)
        assert caught.value.exit_code == 4


def test_a_store_is_made_with_its_share(tmp_path):
    path = tmp_path / "games" / "games.db"
    assert would_reserve(path, 20).percent == 20
    assert not path.exists()
    reserve(path, 20)
    make_store(path, GAMES)
    again = reserve(path, None)
    assert (again.percent, again.games) == (20, sum(s == "holdout" for s in sides(path).values()))


# --- leaks


@pytest.mark.slow
@pytest.mark.parametrize(
    "count", [150, pytest.param(10_000, marks=[pytest.mark.acceptance, pytest.mark.timeout(3600)])]
)
def test_no_play_is_kept_out_and_trained_on(tmp_path, count):
    path = tmp_path / "games.db"
    games = (
        (random_game("square8" if n % 2 else "hex8", 2 + n % 3, seed=n), None) for n in range(count)
    )
    with GameStore.open(path, writer=True) as store:
        assert store.ingest(games).added == count
    plays = [
        {play for (play,) in rows(path, f"SELECT play_hash FROM {view}")}
        for view in ("trainable", "validation", "holdout")
    ]
    assert not plays[0] & plays[2]
    assert not plays[1] & plays[2]
    assert not plays[0] & plays[1]
    share = len(plays[2]) / sum(map(len, plays))
    print(f"{count} games, {100 * share:.2f} % kept out")
    assert abs(share - 0.1) < 4 * (0.09 / count) ** 0.5
