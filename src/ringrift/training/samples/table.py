"""The targets of one side of a dataset, as the nets learn them: seats relative to the mover.

Positions stay packed; what encodes them lies in `samples.cnn` and `samples.nnue`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import RefusedError
from ringrift.rules import BoardSpec

if TYPE_CHECKING:
    from ringrift.data.dataset import Dataset

FINISHED = ("game_over", "resigned")
"""Ends of games whose result is a value target; a game cut off has value weight 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTable:
    """`N` samples of `n` players, ordered by game and ply; r = seat relative to the mover.

    `states`: `uint8[N, S]`, packed positions (`rules.packing`). `game`: `int32[N]` into `games`;
    `mover`: `int8[N]`, seat 1-4; `ply`, `total_plies`, `legal_count`: `int32[N]`; `phase`,
    `victory_type`: `int8[N]` (index into `data.dataset.values.VICTORY_TYPES`); `sym_mask`:
    `uint16[N]`, bit k for symmetry k of the board.

    Policy targets of sample i: `policy_moves` (`int64`, packed, as played) and `policy_probs`
    (`float32`, sum 1) from `policy_ptr[i]` to `policy_ptr[i + 1]`; `searched`: `bool[N]`, whether
    they come from a search, else from the move played.

    `weight`: `float32[N]`, that of the dataset. `policy_weight`, `value_weight`: `float32[N]`, what
    the losses use: `weight` and more. `win`: `float32[N, n]`, share of the win of seat r; `rank`:
    `float32[N, n, n]`, share of each rank of seat r. `owner`: `int8[N, cells]`, 0 none or 1 + r, at
    the end of the game. `margins`: `float32[N, n, 3]`: territory / TM, eliminated / T, hand / R at
    the end.
    """

    spec: BoardSpec
    dataset: str
    games: tuple[str, ...]
    states: NDArray[np.uint8]
    game: NDArray[np.int32]
    mover: NDArray[np.int8]
    ply: NDArray[np.int32]
    total_plies: NDArray[np.int32]
    legal_count: NDArray[np.int32]
    phase: NDArray[np.int8]
    victory_type: NDArray[np.int8]
    sym_mask: NDArray[np.uint16]
    policy_ptr: NDArray[np.int64]
    policy_moves: NDArray[np.int64]
    policy_probs: NDArray[np.float32]
    searched: NDArray[np.bool_]
    weight: NDArray[np.float32]
    policy_weight: NDArray[np.float32]
    value_weight: NDArray[np.float32]
    win: NDArray[np.float32]
    rank: NDArray[np.float32]
    owner: NDArray[np.int8]
    margins: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.states)

    def take(self, rows: NDArray[np.int64]) -> SampleTable:
        """Return the samples `rows`, in that order."""
        counts = np.diff(self.policy_ptr)[rows]
        pointer = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(counts, out=pointer[1:])
        places = np.arange(pointer[-1]) + np.repeat(self.policy_ptr[rows] - pointer[:-1], counts)
        picked: dict[str, Any] = {name: getattr(self, name)[rows] for name in _PER_SAMPLE}
        return replace(
            self,
            **picked,
            policy_ptr=pointer,
            policy_moves=self.policy_moves[places],
            policy_probs=self.policy_probs[places],
        )


_PER_SAMPLE = tuple(
    field.name
    for field in fields(SampleTable)
    if field.name not in ("spec", "dataset", "games", "policy_ptr", "policy_moves", "policy_probs")
)


def read_tables(dataset: Dataset, *, q_mix: float = 0.3) -> tuple[SampleTable, SampleTable]:
    """Return the training and the validation side of a dataset.

    Raises `RefusedError` for a dataset of features alone.
    """
    whole = table_of(dataset.arrays, dataset.manifest, q_mix=q_mix)
    held = dataset.arrays["split_val"].astype(np.bool_)
    return whole.take(np.flatnonzero(~held)), whole.take(np.flatnonzero(held))


class Described(Protocol):
    """What a manifest says of the games of a table."""

    @property
    def id(self) -> str:
        """64 hex digits, empty for games that are in no dataset."""
        ...

    @property
    def board_spec(self) -> BoardSpec:
        """The rules of all games."""
        ...

    @property
    def game_ids(self) -> tuple[str, ...]:
        """The ids of the games, in order."""
        ...

    @property
    def game_facts(self) -> tuple[Mapping[str, Any], ...]:
        """Of each game at least `end` and `ranks`."""
        ...


def table_of(
    arrays: Mapping[str, NDArray[Any]], manifest: Described, *, q_mix: float = 0.3
) -> SampleTable:
    """Turn the arrays of a part, or of a whole dataset, into targets; both sides together."""
    if "states" not in arrays:
        raise RefusedError(
            "a dataset of features alone cannot be trained on",
            where=f"dataset {manifest.id[:12]}",
            hint="--contents states",
        )
    spec = manifest.board_spec
    n = spec.players
    mover = arrays["mover"].astype(np.int64)
    seats = (mover[:, None] - 1 + np.arange(n)) % n
    game = arrays["game"].astype(np.int64)
    ranks = _rank_shares([facts["ranks"] for facts in manifest.game_facts], n)[game]
    rank = np.take_along_axis(ranks, seats[:, :, None], 1)
    finished = np.array(
        [f["end"] in FINISHED and bool(f["ranks"]) for f in manifest.game_facts], np.float32
    )
    weight = arrays["weight"].astype(np.float32)
    ends = (("final_terr", spec.territory_minimum), ("final_elim", spec.ring_threshold),
            ("final_hand", spec.rings_per_player))  # fmt: skip
    return SampleTable(
        spec=spec,
        dataset=manifest.id,
        games=tuple(manifest.game_ids),
        states=arrays["states"],
        game=game.astype(np.int32),
        mover=mover.astype(np.int8),
        ply=arrays["ply"].astype(np.int32),
        total_plies=arrays["total_plies"].astype(np.int32),
        legal_count=arrays["legal_count"].astype(np.int32),
        phase=arrays["phase"].astype(np.int8),
        victory_type=arrays["victory_type"].astype(np.int8),
        sym_mask=arrays["sym_mask"].astype(np.uint16),
        policy_ptr=arrays["policy_ptr"].astype(np.int64),
        policy_moves=arrays["policy_moves"].astype(np.int64),
        policy_probs=arrays["policy_probs"].astype(np.float32),
        searched=arrays["policy_source"].astype(np.bool_),
        weight=weight,
        policy_weight=weight * arrays["policy_weight"].astype(np.float32),
        value_weight=weight * finished[game],
        win=_win(rank[:, :, 0], arrays, seats, q_mix if n == 2 else 0.0),
        rank=rank,
        owner=_relative_owner(arrays["final_owner"], mover, n),
        margins=np.stack(
            [np.take_along_axis(arrays[name], seats, 1) / np.float32(unit) for name, unit in ends],
            axis=2,
        ).astype(np.float32),
    )


def _win(
    result: NDArray[np.float32],
    arrays: Mapping[str, NDArray[Any]],
    seats: NDArray[np.int64],
    q_mix: float,
) -> NDArray[np.float32]:
    """Mix the result with the search's own value, which is a win probability for two players.

    With more seats it is a rank value, and the result alone counts.
    """
    if q_mix == 0.0:
        return result.astype(np.float32)
    q = (1.0 + np.take_along_axis(arrays["q"], seats, 1)) / 2.0
    mixed = (1.0 - q_mix) * result + q_mix * q
    return np.where(arrays["q_mask"][:, None], mixed, result).astype(np.float32)


def _rank_shares(rankings: Sequence[Sequence[int]], n: int) -> NDArray[np.float32]:
    """Return, per game and seat, the share of each rank; tied seats divide the ranks they hold."""
    shares = np.zeros((len(rankings), n, n), np.float32)
    for at, ranks in enumerate(rankings):
        for seat, rank in enumerate(ranks):
            tied = sum(other == rank for other in ranks)
            shares[at, seat, rank - 1 : rank - 1 + tied] = 1.0 / tied
    return shares


def _relative_owner(owner: NDArray[np.int8], mover: NDArray[np.int64], n: int) -> NDArray[np.int8]:
    relative = (owner.astype(np.int16) - mover[:, None].astype(np.int16)) % n + 1
    return np.where(owner > 0, relative, 0).astype(np.int8)
