"""The game record: what it holds, its id, its limits (selfplay.md 6).

A game stores its specification, its moves and who played; positions are recomputed. Search
statistics, times and hosts are outside a game's identity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from ringrift.core.errors import DataError
from ringrift.core.ids import canonical_msgpack, content_id
from ringrift.rules import RULES_VERSION, BoardSpec, InvalidOption
from ringrift.rules.moves import SWAP

ENDS = ("game_over", "max_plies", "aborted", "resigned")
RULE_REASONS = ("ring_elimination", "territory_control", "last_player_standing", "lps_rounds")
RESIGNATION = "resignation"
TIMEOUT = "timeout"
"""Reason of a game that a ply limit cut."""
ABORT = "abort:"
MARKS = ("random", "book", "forced", "swap")
PURPOSES = ("selfplay", "match", "soak", "human", "import", "reference")

CHECK_EVERY = 16
"""Plies between two check hashes; the position after the last ply always has one."""
MOVE_LIMIT = 1 << 40
SEED_LIMIT = 1 << 64
MOST_PLIES = 100_000
MOST_TEXT = 500

_ID = re.compile(r"[0-9a-f]{64}")
_HASH = re.compile(r"[0-9a-f]{16}")

_SMALL_LIMITS = {2: 500, 3: 800, 4: 1200}
_LARGE_LIMITS = {2: 1200, 3: 1600, 4: 2000}


class VerificationError(DataError):
    """A record that is refused: `reason` is one of the gate's (data.md 2), `ply` where it shows."""

    def __init__(
        self, reason: str, detail: str, *, ply: int | None = None, where: str | None = None
    ) -> None:
        at = "" if ply is None else f" at ply {ply}"
        super().__init__(f"{reason}{at}: {detail}", where=where)
        self.reason = reason
        self.detail = detail
        self.ply = ply

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the way out of a worker process."""
        return _rebuilt, (self.reason, self.detail, self.ply, self.where)

    def at(self, place: str) -> VerificationError:
        """Return the same complaint with a place (file and line) before its own."""
        where = place if self.where is None else f"{place} {self.where}"
        return VerificationError(self.reason, self.detail, ply=self.ply, where=where)


def _rebuilt(reason: str, detail: str, ply: int | None, where: str | None) -> VerificationError:
    return VerificationError(reason, detail, ply=ply, where=where)


def refuse(
    name: str, found: object, expected: str, *, reason: str = "malformed"
) -> VerificationError:
    """Make the complaint about a field of a record."""
    return VerificationError(
        reason, f"found {found!r:.80}; expected {expected}", where=f"field {name}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRef:
    """Who sat at one seat: resolved spec, SHA-256 that names the agent, model id if it has one."""

    spec: str
    agent_hash: str
    model_id: str | None = None

    @property
    def kind(self) -> str:
        """The first word of the spec, such as `gumbel`."""
        return re.split(r"[@:(]", self.spec, maxsplit=1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class GameResult:
    """How a game ended (selfplay.md 6). Lists have one entry per seat.

    `winner` is 0 for none. `ranks` is empty and `values` None where the game was not finished.
    `final_hash` is the fingerprint of the final position, 16 hex digits.
    """

    end: str
    winner: int
    reason: str
    ranks: tuple[int, ...]
    values: tuple[float, ...] | None
    plies: int
    final_hash: str
    elim: tuple[int, ...]
    terr: tuple[int, ...]
    hand: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GameMeta:
    """Where a game comes from; outside its identity. `started` is Unix seconds, `ms` a duration."""

    purpose: str = "selfplay"
    run: str | None = None
    index: int | None = None
    host: str | None = None
    version: str | None = None
    device: str | None = None
    started: float | None = None
    ms: int | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Make the plain types that are stored."""
        put = object.__setattr__
        put(self, "index", None if self.index is None else int(self.index))
        put(self, "started", None if self.started is None else float(self.started))
        put(self, "ms", None if self.ms is None else int(self.ms))
        put(self, "tags", tuple(self.tags))


@dataclass(frozen=True, kw_only=True)
class GameRecord:
    """One game: what identifies it, what checks it, and where it comes from.

    `moves` are packed (`rules.moves`); `marks` says which plies nobody chose; `check` holds the
    64-bit state hashes after every 16th ply and the last. `agents` are those who sat at the seats when
    the game began (see `agents_at_end`). Make one with `build_record`.
    """

    spec: BoardSpec
    start: str | None
    seed: int
    agents: tuple[AgentRef, ...]
    moves: tuple[int, ...]
    marks: Mapping[int, str]
    result: GameResult
    check: tuple[int, ...]
    meta: GameMeta
    max_plies: int

    @cached_property
    def id(self) -> str:
        """64 hex digits over rules version, specification, start, moves, agents and seed."""
        identity = (
            1,
            RULES_VERSION,
            self.spec.hash,
            self.start,
            self.moves,
            tuple(agent.agent_hash for agent in self.agents),
            self.seed,
        )
        return content_id("game", canonical_msgpack(identity))

    @property
    def agents_at_end(self) -> tuple[AgentRef, ...]:
        """Whose the result of each seat is: agents move with their identity after `SW`.

        Seats are colours: `SW` leaves board, hands and the mover as they are, and exchanges who sits
        at seats 1 and 2 (rules.md 18).
        """
        if self.moves.count(SWAP) % 2 == 0:
            return self.agents
        first, second, *others = self.agents
        return (second, first, *others)


@lru_cache(maxsize=256, typed=True)
def shared_spec(board: str, players: int, **options: Any) -> BoardSpec:
    """Return `BoardSpec.create` of these, the same object for the same: its hash is made once."""
    return BoardSpec.create(board, players, **options)


def default_max_plies(spec: BoardSpec) -> int:
    """Return the ply limit of a configuration (selfplay.md 2, `--max-moves auto`)."""
    small = spec.board in ("square8", "hex8")
    return (_SMALL_LIMITS if small else _LARGE_LIMITS)[spec.players]


def seat_values(ranks: Iterable[int]) -> tuple[float, ...]:
    """Return the value of each seat in [-1, 1], sum 0 (agents.md 2)."""
    ranking = tuple(ranks)
    others = len(ranking) - 1
    return tuple(sum((rank > own) - (rank < own) for rank in ranking) / others for own in ranking)


# --- what a record must look like, whatever its moves


def check_record(record: GameRecord) -> None:
    """Raise `VerificationError` naming the first field that no record may have that way."""
    _check_spec(record.spec)
    players, plies = record.spec.players, len(record.moves)
    whole("max_plies", record.max_plies, 1, MOST_PLIES)
    if plies > record.max_plies:
        raise refuse("moves", f"{plies} moves", f"at most max_plies = {record.max_plies}")
    whole("seed", record.seed, 0, SEED_LIMIT - 1)
    if record.start is not None and len(record.start) > 20_000:
        raise refuse("start", record.start, "a canonical position text")
    if len(record.agents) != players:
        raise refuse("agents", f"{len(record.agents)} agents", f"{players}, one per seat")
    for seat, agent in enumerate(record.agents, 1):
        _check_agent(f"agents[{seat - 1}]", agent)
    ply = _first_beyond(record.moves, MOVE_LIMIT)
    if ply is not None:
        raise refuse(f"moves[{ply}]", record.moves[ply], "a packed move below 2**40")
    for ply, mark in record.marks.items():
        if not 0 <= ply < plies:
            raise refuse("marks", ply, f"plies from 0 to {plies - 1}")
        if mark not in MARKS:
            raise refuse(f"marks.{ply}", mark, ", ".join(MARKS))
    hashes = -(-plies // CHECK_EVERY)
    if len(record.check) != hashes:
        raise refuse("check.hashes", f"{len(record.check)} hashes", f"{hashes} for {plies} plies")
    i = _first_beyond(record.check, SEED_LIMIT)
    if i is not None:
        whole(f"check.hashes[{i}]", record.check[i], 0, SEED_LIMIT - 1)
    _check_result(record.result, players, plies)
    _check_meta(record.meta)


def _check_spec(spec: BoardSpec) -> None:
    if not 2 <= spec.players <= 4:
        raise refuse("spec.players", spec.players, "2, 3 or 4", reason="bad_players")
    try:
        known = shared_spec(
            spec.board,
            spec.players,
            rings_per_player=spec.rings_per_player,
            lps_rounds=spec.lps_rounds,
            swap_rule=spec.swap_rule,
            base_line_length=spec.base_line_length,
        )
    except InvalidOption as error:
        raise VerificationError("spec", error.message, where="field spec") from None
    if spec is not known and spec != known:
        raise refuse("spec", spec, f"line lengths and thresholds of {known}", reason="spec")


def _check_agent(name: str, agent: AgentRef) -> None:
    text_field(f"{name}.spec", agent.spec)
    _digits(f"{name}.agent_hash", agent.agent_hash)
    if agent.model_id is not None:
        _digits(f"{name}.model_id", agent.model_id)


def _check_result(result: GameResult, players: int, plies: int) -> None:
    if result.end not in ENDS:
        raise refuse("result.end", result.end, ", ".join(ENDS))
    whole("result.winner", result.winner, 0, players)
    text_field("result.reason", result.reason)
    if len(result.ranks) not in (0, players):
        raise refuse("result.ranks", result.ranks, f"{players} ranks, or none")
    if result.values is not None and len(result.values) != players:
        raise refuse("result.values", result.values, f"{players} values, or null")
    if result.plies != plies:
        raise refuse("result.plies", result.plies, f"{plies}, the number of moves", reason="result")
    if not _HASH.fullmatch(result.final_hash):
        raise refuse("result.final_hash", result.final_hash, "16 hex digits")
    for name in ("elim", "terr", "hand"):
        counts = getattr(result, name)
        if len(counts) != players:
            raise refuse(f"result.{name}", counts, f"{players} numbers")


def _check_meta(meta: GameMeta) -> None:
    if meta.purpose not in PURPOSES:
        raise refuse("meta.purpose", meta.purpose, ", ".join(PURPOSES))
    for name in ("run", "host", "version", "device"):
        text = getattr(meta, name)
        if text is not None:
            text_field(f"meta.{name}", text)
    for name in ("index", "ms"):
        number = getattr(meta, name)
        if number is not None:
            whole(f"meta.{name}", number, 0, (1 << 63) - 1)
    if meta.started is not None and not 0 <= meta.started < 1e12:
        raise refuse("meta.started", meta.started, "Unix seconds, or null")
    if len(meta.tags) > 100:
        raise refuse("meta.tags", f"{len(meta.tags)} tags", "at most 100")
    for i, tag in enumerate(meta.tags):
        text_field(f"meta.tags[{i}]", tag)


def _first_beyond(numbers: Sequence[int], limit: int) -> int | None:
    """Return the place of the first number that is negative or not below `limit`."""
    if not numbers or (min(numbers) >= 0 and max(numbers) < limit):
        return None
    return next(i for i, number in enumerate(numbers) if not 0 <= number < limit)


def whole(name: str, value: int, low: int, high: int) -> None:
    """Raise `VerificationError` unless a field is a whole number within its bounds."""
    if not low <= value <= high:
        raise refuse(name, value, f"a whole number from {low} to {high}")


def text_field(name: str, text: str) -> None:
    """Raise `VerificationError` unless a field is a short printable text."""
    if not 0 < len(text) <= MOST_TEXT or not text.isprintable():
        raise refuse(name, text, f"1 to {MOST_TEXT} printable characters")


def _digits(name: str, text: str) -> None:
    if not _ID.fullmatch(text):
        raise refuse(name, text, "64 hex digits")
