"""The training hyper-parameters of each configuration, in one JSON file (`core.md` 12).

Defaults live in `Hyperparameters` once; the file's defaults and the tuned set of a configuration lie
over them. Reading is strict: every unknown key and wrong type is a problem with its JSON path.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ringrift.core.backup import replace_keeping
from ringrift.core.errors import SettingsError
from ringrift.core.files import lock
from ringrift.core.settings import CONFIGURATIONS
from ringrift.core.settings_loader import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ringrift.core.hyperparameter_schema import (
        Confidence,
        ConfigurationEntry,
        HyperparameterFile,
        Hyperparameters,
        Range,
        SearchSpace,
        StudyEvaluation,
        TuningConfig,
        as_json_text,
        shipped_hyperparameters,
    )
    from ringrift.core.settings_loader import LoadedSettings

__all__ = [
    "HYPERPARAMETERS_FILE",
    "Confidence",
    "ConfigurationEntry",
    "HyperparameterFile",
    "Hyperparameters",
    "LoadedHyperparameters",
    "MergedHyperparameters",
    "Range",
    "SearchSpace",
    "StudyEvaluation",
    "TuningConfig",
    "as_json_text",
    "check_hyperparameters",
    "load_hyperparameters",
    "merge_hyperparameters",
    "save_hyperparameters",
    "save_tuned",
    "shipped_hyperparameters",
]

HYPERPARAMETERS_FILE = "config/hyperparameters.json"

Layer = dict[str, tuple[Any, Origin]]


def __getattr__(name: str) -> Any:
    """Import the schema when one of its names is used: its library is slow to import."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ringrift.core import hyperparameter_schema

    return getattr(hyperparameter_schema, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedHyperparameters:
    """Hold a checked file, where it was read, and what deserves a warning.

    `path` is `None` where there is no file: then the defaults of the code hold.
    """

    content: HyperparameterFile
    path: Path | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedHyperparameters:
    """Hold the hyper-parameters of one training, the origin of each, and what was missing."""

    config: str
    values: Hyperparameters
    origins: Mapping[str, Origin]
    confidence: Confidence = "none"
    notes: tuple[str, ...] = ()

    def as_tree(self) -> dict[str, Any]:
        """Return plain data, as `config show --config-key` prints it and runs save it."""
        return {
            "config": self.config,
            "confidence": self.confidence,
            "values": self.values.model_dump(mode="json"),
            "origins": {
                name: {"kind": origin.kind, "place": origin.place}
                for name, origin in self.origins.items()
            },
            "notes": list(self.notes),
        }


def load_hyperparameters(
    path: Path | None = None, *, root: Path | None = None
) -> LoadedHyperparameters:
    """Read `path`, which must exist, or the file of the data root if there is one.

    Raises `SettingsError` with every problem of the file. Values outside the range a study searches
    are legal and warned about.
    """
    from ringrift.core.hyperparameter_check import out_of_range, read_hyperparameters
    from ringrift.core.hyperparameter_schema import HyperparameterFile

    if path is None:
        default = root / HYPERPARAMETERS_FILE if root is not None else None
        if default is None or not default.is_file():
            return LoadedHyperparameters(content=HyperparameterFile())
        path = default
    content, problems = read_hyperparameters(path)
    if content is None:
        raise _all_of(problems)
    return LoadedHyperparameters(
        content=content, path=path, warnings=tuple(out_of_range(path, content))
    )


def check_hyperparameters(path: Path) -> list[SettingsError]:
    """Return every problem of one hyper-parameter file."""
    from ringrift.core.hyperparameter_check import read_hyperparameters

    return read_hyperparameters(path)[1]


def merge_hyperparameters(
    loaded: LoadedHyperparameters,
    config: str,
    *,
    settings: LoadedSettings | None = None,
    options: Mapping[str, Any] | None = None,
) -> MergedHyperparameters:
    """Lay the layers of one configuration over each other.

    Defaults < profile < the configuration's set in the file < keys of the section `training` that
    the settings file, the environment or an option set < `options`, whose `None` values were not
    given. With `training.use_optimized_hyperparams: false` the configuration's set is left out.
    Raises `SettingsError` for an unknown configuration or option.
    """
    from ringrift.core.hyperparameter_check import nearest_name
    from ringrift.core.hyperparameter_schema import Hyperparameters

    if config not in CONFIGURATIONS:
        raise SettingsError(
            f"unknown configuration {config!r}; expected one of {', '.join(CONFIGURATIONS)}",
            hint=nearest_name(config, CONFIGURATIONS),
        )
    entry = loaded.content.configs.get(config)
    layered: Layer = {name: (value, Origin("default")) for name, value in Hyperparameters()}
    for name, value in loaded.content.defaults.given().items():
        layered[name] = (value, _file_origin(loaded, f"defaults.{name}"))
    above, below = _of_settings(settings)
    layered.update(below)
    tuned = settings is None or settings.values.training.use_optimized_hyperparams
    used = entry.hyperparameters if entry is not None and tuned else None
    for name, value in (used.given() if used is not None else {}).items():
        layered[name] = (value, _file_origin(loaded, f"configs.{config}.hyperparameters.{name}"))
    layered.update(above)
    for name, value in (options or {}).items():
        if name not in layered:
            raise SettingsError(
                f"unknown hyper-parameter {name!r}",
                hint=nearest_name(name, Hyperparameters.model_fields),
            )
        if value is not None:
            layered[name] = (value, Origin("option", f"option for {name}"))
    return MergedHyperparameters(
        config=config,
        values=_checked(layered),
        origins=MappingProxyType({name: origin for name, (_, origin) in layered.items()}),
        confidence=entry.confidence if entry is not None and used is not None else "none",
        notes=_notes(loaded, config, entry, tuned=tuned),
    )


def save_hyperparameters(
    path: Path, content: HyperparameterFile, *, now: datetime | None = None
) -> HyperparameterFile:
    """Write the file whole, stamped with the time, keeping the old one as `.bak`; return it."""
    from ringrift.core.hyperparameter_schema import as_json_text

    stamped = content.model_copy(update={"last_updated": _stamp(now)})
    replace_keeping(path, as_json_text(stamped))
    return stamped


def save_tuned(
    path: Path,
    config: str,
    hyperparameters: Hyperparameters,
    *,
    method: str,
    trials: int,
    best_val_loss: float | None = None,
    best_elo_score: float | None = None,
    notes: str | None = None,
    now: datetime | None = None,
) -> ConfigurationEntry:
    """Write what a study found for one configuration; the others stay as they are.

    The confidence follows from the number of trials; `notes=None` keeps the old notes. The file is
    locked meanwhile, so that two studies do not undo each other. Raises `SettingsError` where the
    file or the set is invalid, and then writes nothing.
    """
    from ringrift.core.hyperparameter_check import problems_of
    from ringrift.core.hyperparameter_schema import (
        ConfigurationEntry,
        as_json_text,
        shipped_hyperparameters,
    )

    if trials < 1:
        raise SettingsError(
            f"found {trials} trials; expected at least one", where=f"configs.{config}"
        )
    with lock(path.with_name(f".{path.name}.lock"), timeout_s=20.0, what="hyper-parameter file"):
        content = (
            load_hyperparameters(path).content if path.is_file() else shipped_hyperparameters()
        )
        before = content.configs.get(config, ConfigurationEntry())
        entry = ConfigurationEntry(
            optimized=True,
            confidence=content.tuning_config.evaluation.confidence(trials),
            tuning_method=method,
            last_tuned=_stamp(now),
            tuning_trials=trials,
            hyperparameters=hyperparameters,
            notes=before.notes if notes is None else notes,
            best_val_loss=best_val_loss,
            best_elo_score=best_elo_score,
        )
        changed = content.model_copy(update={"configs": {**content.configs, config: entry}})
        problems = problems_of(path, json.loads(as_json_text(changed)))
        if problems:
            raise _all_of(problems)
        save_hyperparameters(path, changed, now=now)
    return entry


def _of_settings(settings: LoadedSettings | None) -> tuple[Layer, Layer]:
    """Return what somebody set in `training`, and beneath it what a profile set."""
    from ringrift.core.hyperparameter_schema import Hyperparameters

    above: Layer = {}
    below: Layer = {}
    for name in Hyperparameters.model_fields if settings is not None else ():
        origin = settings.origins.get(f"training.{name}") if settings is not None else None
        if settings is None or origin is None or origin.kind == "default":
            continue
        value = getattr(settings.values.training, name)
        if value is not None:
            (below if origin.kind == "profile" else above)[name] = (value, origin)
    return above, below


def _file_origin(loaded: LoadedHyperparameters, json_path: str) -> Origin:
    return Origin("file", f"{loaded.path} {json_path}") if loaded.path else Origin("default")


def _checked(layered: Layer) -> Hyperparameters:
    from pydantic import ValidationError

    from ringrift.core.hyperparameter_check import problem_of
    from ringrift.core.hyperparameter_schema import Hyperparameters

    try:
        return Hyperparameters(**{name: value for name, (value, _) in layered.items()})
    except ValidationError as error:
        raise _all_of(
            [
                problem_of(item, str(item["loc"][0]), str(layered[str(item["loc"][0])][1]))
                for item in error.errors(include_url=False)
            ]
        ) from None


def _notes(
    loaded: LoadedHyperparameters, config: str, entry: ConfigurationEntry | None, *, tuned: bool
) -> tuple[str, ...]:
    if loaded.path is None:
        return (f"no {HYPERPARAMETERS_FILE}: {config} falls back to the defaults",)
    if entry is None:
        return (f"{config} is not in {loaded.path}: it falls back to the defaults",)
    if entry.hyperparameters is not None and not tuned:
        return (f"training.use_optimized_hyperparams is off: the set of {config} is left out",)
    return ()


def _all_of(problems: list[SettingsError]) -> SettingsError:
    first = problems[0]
    return SettingsError(first.message, where=first.where, hint=first.hint, problems=problems)


def _stamp(now: datetime | None) -> str:
    moment = datetime.now(UTC) if now is None else now.astimezone(UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
