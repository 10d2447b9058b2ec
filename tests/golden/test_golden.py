"""Play is what it was: golden counts, random games and whole games of every configuration."""

import importlib.util
import json
from pathlib import Path

import pytest

from ringrift.rules import BOARDS, RULES_VERSION, BoardSpec, Position

HERE = Path(__file__).parent
CONFIGS = [(board, players) for board in BOARDS for players in (2, 3, 4)]

made = importlib.util.spec_from_file_location("golden_make", HERE / "make.py")
make = importlib.util.module_from_spec(made)
made.loader.exec_module(make)

PERFT = json.loads((HERE / "perft.json").read_text())
PLAYOUTS = json.loads((HERE / "playouts.json").read_text())
GAMES = [json.loads(line) for line in (HERE / "games.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_perft_counts(board, players):
    spec = BoardSpec.create(board, players)
    assert make.perft_counts(spec) == PERFT[spec.config]


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_random_games(board, players):
    spec = BoardSpec.create(board, players)
    assert make.playout_rows(spec) == PLAYOUTS[spec.config]


@pytest.mark.parametrize("game", GAMES, ids=lambda g: f"{g['config']}-{g['rings_per_player']}")
def test_whole_games(game):
    board, seats = game["config"].rsplit("_", 1)
    position = Position.start(board, int(seats[0]), rings_per_player=game["rings_per_player"])
    assert game["rules_version"] == RULES_VERSION
    for text in game["moves"].split(";"):
        position.play(text)
    assert str(position) == game["final"]
    assert position.lps == game["lps"]
    assert position.hash64 == game["hash64"]
    assert position.result.reason == game["reason"]
    assert list(position.result.ranking) == game["ranking"]


def test_golden_games_cover_every_configuration():
    assert {g["config"] for g in GAMES} == {f"{board}_{n}p" for board, n in CONFIGS}
