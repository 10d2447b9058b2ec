"""Programs of others that play matches by the line protocol (`agents.md` 10, `evaluation.md` 3).

    engine:[sims=N,|nodes=N,|ms=N,]COMMAND

The command is run without a shell. Only matches read such specs: what is written in one is run.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ringrift.agents.foreign_process import ForeignFailed, ForeignProcess
from ringrift.agents.hosting.positions import options_of
from ringrift.agents.protocol import Batch, Budgets, Decision, Rngs
from ringrift.agents.spec import ResolvedSpec
from ringrift.core.errors import UsageError
from ringrift.core.ids import canonical_json, content_id
from ringrift.rules import BoardSpec, Position

if TYPE_CHECKING:
    from ringrift.agents.protocol import StateArray

ENGINE = "engine"
LIMITS = ("sims", "nodes", "ms")
MOST_TEXT = 500
START_S, ANSWER_S = 120.0, 300.0
MOST_SAID = 200
MOST_DIGITS = 16

_LIMIT = re.compile(rf"({'|'.join(LIMITS)})=(\d+),\s*")


@dataclass(frozen=True, slots=True)
class ForeignSpec:
    """A command line, and the limit that each `go` names."""

    command: str
    limit: tuple[str, int] | None = None

    def __str__(self) -> str:
        limit = "" if self.limit is None else f"{self.limit[0]}={self.limit[1]},"
        return f"{ENGINE}:{limit}{self.command}"

    @property
    def words(self) -> list[str]:
        """The program and its arguments."""
        return shlex.split(self.command)

    @property
    def go(self) -> str:
        """The line that asks for a move."""
        return "go" if self.limit is None else f"go {self.limit[0]} {self.limit[1]}"

    def with_limit(self, name: str, amount: int) -> ForeignSpec:
        """Return the spec with another limit, unchanged for one that the protocol cannot name."""
        return replace(self, limit=(name, amount)) if name in LIMITS else self


def is_foreign(text: str) -> bool:
    """Tell whether a spec names a program of others."""
    return text.startswith(f"{ENGINE}:")


def parse_foreign(text: str) -> ForeignSpec:
    """Read a spec of a program; raises `UsageError` for one that names none."""
    rest = text.removeprefix(f"{ENGINE}:").strip()
    found = _LIMIT.match(rest)
    limit = None if found is None else (found[1], int(found[2]))
    command = rest if found is None else rest[found.end() :]
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"agent {text!r:.80}: {error}", where="--agent") from None
    if not words or limit == ("ms", 0):
        raise UsageError(
            f"agent {text!r:.80} names no program",
            where="--agent",
            hint='"engine:/path/to/program --option"',
        )
    made = ForeignSpec(command, limit)
    if len(str(made)) > MOST_TEXT or not str(made).isprintable():
        raise UsageError(
            f"agent {text!r:.80}: expected at most {MOST_TEXT} printable characters",
            where="--agent",
            hint="a short script that starts the program",
        )
    return made


def identify_foreign(text: str, spec: BoardSpec) -> ResolvedSpec:
    """Return who a program is: its command line and limit, and what it says of itself.

    Starts and ends the program. Raises `ForeignFailed` for one that does not play `spec`.
    """
    agent = ForeignAgent(text, spec)
    agent.close()
    return agent.spec


class ForeignAgent:
    """Asks a program for moves; it is started now and again after each failure.

    Raises `ForeignFailed`, which names the program, for one that cannot be started, ends, answers
    an error, an illegal move, or nothing within `answer_s` seconds.
    """

    def __init__(self, text: str, spec: BoardSpec, *, answer_s: float = ANSWER_S) -> None:
        self._foreign = parse_foreign(text)
        self._board = spec
        self._answer_s = answer_s
        self._process: ForeignProcess | None = None
        said = self._started()[1]
        content = [ENGINE, self._foreign.command, list(self._foreign.limit or ()), said]
        self.spec = ResolvedSpec(
            text=str(self._foreign), agent_hash=content_id("agent", canonical_json(content))
        )

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        """Ask about each position; the program has the limit of the spec alone."""
        del budget, rng
        return [
            self._decided(positions.spec, positions.states[k : k + 1], seed)
            for k, seed in enumerate(positions.seeds)
        ]

    def close(self) -> None:
        """End the program."""
        if self._process is not None:
            self._process.close()
        self._process = None

    def _decided(self, spec: BoardSpec, states: StateArray, seed: int) -> Decision:
        position = Position(spec, states.copy())
        legal = {position.move_text(move): move for move in position.legal_packed().tolist()}
        process = self._process or self._started()[0]
        try:
            process.tell(_new_game(spec, seed_at(seed, position.ply)))
            process.tell(f"position {position}")
            answer = process.ask(self._foreign.go, self._answer_s)
            word, _, rest = answer.partition(" ")
            text = re.split(r"\s+(?:value|nodes)\s+", rest.strip(), maxsplit=1)[0]
            if word != "bestmove":
                raise process.failed(f"answered {answer!r:.80}")
            if text not in legal:
                raise process.failed(f"answered the illegal move {text!r:.40}")
        except ForeignFailed:
            self.close()
            raise
        return Decision(move=legal[text], nodes=_nodes(rest))

    def _started(self) -> tuple[ForeignProcess, str | None]:
        """Start the program and return it with what it says of itself."""
        process = ForeignProcess(self._foreign.words)
        try:
            start = Position.of(self._board)
            process.tell(_new_game(self._board, 0))
            process.tell("position initial")
            _compare(process, process.ask("legal", START_S), start)
            said = _identity(process)
            if self._foreign.limit is not None and self._foreign.limit[0] == "ms":
                process.ask("go ms 10", START_S)  # what it loads at its first move is not timed
        except ForeignFailed:
            process.close()
            raise
        self._process = process
        return process, said


def seed_at(seed: int, ply: int) -> int:
    """Return the seed that a program gets at a ply of a game: a position's text says no ply."""
    digest = hashlib.sha256(f"{seed} {ply}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _new_game(spec: BoardSpec, seed: int) -> str:
    plain = options_of(BoardSpec.create(spec.board, spec.players))
    changed = {name: value for name, value in options_of(spec).items() if value != plain[name]}
    words = [f"{name}={str(value).lower()}" for name, value in changed.items()]
    return " ".join(["newgame", spec.config, *words, f"seed={seed}"])


def _compare(process: ForeignProcess, answer: str, start: Position) -> None:
    """Refuse a program that has other moves in the start position."""
    word, _, rest = answer.partition(" ")
    theirs = {text.strip() for text in rest.split(";") if text.strip()}
    ours = {start.move_text(move) for move in start.legal_packed().tolist()}
    if word != "legal":
        raise process.failed(f"answered {answer!r:.80} to legal")
    if theirs != ours:
        other = min(theirs ^ ours)
        raise process.failed(
            f"has {len(theirs)} moves in the start position of {start.spec.config}; expected "
            f"{len(ours)} (such as {other!r:.40})"
        )


def _identity(process: ForeignProcess) -> str | None:
    """Return the line `id ...`, None from a program that does not know it."""
    process.tell("id")
    said = None
    answer = process.ask("legal", START_S)
    while not answer.startswith("legal"):
        if answer.startswith("id "):
            said = answer.removeprefix("id ")[:MOST_SAID]
        answer = process.answer(START_S)
    return said


def _nodes(rest: str) -> int:
    words = rest.split()
    found = words[words.index("nodes") + 1 :][:1] if "nodes" in words else []
    return sum(int(number) for number in found if number.isdigit() and len(number) < MOST_DIGITS)
