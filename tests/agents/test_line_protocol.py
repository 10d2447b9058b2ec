"""The line protocol: what foreign programs rely on, line by line, and whole games by it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.unhurried import unhurried

from ringrift.agents.factory import make_agent
from ringrift.agents.hosting.line_protocol import LineProtocol
from ringrift.rules import BoardSpec, Position

LIGHT = "heuristic:mode=light"


def partner(agent=LIGHT, seed=42):
    return LineProtocol(lambda spec: make_agent(agent, spec), seed=seed)


def ready(agent=LIGHT):
    engine = partner(agent)
    assert engine.answer("newgame square8_2p\n") is None
    assert engine.answer("position initial moves P 3,3 2;M 3,3 3,6") is None
    return engine


def test_the_documented_lines_are_answered_as_documented():
    engine = ready("gumbel:sims=8,eval=heuristic")
    assert engine.answer("legal") == "legal NL"
    assert engine.answer("position initial") is None
    listed = engine.answer("legal")
    assert listed.removeprefix("legal ").split(";") == [
        move.text for move in Position.start("square8").legal_moves()
    ]
    words = engine.answer("go sims 12").split(" value ")
    assert words[0].removeprefix("bestmove ") in listed
    value, _, nodes = words[1].partition(" nodes ")
    assert sum(map(float, value.split())) == pytest.approx(0, abs=2e-4)
    assert int(nodes) == 13
    assert engine.answer("quit") is None
    assert engine.closed


def test_a_state_is_a_position_too():
    engine = ready()
    state = str(Position.start("square8").after("P 3,3 2"))
    assert engine.answer(f"position {state} moves M 3,3 3,6") is None
    assert engine.answer("legal") == "legal NL"
    assert engine.answer(f"position {state}") is None
    assert engine.answer("go").startswith("bestmove M 3,3 ")


def test_a_program_says_who_it_is():
    before = partner().answer("id").split()
    assert before[:2] == ["id", "ringrift"]
    assert before[-2:] == ["agent", "none"]
    after = ready().answer("id").split()
    assert after[:5] == before[:5]
    assert after[-1] == make_agent(LIGHT, BoardSpec.create("square8", 2)).spec.agent_hash


def test_an_agent_without_an_opinion_says_so():
    assert " value none nodes " in ready().answer("go")


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        "newgame",
        "newgame square8_5p",
        "newgame square8_2p rings=3",
        "newgame square8_2p lps_rounds=x",
        "newgame square8_2p swap_rule=maybe",
        "newgame square8_2p seed=-1",
        "position",
        "position nowhere moves P 3,3 2",
        "position initial moves P 9,9 1",
        "position initial moves P 3,3 2;M 3,3 3,6;M 3,6 3,3",
        "position initial moves NL",
        "legal please",
        "go fast",
        "go sims",
        "go sims 0",
        "go sims -3",
        "go sims 3 nodes 4",
        "id please",
        "quit now",
    ],
)
def test_a_bad_line_says_why_on_one_line_and_changes_nothing(line):
    engine = ready()
    answer = engine.answer(line)
    assert answer.startswith("error ")
    assert "\n" not in answer
    assert engine.answer("legal") == "legal NL"
    assert not engine.closed


@pytest.mark.parametrize("line", ["legal", "go", "position initial"])
def test_nothing_can_be_asked_before_a_game(line):
    assert partner().answer(line).startswith("error no game has begun")


def test_blank_lines_are_passed_over():
    assert partner().answer("\n") is None


def test_a_game_that_is_over_has_no_best_move():
    spec, position, moves = BoardSpec.create("square8", 2), Position.start("square8"), []
    while not position.is_over:
        moves.append(position.legal_moves()[0].text)
        position.play(moves[-1])
    engine = partner()
    engine.answer(f"newgame {spec.config}")
    assert engine.answer(f"position initial moves {';'.join(moves)}") is None
    assert engine.answer("legal") == "legal"
    assert engine.answer("go").startswith("error the game is over")


def test_a_repeated_game_and_a_different_one_reach_the_position_named():
    engine = ready("random")
    for moves in ("P 3,3 2;M 3,3 3,6;NL", "P 3,3 2", "P 0,0 1", ""):
        assert engine.answer(f"position initial moves {moves}") is None
        position = Position.start("square8")
        for text in filter(None, moves.split(";")):
            position.play(text)
        legal = ";".join(move.text for move in position.legal_moves())
        assert engine.answer("legal") == f"legal {legal}"


def test_the_seed_of_a_game_is_the_seed_of_its_draws():
    def drawn(first, *lines):
        engine = partner("random", seed=first)
        for line in lines:
            assert engine.answer(line) is None
        return engine.answer("go")

    new = "newgame square8_2p seed=5"
    assert drawn(1, new) == drawn(2, new) == drawn(5, "newgame square8_2p")
    assert len({drawn(seed, "newgame square8_2p") for seed in range(6)}) > 1


def test_rule_options_reach_the_game():
    engine = partner("random")
    assert engine.answer("newgame square8_2p rings_per_player=1 lps_rounds=2") is None
    assert "P 3,3 1" in engine.answer("legal")
    assert "P 3,3 2" not in engine.answer("legal")


# --- whole games between processes


class Engine:
    """A partner in a process of its own."""

    def __init__(self, agent, folder):
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from ringrift.cli.main import main; main()",
                *("play", "engine", "--agent", agent, "--quiet"),
            ],
            cwd=folder,
            env=unhurried(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def say(self, line):
        self.process.stdin.write(f"{line}\n")

    def ask(self, line):
        self.say(line)
        return self.process.stdout.readline().strip()

    def close(self):
        out, err = self.process.communicate("quit\n", timeout=60)
        return self.process.returncode, out, err


@pytest.mark.slow
def test_twenty_games_are_played_between_two_processes(tmp_path):
    engines = {"light": Engine(LIGHT, tmp_path), "random": Engine("random", tmp_path)}
    wins = {"light": 0, "random": 0}
    for index in range(20):
        seats = ["light", "random"] if index % 2 == 0 else ["random", "light"]
        for engine in engines.values():
            engine.say(f"newgame square8_2p seed={index}")
        position, moves = Position.start("square8"), []
        while not position.is_over:
            engine = engines[seats[position.current_player - 1]]
            engine.say(f"position initial moves {';'.join(moves)}")
            answer = engine.ask("go")
            assert answer.startswith("bestmove "), answer
            moves.append(answer.removeprefix("bestmove ").partition(" value ")[0])
            position.play(moves[-1])  # raises for a move that is not legal
        wins[seats[position.winner - 1]] += 1
    assert sum(wins.values()) == 20
    assert wins["light"] >= 15, wins
    assert [engine.close() for engine in engines.values()] == [(0, "", "")] * 2
