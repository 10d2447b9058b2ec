"""Dense features and the customary arrays, made from packed positions for other programs (data.md 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import DataError
from ringrift.data.dataset.feature_kernel import encode_rows, entries_of_rows, list_rows
from ringrift.data.dataset.values import VICTORY_TYPES
from ringrift.nets.encoder import ENCODER, GLOBALS, grid
from ringrift.nets.encoder import PLANES as BASIC_PLANES
from ringrift.nets.nnue.features import IDENTITY as NNUE_IDENTITY
from ringrift.nets.nnue.features import most_active, turn_table
from ringrift.nets.planes1 import PLANES as PLANES1_PLANES
from ringrift.nets.planes1 import PLANES1
from ringrift.rules import layout as lay
from ringrift.rules.geometry import geometry
from ringrift.rules.layout import PHASE_NAMES
from ringrift.rules.position import WORKSPACE, board_view

if TYPE_CHECKING:
    from ringrift.rules import BoardSpec

_ROWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureEncoder:
    """An encoder of datasets; `identity` is its id and hash, `planes` 0 for lists of features."""

    name: str
    identity: Mapping[str, str]
    planes: int

    def bytes_per_sample(self, board: str) -> int:
        """Return the size of a sample's features, an upper bound for lists."""
        if not self.planes:
            return 4 * most_active(board)
        height, width = grid(board)
        return 2 * self.planes * height * width + 4 * GLOBALS

    def features(self, spec: BoardSpec, states: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Return the features of packed positions, each seen by its mover.

        Planes give `features`: `float16[N, C, H, W]` and `globals`: `float32[N, G]`; lists give
        `feature_ptr`: `int64[N + 1]` and `feature_indices`: `int32`.
        """
        return self._planes(spec, states) if self.planes else self._lists(spec, states)

    def _planes(self, spec: BoardSpec, rows: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        height, width = grid(spec.board)
        features = np.zeros((len(rows), self.planes, height, width), np.float16)
        numbers = np.zeros((len(rows), GLOBALS), np.float32)
        scene = np.zeros((height, width, self.planes), np.float32)
        moves = np.zeros(spec.max_moves, np.int64)
        bad = encode_rows(
            rows,
            lay.view(lay.zeros(1, lay.STATE)),
            board_view(spec),
            WORKSPACE.scratch,
            moves,
            self.name == "planes1",
            scene,
            features.view(np.uint16),
            numbers,
        )
        _check(int(bad))
        return {"features": features, "globals": numbers}

    def _lists(self, spec: BoardSpec, rows: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        out = np.zeros((_ROWS, most_active(spec.board)), np.int32)
        counts = np.zeros(len(rows), np.int32)
        turn = turn_table(spec.players)
        kept = []
        for first in range(0, len(rows), _ROWS):
            here = rows[first : first + _ROWS]
            found = counts[first : first + _ROWS]
            states = lay.view(lay.zeros(1, lay.STATE))
            _check(int(list_rows(here, states, board_view(spec), turn, out, found)))
            used = np.arange(out.shape[1]) < found[:, None]
            kept.append(out[: len(here)][used])
        pointer = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(counts, out=pointer[1:])
        indices = np.concatenate(kept) if kept else np.zeros(0, np.int32)
        return {"feature_ptr": pointer, "feature_indices": indices}


_ENCODERS = {
    "planes1-basic": FeatureEncoder(
        name="planes1-basic", identity=ENCODER.identity, planes=BASIC_PLANES
    ),
    "planes1": FeatureEncoder(name="planes1", identity=PLANES1.identity, planes=PLANES1_PLANES),
    "nnue1": FeatureEncoder(name="nnue1", identity=NNUE_IDENTITY, planes=0),
}


def encoder_of(name: str) -> FeatureEncoder:
    """Return the encoder of that id."""
    return _ENCODERS[name]


def policy_entries_of(
    spec: BoardSpec,
    states: NDArray[np.uint8],
    pointer: NDArray[np.int64],
    moves: NDArray[np.uint64],
) -> NDArray[np.int32]:
    """Return the entries of target moves in the policy layout, `int32[K, 2]`, -1 for no second."""
    entries = np.full((len(moves), 2), -1, np.int32)
    state = lay.view(lay.zeros(1, lay.STATE))
    bad = entries_of_rows(states, state, board_view(spec), pointer, moves.astype(np.int64), entries)
    _check(int(bad))
    return entries


def customary(spec: BoardSpec, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays under the names that other programs know."""
    n = len(arrays["ply"])
    phases = np.array(PHASE_NAMES)
    return {
        "board_type": np.array(spec.board),
        "board_size": np.array(geometry(spec.board).size, np.int32),
        "num_players": np.full(n, spec.players, np.int32),
        "policy_encoding": np.array("ringrift.policy/1"),
        "move_numbers": arrays["ply"].astype(np.int32),
        "total_game_moves": arrays["total_plies"].astype(np.int32),
        "phases": phases[arrays["phase"]],
        "victory_types": np.array(VICTORY_TYPES)[arrays["victory_type"]],
    }


def _check(bad: int) -> None:
    if bad >= 0:
        raise DataError(f"sample {bad} of a part is no position", where="array states")
