"""Check a dataset from its own bytes: hashes, order, targets, identity (data.md 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import RingriftError
from ringrift.data.dataset.identity import dataset_identity, plies_digest, versions_of
from ringrift.data.dataset.kernel import check_rows
from ringrift.data.dataset.reader import Dataset
from ringrift.data.dataset.seats import skewed_seat
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.position import WORKSPACE, board_view

_TOLERANCE = 1e-4
_FAULTS = ("", "is no position", "has another number of legal moves", "has an illegal target")


def check_dataset(folder: Path) -> list[str]:
    """Return what is wrong with a dataset, an empty list for nothing.

    Every position is decoded and its legal set made anew: the checks read all of it.
    """
    try:
        dataset = Dataset.open(folder)
        return list(_problems(dataset))
    except RingriftError as error:
        return [str(error)]


def _problems(dataset: Dataset) -> Iterator[str]:
    manifest = dataset.manifest
    spec = manifest.board_spec
    seats: Counter[int] = Counter()
    found: list[tuple[str, str, tuple[str, ...]]] = []
    samples = val = 0
    for number, arrays in enumerate(dataset.parts()):
        where = f"part {number}"
        n = len(arrays["ply"])
        samples += n
        val += int(arrays["split_val"].sum())
        seats.update(arrays["mover"].tolist())
        yield from (f"{where}: {told}" for told in _faults(arrays, spec))
        for first, stop in _games(arrays["game"]):
            game = int(arrays["game"][first])
            facts = manifest.game_facts[game]
            digest = plies_digest(arrays["ply"][first:stop])
            found.append((manifest.game_ids[game], digest, tuple(facts["searches"])))
    if (samples, val) != (manifest.samples, manifest.val_samples):
        yield f"{samples:,} samples, {val:,} of them for validation; the manifest says otherwise"
    if [identity for identity, *_ in found] != list(manifest.game_ids):
        yield "the games are not those of the manifest, in their order"
    versions = versions_of(spec, manifest.export_options)
    if versions != dict(manifest.versions):
        yield "written by other versions of rules, codec or encoder"
    elif dataset_identity(versions, manifest.options, found) != manifest.id:
        yield "the id is not the hash of the content"
    skewed = skewed_seat(seats, spec.players)
    if skewed is not None:
        yield skewed


def _faults(arrays: Mapping[str, NDArray[Any]], spec: BoardSpec) -> Iterator[str]:
    n = len(arrays["ply"])
    order = arrays["game"].astype(np.int64) << 32 | arrays["ply"]
    if (np.diff(order) <= 0).any():
        yield "samples are not in the order of game and ply"
    pointer = arrays["policy_ptr"]
    probabilities = arrays["policy_probs"]
    if len(pointer) != n + 1 or pointer[0] != 0 or pointer[-1] != len(probabilities):
        yield "policy_ptr does not delimit the targets"
        return
    if (np.diff(pointer) < 1).any():
        yield "a sample has no target"
        return
    masses = np.add.reduceat(probabilities.astype(np.float64), pointer[:-1])
    if (probabilities <= 0).any() or (np.abs(masses - 1) > _TOLERANCE).any():
        yield "a target is no distribution"
    if "states" not in arrays:
        return
    answer = np.zeros(2, np.int64)
    check_rows(
        arrays["states"],
        lay.view(lay.zeros(1, lay.STATE)),
        board_view(spec),
        WORKSPACE.scratch,
        np.zeros(spec.max_moves, np.int64),
        arrays["legal_count"],
        pointer,
        arrays["policy_moves"].astype(np.int64),
        answer,
    )
    if answer[0] >= 0:
        yield f"sample {answer[0]} {_FAULTS[int(answer[1])]}"


def _games(game: NDArray[np.int32]) -> Iterator[tuple[int, int]]:
    """Yield (first, stop) of the samples of each game."""
    bounds = np.flatnonzero(np.diff(game, prepend=-1)).tolist()
    yield from zip(bounds, [*bounds[1:], len(game)], strict=True)
