"""References to secrets: settings name where a secret is, never the secret itself."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

HIDDEN = "***"
EXPECTED = "env:NAME or file:PATH, never the secret itself"

_REFERENCE = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:\S.*)?")


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """Refer to a secret as `env:NAME` or `file:PATH`; shown as `***`, empty = none.

    `read` returns the secret; `reference` alone gives nothing away but is not shown either.
    """

    reference: str = ""

    def __bool__(self) -> bool:
        return bool(self.reference)

    def __repr__(self) -> str:
        return repr(str(self))

    def __str__(self) -> str:
        return HIDDEN if self.reference else ""

    def read(
        self, *, root: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> str | None:
        """Return the secret and hide it from logs; `None` where there is none.

        A relative path is relative to the data root. Raises `SettingsError` for a file that is
        missing or that others may read.
        """
        from ringrift.core.hidden import LEAST_LENGTH, hide_secret

        kind, _, place = self.reference.partition(":")
        if kind == "env":
            value = (os.environ if environ is None else environ).get(place, "").strip()
        elif kind == "file":
            path = (root or Path()) / Path(place).expanduser()
            refuse_open_file(path, where=f"file:{place}")
            value = path.read_text(encoding="utf-8").strip()
        else:
            return None
        if len(value) >= LEAST_LENGTH:
            hide_secret(value)
        return value or None

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Take a reference, an instance, or null for none; show `***`."""
        from pydantic_core import core_schema

        del source, handler
        return core_schema.no_info_plain_validator_function(
            _checked, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )


def refuse_open_file(path: Path, *, where: str) -> None:
    """Raise `SettingsError` unless `path` is a file that only its owner may read (mode 0600)."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SettingsError(
            f"cannot read the secret in {path}: {error.strerror}", where=where
        ) from None
    if not path.is_file():
        raise SettingsError(f"the secret {path} is no file", where=where)
    if mode & 0o077:
        raise SettingsError(
            f"found mode {mode & 0o777:04o} of the secret file {path}; expected 0600",
            where=where,
            hint=f"chmod 600 {path}",
        )


def _checked(raw: Any) -> Secret:
    if isinstance(raw, Secret):
        return raw
    if raw is None:
        return Secret()
    if not isinstance(raw, str) or not _REFERENCE.fullmatch(raw):
        raise ValueError(EXPECTED)
    return Secret(raw)
