"""Games with one planted defect each: every one is caught, kept and explained; no good one is."""

import dataclasses
import json
import time

import pytest

from ringrift.records import (
    GameStore,
    analysis_to_bytes,
    analysis_to_json,
    build_record,
    to_bytes,
    to_json,
)
from ringrift.records.foreign import ImportOptions, ImportReport, import_files, write_lines
from ringrift.records.gate import Gate
from ringrift.records.shards import write_shards
from ringrift.records.sources import scan_games
from ringrift.rules import Position
from ringrift.rules.moves import NO_LINE, NO_MOVE, NO_PLACE, NO_REGION

from ..records.conftest import agents, make_analysis, make_game
from .random_play import random_game

GAME = make_game(seed=21)
SEARCHED = make_analysis(GAME)
LAST = len(GAME.moves) - 1
FOREIGN_MOVE = 11 << 20 | 1
COMPLETED = Gate(completed=True)


def record_with(**fields):
    return to_bytes(dataclasses.replace(GAME, **fields)), None


def result_with(**fields):
    return record_with(result=dataclasses.replace(GAME.result, **fields))


def line_with(change, source=None):
    """The game as a JSON line, its object changed."""
    tree = json.loads(source or to_json(GAME))
    change(tree)
    return json.dumps(tree, ensure_ascii=False).encode()


def put(*path, value):
    def change(tree):
        for name in path[:-1]:
            tree = tree[name]
        tree[path[-1]] = value

    return change


def move_at(ply, move):
    moves = list(GAME.moves)
    moves[ply] = move
    return record_with(moves=tuple(moves))


def another_move(ply):
    position = Position.of(GAME.spec)
    for move in GAME.moves[:ply]:
        position.play(move)
    left = set(GAME.moves) - set(position.legal_packed().tolist())
    return move_at(ply, min(left - {NO_LINE, NO_MOVE, NO_PLACE, NO_REGION}))


def without_bookkeeping():
    ply = next(i for i, m in enumerate(GAME.moves) if m == NO_LINE)
    moves = (*GAME.moves[:ply], *GAME.moves[ply + 1 :])
    short = dataclasses.replace(
        GAME,
        moves=moves,
        check=GAME.check[: -(-len(moves) // 16)],
        result=dataclasses.replace(GAME.result, plies=len(moves)),
    )
    return (to_bytes(short), None), ply


def wrong_hash(number):
    check = list(GAME.check)
    check[number] ^= 1
    return record_with(check=tuple(check))


def stuck():
    """A game from a position in which nothing is legal and nothing ended it."""
    start = (
        "ph=chain_capture;cur=1;only=4,2;pend=-;act=1;rec=0;st=active;win=0;hand=10,12;elim=0,0;"
        "terr=0,0;S=0,1:21111 4,2:111 7,5:22;M=;C="
    )
    assert not Position.parse(start, spec=GAME.spec).legal_moves()
    made = make_game(seed=3, limit=2)
    return to_bytes(dataclasses.replace(made, start=start)), None


def empty():
    result = dataclasses.replace(GAME.result, plies=0)
    return record_with(moves=(), marks={}, check=(), result=result)


def aborted():
    made = build_record(GAME.spec, 1, agents(2), GAME.moves[:20], end="aborted", reason="died")
    return to_bytes(made), None


def policy_with(change):
    """The game, and its search with one distribution changed; returns (pair, ply)."""
    plies = list(SEARCHED.plies)
    policy = dict(plies[2].policy)
    change(policy)
    plies[2] = dataclasses.replace(plies[2], policy=policy)
    searched = dataclasses.replace(SEARCHED, plies=tuple(plies))
    return (to_bytes(GAME), analysis_to_bytes(searched)), plies[2].ply


def not_legal(policy):
    policy[FOREIGN_MOVE] = policy.pop(next(iter(policy)))


def too_much(policy):
    policy[next(iter(policy))] += 1


ILLEGAL_POLICY, LEGAL_PLY = policy_with(not_legal)
SUM_POLICY, SUM_PLY = policy_with(too_much)
NOT_CANONICAL, CANONICAL_PLY = without_bookkeeping()


def negative(tree):
    (ply, *_) = tree["plies"]
    first, second = list(ply["policy"])[:2]
    ply["policy"][second] += ply["policy"][first] + 5
    ply["policy"][first] = -5


# What is planted: the reason, the ply (None: it shows at none) and a word of the explanation.
LINES = {
    "no JSON": (b'{"type":"game","oops', "truncated", None, "truncated"),
    "an object that is none": (b'{"type":"game" "x":1}', "malformed", None, "JSON"),
    "a field is missing": (
        line_with(lambda tree: tree.pop("seed")),
        "malformed",
        None,
        "seed",
    ),
    "a wrong type": (line_with(put("seed", value="7")), "malformed", None, "seed"),
    "a line cut": (to_json(GAME).encode()[:700], "truncated", None, "truncated"),
    "an unknown board": (
        line_with(put("spec", "board", value="octagon")),
        "unknown_board",
        None,
        "octagon",
    ),
    "five players": (line_with(put("spec", "players", value=5)), "bad_players", None, "5"),
    "another ring count": (
        line_with(put("spec", "rings_per_player", value=500)),
        "spec",
        None,
        "500",
    ),
    "another threshold": (
        line_with(put("spec", "ring_threshold", value=5)),
        "spec",
        None,
        "ring_threshold",
    ),
    "other rules": (
        line_with(put("rules", "version", value="0.9")),
        "rules_version",
        None,
        "0.9",
    ),
    "another's id": (line_with(put("id", value="ab" * 32)), "id_mismatch", None, "hash of the"),
}
PAIRS = {
    "no move": (empty(), "zero_moves", None, "no move"),
    "aborted": (aborted(), "error_status", 19, "died"),
    "a phase without its move": (NOT_CANONICAL, "non_canonical", CANONICAL_PLY, "not legal"),
    "an illegal move": (another_move(30), "illegal_move", 30, "not legal"),
    "a wrong state hash": (wrong_hash(1), "hash", 31, "state hash"),
    "another winner": (result_with(winner=3 - GAME.result.winner), "result", LAST, "winner"),
    "another reason": (
        result_with(reason="lps_rounds" if GAME.result.reason != "lps_rounds" else "timeout"),
        "result",
        LAST,
        "reason",
    ),
    "another ranking": (result_with(ranks=GAME.result.ranks[::-1]), "result", LAST, "ranks"),
    "another ply count": (
        (to_json(GAME).replace(f'"plies":{LAST + 1}', f'"plies":{LAST}').encode(), "line"),
        "result",
        None,
        "plies",
    ),
    "another final hash": (result_with(final_hash="0" * 16), "result", LAST, "final_hash"),
    "a stuck position": (stuck(), "invariant", 0, "no legal move"),
    "a move of a distribution": (ILLEGAL_POLICY, "bad_policy", LEGAL_PLY, str(FOREIGN_MOVE)),
    "a sum of a distribution": (SUM_POLICY, "bad_policy", SUM_PLY, "65536"),
    "cut by the limit": (
        (to_bytes(make_game(seed=5, limit=30)), None),
        "incomplete",
        29,
        "limit of 30",
    ),
}
CASES = {**LINES, **PAIRS}


def is_line(planted):
    return isinstance(planted, bytes) or planted[1] == "line"


@pytest.fixture(scope="module")
def good():
    return [make_game(seed=seed) for seed in range(40, 50)]


@pytest.fixture(scope="module")
def refused(tmp_path_factory, good):
    """All planted games among good ones, in one store; what it keeps, by case."""
    folder = tmp_path_factory.mktemp("planted")
    lines, pairs, order = [], [], []
    for name, (planted, *_) in CASES.items():
        if is_line(planted):
            lines.append(planted if isinstance(planted, bytes) else planted[0])
            order.append(name)
        else:
            pairs += [(good[len(pairs) // 2 % len(good)], None), planted]
    (folder / "games.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    path = folder / "games.db"
    with GameStore.open(path, writer=True) as store:
        store.ingest(pairs, source="pairs", gate=COMPLETED)
        store.ingest(scan_games(folder / "games.jsonl"), source="lines", gate=COMPLETED)
        kept = {}
        for entry in store.quarantine.entries():
            _, game, analysis = store.quarantine.get(entry.id)
            kept[game, analysis] = entry
        ids = store.game_ids()
    found = {}
    for name, (planted, *_) in CASES.items():
        data = planted if isinstance(planted, bytes) else planted[0]
        found[name] = kept.pop((data, None if is_line(planted) else planted[1]), None)
    assert kept == {}, "nothing but what was planted"
    return found, ids


@pytest.mark.parametrize("name", CASES)
def test_a_planted_defect_is_caught_kept_and_explained(refused, name):
    _, reason, ply, word = CASES[name]
    entry = refused[0][name]
    assert entry is not None, "its bytes are in quarantine as they came"
    assert (entry.reason, entry.ply) == (reason, ply), entry.detail
    assert word in entry.detail


def test_the_good_games_beside_them_are_in(refused, good):
    assert refused[1] == {game.id for game in good}


def test_a_negative_share_of_a_distribution(tmp_path):
    path = tmp_path / "games.jsonl"
    searched = line_with(negative, analysis_to_json(SEARCHED, GAME))
    path.write_bytes(to_json(GAME).encode() + b"\n" + searched + b"\n")
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        report = store.ingest(scan_games(path), source=str(path))
        (entry,) = store.quarantine.entries()
    assert report.quarantined == 1
    assert (entry.reason, entry.ply) == ("bad_policy", SEARCHED.plies[0].ply)
    assert "policy" in entry.detail
    assert f"{path}:2" in entry.detail


def test_a_move_told_in_part_that_nothing_tells_apart(tmp_path):
    path = tmp_path / "games.jsonl"
    write_lines(path, "gamerecord-jsonl", [(make_game(seed=1, limit=3), None)])
    tree = json.loads(path.read_text())
    for move in tree["moves"]:
        move.pop("placementCount", None)
    for name in ("finalScore", "finalStateHash"):
        del tree[name]
    path.write_text(json.dumps(tree) + "\n")
    import_files([path], ImportOptions(), tmp_path / "games.db", ImportReport())
    with GameStore.open(tmp_path / "games.db") as store:
        (entry,) = store.quarantine.entries()
        assert not store.game_ids()
    assert (entry.reason, entry.ply) == ("ambiguous_move", 0)
    assert f"{path}:1" in entry.detail


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[: len(data) // 2], "truncated"),
        (lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], "malformed"),
    ],
    ids=["cut", "a flipped bit"],
)
def test_a_damaged_shard_is_refused_whole(tmp_path, good, change, reason):
    (shard,) = write_shards(tmp_path / "shards", [(game, []) for game in good])
    bad = tmp_path / "bad.rrshard"
    bad.write_bytes(change(shard.path.read_bytes()))
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        store.ingest(scan_games(bad), source=str(bad))
        (entry,) = store.quarantine.entries()
        assert not store.game_ids()
    assert entry.reason == reason
    assert f"{bad} byte " in entry.detail


# --- good games

CONFIGS = [(b, p) for b in ("square8", "hex8", "square19", "hexagonal") for p in (2, 3, 4)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "count",
    [300, pytest.param(20_000, marks=[pytest.mark.acceptance, pytest.mark.timeout(7200)])],
)
def test_no_good_game_is_refused(tmp_path, count):
    began_s = time.process_time()
    # Small boards mostly: a game on a large one takes as long as thirty.
    configs = [CONFIGS[n % 12 if n % 10 == 0 else n % 6] for n in range(count)]
    games = ((random_game(*config, seed), None) for seed, config in enumerate(configs))
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        report = store.ingest(games, source="good", gate=COMPLETED)
        assert store.quarantine.entries() == []
    print(f"{count} games, {time.process_time() - began_s:.0f} s of CPU, {report.splits}")
    assert (report.added, report.quarantined) == (count, 0)
