"""Hosted games as files: what was agreed and played; resuming replays and checks it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ringrift.agents.hosting.game import HostedGame, Maker
from ringrift.agents.hosting.positions import move_texts, options_of, play_texts, read_spec
from ringrift.agents.hosting.seats import HUMAN, seat_text
from ringrift.core.errors import DataError, UsageError
from ringrift.core.files import write_atomic
from ringrift.rules import RULES_VERSION, BoardSpec, Position

FORMAT = "ringrift.play/1"
MOST_SEED = (1 << 63) - 1


def save(game: HostedGame, path: Path) -> None:
    """Write a game whole, so that a kill leaves the last ply that was saved."""
    tree = {
        "format": FORMAT,
        "rules": RULES_VERSION,
        "config": game.spec.config,
        "options": options_of(game.spec),
        "seats": list(game.seats),
        "agents": [None if s == HUMAN else game.agent(s).spec.agent_hash for s in game.seats],
        "seed": game.seed,
        "moves": game.texts,
        "fingerprint": game.position.fingerprint,
        "resigned": game.resigned,
    }
    write_atomic(path, (json.dumps(tree, indent=1) + "\n").encode())


class SavedGame:
    """The content of a file, checked in itself; `resume` seats the players again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tree = _read(path)
        where = str(path)
        self.spec: BoardSpec = read_spec(self._field("config"), self._field("options"), where=where)
        self.seats = self._read_seats()
        self.seed = self._whole("seed", 0, MOST_SEED)
        self.moves = move_texts(self._field("moves"), where=where)
        self.resigned = self._tree.get("resigned")
        if self.resigned is not None and (self.spec.players != 2 or self.resigned not in (1, 2)):
            raise self._bad("resigned", self.resigned, "null, or seat 1 or 2 of a game of two")
        position = Position.of(self.spec)
        play_texts(position, self.moves, where=where)
        if position.fingerprint != self._field("fingerprint"):
            raise self._bad("fingerprint", self._field("fingerprint"), position.fingerprint)

    def resume(self, make: Maker) -> HostedGame:
        """Return the game at the ply it was left."""
        game = HostedGame.start(self.spec, self.seats, seed=self.seed, make=make)
        for text in self.moves:
            game.play(text)
        game.resigned = self.resigned
        return game

    def changed(self, game: HostedGame) -> list[str]:
        """Return the agents of a resumed game that are not those the file was played with."""
        hashes = self._field("agents")
        if not isinstance(hashes, list) or len(hashes) != len(self.seats):
            raise self._bad("agents", hashes, "one hash or null per seat")
        return [
            seat
            for seat, known in zip(self.seats, hashes, strict=True)
            if seat != HUMAN and game.agent(seat).spec.agent_hash != known
        ]

    def _read_seats(self) -> tuple[str, ...]:
        seats = self._field("seats")
        if not isinstance(seats, list) or len(seats) != self.spec.players:
            raise self._bad("seats", seats, f"a list of {self.spec.players} texts")
        try:
            return tuple(seat_text(str(seat)) for seat in seats)
        except UsageError as error:
            raise DataError(error.message, where=f"{self.path} seats", hint=error.hint) from None

    def _field(self, name: str) -> Any:
        if name not in self._tree:
            raise DataError(f"the field {name!r} is missing", where=str(self.path))
        return self._tree[name]

    def _whole(self, name: str, low: int, high: int) -> int:
        value = self._field(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._bad(name, value, f"a whole number from {low} to {high}")
        return value

    def _bad(self, name: str, found: Any, expected: str) -> DataError:
        return DataError(f"found {found!r:.60}; expected {expected}", where=f"{self.path} {name}")


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the game: {error.strerror}", where=str(path)) from error
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=str(path)) from error
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise DataError(f"not a game of the format {FORMAT!r}", where=f"{path} format")
    if tree.get("rules") != RULES_VERSION:
        raise DataError(
            f"rules version {tree.get('rules')!r}; this program has {RULES_VERSION!r}",
            where=f"{path} rules",
        )
    return tree
