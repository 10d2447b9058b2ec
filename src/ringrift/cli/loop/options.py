"""The options of `loop run` and `loop start`, and what they come to (`loop.md` 1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ringrift.cli.completion import complete_configurations, complete_profiles
from ringrift.cli.heavy import NoWait
from ringrift.cli.option_sets import option
from ringrift.core.errors import SettingsError, UsageError
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.core.settings_loader import LoadedSettings
    from ringrift.loop.run_options import RunOptions

log = get_logger(__name__)

WORK, END, MACHINE, SERVED = "What to work on", "When to end", "Machine", "Served"
ALL = "all"


def complete_stages(incomplete: str) -> list[str]:
    """Return the stages that begin so, after what stands before the last comma."""
    done, comma, last = incomplete.rpartition(",")
    return [f"{done}{comma}{name}" for name in stages() if name.startswith(last)]


def complete_milestones(incomplete: str) -> list[str]:
    """Return the milestones that begin so."""
    return [name for name in milestones() if name.startswith(incomplete)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The values of one call."""

    profile: Annotated[
        str | None,
        option(
            "--profile",
            panel=WORK,
            metavar="NAME",
            help="Profile below the settings file [default: gpu with a usable GPU, else cpu].",
            autocompletion=complete_profiles,
        ),
    ] = None
    configs: Annotated[
        str | None,
        option(
            "--configs",
            "--config-key",
            panel=WORK,
            metavar="LIST|all",
            help="Configurations, comma between [default: profile's].",
            autocompletion=complete_configurations,
        ),
    ] = None
    only: Annotated[
        str | None,
        option(
            "--only",
            panel=WORK,
            metavar="STAGES",
            help="Of collect, selfplay, train, evaluate, promote, curriculum; comma between.",
            autocompletion=complete_stages,
        ),
    ] = None
    mode: Annotated[
        Literal["both", "elo", "balance"],
        option("--mode", panel=WORK, help="What decides the shares of the configurations."),
    ] = "both"
    min_games: Annotated[
        int | None,
        option(
            "--min-games",
            panel=WORK,
            min=1,
            help="New games that start a training [default: training.trigger_threshold_games].",
        ),
    ] = None
    interval: Annotated[
        float | None,
        option(
            "--interval",
            panel=WORK,
            min=0.1,
            metavar="S",
            help="Seconds between passes [default: loop.reconcile_seconds].",
        ),
    ] = None
    seed: Annotated[
        int, option("--seed", panel=WORK, min=0, help="Base of the seeds of all jobs.")
    ] = 0
    once: Annotated[
        bool, option("--once", panel=END, help="One pass: file what is missing, do not wait.")
    ] = False
    max_cycles: Annotated[
        int | None,
        option("--max-cycles", panel=END, min=1, help="Stop after so many decided candidates."),
    ] = None
    max_minutes: Annotated[
        float | None, option("--max-minutes", panel=END, min=0.01, help="Stop after this time.")
    ] = None
    until: Annotated[
        str | None,
        option(
            "--until",
            panel=END,
            metavar="MILESTONE",
            help="Stop when reached, as beats_heuristic.",
            autocompletion=complete_milestones,
        ),
    ] = None
    workers: Annotated[
        int | None,
        option(
            "--workers", panel=MACHINE, min=1, help="Worker processes [default: thread budget]."
        ),
    ] = None
    no_wait: NoWait = False
    metrics_port: Annotated[
        int | None,
        option(
            "--metrics-port",
            panel=SERVED,
            min=0,
            max=65_535,
            help="Port of /metrics, /health, /ready and /status.json on loopback; 0 takes a free one "
            "[default: metrics_port].",
        ),
    ] = None
    no_metrics: Annotated[
        bool,
        option("--no-metrics", panel=SERVED, help="Serve no metrics [default: metrics_enabled]."),
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan as loop plan does; change nothing.")
    ] = False


def stages() -> tuple[str, ...]:
    """Return the names of the stages."""
    return ("collect", "selfplay", "train", "evaluate", "promote", "curriculum")


def milestones() -> tuple[str, ...]:
    """Return the names of the milestones."""
    from ringrift.loop.run_options import MILESTONES

    return MILESTONES


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a command line asks for: the settings with its own values, and the run's options."""

    loaded: LoadedSettings
    run: RunOptions


def asked(invocation: Invocation, options: Options, **more: Any) -> Asked:
    """Check the options and load the settings; `more` are further fields of `RunOptions`.

    Raises `UsageError` naming the option.
    """
    from ringrift.loop.run_options import RunOptions
    from ringrift.loop.scheduler import COLLECTING, collecting_triggers
    from ringrift.selfplay.modes import mode_name

    profile = options.profile or default_profile()
    values: dict[str, Any] = {**more.pop("settings", {})}
    if options.min_games is not None:
        values["training.trigger_threshold_games"] = options.min_games
    if options.interval is not None:
        values["loop.reconcile_seconds"] = options.interval
    loaded = invocation.settings(profile=profile, options=values)
    settings = loaded.values
    if settings.selfplay.engine_mode is not None:
        mode_name(settings.selfplay.engine_mode, where="selfplay.engine_mode")
    port = settings.metrics_port if options.metrics_port is None else options.metrics_port
    wanted = settings.metrics_enabled or options.metrics_port is not None
    configs = chosen(options.configs, settings.configurations)
    at_work = frozenset(words(options.only, "--only", stages(), default=stages()))
    collecting = at_work == COLLECTING and options.min_games is None
    followed = FollowedHyperparameters(invocation, loaded, configs)
    followed()  # a file that cannot be read ends the command here
    fields: dict[str, Any] = {
        "profile": profile,
        "configs": configs,
        "stages": at_work,
        "triggers": collecting_triggers(configs) if collecting else {},
        "once": options.once,
        "max_cycles": options.max_cycles,
        "max_minutes": options.max_minutes,
        "until": one_of(options.until, "--until", milestones()),
        "seed": options.seed,
        "workers": options.workers or settings.selfplay.max_concurrent_workers,
        "metrics_port": port if wanted and not options.no_metrics else None,
        "mode": options.mode,
        "hyperparameters": followed,
        "record": {**loaded.as_record(), "command": invocation.arguments},
    }
    return Asked(loaded=loaded, run=RunOptions(**{**fields, **more}))


LOOP_TAKES = (
    *(
        "hidden_dim",
        "num_hidden_layers",
        "batch_size",
        "learning_rate",
        "weight_decay",
        "dropout",
        "warmup_epochs",
    ),
    *("value_weight", "policy_weight", "sampling_weights"),
)
"""Hyper-parameters of the loop's trainings; how long one takes follows from its samples."""


def merged_for(
    invocation: Invocation, loaded: LoadedSettings, configs: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Return the hyper-parameters of each configuration that somebody set, or a study found."""
    from ringrift.core.hyperparameters import load_hyperparameters, merge_hyperparameters

    file = load_hyperparameters(root=invocation.known_root())
    found = {}
    for config in configs:
        merged = merge_hyperparameters(file, config, settings=loaded)
        found[config] = {
            name: getattr(merged.values, name)
            for name in LOOP_TAKES
            if merged.origins[name].kind != "default"
        }
    return found


@dataclass(slots=True)
class FollowedHyperparameters:
    """Merges the hyper-parameters anew when their file changes, as when a study has written it."""

    invocation: Invocation
    loaded: LoadedSettings
    configs: tuple[str, ...]
    _changed_ns: int | None = None
    _found: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __call__(self) -> dict[str, dict[str, Any]]:
        """Return those of now; a file that cannot be read any more changes nothing and is logged."""
        from ringrift.core.hyperparameters import HYPERPARAMETERS_FILE

        root = self.invocation.known_root()
        path = None if root is None else root / HYPERPARAMETERS_FILE
        changed_ns = path.stat().st_mtime_ns if path is not None and path.is_file() else 0
        if changed_ns != self._changed_ns:
            first, self._changed_ns = self._changed_ns is None, changed_ns
            try:
                self._found = merged_for(self.invocation, self.loaded, self.configs)
            except SettingsError as error:
                if first:
                    raise
                log.warning("hyper-parameters stay as they were", why=str(error))
        return self._found


def default_profile() -> str:
    """Return the profile of this machine."""
    from ringrift.core.readings import read_gpus

    return "gpu" if read_gpus() else "cpu"


def chosen(named: str | None, default: tuple[str, ...]) -> tuple[str, ...]:
    """Return the configurations that were named; `all` is every one there is."""
    from ringrift.core.settings import CONFIGURATIONS

    if named == ALL:
        return CONFIGURATIONS
    return words(named, "--configs", CONFIGURATIONS, default=default)


def words(
    named: str | None, option_name: str, known: tuple[str, ...], *, default: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the words of a comma list, each once; raises `UsageError` for one that is not known."""
    if named is None:
        return default
    found = tuple(dict.fromkeys(word.strip() for word in named.split(",") if word.strip()))
    if not found:
        raise UsageError(f"found {named!r}; expected a comma list", where=option_name)
    for word in found:
        one_of(word, option_name, known)
    return found


def one_of(word: str | None, option_name: str, known: tuple[str, ...]) -> str | None:
    """Return the word; raises `UsageError` with what is known for another."""
    if word is not None and word not in known:
        from difflib import get_close_matches

        raise UsageError(
            f"unknown {word!r}; expected one of {', '.join(known)}",
            where=option_name,
            hint=", ".join(get_close_matches(word, known, n=3)) or None,
        )
    return word
