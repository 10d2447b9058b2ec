"""`ringrift selfplay reanalyze`: search games again that are already played (`selfplay.md` 3)."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

import typer

from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.lists import expand_paths
from ringrift.cli.model_references import CHAMPION
from ringrift.cli.selfplay.models_at_hand import ModelsAtHand
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NegativeResult, RingriftError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ringrift.cli.invocation import Invocation
    from ringrift.core.interrupt import Stop
    from ringrift.records import Analysis, GameRecord, GameStore
    from ringrift.rules import BoardSpec
    from ringrift.selfplay.reanalyze import ReanalyzeJob

WITH_CHAMPION, WITHOUT_CHAMPION = "gumbel@champion", "mcts:eval=heuristic"
DEFAULT_SIMS = 100


def reanalyze(
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="JSON lines, shard, store or foreign file [default: the game store].",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="JSON lines of games with their analyses [default: into the game store].",
        ),
    ] = None,
    sims: Annotated[
        int | None,
        typer.Option(
            "--mcts-sims", min=1, help="Simulations of a search [default: the agent's, else 100]."
        ),
    ] = None,
    every: Annotated[
        int, typer.Option("--sample-every", min=1, help="Search every k-th choice of a game.")
    ] = 5,
    max_games: Annotated[int | None, typer.Option("--max-games", min=1, help="Games.")] = None,
    board: Annotated[
        str | None,
        typer.Option("--board-type", "--board", metavar="BOARD", help="This board only."),
    ] = None,
    players: Annotated[
        int | None,
        typer.Option("--num-players", "--players", min=2, max=4, help="This many players only."),
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(
            "--agent",
            metavar="SPEC",
            help="Who searches [default: gumbel@champion, mcts:eval=heuristic without champion].",
        ),
    ] = None,
    priority: Annotated[
        Literal["uniform", "surprise"],
        typer.Option(
            "--priority", help="Choices evenly, or half of them where a search surprised."
        ),
    ] = "uniform",
    append: Annotated[
        bool,
        typer.Option("--append", help="Add to FILE; games that have this analysis are left out."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes [default: as many as fit].")
    ] = None,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Search games again that are already played.

    Reads games; writes analyses, to FILE with the games or into the game store. No game is altered.
    Killed at any instant it keeps what was searched: the same line goes on.

    Exit code 1 when there is no game to search, 2 for a model that is not there, 6 for bad input.

    Examples: ringrift selfplay reanalyze --input games.jsonl --output mcts_games.jsonl |
    ringrift selfplay reanalyze --max-games 100 --mcts-sims 200 --dry-run

    was: reanalyze_mcts_policy.py
    """
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.core.limits import thread_budget

    invocation = current()
    if files and output is None:
        raise UsageError("files are given but no --output", hint="--output FILE")
    store = invocation.paths(create=False).game_store
    if not files and not store.is_file():
        raise UsageError(f"no game store {store}", where="--input", hint="--input FILE")
    if not dry_run:
        ready_for(invocation, wait=not no_wait)
    sources = expand_paths(files, what="--input") if files else [store]
    chosen = Searchers(invocation, agent, sims, every, priority)
    games = islice(_games(sources, _long(board), players), max_games)
    if dry_run:
        count = sum(chosen.prepare(game) for game, _ in games)
        _finish(invocation, chosen, Counts(games=count), output, dry_run=True)
        return
    with cooperative_stop() as stop, _place(output, store, append=append) as place:
        counts = _search(invocation, games, chosen, place, workers or thread_budget(), stop)
        if not stop.requested:
            place.finish()
    if stop.requested:
        invocation.out.note(f"{counts.searched:,} games are kept; the same line goes on")
        raise typer.Exit(stop.exit_code)
    _finish(invocation, chosen, counts, output, dry_run=False)


@dataclass(slots=True)
class Counts:
    """What a run came to: games read, searched, left out as done, and plies searched."""

    games: int = 0
    searched: int = 0
    done: int = 0
    plies: int = 0


class Searchers:
    """Who searches the games of each specification, with its models; found once."""

    def __init__(
        self,
        invocation: Invocation,
        agent: str | None,
        sims: int | None,
        every: int,
        priority: Literal["uniform", "surprise"],
    ) -> None:
        self._invocation = invocation
        self._given = agent
        self._sims = sims
        self._every = every
        self._priority: Literal["uniform", "surprise"] = priority
        self._found: dict[BoardSpec, tuple[ReanalyzeJob, str]] = {}

    def prepare(self, game: GameRecord) -> bool:
        """Find the searcher of a game; raises `UsageError` for a bad spec or a missing model."""
        self.job(game.spec)
        return True

    def job(self, board: BoardSpec) -> ReanalyzeJob:
        """Return how games of `board` are searched."""
        return self._of(board)[0]

    def agent_hash(self, board: BoardSpec) -> str:
        """Return the hash of the agent that searches games of `board`."""
        return self._of(board)[1]

    def named(self) -> dict[str, str]:
        """Return the agent of each configuration so far."""
        return {board.config: job.agent for board, (job, _) in self._found.items()}

    def _of(self, board: BoardSpec) -> tuple[ReanalyzeJob, str]:
        if board not in self._found:
            self._found[board] = self.find(board)
            job = self._found[board][0]
            self._invocation.out.note(f"{board.config}: {job.agent} searches")
        return self._found[board]

    def find(self, board: BoardSpec) -> tuple[ReanalyzeJob, str]:
        """Return how games of `board` would be searched, and the hash of the agent."""
        from ringrift.agents.factory import identify
        from ringrift.agents.kinds import KINDS
        from ringrift.agents.spec import parse_spec
        from ringrift.selfplay.reanalyze import ReanalyzeJob

        models = ModelsAtHand.of(self._invocation, board)
        text = self._given
        if text is None:
            with suppress(UsageError):  # there is no champion
                models.take(CHAMPION)
            text = WITH_CHAMPION if models.files else WITHOUT_CHAMPION
        spec = parse_spec(models.named(text))
        counts = spec.kind in KINDS and "sims" in KINDS[spec.kind].keys
        if self._sims is not None and not counts:
            raise UsageError(f"{spec.kind} does not count simulations", where="--mcts-sims")
        if counts and (self._sims is not None or "sims" not in dict(spec.args)):
            spec = parse_spec(str(spec.with_value("sims", self._sims or DEFAULT_SIMS)))
        job = ReanalyzeJob(
            agent=str(spec), every=self._every, priority=self._priority, models=models.files
        )
        identity = identify(job.agent, board, model_ids={name: name for name in models.files})
        return job, identity.agent_hash


class Place(Protocol):
    """Where analyses go."""

    def analyses(self, game: GameRecord) -> Sequence[Analysis]:
        """Return what it holds of a game."""

    def add(self, game: GameRecord, analyses: Sequence[Analysis]) -> None:
        """Keep a game's analyses."""

    def finish(self) -> object:
        """Make all of it durable."""


class IntoStore:
    """The game store as the place of analyses."""

    def __init__(self, store: GameStore) -> None:
        self._store = store

    def analyses(self, game: GameRecord) -> Sequence[Analysis]:
        """Return what the store holds of a game."""
        return self._store.analyses(game.id)

    def add(self, game: GameRecord, analyses: Sequence[Analysis]) -> None:
        """Ingest a game's analyses: each is verified, those it has are left out."""
        report = self._store.ingest([(game, analysis) for analysis in analyses], source="reanalyze")
        if report.quarantined:
            raise RingriftError(f"an analysis of game {game.id[:12]} did not verify")

    def finish(self) -> None:
        """Every call of `add` has committed."""


@contextmanager
def _place(output: Path | None, store: Path, *, append: bool) -> Iterator[Place]:
    if output is not None:
        from ringrift.selfplay.reanalysis_file import ReanalysisFile

        with ReanalysisFile(output, append=append) as file:
            yield file
        return
    from ringrift.records import GameStore

    with GameStore.open(store, writer=True) as opened:
        yield IntoStore(opened)


def _games(
    sources: Sequence[Path], board: str | None, players: int | None
) -> Iterator[tuple[GameRecord, list[Analysis]]]:
    from ringrift.records.foreign.sources import read_any

    for path in sources:
        for game, analyses in read_any(path):
            if board in (None, game.spec.board) and players in (None, game.spec.players):
                yield game, analyses


def _search(
    invocation: Invocation,
    games: Iterator[tuple[GameRecord, list[Analysis]]],
    chosen: Searchers,
    place: Place,
    workers: int,
    stop: Stop,
) -> Counts:
    from ringrift.selfplay.reanalyze import reanalyze as search

    counts = Counts()
    held: dict[str, list[Analysis]] = {}

    def todo() -> Iterator[tuple[GameRecord, list[Analysis]]]:
        for game, analyses in games:
            counts.games += 1
            known = [*analyses, *place.analyses(game)]
            if chosen.job(game.spec).is_done(known, chosen.agent_hash(game.spec)):
                counts.done += 1
                continue
            held[game.id] = analyses
            yield game, analyses

    with invocation.out.progress() as progress:
        task = progress.task("searching", unit="games")
        for game, found in search(todo(), chosen.job, workers=workers, stop=lambda: stop.requested):
            place.add(game, [*held.pop(game.id), *([] if found is None else [found])])
            counts.searched += 1
            counts.plies += 0 if found is None else len(found.plies)
            task.update(counts.searched, name=f"searching ({counts.plies:,} plies)")
        task.finish()
    return counts


def _finish(
    invocation: Invocation, chosen: Searchers, counts: Counts, output: Path | None, *, dry_run: bool
) -> None:
    if not counts.games:
        raise NegativeResult("no game to search")
    to = "the game store" if output is None else str(output)
    text = f"searched {counts.plies:,} plies of {counts.searched:,} games into {to}"
    if counts.done:
        text += f"; {counts.done:,} had this analysis"
    if dry_run:
        text = f"would search {counts.games:,} games into {to}"
    invocation.out.result(
        {
            **asdict(counts),
            "agents": chosen.named(),
            "output": None if output is None else str(output),
            "dry_run": dry_run,
        },
        human=text,
    )


def _long(board: str | None) -> str | None:
    if board is None:
        return None
    from ringrift.rules import BoardSpec

    return BoardSpec.create(board, 2).board


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reanalyze")(reanalyze)
