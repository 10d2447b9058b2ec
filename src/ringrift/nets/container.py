"""The container of models: tensors and card under one content id, in one file (models.md 1).

`id = content_id("model", canonical tensors | canonical card)`. A file is a safetensors file whose
header carries id and card and whose every byte follows from them, so the same model is the same
file everywhere and any altered byte shows. What describes a file without identifying it (when and
where it was made, its label) stands beside it in `<id>.json`.

Tensors are NumPy arrays here and nothing imports torch; `model_file` and `nnue.file` know what a
card of their kind means.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as read_tensors
from safetensors.numpy import save as tensor_bytes

from ringrift.core.errors import RefusedError
from ringrift.core.files import write_atomic
from ringrift.core.ids import canonical_json, content_id, short

if TYPE_CHECKING:
    from ringrift.rules.spec import BoardSpec

SCHEMA = 1
SUFFIX = ".safetensors"
LARGEST_HEADER = 100_000_000
"""Bytes of a header at most, as in safetensors."""

Card = dict[str, Any]
Tensors = Mapping[str, NDArray[Any]]

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "schema": int,
    "kind": str,
    "config": str,
    "board": str,
    "players": int,
    "board_spec_hash": str,
    "rules_version": str,
    "encoder": dict,
    "policy_layout_hash": str,
    "codec_hash": str,
    "architecture": dict,
    "value_utility": str,
    "training": (dict, type(None)),
    "parents": list,
    "probe": dict,
}

_verified: set[bytes] = set()
"""SHA-256 of the files whose bytes this process has compared with their id."""


class ModelError(RefusedError):
    """A model file that is missing, damaged, or made for something else.

    `code` is one of models.md 6, or `missing`; `ref` names the file; `detail` says what was found
    and expected.
    """

    def __init__(self, code: str, ref: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}", where=ref)
        self.code = code
        self.ref = ref
        self.detail = detail


# --- writing


def write_model(folder: Path, tensors: Tensors, card: Card, *, label: str | None = None) -> Path:
    """Write a model to `folder/<id[:2]>/<id>.safetensors` and return that path.

    The file appears whole and read-only, after the description beside it; if it is there already
    nothing changes.
    """
    identity = model_id(tensors, card)
    path = folder / identity[:2] / f"{identity}{SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_atomic(path.with_suffix(".json"), description(card, identity, label))
        write_atomic(path, _file_bytes(tensors, card, identity))
        path.chmod(0o444)
    return path


def description(card: Card, identity: str, label: str | None) -> bytes:
    """Return what stands beside a model's file: its card, and when and where it was described."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    described = {
        **card,
        "id": identity,
        "created_at": now,
        "host": socket.gethostname(),
        "label": label,
    }
    return json.dumps(described, indent=1, sort_keys=True, allow_nan=False).encode()


def model_id(tensors: Tensors, card: Card) -> str:
    """Return the id over tensors (sorted by name) and the identifying card."""
    parts = []
    for name in sorted(tensors):
        array = np.ascontiguousarray(
            tensors[name].astype(tensors[name].dtype.newbyteorder("<"), copy=False)
        )
        head = canonical_json([name, array.dtype.str, list(array.shape)])
        parts += [struct.pack("<Q", len(head)), head, array.tobytes()]
    return content_id("model", b"".join((*parts, b"|", canonical_json(card))))


def _file_bytes(tensors: Tensors, card: Card, identity: str) -> bytes:
    # one metadata entry: safetensors writes several in the random order of a hash map
    described = canonical_json({"card": card, "id": identity}).decode()
    return tensor_bytes(dict(tensors), metadata={"ringrift": described})


# --- reading


def read_model(path: Path) -> tuple[str, Card, dict[str, NDArray[Any]]]:
    """Return id, identifying card and tensors of a file after checking its bytes against its id.

    A file whose bytes were right once in this process is only read again. Raises `ModelError` for
    whatever is not exactly right; whether the model fits is not asked.
    """
    ref = str(path)
    data = _read(path, ref)
    digest = hashlib.sha256(data).digest()
    card, identity, tensors = _parse(data, ref)
    _check_name(path, identity)
    if digest not in _verified:
        _check_identity(data, card, identity, tensors, ref)
        _check_card(card, ref)
        _verified.add(digest)
    return identity, card, tensors


def read_header(path: Path) -> tuple[str, Card]:
    """Return id and card as the header of a file says them; its tensors are not read.

    Raises `ModelError` where the file is missing, shorter than it announces, or without a card;
    whether its bytes are those of its id is not asked.
    """
    ref = str(path)
    try:
        with path.open("rb") as file:
            start = file.read(8)
            size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            data = start + (file.read(size) if size <= LARGEST_HEADER else b"")
            size_bytes = file.seek(0, 2)
    except FileNotFoundError:
        raise ModelError("missing", ref, "there is no such file") from None
    except OSError as error:
        raise ModelError("missing", ref, f"the file cannot be read: {error.strerror}") from error
    card, identity = _described(data, size_bytes, ref)
    _check_name(path, identity)
    return identity, card


def read_card(path: Path) -> tuple[str, Card]:
    """Return id and identifying card of a model file after checking its bytes against its id."""
    identity, card, _ = read_model(path)
    return identity, card


def check_kind(card: Card, kinds: tuple[str, ...], ref: str) -> None:
    """Raise `ModelError` unless a card is of one of `kinds`."""
    if card["kind"] not in kinds:
        wanted = " or ".join(map(repr, kinds))
        raise ModelError("card_invalid", ref, f"kind {card['kind']!r}; expected {wanted}")


def check_fit(card: Card, needed: Card, spec: BoardSpec, ref: str) -> None:
    """Raise `ModelError` for the first field of a card that is not what `spec` needs."""
    codes = {"encoder": "unknown_encoder", "policy_layout_hash": "layout_mismatch"}
    for name, expected in needed.items():
        if card[name] != expected:
            detail = f"{name}: the model has {card[name]}, {spec.config} needs {expected}"
            if card["config"] != spec.config:
                detail = f"made for {card['config']}, asked for {spec.config}; {detail}"
            raise ModelError(codes.get(name, "spec_mismatch"), ref, detail)


def check_tensors(tensors: Tensors, expected: Mapping[str, tuple[int, ...]], ref: str) -> None:
    """Raise `ModelError` unless the tensors are exactly those `expected`, and finite."""
    for name in sorted(expected.keys() | tensors.keys()):
        here, there = tensors.get(name), expected.get(name)
        if here is None or there is None or here.shape != there:
            found = "missing" if here is None else here.shape
            wanted = "no such tensor" if there is None else there
            raise ModelError("shape_mismatch", ref, f"tensor {name}: {found}; expected {wanted}")
        if not bool(np.isfinite(here).all()):
            raise ModelError("not_finite", ref, f"tensor {name} holds infinity or NaN")


def _read(path: Path, ref: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError("missing", ref, "there is no such file") from None
    except OSError as error:
        raise ModelError("missing", ref, f"the file cannot be read: {error.strerror}") from error


def _parse(data: bytes, ref: str) -> tuple[dict[str, Any], str, dict[str, NDArray[Any]]]:
    card, identity = _described(data, len(data), ref)
    try:
        return card, identity, read_tensors(data)
    except SafetensorError as error:
        raise ModelError("not_safetensors", ref, f"tensors cannot be read: {error}") from None


def _described(data: bytes, size_bytes: int, ref: str) -> tuple[dict[str, Any], str]:
    """Return card and id in the header with which `data` begins; the file has `size_bytes`."""
    if not data:
        raise ModelError("empty", ref, "the file has no bytes")
    if data[:2] in (b"PK", b"\x80\x02"):
        raise ModelError("unsafe_pickle", ref, "a pickle; models are safetensors files")
    header, end = _header(data, ref)
    if size_bytes < end:
        raise ModelError("truncated", ref, f"{size_bytes} bytes; the header announces {end}")
    metadata = header.get("__metadata__")
    text = metadata.get("ringrift") if isinstance(metadata, dict) else None
    if text is None:
        raise ModelError("card_missing", ref, "the header holds no card")
    try:
        described = json.loads(text)
        card, identity = described["card"], described["id"]
    except (ValueError, KeyError, TypeError):
        raise ModelError("card_invalid", ref, "the card in the header cannot be read") from None
    if not isinstance(card, dict) or not isinstance(identity, str):
        raise ModelError("card_invalid", ref, "the card in the header is no object with an id")
    return card, identity


def _header(data: bytes, ref: str) -> tuple[dict[str, Any], int]:
    """Return the header and the length the file must have."""
    problem = "the file does not begin with a safetensors header"
    if len(data) < 8:
        raise ModelError("truncated", ref, f"{len(data)} bytes; a header alone has more")
    (size,) = struct.unpack("<Q", data[:8])
    if size > LARGEST_HEADER or data[8:9] != b"{":
        raise ModelError("not_safetensors", ref, problem)
    if len(data) < 8 + size:
        raise ModelError("truncated", ref, f"{len(data)} bytes; the header alone has {8 + size}")
    try:
        header = json.loads(data[8 : 8 + size])
        ends = [entry["data_offsets"][1] for n, entry in header.items() if n != "__metadata__"]
        return header, 8 + size + max(map(int, ends), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise ModelError("not_safetensors", ref, problem) from None


def _check_name(path: Path, identity: str) -> None:
    stem = path.name.removesuffix(SUFFIX)
    if len(stem) == len(identity) and stem != identity:
        detail = f"content {short(identity)}; file {short(stem)}"
        raise ModelError("hash_mismatch", str(path), detail)


def _check_identity(
    data: bytes, card: dict[str, Any], identity: str, tensors: dict[str, NDArray[Any]], ref: str
) -> None:
    try:
        found = model_id(tensors, card)
    except Exception as error:  # a damaged card may hold what canonical JSON cannot
        raise ModelError("card_invalid", ref, f"the card has no canonical form: {error}") from error
    if found != identity:
        raise ModelError("hash_mismatch", ref, f"content {short(found)}; named {short(identity)}")
    if _file_bytes(tensors, card, identity) != data:
        raise ModelError("hash_mismatch", ref, "bytes of the file were altered")


def _check_card(card: dict[str, Any], ref: str) -> None:
    if card.get("schema") != SCHEMA:
        detail = f"card schema {card.get('schema')!r}; this version reads {SCHEMA}"
        raise ModelError("card_invalid", ref, detail)
    for name, kind in _FIELDS.items():
        if name not in card or not isinstance(card[name], kind):
            found = repr(card[name])[:60] if name in card else "nothing"
            raise ModelError("card_invalid", ref, f"card field {name}: found {found}")
