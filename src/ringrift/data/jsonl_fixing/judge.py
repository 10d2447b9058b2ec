"""Say what one line of games is: sound, to be corrected, or to be taken out (`data.md` 10).

The replay of its own moves decides. A foreign line may claim anything about board, players, winner,
victory type and number of moves; what its moves show is true. Lines of this program's own format
name themselves by their content, so a wrong one is never corrected.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from ringrift.records.foreign import names
from ringrift.records.foreign.convert import Converted, convert
from ringrift.records.foreign.fields import pick, read_object, text_of
from ringrift.records.foreign.game import Claims, ForeignGame
from ringrift.records.foreign.line_writers import outcome
from ringrift.records.foreign.lines import read_line
from ringrift.records.game_json import analysis_from_json, from_json
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.verify import verify
from ringrift.rules import BOARDS

REASONS = ("malformed", "timeout", "unknown_board", "no_winner", "zero_moves", "error_status")
"""Why a line is taken out."""

FIELDS = {
    "selfplay-jsonl": ("board_type", "num_players", "winner", "victory_type", "move_count"),
    "gamerecord-jsonl": ("boardType", "numPlayers", "winner", "outcome", "totalMoves"),
}
"""What is corrected: board, players, winner, victory type and number of moves of each format."""

_OF_GATE = {
    "unknown_board": "unknown_board",
    "spec": "unknown_board",
    "zero_moves": "zero_moves",
    "error_status": "error_status",
    "incomplete": "no_winner",
}
"""Reasons of the gate that are among `REASONS`; what does not replay is `malformed`."""

_CUT_OR_LEFT = ("limit", "resigned")


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a line: what it said, what the replay says; `found` is None where it is missing."""

    field: str
    found: Any
    replayed: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a line is: `reason` is None unless it is to be taken out.

    `detail` and `ply` say where; `changes` is empty unless the line is to be corrected.
    """

    reason: str | None = None
    detail: str = ""
    ply: int | None = None
    changes: tuple[Change, ...] = ()


@dataclass(slots=True)
class Judge:
    """Judges the lines of one file in order; an analysis belongs to the game before it."""

    file: str
    _game: GameRecord | None = field(default=None, init=False)
    _out: Judged | None = field(default=None, init=False)

    def line(self, number: int, line: bytes) -> Judged:
        """Judge a line without its line end."""
        try:
            line.decode()
            fields = read_object(line, "line")
            if str(fields.get("format", "")).startswith("ringrift."):
                return self._own(fields, line)
            self._game, self._out = None, None
            return _foreign(fields, self.file, number)
        except UnicodeDecodeError as error:
            return Judged(reason="malformed", detail=f"not UTF-8: {error.reason}")
        except VerificationError as error:
            return _refused(error)

    def _own(self, fields: Mapping[str, Any], line: bytes) -> Judged:
        if fields.get("type") == "analysis":
            return self._analysis(line)
        self._game, self._out = None, None
        try:
            record = from_json(line, where="line")
            verify(record)
        except VerificationError as error:
            self._out = _refused(error)
            return self._out
        self._game = record
        if record.result.end == "max_plies":
            self._out = _timeout(len(record.moves))
        return self._out or Judged()

    def _analysis(self, line: bytes) -> Judged:
        if self._out is not None:
            return replace(self._out, detail=f"its game: {self._out.detail}")
        if self._game is None:
            return Judged(reason="malformed", detail="an analysis without its game before it")
        verify(self._game, analysis_from_json(line, self._game, where="line"))
        return Judged()


def _foreign(fields: Mapping[str, Any], file: str, number: int) -> Judged:
    if "engine_variant" in fields:
        convert(read_line(fields, "trace", file=file, row=number))
        return Judged()
    form = _form(fields)
    _check_status(fields)
    if fields.get("moves") == []:
        raise VerificationError("zero_moves", "the game has no move")
    record = _replayed(fields, form, file, number)
    if record.result.end == "max_plies":
        return _timeout(len(record.moves))
    return Judged(changes=tuple(_changes(fields, form, record)))


def _form(fields: Mapping[str, Any]) -> str:
    camel = {"boardType", "numPlayers", "totalMoves", "finalScore"} & fields.keys()
    snake = {"board_type", "num_players", "move_count", "victory_type"} & fields.keys()
    return "gamerecord-jsonl" if len(camel) > len(snake) else "selfplay-jsonl"


def _check_status(fields: Mapping[str, Any]) -> None:
    """Raise `VerificationError` (`error_status`) for a game that its writer gave up."""
    status = text_of(fields, "status", "game_status")
    ends = {_end_of(reason) for reason in _reasons(fields)}
    if (status is not None and names.status_of(status) == "failed") or "failed" in ends:
        found = status if "failed" not in ends else ", ".join(_reasons(fields))
        raise VerificationError("error_status", f"the game was not played out: {found!r:.60}")


def _reasons(fields: Mapping[str, Any]) -> list[str]:
    found = [fields.get(n) for n in ("termination_reason", "victory_type", "outcome")]
    return [reason for reason in found if isinstance(reason, str)]


def _end_of(reason: str) -> str | None:
    """Return the kind of end that a word names; None for words that are unknown too."""
    try:
        return names.end_of(reason)
    except VerificationError:
        return None


# --- the replay


def _replayed(fields: Mapping[str, Any], form: str, file: str, number: int) -> GameRecord:
    """Return the record that the moves make, as told or else as the one configuration that fits.

    Raises the `VerificationError` of the line as it is where none, or more than one, does.
    """
    board_name, players_name = FIELDS[form][:2]
    told_board = pick(fields, board_name)
    board = None if told_board is None else names.board_of(told_board)
    try:
        players = names.players_of(fields.get(players_name))
    except VerificationError:
        players = None
    fault: VerificationError | None = None
    if board is not None and players is not None:
        try:
            return _attempt(fields, form, file, number)
        except VerificationError as error:
            fault = error
            if error.reason in ("incomplete", "spec"):
                raise
    fitting = list(_fitting(fields, form, file, number, board, players))
    if len(fitting) == 1:
        return fitting[0]
    if fault is None:
        what = "no configuration" if not fitting else f"{len(fitting)} configurations"
        missing = " and ".join(
            name for name, value in ((board_name, board), (players_name, players)) if value is None
        )
        fault = VerificationError("malformed", f"{missing} missing and {what} fit the moves")
    raise fault


def _fitting(
    fields: Mapping[str, Any],
    form: str,
    file: str,
    number: int,
    board: str | None,
    players: int | None,
) -> Iterator[GameRecord]:
    """Yield a record for every other configuration in which the moves are a whole game."""
    for other in product(BOARDS, (2, 3, 4)):
        if other == (board, players):
            continue
        told = dict(zip(FIELDS[form][:2], other, strict=True))
        try:
            record = _attempt({**fields, **told}, form, file, number)
        except VerificationError:
            continue
        if record.result.end == "game_over":
            yield record


def _attempt(fields: Mapping[str, Any], form: str, file: str, number: int) -> GameRecord:
    """Replay a line whose claims about its end do not count, unless a limit or a player ended it."""
    winner, kind, count = FIELDS[form][2:]
    silent = {**fields, winner: None, kind: None, count: None, "termination_reason": None}
    game = read_line(silent, form, file=file, row=number)
    claims = replace(game.claims, status=None, winner=None, reason=None, plies=None)
    left = next((r for r in _reasons(fields) if _end_of(r) in _CUT_OR_LEFT), None)
    if left is not None or claims.resigned is not None:
        told = replace(claims, reason=left)
        if claims.resigned is None:  # a seat that left tells the winner itself
            told = replace(told, winner=_seat(fields.get(winner)))
        try:
            return _converted(game, told).record
        except VerificationError as error:
            if error.reason != "result":
                raise
            claims = replace(claims, resigned=None)
    return _converted(game, claims).record


def _seat(found: Any) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _converted(game: ForeignGame, claims: Claims) -> Converted:
    """Convert a game with other claims; bookkeeping moves may be missing."""
    told = replace(game, claims=claims)
    try:
        return convert(told)
    except VerificationError as error:
        try:
            return convert(told, legacy=True)
        except VerificationError:
            raise error from None


# --- what is said of it


def _changes(fields: Mapping[str, Any], form: str, record: GameRecord) -> Iterator[Change]:
    board, players, winner, kind, count = FIELDS[form]
    spec, result = record.spec, record.result
    told_board = fields.get(board)
    if told_board is None or names.BOARD_NAMES.get(told_board) != spec.board:
        yield Change(board, told_board, spec.board)
    for name, replayed in (
        (players, spec.players),
        (winner, result.winner or None),
        (count, len(fields["moves"])),
    ):
        if (_whole(fields.get(name)) or None) != replayed:
            yield Change(name, fields.get(name), replayed)
    told = fields.get(kind)
    if not isinstance(told, str) or not _names_end(told, record):
        yield Change(kind, told, outcome(record))


def _whole(found: Any) -> int | None:
    """Return a whole number as readers take it: 3.0 is whole too, true is not."""
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return None
    return int(found) if found == int(found) else None


def _names_end(told: str, record: GameRecord) -> bool:
    word = names.reason_word(told)
    if record.result.end == "resigned":
        return word in names.BY_RESIGNATION
    return record.result.reason in names.BY_RULES.get(word, ())


def _timeout(plies: int) -> Judged:
    return Judged(reason="timeout", detail=f"a limit ended the game after {plies} plies")


def _refused(error: VerificationError) -> Judged:
    where = "" if error.where is None else f" ({error.where})"
    reason = _OF_GATE.get(error.reason, "malformed")
    told = "" if reason == error.reason else f"{error.reason}: "
    return Judged(reason=reason, detail=f"{told}{error.detail}{where}", ply=error.ply)
