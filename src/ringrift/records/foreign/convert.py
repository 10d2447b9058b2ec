"""Make a game record of what a foreign file tells, or say why there is none (selfplay.md 9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ringrift.core.errors import DataError
from ringrift.records.analysis import Analysis
from ringrift.records.foreign import names
from ringrift.records.foreign.game import ForeignGame, PlyClaims
from ringrift.records.foreign.provenance import agent_of, meta_of
from ringrift.records.foreign.searches import ply_analysis
from ringrift.records.foreign.solve import Bounds, Contradiction, Solution, Solver
from ringrift.records.foreign.states import (
    ForeignState,
    difference,
    differing_stacks,
    hash_agrees,
    start_position,
)
from ringrift.records.ply_analysis import PlyAnalysis
from ringrift.records.record import (
    SEED_LIMIT,
    GameRecord,
    VerificationError,
    default_max_plies,
    refuse,
)
from ringrift.records.verify import build_record, verify
from ringrift.rules import BoardSpec, InvalidOption, Position

MODES = ("canonical", "legacy")
"""How strictly the plies of a record are taken; legacy inserts lone bookkeeping plies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A verified record, its search statistics if it had any, and what was counted on the way."""

    record: GameRecord
    analysis: Analysis | None
    notes: Counter[str] = field(default_factory=Counter)


def convert(
    game: ForeignGame, *, legacy: bool = False, line_length: int | None = None
) -> Converted:
    """Replay a foreign game and make its record; raises `VerificationError` with the gate's reason.

    `line_length` is the base line length on hex8 for games that do not state theirs; None tries 3,
    then 4, and records what replays. Where none does, the error of the reading that got furthest
    is raised.
    """
    if not game.moves:
        raise VerificationError("zero_moves", "the game has no move")
    furthest: VerificationError | None = None
    for length in _line_lengths(game, line_length):
        for plies in game.plies:
            try:
                return _Conversion(game, _spec(game, length), plies, legacy=legacy).run()
            except VerificationError as error:
                if furthest is None or (error.ply or 0) > (furthest.ply or 0):
                    furthest = error
    assert furthest is not None
    raise furthest


def _line_lengths(game: ForeignGame, given: int | None) -> Sequence[int | None]:
    recorded = game.options.base_line_length
    if recorded is not None:
        return (recorded,)
    if game.board != "hex8":
        return (None,)
    return (3, 4) if given is None else (given,)


def _spec(game: ForeignGame, length: int | None) -> BoardSpec:
    """Return the rules of a game; raises `VerificationError` (`spec`) naming what is unknown."""
    options = game.options
    swapped = any(move.kind == names.MOVE_KINDS["swap_sides"] for move in game.moves)
    try:
        spec = BoardSpec.create(
            game.board,
            game.players,
            rings_per_player=options.rings_per_player,
            lps_rounds=3 if options.lps_rounds is None else options.lps_rounds,
            swap_rule=swapped if options.swap_rule is None else options.swap_rule,
            base_line_length=length,
        )
    except InvalidOption as error:
        raise VerificationError("spec", error.message) from None
    if options.hand is not None and set(options.hand) != {spec.rings_per_player}:
        expected = f"{spec.rings_per_player} rings for each player, or rulesOptions.ringsPerPlayer"
        raise refuse("players.ringsInHand", options.hand, expected, reason="spec")
    for name, found, known in (
        ("victoryThreshold", options.ring_threshold, (spec.ring_threshold,)),
        (
            "territoryVictoryThreshold",
            options.territory_minimum,
            (spec.territory_minimum, spec.cells // 2 + 1),
        ),
    ):
        if found is not None and found not in known:
            raise refuse(name, found, f"{known[0]} for {spec.config}", reason="spec")
    return spec


class _Conversion:
    """One attempt at a game under one board specification."""

    def __init__(
        self,
        game: ForeignGame,
        spec: BoardSpec,
        plies: Mapping[int, PlyClaims],
        *,
        legacy: bool,
    ) -> None:
        self.game = game
        self.plies = plies
        self.spec = spec
        self.legacy = legacy
        self.notes: Counter[str] = Counter()
        self.start = self._start()
        claims = game.claims
        self.end = None if claims.reason is None else names.end_of(claims.reason)
        if claims.resigned is not None:
            self.end = "resigned"
        score = claims.score
        self.hand, self.total = score.hand, None
        if score.remaining is not None:
            gone = sum(score.elim or ()) - sum(self.start.eliminated)
            if sum(score.remaining) + gone == sum(position_rings(self.start)):
                self.total = score.remaining
            elif score.hand is None:
                self.hand = score.remaining
        self.unknown_hashes: set[str] = set()

    def run(self) -> Converted:
        game = self.game
        self._check_status()
        solution = Solver(
            self.start,
            game.moves,
            check=self._check,
            bounds=Bounds(
                hands=self._hands(), elim=game.claims.score.elim, terr=game.claims.score.terr
            ),
            legacy=self.legacy,
            finish=self.end in (None, "rules"),
        ).solve()
        if game.board == "hex8" and game.options.base_line_length is None:
            self.notes[f"line_length_{self.spec.base_line_length}"] = 1
        if solution.inserted:
            self.notes["inserted"] = solution.inserted
        if solution.nodes:
            self.notes["searched"] = solution.nodes
        if self.unknown_hashes:
            self.notes["hashes_of_unknown_kind"] = len(self.unknown_hashes)
        searched = self._searched(solution)
        record = self._record(solution)
        analysis = None
        if searched:
            analysis = Analysis(game=record.id, agent=f"foreign:{game.format}", plies=searched)
        verify(record, analysis)
        return Converted(record=record, analysis=analysis, notes=self.notes)

    def _start(self) -> Position:
        start = self.game.start
        if start is None:
            return Position.of(self.spec)
        if isinstance(start, ForeignState):
            return start_position(start, self.spec)
        try:
            return Position.parse(start, spec=self.spec)
        except DataError as error:
            raise VerificationError("malformed", str(error), where="field initial") from None

    def _check_status(self) -> None:
        claims = self.game.claims
        status = None if claims.status is None else names.status_of(claims.status)
        if status == "failed" or self.end == "failed":
            found = claims.reason if self.end == "failed" else claims.status
            raise VerificationError("error_status", f"the game was not played out: {found!r:.60}")
        if status == "running" and self.end is None:
            raise VerificationError("incomplete", f"the game's status is {claims.status!r}")
        if claims.plies is not None and claims.plies != len(self.game.moves):
            detail = f"found {len(self.game.moves)} moves where {claims.plies} are claimed"
            raise VerificationError("truncated", detail)
        if claims.initial_hash is not None:
            error = self._compare_hash(claims.initial_hash, self.start, None)
            if error is not None:
                raise error

    def _hands(self) -> dict[int, tuple[int, ...]]:
        """Return the rings in hand that are known after so many moves."""
        known = {at: told.state.hand for at, told in self.plies.items() if told.state is not None}
        if self.hand is not None:
            known[len(self.game.moves)] = self.hand
        return known

    # --- along the moves

    def _check(self, at: int, position: Position) -> Contradiction | None:
        error, cells = None, ()  # type: VerificationError | None, tuple[int, ...]
        claims = self.plies.get(at)
        ply = max(at - 1, 0)
        if claims is not None:
            if claims.state is not None:
                other = difference(claims.state, position)
                if other is not None:
                    error = VerificationError("hash", f"state after it: {other}", ply=ply)
                    cells = differing_stacks(claims.state, position)
            if error is None and claims.phase not in (None, position.phase):
                detail = f"found phase {claims.phase!r} after it; replayed {position.phase!r}"
                error = VerificationError("hash", detail, ply=ply)
            for claimed in claims.hashes:
                error = error or self._compare_hash(claimed, position, ply)
        if error is None and at == len(self.game.moves):
            error = self._check_end(position)
        return None if error is None else Contradiction(error=error, cells=cells)

    def _compare_hash(
        self, claimed: str, position: Position, ply: int | None
    ) -> VerificationError | None:
        agrees = hash_agrees(claimed, position)
        if agrees is None:
            self.unknown_hashes.add(claimed)
        if agrees is not False:
            return None
        detail = f"found state hash {claimed!r:.80}; expected {position.fingerprint}"
        return VerificationError("hash", detail, ply=ply)

    def _check_end(self, position: Position) -> VerificationError | None:
        """Compare the claims about the end with the final position."""
        claims = self.game.claims
        last = len(self.game.moves) - 1
        finished = self.end == "rules" or (self.end is None and claims.status is not None)
        if finished and not position.is_over:
            hint = "" if self.legacy else "; mode legacy adds bookkeeping moves"
            detail = f"the moves end in {position.phase}, the game is not over{hint}"
            return VerificationError("result", detail, ply=last)
        if self.end in ("limit", "resigned") and position.is_over:
            detail = f"found {claims.reason!r}, but the rules ended the game"
            return VerificationError("result", detail, ply=last)
        result = position.result
        winner = result.winner if result is not None else 0
        if self.end == "resigned":
            winner = self._winner_by_resignation()
        pairs = [
            ("winner", claims.winner, winner),
            ("eliminated rings", claims.score.elim, position.eliminated),
            ("territory", claims.score.terr, position.territory),
            ("rings in hand", self.hand, position.hands),
            ("rings left", self.total, position_rings(position)),
        ]
        for name, found, computed in pairs:
            if found is not None and found != computed:
                detail = f"{name}: found {found}; replayed {computed}"
                return VerificationError("result", detail, ply=last)
        if self.end == "rules" and result is not None and claims.reason is not None:
            agreeing = names.BY_RULES[names.reason_word(claims.reason)]
            if result.reason not in agreeing:
                detail = f"reason: found {claims.reason!r}; replayed {result.reason!r}"
                return VerificationError("result", detail, ply=last)
        if claims.final_hash is not None:
            return self._compare_hash(claims.final_hash, position, last)
        return None

    def _winner_by_resignation(self) -> int:
        claims = self.game.claims
        if claims.resigned is not None:
            return 3 - claims.resigned if self.spec.players == 2 else 0
        return claims.winner or 0

    # --- the record

    def _record(self, solution: Solution) -> GameRecord:
        game = self.game
        plies = len(solution.moves)
        if self.end == "resigned" and (self.spec.players != 2 or not self._winner_by_resignation()):
            raise VerificationError("result", "a resignation needs two players and a winner")
        limit = max(default_max_plies(self.spec), plies)
        end, resigned = None, None
        if self.end == "limit":
            end, limit = "max_plies", plies
        elif self.end == "resigned":
            end, resigned = "resigned", 3 - self._winner_by_resignation()
        text = str(self.start)
        start = None if text == str(Position.of(self.spec)) else text
        if end is None and not self._is_over(solution):
            detail = "the moves end before the game does, and nothing says why"
            raise VerificationError("incomplete", detail, ply=plies - 1)
        return build_record(
            self.spec,
            (game.seed or 0) % SEED_LIMIT,
            [agent_of(game.seats[i] if game.seats else {}) for i in range(self.spec.players)],
            solution.moves,
            end=end,
            resigned=resigned,
            meta=meta_of(game, self.notes),
            start=start,
            max_plies=limit,
        )

    def _is_over(self, solution: Solution) -> bool:
        position = self.start.copy()
        for packed in solution.moves:
            position.play(packed)
        return position.is_over

    def _searched(self, solution: Solution) -> tuple[PlyAnalysis, ...]:
        """Return the searches that name moves; those by place in a list are counted."""
        found: list[PlyAnalysis] = []
        position, ply = self.start.copy(), 0
        for i, move in enumerate(self.game.moves):
            if move.search is None:
                continue
            if move.search.policy is None:
                self.notes["policy_dropped"] += 1
                continue
            while ply < solution.places[i]:
                position.play(solution.moves[ply])
                ply += 1
            found.append(ply_analysis(move.search, position, ply))
        return tuple(found)


def position_rings(position: Position) -> tuple[int, ...]:
    """Return the rings of each seat's colour in hand and in stacks."""
    rings = "".join(position.stacks.values())
    return tuple(hand + rings.count(str(seat)) for seat, hand in enumerate(position.hands, 1))
