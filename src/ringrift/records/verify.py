"""Verification: replay a record's own moves and compare everything it claims (selfplay.md 7)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from ringrift.core.errors import UsageError
from ringrift.records.analysis import Analysis, check_analysis
from ringrift.records.record import (
    ABORT,
    CHECK_EVERY,
    RESIGNATION,
    TIMEOUT,
    AgentRef,
    GameMeta,
    GameRecord,
    GameResult,
    VerificationError,
    check_record,
    default_max_plies,
    refuse,
    seat_values,
)
from ringrift.records.replayer import Replayer, some_legal
from ringrift.rules import BoardSpec, Position


def build_record(
    spec: BoardSpec,
    seed: int,
    agents: Sequence[AgentRef],
    moves: Sequence[int],
    *,
    end: str | None = None,
    reason: str | None = None,
    resigned: int | None = None,
    meta: GameMeta | None = None,
    marks: Mapping[int, str] | None = None,
    start: str | None = None,
    max_plies: int | None = None,
) -> GameRecord:
    """Make the record of a game by replaying its moves; result and hashes are computed.

    `end` None means what the moves say: `game_over`, or `max_plies` where the limit (default: the
    configuration's) is reached. `aborted` needs the `reason`; `resigned` needs the seat that did.
    Raises `VerificationError` for an illegal move, `UsageError` for an end that does not fit.
    """
    played = tuple(int(move) for move in moves)
    limit = default_max_plies(spec) if max_plies is None else int(max_plies)
    replayer = Replayer(spec, start, _fitting(played))
    try:
        position = replayer.finish()
    except VerificationError as error:
        # A breach at its last ply is what an aborted game may be recorded for.
        if end != "aborted" or error.reason != "invariant" or error.ply != len(played) - 1:
            raise
        position = replayer.position
    return record_at(
        spec,
        seed,
        agents,
        played,
        position,
        replayer.check_hashes(),
        end=end,
        reason=reason,
        resigned=resigned,
        meta=meta,
        marks=marks,
        start=start,
        max_plies=limit,
    )


def record_at(
    spec: BoardSpec,
    seed: int,
    agents: Sequence[AgentRef],
    moves: Sequence[int],
    position: Position,
    check: Sequence[int],
    *,
    max_plies: int,
    end: str | None = None,
    reason: str | None = None,
    resigned: int | None = None,
    meta: GameMeta | None = None,
    marks: Mapping[int, str] | None = None,
    start: str | None = None,
) -> GameRecord:
    """Make the record of a game that was played to `position`, as `build_record` does by a replay.

    `check` are the unsigned state hashes after every 16th ply and the last.
    """
    played = tuple(moves)
    if end is None:
        end = "game_over" if position.is_over or len(played) < max_plies else "max_plies"
    winner = 0
    if end == "resigned":
        if spec.players != 2 or resigned not in (1, 2):
            raise UsageError(f"resigned is {resigned!r}; expected seat 1 or 2 of a two-player game")
        winner, reason = 3 - resigned, RESIGNATION
    elif end == "aborted":
        reason = ABORT + (reason or "unknown").removeprefix(ABORT)
    fault = _end_fault(position, end, len(played), max_plies)
    if fault is not None:
        raise UsageError(f"end is {end!r} but {fault}", where=f"game of {len(played)} plies")
    record = GameRecord(
        spec=spec,
        start=start,
        seed=int(seed),
        agents=tuple(agents),
        moves=played,
        marks={int(ply): mark for ply, mark in sorted((marks or {}).items())},
        result=_result(position, end, len(played), winner, reason or ""),
        check=tuple(check),
        meta=meta or GameMeta(),
        max_plies=max_plies,
    )
    check_record(record)
    return record


def verify(record: GameRecord, analysis: Analysis | None = None) -> None:
    """Replay a record and compare every claim; raises `VerificationError` with reason and ply.

    With `analysis`, its moves must be legal at their plies and its figures in range.
    """
    _verify(record, analysis, texts=False)


def check_claimed_id(claimed: str, record: GameRecord) -> None:
    """Raise `VerificationError` if `claimed` is not the record's id: with what was changed, if it shows."""
    if claimed != record.id:
        verify(record)
        expected = f"{record.id}, the hash of the content"
        raise refuse("id", claimed, expected, reason="id_mismatch")


def verified_play(record: GameRecord, analysis: Analysis | None = None) -> str:
    """Verify as `verify` does; return the hash that names the play alone (`play_hash`)."""
    return play_hash(record.spec, _verify(record, analysis, texts=True))


def play_hash(spec: BoardSpec, texts: Sequence[str]) -> str:
    """Name a play without its agents and seed (data.md 1): 64 hex digits."""
    content = f"{spec.hash}|{spec.players}|{';'.join(texts)}"
    return hashlib.sha256(content.encode()).hexdigest()


def _verify(record: GameRecord, analysis: Analysis | None, *, texts: bool) -> list[str]:
    try:
        return _replayed(record, analysis, texts=texts)
    except VerificationError:
        if analysis is not None:
            _replayed(record, None, texts=False)  # what is wrong with the game itself comes first
        raise


def _replayed(record: GameRecord, analysis: Analysis | None, *, texts: bool) -> list[str]:
    check_record(record)
    keys = None
    if analysis is not None:
        check_analysis(analysis, record)
        keys = analysis.table.keys
    if not record.moves:
        raise VerificationError("zero_moves", "the game has no move")
    if record.result.end == "aborted":
        detail = f"the game was {record.result.reason}"
        raise VerificationError("error_status", detail, ply=len(record.moves) - 1)
    replayer = Replayer(record.spec, record.start, record.moves, keys=keys)
    played: list[str] = []
    try:
        if texts:
            played = replayer.texts()
        else:
            replayer.finish()
    except VerificationError as error:
        raise _earliest(error, record, replayer) from None
    _check_hashes(record, replayer, replayer.ply)
    _check_result(record, replayer.position)
    return played


def _fitting(moves: tuple[int, ...]) -> tuple[int, ...]:
    for ply, move in enumerate(moves):
        if not 0 <= move < 1 << 40:
            detail = f"found {move}; expected a packed move below 2**40"
            raise VerificationError("illegal_move", detail, ply=ply)
    return moves


def _end_fault(position: Position, end: str, plies: int, limit: int) -> str | None:
    """Say why a game cannot have ended this way in this position; None if it can."""
    if end == "game_over":
        return None if position.is_over else f"the game is not over after {plies} plies"
    if position.is_over and end != "aborted":
        return "the rules ended the game"
    if end == "max_plies" and plies != limit:
        return f"it has {plies} plies and its limit is {limit}"
    return None


def _result(position: Position, end: str, plies: int, winner: int, reason: str) -> GameResult:
    """Compute the result; `winner` and `reason` count only where the rules do not say."""
    ranks: tuple[int, ...] = ()
    over = position.result
    if end == "game_over" and over is not None:
        winner, reason, ranks = over.winner, over.reason, over.ranking
    elif end == "resigned":
        ranks = (1, 2) if winner == 1 else (2, 1)
    elif end == "max_plies":
        winner, reason = 0, TIMEOUT
    return GameResult(
        end=end,
        winner=winner,
        reason=reason,
        ranks=ranks,
        values=seat_values(ranks) if ranks else None,
        plies=plies,
        final_hash=position.fingerprint,
        elim=position.eliminated,
        terr=position.territory,
        hand=position.hands,
    )


def _earliest(
    error: VerificationError, record: GameRecord, replayer: Replayer
) -> VerificationError:
    """Prefer a wrong check hash before the faulty ply: it is where the record first departs."""
    try:
        _check_hashes(record, replayer, replayer.ply)
    except VerificationError as earlier:
        return earlier
    return error


def _check_hashes(record: GameRecord, replayer: Replayer, plies: int) -> None:
    whole = plies == len(record.moves)
    hashes = replayer.check_hashes()[: None if whole else plies // CHECK_EVERY]
    for i, (found, computed) in enumerate(zip(record.check, hashes, strict=False)):
        if found != computed:
            ply = min((i + 1) * CHECK_EVERY, len(record.moves)) - 1
            detail = f"found state hash {found:016x} after it; expected {computed:016x}"
            raise VerificationError("hash", detail, ply=ply)


def _check_result(record: GameRecord, position: Position) -> None:
    claimed = record.result
    last = len(record.moves) - 1
    fault = _end_fault(position, claimed.end, len(record.moves), record.max_plies)
    if fault is not None:
        detail = f"end is {claimed.end!r} but {fault}"
        if not position.is_over and claimed.end == "game_over":
            detail += f" (legal: {some_legal(position)})"
        raise VerificationError("result", detail, ply=last)
    if claimed.end == "resigned" and (record.spec.players != 2 or claimed.winner == 0):
        detail = f"found winner {claimed.winner}; expected a two-player game with a winner"
        raise VerificationError("result", detail, ply=last)
    expected = _result(position, claimed.end, len(record.moves), claimed.winner, RESIGNATION)
    for name in GameResult.__slots__:
        found, computed = getattr(claimed, name), getattr(expected, name)
        if found != computed:
            detail = f"found {found!r}; expected {computed!r}"
            raise VerificationError("result", detail, ply=last, where=f"field result.{name}")
