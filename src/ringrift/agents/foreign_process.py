"""A program behind two pipes: one line out, one line back, with a time limit."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from ringrift.core.errors import RingriftError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_LINE = 1 << 20
END_WAIT_S = 1.0
CHUNK = 1 << 16


class ForeignFailed(RingriftError):
    """A program of others that cannot be started, ended, or answered something else."""

    exit_code = 5


class ForeignProcess:
    """A running program; it is ended with this object, and sees the end of its input after a kill.

    It has a process group of its own, so that Ctrl-C does not reach it before its game is over.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self._rest = b""
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - read once the program is dead
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the command that was asked for
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise self.failed(f"cannot be started: {error.strerror}") from None
        self._end = weakref.finalize(self, _end, self._process)

    def tell(self, line: str) -> None:
        """Send a line that has no answer."""
        assert self._process.stdin is not None
        data = memoryview(f"{line}\n".encode())
        try:
            while data:
                data = data[self._process.stdin.write(data) :]
        except OSError:
            raise self._ended() from None

    def ask(self, line: str, timeout_s: float) -> str:
        """Send a line and return the next one that comes back."""
        self.tell(line)
        return self.answer(timeout_s)

    def answer(self, timeout_s: float) -> str:
        """Return the next line that is not empty."""
        until_s = time.monotonic() + timeout_s
        while True:
            line, found, rest = self._rest.partition(b"\n")
            if not found:
                self._rest += self._read(until_s - time.monotonic(), timeout_s)
                continue
            self._rest = rest
            if line.strip():
                return line.decode("utf-8", "replace").strip()

    def failed(self, what: str) -> ForeignFailed:
        """Return the error that says what the program did."""
        return ForeignFailed(f"the program {' '.join(self._words)!r:.200} {what}")

    def close(self) -> None:
        """End the program: by the end of its input, then by force."""
        self._end()
        self._complaints.close()

    def _read(self, left_s: float, timeout_s: float) -> bytes:
        assert self._process.stdout is not None
        if len(self._rest) > MOST_LINE:
            raise self.failed(f"sent a line of more than {MOST_LINE} bytes")
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if left_s <= 0 or not selector.select(left_s):
                raise self.failed(f"did not answer within {timeout_s:g} s")
        data = os.read(self._process.stdout.fileno(), CHUNK)
        if not data:
            raise self._ended()
        return data

    def _ended(self) -> ForeignFailed:
        """Say how it ended and the last line of what it complained."""
        how = "closed its output"
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(END_WAIT_S)
            how = f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
        self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(0, self._complaints.tell() - CHUNK))
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        last = "".join(sign for sign in lines[-1] if sign.isprintable()) if lines else ""
        return self.failed(f"{how}: {last:.120}" if last else how)


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_WAIT_S)
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
