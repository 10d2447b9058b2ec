"""What the readers of files hand to the gate: one game each, undecoded, fit to go to another process."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from ringrift.records.analysis_bytes import analysis_from_bytes
from ringrift.records.foreign.convert import convert
from ringrift.records.foreign.fields import pick, read_object
from ringrift.records.foreign.game import ForeignGame
from ringrift.records.foreign.lines import read_line
from ringrift.records.game_bytes import from_bytes
from ringrift.records.game_json import analysis_from_json, from_json
from ringrift.records.gate import Gate
from ringrift.records.preparing import Item, Known, Outcome, prepare
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.refused import MOST_KEPT_BYTES, Refused

UNREADABLE = ("malformed", "truncated")
"""Reasons of what is no game at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A game as bytes with its analyses, of a store, shard or journal; `further` as in `Repeated`."""

    game: bytes
    analyses: tuple[bytes, ...] = ()
    where: str
    further: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A game of our own JSON lines with its analyses; each line has its number.

    `known` games were taken before: only the analyses are new.
    """

    path: str
    game: tuple[int, bytes]
    analyses: tuple[tuple[int, bytes], ...] = ()
    known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignLine:
    """A line of a foreign format."""

    path: str
    number: int
    data: bytes
    form: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRow:
    """A game of a foreign database; `data` are its rows for the quarantine."""

    path: str
    number: int
    game: ForeignGame
    data: bytes


Unit = Copied | Lines | ForeignLine | ForeignRow | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the gate asks for: `board` and `players` narrow, `legacy` inserts lone bookkeeping plies."""

    gate: Gate
    board: str | None = None
    players: int | None = None
    legacy: bool = False

    def want(self, board: str, players: int) -> bool:
        """Tell whether games of a configuration are wanted."""
        return self.board in (None, board) and self.players in (None, players)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the gate says of one unit; `games` are those considered, 0 for an unwanted or unread one.

    `notes` count what is worth knowing of games that hold: plies inserted, distributions dropped.
    """

    outcomes: tuple[Outcome, ...] = ()
    games: int = 0
    notes: Counter[str] = field(default_factory=Counter)


def judge(unit: Unit, rules: Rules, known: Known) -> Judged:
    """Decode a unit and let the gate look at it."""
    try:
        if isinstance(unit, Refused):
            return _refused(unit)
        if isinstance(unit, Lines):
            return _own_lines(unit, rules, known)
        if isinstance(unit, Copied):
            return _copied(unit, rules, known)
        return _foreign(unit, rules, known)
    except _UnwantedError:
        return Judged()


class _UnwantedError(Exception):
    """A game of a configuration that is not asked for."""


def _refused(refused: Refused) -> Judged:
    return Judged(outcomes=(refused,), games=int(refused.error.reason not in UNREADABLE))


def _gate(
    items: list[Item], rules: Rules, known: Known, *, where: str, further: bool = False
) -> Judged:
    """Let the gate look at one game, which comes once for each of its analyses."""
    outcomes: list[Outcome] = []
    for item in items:
        outcome = prepare(item, rules.gate, known)
        if not isinstance(outcome, Refused):
            outcome = replace(outcome, further=further)
            further = True
        elif not isinstance(item, Refused):
            outcome = replace(outcome, error=outcome.error.at(where))
        outcomes.append(outcome)
    games = any(
        not isinstance(found, Refused) or found.error.reason not in UNREADABLE for found in outcomes
    )
    return Judged(outcomes=tuple(outcomes), games=int(games))


def _copied(unit: Copied, rules: Rules, known: Known) -> Judged:
    try:
        record = from_bytes(unit.game)
    except VerificationError as error:
        analysis = unit.analyses[0] if unit.analyses else None
        return _refused(Refused(unit.game, error.at(unit.where), analysis))
    if not rules.want(record.spec.board, record.spec.players):
        raise _UnwantedError
    items: list[Item] = [] if unit.analyses else [(unit.game, None)]
    for data in unit.analyses:
        try:
            items.append((record, analysis_from_bytes(data)))
        except VerificationError as error:
            items.append(Refused(unit.game, error.at(unit.where), data))
    return _gate(items, rules, known, where=unit.where, further=unit.further)


def _own_lines(unit: Lines, rules: Rules, known: Known) -> Judged:
    number, line = unit.game
    try:
        record = from_json(line, where=f"{unit.path}:{number}")
    except VerificationError as error:
        data = b"\n".join([line, *(data for _, data in unit.analyses)])
        return _refused(Refused(data[:MOST_KEPT_BYTES], error))
    if not rules.want(record.spec.board, record.spec.players):
        raise _UnwantedError
    items: list[Item] = []
    for place, data in unit.analyses:
        try:
            items.append((record, analysis_from_json(data, record, where=f"{unit.path}:{place}")))
        except VerificationError as error:
            both = line + b"\n" + data
            whole = error.reason in UNREADABLE  # the line alone is at fault, not the game
            items.append(Refused((data if whole else both)[:MOST_KEPT_BYTES], error))
    good = any(not isinstance(item, Refused) for item in items)
    blamed = any(isinstance(i, Refused) and i.error.reason not in UNREADABLE for i in items)
    if not good and not blamed and not unit.known:
        items.insert(0, (record, None))
    where = f"{unit.path}:{number}"
    return _gate(items, rules, known, where=where, further=unit.known)


def _foreign(unit: ForeignLine | ForeignRow, rules: Rules, known: Known) -> Judged:
    place = f"{unit.path}:{unit.number}"
    data = unit.data[:MOST_KEPT_BYTES]
    try:
        game = unit.game if isinstance(unit, ForeignRow) else _read(unit)
        if not rules.want(game.board, game.players):
            raise _UnwantedError
        found = convert(game, legacy=rules.legacy)
    except VerificationError as error:
        return _refused(Refused(data, error.at(place)))
    judged = _gate(
        [(_as_match(found.record, rules.gate), found.analysis)], rules, known, where=place
    )
    outcomes = [  # the row as it came, not what was made of it
        Refused(data, outcome.error) if isinstance(outcome, Refused) else outcome
        for outcome in judged.outcomes
    ]
    return replace(judged, outcomes=tuple(outcomes), notes=found.notes)


def _read(line: ForeignLine) -> ForeignGame:
    fields = read_object(line.data, "line")
    found = pick(fields, "game_id", "id", "gameId")
    return read_line(
        fields,
        line.form,
        file=line.path,
        row=line.number,
        identity=None if found is None else str(found),
    )


def _as_match(record: GameRecord, gate: Gate) -> GameRecord:
    """Give a game whose source is a match that purpose; it is outside the identity."""
    purpose = gate.purpose_of(record)
    if purpose == record.meta.purpose:
        return record
    return replace(record, meta=replace(record.meta, purpose=purpose))
