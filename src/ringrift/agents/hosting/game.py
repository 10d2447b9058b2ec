"""One hosted game: who sits where, what was played, undo and redo, resignation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ringrift.agents.hosting.searching import decide
from ringrift.agents.hosting.seats import HUMAN
from ringrift.agents.protocol import Agent, Budget, Decision
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec, Position
from ringrift.rules import moves as mv

Maker = Callable[[str], Agent]
"""Makes the agent of a spec for games of one specification."""

PLACEMENT = "ring_placement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ply:
    """One recorded move: the position `before` it, and `by` whom it was (`human` or a spec).

    `choice` is false where it was the only legal move.
    """

    before: Position
    packed: int
    text: str
    choice: bool
    by: str
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a hosted game ended: `winner` seat, `reason`, and ranks where the rules give them."""

    winner: int
    reason: str
    ranking: tuple[int, ...] | None


class HostedGame:
    """A game between people and agents; everything but `play` leaves the position as it is.

    `seats` are those of `seats.read_seats`, as they were at the start: the pie rule exchanges who
    sits in the first two (rules.md 18), and occupants move with their identity.
    """

    def __init__(
        self,
        spec: BoardSpec,
        seats: Sequence[str],
        *,
        seed: int,
        agents: Mapping[str, Agent],
    ) -> None:
        self.spec = spec
        self.seats = tuple(seats)
        self.seed = seed
        self.position = Position.of(spec)
        self.plies: list[Ply] = []
        self.resigned: int | None = None
        self._agents = agents
        self._undone: list[tuple[int, ...]] = []

    @classmethod
    def start(cls, spec: BoardSpec, seats: Sequence[str], *, seed: int, make: Maker) -> HostedGame:
        """Begin a game, making each agent once; raises what is wrong with one."""
        agents = {seat: make(seat) for seat in dict.fromkeys(seats) if seat != HUMAN}
        return cls(spec, seats, seed=seed, agents=agents)

    # --- who and what

    @property
    def is_over(self) -> bool:
        """True once the rules or a resignation ended the game."""
        return self.resigned is not None or self.position.is_over

    @property
    def outcome(self) -> Outcome | None:
        """How the game ended, None while it goes on."""
        if self.resigned is not None:
            return Outcome(winner=3 - self.resigned, reason="resignation", ranking=None)
        result = self.position.result
        if result is None:
            return None
        return Outcome(winner=result.winner, reason=result.reason, ranking=result.ranking)

    @property
    def texts(self) -> list[str]:
        """The moves played, as compact texts."""
        return [ply.text for ply in self.plies]

    def occupant(self, seat: int) -> str:
        """Return who sits in a seat now: `human` or an agent spec."""
        swaps = sum(ply.packed & mv.KIND_MASK == mv.SWAP for ply in self.plies)
        if swaps % 2 and seat <= 2:
            seat = 3 - seat
        return self.seats[seat - 1]

    def agent(self, text: str) -> Agent:
        """Return the agent of a spec that sits at the board."""
        return self._agents[text]

    @property
    def mover_is_human(self) -> bool:
        """True where a person is to move."""
        return not self.is_over and self.occupant(self.position.current_player) == HUMAN

    # --- playing

    def decide(self, budget: Budget | None = None) -> Decision:
        """Ask the agent to move for its decision; nothing is played."""
        agent = self._agents[self.occupant(self.position.current_player)]
        return decide(agent, self.position, self.seed, budget or Budget())

    def play(self, move: str | int, decision: Decision | None = None) -> Ply:
        """Play a move of whoever is to move; what was undone can then no longer be redone.

        Raises `IllegalMove` or `InvalidMove`, which change nothing.
        """
        if self.resigned is not None:
            raise UsageError("the game is over: resigned", hint="undo")
        played = self._play(move, decision)
        self._undone.clear()
        return played

    def _play(self, move: str | int, decision: Decision | None = None) -> Ply:
        before = self.position
        by = self.occupant(before.current_player) if not before.is_over else ""
        packed = before.pack(move) if isinstance(move, str) else int(move)
        after = before.after(packed)
        ply = Ply(
            before=before,
            packed=packed,
            text=before.move_text(packed),
            choice=len(before.legal_packed()) > 1,
            by=by,
            decision=decision,
        )
        self.position = after
        self.plies.append(ply)
        return ply

    def undo(self) -> int:
        """Take back a person's last choice, or with agents at the board the turn it was part of.

        Everything played since goes too, so the person is to move again. Returns the number of
        plies taken back; raises `UsageError` where nobody has chosen anything.
        """
        if self.resigned is not None:  # the resignation alone
            self.resigned = None
            return 0
        chosen = [k for k, ply in enumerate(self.plies) if ply.by == HUMAN and ply.choice]
        if not chosen:
            raise UsageError("nothing to undo: no person has chosen a move")
        target = chosen[-1]
        if self._agents:
            begun = self._turn_of(target)
            target = next(k for k in chosen if k >= begun)
        taken = tuple(ply.packed for ply in self.plies[target:])
        self.position = self.plies[target].before
        del self.plies[target:]
        self._undone.append(taken)
        return len(taken)

    def redo(self) -> int:
        """Play again what the last undo took back; raises `UsageError` where there is none."""
        if not self._undone:
            raise UsageError("nothing to redo")
        moves = self._undone.pop()
        for packed in moves:
            self._play(packed)
        return len(moves)

    def resign(self) -> None:
        """End the game as lost for the person to move; games of two only."""
        if self.spec.players != 2:
            raise UsageError("only a game of two can be resigned", hint="quit")
        self.resigned = self.position.current_player

    def _turn_of(self, at: int) -> int:
        """Return the first ply of the turn that ply `at` belongs to."""
        while at > 0 and not self._begins_turn(at):
            at -= 1
        return at

    def _begins_turn(self, at: int) -> bool:
        here, last = self.plies[at].before, self.plies[at - 1].before
        if here.phase != PLACEMENT:
            return False
        return last.phase != PLACEMENT or last.current_player != here.current_player
