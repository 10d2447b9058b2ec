"""Which games the statistics are about (data.md 10)."""

from __future__ import annotations

from dataclasses import dataclass

from ringrift.records.record import GameRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """A choice of games; what is None does not narrow.

    `ai_types` are specs or their first words: every seat must be one of them. `max_age_s` counts
    back from `now` to the start of a game; of games without one `unknown_times` decides.
    """

    board: str | None = None
    players: int | None = None
    ai_types: frozenset[str] = frozenset()
    max_age_s: float | None = None
    now: float = 0.0
    unknown_times: bool = False

    def fits(self, board: str, players: int, specs: tuple[str, ...], started: float | None) -> bool:
        """Tell whether a game is meant; `started` is in Unix seconds."""
        return (
            self.board in (None, board)
            and self.players in (None, players)
            and (not self.ai_types or all(self._named(spec) for spec in specs))
            and self.fits_time(started)
        )

    def fits_record(self, record: GameRecord) -> bool:
        """Tell whether a record is meant."""
        specs = tuple(agent.spec for agent in record.agents)
        spec = record.spec
        return self.fits(spec.board, spec.players, specs, record.meta.started)

    def fits_time(self, started: float | None) -> bool:
        """Tell whether a game is young enough."""
        if self.max_age_s is None:
            return True
        if started is None:
            return self.unknown_times
        return self.now - started <= self.max_age_s

    def _named(self, spec: str) -> bool:
        return spec in self.ai_types or family_of(spec) in self.ai_types


def family_of(spec: str) -> str:
    """Return the first word of an agent spec, such as `gumbel`."""
    for place, letter in enumerate(spec):
        if letter in "@:(":
            return spec[:place]
    return spec
