"""What a load of the settings returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringrift.core.versions import versions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ringrift.core.settings import Settings
    from ringrift.core.settings_loader.layers import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSettings:
    """Hold checked settings, the origin of each key path, and what deserves a warning."""

    values: Settings
    origins: Mapping[str, Origin]
    warnings: tuple[str, ...] = ()
    profile: str | None = None
    file: Path | None = None

    def as_tree(self) -> dict[str, Any]:
        """Return the values as plain nested data for JSON; references to secrets are `***`."""
        return self.values.model_dump(mode="json", by_alias=True)

    def as_record(self) -> dict[str, Any]:
        """Return what a run folder keeps: values, who set each, profile, file and versions."""
        return {
            "settings": self.as_tree(),
            "origins": {path: str(origin) for path, origin in self.origins.items()},
            "profile": self.profile,
            "file": str(self.file) if self.file is not None else None,
            "versions": versions(),
        }
