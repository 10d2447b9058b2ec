"""Call again what failed for a moment, with the attempts and ceilings of the settings (`core.md` 7)."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ringrift.core.breakers import shown_error
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from stamina import Attempt

log = get_logger(__name__)


class SshSettings(Protocol):
    """The keys of section `ssh` that are read here."""

    @property
    def max_retries(self) -> int:
        """Tries after the first."""

    @property
    def base_delay_seconds(self) -> float:
        """Wait before the second try."""

    @property
    def max_delay_seconds(self) -> float:
        """Longest wait."""


class IngestionSettings(Protocol):
    """The keys of section `data_ingestion` that are read here."""

    @property
    def retry_max_attempts(self) -> int:
        """Tries in all."""

    @property
    def retry_base_delay_seconds(self) -> float:
        """Wait before the second try."""


class Attempts(Protocol):
    """What `Retries.of` returns: iterate over it with `for` or `async for`."""

    def __iter__(self) -> Iterator[Attempt]:
        """Yield one context manager per try."""

    def __aiter__(self) -> AsyncIterator[Attempt]:
        """Yield one context manager per try, sleeping without blocking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Say how often and how long to try; waits double from `base_delay_s` to `max_delay_s`.

    Only for calls that may be made twice: reads, and writes under a name or key that makes the
    second one harmless. A call that creates, pays for or sends something must not stand in here:
    the first try may have worked although its answer was lost.
    """

    attempts: int = 3
    base_delay_s: float = 1.0
    max_delay_s: float = 30.0
    timeout_s: float | None = None

    @classmethod
    def from_ssh(cls, settings: SshSettings) -> Retries:
        """Return the retries of section `ssh`: one try and `max_retries` more."""
        return cls(
            attempts=settings.max_retries + 1,
            base_delay_s=settings.base_delay_seconds,
            max_delay_s=settings.max_delay_seconds,
        )

    @classmethod
    def from_ingestion(cls, settings: IngestionSettings, *, max_delay_s: float = 600.0) -> Retries:
        """Return the retries of section `data_ingestion`."""
        return cls(
            attempts=settings.retry_max_attempts,
            base_delay_s=settings.retry_base_delay_seconds,
            max_delay_s=max_delay_s,
        )

    def of(self, *on: type[Exception], what: str) -> Attempts:
        """Return the tries of a block that may fail with `on`; the last error is raised.

            for attempt in retries.of(OSError, what="hub status"):
                with attempt:
                    answer = fetch()

        Each failed try is logged as `what`, without arguments. A `BreakerOpen` is not retried
        unless it is named.
        """
        import stamina

        _log_with_us()
        context: Attempts = stamina.retry_context(
            on=on,
            attempts=self.attempts,
            timeout=self.timeout_s,
            wait_initial=self.base_delay_s,
            wait_max=self.max_delay_s,
            wait_jitter=min(1.0, self.base_delay_s),
        ).with_name(what, (), {})
        return context


_hooked = threading.Event()


def _log_with_us() -> None:
    """Send `stamina`'s events to our log; its own hook prints arguments to standard output."""
    if _hooked.is_set():
        return
    from stamina.instrumentation import set_on_retry_hooks

    set_on_retry_hooks([_log_retry])
    _hooked.set()


def _log_retry(details: Any) -> None:
    log.info(
        "retry",
        what=details.name,
        attempt=details.retry_num + 1,
        wait_s=details.wait_for,
        error=shown_error(details.caused_by),
    )
