"""The arrays of a part of a dataset, made from the blocks of its games (data.md 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ringrift.data.dataset.features import customary, encoder_of, policy_entries_of
from ringrift.data.dataset.values import SEATS, rank_values, victory_type, win_shares

if TYPE_CHECKING:
    from ringrift.data.dataset.block import BlockHeader
    from ringrift.data.dataset.options import ExportOptions
    from ringrift.rules import BoardSpec

Arrays = dict[str, NDArray[Any]]

_COPIED = (
    "policy_weight",
    "base_weight",
    "prior_kl",
    "q",
    "q_mask",
    "policy_source",
    "ply",
    "mover",
    "phase",
    "legal_count",
    "sims",
    "sym_mask",
    "states",
)
_SAMPLE_BYTES = 176
"""Size of what every sample has beside its state, its targets and its board."""
_ENTRY_BYTES = 12
_DENSE_BYTES = 200


def sizes_of(header: BlockHeader, spec: BoardSpec, options: ExportOptions) -> int:
    """Return how many bytes a game adds to a part, an upper bound."""
    each = _SAMPLE_BYTES + header.state_bytes + header.cells
    entry = _ENTRY_BYTES
    if options.dense:
        each += encoder_of(options.encoder).bytes_per_sample(spec.board) + _DENSE_BYTES
        entry += 12
    return header.samples * each + header.entries * entry


def part_arrays(
    games: Sequence[tuple[int, BlockHeader, Mapping[str, NDArray[Any]], NDArray[np.float32]]],
    spec: BoardSpec,
    options: ExportOptions,
) -> Arrays:
    """Put games together, given as (index, header, arrays, sample weights), in their order."""
    counts = [header.samples for _, header, _, _ in games]
    arrays: Arrays = {
        "values_mp": _per_game(games, counts, _rank_row(options)),
        "win": _per_game(games, counts, lambda header: win_shares(header.ranks)),
    }
    movers = _joined(games, "mover").astype(np.int64)
    arrays["values"] = arrays["values_mp"][np.arange(len(movers)), movers - 1]
    for name in _COPIED:
        arrays[name] = _joined(games, name)
    entries = _joined(games, "policy_count")
    pointer = np.zeros(len(entries) + 1, np.int64)
    np.cumsum(entries, out=pointer[1:])
    arrays["policy_ptr"] = pointer
    arrays["policy_moves"] = _joined(games, "policy_moves")
    arrays["policy_probs"] = _joined(games, "policy_probs")
    arrays["weight"] = np.concatenate([weights for *_, weights in games])
    arrays["value_weight"] = _per_game(
        games, counts, lambda header: np.float32(1.0 if header.finished else 0.0)
    )
    owners = [np.tile(block["final_owner"], (n, 1)) for (_, _, block, _), n in _with(games, counts)]
    arrays["final_owner"] = np.concatenate(owners)
    for name in ("terr", "elim", "hand"):
        arrays[f"final_{name}"] = _per_game(games, counts, _margin_row(name))
    arrays["game"] = np.repeat(np.array([index for index, *_ in games], np.int32), counts)
    arrays["total_plies"] = _per_game(games, counts, lambda header: np.int32(header.plies))
    arrays["victory_type"] = _per_game(
        games, counts, lambda header: np.int8(victory_type(header.reason))
    )
    arrays["split_val"] = _per_game(games, counts, lambda header: np.bool_(header.split == "val"))
    if options.dense:
        _add_dense(arrays, spec, options)
    return {name: arrays[name] for name in sorted(arrays)}


def _add_dense(arrays: Arrays, spec: BoardSpec, options: ExportOptions) -> None:
    arrays.update(encoder_of(options.encoder).features(spec, arrays["states"]))
    arrays["policy_indices"] = policy_entries_of(
        spec, arrays["states"], arrays["policy_ptr"], arrays["policy_moves"]
    )
    arrays["policy_values"] = arrays["policy_probs"]
    arrays.update(customary(spec, arrays))
    if options.contents == "features":
        del arrays["states"]


def _with(games: Sequence[Any], counts: Sequence[int]) -> Any:
    return zip(games, counts, strict=True)


def _joined(games: Sequence[Any], name: str) -> NDArray[Any]:
    return np.concatenate([block[name] for _, _, block, _ in games])


def _per_game(games: Sequence[Any], counts: Sequence[int], row: Any) -> NDArray[Any]:
    """Repeat what `row` says of a game for each of its samples."""
    return np.repeat(np.stack([row(header) for _, header, _, _ in games]), counts, axis=0)


def _rank_row(options: ExportOptions) -> Any:
    aware = options.rank_aware_values
    return lambda header: rank_values(header.ranks, rank_aware=aware)


def _margin_row(name: str) -> Any:
    def row(header: BlockHeader) -> NDArray[np.int16]:
        values = np.zeros(SEATS, np.int16)
        found = getattr(header, name)
        values[: len(found)] = found
        return values

    return row
