"""What `ringrift models promote` does: each step is one method, `show` prints what they found."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ringrift.cli.models.parts import SHOWN_DIGITS, ratings_in, references, who
from ringrift.cli.models.promotions_shown import decision_fields, show
from ringrift.core.errors import BusyError, NegativeResult, NotRunningError, UsageError
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ringrift.cli.invocation import Invocation
    from ringrift.core.interrupt import Stop
    from ringrift.core.settings import Settings
    from ringrift.evaluation.tally import Tally
    from ringrift.loop.promoting import Promoting
    from ringrift.models.candidates import Candidate
    from ringrift.models.decisions import Chain, Decision
    from ringrift.models.judging import Rules
    from ringrift.models.rollback import Check

log = get_logger(__name__)

PARTLY_DONE = 5


class Promotions:
    """Carry out the steps of one call and collect what is to be shown.

    `config` None means every configuration with decisions. `ok` is false once an answer is no;
    `stopped` is the exit code after a signal, 0 without one.
    """

    def __init__(
        self,
        run: Invocation,
        *,
        config: str | None,
        options: Mapping[str, Any],
        seed: int,
        workers: int | None,
        hosts: Sequence[str],
        dry_run: bool,
    ) -> None:
        given = {key: value for key, value in options.items() if value is not None}
        self._loaded = run.settings(options=given or None)
        self.settings: Settings = self._loaded.values
        self.ok = True
        self.stopped = 0
        self._run = run
        self._config = config
        self._seed = seed
        self._workers = workers
        self._hosts = hosts
        self._dry_run = dry_run
        self._candidates: list[Candidate] = []
        self._decisions: list[Decision] = []
        self._checks: list[Check] = []
        self._told: list[str] = []
        self._fields: dict[str, Any] = {
            "updated": [],
            "test": None,
            "staging": None,
            "sandbox": None,
            "cluster": None,
        }

    # --- what there is

    @property
    def decisions(self) -> Sequence[Decision]:
        """What was decided so far."""
        return self._decisions

    @cached_property
    def models(self) -> Path:
        """The models folder of the data root."""
        return self._run.paths(create=not self._dry_run).models

    @property
    def configs(self) -> list[str]:
        """The configurations that are meant."""
        from ringrift.models.promotion import configurations

        return [self._config] if self._config is not None else configurations(self.models)

    def _chain(self, config: str) -> Chain:
        from ringrift.models.decisions import read_chain

        return read_chain(self.models / "decisions", config)

    def _rules(self, config: str) -> Rules:
        from ringrift.loop.measuring import rules_of

        return rules_of(config, self.settings)

    def _measuring(self, config: str, stack: ExitStack, stop: Stop | None) -> Promoting:
        """Open what is stored of a configuration; with `stop` games can be played, until it says so."""
        from ringrift.evaluation.players import MatchPlayers
        from ringrift.loop.promoting import Promoting
        from ringrift.records.store import GameStore

        paths = self._run.paths(create=not self._dry_run)
        store = stack.enter_context(_store(GameStore, paths.game_store, writer=stop is not None))
        made: list[MatchPlayers] = []

        def players() -> MatchPlayers:
            if not made:
                count = self._workers or self.settings.selfplay.max_concurrent_workers
                made.append(stack.enter_context(MatchPlayers(workers=count)))
            return made[0]

        return Promoting(
            config=config,
            settings=self.settings,
            store=store,
            paths=paths,
            players=players,
            seed=self._seed,
            on_progress=self._progress(stack) if stop is not None else lambda title, games: None,
            on_unknown=lambda why: self._run.out.note(f"hold-out {why}"),
            stop=lambda: stop is not None and stop.requested,
        )

    def _progress(self, stack: ExitStack) -> Callable[[str, Tally], None]:
        progress = stack.enter_context(self._run.out.progress())
        tasks: dict[str, Any] = {}

        def show(title: str, games: Tally) -> None:
            key = games.plan.hash
            if key not in tasks:
                tasks[key] = progress.task(title, unit="games")
            tasks[key].update(games.counted, name=f"{title} {games.words}".rstrip())
            if games.complete:
                tasks[key].finish()

        return show

    # --- steps

    def update(self) -> None:
        """Bring aliases and `promoted_models.json` in line with the decisions."""
        from ringrift.models.promotion import follow_decisions

        if self._dry_run:
            self._told.append("names would be brought in line with the decisions")
            return
        changed = follow_decisions(self.models, self.configs)
        self._fields["updated"] = list(changed)
        self._told.append(f"names that moved: {', '.join(changed) or 'none'}")

    def check_candidates(self, *, required: bool) -> None:
        """Look at every candidate; with `required` it is a no if none is ready."""
        from ringrift.models.candidates import candidates

        for config in self.configs:
            with ExitStack() as stack:
                measuring = self._measuring(config, stack, None)
                chains = [self._chain(config)]
                self._candidates += candidates(self.models, chains, measuring.look, self._rules)
        if required and not any(candidate.ready for candidate in self._candidates):
            self.ok = False

    def promote_candidates(self) -> None:
        """Measure the newest candidate of each configuration and decide about it."""
        from ringrift.models.candidates import undecided
        from ringrift.models.promotion import waiting_s

        for config in self.configs:
            waiting, why = waiting_s(self._chain(config), self.settings.promotion)
            newest = undecided(self.models, config)[:1]
            if not newest:
                self._told.append(f"{config}: no candidate")
            elif waiting > 0:
                self._told.append(f"{config}: waits {waiting:.0f} s more ({why})")
            elif self._dry_run:
                self._told.append(f"{config}: {newest[0][:SHOWN_DIGITS]} would be tested")
            else:
                self._decide(config, newest[0])
            if self.stopped:
                return

    def test(self, reference: str, against: str | None) -> None:
        """Test one model: against the champion it is decided, against another one only shown."""
        candidate, config = self._model(reference)
        champion = self._chain(config).champion
        other = champion if against is None else self._model(against)[0]
        if self._dry_run:
            shown = "a champion" if other is None else other[:SHOWN_DIGITS]
            self._told.append(f"{candidate[:SHOWN_DIGITS]} would be tested against {shown}")
        elif other == champion:
            self._decide(config, candidate)
        else:
            assert other is not None
            self._compare(config, candidate, other)

    def promote_manually(self, reference: str | None, reason: str, *, regression: bool) -> None:
        """Move the champion without a test, after games against former ones unless left out."""
        from ringrift.models.judging import upper_elo
        from ringrift.models.promotion import promote_manually, require_model

        if not reason.strip():
            raise UsageError(
                "a promotion by hand needs a reason", where="--reason", hint="--reason TEXT"
            )
        candidate, config = self._model(reference or "candidate")
        chain = self._chain(config)
        require_model(self.models, candidate, config)
        told = "skipped"
        if regression and chain.champion is not None and not self._dry_run:
            results = self._measured(
                config, lambda found: found.regression(candidate, chain, tested=False)
            )
            if results is None:
                return
            told = "passed"
            least = self._rules(config).regression_elo
            worse = [r for r in results if (upper_elo(r) or 0.0) < least]
            if worse:
                told = f"{worse[0].title}: {worse[0].score:.2f}"
                if self.settings.regression.hard_block:
                    raise NegativeResult(f"regression, {told}", hint="--no-regression")
        if self._dry_run:
            self._told.append(f"{candidate[:SHOWN_DIGITS]} would become champion of {config}")
            return
        made = promote_manually(self.models, chain, candidate, reason, regression=told, by=who())
        self._decisions.append(made.decision)

    def check_rollback(self) -> None:
        """Look whether champions fell below their predecessors, and go back where that is due."""
        from ringrift.models.rollback import Limits, act, check

        limits = Limits(
            elo_drop=self.settings.regression.rollback_elo_drop,
            min_games=self.settings.regression.rollback_min_games,
        )
        paths = self._run.paths(create=not self._dry_run)
        ratings = ratings_in(paths)
        for config in self.configs:
            found = check(
                self.models,
                config,
                ratings,
                None,
                limits=limits,
                state=paths.coordination / "rollback_checks.json",
                keep=not self._dry_run,
            )
            self._checks.append(found)
            if not found.due or self._dry_run:
                continue
            if not self.settings.regression.auto_rollback:
                self._alert(found)
                continue
            made = act(self.models, found, by=who())
            if made is not None:
                self._decisions.append(made.decision)

    def stage(self, target: str, *, load: bool, fail_on_missing: bool) -> None:
        """Copy the champions to a folder or another host."""
        from dataclasses import asdict

        from ringrift.models.staging import stage, target_of

        done = stage(
            self.models,
            target_of(target),
            load=load,
            fail_on_missing=fail_on_missing,
            dry_run=self._dry_run,
        )
        self._fields["staging"] = asdict(done)
        said = "would be copied" if self._dry_run else "copied"
        missing = f"; missing: {', '.join(done.missing)}" if done.missing else ""
        self._told.append(
            f"{done.target}: {len(done.copied)} files {said}, {len(done.present)} were there, "
            f"{len(done.loaded)} loaded{missing}"
        )

    def write_levels(self, file: Path) -> None:
        """Write agent and model of each level of difficulty."""
        from ringrift.models.difficulty import levels, write_levels

        overrides: Any = self.settings.ladder
        found = levels(self.models, overrides)
        changed = not self._dry_run and write_levels(file, found)
        self._fields["sandbox"] = {"file": str(file), "changed": changed}
        self._told.append(f"{file}: {'written' if changed else 'not changed'}")

    def sync_cluster(self) -> None:
        """Send champions to the nodes and wait until each has them."""
        from ringrift.cli.models.nodes import authorization_of, confirm_champions

        if not self._hosts:
            self._told.append("no cluster is configured: no node to tell")
            return
        names = confirm_champions(
            self.models,
            self._hosts,
            authorization_of(self._run, self._loaded),
            dry_run=self._dry_run,
        )
        self._fields["cluster"] = names
        if names["unreachable"] and not self._dry_run:
            told = ", ".join(names["unreachable"])
            raise NotRunningError(f"nodes out of reach: {told}", where="--host")
        if names["stale"] and not self._dry_run:
            self.ok = False
        said = (f"{word}: {', '.join(nodes) or 'none'}" for word, nodes in names.items())
        self._told.append("; ".join(said))

    def run_daemon(self, interval_s: float) -> None:
        """Repeat promotions and rollback checks until told to stop; one at a time on a data root."""
        from ringrift.core.files import is_locked, lock
        from ringrift.core.interrupt import cooperative_stop

        coordination = self._run.paths().coordination
        with (
            lock(coordination / "promotion.lock", what="the daemon of promotions"),
            cooperative_stop() as stop,
        ):
            while not stop.requested:
                if is_locked(coordination / "loop.lock"):
                    self._run.out.note("a loop runs on this data root and promotes by itself")
                else:
                    self._round(stop)
                stop.wait(interval_s)

    # --- parts of steps

    def _round(self, stop: Stop) -> None:
        self._decisions, self._checks, self._told, self.stopped = [], [], [], 0
        self._stop = stop
        try:
            self.promote_candidates()
            if not stop.requested:
                self.check_rollback()
        except BusyError as error:
            log.warning("a round is left out", reason=str(error))
        finally:
            del self._stop
        said = [f"{d.config}: {d.kind} {d.candidate[:SHOWN_DIGITS]}" for d in self._decisions]
        self._run.out.line(
            {"decisions": [decision_fields(d) for d in self._decisions], "notes": self._told},
            human="; ".join([*said, *self._told]) or "nothing to do",
        )

    def _model(self, reference: str) -> tuple[str, str]:
        """Return id and configuration of the model that a reference means."""
        from ringrift.models.cards import describe

        found = references(self._run).id(reference, self._config)
        config = str(describe(self.models / "objects", found).card["config"])
        return found, config

    def _decide(self, config: str, candidate: str) -> None:

        from ringrift.models.promotion import record_verdict, require_model

        require_model(self.models, candidate, config)
        chain, rules = self._chain(config), self._rules(config)
        settings: dict[str, Any] = {}

        def work(found: Promoting) -> Any:
            settings.update(found.described(chain))
            return found.measure(candidate, chain, rules)

        measured = self._measured(config, work)
        if measured is None:
            return
        made = record_verdict(
            self.models, chain, candidate, measured, rules, settings=settings, by=who()
        )
        self._decisions.append(made.decision)

    def _compare(self, config: str, candidate: str, other: str) -> None:
        result = self._measured(
            config, lambda found: found.against(candidate, other, self._chain(config))
        )
        if result is not None:
            self._fields["test"] = {"candidate": candidate, "against": other, **result.as_tree()}
            self._told.append(
                f"{candidate[:SHOWN_DIGITS]} against {other[:SHOWN_DIGITS]}: "
                f"{result.standing.reason}, score {result.score:.2f}"
            )

    def _measured(self, config: str, work: Callable[[Promoting], Any]) -> Any:
        """Do what plays games; None where somebody asked to stop."""
        from ringrift.core.interrupt import cooperative_stop
        from ringrift.loop.promoting import MeasuringStopped

        running: Stop | None = getattr(self, "_stop", None)
        with ExitStack() as stack:
            stop = stack.enter_context(cooperative_stop()) if running is None else running
            try:
                return work(self._measuring(config, stack, stop))
            except MeasuringStopped:
                self._told.append("stopped; the games that ended are kept")
                self.stopped = stop.exit_code or PARTLY_DONE
                return None

    def _alert(self, found: Check) -> None:
        from ringrift.core.alerts import AlertBook

        paths = self._run.paths()
        AlertBook(paths.coordination / "alerts.db").alert(
            "elo_drop", found.config, "critical", found.reason, {"in_row": found.in_row}
        )
        self._told.append(f"{found.config}: {found.reason}; regression.auto_rollback is off")

    # --- the result

    def show(self) -> None:
        """Print what the steps found."""
        from dataclasses import asdict

        self._run.out.result(
            {
                **self._fields,
                "candidates": [candidate.as_json() for candidate in self._candidates],
                "decisions": [decision_fields(decision) for decision in self._decisions],
                "rollback_checks": [{**asdict(c), "due": c.due} for c in self._checks],
                "notes": self._told,
                "dry_run": self._dry_run,
            },
            human=lambda console: show(
                self._run, console, self._candidates, self._decisions, self._checks, self._told
            ),
            ok=self.ok and not self.stopped,
        )


def _store(opened: Any, path: Path, *, writer: bool) -> Any:
    """Open the store of matches; without a file, to look only, an empty one in memory."""
    from contextlib import nullcontext

    if writer or path.is_file():
        return opened.open(path, writer=writer)
    return nullcontext(_NoGames())


class _NoGames:
    """A store without games."""

    @property
    def plans(self) -> Any:
        """Plans of matches: none."""
        return _NoPlans()

    def max_seq(self) -> int:
        """Return the number of the newest game."""
        return 0

    def records(self, config: str | None = None, **chosen: Any) -> Any:
        """Yield nothing."""
        del config, chosen
        return iter(())


class _NoPlans:
    """No plans of matches."""

    def all(self, config: str, **chosen: Any) -> Any:
        """Yield nothing."""
        del config, chosen
        return iter(())
