"""How the parts of the loop are, as `/health` lists them (`loop.md` 9)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ringrift.core.metrics_server import Answer

Component = Literal["collect", "selfplay", "train", "evaluate", "promote", "bus", "store", "guard"]
COMPONENTS: tuple[Component, ...] = get_args(Component)
HealthWord = Literal["unknown", "healthy", "degraded", "unhealthy"]
UNHEALTHY_AFTER = 3
SILENT_S: Mapping[Component, float] = {"bus": 30.0, "store": 30.0}
"""Parts that every pass hears of: without a word for so long they are degraded."""
OF_JOB: Mapping[str, Component] = {
    "selfplay": "selfplay",
    "reanalyze": "selfplay",
    "dataset": "train",
    "train": "train",
    "companion": "train",
    "tune": "train",
    "verify": "evaluate",
    "match": "evaluate",
}


@dataclass(slots=True)
class _Part:
    """`at` is when it was heard of last, None before."""

    failures: int = 0
    at: float | None = None
    held: HealthWord | None = None
    words: str = ""

    def word(self, now: float, silent_s: float | None) -> HealthWord:
        if self.at is None:
            return "unknown"
        if self.held is not None:
            return self.held
        if self.failures >= UNHEALTHY_AFTER:
            return "unhealthy"
        silent = silent_s is not None and now - self.at > silent_s
        return "degraded" if self.failures or silent else "healthy"


@dataclass(slots=True)
class HealthBook:
    """Counts successes and failures of each part; any thread may tell and ask.

    A part is degraded after a failure, unhealthy after three in a row, and healthy again with the
    next success; bus and store are degraded when nothing was heard of them for `SILENT_S`.
    """

    clock: Callable[[], float] = time.monotonic
    _parts: dict[Component, _Part] = field(
        default_factory=lambda: {name: _Part() for name in COMPONENTS}
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def works(self, component: Component) -> None:
        """Note that a part did its work."""
        with self._lock:
            self._parts[component] = _Part(at=self.clock())

    def fails(self, component: Component, words: str) -> None:
        """Note that a part failed."""
        with self._lock:
            part = self._parts[component]
            part.failures += 1
            part.at, part.words = self.clock(), words

    def is_held(self, component: Component, word: HealthWord, words: str) -> None:
        """Note how a part is, whatever it did before."""
        with self._lock:
            self._parts[component] = _Part(at=self.clock(), held=word, words=words)

    def components(self) -> dict[str, dict[str, Any]]:
        """Return each part: status, failures in a row, age of the newest word in seconds."""
        now = self.clock()
        with self._lock:
            return {
                name: {
                    "status": part.word(now, SILENT_S.get(name)),
                    "failures": part.failures,
                    "age_s": None if part.at is None else round(now - part.at, 1),
                    "words": part.words,
                }
                for name, part in self._parts.items()
            }

    def answer(self) -> Answer:
        """Answer `/health`: not ok where a part is unhealthy."""
        components = self.components()
        words = [each["status"] for each in components.values()]
        gravest = next((w for w in ("unhealthy", "degraded", "healthy") if w in words), "unknown")
        return Answer(
            ok=gravest != "unhealthy", fields={"status": gravest, "components": components}
        )
