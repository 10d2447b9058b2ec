"""Tell what a pickle would import, by reading its opcodes; nothing of it is ever executed."""

from __future__ import annotations

import pickletools
import zipfile
from io import BytesIO

MAGIC = (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
MOST_BYTES = 64 << 20
"""The longest pickle that is read; that of a state dict has some kilobytes."""

# What a file of weights alone needs: names of tensors, their storages and how they are put together.
_WEIGHTS = {
    ("collections", "OrderedDict"),
    ("torch", "Size"),
    ("torch", "device"),
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch.nn.parameter", "Parameter"),
    ("torch.storage", "UntypedStorage"),
    ("torch.storage", "TypedStorage"),
}


def is_pickle(data: bytes) -> bool:
    """Tell whether bytes begin as a pickle or as a zip archive, in which torch keeps one."""
    return data.startswith(MAGIC)


def foreign_names(data: bytes) -> tuple[str, ...]:
    """Return what a pickle loads beyond weights, sorted; raises `ValueError` for a damaged one."""
    found: set[str] = set()
    for pickled in _streams(data):
        found |= {
            f"{module}.{name}" for module, name in _globals(pickled) if _foreign(module, name)
        }
    return tuple(sorted(found))


def _foreign(module: str, name: str) -> bool:
    storage = module == "torch" and (name.endswith("Storage") or name in _DTYPES)
    return (module, name) not in _WEIGHTS and not storage


_DTYPES = {
    "float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool",
}  # fmt: skip


def _streams(data: bytes) -> list[bytes]:
    if not data.startswith(b"PK"):
        return [data]
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            inside = [i for i in archive.infolist() if i.filename.endswith(".pkl")]
            if any(info.file_size > MOST_BYTES for info in inside):
                raise ValueError(f"a pickle of more than {MOST_BYTES} bytes")
            return [archive.read(info) for info in inside]
    except zipfile.BadZipFile as error:
        raise ValueError(f"a damaged archive: {error}") from None


def _globals(pickled: bytes) -> set[tuple[str, str]]:
    """Return module and name of each import; one whose name is computed counts as `?`."""
    found: set[tuple[str, str]] = set()
    words: list[str] = []
    stream = BytesIO(pickled)
    while stream.tell() < len(pickled):  # old torch files hold several pickles, then raw bytes
        began = stream.tell()
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name in ("GLOBAL", "INST"):
                    module, _, name = str(argument).partition(" ")
                    found.add((module, name))
                elif opcode.name == "STACK_GLOBAL":
                    known = len(words) >= 2
                    found.add((words[-2], words[-1]) if known else ("?", "?"))
                elif opcode.name in ("EXT1", "EXT2", "EXT4"):
                    found.add(("copyreg", f"extension {argument}"))
                elif isinstance(argument, str):
                    words.append(argument)
                elif opcode.name in ("GET", "BINGET", "LONG_BINGET"):
                    words += ["?", "?"]  # a name taken from the memo is not followed
        except (ValueError, UnicodeDecodeError, OverflowError):
            if began == 0:
                raise
            break
    return found
