"""NPZ files whose bytes depend on their arrays alone, without objects (data.md 4)."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import DataError

_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_MODE = 0o100644


def write_npz(file: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays, in their order, to an open file; uncompressed, so that they can be mapped."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as zipped:
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise ValueError(f"array {name} holds objects")
            info = zipfile.ZipInfo(f"{name}.npy", _DATE)
            info.create_system = _UNIX
            info.external_attr = _MODE << 16
            with zipped.open(info, "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array, order="C"), allow_pickle=False)


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return all arrays of a file; raises `DataError` naming the file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise DataError(f"no usable NPZ file: {error}", where=str(path)) from None


def read_array(path: Path, name: str) -> NDArray[Any]:
    """Return one array of a file; raises `DataError` naming file and array."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found: NDArray[Any] = file[name]
            return found
    except KeyError:
        raise DataError(f"no array {name}", where=str(path)) from None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"no usable NPZ file: {error}", where=str(path)) from None
