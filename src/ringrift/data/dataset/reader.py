"""Read datasets back: all arrays, part by part, and the blocks they were made from (data.md 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import DataError, RefusedError
from ringrift.data.dataset.block import BlockHeader, write_block
from ringrift.data.dataset.manifest import Manifest, Part
from ringrift.data.dataset.npz import read_npz
from ringrift.data.dataset.write import file_digest

Arrays = dict[str, NDArray[Any]]

RAGGED = {
    "policy_ptr": ("policy_moves", "policy_probs", "policy_indices", "policy_values"),
    "feature_ptr": ("feature_indices",),
}
"""Arrays that hold several entries for a sample, by the one that delimits them."""
SINGLE = ("board_type", "board_size", "policy_encoding", "manifest")
"""Arrays that every part has once."""


class Dataset:
    """A dataset on disk; its parts are read when they are asked for."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def open(cls, folder: Path, *, check: bool = True) -> Dataset:
        """Open a dataset's folder or its one `.npz` file.

        With `check` the SHA-256 of every part is compared. Raises `DataError` naming a part that is
        missing or altered, `RefusedError` for other rules than today's.
        """
        folder = Path(folder)
        found = cls(folder, Manifest.read(folder))
        _ = found.manifest.board_spec
        if check:
            for part in found.manifest.parts:
                found.check_part(part)
        return found

    def __len__(self) -> int:
        return self.manifest.samples

    def check_part(self, part: Part) -> None:
        """Raise `DataError` unless a part is the file that was written."""
        path = self.path / part.name
        if not path.is_file():
            raise DataError("a part of the dataset is missing", where=str(path))
        size = path.stat().st_size
        if size != part.size_bytes:
            raise DataError(f"found {size:,} bytes; expected {part.size_bytes:,}", where=str(path))
        digest = file_digest(path)
        if digest != part.sha256:
            raise DataError(
                f"found SHA-256 {digest[:16]}; expected {part.sha256[:16]}", where=str(path)
            )

    def parts(self) -> Iterator[Arrays]:
        """Yield the arrays of each part in turn."""
        if self.path.is_file():
            yield read_npz(self.path)
        for part in self.manifest.parts:
            yield read_npz(self.path / part.name)

    @cached_property
    def arrays(self) -> Arrays:
        """The arrays of the whole dataset, in memory."""
        parts = list(self.parts())
        pointers = {name for name in RAGGED if name in parts[0]}
        found: Arrays = {}
        for name in parts[0]:
            if name in SINGLE:
                found[name] = parts[0][name]
            elif name in pointers:
                found[name] = _joined_pointer([part[name] for part in parts])
            else:
                found[name] = np.concatenate([part[name] for part in parts])
        return found

    def blocks(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield (game id, split, block) as they were when the dataset was written.

        Raises `RefusedError` for a dataset that holds features only.
        """
        if self.manifest.options["contents"] == "features":
            raise RefusedError(
                "a dataset of features alone cannot be extended",
                where=str(self.path),
                hint="--contents both",
            )
        for arrays in self.parts():
            bounds = np.flatnonzero(np.diff(arrays["game"], prepend=-1)).tolist()
            for first, stop in zip(bounds, [*bounds[1:], len(arrays["game"])], strict=True):
                yield _block(self.manifest, arrays, first, stop)


def _joined_pointer(pointers: list[NDArray[Any]]) -> NDArray[np.int64]:
    counts = np.concatenate([np.diff(pointer) for pointer in pointers])
    joined = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=joined[1:])
    return joined


def _block(
    manifest: Manifest, arrays: Mapping[str, NDArray[Any]], first: int, stop: int
) -> tuple[str, str, bytes]:
    game = int(arrays["game"][first])
    facts = manifest.game_facts[game]
    players = int(manifest.spec["players"])
    pointer = arrays["policy_ptr"]
    entries = slice(int(pointer[first]), int(pointer[stop]))

    def seats(name: str) -> tuple[int, ...]:
        return tuple(arrays[name][first, :players].tolist())

    split = "val" if arrays["split_val"][first] else _side(manifest)
    header = BlockHeader(
        game=manifest.game_ids[game],
        play=facts["play"],
        split=split,
        spec=manifest.spec["hash"],
        searches=tuple(facts["searches"]),
        agents=tuple(facts["agents"]),
        plies=int(arrays["total_plies"][first]),
        end=facts["end"],
        reason=facts["reason"],
        ranks=tuple(facts["ranks"]),
        elim=seats("final_elim"),
        terr=seats("final_terr"),
        hand=seats("final_hand"),
        samples=stop - first,
        entries=entries.stop - entries.start,
        state_bytes=int(arrays["states"].shape[1]),
        cells=int(arrays["final_owner"].shape[1]),
        decisions=int(facts["decisions"]),
        recorded=int(facts["recorded"]),
    )
    own = ("policy_weight", "base_weight", "prior_kl", "q", "ply", "legal_count", "sims")
    small = ("sym_mask", "mover", "phase", "policy_source", "q_mask", "states")
    data = write_block(
        header,
        {
            **{name: arrays[name][first:stop] for name in (*own, *small)},
            "policy_moves": arrays["policy_moves"][entries],
            "policy_probs": arrays["policy_probs"][entries],
            "policy_count": np.diff(pointer[first : stop + 1]),
            "final_owner": arrays["final_owner"][first],
        },
    )
    return header.game, split, data


def _side(manifest: Manifest) -> str:
    return "holdout" if "holdout" in manifest.options["splits"] else "train"
