"""Pools of positions for evaluation, taken from the games of a run (selfplay.md 3, tuning.md 3).

A line holds `{id, config, start, moves, rules_hash}`: the moves, texts joined with `;`, that lead from
`start` (null: the start position) to the position. `id` is the hash of what they are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic
from ringrift.core.ids import canonical_json, content_id

if TYPE_CHECKING:
    from ringrift.records.record import GameRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOrder:
    """Where the positions of a board go: at most `most`, every `every`-th ply of a game."""

    board: str
    path: Path
    most: int
    every: int


@dataclass(slots=True)
class StatePool:
    """Gathers positions of one board; what stands in the file already is kept and counts."""

    order: PoolOrder
    _lines: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        path = self.order.path
        if not path.is_file():
            return
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                entry: dict[str, Any] = json.loads(line)
                self._lines[str(entry["id"])] = line
            except (ValueError, KeyError, TypeError):
                raise DataError("no position of a pool", where=f"{path}:{number}") from None

    @property
    def full(self) -> bool:
        """Whether nothing more is taken."""
        return len(self._lines) >= self.order.most

    def add(self, record: GameRecord) -> None:
        """Take positions of a game in which somebody has a choice to come."""
        from ringrift.records.game_json import to_json

        if self.full or record.spec.board != self.order.board:
            return
        game = json.loads(to_json(record))
        texts = game["moves"].split(";")
        for plies in range(self.order.every, len(texts), self.order.every):
            if len(self._lines) >= self.order.most:
                return
            entry = {
                "config": record.spec.config,
                "start": record.start,
                "moves": ";".join(texts[:plies]),
                "rules_hash": game["rules"]["hash"],
            }
            identity = content_id("pool position", canonical_json(entry))
            self._lines.setdefault(identity, json.dumps({"id": identity, **entry}))

    def write(self) -> None:
        """Write the file, whole or not at all."""
        self.order.path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{line}\n" for line in self._lines.values())
        write_atomic(self.order.path, text.encode())

    def __len__(self) -> int:
        return len(self._lines)
