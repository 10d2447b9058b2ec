"""What every foreign format has: a move list, options, claims about single plies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ringrift.records.foreign import names
from ringrift.records.foreign.fields import Object, flag_of, object_of, whole_of
from ringrift.records.foreign.game import Options, PlyClaims
from ringrift.records.foreign.moves import PartialMove, leaving, read_move
from ringrift.records.foreign.states import ForeignState
from ringrift.records.record import VerificationError, refuse


def read_moves(entries: Sequence[Any], board: str) -> tuple[list[PartialMove], Object | None]:
    """Read a move list; returns the moves and the entry that left the game, if its last one does.

    Raises `VerificationError` with the place in the list as its ply.
    """
    moves: list[PartialMove] = []
    for i, entry in enumerate(entries):
        try:
            if not isinstance(entry, dict):
                raise refuse("moves", entry, "objects")
            if leaving(entry) is not None:
                if i + 1 < len(entries):
                    raise refuse("moves", entry.get("type"), "nothing after it")
                return moves, entry
            moves.append(read_move(entry, board))
        except VerificationError as error:
            raise VerificationError(error.reason, error.detail, ply=i, where=error.where) from None
    return moves, None


def leaves(entry: Object | None) -> int | None:
    """Return the seat that resigned with an entry that `read_moves` returned."""
    if entry is None or leaving(entry) != names.RESIGN:
        return None
    return whole_of(entry, "player")


def first_options(state_fields: Object, state: ForeignState | None, more: Object) -> Options:
    """Return the rule options that a first state and the record around it tell."""
    rules: dict[str, Any] = {}
    for fields in (more, state_fields):
        rules |= object_of(fields, "rulesOptions", "rules_options") or {}
    length = whole_of(rules, "baseLineLength", "lineLength")
    if length is None:
        length = whole_of(more, "base_line_length", "baseLineLength", "line_length", "lineLength")
    fresh = state is not None and not (state.stacks or state.markers or state.collapsed)
    fresh = fresh and state is not None and not any(state.elim) and state.phase == "ring_placement"
    return Options(
        rings_per_player=whole_of(rules, "ringsPerPlayer", "rings_per_player"),
        hand=state.hand if state is not None and fresh else None,
        lps_rounds=whole_of(rules, "lpsRoundsRequired", "lps_rounds_required"),
        swap_rule=flag_of(rules, "swapRuleEnabled", "swap_rule_enabled"),
        base_line_length=length,
        ring_threshold=whole_of(state_fields, "victoryThreshold"),
        territory_minimum=whole_of(
            state_fields, "territoryVictoryMinimum", "territoryVictoryThreshold"
        ),
    )


class PlyTable:
    """Collects claims by move number, as databases keep them; `numbers` are those of the moves."""

    def __init__(self, numbers: Sequence[int | None]) -> None:
        self._numbers: list[int] = []
        for i, number in enumerate(numbers):
            if number is None or (self._numbers and number <= self._numbers[-1]):
                raise refuse(f"game_moves[{i}].move_number", number, "rising whole numbers")
            self._numbers.append(number)
        self._at = {number: i for i, number in enumerate(self._numbers)}
        self._states: list[tuple[int, ForeignState, str | None]] = []
        self._exact: dict[int, tuple[list[str], str | None]] = {}

    def add_snapshot(self, number: int | None, state: ForeignState, state_hash: str | None) -> None:
        """Add a stored state with its hash."""
        if number is None:
            raise refuse("game_state_snapshots.move_number", number, "a whole number")
        self._states.append((number, state, state_hash))

    def add_history(
        self, number: int | None, *, before: str | None, after: str | None, phase: str | None
    ) -> None:
        """Add the hashes around a move, and the phase it was made in."""
        if number is None or number not in self._at:
            raise refuse("game_history_entries.move_number", number, "the number of a move")
        at = self._at[number]
        if before is not None:
            self._exact.setdefault(at, ([], None))[0].append(before)
        if after is not None:
            self._exact.setdefault(at + 1, ([], None))[0].append(after)
        if phase is not None:
            self._exact[at] = (self._exact.get(at, ([], None))[0], phase)

    def claims(self) -> tuple[Mapping[int, PlyClaims], ...]:
        """Return claims by the number of moves played, in each way the numbers can be read.

        Where moves are numbered from 0, a snapshot's number is that of moves played, or of the
        last one.
        """
        first = self._numbers[0] if self._numbers else 1
        if first > 0 or not self._states:
            return (self._read(played=False),)
        return (self._read(played=True), self._read(played=False))

    def _read(self, *, played: bool) -> Mapping[int, PlyClaims]:
        found = {
            at: PlyClaims(hashes=tuple(hashes), phase=phase)
            for at, (hashes, phase) in self._exact.items()
        }
        for number, state, state_hash in self._states:
            at = sum(n < number + (not played) for n in self._numbers)
            other = found.get(at, PlyClaims())
            hashes = other.hashes if state_hash is None else (*other.hashes, state_hash)
            found[at] = PlyClaims(state=state, hashes=hashes, phase=other.phase)
        return found
