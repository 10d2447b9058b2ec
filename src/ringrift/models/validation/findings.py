"""What is said of one file or one reference, and the codes it is said with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

OK = "ok"
FILE = ("empty", "truncated", "not_safetensors", "unsafe_pickle")
IDENTITY = ("hash_mismatch", "card_missing", "card_invalid")
CONTENT = ("shape_mismatch", "not_finite", "dead")
USE = ("unknown_encoder", "layout_mismatch", "spec_mismatch")
PROBE = ("probe_mismatch",)
REFERENCE = ("alias_dangling", "decision_dangling", "lineage_missing", "participant_unknown")
CODES = (*FILE, *IDENTITY, *CONTENT, *USE, *PROBE, *REFERENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line: `code` is `ok` or one of `CODES`, `ref` what it is about.

    `path` is None for a reference that is no file; `age_s` is since the last change; `repair` says
    that only the description beside the file is wrong, which the file can make anew.
    """

    code: str
    ref: str
    detail: str = ""
    path: Path | None = None
    model_id: str | None = None
    size_bytes: int | None = None
    age_s: float | None = None
    repair: bool = False

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return self.code == OK

    @property
    def is_file(self) -> bool:
        """Whether it is about a file and not a reference."""
        return self.code not in REFERENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every finding of one scan, files first, each by its name."""

    findings: tuple[Finding, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong anywhere."""
        return all(finding.good for finding in self.findings)

    @property
    def bad(self) -> tuple[Finding, ...]:
        """What is wrong."""
        return tuple(finding for finding in self.findings if not finding.good)

    @property
    def counts(self) -> dict[str, int]:
        """How often each code was found, `ok` first."""
        found = Counter(finding.code for finding in self.findings)
        return {code: found[code] for code in (OK, *CODES) if found[code]}
