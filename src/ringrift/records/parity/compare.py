"""Replay one recorded game on the engine of this process and compare it ply by ply."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from ringrift.core.errors import RingriftError
from ringrift.records.parity.games import BOOKKEEPING, Ply, RecordedGame
from ringrift.records.parity.report import NON_CANONICAL, GameCheck
from ringrift.rules import Position
from ringrift.rules import layout as lay
from ringrift.rules.position import board_view
from ringrift.rules.victory import evaluate_victory

MODES = ("canonical", "legacy")
VIEWS = ("post_move", "post_bridge")
MOST_BRIDGED = 8
"""Bookkeeping plies in a row that a record may lack: two empty turns."""

Pair = tuple[str, str, str]
"""What is compared, the record's value, ours."""

ENGINE_FAULTS = (
    RingriftError,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RuntimeError,
)
"""What a defect in the rules may raise: a difference, not the end of the run."""


def short_hash(text: str) -> str:
    """First 16 hex digits of SHA-256, as the records use."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def legal_text(position: Position) -> str:
    """Write a legal set as the records do: texts in byte order joined by `;`."""
    return ";".join(sorted(m.text for m in position.legal_moves()))


def verdict(position: Position) -> str | None:
    """Return what a host that tests for the end after every move would say (FORMAT.md 2, `v`)."""
    probe = position.copy()
    found = int(evaluate_victory(probe._view[0], board_view(probe.spec)[0]))  # noqa: SLF001
    if found:
        counted = probe.record()["misc"][lay.HANDS_COUNTED]
        return f"{found >> 3}:{lay.REASON_NAMES[found & 7]}{':hand' if counted else ''}"
    result = position.result
    return None if result is None else f"{result.winner}:{result.reason}"


def forced_bookkeeping(position: Position) -> str | None:
    """Return the only legal move if it is a bookkeeping move, else None."""
    if position.is_over:
        return None
    legal = position.legal_moves()
    return legal[0].text if len(legal) == 1 and legal[0].text in BOOKKEEPING else None


def compare(
    game: RecordedGame,
    *,
    engine: str = "compiled",
    mode: str = "canonical",
    view: str = "post_move",
    trace_plies: int | None = None,
) -> GameCheck:
    """Replay a game up to its first difference; with `trace_plies` keep what was compared.

    `mode` and `view` as `selfplay.md` 7 defines them; `trace_plies` 0 keeps every ply.
    """
    walk = _Walk(game, engine=engine, mode=mode, view=view, trace_plies=trace_plies)
    try:
        walk.run()
    except ENGINE_FAULTS as error:
        walk.fail([("replay", "a legal move", f"{type(error).__name__}: {error}")])
    return walk.found


class _Walk:
    """The state of one comparison; `found` is its result so far."""

    def __init__(
        self, game: RecordedGame, *, engine: str, mode: str, view: str, trace_plies: int | None
    ) -> None:
        self.game = game
        self.legacy = mode == "legacy"
        self.bridged = view == "post_bridge"
        self.trace_plies = trace_plies
        self.ply = -1
        self.position = self.before = game.position()
        self.found = GameCheck(file=game.file, game=game.id, engine=engine, config=game.spec.config)

    def run(self) -> None:
        """Play the plies and compare the end, unless one differs."""
        for number, ply in enumerate(self.game.plies):
            self.ply = number
            if not self._play(ply):
                return
        if not self._differs(self._at_end()):
            self.found.end = f"{self.game.claim.end}:{self.game.claim.reason}"

    def _play(self, ply: Ply) -> bool:
        """Play one recorded ply; tell whether all agrees so far."""
        self.before = self.position.copy()
        missing = self._missing(ply)
        if missing and not self.legacy:
            self.fail(
                [
                    ("move", ply.move, forced_bookkeeping(self.position) or "-"),
                    *(row for row in self._before(ply) if row[1] != row[2]),
                ]
            )
            self.found.structure = NON_CANONICAL
            self.found.detail = f"{missing} bookkeeping plies are missing before {ply.move!r:.40}"
            return False
        self._bridge(missing)
        inner = self.bridged and ply.bookkeeping and self.ply > 0
        if not inner and self._differs(self._before(ply)):
            return False
        self.before = self.position.copy()
        packed = self.position.pack(ply.move)
        if self._differs([("move text", ply.move, self.position.move_text(packed))]):
            return False
        self.position.play(packed)
        self.found.plies += 1
        self.found.moves[ply.move.split(" ")[0]] += 1
        following = self.game.plies[self.ply + 1 : self.ply + 2]
        if self.bridged and following and following[0].bookkeeping:
            return True
        if self.bridged and self.legacy:
            self._bridge_to(ply)
        return not self._differs(self._after(ply))

    def _missing(self, ply: Ply) -> int:
        """Count the forced bookkeeping plies before the recorded one; 0 if it fits, or never will."""
        probe = self.position.copy()
        for count in range(MOST_BRIDGED + 1):
            if _fits(probe, ply):
                return count
            forced = forced_bookkeeping(probe)
            if forced is None:
                break
            probe.play(forced)
        return 0

    def _bridge(self, count: int) -> None:
        for _ in range(count):
            self.position.play(forced_bookkeeping(self.position) or "")
            self.found.inserted += 1

    def _bridge_to(self, ply: Ply) -> None:
        """Insert the bookkeeping plies after which the position is the recorded one, if it is."""
        if ply.state_hash is None and ply.state is None:
            return
        probe = self.position.copy()
        for count in range(MOST_BRIDGED + 1):
            if ply.state_hash in (None, probe.fingerprint) and ply.state in (None, str(probe)):
                self._bridge(count)
                return
            forced = forced_bookkeeping(probe)
            if forced is None:
                return
            probe.play(forced)

    def _before(self, ply: Ply) -> Iterator[Pair]:
        """Yield what is recorded of the position before a ply."""
        position = self.position
        if ply.phase is not None:
            yield "phase", ply.phase, position.phase
        if ply.player is not None:
            yield "current player", str(ply.player), str(position.current_player)
        yield "status", "active", "completed" if position.is_over else "active"
        legal = legal_text(position)
        if ply.legal is not None:
            yield "legal set", ply.legal, legal
        elif ply.legal_hash is not None:
            yield "legal set hash", ply.legal_hash, short_hash(legal)
        if ply.count is not None:
            yield "legal moves", str(ply.count), str(legal.count(";") + 1 if legal else 0)
        yield "active no moves", "false", str(not legal and not position.is_over).lower()

    def _after(self, ply: Ply) -> Iterator[Pair]:
        """Yield what is recorded of the position after a ply."""
        position, complete = self.position, self.game.complete
        state = str(position)
        if ply.state is not None:
            yield "state", ply.state, state
        if ply.state_hash is not None:
            yield "state hash", ply.state_hash, short_hash(state)
        if complete or ply.lps is not None:
            yield "lps", str(ply.lps), position.lps if position.lps_updated else "None"
        if complete or ply.border is not None:
            yield "border", str(ply.border), str(position.last_border)
        if complete or ply.verdict is not None:
            yield "verdict", str(ply.verdict), str(verdict(position))

    def _at_end(self) -> Iterator[Pair]:
        """Yield what is recorded of the result."""
        claim, position = self.game.claim, self.position
        if claim.final is not None:
            yield "final state", claim.final, str(position)
        if claim.end is not None:
            wanted = "completed" if claim.end == "game_over" else "active"
            yield "status", wanted, "completed" if position.is_over else "active"
        if claim.winner is not None:
            yield "winner", str(claim.winner), str(position.winner)
        if claim.end is not None or claim.reason is not None:
            result = position.result
            yield "reason", str(claim.reason), result.reason if result else "None"
        if claim.end == "no_legal_moves":
            yield "legal set", "", legal_text(position)
        elif not position.is_over:
            stuck = not len(position.legal_packed())
            yield "active no moves", "false", str(stuck).lower()

    def _differs(self, pairs: Iterable[Pair]) -> bool:
        """Compare pairs, keep them where asked for; note the difference if there is one."""
        rows = list(pairs)
        if self.trace_plies is not None and (not self.trace_plies or self.ply < self.trace_plies):
            self.found.rows += [(self.ply, *row) for row in rows]
        wrong = [row for row in rows if row[1] != row[2]]
        if wrong:
            self.fail(wrong)
        return bool(wrong)

    def fail(self, wrong: list[Pair]) -> None:
        """Note the first difference with the states before and at it."""
        found = self.found
        found.diverged_at = self.ply
        found.expected = {what: wanted for what, wanted, _ in wrong}
        found.got = {what: got for what, _, got in wrong}
        found.is_end_of_game_only = self._ended_earlier()
        ply = self.game.plies[self.ply] if self.ply >= 0 else None
        found.evidence = {
            "before": str(self.before),
            "at": str(self.position),
            "recorded": None if ply is None else ply.state or ply.state_hash,
        }

    def _ended_earlier(self) -> bool:
        """Tell whether the record ends here by a verdict that our engine gives, but later acts on."""
        claim = self.game.claim
        if claim.end != "game_over" or self.ply != len(self.game.plies) - 1:
            return False
        if self.position.is_over:
            return False
        ours = verdict(self.position)
        return ours is not None and ours.split(":")[:2] == [str(claim.winner), str(claim.reason)]


def _fits(position: Position, ply: Ply) -> bool:
    """Tell whether a recorded ply can be the next one."""
    if ply.phase not in (None, position.phase) or ply.player not in (
        None,
        position.current_player,
    ):
        return False
    try:
        return position.pack(ply.move) in position.legal_packed()
    except RingriftError:
        return False
