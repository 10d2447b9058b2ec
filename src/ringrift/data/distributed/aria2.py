"""Downloads by `aria2c`, where it is installed: many connections, all mirrors at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.log import get_logger
from ringrift.data.distributed.metalink import write_metalink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringrift.data.distributed.metalink import Metalink

log = get_logger(__name__)

CONNECTIONS = 16
LEAST_RATE_BYTES_S = 50_000
"""What a download is granted: the time its bytes take at this rate, and a minute."""

_OPTIONS = {
    "allow-overwrite": "true",
    "auto-file-renaming": "false",
    "check-integrity": "true",
    "connect-timeout": "10",
    "console-log-level": "warn",
    "enable-color": "false",
    "file-allocation": "none",
    "follow-metalink": "mem",
    "max-connection-per-server": str(CONNECTIONS),
    "max-tries": "3",
    "min-split-size": "1M",
    "retry-wait": "1",
    "show-console-readout": "false",
    "split": str(CONNECTIONS),
    "summary-interval": "0",
    "timeout": "30",
}
_DISTRUST = "hecksum"  # of "Checksum error detected" and "Invalid checksum index"


@dataclass(frozen=True, slots=True)
class Aria2Run:
    """Tell how a download ended; `distrust` if a hash was wrong on the way."""

    ok: bool
    distrust: bool
    output: str


def aria2_program() -> str | None:
    """Return the path of `aria2c`, None where it is not installed."""
    return shutil.which("aria2c")


def fetch_by_aria2(
    program: str, link: Metalink, target: Path, headers: Mapping[str, str]
) -> Aria2Run:
    """Download a file into `target` from all mirrors of its metalink.

    The options go through a file that only its owner may read, and so does the token: other
    users see the words of a command.
    """
    with tempfile.TemporaryDirectory(prefix="ringrift-aria2-") as name:
        folder = Path(name)  # mode 0700
        metalink = folder / "file.meta4"
        metalink.write_bytes(write_metalink(replace(link, name=target.name)))
        lines = [f"{key}={value}" for key, value in _OPTIONS.items()]
        lines += [f"header={key}: {value}" for key, value in headers.items()]
        lines += [f"dir={target.parent}", f"metalink-file={metalink}"]
        lines += [f"stop-with-process={os.getpid()}"]
        options = folder / "options"
        options.write_text("\n".join(lines) + "\n", encoding="utf-8")
        limit_s = 60 + link.size_bytes / LEAST_RATE_BYTES_S
        try:
            done = subprocess.run(  # noqa: S603 - the program is aria2c, its words are ours
                [program, f"--conf-path={options}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Aria2Run(ok=False, distrust=False, output=f"not done after {limit_s:.0f} s")
        except OSError as error:
            return Aria2Run(ok=False, distrust=False, output=f"cannot be started: {error.strerror}")
    text = done.stdout.decode("utf-8", "replace")
    log.debug("aria2c", code=done.returncode, output=text)
    return Aria2Run(ok=done.returncode == 0, distrust=_DISTRUST in text, output=text)
