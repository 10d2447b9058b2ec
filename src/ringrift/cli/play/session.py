"""A game at a terminal: draw, ask, play, and save after each ply."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.agents.hosting.saved import save
from ringrift.cli.play.legal_list import LegalList
from ringrift.cli.play.parts import decision_text, offer_text, value_text
from ringrift.core.errors import RingriftError, UsageError

if TYPE_CHECKING:
    from ringrift.agents.hosting.game import HostedGame, Ply

HELP = """\
A move is given by its number, its text (M 3,3 3,6), or the beginning of one that no other has.
  moves          list every legal move
  hint           best moves by the heuristic
  eval           what the heuristic makes of the position, seat by seat
  undo, redo     take back your last choice, or your whole turn against agents; play it again
  save [FILE]    save now (every ply is saved anyway), or a copy to FILE
  resign         lose the game (games of two)
  quit           leave; the game is kept and can be resumed"""

HINTS = 3
FEATURES_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Where a session speaks and listens; `draw` is off for results alone."""

    say: Callable[[str], None]
    color: bool
    draw: bool = True

    def read(self, prompt: str) -> str | None:
        """Ask for a line; None at the end of input."""
        self.say(prompt)
        line = sys.stdin.readline()
        return line.strip() if line else None

    @property
    def width(self) -> int:
        """Columns that a list may take."""
        return shutil.get_terminal_size().columns


class Session:
    """Play one hosted game until it ends or somebody leaves.

    Every ply is in the file before the next is asked for, so a kill loses nothing.
    """

    def __init__(
        self, game: HostedGame, path: Path, screen: Screen, *, hints: bool = False
    ) -> None:
        self.game = game
        self.path = path
        self.screen = screen
        self.hints = hints
        self._left = False
        self._commands: dict[str, Callable[[str], None]] = {
            "help": self._help,
            "moves": self._moves,
            "hint": self._hint,
            "eval": self._eval,
            "undo": self._undo,
            "redo": self._redo,
            "save": self._save,
            "resign": self._resign,
            "quit": self._quit,
        }

    def run(self) -> str:
        """Play; return `over`, `resigned` or `left`."""
        save(self.game, self.path)
        while not self.game.is_over and not self._left:
            if len(self.game.position.legal_packed()) == 1:
                self._played(self.game.play(int(self.game.position.legal_packed()[0])))
            elif self.game.mover_is_human:
                self._ask()
            else:
                decision = self.game.decide()
                self._played(self.game.play(decision.move, decision))
        if self._left:
            return "left"
        self._draw()
        return "over" if self.game.resigned is None else "resigned"

    # --- a person's turn

    def _ask(self) -> None:
        """Draw, then take lines until one plays a move or changes whose turn it is."""
        position = self.game.position
        legal = LegalList.of(position)
        self._draw()
        self._say("\n".join(legal.lines(self.screen.width)))
        if self.hints:
            self._attempt(self._hint, "")
        prompt = f"P{position.current_player} {position.phase}> "
        while self.game.position is position and not self.game.is_over and not self._left:
            line = self.screen.read(prompt)
            if line is None:
                self._say("")
                self._left = True
            elif line:
                self._attempt(lambda words: self._do(legal, words), line)

    def _attempt(self, action: Callable[[str], None], words: str) -> None:
        """Do what was typed; a mistake is shown with its reason, and the prompt comes again."""
        try:
            action(words)
        except RingriftError as error:
            self._say(f"  {error}")

    def _do(self, legal: LegalList, line: str) -> None:
        word, _, rest = line.partition(" ")
        command = self._commands.get(word.lower())
        if command is not None:
            command(rest.strip())
        else:
            self._played(self.game.play(legal.find(line)))

    def _played(self, ply: Ply) -> None:
        save(self.game, self.path)
        seat = ply.before.current_player
        if not ply.choice:
            how = " (only move)"
        elif ply.decision is not None:
            how = f" ({decision_text(ply.decision)})"
        else:
            how = ""
        self._say(f"ply {len(self.game.plies):>3}  P{seat} {ply.by}: {ply.text}{how}")

    # --- commands

    def _help(self, rest: str) -> None:
        _nothing_after("help", rest)
        self._say(HELP)

    def _moves(self, rest: str) -> None:
        _nothing_after("moves", rest)
        legal = LegalList.of(self.game.position)
        self._say("\n".join(legal.lines(self.screen.width, complete=True)))

    def _hint(self, rest: str) -> None:
        from ringrift.agents.factory import make_agent
        from ringrift.agents.hosting.analysis import analyse
        from ringrift.agents.hosting.searching import decide
        from ringrift.agents.protocol import Budget
        from ringrift.agents.swapping import OfferDecision, without_swap
        from ringrift.rules import Position

        _nothing_after("hint", rest)
        position, seed = self.game.position, self.game.seed
        plain = without_swap(self.game.spec)
        same = Position(plain, position.record().reshape(1))
        (update,) = analyse(make_agent("heuristic", plain), same, seed, Budget(), top=HINTS)
        for candidate in update.moves:
            self._say(f"  hint: {candidate.text}  value {value_text(candidate.value)}")
        if self.game.spec.swap_rule:
            answer = decide(make_agent("heuristic", self.game.spec), position, seed, Budget())
            if isinstance(answer, OfferDecision):
                self._say(f"  hint: {offer_text(answer.offer)}")

    def _eval(self, rest: str) -> None:
        from ringrift.agents.explain import breakdown, values

        _nothing_after("eval", rest)
        position = self.game.position
        for seat, value in enumerate(values(position), start=1):
            parts = breakdown(position, seat)
            largest = sorted(parts.items(), key=lambda item: -abs(item[1]))[:FEATURES_SHOWN]
            named = "  ".join(f"{name} {share:+.2f}" for name, share in largest if share)
            self._say(f"  P{seat} value {value:+.3f}   {named}")

    def _undo(self, rest: str) -> None:
        _nothing_after("undo", rest)
        count = self.game.undo()
        save(self.game, self.path)
        self._say(f"  took back {count} plies")

    def _redo(self, rest: str) -> None:
        _nothing_after("redo", rest)
        count = self.game.redo()
        save(self.game, self.path)
        self._say(f"  played {count} plies again")

    def _save(self, rest: str) -> None:
        path = Path(rest).expanduser() if rest else self.path
        if rest and path != self.path and path.exists():
            raise UsageError(f"{path} exists", hint="another name")
        try:
            save(self.game, path)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from error
        self._say(f"  saved {path}")

    def _resign(self, rest: str) -> None:
        _nothing_after("resign", rest)
        self.game.resign()
        save(self.game, self.path)

    def _quit(self, rest: str) -> None:
        _nothing_after("quit", rest)
        self._left = True

    # --- drawing

    def _draw(self) -> None:
        self._say(self.game.position.text(color=self.screen.color))

    def _say(self, text: str) -> None:
        if self.screen.draw:
            self.screen.say(f"{text}\n")


def _nothing_after(word: str, rest: str) -> None:
    if rest:
        raise UsageError(f"{word} takes nothing, found {rest!r:.40}")


def speaker(stream: Any) -> Callable[[str], None]:
    """Return what writes to a stream at once."""

    def say(text: str) -> None:
        stream.write(text)
        stream.flush()

    return say
