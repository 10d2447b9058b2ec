"""Run the loop: look at the facts, do what is missing, look again (`loop.md` 3, the thin version).

Control imports no torch and plays no games. Killing it at any instant loses the games in the air and
an unfinished training, nothing else: the next start finds out from the facts where to go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import BusyError, RingriftError
from ringrift.core.files import lock
from ringrift.core.ids import short
from ringrift.evaluation.matches import run_match
from ringrift.evaluation.promotion import NamedMatch, derived_seed
from ringrift.evaluation.results import MatchResult
from ringrift.evaluation.tally import Tally
from ringrift.loop.child import ChildStopped
from ringrift.loop.facts import Facts, next_stage
from ringrift.loop.interfaces import (
    Guard,
    Learner,
    Observer,
    Played,
    Screen,
    SelfplayOrder,
    Task,
    Workers,
)
from ringrift.loop.learn import REPORT as TRAINING_REPORT
from ringrift.loop.learn import TrainingOrder
from ringrift.loop.measure import Matches
from ringrift.loop.plan import LoopPlan, spec_of
from ringrift.loop.report import (
    GenerationReport,
    SelfplayTotals,
    exam_report,
    generation_report,
)
from ringrift.loop.resources import cpu_seconds
from ringrift.loop.runs import (
    REPORT,
    Clock,
    Resume,
    Run,
    choose_run,
    open_run,
    read_json,
    write_json,
)
from ringrift.models.decisions import Chain, read_chain
from ringrift.models.judging import Rules
from ringrift.models.promotion import first_champion, follow_decisions, record_verdict
from ringrift.models.registry import has_model, model_path
from ringrift.records.store import GameStore

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.core.paths import Paths
    from ringrift.rules import BoardSpec

TRAINING = "training"
INGEST_EVERY = 16
REJECTIONS_BEFORE_RETURN = 3
PAUSE_POLL_S = 0.5


class Stopped(Exception):
    """The run was asked to stop; everything finished is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopReport:
    """What a run came to."""

    run: str
    folder: Path
    champion: str | None
    generations: tuple[dict[str, Any], ...]
    exam: dict[str, Any] | None
    complete: bool


@dataclass(slots=True, kw_only=True)
class Control:
    """One run in work."""

    plan: LoopPlan
    paths: Paths
    run: Run
    store: GameStore
    workers: Workers
    learner: Learner
    screen: Screen
    stop: Callable[[], bool]
    guard: Guard
    threads: int = 1
    on_generation: Callable[[GenerationReport], None] = lambda report: None
    observer: Observer | None = None
    spec: BoardSpec = field(init=False)
    matches: Matches = field(init=False)
    cut_short: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.spec = spec_of(self.plan.config)
        self.matches = Matches(self.plan, self.spec)
        self.guard.listen(self.guard_changed)

    # --- facts

    def chain(self) -> Chain:
        """Return the decisions about this configuration."""
        return read_chain(self.paths.decisions, self.plan.config)

    def decisions(self, chain: Chain) -> list[Any]:
        """Return this run's decisions about candidates, one per generation."""
        return [d for d in chain.of_run(self.run.id) if d.generation is not None]

    def gather(self) -> Facts:
        """Look at everything that decides what comes next."""
        chain = self.chain()
        champion = chain.champion
        if champion is not None and not has_model(self.paths.model_objects, champion):
            raise RingriftError(
                f"{self.plan.config}: the champion {short(champion)} has no model file",
                where=str(model_path(self.paths.model_objects, champion)),
                hint="bringing the file back; nothing takes a champion's place by itself",
            )
        decided = len(self.decisions(chain))
        facts = Facts(generations=self.plan.generations, decided=decided, champion=champion)
        if champion is None:
            return facts
        if decided >= self.plan.generations:
            return Facts(
                generations=self.plan.generations,
                decided=decided,
                champion=champion,
                examined=self.matches.exam(champion).stored(self.store).complete,
                reported=self.run.finished,
            )
        present = self.store.indices(self.run.games_name(facts.generation), purpose="selfplay")
        missing = tuple(i for i in range(self.plan.selfplay.games) if i not in present)
        candidate = self.candidate(facts.generation)
        return Facts(
            generations=self.plan.generations,
            decided=decided,
            champion=champion,
            missing_games=missing,
            candidate=candidate,
            measured=candidate is not None
            and self.matches.measured(candidate, champion, self.store) is not None,
        )

    def candidate(self, generation: int) -> str | None:
        """Return the trained candidate of a generation if report and model file are there."""
        report = self.training_report(generation)
        model = None if report is None else str(report["model_id"])
        if model is not None and has_model(self.paths.model_objects, model):
            return model
        return None

    def training_report(self, generation: int) -> dict[str, Any] | None:
        """Return the report of a generation's training."""
        found: dict[str, Any] | None = read_json(
            self.run.generation(generation) / TRAINING / TRAINING_REPORT
        )
        return found

    # --- work

    def go(self) -> None:
        """Do what is missing until nothing is; raises `Stopped` when asked to stop."""
        while True:
            facts = self.gather()
            stage, reason = next_stage(facts)
            if stage == "done":
                return
            if stage not in ("decide", "report"):
                self.wait_until_free()
            if self.stop():
                raise Stopped
            self.cut_short = False
            cycle = None if stage in ("exam", "report", "unborn") else facts.generation
            self.event("stage_started", cycle, stage=stage, reason=reason)
            clock, before_s = Clock(), cpu_seconds()
            try:
                getattr(self, f"do_{stage}")(facts)
            except ChildStopped:
                pass  # whoever asked for it is looked at below
            finally:
                self.event(
                    "stage_ended",
                    cycle,
                    stage=stage,
                    seconds=clock.seconds,
                    cpu_seconds=round(cpu_seconds() - before_s, 2),
                )
            if stage == "decide" and not self.cut_short:
                self.finish_generation(facts.generation)
            if self.stop():
                raise Stopped
            if not self.cut_short and self.gather() == facts:
                raise RingriftError(
                    f"the stage {stage} changed nothing", where=str(self.run.folder)
                )

    def ended(self) -> bool:
        """Tell workers and children to end: the run was asked to stop, or the guard wants it."""
        if self.stop():
            return True
        if self.guard.must_end():
            self.cut_short = True
        return self.cut_short

    def wait_until_free(self) -> None:
        """Wait while the guard holds, with the workers' memory given back; raises `Stopped`."""
        if not self.guard.hold():
            return
        self.guard.workers_end()
        self.workers.close()
        while self.guard.hold():
            if self.stop():
                raise Stopped
            time.sleep(PAUSE_POLL_S)

    def guard_changed(self, reasons: tuple[str, ...]) -> None:
        """Say that the guard holds the loop, and why, or that it lets it go on."""
        self.event("guard_level", held=bool(reasons), reasons=list(reasons))
        self.screen.note(f"paused: {'; '.join(reasons)}" if reasons else "going on")

    def event(self, kind: str, cycle: int | None = None, **data: Any) -> None:
        """Write an event."""
        event = self.run.events.write(kind, config=self.plan.config, cycle=cycle, **data)
        if self.observer is not None:
            self.observer.event(event)

    def do_unborn(self, facts: Facts) -> None:
        """Make a model of random weights and put it at the head of the chain, saying so."""
        del facts
        seed = derived_seed(self.plan.seed, self.plan.config, "init")
        model = self.learner.random_model(
            config=self.plan.config,
            size=self.plan.training.size,
            encoder=self.plan.training.encoder,
            seed=seed,
            objects=self.paths.model_objects,
            stop=self.ended,
        )
        first_champion(
            self.paths.models,
            self.chain(),
            model,
            "no model yet: random weights",
            inputs={"seed": seed, "size": self.plan.training.size},
            run=self.run.id,
        )
        self.event("model_initialised", model=model, size=self.plan.training.size)
        self.screen.note(
            f"{self.plan.config}: no model yet - starting from random weights (model {short(model)})"
        )

    def do_selfplay(self, facts: Facts) -> None:
        """Play the missing games with the champion; each is stored within a second or so."""
        assert facts.champion is not None
        total = self.plan.selfplay.games
        order = SelfplayOrder(
            spec=self.spec,
            model=facts.champion,
            run=self.run.games_name(facts.generation),
            seed=derived_seed(self.plan.seed, self.run.id, self.plan.config, facts.generation),
            indices=facts.missing_games,
            plan=self.plan.selfplay,
        )
        with self.bar(
            f"generation {facts.generation}: self-play", total=total, unit="games"
        ) as task:
            done = total - len(facts.missing_games)
            task.update(done)
            for stored in self.ingested(self.workers.selfplay(order, self.ended)):
                done += stored
                task.update(done)
        self.event("games_ingested", facts.generation, games=done, total=total)

    def ingested(self, games: Any) -> Iterator[int]:
        """Store games in small groups as they arrive; yield how many each group added."""
        waiting: list[Played] = []
        since = Clock()
        try:
            for game in games:
                waiting.append(game)
                if len(waiting) >= INGEST_EVERY or since.seconds >= 1.0:
                    yield self.ingest(waiting)
                    waiting, since = [], Clock()
        finally:
            if waiting:
                self.ingest(waiting)
        if waiting:
            yield len(waiting)

    def ingest(self, games: list[Played]) -> int:
        """Store verified games; an unverifiable one stops the run, for it is a defect."""
        report = self.store.ingest(games, source=self.run.id)
        if self.observer is not None:
            self.observer.games(games, report.added)
        if report.quarantined:
            self.event("games_quarantined", games=report.quarantined, reasons=dict(report.reasons))
            raise RingriftError(
                f"{report.quarantined} games of our own did not verify: {dict(report.reasons)}",
                where=str(self.store.path),
                hint="ringrift games verify",
            )
        return report.added

    def do_train(self, facts: Facts) -> None:
        """Train a candidate from the newest one, or from the champion (`loop.md` 4)."""
        parent = self.parent(facts)
        self.event("training_started", facts.generation, parent=parent)
        with self.bar(f"generation {facts.generation}: training", unit="steps") as task:

            def show(report: dict[str, Any]) -> None:
                loss = report.get("loss")
                words = "" if loss is None else f" (loss {loss:.3f})"
                task.update(
                    int(report["step"]),
                    name=f"generation {facts.generation}: training{words}",
                    total=int(report["steps"]),
                )

            order = TrainingOrder(
                config=self.plan.config,
                store=self.store.path,
                objects=self.paths.model_objects,
                parent=parent,
                plan=self.plan.training,
                seed=derived_seed(self.plan.seed, self.run.id, "train", facts.generation),
                folder=self.run.generation(facts.generation) / TRAINING,
                games_run=self.run.games_name(facts.generation),
                npz=self.paths.npz,
                cache=self.paths.cache,
                threads=self.threads,
            )
            report = self.learner.candidate(order, on_report=show, stop=self.ended)
        self.event("training_finished", facts.generation, **report)

    def parent(self, facts: Facts) -> str:
        """Return the model that a training starts from: the newest candidate, promoted or not.

        Every third rejection in a row returns to the champion.
        """
        assert facts.champion is not None
        chain = self.chain()
        rejections = 0
        for decision in reversed(chain.decisions):
            if decision.kind != "rejected":
                break
            rejections += 1
        newest = chain.decisions[-1]
        hopeless = rejections > 0 and rejections % REJECTIONS_BEFORE_RETURN == 0
        if hopeless or newest.kind == "rolled_back":
            return facts.champion
        if not has_model(self.paths.model_objects, newest.candidate):
            return facts.champion
        return newest.candidate

    def do_measure(self, facts: Facts) -> None:
        """Play the generation's matches that are not stored yet."""
        assert facts.champion is not None
        assert facts.candidate is not None
        for match in self.matches.of_generation(facts.candidate, facts.champion).values():
            self.play(match, facts.generation)
            if self.cut_short:
                return

    def play(self, match: NamedMatch, cycle: int | None) -> MatchResult:
        """Play one match to its end."""
        before = match.stored(self.store)
        if before.complete:
            return before
        head = match.title if cycle is None else f"generation {cycle}: {match.title}"
        with self.bar(head, total=match.plan.games, unit="games") as task:

            def show(games: Tally) -> None:
                task.update(games.counted, name=f"{head} {games.words}".rstrip())

            def players(plan: Any, games: Any) -> Iterator[Any]:
                for record in self.workers.match(plan, games, self.ended):
                    if record.result.end != "aborted":
                        self.ingest([(record, None)])
                    yield record

            result = run_match(
                match.plan,
                self.store,
                players,
                title=match.title,
                on_progress=show,
                stop=self.ended,
            )
        if result.complete:
            self.event("match_finished", cycle, **result.as_tree())
        return result

    def do_decide(self, facts: Facts) -> None:
        """Decide about the candidate and write it down once.

        Where somebody else decided meanwhile, the facts are looked at again.
        """
        assert facts.champion is not None
        assert facts.candidate is not None
        measured = self.matches.measured(facts.candidate, facts.champion, self.store)
        assert measured is not None
        test = self.plan.measuring.test
        rules = Rules(
            players=self.spec.players,
            min_games=test.min_games,
            regression=False,  # neither is measured in a generation
            holdout=False,
        )
        chain = self.chain()
        if chain.champion != facts.champion:
            self.cut_short = True
            return
        try:
            made = record_verdict(
                self.paths.models,
                chain,
                facts.candidate,
                measured,
                rules,
                settings=asdict(self.plan.measuring),
                run=self.run.id,
                generation=facts.generation,
                load=False,
            ).decision
        except BusyError:
            self.cut_short = True
            return
        self.event(made.kind, facts.generation, candidate=facts.candidate, reason=made.reason)

    def do_exam(self, facts: Facts) -> None:
        """Play the final champion against random."""
        assert facts.champion is not None
        self.play(self.matches.exam(facts.champion), None)

    def do_report(self, facts: Facts) -> None:
        """Write the report, by which the run counts as finished."""
        assert facts.champion is not None
        exam = self.matches.exam(facts.champion).stored(self.store)
        tables = self.generation_tables(facts.decided)
        report = {
            "schema": 1,
            "run": self.run.id,
            "config": self.plan.config,
            "champion": facts.champion,
            "generations": tables,
            "exam": exam_report(exam),
        }
        write_json(self.run.folder / REPORT, report)
        self.event("run_finished", champion=facts.champion, exam_score=exam.score)

    # --- tables

    def finish_generation(self, generation: int) -> None:
        """Write the table of a decided generation and show it."""
        made = self.table_of(generation)
        write_json(self.run.generation(generation) / "table.json", made.as_tree())
        self.on_generation(made)

    def generation_tables(self, decided: int) -> list[dict[str, Any]]:
        """Return all tables; one that a kill prevented is computed now."""
        tables = []
        for generation in range(1, decided + 1):
            table = read_json(self.run.generation(generation) / "table.json")
            if table is None:
                self.finish_generation(generation)
                table = read_json(self.run.generation(generation) / "table.json")
            tables.append(table)
        return tables

    def table_of(self, generation: int) -> GenerationReport:
        """Compute the table of a decided generation from the facts."""
        decision = self.decisions(self.chain())[generation - 1]
        training = self.training_report(generation)
        assert training is not None
        measured = self.matches.measured(decision.candidate, decision.champion_before, self.store)
        assert measured is not None
        return generation_report(
            generation=generation,
            selfplay=self.selfplay_totals(generation),
            training=training,
            measured=measured,
            decision=decision,
            stage_seconds=self.run.events.stage_seconds(generation),
        )

    def selfplay_totals(self, generation: int) -> SelfplayTotals:
        """Count a generation's games, plies and searched choices in the store."""
        games = plies = choices = 0
        name = self.run.games_name(generation)
        for _, record, analysis in self.store.records(
            self.plan.config, purpose="selfplay", run=name
        ):
            games += 1
            plies += record.result.plies
            choices += 0 if analysis is None else len(analysis.plies)
        return SelfplayTotals(games=games, plies=plies, choices=choices)

    @contextmanager
    def bar(self, name: str, *, total: int | None = None, unit: str = "") -> Iterator[Task]:
        """Show a progress bar while the block runs."""
        task = self.screen.task(name, total=total, unit=unit)
        try:
            yield task
        finally:
            task.finish()


def run_loop(
    plan: LoopPlan,
    paths: Paths,
    *,
    settings: Mapping[str, Any],
    mode: Resume,
    screen: Screen,
    stop: Callable[[], bool],
    make_workers: Callable[[], Workers],
    learner: Learner,
    guard: Guard,
    threads: int = 1,
    on_begin: Callable[[Run], None] = lambda run: None,
    on_generation: Callable[[GenerationReport], None] = lambda report: None,
    observer: Observer | None = None,
) -> LoopReport:
    """Run the loop to its end, or until `stop`; only one at a time on a data root.

    `settings` goes into the run folder as it is: values, their origins, versions. Raises `BusyError`
    naming the process of another loop on the same root.
    """
    store_path = paths.game_store
    with ExitStack() as stack:
        stack.enter_context(
            lock(paths.coordination / "loop.lock", what="the loop of this data root")
        )
        store = stack.enter_context(GameStore.open(store_path, writer=True))
        run = choose_run(paths.runs / plan.config, plan.key, mode)
        open_run(
            run,
            {
                "schema": 1,
                "run": run.id,
                "plan": plan.as_tree(),
                **settings,
            },
        )
        follow_decisions(paths.models, [plan.config])  # what a kill left after a decision
        on_begin(run)
        workers = make_workers()
        stack.callback(workers.close)
        control = Control(
            plan=plan,
            paths=paths,
            run=run,
            store=store,
            workers=workers,
            learner=learner,
            threads=threads,
            screen=screen,
            stop=stop,
            guard=guard,
            on_generation=on_generation,
            observer=observer,
        )
        control.event("loop_started", run=run.id, resumed=run.resumed)
        complete = False
        try:
            control.go()
            complete = True
        except Stopped:
            pass
        finally:
            control.event("loop_stopped", complete=complete)
        report = read_json(run.folder / REPORT) if complete else None
        return LoopReport(
            run=run.id,
            folder=run.folder,
            champion=control.chain().champion,
            generations=tuple(report["generations"]) if report else (),
            exam=report["exam"] if report else None,
            complete=complete,
        )
