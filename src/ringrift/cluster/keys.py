"""The key of a node: made on it, never leaves it (`cluster.md` 15)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import nkeys

from ringrift.core.errors import DataError
from ringrift.core.files import sync_folder


@dataclass(frozen=True, slots=True)
class NodeKey:
    """A key pair: `public` names the node at the hub, `seed` proves it."""

    public: str
    seed: str = field(repr=False)


def node_key(path: Path) -> NodeKey:
    """Return the key in a file, making it if there is none; the file is for its owner alone.

    Raises `DataError` for a file that holds no key.
    """
    if not path.exists():
        _make(path)
    path.chmod(0o600)
    text = path.read_bytes().strip()
    try:
        pair = nkeys.from_seed(bytearray(text))
        public = bytes(pair.public_key).decode()
    except (nkeys.NkeysError, ValueError) as error:
        raise DataError(
            f"no node key: {error!r}", where=str(path), hint="remove the file for a new key"
        ) from None
    return NodeKey(public=public, seed=text.decode())


def _make(path: Path) -> None:
    """Write a new key; nobody else can read it at any instant."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(bytes(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)
