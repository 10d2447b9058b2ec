"""Run all checks of a canonical store of one configuration, stage by stage (selfplay.md 8)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError
from ringrift.core.processes import begin_worker
from ringrift.records.canonical.fixtures import check_positions, load_positions
from ringrift.records.canonical.history import history_fault
from ringrift.records.canonical.report import CanonicalReport
from ringrift.records.game_bytes import from_bytes
from ringrift.records.parity import ENGINES, GameCheck, Report, check_engines
from ringrift.records.parity.run import children_of
from ringrift.records.parity.stored import StoredGame, read_store
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.replayer import Replayer
from ringrift.records.traces import Trace, packaged_traces, read_traces
from ringrift.rules import RULES_VERSION, BoardSpec, parse_config
from ringrift.rules import moves as mv

STAGES = ("verify", "parity", "history", "fixtures")
SAMPLES = 20
"""Issues and failures that a report names."""

Progress = Callable[[str, int, int | None], None]
"""Called with the stage, what is done of it, and its size where that is known."""


def check_canonical(
    store: Path,
    config: str,
    *,
    games_requested: int | None = None,
    run: str | None = None,
    spec: BoardSpec | None = None,
    engines: Sequence[str] = ENGINES,
    parity_limit: int = 0,
    parity_timeout_s: float = 0.0,
    workers: int | None = None,
    on_progress: Progress = lambda stage, done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> CanonicalReport:
    """Check the games of `config` in a store, of one `run` or all, and the rules they stand on.

    Every game is verified on all `engines`, the packaged recorded games of the board are replayed,
    each turn must have its plies, the hand-made positions must play as written, and no player may
    be without a move. `spec` is what the games must be played under (default: the configuration's;
    the pie rule is free). `parity_limit` games of each corpus file and `parity_timeout_s` seconds
    for verification and corpora (0: no limit) cut a stage, as `stop` does, and what is cut is not
    ok. Raises `DataError` for a file that is no game store.
    """
    board, players = parse_config(config)
    wanted = BoardSpec.create(board, players) if spec is None else spec
    begin_s = time.monotonic()

    def late() -> bool:
        timed_out = parity_timeout_s > 0 and time.monotonic() - begin_s > parity_timeout_s
        return stop() or timed_out

    def stored() -> Iterator[StoredGame]:
        return read_store(store, config=wanted.config, run=run)

    gate = _Gate(str(store))
    corpora = _Corpora(board, parity_limit)
    check_engines(
        lambda: chain(stored(), corpora.items()),
        engines,
        workers=workers,
        on_game=lambda _, game: gate.add(game, on_progress),
        stop=late,
    )
    gate.cut_if("parity", late() or corpora.limited)
    games = _Games(wanted)
    for done, game in enumerate(stored(), 1):
        if stop():
            gate.cut_if("history", cut=True)
            break
        games.add(game)
        on_progress("history", done, None)
    fixtures = None if stop() else _fixtures(board, engines)
    on_progress("fixtures", 1, 1)
    gate.cut_if("fixtures", fixtures is None)
    requested = games_requested is None or games.stats["games_total"] >= games_requested
    ok = (
        gate.passed
        and requested
        and not gate.cut
        and not games.other_spec
        and not games.issues
        and not games.stuck
        and not fixtures
    )
    return CanonicalReport(
        board_type=board,
        num_players=players,
        db_path=str(store),
        num_games_requested=games_requested,
        db_stats=games.stats,
        parity_gate=gate.as_json(),
        canonical_config={
            "ok": not games.other_spec,
            "rules_version": RULES_VERSION,
            "spec_hash": wanted.hash,
            **asdict(wanted),
            "games_under_others": len(games.other_spec),
        },
        canonical_history={
            "games_checked": games.checked,
            "non_canonical_games": len(games.issues),
            "sample_issues": games.issues[:SAMPLES],
        },
        fe_territory_fixtures_ok=fixtures == [],
        anm_ok=games.checked > 0 and not games.stuck and "history" not in gate.cut,
        canonical_ok=ok,
        problems=(
            *gate.problems(),
            *([] if requested else [f"fewer games than the {games_requested} asked for"]),
            *(f"{identity} has other rule options" for identity in games.other_spec[:SAMPLES]),
            *(
                f"{issue['game']} ply {issue['ply']} history: {issue['detail']}"
                for issue in games.issues[:SAMPLES]
            ),
            *games.stuck[:SAMPLES],
            *(fixtures or [])[:SAMPLES],
        ),
    )


@dataclass(slots=True)
class _Gate:
    """What the engines found in the store's games and in the corpora, and the stages that were cut."""

    store: str
    verified: Report = field(default_factory=Report)
    corpora: Report = field(default_factory=Report)
    cut: list[str] = field(default_factory=list)

    def add(self, game: GameCheck, on_progress: Progress) -> None:
        of_store = game.file == self.store
        report = self.verified if of_store else self.corpora
        report.add(game)
        stage = "verify" if of_store else "parity"
        on_progress(stage, sum(report.by_engine.values()), None)

    def cut_if(self, stage: str, cut: bool) -> None:
        if cut:
            self.cut.append(stage)

    @property
    def passed(self) -> bool:
        return self.verified.passed and self.corpora.passed and not self.cut

    def as_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "verified": _totals(self.verified),
            "corpora": _totals(self.corpora),
            "cut": self.cut,
        }

    def problems(self) -> Iterator[str]:
        if not self.verified.games:
            yield "the store has no game of the configuration"
        for report in (self.verified, self.corpora):
            yield from (str(found) for found in report.failures[:SAMPLES] if not found.ok)
        for stage in self.cut:
            yield f"the stage {stage} was cut by a limit"


def _totals(report: Report) -> dict[str, Any]:
    return {
        "games": report.games,
        "plies": report.plies,
        "structural": report.structural,
        "non_canonical": report.non_canonical,
        "divergences": report.divergences,
        "by_engine": dict(report.by_engine),
        "failures": [found.as_json() for found in report.failures[:SAMPLES] if not found.ok],
    }


class _Corpora:
    """The packaged recorded games of a board, at most `limit` of each file (0: all)."""

    def __init__(self, board: str, limit: int) -> None:
        self.board = board
        self.limit = limit
        self.limited = False

    def items(self) -> Iterator[Trace]:
        for path in packaged_traces():
            if self.board not in path.name.replace(".", "_").split("_"):
                continue
            games = (t for t in read_traces(path) if t.game.get("board_type") == self.board)
            yield from islice(games, self.limit or None)
            if self.limit and next(games, None) is not None:
                self.limited = True


class _Games:
    """What one pass over the games themselves finds."""

    def __init__(self, spec: BoardSpec) -> None:
        self.spec = spec
        self.checked = 0
        self.stats = {"games_total": 0, "games_completed": 0, "moves_total": 0, "swap_sides": 0}
        self.other_spec: list[str] = []
        self.issues: list[dict[str, Any]] = []
        self.stuck: list[str] = []

    def add(self, game: StoredGame) -> None:
        self.stats["games_total"] += 1
        try:
            record = from_bytes(game.data)
        except DataError as error:
            self.issues.append({"game": game.id, "ply": None, "detail": str(error)})
            return
        self.checked += 1
        finished = record.result.end == "game_over"
        self.stats["games_completed"] += finished
        self.stats["moves_total"] += len(record.moves)
        self.stats["swap_sides"] += sum(m & mv.KIND_MASK == mv.SWAP for m in record.moves)
        if replace(record.spec, swap_rule=self.spec.swap_rule) != self.spec:
            self.other_spec.append(game.id)
        fault = history_fault(record.moves, finished=finished)
        if fault is not None:
            self.issues.append({"game": game.id, "ply": fault[0], "detail": fault[1]})
        if (stuck := _stuck_at(record)) is not None:
            self.stuck.append(f"{game.id} ply {stuck}: an active player has no legal move")


def _stuck_at(record: GameRecord) -> int | None:
    """Return the ply at which the game goes on but its mover has no move; None if there is none.

    A game that does not replay to its end is looked at up to its fault.
    """
    replayer = Replayer(record.spec, record.start, record.moves)
    try:
        position = replayer.finish()
    except VerificationError:
        position = replayer.position
    if position.is_over or len(position.legal_packed()):
        return None
    return replayer.ply


def _fixtures(board: str, engines: Sequence[str]) -> list[str]:
    """Play the hand-made positions of a board on each engine; return what is wrong."""
    wrong = [] if load_positions(board) else [f"{board} has no hand-made positions"]
    for engine in engines:
        if engine == "compiled":
            found = check_positions(board)
        else:
            with (
                children_of(engine),
                ProcessPoolExecutor(
                    1, mp_context=get_context("spawn"), initializer=begin_worker
                ) as pool,
            ):
                found = pool.submit(check_positions, board).result()
        wrong += [f"{text} ({engine})" for text in found]
    return wrong
