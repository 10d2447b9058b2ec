"""Programs of others: what they answer is played, what they fail to answer names them."""

import os
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest

from ringrift.agents.factory import make_agent
from ringrift.agents.foreign import (
    ForeignAgent,
    identify_foreign,
    is_foreign,
    parse_foreign,
    seed_at,
)
from ringrift.agents.foreign_process import ForeignFailed, ForeignProcess
from ringrift.agents.hosting.searching import batch_of
from ringrift.agents.protocol import Budget, Rngs
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec, Position

SQUARE = BoardSpec.create("square8", 2)
PROGRAM = Path(__file__).with_name("foreign_program.py")


def spec_of(*words):
    return f"engine:{shlex.join([sys.executable, str(PROGRAM), *words])}"


def python(code):
    return [sys.executable, "-S", "-c", code]


ECHO = "import sys\nfor line in sys.stdin: print('heard', line, end='', flush=True)"


def test_specs_of_programs():
    made = parse_foreign('engine:sims=64,"/a b/c" --agent mcts:sims=8')
    assert made.words == ["/a b/c", "--agent", "mcts:sims=8"]
    assert made.go == "go sims 64"
    assert parse_foreign(str(made)) == made
    assert parse_foreign("engine:c").go == "go"
    assert made.with_limit("ms", 50).go == "go ms 50"
    assert made.with_limit("depth", 2) == made
    assert is_foreign("engine:x")
    assert not is_foreign("random")


@pytest.mark.parametrize("text", ["engine:", "engine:sims=5,", "engine:'a", "engine:a\nb"])
def test_what_names_no_program(text):
    with pytest.raises(UsageError):
        parse_foreign(text)


def test_lines_go_out_and_come_back():
    process = ForeignProcess(python(ECHO))
    assert process.ask("a", 10) == "heard a"
    process.tell("b\nc")
    assert [process.answer(10), process.answer(10)] == ["heard b", "heard c"]
    process.close()


def test_a_program_that_is_not_there():
    with pytest.raises(ForeignFailed, match="'/no/such' cannot be started: No such file"):
        ForeignProcess(["/no/such"])


def test_how_a_program_ended_is_told():
    died = ForeignProcess(python("import sys; print('no gas', file=sys.stderr); sys.exit(3)"))
    with pytest.raises(ForeignFailed, match="ended with exit code 3: no gas"):
        died.answer(10)
    killed = ForeignProcess(python("import time; time.sleep(60)"))
    os.kill(killed._process.pid, signal.SIGKILL)
    with pytest.raises(ForeignFailed, match="was ended by signal 9"):
        killed.answer(10)


def test_silence_and_endless_lines_are_cut():
    silent = ForeignProcess(python("import time; time.sleep(60)"))
    begun_s = time.monotonic()
    with pytest.raises(ForeignFailed, match=r"did not answer within 0\.2 s"):
        silent.answer(0.2)
    assert time.monotonic() - begun_s < 5
    silent.close()
    endless = ForeignProcess(python("while True: print('x' * 65536, end='')"))
    with pytest.raises(ForeignFailed, match="line of more than"):
        endless.answer(20)
    endless.close()


def test_closing_ends_a_program_that_ignores_the_end_of_its_input():
    stubborn = ForeignProcess(
        python("import time\nprint(1, flush=True)\nwhile True: time.sleep(1)")
    )
    assert stubborn.answer(10) == "1"
    stubborn.close()
    assert stubborn._process.returncode == -signal.SIGKILL


def choices(agent, count=8, seed=7):
    """The moves of an agent on the first positions of a game that it plays with itself."""
    position = Position.of(SQUARE)
    found = []
    for _ in range(count):
        decision = agent.choose(batch_of([position], seed), Budget(), Rngs())[0]
        position.play(decision.move)
        found.append(decision.move)
    return found


def expected(text, count=8, seed=7):
    """The moves of our own agent in the same positions, with the seeds that a program gets."""
    position, agent = Position.of(SQUARE), make_agent(text, SQUARE)
    found = []
    for ply in range(count):
        told = Position.parse(str(position), spec=SQUARE)
        found.append(agent.choose(batch_of([told], seed_at(seed, ply)), Budget(), Rngs())[0].move)
        position.play(found[-1])
    return found


@pytest.mark.acceptance
def test_a_program_plays_what_its_agent_plays_and_is_named_by_what_it_says():
    agent = ForeignAgent(spec_of(), SQUARE)
    played = choices(agent)
    assert played == expected("random")
    pid = agent._process._process.pid
    agent.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert choices(agent) == played  # it is started again
    agent.close()
    named = identify_foreign(spec_of(), SQUARE)
    assert named == agent.spec
    others = {identify_foreign(spec_of("noid"), SQUARE).agent_hash}
    others.add(identify_foreign(spec_of().replace("engine:", "engine:sims=2,"), SQUARE).agent_hash)
    assert len(others | {named.agent_hash}) == 3


@pytest.mark.acceptance
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("illegal", "1"), r"answered the illegal move 'M 9,9 9,9'"),
        (("error", "1"), r"answered 'error no idea'"),
        (("die", "1"), r"ended with exit code 3: out of wood"),
        (("mute", "1"), "did not answer within 2 s"),
    ],
)
def test_a_bad_answer_names_the_program_and_it_is_started_again(words, message):
    agent = ForeignAgent(spec_of(*words), SQUARE, answer_s=2.0 if "mute" in words else 60.0)
    assert len(choices(agent, 1)) == 1
    with pytest.raises(ForeignFailed, match=message) as caught:
        choices(agent, 1)
    assert str(PROGRAM) in str(caught.value)
    assert len(choices(agent, 1)) == 1
    agent.close()


@pytest.mark.acceptance
def test_a_program_of_other_rules_is_refused():
    with pytest.raises(ForeignFailed, match="has 1 moves in the start position of square8_2p"):
        identify_foreign(spec_of("badstart"), SQUARE)
