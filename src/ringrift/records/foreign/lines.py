"""Read self-play JSONL, GameRecord JSONL and recorded traces, one game to a line (selfplay.md 9)."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError
from ringrift.records.foreign import names
from ringrift.records.foreign.entries import first_options, leaves, read_moves
from ringrift.records.foreign.fields import (
    Object,
    list_of,
    object_of,
    pick,
    read_object,
    seats_of,
    text_of,
    whole_of,
)
from ringrift.records.foreign.game import Claims, Entry, ForeignGame, Options, PlyClaims, Score
from ringrift.records.foreign.moves import PartialMove
from ringrift.records.foreign.states import ForeignState, read_state
from ringrift.records.foreign.times import seconds_of
from ringrift.records.jsonl import MOST_LINE_BYTES
from ringrift.records.record import VerificationError, refuse
from ringrift.records.traces import Trace

GZIP = b"\x1f\x8b"


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the numbered lines of a file, gzip-compressed or not, without empty ones.

    A file that is cut or damaged ends with `DataError` after the lines before.
    """
    number = 0
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == GZIP
            plain.seek(0)
            with gzip.open(plain) if packed else plain as file:
                while line := file.readline(MOST_LINE_BYTES + 1):
                    number += 1
                    if len(line) > MOST_LINE_BYTES:
                        detail = f"line of more than {MOST_LINE_BYTES} bytes"
                        raise DataError(detail, where=f"{path}:{number}")
                    if line.strip():
                        yield number, line.strip()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"damaged file: {error}", where=f"{path}:{number + 1}") from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None


def entries(path: Path, form: str) -> Iterator[Entry]:
    """Yield the games of a file of one of the line formats; a bad line is an entry with its error."""
    for number, line in read_lines(path):
        identity: str | None = None
        game: ForeignGame | None = None
        fault: VerificationError | None = None
        try:
            fields = read_object(line, "line")
            found = pick(fields, "game_id", "id", "gameId")
            identity = None if found is None else str(found)
            game = read_line(fields, form, file=str(path), row=number, identity=identity)
        except VerificationError as error:
            fault = error
        yield Entry(
            file=str(path),
            row=number,
            id=identity,
            data=partial(bytes, line),
            game=game,
            error=fault,
        )


def read_line(
    fields: Object, form: str, *, file: str, row: int, identity: str | None = None
) -> ForeignGame:
    """Read the game of one line of a format; raises `VerificationError` naming the field."""
    read = {
        "selfplay-jsonl": _selfplay,
        "gamerecord-jsonl": _gamerecord,
        "trace": _trace,
    }[form]
    return read(fields, file, row, identity)


def form_of(fields: Object) -> str | None:
    """Return the line format that an object is of, None if of none that is known."""
    if fields.get("format") == 1 and "engine_variant" in fields:
        return "trace"
    if "boardType" in fields and "moves" in fields:
        return "gamerecord-jsonl"
    if "board_type" in fields and "moves" in fields:
        return "selfplay-jsonl"
    return None


def _selfplay(fields: Object, file: str, row: int, identity: str | None) -> ForeignGame:
    board = names.board_of(pick(fields, "board_type", "boardType"))
    players = names.players_of(pick(fields, "num_players", "numPlayers"))
    moves, left = _moves(fields, board)
    state, state_fields = _first_state(fields, board, players)
    kinds = list_of(fields, "player_types") or []
    reasons = [text_of(fields, name) for name in ("termination_reason", "victory_type")]
    claimed = [r for r in reasons if r and names.reason_word(r) not in names.NO_CLAIM]
    score = object_of(fields, "final_score", "finalScore") or {}
    return ForeignGame(
        format="selfplay-jsonl",
        file=file,
        row=row,
        id=identity,
        board=board,
        players=players,
        options=first_options(state_fields, state, fields),
        start=state,
        moves=moves,
        claims=Claims(
            status=text_of(fields, "status", "game_status"),
            winner=whole_of(fields, "winner"),
            reason=claimed[0] if claimed else None,
            resigned=leaves(left),
            plies=_plies(fields, left, "move_count", "total_moves", "length"),
            final_hash=text_of(fields, "final_state_hash", "finalStateHash"),
            initial_hash=text_of(fields, "initial_state_hash", "initialStateHash"),
            score=_score(score, players),
        ),
        plies=({},),
        seats=_seats([{"ai_type": kind} for kind in kinds], players, "player_types"),
        seed=whole_of(fields, "rng_seed", "seed", "rngSeed"),
        source=text_of(fields, "source"),
        started=seconds_of(fields.get("timestamp")),
        ms=_milliseconds(fields),
    )


def _gamerecord(fields: Object, file: str, row: int, identity: str | None) -> ForeignGame:
    board = names.board_of(fields.get("boardType"))
    players = names.players_of(fields.get("numPlayers"))
    moves, left = _moves(fields, board)
    state, state_fields = _first_state(fields, board, players)
    seats = list_of(fields, "players") or []
    told = object_of(fields, "metadata") or {}
    score = object_of(fields, "finalScore") or {}
    return ForeignGame(
        format="gamerecord-jsonl",
        file=file,
        row=row,
        id=identity,
        board=board,
        players=players,
        options=first_options(state_fields, state, {**told, **fields}),
        start=state,
        moves=moves,
        claims=Claims(
            winner=whole_of(fields, "winner"),
            reason=text_of(fields, "outcome"),
            resigned=leaves(left),
            plies=_plies(fields, left, "totalMoves"),
            final_hash=text_of(fields, "finalStateHash"),
            initial_hash=text_of(fields, "initialStateHash"),
            score=_score(score, players),
        ),
        plies=({},),
        seats=_seats(seats, players, "players"),
        seed=whole_of(fields, "rngSeed"),
        source=text_of(told, "source"),
        started=seconds_of(fields.get("startedAt")),
        ms=whole_of(fields, "totalDurationMs"),
    )


def _moves(fields: Object, board: str) -> tuple[list[PartialMove], Object | None]:
    """Read the moves with their searches, which a field of the whole game may hold too."""
    listed = list_of(fields, "moves")
    if listed is None:
        raise refuse("moves", None, "a list of moves")
    searches = pick(fields, "mcts_policy", "mctsPolicy")
    if isinstance(searches, dict):
        searches = [searches.get(str(i)) for i in range(len(listed))]
    if isinstance(searches, list) and len(searches) == len(listed):
        listed = [
            {**move, "mctsPolicy": found} if isinstance(move, dict) and found else move
            for move, found in zip(listed, searches, strict=True)
        ]
    elif searches is not None:
        raise refuse("mcts_policy", searches, f"one entry for each of {len(listed)} moves")
    return read_moves(listed, board)


def _first_state(fields: Object, board: str, players: int) -> tuple[ForeignState | None, Object]:
    found = object_of(fields, "initial_state", "initialState")
    if found is None:
        return None, {}
    return read_state(found, board, players), found


def _plies(fields: Object, left: Object | None, *spellings: str) -> int | None:
    """Return the number of moves claimed; an entry that left the game is none."""
    count = whole_of(fields, *spellings)
    return None if count is None else count - (left is not None)


def _seats(seats: list[Any], players: int, name: str) -> list[Object]:
    """Return what is said of each seat in their order; nothing where nothing is said."""
    if not all(isinstance(seat, dict) for seat in seats) or len(seats) not in (0, players):
        raise refuse(name, seats, f"{players} objects, one for each seat")
    return sorted(seats, key=lambda seat: whole_of(seat, "playerNumber") or 0)


def _score(score: Object, players: int) -> Score:
    return Score(
        elim=seats_of(score, players, "ringsEliminated", "rings_eliminated"),
        terr=seats_of(score, players, "territorySpaces", "territory_spaces"),
        hand=seats_of(score, players, "ringsInHand", "rings_in_hand"),
        remaining=seats_of(score, players, "ringsRemaining", "rings_remaining"),
    )


def _milliseconds(fields: Object) -> int | None:
    seconds = pick(fields, "game_time_seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return max(0, round(seconds * 1000))


def _trace(fields: Object, file: str, row: int, identity: str | None) -> ForeignGame:
    trace = Trace(file=file, line=row, game=dict(fields))
    try:
        return _read_trace(trace, identity)
    except VerificationError:
        raise
    except DataError as error:
        raise VerificationError("malformed", error.message) from None


def _read_trace(trace: Trace, identity: str | None) -> ForeignGame:
    fields = trace.game
    if fields.get("format") != 1:
        raise refuse("format", fields.get("format"), "1")
    board = names.board_of(fields.get("board_type"))
    players = names.players_of(fields.get("num_players"))
    if not trace.on_standard_board():
        raise VerificationError("spec", "a contract vector on a shrunken hexagonal board")
    spec = trace.spec()
    claims, plies = _trace_claims(trace)
    moves, _ = read_moves(trace.field("moves", list), board)
    return ForeignGame(
        format="trace",
        file=trace.file,
        row=trace.line,
        id=identity,
        board=board,
        players=players,
        options=Options(
            rings_per_player=spec.rings_per_player,
            lps_rounds=spec.lps_rounds,
            swap_rule=spec.swap_rule,
            base_line_length=spec.base_line_length,
            ring_threshold=spec.ring_threshold,
            territory_minimum=spec.territory_minimum,
        ),
        start=trace.field("initial", str),
        moves=moves,
        claims=claims,
        plies=(plies,),
        seats=[{"ai_type": str(fields.get("policy", "unknown"))} for _ in range(players)],
        seed=_trace_seed(fields),
    )


def _trace_claims(trace: Trace) -> tuple[Claims, dict[int, PlyClaims]]:
    result = trace.field("result", dict)
    end, reason = result.get("end"), text_of(result, "reason")
    if end == "max_plies":
        reason = "max_plies"
    elif end != "game_over":
        raise VerificationError("incomplete", f"the trace ended with {end!r:.40}")
    plies: dict[int, PlyClaims] = {}
    for i, row in enumerate(trace.field("positions", list)):
        if not isinstance(row, dict):
            raise refuse(f"positions[{i}]", row, "an object")
        claimed = text_of(row, "h")
        plies[i + 1] = PlyClaims(hashes=() if claimed is None else (claimed,))
    claims = Claims(
        status="completed" if end == "game_over" else None,
        winner=whole_of(result, "winner") or 0,
        reason=reason,
        plies=whole_of(result, "plies"),
        initial_hash=trace.field("initial_hash", str),
    )
    return claims, plies


def _trace_seed(fields: Object) -> int:
    seed = fields.get("seed")
    return seed if isinstance(seed, int) and not isinstance(seed, bool) else 0
