"""What a build of the pool is asked for (data.md 2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ringrift.core.ids import canonical_json
from ringrift.data.pool.units import Rules
from ringrift.records.gate import Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRequest:
    """Inputs, outputs and options of one build.

    `named` inputs must hold games; `scanned` ones that hold none are passed over. `leave_torn`: a
    last line without its end waits for the next run, else only while somebody writes the file.
    """

    output: Path
    named: tuple[Path, ...] = ()
    scanned: tuple[Path, ...] = ()
    holdout: Path | None = None
    quarantine: Path | None = None
    board: str | None = None
    players: int | None = None
    completed: bool = True
    count_matches: bool = False
    match_sources: tuple[str, ...] = ()
    legacy: bool = False
    leave_torn: bool = False
    workers: int = 1
    limit: int | None = None
    dry_run: bool = False

    @property
    def rules(self) -> Rules:
        """What the gate asks for."""
        return Rules(
            gate=Gate(
                admit_imports=True, completed=self.completed, match_sources=self.match_sources
            ),
            board=self.board,
            players=self.players,
            legacy=self.legacy,
        )

    @property
    def key(self) -> str:
        """What decides which games of a file enter: marks hold for the same key only."""
        return canonical_json(
            {
                "board": self.board,
                "players": self.players,
                "completed": self.completed,
                "legacy": self.legacy,
                "match_sources": sorted(self.match_sources),
            }
        ).decode()
