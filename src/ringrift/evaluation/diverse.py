"""One tournament for each configuration, with fields of models and fixed agents (`evaluation.md` 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.agents.ladder import level_of
from ringrift.core.errors import UsageError
from ringrift.core.settings.configurations import BOARDS, SHORT_BOARDS
from ringrift.evaluation.contenders import Contender
from ringrift.evaluation.participants import participant
from ringrift.evaluation.tournaments import Tournament
from ringrift.rules import BoardSpec

if TYPE_CHECKING:
    from ringrift.evaluation.contenders import ModelRow, Search
    from ringrift.evaluation.ratings.fit import Fit
    from ringrift.records.record import AgentRef

FIXED = ("heuristic", "mcts_100")
PREDECESSORS = 2
LEVELS = (3, 5)
"""Levels of the ladder that are played with their counts: they need neither a model nor a clock."""
GAMES = {
    "square8": (200, 100, 100),
    "hex8": (200, 100, 100),
    "square19": (50, 30, 30),
    "hexagonal": (100, 50, 50),
}
"""Games of a configuration for 2, 3 and 4 players."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The tournament of a configuration; `note` says what its field lacks."""

    tournament: Tournament
    note: str | None = None


def configurations(boards: Sequence[str], players: Sequence[int]) -> list[BoardSpec]:
    """Return the configurations of some boards and numbers of players, each once.

    Raises `UsageError` for a board or number that does not exist.
    """
    names = list(dict.fromkeys(SHORT_BOARDS.get(name, name) for name in boards))
    for name in names:
        if name not in BOARDS:
            raise UsageError(f"no board {name!r}", where="--board-types", hint=", ".join(BOARDS))
    for count in players:
        if count not in (2, 3, 4):
            raise UsageError(f"{count} players; expected 2, 3 or 4", where="--player-counts")
    return [BoardSpec.create(name, count) for name in names for count in sorted(set(players))]


def entry(
    spec: BoardSpec,
    models: Sequence[ModelRow],
    champions: Sequence[str],
    *,
    search: Search,
    games: int | None = None,
    seed: int = 42,
    rated: Fit | None = None,
) -> Entry:
    """Return the tournament of a configuration: champion, two before it, and fixed agents.

    `champions` are ids, the present one last. `games` None means the number for the board; they are
    shared out over the meetings in whole blocks.
    """
    files = {model.id: model for model in models if model.config == spec.config}
    line = list(dict.fromkeys(reversed(champions)))[: PREDECESSORS + 1]
    playing = [
        Contender.of_model(files[model], spec, search).agent for model in line if model in files
    ]
    champion = playing[0] if playing and line and line[0] in files else None
    fixed = [participant(text, spec) for text in FIXED]
    agents = tuple(dict.fromkeys([*fixed, _level(spec, champion, rated), *playing]))
    wanted = GAMES[spec.board][spec.players - 2] if games is None else games
    note = None if line else "no champion: fixed agents only"
    if len(playing) < len(line):
        note = f"{len(line) - len(playing)} of {len(line)} champions have no file here"
    return Entry(tournament=_shared(spec, agents, wanted, seed), note=note)


def _level(spec: BoardSpec, champion: AgentRef | None, rated: Fit | None) -> AgentRef:
    """Return the level of the ladder nearest to the champion, the lowest without ratings."""
    levels = [participant(str(level_of(spec.config, level).agent), spec) for level in LEVELS]
    elo = None if champion is None or rated is None else rated.elo_of(champion.agent_hash)
    if rated is None or elo is None:
        return levels[0]
    known = [
        (abs(found - elo), level)
        for level in levels
        if (found := rated.elo_of(level.agent_hash)) is not None
    ]
    return min(known, key=lambda pair: pair[0])[1] if known else levels[0]


def _shared(spec: BoardSpec, agents: tuple[AgentRef, ...], games: int, seed: int) -> Tournament:
    plain = Tournament(spec=spec, agents=agents, seed=seed)
    meetings, blocks = plain.most, -(-games // spec.players)
    if blocks < meetings:
        least = meetings * spec.players
        raise UsageError(
            f"{games} games for {meetings} meetings of {spec.config}",
            where="--games-per-config",
            hint=f"at least {least}",
        )
    share, more = divmod(blocks, meetings)
    return Tournament(
        spec=spec,
        agents=agents,
        seed=seed,
        blocks=tuple(share + (place < more) for place in range(meetings)),
    )
