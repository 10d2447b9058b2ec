"""Tables of targets made in memory: from blocks of games, from games at hand, from a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ringrift.data.dataset import ExportOptions, Plan, PlannedGame
from ringrift.data.dataset.block import BlockHeader, read_block
from ringrift.data.dataset.blocks import make_block
from ringrift.data.dataset.parts import part_arrays
from ringrift.records.verify import verified_play
from ringrift.training.samples.table import SampleTable, table_of

if TYPE_CHECKING:
    from ringrift.data.dataset import Dataset
    from ringrift.records.analysis import Analysis
    from ringrift.records.record import GameRecord
    from ringrift.rules import BoardSpec

Q_MIX = 0.3
"""Share of the search's root value in the win target, as trainers have it unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """Decisions of games with their targets; `agents`: the specs of each game's seats."""

    table: SampleTable
    agents: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.table)

    def take(self, rows: NDArray[np.int64]) -> Positions:
        """Return some of the positions, in that order."""
        return Positions(table=self.table.take(rows), agents=self.agents)

    def decisions(self) -> NDArray[np.int64]:
        """Return how many decisions the game has had with each position, itself included: `[N]`.

        The positions are all decisions of their games.
        """
        game = self.table.game
        first = np.flatnonzero(np.diff(game, prepend=-1))
        lengths = np.diff(np.append(first, len(game)))
        found: NDArray[np.int64] = np.arange(len(game)) - np.repeat(first, lengths) + 1
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Games:
    """What a table of targets needs to know of games that are in no dataset."""

    id: str
    board_spec: BoardSpec
    game_ids: tuple[str, ...]
    game_facts: tuple[Mapping[str, Any], ...]


def positions_of(found: Sequence[bytes], spec: BoardSpec, *, q_mix: float = Q_MIX) -> Positions:
    """Return the decisions of games, given as their blocks; at least one game."""
    games: list[tuple[int, BlockHeader, Mapping[str, NDArray[Any]], NDArray[np.float32]]] = []
    for number, data in enumerate(found):
        header, arrays = read_block(data)
        games.append((number, header, arrays, arrays["base_weight"]))
    headers = [header for _, header, _, _ in games]
    described = _Games(
        id="",
        board_spec=spec,
        game_ids=tuple(header.game for header in headers),
        game_facts=tuple({"end": header.end, "ranks": header.ranks} for header in headers),
    )
    table = table_of(part_arrays(games, spec, ExportOptions()), described, q_mix=q_mix)
    return Positions(table=table, agents=tuple(header.agents for header in headers))


def positions_of_dataset(dataset: Dataset) -> Positions:
    """Return the validation side of a dataset, all of one that has none."""
    arrays, manifest = dataset.arrays, dataset.manifest
    agents = tuple(tuple(facts["agents"]) for facts in manifest.game_facts)
    positions = Positions(table=table_of(arrays, manifest), agents=agents)
    held = np.flatnonzero(arrays["split_val"])
    return positions.take(held) if len(held) else positions


def positions_of_games(
    games: Iterable[tuple[GameRecord, Analysis | None]], spec: BoardSpec
) -> Positions:
    """Return the decisions of games that are in no store; each is replayed and checked."""
    return positions_of([_block(record, analysis, spec) for record, analysis in games], spec)


def _block(record: GameRecord, analysis: Analysis | None, spec: BoardSpec) -> bytes:
    searches = [] if analysis is None else [analysis]
    game = PlannedGame(
        id=record.id,
        store=0,
        seq=0,
        split="train",
        play=verified_play(record),
        plies=len(record.moves),
        analyses=tuple(each.id for each in searches),
    )
    plan = Plan(
        spec=spec,
        options=ExportOptions(),
        stores=(),
        games=(game,),
        excluded={},
        games_upto={},
        holdout_percent=0,
        considered=1,
        duplicates=0,
        held_out=0,
    )
    return make_block(plan, game, record, searches)
