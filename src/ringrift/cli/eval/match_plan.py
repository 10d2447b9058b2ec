"""From the options of `ringrift eval match` to a plan and what plays it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ringrift.cli.devices import Chosen, chosen_device
from ringrift.cli.selfplay.models_at_hand import ModelsAtHand
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringrift.cli.invocation import Invocation
    from ringrift.evaluation.plans import MatchPlan, OpeningChoice, StoppingRule
    from ringrift.records.record import AgentRef
    from ringrift.rules import BoardSpec

DEFAULT_GAMES = 100
PARTS: tuple[Literal["open", "reserved"], ...] = ("open", "reserved")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchOptions:
    """The options as they were given; `budgets` are the limits of a move by name."""

    agents: tuple[str, ...]
    games: int | None
    openings: str
    lineup: str
    both_ways: bool
    max_plies: str
    seed: int
    test: str
    elo0: float
    elo1: float
    alpha: float
    beta: float
    min_games: int
    max_games: int
    budgets: Mapping[str, int | None]
    workers: str
    device: str
    config_key: str | None
    board: str
    players: int

    @property
    def asked_games(self) -> int:
        """Games before they are rounded up to whole blocks."""
        if self.test == "none":
            return DEFAULT_GAMES if self.games is None else self.games
        if self.games is not None:
            raise UsageError("--games with a test", where="--games", hint="--max-games")
        return self.max_games


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMatch:
    """A plan, the files of its models by id, and what plays it."""

    plan: MatchPlan
    asked_games: int
    files: dict[str, Path]
    workers: int
    device: Chosen


def planned(run: Invocation, options: MatchOptions) -> PlannedMatch:
    """Resolve agents, openings and test; raises `UsageError` for what does not fit together."""
    from ringrift.evaluation.plans import MatchPlan

    if len(options.agents) < 2:
        raise UsageError(
            f"{len(options.agents)} agents; expected at least 2",
            where="--agent",
            hint="--agent heuristic --agent random",
        )
    spec = _spec(options)
    budget = _budget(options.budgets)
    models = ModelsAtHand.of(run, spec)
    agents = tuple(_agent(text, spec, models, budget) for text in options.agents)
    plan = MatchPlan.of_games(
        options.asked_games,
        purpose="manual",
        spec=spec,
        agents=agents,
        seed=options.seed,
        lineup=options.lineup,
        both_ways=options.both_ways,
        openings=_openings(options.openings, spec),
        test=_test(options),
        max_plies=_whole("--max-plies", options.max_plies),
        budget=budget,
    )
    playing = [agent.model_id for agent in agents if agent.model_id is not None]
    nets = any(models.kind(model) == "cnn" for model in playing if model in models.files)
    return PlannedMatch(
        plan=plan,
        asked_games=options.asked_games,
        files={name: Path(path) for name, path in models.files.items()},
        workers=_workers(options.workers, timed=budget is not None and budget[0] == "time_ms"),
        device=chosen_device(options.device, nets=nets),
    )


def _spec(options: MatchOptions) -> BoardSpec:
    from ringrift.cli.models.parts import config_of
    from ringrift.rules import BoardSpec, parse_config

    config = config_of(options.board, options.players, options.config_key)
    assert config is not None  # a board has a default
    return BoardSpec.create(*parse_config(config))


def _agent(
    text: str, spec: BoardSpec, models: ModelsAtHand, budget: tuple[str, int] | None
) -> AgentRef:
    from ringrift.agents.foreign import is_foreign
    from ringrift.evaluation.participants import participant

    if is_foreign(text):
        return participant(text, spec, budget=budget)
    known = set(models.files)
    named = models.named(text)
    for model in sorted(set(models.files) - known):
        _check_model(Path(models.files[model]), model, spec)
    return participant(named, spec, budget=budget)


def _check_model(path: Path, model: str, spec: BoardSpec) -> None:
    from ringrift.nets.container import read_card

    config = str(read_card(path)[1]["config"])
    if config != spec.config:
        raise UsageError(
            f"model {model[:12]} is of {config}; the match is one of {spec.config}",
            where="--agent",
            hint=f"--config-key {config} and models of it",
        )


def _budget(budgets: Mapping[str, int | None]) -> tuple[str, int] | None:
    given = [(name, amount) for name, amount in budgets.items() if amount is not None]
    if len(given) > 1:
        words = " and ".join(f"--{name.replace('_', '-')}" for name, _ in given)
        raise UsageError(f"{words} exclude each other", where=words)
    return given[0] if given else None


def _openings(text: str, spec: BoardSpec) -> OpeningChoice:
    from ringrift.evaluation.openings import load_book
    from ringrift.evaluation.plans import OpeningChoice

    if text == "none":
        return OpeningChoice(part="none")
    for part in PARTS:
        if text == part:
            return OpeningChoice.of_book(spec, part)
    file = Path(text)
    if not file.is_file():
        raise UsageError(
            f"no openings {text!r}", where="--openings", hint="open, reserved, none or a file"
        )
    return OpeningChoice(part="open", book_hash=load_book(file, spec=spec).hash, file=file)


def _test(options: MatchOptions) -> StoppingRule | None:
    from ringrift.evaluation.elo import score_from_elo
    from ringrift.evaluation.group_sequential import WilsonTest
    from ringrift.evaluation.sprt import SequentialTest

    games: dict[str, Any] = {"min_games": options.min_games, "max_games": options.max_games}
    try:
        if options.test == "sprt":
            return SequentialTest(
                elo0=options.elo0,
                elo1=options.elo1,
                alpha=options.alpha,
                beta=options.beta,
                **games,
            )
        if options.test == "wilson":
            threshold = score_from_elo(options.elo0)
            return WilsonTest(
                threshold=threshold, confidence=round(1 - 2 * options.alpha, 12), **games
            )
    except ValueError as error:
        raise UsageError(str(error), where="--test") from None
    return None


def _workers(text: str, *, timed: bool) -> int:
    """Return the number of processes: one a physical core where moves are timed."""
    from ringrift.core.limits import thread_budget

    asked = _whole("--parallel", text)
    if not timed:
        return asked or thread_budget()
    import psutil

    cores = min(thread_budget(), psutil.cpu_count(logical=False) or 1)
    return min(asked or cores, cores)


def _whole(option: str, text: str) -> int:
    """Return a positive number, 0 for `auto`."""
    if text == "auto":
        return 0
    if not (text.isascii() and text.isdigit() and int(text)):
        raise UsageError(f"found {text!r}; expected auto or a positive number", where=option)
    return int(text)
