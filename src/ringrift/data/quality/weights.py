"""Weights of games by the ratings of their agents, and their file (data.md 7)."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic

_STEPS = ((1300.0, 0.1), (1400.0, 0.5), (1500.0, 1.0), (1600.0, 1.3))
_ID_DIGITS = 64


def quality_weight(mean_elo: float) -> float:
    """Return the weight of a game by the mean rating of its seats, before normalisation."""
    for below, weight in _STEPS:
        if mean_elo < below:
            return weight
    return 1.5 + min((mean_elo - 1600.0) / 200.0, 0.5)


def normalised(mean_elos: Sequence[float | None]) -> NDArray[np.float32]:
    """Return weights of mean 1, `float32[n]`; a game without a rating has weight 1 itself."""
    raw = np.array([0.0 if r is None else quality_weight(r) for r in mean_elos], np.float64)
    rated = np.array([r is not None for r in mean_elos], bool)
    if rated.any():
        raw[rated] /= raw[rated].mean()
    raw[~rated] = 1.0
    return raw.astype(np.float32)


def weights_file(folder: Path, config: str) -> Path:
    """Return where the weights of a configuration are written, as `square8_2p_quality_weights.npz`."""
    return folder / f"{config}_quality_weights.npz"


def write_weights(
    folder: Path,
    config: str,
    ids: Sequence[str],
    weights: NDArray[np.float32],
    facts: Mapping[str, Any],
) -> tuple[Path, Path]:
    """Write `game_ids` (S64, ascending) and `weights` (float32), and the facts as JSON beside.

    Equal weights give equal bytes.
    """
    order = np.argsort(np.array(ids, f"S{_ID_DIGITS}"), kind="stable")
    names = np.array(ids, f"S{_ID_DIGITS}")[order]
    folder.mkdir(parents=True, exist_ok=True)
    path = weights_file(folder, config)
    write_atomic(path, _npz({"game_ids": names, "weights": weights[order]}))
    beside = path.with_suffix(".json")
    write_atomic(beside, (json.dumps(dict(facts), indent=1) + "\n").encode())
    return path, beside


def read_weights(path: Path) -> dict[str, float]:
    """Return the weight of each game id; raises `DataError` naming file and array."""
    try:
        with np.load(path, allow_pickle=False) as file:
            ids, weights = file["game_ids"], file["weights"]
    except KeyError as error:
        raise DataError(f"no array {error}", where=str(path)) from None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"no file of weights: {error}", where=str(path)) from None
    if ids.dtype != np.dtype(f"S{_ID_DIGITS}") or ids.ndim != 1:
        raise _wrong(path, "game_ids", ids, f"S{_ID_DIGITS}[n]")
    if weights.dtype != np.float32 or weights.shape != ids.shape:
        raise _wrong(path, "weights", weights, f"float32[{len(ids)}]")
    if (ids.view(np.uint8) > 127).any():
        raise DataError("found ids that are no text", where=f"{path} array game_ids")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise DataError(
            "found weights that are negative or no numbers", where=f"{path} array weights"
        )
    return dict(zip((i.decode("ascii") for i in ids.tolist()), weights.tolist(), strict=True))


def _wrong(path: Path, name: str, found: NDArray[Any], expected: str) -> DataError:
    shape = f"{found.dtype}{list(found.shape)}"
    return DataError(f"found {shape}; expected {expected}", where=f"{path} array {name}")


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as file:
        for name, array in arrays.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, array, allow_pickle=False)
            # A fixed date: the bytes depend on the content alone.
            file.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), part.getvalue())
    return whole.getvalue()
