"""The exit codes of every command (`commands.md` 1); no command uses others."""

from __future__ import annotations

EXIT_CODES: dict[int, str] = {
    0: "done (also: nothing to do)",
    1: "ran to its end, the answer is negative: check failed, unhealthy, nothing found",
    2: "usage: unknown option, name, pattern, agent spec",
    3: "not running or not reachable",
    4: "refused: authentication, version, identity, duplicate id, unverified data",
    5: "partly done; the table says which",
    6: "bad input data (file, row, field)",
    70: "defect of ours; log path and report line are printed",
    75: "try later: resource limit, lock held, port taken",
    78: "settings invalid: file or environment variable (name, line, key)",
    130: "interrupted; what was finished is kept",
    143: "terminated; what was finished is kept",
}
