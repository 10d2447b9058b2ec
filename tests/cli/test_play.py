"""`ringrift play` as people and programs use it: results, errors, and a terminal that is killed."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from tests.unhurried import unhurried

from ringrift.rules import Position

PROGRAM = [sys.executable, "-c", "from ringrift.cli.main import main; main()"]
LIGHT = "heuristic:mode=light"
START = str(Position.start("square8"))


@pytest.fixture
def ringrift(tmp_path):
    """Run a command line in an empty folder; returns (code, stdout, stderr)."""

    def run(*arguments, stdin=""):
        done = subprocess.run(
            [*PROGRAM, *map(str, arguments)],
            cwd=tmp_path,
            env=unhurried(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


# --- move and analyze


@pytest.mark.slow
def test_a_move_of_a_position_from_standard_input(ringrift):
    line = ("play", "move", "--position", "-", "--agent", "gumbel:sims=8,eval=heuristic", "--json")
    code, out, err = ringrift(*line, stdin=START)
    assert (code, err) == (0, "")
    found = json.loads(out)
    Position.start("square8").play(found["move"])
    assert found["line"][0] == found["move"]
    assert sum(found["policy"].values()) == pytest.approx(1, abs=1e-6)
    assert sum(found["visits"].values()) == found["sims"] == 8
    assert json.loads(ringrift(*line, stdin=START)[1])["move"] == found["move"]
    text = ringrift(*line[:-1], stdin=START)[1]
    assert text.splitlines()[0] == found["move"]


@pytest.mark.slow
def test_positions_that_are_none_are_exit_6_naming_the_field(ringrift, tmp_path):
    (tmp_path / "bad.json").write_text('{"config": "square8_2p", "moves": ["P 9,9 1"]}')
    for arguments, stdin, said in [
        (("--position", "bad.json"), "", "bad.json moves[0]"),
        (("--position", "-"), START.replace("cur=1", "cur=7"), "standard input field cur"),
    ]:
        code, out, err = ringrift("play", "move", *arguments, "--agent", "random", stdin=stdin)
        assert (code, out) == (6, "")
        assert said in err
    assert ringrift("play", "move", "--position", "nowhere", "--agent", "random")[0] == 2
    assert ringrift("play", "move", "--position", "-", "--agent", "randm", stdin=START)[0] == 2


@pytest.mark.slow
def test_a_finished_game_has_no_move(ringrift):
    position = Position.start("square8")
    while not position.is_over:
        position.play(position.legal_moves()[0])
    arguments = ("--position", "-", "--agent", "random")
    code, out, _ = ringrift("play", "move", *arguments, "--json", stdin=str(position))
    assert code == 1
    assert json.loads(out)["move"] is None
    assert ringrift("play", "analyze", "--position", "-", stdin=str(position))[0] == 1


@pytest.mark.slow
def test_analysis_prints_one_object_per_update_and_one_table_without_a_terminal(ringrift):
    arguments = ("play", "analyze", "--position", "-", "--sims", "40", "--top", "3")
    code, out, err = ringrift(*arguments, "--json", stdin=START)
    assert (code, err) == (0, "")
    updates = [json.loads(line) for line in out.splitlines()]
    assert [update["sims"] for update in updates] == [16, 32, 40]
    assert all(len(update["moves"]) == 3 for update in updates)
    code, out, _ = ringrift(*arguments, stdin=START)
    assert code == 0
    assert out.count("simulations") == 1
    assert "\x1b" not in out


@pytest.mark.slow
def test_an_interrupted_analysis_keeps_the_last_table(tmp_path):
    (tmp_path / "s.txt").write_text(START)
    process = subprocess.Popen(
        [*PROGRAM, "play", "analyze", "--position", "s.txt", "--ms", "600000", "--json"],
        cwd=tmp_path,
        env=unhurried(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert first["moves"]
    assert process.returncode == 130
    assert err.startswith("error: interrupted")
    assert all(json.loads(line)["ok"] for line in out.splitlines())


# --- terminal


def saved_plies(path):
    return len(json.loads(path.read_text())["moves"])


@pytest.mark.slow
def test_typed_lines_are_moves_commands_or_reasons(ringrift, tmp_path):
    typed = ["help", "P 3,3", "p 3,3 2", "zzz", "999", "hint", "eval", "moves", "1", "undo", "redo"]
    lines = "\n".join([*typed, "save copy.json", "save copy.json", "redo", "quit"]) + "\n"
    code, out, err = ringrift(
        "play", "terminal", "--seats", f"human,{LIGHT}", "--save", "g.json", stdin=lines
    )
    assert (code, err) == (0, "")
    for said in (
        "'P 3,3' begins 3 moves: P 3,3 1; P 3,3 2; P 3,3 3",
        "P1 human: P 3,3 2",
        "'zzz' is no legal move and no command",
        "no move 999; there are",
        "hint: M 3,3 ",
        "P2 value ",
        "(only move)",
        f"P2 {LIGHT}: P ",
        "saved copy.json",
        "copy.json exists",
        "nothing to redo",
        "--resume g.json",
    ):
        assert said in out, said
    assert re.search(r"took back (\d+) plies.*played \1 plies again", out, re.DOTALL)
    assert saved_plies(tmp_path / "g.json") == saved_plies(tmp_path / "copy.json") > 4


@pytest.mark.slow
def test_a_resigned_game_is_over_and_its_file_says_so(ringrift, tmp_path):
    line = ("play", "terminal", "--seats", "human,human", "--save", "g.json", "--json")
    code, out, _ = ringrift(*line, stdin="1\nresign\n")
    found = json.loads(out)
    assert code == 0
    assert (found["outcome"], found["winner"], found["reason"]) == ("resigned", 2, "resignation")
    assert json.loads((tmp_path / "g.json").read_text())["resigned"] == 1


def test_what_a_saved_game_settles_is_not_asked_again(ringrift):
    for option in (("--board", "hex8"), ("--seats", "human,human"), ("--swap",), ("--seed", "1")):
        code, _, err = ringrift("play", "terminal", "--resume", "g.json", *option)
        assert code == 2
        assert f"{option[0]} is settled by the saved game" in err


@pytest.mark.slow
def test_people_may_exchange_seats_where_the_pie_rule_is_on(ringrift):
    line = ("play", "terminal", "--seats", "human,human", "--swap", "--json")
    code, out, err = ringrift(*line, stdin="P 3,3 2\n1\nSW\nquit\n")
    assert code == 0, err
    assert "SW" in json.loads(out)["moves"]


@pytest.mark.slow
def test_an_agent_answers_the_offer_and_moves_with_its_identity(ringrift):
    line = ("play", "terminal", "--swap", "--option", "rings_per_player=6")
    seats = ("--seats", "human,heuristic")
    code, out, err = ringrift(*line, *seats, stdin="hint\nP 3,3 3\n1\neval\nquit\n")
    assert code == 0, err
    assert re.search(r"P2 heuristic: (SW|P \S+ \d) \(.*(exchange|keep) .*margin 0\.02\)", out), out
    swapped = ": SW (" in out
    assert ("P1 heuristic: " in out) is swapped


@pytest.mark.slow
def test_a_game_is_not_written_over(ringrift, tmp_path):
    (tmp_path / "g.json").write_text("precious")
    code, _, err = ringrift("play", "terminal", "--seats", "human,human", "--save", "g.json")
    assert code == 2
    assert "--resume g.json" in err
    assert (tmp_path / "g.json").read_text() == "precious"


@pytest.mark.slow
def test_a_dry_run_writes_nothing(ringrift, tmp_path):
    code, out, _ = ringrift("play", "terminal", "--seats", "random,random", "--dry-run", "--json")
    assert code == 0
    assert json.loads(out)["outcome"] == "planned"
    assert list(tmp_path.iterdir()) == []


class Terminal:
    """The program on a terminal of its own, played by a script."""

    PROMPT = re.compile(r"P\d \w+> $")
    PLY = re.compile(r"^ply +(\d+) ", re.MULTILINE)

    def __init__(self, folder, *arguments):
        self.fd, inner = pty.openpty()
        self.process = subprocess.Popen(
            [*PROGRAM, "play", "terminal", *arguments],
            cwd=folder,
            env=unhurried(NO_COLOR="1"),
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)
        self.seen = ""

    def until_prompt(self, limit_s=200.0):
        """Read until the program asks; return the last ply it reported, None for none."""
        text, end_s = "", time.monotonic() + limit_s
        while not self.PROMPT.search(text):
            assert time.monotonic() < end_s, text[-2000:]
            ready, _, _ = select.select([self.fd], [], [], 1.0)
            if ready:
                text += os.read(self.fd, 65536).decode()
            assert self.process.poll() is None, text[-2000:]
        self.seen = text
        plies = self.PLY.findall(text)
        return int(plies[-1]) if plies else None

    def type(self, line):
        os.write(self.fd, f"{line}\n".encode())

    def play_to(self, ply):
        """Choose the first move each time until `ply` plies were reported."""
        at = 0
        while at < ply:
            self.type("1")
            at = self.until_prompt() or at
        return at

    def close(self):
        self.process.wait(timeout=60)
        os.close(self.fd)
        return self.process.returncode


@pytest.mark.slow
def test_a_game_of_200_plies_survives_a_kill_and_resumes_at_the_same_ply(tmp_path):
    path = tmp_path / "g.json"
    options = ("--board", "square19", "--seats", "human,ladder:2", "--save", "g.json")
    terminal = Terminal(tmp_path, *options)
    terminal.until_prompt()
    reached = terminal.play_to(100)
    terminal.process.kill()
    assert terminal.close() == -signal.SIGKILL
    assert saved_plies(path) == reached
    before = json.loads(path.read_text())

    terminal = Terminal(tmp_path, "--resume", "g.json")
    assert terminal.until_prompt() is None
    assert json.loads(path.read_text()) == before
    assert terminal.play_to(200) == saved_plies(path) >= 200
    after = json.loads(path.read_text())
    assert after["moves"][:reached] == before["moves"]
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.close() == 130
    assert json.loads(path.read_text()) == after
    position = Position.start("square19")
    for text in after["moves"]:
        position.play(text)
    assert position.fingerprint == after["fingerprint"]


# --- watch and engine


@pytest.mark.slow
def test_a_watched_game_is_drawn_and_ends(ringrift):
    line = ("play", "watch", "--agents", f"{LIGHT},random", "--delay-ms", "0")
    code, out, err = ringrift(*line)
    assert (code, err) == (0, "")
    assert out.count("square8_2p\n") > 10
    assert re.search(r"P\d \(.*\) wins by \w+ after \d+ plies, ranks \d \d\n$", out)
    found = json.loads(ringrift(*line, "--json")[1])
    position = Position.start("square8")
    for text in found["moves"]:
        position.play(text)
    assert (position.winner, str(position)) == (found["winner"], found["position"])


def test_people_cannot_be_watched(ringrift):
    code, _, err = ringrift("play", "watch", "--agents", "human,random")
    assert code == 2
    assert "play terminal" in err


@pytest.mark.slow
def test_the_engine_ends_with_its_input_and_counts_lines(ringrift):
    lines = "newgame square8_2p\nnonsense\ngo\n"
    code, out, _ = ringrift("play", "engine", "--agent", "random", "--json", stdin=lines)
    *answers, last = map(json.loads, out.splitlines())
    assert code == 0
    assert [answer["answer"].split()[0] for answer in answers] == ["error", "bestmove"]
    assert (last["lines"], last["errors"]) == (3, 1)
