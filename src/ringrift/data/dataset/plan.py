"""Which games make a dataset, found in the stores' views (data.md 1, 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError, NegativeResult
from ringrift.core.ids import canonical_json, content_id
from ringrift.data.dataset.filters import Filter, has_recovery
from ringrift.data.dataset.identity import versions_of
from ringrift.data.dataset.options import WINDOW_ALL, ExportOptions
from ringrift.data.dataset.views import Row, Views
from ringrift.records.columns import split_of
from ringrift.records.record import GameRecord
from ringrift.rules import BoardSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGame:
    """A game of a dataset. `store` indexes `Plan.stores`; `age` is 0 for the newest.

    `analyses` are the ids of its searches, newest first; `weight` is that of the quality file.
    """

    id: str
    store: int
    seq: int
    split: str
    play: str
    plies: int
    analyses: tuple[str, ...]
    age: int = 0
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The games of one dataset in the order of their ids, and what was left out for which reason.

    `games_upto`: the newest sequence number of each store when it was read. `duplicates` are
    further copies of a play, `held_out` the games of the hold-out beside it. Can be pickled.
    """

    spec: BoardSpec
    options: ExportOptions
    stores: tuple[Path, ...]
    games: tuple[PlannedGame, ...]
    excluded: Mapping[str, int]
    games_upto: Mapping[str, int]
    holdout_percent: int
    considered: int
    duplicates: int
    held_out: int

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the game ids, ascending."""
        return tuple(game.id for game in self.games)

    @property
    def config(self) -> str:
        """Name of the configuration."""
        return self.spec.config

    @cached_property
    def by_id(self) -> dict[str, PlannedGame]:
        """The games by their ids."""
        return {game.id: game for game in self.games}

    @cached_property
    def request(self) -> str:
        """64 hex digits over games, searches, options and versions: the same give one dataset."""
        content = [
            versions_of(self.spec, self.options),
            self.options.as_dict(),
            [[g.id, g.split, g.analyses, g.age, g.weight] for g in self.games],
        ]
        return content_id("export request", canonical_json(content))

    def only(self, ids: Sequence[str]) -> Plan:
        """Return the plan of some of its games: a chunk of the work."""
        wanted = set(ids)
        return replace(self, games=tuple(game for game in self.games if game.id in wanted))

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON holds it."""
        spec = self.spec
        return {
            "spec": {
                "board": spec.board,
                "players": spec.players,
                "rings_per_player": spec.rings_per_player,
                "lps_rounds": spec.lps_rounds,
                "swap_rule": spec.swap_rule,
                "base_line_length": spec.base_line_length,
            },
            "options": self.options.as_dict() | {"encoder": self.options.encoder},
            "stores": [str(path) for path in self.stores],
            "games": [asdict(game) for game in self.games],
            "excluded": dict(self.excluded),
            "games_upto": dict(self.games_upto),
            "holdout_percent": self.holdout_percent,
            "considered": self.considered,
            "duplicates": self.duplicates,
            "held_out": self.held_out,
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any], *, where: str = "plan") -> Plan:
        """Read what `as_dict` returned; raises `DataError` for anything else."""
        try:
            return cls(
                **{
                    **tree,
                    "spec": BoardSpec.create(**tree["spec"]),
                    "options": ExportOptions.from_dict(tree["options"]),
                    "stores": tuple(Path(path) for path in tree["stores"]),
                    "games": tuple(
                        PlannedGame(**{**game, "analyses": tuple(game["analyses"])})
                        for game in tree["games"]
                    ),
                }
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"no plan of an export: {error}", where=where) from None


def configurations(stores: Sequence[Path], splits: Sequence[str] = ("train", "val")) -> list[str]:
    """List the configurations that have games on these sides, sorted."""
    found: set[str] = set()
    for path in stores:
        with Views(path) as views:
            found |= views.configurations(splits)
    return sorted(found)


def plan_export(
    stores: Sequence[Path],
    config: str,
    options: ExportOptions,
    *,
    weights: Mapping[str, float] | None = None,
    uses: Mapping[str, float] | None = None,
    upto: int | None = None,
) -> Plan:
    """Choose the games of a dataset of configuration `config`, such as `square8_2p`.

    `weights` are quality weights by game id, 1 for those that have none (data.md 7); `uses` says
    how many training passes a lineage has made over a game. Games with a sequence number above
    `upto` do not count. Of several rules of play the dataset
    holds the one with most games. Raises `NegativeResult` where no game is left or where a play of
    the hold-out is on the side of training.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(Views(path)) for path in stores]
        return _Planner(opened, config, options, weights, uses or {}, upto).plan()


class _Planner:
    """Narrows the games of the views down, counting the reasons."""

    def __init__(
        self,
        stores: Sequence[Views],
        config: str,
        options: ExportOptions,
        weights: Mapping[str, float] | None,
        uses: Mapping[str, float],
        upto: int | None,
    ) -> None:
        self.stores = stores
        self.config = config
        self.options = options
        self.weights = weights
        self.uses = uses
        self.upto = upto
        self.excluded: Counter[str] = Counter()

    def plan(self) -> Plan:
        options, config = self.options, self.config
        found = [
            (index, row)
            for index, views in enumerate(self.stores)
            for split in options.splits
            for row in views.rows(config, split)
            if self.upto is None or row.seq <= self.upto
        ]
        considered = len(found)
        shown_twice = sum(
            views.verified(config, split) - views.count(config, split)
            for views in self.stores
            for split in options.splits
        )
        rows, copies = _distinct(found)
        percent = max((views.holdout_percent for views in self.stores), default=0)
        if "holdout" not in options.splits:
            self._refuse_leaks([row for _, row in rows], percent)
        rows = self._of_one_spec(rows)
        keep = Filter(options)
        kept = []
        for index, row in rows:
            reason = keep.reason(row, self.uses.get(row.id, 0.0))
            if reason is None:
                kept.append((index, row))
            else:
                self.excluded[reason] += 1
        kept = self._without_recovery(kept)
        kept.sort(key=lambda pair: (-pair[1].played_at, pair[1].id))
        if options.max_games is not None:
            self.excluded["max_games"] += len(kept[options.max_games :])
            kept = kept[: options.max_games]
        if not kept:
            raise self._nothing(considered)
        spec = self._spec_of(*kept[0])
        aged = options.decay_half_life is not None or options.window != WINDOW_ALL
        games = [
            PlannedGame(
                id=row.id,
                store=index,
                seq=row.seq,
                split=row.split,
                play=row.play,
                plies=row.plies,
                analyses=tuple(identity for identity, _ in row.analyses),
                age=age if aged else 0,
                weight=1.0 if self.weights is None else self.weights.get(row.id, 1.0),
            )
            for age, (index, row) in enumerate(kept)
        ]
        return Plan(
            spec=spec,
            options=options,
            stores=tuple(views.path for views in self.stores),
            games=tuple(sorted(games, key=lambda game: game.id)),
            excluded={reason: n for reason, n in sorted(self.excluded.items()) if n},
            games_upto={str(views.path): self._newest(views) for views in self.stores},
            holdout_percent=percent,
            considered=considered,
            duplicates=shown_twice + copies,
            held_out=sum(views.count(config, "holdout") for views in self.stores),
        )

    def _newest(self, views: Views) -> int:
        newest = views.newest(self.config, self.options.splits)
        return newest if self.upto is None else min(newest, self.upto)

    def _nothing(self, considered: int) -> NegativeResult:
        left_out = ", ".join(f"{n:,} {reason}" for reason, n in sorted(self.excluded.items()) if n)
        return NegativeResult(
            f"zero samples: no game of {self.config} is left of {considered:,}"
            + (f" ({left_out})" if left_out else ""),
            where=", ".join(str(views.path) for views in self.stores),
            hint="ringrift data pool, or fewer filters",
        )

    def _refuse_leaks(self, rows: Sequence[Row], percent: int) -> None:
        """Refuse a game whose play is held out in any of the stores, or by its hash alone."""
        plays = [row.play for row in rows]
        held = {play for views in self.stores for play in views.held_out(plays)}
        for row in rows:
            by_hash = split_of(row.play, "selfplay", holdout_percent=percent) == "holdout"
            if row.play in held or by_hash:
                raise leaked(row.id, row.play)

    def _of_one_spec(self, rows: list[tuple[int, Row]]) -> list[tuple[int, Row]]:
        counts = Counter(row.spec_hash for _, row in rows)
        if len(counts) < 2:
            return rows
        most = max(counts, key=lambda spec: (counts[spec], spec))
        self.excluded["other_spec"] += len(rows) - counts[most]
        return [(index, row) for index, row in rows if row.spec_hash == most]

    def _without_recovery(self, rows: list[tuple[int, Row]]) -> list[tuple[int, Row]]:
        if not self.options.exclude_recovery:
            return rows
        kept = []
        for (index, row), record in zip(rows, self._records(rows), strict=True):
            if has_recovery(record):
                self.excluded["recovery"] += 1
            else:
                kept.append((index, row))
        return kept

    def _records(self, rows: Sequence[tuple[int, Row]]) -> Iterator[GameRecord]:
        for index, row in rows:
            yield from self.stores[index].records([row.id], row.split)

    def _spec_of(self, index: int, row: Row) -> BoardSpec:
        return next(self.stores[index].records([row.id], row.split)).spec


def leaked(identity: str, play: str) -> NegativeResult:
    """Make the complaint about a game of the hold-out on the side of training."""
    return NegativeResult(
        f"hold-out leak: the play {play[:16]} is kept out of training",
        where=f"game {identity}",
        hint="ringrift games verify",
    )


def _distinct(found: Sequence[tuple[int, Row]]) -> tuple[list[tuple[int, Row]], int]:
    """Keep each game and each play once, the smallest id; return how many copies went."""
    best: dict[str, tuple[int, Row]] = {}
    copies = 0
    for index, row in found:
        other = best.get(row.play)
        if other is None:
            best[row.play] = (index, row)
            continue
        copies += other[1].id != row.id
        if (row.id, -len(row.analyses)) < (other[1].id, -len(other[1].analyses)):
            best[row.play] = (index, row)
    return list(best.values()), copies
