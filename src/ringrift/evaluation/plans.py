"""Fix a match before its first game; a plan is named by its content (`evaluation.md` 1).

A block is one opening played N times so that each agent has each seat equally often. Game `index`
is rotation `index mod N` of block `index div N`; its seed follows from the plan's hash and its
index, so the same plan gives the same games anywhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from ringrift.core.errors import DataError, UsageError
from ringrift.core.ids import canonical_json, content_id
from ringrift.evaluation.group_sequential import WilsonTest
from ringrift.evaluation.lineups import Lineup, Seating, lineup_for, seatings
from ringrift.evaluation.openings import load_book, openings
from ringrift.evaluation.rate_test import RateTest
from ringrift.evaluation.sprt import SequentialTest, Standing
from ringrift.records.record import AgentRef, default_max_plies
from ringrift.records.stored_plans import KIND
from ringrift.rules import RULES_VERSION, BoardSpec

FORMAT = "ringrift.plan/1"

Purpose = Literal[
    "gate",
    "test",
    "floor",
    "shadow",
    "full",
    "calibration",
    "gauntlet",
    "tournament",
    "tune",
    "milestone",
    "manual",
]
PURPOSES: tuple[str, ...] = get_args(Purpose)
BUDGETS = ("sims", "nodes", "depth", "time_ms")
Part = Literal["open", "reserved", "random", "none"]


class Running(Protocol):
    """A test that follows the blocks of a match."""

    @property
    def standing(self) -> Standing:
        """Where it is."""
        ...

    def add(self, score: Any) -> Standing:
        """Take the score of the next block in plan order."""
        ...


class StoppingRule(Protocol):
    """When a match ends; `sprt.SequentialTest` and `group_sequential.WilsonTest` are."""

    @property
    def max_games(self) -> int:
        """Games after which it ends without a verdict."""
        ...

    def start(self, players: int, most_games: int | None = None) -> Running:
        """Return the test before its first block."""
        ...

    def as_tree(self) -> dict[str, Any]:
        """Return what a plan keeps: `kind` and the numbers."""
        ...


def test_of_tree(tree: Mapping[str, Any]) -> StoppingRule:
    """Return the stopping rule that a plan names; raises `DataError` for an unknown one."""
    values = dict(tree)
    kind = values.pop("kind", None)
    makers: dict[Any, Any] = {"sprt": SequentialTest, "wilson": WilsonTest, "rate": RateTest}
    if kind not in makers:
        raise DataError(f"found kind {kind!r}; expected one of {', '.join(makers)}", where="test")
    try:
        return makers[kind](**values)  # type: ignore[no-any-return]
    except (TypeError, ValueError) as error:
        raise DataError(str(error), where="test") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningChoice:
    """Which openings a match takes: a half of a book, drawn ones, or none.

    `book_hash` names the book; `file` is where it lies, for one that is not shipped.
    """

    part: Part = "random"
    book_hash: str | None = None
    file: Path | None = None

    @classmethod
    def of_book(cls, spec: BoardSpec, part: Literal["open", "reserved"]) -> OpeningChoice:
        """Return a half of the shipped book of a configuration.

        Games with other rules than the book's have drawn openings.
        """
        book = load_book(spec.config)
        if book.spec_hash != spec.hash:
            return cls()
        return cls(part=part, book_hash=book.hash)

    def as_tree(self) -> dict[str, Any]:
        """Return what a plan keeps of it."""
        return {"part": self.part, "book_hash": self.book_hash, "first": 0}

    def move_lists(self, spec: BoardSpec, seed: int, blocks: int) -> tuple[tuple[int, ...], ...]:
        """Return the packed moves of the openings, in the order in which blocks take them.

        Fewer than `blocks` where the book is smaller: the blocks begin again.
        """
        if self.part == "none":
            return ((),)
        if self.part == "random":
            return openings(spec, seed, blocks)
        book = load_book(spec.config) if self.file is None else load_book(self.file, spec=spec)
        if book.hash != self.book_hash:
            raise DataError(
                f"the book of {spec.config} has hash {book.hash[:12]}; the plan names "
                f"{(self.book_hash or 'none')[:12]}",
                hint="--openings FILE with the plan's book",
            )
        return tuple(opening.moves for opening in book.order(self.part, seed))


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchGame:
    """One game to be played: everything a worker needs, and nothing it may choose.

    `seats[i]` is the place in the plan's participants of who sits at seat i + 1.
    """

    index: int
    seed: int
    seats: Seating
    agents: tuple[AgentRef, ...]
    opening: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class MatchPlan:
    """Fix a match before its first game.

    The score of the first participant is what is measured. `blocks` is the most that will be
    played; without `test` it is the number that will be. `budget` overrides the participants' own,
    as a name of `BUDGETS` and a number, and stands in their specs already.
    """

    purpose: Purpose
    spec: BoardSpec
    participants: tuple[AgentRef, ...]
    blocks: int
    seed: int
    lineup: Lineup
    both_ways: bool = False
    openings: OpeningChoice = OpeningChoice()
    test: StoppingRule | None = None
    max_plies: int = 0
    budget: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise UsageError(f"a match of {self.blocks} blocks; expected at least 1")
        if not self.max_plies:
            object.__setattr__(self, "max_plies", default_max_plies(self.spec))

    @classmethod
    def of_games(
        cls,
        games: int,
        *,
        purpose: Purpose,
        spec: BoardSpec,
        agents: tuple[AgentRef, ...],
        seed: int,
        lineup: str = "auto",
        **options: Any,
    ) -> MatchPlan:
        """Make a plan of at least `games` games, rounded up to whole blocks.

        `options` are further fields of a plan.
        """
        return cls(
            purpose=purpose,
            spec=spec,
            participants=agents,
            blocks=-(-games // spec.players),
            seed=seed,
            lineup=lineup_for(len(agents), spec.players, lineup),
            **options,
        )

    @property
    def players(self) -> int:
        """Seats of a game."""
        return self.spec.players

    @property
    def games(self) -> int:
        """Most games of the match."""
        return self.blocks * self.players

    @property
    def repeats(self) -> int:
        """Blocks that repeat the opening of an earlier one."""
        return max(0, self.blocks - len(self._openings)) if self.openings.part != "none" else 0

    def as_tree(self) -> dict[str, Any]:
        """Return the content that names the plan."""
        budget = {} if self.budget is None else {self.budget[0]: self.budget[1]}
        return {
            "format": FORMAT,
            "purpose": self.purpose,
            "config": self.spec.config,
            "rules_version": RULES_VERSION,
            "spec": asdict(self.spec),
            "spec_hash": self.spec.hash,
            "participants": [asdict(agent) for agent in self.participants],
            "lineup": self.lineup,
            "both_ways": self.both_ways,
            "limits": {"max_plies": self.max_plies, **budget},
            "openings": self.openings.as_tree(),
            "blocks_max": self.blocks,
            "test": None if self.test is None else self.test.as_tree(),
            "seed": self.seed,
        }

    @cached_property
    def text(self) -> bytes:
        """The canonical JSON that is stored."""
        return canonical_json(self.as_tree())

    @cached_property
    def hash(self) -> str:
        """64 hex digits that name the match."""
        return content_id(KIND, self.text)

    @cached_property
    def _openings(self) -> tuple[tuple[int, ...], ...]:
        return self.openings.move_lists(self.spec, self.seed, self.blocks)

    def seatings(self, block: int) -> tuple[Seating, ...]:
        """Return who sits where in the games of a block."""
        return seatings(
            self.lineup,
            agents=len(self.participants),
            players=self.players,
            block=block,
            seed=self.seed,
            both_ways=self.both_ways,
        )

    def is_reverse(self, block: int) -> bool:
        """Tell whether a block has one of the second agent among the first."""
        return self.both_ways and self.lineup == "one-vs-rest" and block % 2 == 1

    def game(self, index: int) -> MatchGame:
        """Return game `index`: block `index div N`, rotation `index mod N`."""
        block, turn = divmod(index, self.players)
        seats = self.seatings(block)[turn]
        digest = hashlib.sha256(f"{self.hash} {index}".encode()).digest()
        return MatchGame(
            index=index,
            seed=int.from_bytes(digest[:8], "big") >> 1,
            seats=seats,
            agents=tuple(self.participants[place] for place in seats),
            opening=self._openings[block % len(self._openings)],
        )


def plan_of_text(text: str | bytes, *, book: Path | None = None) -> MatchPlan:
    """Read a stored plan; `book` is the file of a book that is not shipped.

    Raises `DataError` naming the field for one that this program cannot play.
    """
    try:
        tree = json.loads(text)
        if tree["format"] != FORMAT:
            raise DataError(f"found {tree['format']!r}; expected {FORMAT!r}", where="format")
        limits = dict(tree["limits"])
        max_plies = limits.pop("max_plies")
        chosen = tree["openings"]
        plan = MatchPlan(
            purpose=_word(tree, "purpose", PURPOSES),
            spec=_spec(tree),
            participants=tuple(AgentRef(**agent) for agent in tree["participants"]),
            blocks=tree["blocks_max"],
            seed=tree["seed"],
            lineup=tree["lineup"],
            both_ways=tree["both_ways"],
            openings=OpeningChoice(part=chosen["part"], book_hash=chosen["book_hash"]),
            test=None if tree["test"] is None else test_of_tree(tree["test"]),
            max_plies=max_plies,
            budget=next(iter(limits.items()), None),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"no match plan: {error!r}", where="plan") from error
    given = text.encode() if isinstance(text, str) else text
    if plan.text != given:
        raise DataError("a match plan of another version of the rules or the program", where="plan")
    if book is not None:
        return replace(plan, openings=replace(plan.openings, file=book))
    return plan


def _spec(tree: Mapping[str, Any]) -> BoardSpec:
    fields = dict(tree["spec"])
    given = ("board", "players", "rings_per_player", "lps_rounds", "swap_rule", "base_line_length")
    spec = BoardSpec.create(**{name: fields[name] for name in given})
    if spec.hash != tree["spec_hash"]:
        raise DataError(
            f"found {tree['spec_hash']!r}; the rules of this program give {spec.hash}",
            where="spec_hash",
        )
    return spec


def _word(tree: Mapping[str, Any], name: str, known: tuple[str, ...]) -> Any:
    if tree[name] not in known:
        raise DataError(f"found {tree[name]!r}; expected one of {', '.join(known)}", where=name)
    return tree[name]
