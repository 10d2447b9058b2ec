"""What `ringrift eval gate` does: its two sides, its match, and what it shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringrift.cli.eval.contending import search_of
from ringrift.cli.eval.match_shown import LiveMatch
from ringrift.cli.eval.tested_before import tests_of
from ringrift.cli.models.parts import SHOWN_DIGITS, references
from ringrift.cli.output import Column
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from ringrift.cli.invocation import Invocation
    from ringrift.cli.output import Output
    from ringrift.evaluation.gate import Estimate, GateResult, GateTest
    from ringrift.evaluation.plans import MatchPlan
    from ringrift.evaluation.results import MatchResult
    from ringrift.records.record import AgentRef
    from ringrift.rules import BoardSpec

TITLE = "candidate vs baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The candidate and the baseline of a gate, as agents and as files."""

    spec: BoardSpec
    agents: tuple[AgentRef, AgentRef]
    ids: tuple[str, str]
    files: dict[str, Path]

    @classmethod
    def named(
        cls, run: Invocation, candidate: str, baseline: str, config: str | None, sims: int | None
    ) -> Sides:
        """Find both models; raises `UsageError` for one that is not there or of another game."""
        from ringrift.evaluation.participants import participant
        from ringrift.nets.container import read_card
        from ringrift.nets.loading import spec_of

        known = references(run)
        files: dict[str, Path] = {}
        spec: BoardSpec | None = None
        for reference in (candidate, baseline):
            path = known.file(reference, config)
            model_id, card = read_card(path)
            found = spec_of(card, str(path))
            if config not in (None, card["config"]) or spec not in (None, found):
                asked = config or found.config
                raise UsageError(
                    f"a model of {card['config']}; the match is one of {asked}",
                    where=reference,
                    hint=f"--config-key {card['config']} and two models of it",
                )
            spec, config = found, found.config
            files[model_id] = path
        if len(files) < 2 or spec is None:
            raise UsageError(
                "candidate and baseline are the same model", where=candidate, hint="--baseline REF"
            )
        first, second = files
        search = search_of(run, sims)
        texts = [search.spec(model_id) for model_id in files]
        return cls(
            spec=spec,
            agents=(participant(texts[0], spec), participant(texts[1], spec)),
            ids=(first, second),
            files=files,
        )

    @property
    def words(self) -> str:
        """Who plays whom."""
        first, second = (model_id[:SHOWN_DIGITS] for model_id in self.ids)
        return f"{self.spec.config}: {first} against {second}"

    def as_tree(self) -> dict[str, Any]:
        """Return what a result says of the sides."""
        return {
            "config": self.spec.config,
            "candidate": self.ids[0],
            "baseline": self.ids[1],
        }


def play(
    run: Invocation, plan: MatchPlan, sides: Sides, workers: int | None
) -> tuple[MatchResult, int]:
    """Play what is missing of the match and keep its folder.

    Returns the result, and the exit code after a signal, 0 without one.
    """
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.evaluation.match_folder import MatchFolder, match_report
    from ringrift.evaluation.players import MatchPlayers, play_match
    from ringrift.records.store import GameStore

    paths, settings = run.paths(), run.settings()
    folder = MatchFolder.of(paths.runs, plan)
    with (
        GameStore.open(paths.game_store, writer=True) as store,
        cooperative_stop() as stop,
        run.out.progress() as progress,
        MatchPlayers(
            sides.files,
            workers=workers,
            game_timeout_s=float(settings.values.tournament.game_timeout_seconds),
        ) as players,
    ):
        folder.begin(plan, {**settings.as_record(), "command": run.arguments})
        live = LiveMatch(progress, plan)
        result = play_match(
            plan, store, players, title=TITLE, on_progress=live.show, stop=lambda: stop.requested
        )
        live.finish()
    folder.keep(match_report(plan, result))
    folder.log("ended", games=result.games, status=result.status)
    return result, 0 if result.complete else stop.exit_code


def show_plan(out: Output, plan: MatchPlan, sides: Sides, rows: Sequence[Estimate]) -> None:
    """Print what would be played."""
    tree = plan.as_tree()
    lines = [
        sides.words,
        f"at most {plan.games} games, match {plan.hash[:SHOWN_DIGITS]}",
        *(
            f"{name}: {agent.spec}"
            for name, agent in zip(("candidate", "baseline"), sides.agents, strict=True)
        ),
    ]
    from rich.console import Group

    out.result(
        {
            **sides.as_tree(),
            "dry_run": True,
            "run": plan.hash,
            "specs": [agent.spec for agent in sides.agents],
            "max_games": plan.games,
            "test": tree["test"],
            "estimates": [row.as_tree() for row in rows],
        },
        human=Group("\n".join(lines), _table(out, rows)),
    )


def show_estimate(out: Output, test: GateTest, players: int, rows: Sequence[Estimate]) -> None:
    """Print how the gate ends by true strength."""
    from rich.console import Group

    from ringrift.evaluation.group_sequential import WilsonTest

    tree: dict[str, Any] = {"z": None, "look_games": None}
    words = f"sequential test to {getattr(test, 'elo1', 0.0):+.0f} Elo"
    if isinstance(test, WilsonTest):
        looks, z = test.looks(players), test.z(players)
        tree = {"z": z, "look_games": list(looks)}
        words = f"looks at {', '.join(map(str, looks))} games, z = {z:.2f}"
    out.result(
        {
            "players": players,
            "test": test.as_tree(),
            **tree,
            "estimates": [row.as_tree() for row in rows],
        },
        human=Group(words, _table(out, rows)),
    )


def show_result(run: Invocation, result: GateResult, sides: Sides, output: Path | None) -> None:
    """Print the result, and write it to a file where one is named."""
    from ringrift.core.files import write_atomic

    tests = tests_of(run, sides.spec.config)
    fields = {
        **sides.as_tree(),
        **result.as_tree(),
        "tests_since_promotion": tests.as_tree(),
    }
    if output is not None:
        write_atomic(output, json.dumps(fields, indent=2, allow_nan=False).encode() + b"\n")
    match = result.match
    score = "no score" if match.score is None else f"score {match.score:.3f}"
    lines = [
        f"{sides.words}: {result.decision or 'not finished'}",
        f"{score} in {match.games} games, {result.elo_words} Elo",
        result.reason,
        *([f"invalid: {match.invalid}"] if match.invalid else []),
        *(f"warning: {warning}" for warning in match.warnings),
        tests.words,
    ]
    run.out.result(fields, human="\n".join(lines), ok=result.promotes)


def _table(out: Output, rows: Sequence[Estimate]) -> RenderableType:
    heads = [
        "true rate",
        "win share",
        "promote %",
        "reject %",
        "inconclusive %",
        "mean games",
        "90 % games",
    ]
    return out.table(
        [Column(head, number=True) for head in heads],
        [
            [
                f"{row.rate:.3g}",
                f"{row.share:.3f}",
                *(
                    f"{100 * chance:.1f}"
                    for chance in (
                        row.chances.accept,
                        row.chances.reject,
                        row.chances.inconclusive,
                    )
                ),
                f"{row.chances.mean_games:.0f}",
                row.chances.games_90,
            ]
            for row in rows
        ],
    )
