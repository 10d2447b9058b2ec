"""Walk through a game on the compiled path: advance to a ply, look at the position, go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import DataError
from ringrift.records import replay as kernel
from ringrift.records.record import CHECK_EVERY, VerificationError
from ringrift.rules import BoardSpec, Position, trace
from ringrift.rules import moves as mv
from ringrift.rules.codec import codec
from ringrift.rules.position import WORKSPACE, board_view

_NOTHING = (mv.NO_PLACE, mv.NO_MOVE, mv.NO_LINE, mv.NO_REGION)
_TEXTS = 1 << 15


class Replayer:
    """Replays `moves` (packed, each below 2**40) from the start position or the text `start`.

    `ply` is how many have been played. `hashes` (int64, signed) fills as `replay.replay` says.
    `keys` are moves that must be legal too, as search distributions name them: plies, ascending, and
    moves, `int64[k]` each.
    """

    def __init__(
        self,
        spec: BoardSpec,
        start: str | None,
        moves: Sequence[int],
        *,
        keys: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    ) -> None:
        self.spec = spec
        self.moves = np.array(moves, np.int64)
        self.ply = 0
        self.hashes = np.zeros(-(-len(self.moves) // CHECK_EVERY), np.int64)
        none = np.zeros(0, np.int64)
        self._key_plies, self._keys = (none, none) if keys is None else keys
        self._regions, self._sizes = np.zeros((0, 1), np.int16), none
        self._position = _start(spec, start)

    @property
    def position(self) -> Position:
        """The position after `ply` moves; `advance` changes it and makes its legal set stale."""
        return Position(self.spec, self._position._states)  # noqa: SLF001 - see interfaces

    def advance(self, ply: int) -> None:
        """Play up to `ply` moves in all; raises `VerificationError` at the first illegal one."""
        if not trace.ENABLED:
            self._advance(ply)
            return
        while self.ply < ply:
            before = self.position.copy()
            self._advance(self.ply + 1)
            trace.applied(before, int(self.moves[self.ply - 1]), self.position)

    def _advance(self, ply: int) -> None:
        stopped = kernel.replay(
            self._position._view,  # noqa: SLF001
            board_view(self.spec),
            WORKSPACE.scratch,
            self.moves,
            self.ply,
            ply,
            CHECK_EVERY,
            self._keys,
            self._key_plies,
            WORKSPACE.buffer(self.spec.max_moves),
            self.hashes,
            self._regions,
            self._sizes,
        )
        self.ply, fault = divmod(int(stopped), 8)
        if fault != kernel.FINE:
            raise self._error(fault)

    def finish(self) -> Position:
        """Play all moves and return the final position."""
        self.advance(len(self.moves))
        return self.position

    def walk(self, stops: Iterable[int]) -> Iterator[tuple[int, Position]]:
        """Yield each stop and the position before its move, then play to the end."""
        for ply in sorted(set(stops)):
            self.advance(ply)
            yield ply, self.position
        self.advance(len(self.moves))

    def texts(self) -> list[str]:
        """Play to the end; return the compact text of every move.

        The last one may breach an invariant, for which games are aborted.
        """
        named = (self.moves & mv.KIND_MASK) == mv.REGION
        count = int(named.sum())
        if count:
            self._regions = np.zeros((count, self.spec.cells), np.int16)
            self._sizes = np.zeros(count, np.int64)
        try:
            self.advance(len(self.moves))
        except VerificationError as error:
            if error.reason != "invariant" or error.ply != len(self.moves) - 1:
                raise
        text, moves = _texts(self.spec), self.moves.tolist()
        if not count:
            return [text(move) for move in moves]
        regions = iter(zip(self._regions, self._sizes.tolist(), strict=True))
        return [
            self._region_text(move, *next(regions)) if is_region else text(move)
            for move, is_region in zip(moves, named.tolist(), strict=True)
        ]

    def _region_text(self, move: int, cells: NDArray[np.int16], size: int) -> str:
        return codec(self.spec).text(move, lambda _: cells[:size].tolist())

    def check_hashes(self) -> tuple[int, ...]:
        """Return the check hashes of the plies played, unsigned."""
        return tuple(self.hashes.view(np.uint64).tolist())

    def _error(self, fault: int) -> VerificationError:
        position, move = self.position, int(self.moves[self.ply])
        at = f"in {position.phase} for player {position.current_player}"
        if fault == kernel.NO_KEY:
            legal = set(position.legal_packed().tolist())
            named = self._keys[self._key_plies == self.ply].tolist()
            wrong = next(key for key in named if key not in legal)
            detail = f"a distribution names move {wrong}, which is not legal {at}"
            return VerificationError("bad_policy", detail, ply=self.ply)
        if fault == kernel.FELL:
            detail = f"move {move} lowered eliminated rings or the progress sum {at}"
            return VerificationError("invariant", detail, ply=self.ply)
        if fault == kernel.AFTER_END:
            return VerificationError("illegal_move", "the game was over", ply=self.ply)
        if fault == kernel.STUCK:
            return VerificationError("invariant", f"no legal move {at}", ply=self.ply)
        detail = f"move {move} is not legal {at}; expected {some_legal(position)}"
        reason = "non_canonical" if _passes_over(position, move) else "illegal_move"
        return VerificationError(reason, detail, ply=self.ply)


def some_legal(position: Position) -> str:
    """Name the first few legal moves, for messages."""
    texts = [move.text for move in position.legal_moves()]
    more = f" ... {len(texts)} in all" if len(texts) > 6 else ""
    return "; ".join(texts[:6]) + more


def _passes_over(position: Position, move: int) -> bool:
    """Tell whether a move leaves out the record of phases in which nothing could be done."""
    ahead = position.copy()
    passed = False
    while not ahead.is_over:
        legal = ahead.legal_packed().tolist()
        if move in legal:
            return passed
        if len(legal) != 1 or legal[0] not in _NOTHING:
            return False
        ahead.play(legal[0])
        passed = True
    return False


@cache
def _texts(spec: BoardSpec) -> Callable[[int], str]:
    """Return the function from packed move to text, which remembers: most moves come again."""
    text = codec(spec).text
    return lru_cache(maxsize=_TEXTS)(lambda move: text(move, _no_region))


def _no_region(move: int) -> Sequence[int]:
    raise LookupError(f"region of move {move} without its position")


def _start(spec: BoardSpec, start: str | None) -> Position:
    if start is None:
        return Position.of(spec)
    try:
        position = Position.parse(start, spec=spec)
    except DataError as error:
        raise VerificationError("malformed", str(error), where="field start") from None
    if str(position) != start:
        detail = f"found {start!r:.80}; expected the canonical text {str(position)!r:.80}"
        raise VerificationError("malformed", detail, where="field start")
    return position
