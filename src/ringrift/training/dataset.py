"""Samples of a window of games: every searched ply, encoded once (data.md 4, thin).

Games are replayed in compiled code; a sample keeps its planes as bytes, its legal moves as indices
into the net's policy table, once per symmetry of the board, and its targets in relative seats.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ringrift.core.errors import DataError, NegativeResult, RefusedError
from ringrift.nets.encoder import ENCODER, GLOBALS, PLANES, cell_places, grid
from ringrift.rules import Position
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
from ringrift.rules.policy import policy_layout
from ringrift.selfplay.findings import SOFT_FROM, SOFT_WEIGHT
from ringrift.training.replay import count_legal, fill_samples
from ringrift.training.symmetry import symmetries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ringrift.records.record import Analysis, GameRecord, PlyAnalysis
    from ringrift.records.store import GameStore
    from ringrift.rules.spec import BoardSpec

    Game = tuple[GameRecord, Analysis]

FINISHED = ("game_over", "resigned")
UNCHOSEN = ("random", "book")


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Samples of one specification, ordered by game and ply.

    `N` samples, `T` their legal moves together, `S` symmetries, `n` players; `r` relative seat.

    `planes`: `uint8[N, H, W, PLANES]`, eighths; `numbers`: `float32[N, GLOBALS]`.
    `offsets`: `int64[N + 1]` delimits the legal moves; `first`: `int32[S, T]` and `second`:
    `int32[T]` (-1 none) index the policy table (`replay.table_index`); `probabilities`: `float32[T]`.
    `symmetric`: `bool[N]`, false where only the identity is exact.
    `win`: `float32[N, n]`, the share of the win target; `rank`: `float32[N, n, n]`, the share of
    each rank per seat. `policy_weight`, `value_weight`: `float32[N]`.
    """

    spec: BoardSpec
    games: tuple[str, ...]
    planes: NDArray[np.uint8]
    numbers: NDArray[np.float32]
    offsets: NDArray[np.int64]
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    symmetric: NDArray[np.bool_]
    win: NDArray[np.float32]
    rank: NDArray[np.float32]
    policy_weight: NDArray[np.float32]
    value_weight: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.planes)

    @property
    def id(self) -> str:
        """64 hex digits over specification, encoder, policy layout and the sorted game ids."""
        parts = (
            self.spec.hash,
            ENCODER.hash,
            policy_layout(self.spec.board).hash,
            str(len(self)),
            *sorted(self.games),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def window(
    store: GameStore,
    spec: BoardSpec,
    *,
    split: str = "train",
    games: int | None = None,
    after_seq: int = 0,
    up_to_seq: int | None = None,
    run: str | None = None,
) -> list[Game]:
    """Return the newest self-play games with search statistics, oldest of them first.

    At most `games` of those with `after_seq < seq <= up_to_seq`: with an upper end a repeated
    training reads the same games while new ones arrive.
    """
    kept: list[Game] = []
    for seq, record, analysis in store.records(
        spec.config,
        purpose="selfplay",
        run=run,
        after_seq=after_seq,
        split=split,
        newest_first=True,
    ):
        if games is not None and len(kept) == games:
            break
        beyond = up_to_seq is not None and seq > up_to_seq
        if not beyond and analysis is not None and analysis.plies and record.spec == spec:
            kept.append((record, analysis))
    return kept[::-1]


def build_samples(
    games: Iterable[Game], spec: BoardSpec, *, q_mix: float = 0.3, augment: bool = True
) -> Samples:
    """Replay and encode the searched plies of `games`; see `Samples`.

    `q_mix` is the share of the search's own value in the win target of two-player games, whose
    value is a win probability; with more seats it is a rank value and the result alone counts.
    Raises `RefusedError` for a game of another specification or with an illegal policy, and
    `NegativeResult` if there is nothing to learn from.
    """
    chosen = [(record, analysis) for record, analysis in games if analysis.plies]
    if not chosen:
        raise NegativeResult(f"no games with search statistics for {spec.config}")
    for record, _ in chosen:
        if record.spec != spec:
            raise RefusedError(
                f"game of specification {record.spec.hash}; expected {spec.hash}", where=record.id
            )
    return _Builder(chosen, spec, augment=augment).build(q_mix)


class _Builder:
    """Fills the arrays of `Samples`, game by game."""

    def __init__(self, games: Sequence[Game], spec: BoardSpec, *, augment: bool) -> None:
        self.games = games
        self.spec = spec
        self.augment = augment
        self.boards = lay.view(board_tables(spec))
        self.scratch = lay.view(lay.zeros(1, lay.SCRATCH))
        self.buffer = np.zeros(spec.max_moves, np.int64)

    def _start(self, record: GameRecord) -> Any:
        spec, start = self.spec, record.start
        position = Position.of(spec) if start is None else Position.parse(start, spec=spec)
        return lay.view(position._states)  # noqa: SLF001 (the compiled form)

    def build(self, q_mix: float) -> Samples:
        spec, n = self.spec, self.spec.players
        total = sum(len(a.plies) for _, a in self.games)
        offsets = self._offsets(total)
        height, width = grid(spec.board)
        s = symmetries(spec.board)
        used = len(s) if self.augment else 1
        planes = np.zeros((total, height, width, PLANES), np.uint8)
        numbers = np.zeros((total, GLOBALS), np.float32)
        first = np.zeros((used, offsets[-1]), np.int32)
        second = np.zeros(offsets[-1], np.int32)
        probabilities = np.zeros(offsets[-1], np.float32)
        symmetric = np.zeros(total, np.bool_)
        movers = np.zeros(total, np.int8)
        scene = np.zeros((height, width, PLANES), np.float32)
        places = cell_places(spec.board)
        table_width = len(policy_layout(spec.board).planes)
        win = np.zeros((total, n), np.float32)
        rank = np.zeros((total, n, n), np.float32)
        policy_weight = np.zeros(total, np.float32)
        value_weight = np.zeros(total, np.float32)
        at = 0
        for record, analysis in self.games:
            count = len(analysis.plies)
            keys, counts, key_offsets = _policies(analysis.plies)
            bad = fill_samples(
                self._start(record),
                self.boards,
                self.scratch,
                np.array(record.moves, np.int64),
                np.array([p.ply for p in analysis.plies], np.int64),
                self.buffer,
                keys,
                counts,
                key_offsets,
                places,
                table_width,
                s.cells[:used],
                s.axes[:used],
                s.reversed[:used],
                scene,
                offsets,
                at,
                planes,
                numbers,
                first,
                second,
                probabilities,
                symmetric,
                movers,
            )
            if bad >= 0:
                raise RefusedError(
                    f"the policy of ply {bad} names a move that is not legal", where=record.id
                )
            here = slice(at, at + count)
            decided = _decided_weights(analysis, where=record.id)
            policy_weight[here] = decided * _policy_weights(record, analysis.plies)
            finished = record.result.end in FINISHED and bool(record.result.ranks)
            value_weight[here] = decided * finished
            if record.result.ranks:
                win[here], rank[here] = _targets(
                    record.result.ranks, analysis.plies, movers[here], q_mix if n == 2 else 0.0
                )
            at += count
        return Samples(
            spec=spec,
            games=tuple(record.id for record, _ in self.games),
            planes=planes,
            numbers=numbers,
            offsets=offsets,
            first=first,
            second=second,
            probabilities=probabilities,
            symmetric=symmetric,
            win=win,
            rank=rank,
            policy_weight=policy_weight,
            value_weight=value_weight,
        )

    def _offsets(self, total: int) -> NDArray[np.int64]:
        counts = np.zeros(total, np.int64)
        at = 0
        for record, analysis in self.games:
            plies = np.array([p.ply for p in analysis.plies], np.int64)
            moves = np.array(record.moves, np.int64)
            here = counts[at : at + len(plies)]
            count_legal(
                self._start(record), self.boards, self.scratch, moves, plies, self.buffer, here
            )
            at += len(plies)
        offsets = np.zeros(total + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        return offsets


def _policies(
    plies: Sequence[PlyAnalysis],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Lay the policies of a game end to end: moves, counts, offsets."""
    key_offsets = np.zeros(len(plies) + 1, np.int64)
    np.cumsum([len(p.policy) for p in plies], out=key_offsets[1:])
    keys = np.fromiter((m for p in plies for m in p.policy), np.int64, key_offsets[-1])
    counts = np.fromiter((k for p in plies for k in p.policy.values()), np.float64, key_offsets[-1])
    return keys, counts, key_offsets


def _policy_weights(record: GameRecord, plies: Sequence[PlyAnalysis]) -> list[float]:
    """Give 1 to searched plies, 0 to cheap ones and to those that nobody chose."""
    return [
        float(p.kind != "cheap" and record.marks.get(p.ply) not in UNCHOSEN and bool(p.policy))
        for p in plies
    ]


def _decided_weights(analysis: Analysis, *, where: str) -> NDArray[np.float32]:
    """Give 1 to each ply, less from where the game counted as decided (selfplay.md 5)."""
    plies = np.array([p.ply for p in analysis.plies], np.int64)
    soft_from = analysis.budget.get(SOFT_FROM)
    if soft_from is None:
        return np.ones(len(plies), np.float32)
    if not isinstance(soft_from, int):
        raise DataError(f"budget.{SOFT_FROM} is {soft_from!r}; expected a ply", where=where)
    return np.where(plies >= soft_from, SOFT_WEIGHT, 1.0).astype(np.float32)


def rank_shares(ranks: Sequence[int]) -> NDArray[np.float32]:
    """Return, per seat, the share of each rank; tied seats divide the ranks they hold."""
    n = len(ranks)
    shares = np.zeros((n, n), np.float32)
    for seat, rank in enumerate(ranks):
        tied = sum(other == rank for other in ranks)
        shares[seat, rank - 1 : rank - 1 + tied] = 1.0 / tied
    return shares


def _targets(
    ranks: Sequence[int], plies: Sequence[PlyAnalysis], movers: NDArray[np.int8], q_mix: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return win and rank targets of a game's samples, seats relative to the mover."""
    n = len(ranks)
    shares = rank_shares(ranks)
    seats = (movers.astype(np.int64)[:, None] - 1 + np.arange(n)) % n  # [count, r]
    rank = shares[seats]
    win = rank[:, :, 0]
    if q_mix > 0:
        known = np.array([[bool(p.root_value)] for p in plies])  # imported searches may lack it
        q = np.array([p.root_value or (0.0,) * n for p in plies], np.float32)
        q = np.take_along_axis(q, seats, 1)
        win = np.where(known, (1.0 - q_mix) * win + q_mix * (1.0 + q) / 2.0, win)
    return win, rank
