"""What a dataset says of itself: `manifest.json` (data.md 4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError, RefusedError
from ringrift.core.ids import canonical_json
from ringrift.data.dataset.options import ExportOptions
from ringrift.data.dataset.versions import MANIFEST_SCHEMA
from ringrift.rules import BoardSpec

NAME = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file of a dataset. `begin` is the place of its first game in `game_ids`."""

    name: str
    sha256: str
    size_bytes: int
    samples: int
    begin: int
    games: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that is known of a dataset without opening its parts.

    `id` names the content, `request` what was asked for. `samples_by` counts samples by seat,
    phase, victory type, agent spec and number of simulations. `policy` and `q` say how many samples
    have a searched distribution and a root value, and their share; `policy` also how many count for
    the policy at all. `excluded` are games by filter. `game_ids` is ascending; `game_facts` says of
    each game what its arrays do not.
    """

    schema: int = MANIFEST_SCHEMA
    id: str
    request: str
    config: str
    spec: Mapping[str, Any]
    versions: Mapping[str, Any]
    package: str
    layout: str
    options: Mapping[str, Any]
    games: int
    samples: int
    val_games: int
    val_samples: int
    samples_by: Mapping[str, Mapping[str, int]]
    policy: Mapping[str, Any]
    q: Mapping[str, Any]
    considered: int
    excluded: Mapping[str, int]
    duplicates: int
    held_out: int
    games_upto: Mapping[str, int]
    symmetries: int
    state_bytes: int
    phases: tuple[str, ...]
    victory_types: tuple[str, ...]
    size_bytes: int
    parts: tuple[Part, ...]
    game_ids: tuple[str, ...]
    game_facts: tuple[Mapping[str, Any], ...]

    @property
    def board_spec(self) -> BoardSpec:
        """The specification of all its games; raises `RefusedError` if today's rules differ."""
        given = {name: self.spec.get(name) for name in _SPEC_OPTIONS}
        spec = BoardSpec.create(**given)  # type: ignore[arg-type]
        if spec.hash != self.spec.get("hash"):
            raise RefusedError(
                f"dataset of board specification {self.spec.get('hash')!r:.18}; expected {spec.hash[:16]}",
                where=f"dataset {self.id[:12]}",
            )
        return spec

    @property
    def export_options(self) -> ExportOptions:
        """The options that it was made with."""
        return ExportOptions.from_dict(dict(self.options))

    def to_bytes(self) -> bytes:
        """Return its text: one line for each field."""
        tree = {name: getattr(self, name) for name in _FIELDS}
        tree["parts"] = [asdict(part) for part in self.parts]
        lines = (f'"{name}": {canonical_json(tree[name]).decode()}' for name in sorted(tree))
        return ("{\n" + ",\n".join(lines) + "\n}\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str) -> Manifest:
        """Read its text; raises `DataError` naming the field, `RefusedError` for a newer schema."""
        try:
            tree = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DataError(f"no JSON: {error}", where=where) from None
        if not isinstance(tree, dict):
            raise DataError("no manifest of a dataset", where=where)
        if tree.get("schema") != MANIFEST_SCHEMA:
            raise RefusedError(
                f"manifest of schema {tree.get('schema')!r}; expected {MANIFEST_SCHEMA}",
                where=where,
            )
        wrong = sorted(tree.keys() ^ _FIELDS)
        if wrong:
            raise DataError(f"field {wrong[0]} of the manifest is missing or unknown", where=where)
        for name, found in tree.items():
            if not isinstance(found, _kind(name)):
                raise DataError(
                    f"field {name}: found {found!r:.60}; expected {_kind(name).__name__}",
                    where=where,
                )
        try:
            parts = tuple(Part(**part) for part in tree.pop("parts"))
            tuples: dict[str, Any] = {name: tuple(tree.pop(name)) for name in _TUPLES}
        except (TypeError, AttributeError) as error:
            raise DataError(f"damaged manifest: {error}", where=where) from None
        return cls(**tree, **tuples, parts=parts)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a dataset's folder, or of a dataset in one `.npz` file."""
        from ringrift.data.dataset.npz import read_array

        folder = Path(folder)
        if folder.is_file():
            data = read_array(folder, "manifest").tobytes()
            return cls.from_bytes(data, where=f"{folder} array manifest")
        path = folder / NAME
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(
                f"no dataset: {error.strerror or error}",
                where=str(path),
                hint="ringrift data export",
            ) from None
        return cls.from_bytes(data, where=str(path))


_TEXTS = ("id", "request", "config", "package", "layout")
_NUMBERS = frozenset(
    (
        *("schema", "games", "samples", "val_games", "val_samples", "considered", "duplicates"),
        *("held_out", "symmetries", "state_bytes", "size_bytes"),
    )
)
_LISTS = ("phases", "victory_types", "game_ids", "game_facts", "parts")


def _kind(name: str) -> type:
    """Return the type that a field has in JSON."""
    if name in _NUMBERS:
        return int
    if name in _LISTS:
        return list
    return str if name in _TEXTS else dict


_FIELDS = frozenset(field.name for field in fields(Manifest))
_TUPLES = ("phases", "victory_types", "game_ids", "game_facts")
_SPEC_OPTIONS = (
    "board",
    "players",
    "rings_per_player",
    "lps_rounds",
    "swap_rule",
    "base_line_length",
)
