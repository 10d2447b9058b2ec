"""Say which models are in use: a lease keeps a model's file from being pruned (`models.md` 7).

A lease is the file `models/leases/<id>/<holder>.json`, touched every 30 s while it is held; one
that was not touched for 90 s is nobody's. A model that is marked for removal is saved by a lease
that comes before the removal.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ringrift.core.errors import RefusedError
from ringrift.core.files import lock, write_atomic
from ringrift.core.ids import short
from ringrift.models.registry import model_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

RENEW_S = 30.0
EXPIRES_S = 90.0
LOCK_WAIT_S = 20.0


def take(models: Path, model_id: str, holder: str, *, purpose: str = "selfplay") -> Path:
    """Write a lease and return its file; raises `RefusedError` where the model has no file."""
    place = models / "leases" / model_id / f"{holder}.json"
    with removal_lock(models):
        if not model_path(models / "objects", model_id).is_file():
            raise RefusedError(
                f"model {short(model_id)} has no file", hint="ringrift models restore"
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(place, json.dumps({"holder": holder, "purpose": purpose}).encode() + b"\n")
    return place


@contextmanager
def held(
    models: Path, model_ids: Sequence[str], *, holder: str | None = None, purpose: str = "selfplay"
) -> Iterator[None]:
    """Hold leases on some models while the block runs, renewed in a thread of their own."""
    name = holder or f"{socket.gethostname()}-{os.getpid()}"
    places = [take(models, model_id, name, purpose=purpose) for model_id in model_ids]
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(RENEW_S):
            for place in places:
                with suppress(OSError):  # somebody removed it: the next renewal is of the others
                    os.utime(place)

    thread = threading.Thread(target=renew, name="model-leases", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for place in places:
            place.unlink(missing_ok=True)


def holders(models: Path, *, now: float | None = None) -> dict[str, list[str]]:
    """Return who holds each model, by its id; expired leases are not in it."""
    now = time.time() if now is None else now
    found: dict[str, list[str]] = {}
    for place in sorted((models / "leases").glob("*/*.json")):
        with suppress(FileNotFoundError):
            if now - place.stat().st_mtime < EXPIRES_S:
                found.setdefault(place.parent.name, []).append(place.stem)
    return found


@contextmanager
def removal_lock(models: Path) -> Iterator[None]:
    """Hold what keeps a lease and a removal of the same model apart."""
    with lock(models / ".removal.lock", timeout_s=LOCK_WAIT_S, what="the removal of models"):
        yield
