"""Make the blocks of planned games: read, replay, sample (data.md 4)."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from typing import Any

import numpy as np

from ringrift.core.errors import DataError, NegativeResult
from ringrift.data.dataset import kernel
from ringrift.data.dataset.block import BlockHeader, write_block
from ringrift.data.dataset.options import ExportOptions
from ringrift.data.dataset.plan import Plan, PlannedGame, leaked
from ringrift.data.dataset.targets import FROM_SEARCH, Targets, targets_of
from ringrift.data.dataset.views import Views
from ringrift.records.analysis import Analysis
from ringrift.records.columns import split_of
from ringrift.records.record import GameRecord
from ringrift.records.replayer import Replayer
from ringrift.records.verify import play_hash
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules.packing import size_of
from ringrift.rules.position import WORKSPACE, board_view

SYMMETRIES = {"square8": 8, "square19": 8, "hex8": 4, "hexagonal": 12}
"""Number of exact symmetries of each board (training.md 1)."""

_PAGE = 200


def game_block(plan: Plan, identity: str) -> bytes:
    """Return the block of one game of the plan."""
    return next(block for _, block in blocks(plan, [identity]))


def blocks(plan: Plan, ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield (id, block) of some games of the plan, in the order of `ids`.

    Raises `NegativeResult` for a game of the hold-out, or a target that is no legal move;
    `DataError` for a game that is in its store no more.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(Views(path)) for path in plan.stores]
        for first in range(0, len(ids), _PAGE):
            page = [plan.by_id[identity] for identity in ids[first : first + _PAGE]]
            for (store, split), group in groupby(page, key=lambda game: (game.store, game.split)):
                yield from _page(plan, opened[store], split, list(group))


def _page(
    plan: Plan, views: Views, split: str, games: Sequence[PlannedGame]
) -> Iterator[tuple[str, bytes]]:
    ids = [identity for game in games for identity in game.analyses]
    searches = views.searches(ids)
    records = views.records([game.id for game in games], split)
    for game, record in zip(games, records, strict=True):
        yield game.id, make_block(plan, game, record, [searches[i] for i in game.analyses])


def make_block(
    plan: Plan, game: PlannedGame, record: GameRecord, searches: Sequence[Analysis]
) -> bytes:
    """Replay a game and return its block; `searches` are newest first."""
    if record.spec != plan.spec:
        raise DataError(
            f"game of specification {record.spec.hash}; expected {plan.spec.hash}", where=record.id
        )
    _check_play(plan, game, record)
    options = plan.options
    targets = targets_of(record, searches, choice=options.analysis, policy=options.policy_target)
    sampler = _SAMPLERS.of(plan.spec)
    n, decisions = sampler.run(record, targets, options)
    return _written(plan.spec, game, record, targets, sampler, n, decisions)


def _check_play(plan: Plan, game: PlannedGame, record: GameRecord) -> None:
    """Recompute which play this is: neither another than stored nor one of the hold-out."""
    texts = Replayer(record.spec, record.start, record.moves).texts()
    play = play_hash(record.spec, texts)
    if play != game.play:
        raise DataError(
            f"play_hash: found {game.play}; expected {play}, the hash of its moves", where=game.id
        )
    held = split_of(play, "selfplay", holdout_percent=plan.holdout_percent) == "holdout"
    if held and "holdout" not in plan.options.splits:
        raise leaked(game.id, play)


class _Sampler:
    """Buffers of one specification, and the samples of the game it has replayed last."""

    def __init__(self, spec: BoardSpec) -> None:
        self.spec = spec
        self.boards = board_view(spec)
        self.size = int(size_of(self.boards))
        self.full_mask = (1 << SYMMETRIES[spec.board]) - 1
        self.buffer = np.zeros(spec.max_moves, np.int64)
        self.owners = np.zeros(spec.cells, np.int8)
        self.answer = np.zeros(3, np.int64)
        self._grow(1024)

    def _grow(self, plies: int) -> None:
        self.rows = np.zeros((plies, self.size), np.uint8)
        self.plies = np.zeros(plies, np.int32)
        self.movers = np.zeros(plies, np.int8)
        self.phases = np.zeros(plies, np.int8)
        self.counts = np.zeros(plies, np.int32)
        self.masks = np.zeros(plies, np.uint16)

    def run(self, record: GameRecord, targets: Targets, options: ExportOptions) -> tuple[int, int]:
        """Replay a game; return the number of samples and that of decisions."""
        if len(record.moves) > len(self.plies):
            self._grow(2 * len(record.moves))
        every = options.sample_every
        last = options.max_move_index
        kernel.sample_game(
            _start(record),
            self.boards,
            WORKSPACE.scratch,
            np.array(record.moves, np.int64),
            every,
            sample_offset(record.id, every, options.seed),
            len(record.moves) if last is None else last,
            targets.moves,
            targets.offsets,
            self.full_mask,
            self.buffer,
            self.rows,
            self.plies,
            self.movers,
            self.phases,
            self.counts,
            self.masks,
            self.owners,
            self.answer,
        )
        taken, decisions, fault = self.answer.tolist()
        if fault == kernel.NO_ROOM:
            raise DataError("more rings than the specification hands out", where=record.id)
        if fault != kernel.FINE:
            raise NegativeResult(
                f"target with mass on an illegal move at ply {fault}", where=f"game {record.id}"
            )
        return taken, decisions


class _Samplers(threading.local):
    """The samplers of one thread, by specification."""

    def __init__(self) -> None:
        self._made: dict[str, _Sampler] = {}

    def of(self, spec: BoardSpec) -> _Sampler:
        """Return the sampler of a specification."""
        if spec.hash not in self._made:
            self._made[spec.hash] = _Sampler(spec)
        return self._made[spec.hash]


_SAMPLERS = _Samplers()


def sample_offset(identity: str, every: int, seed: int) -> int:
    """Return the number of the first decision that is taken, below `every`."""
    if every == 1:
        return 0
    digest = hashlib.sha256(f"{seed} {identity}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % every


def _start(record: GameRecord) -> Any:
    spec, start = record.spec, record.start
    position = Position.of(spec) if start is None else Position.parse(start, spec=spec)
    return lay.view(position._states)  # noqa: SLF001 - the compiled form


def _written(
    spec: BoardSpec,
    game: PlannedGame,
    record: GameRecord,
    targets: Targets,
    sampler: _Sampler,
    n: int,
    decisions: int,
) -> bytes:
    plies = sampler.plies[:n]
    starts, stops = targets.offsets[plies], targets.offsets[plies + 1]
    counts = stops - starts
    ends = np.cumsum(counts)
    total = int(ends[-1]) if n else 0
    places = np.arange(total) + np.repeat(starts - (ends - counts), counts)
    source = targets.source[plies]
    result = record.result
    header = BlockHeader(
        game=record.id,
        play=game.play,
        split=game.split,
        spec=spec.hash,
        searches=game.analyses,
        agents=tuple(agent.spec for agent in record.agents_at_end),
        plies=len(record.moves),
        end=result.end,
        reason=result.reason,
        ranks=tuple(result.ranks),
        elim=tuple(result.elim),
        terr=tuple(result.terr),
        hand=tuple(result.hand),
        samples=n,
        entries=total,
        state_bytes=sampler.size,
        cells=spec.cells,
        decisions=decisions,
        recorded=int(targets.recorded[plies].sum()),
    )
    return write_block(
        header,
        {
            "policy_moves": targets.moves[places].astype(np.uint64),
            "policy_probs": targets.shares[places],
            "policy_weight": targets.policy_weight[plies],
            "base_weight": targets.weight[plies],
            "prior_kl": targets.prior_kl[plies],
            "q": targets.q[plies],
            "policy_count": counts,
            "ply": plies,
            "legal_count": sampler.counts[:n],
            "sims": targets.sims[plies],
            "sym_mask": sampler.masks[:n],
            "mover": sampler.movers[:n],
            "phase": sampler.phases[:n],
            "policy_source": source,
            "q_mask": targets.q_mask[plies],
            "states": sampler.rows[:n],
            "final_owner": sampler.owners,
        },
    )


def arrived(policy_source: Any) -> int:
    """Count the samples whose target is a searched distribution."""
    return int((policy_source == FROM_SEARCH).sum())
