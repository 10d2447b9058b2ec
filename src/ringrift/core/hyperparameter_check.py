"""Read `hyperparameters.json` strictly: every problem at once, each with its JSON path."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ringrift.core.errors import SettingsError
from ringrift.core.hyperparameter_schema import (
    CONFIDENCES,
    ConfigurationEntry,
    HyperparameterFile,
    Hyperparameters,
    Range,
    SearchSpace,
    StudyEvaluation,
    TuningConfig,
)
from ringrift.core.settings import CONFIGURATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pydantic import BaseModel


class _Object(dict[str, Any]):
    """A JSON object that remembers the keys it was given twice."""

    twice: tuple[str, ...] = ()


def read_hyperparameters(path: Path) -> tuple[HyperparameterFile | None, list[SettingsError]]:
    """Return the content of a file, or `None` and every problem."""
    try:
        tree = json.loads(path.read_bytes().decode(), object_pairs_hook=_object)
    except OSError as error:
        what = f"cannot read the hyper-parameters: {error.strerror}"
        return None, [SettingsError(what, where=str(path))]
    except UnicodeDecodeError as error:
        what = f"not UTF-8 at byte {error.start}"
        return None, [SettingsError(what, where=str(path), hint="saving as UTF-8")]
    except json.JSONDecodeError as error:
        what = f"not valid JSON: {error.msg} at column {error.colno}"
        return None, [SettingsError(what, where=f"{path}:{error.lineno}")]
    except RecursionError:
        return None, [SettingsError("not valid JSON: nested too deeply", where=str(path))]
    problems = problems_of(path, tree)
    return (None if problems else HyperparameterFile.model_validate(tree)), problems


def problems_of(path: Path, tree: Any) -> list[SettingsError]:
    """Return every problem of parsed content; `where` of each is `FILE JSON.PATH`."""
    if not isinstance(tree, dict):
        what = f"found {_shown(tree)} at the top; expected an object"
        return [SettingsError(what, where=str(path))]
    found = [
        SettingsError(f"the key {name!r} stands twice", where=f"{path} {_joined((*parts, name))}")
        for parts, name in _twice(tree, ())
    ]
    try:
        HyperparameterFile.model_validate(tree)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            json_path = _joined(item["loc"])
            found.append(problem_of(item, json_path, f"{path} {json_path}"))
    configs = _dict_at(tree, "configs")
    found += [
        SettingsError(
            f"unknown configuration {name!r}",
            where=f"{path} configs.{name}",
            hint=nearest_name(name, CONFIGURATIONS),
        )
        for name in configs
        if name not in CONFIGURATIONS
    ]
    found += _outside_type(path, tree)
    found += _overconfident(path, tree)
    return found


def problem_of(item: Mapping[str, Any], json_path: str, where: str) -> SettingsError:
    """Turn one error of pydantic into ours."""
    parts = item["loc"]
    if item["type"] == "extra_forbidden":
        known = _siblings(tuple(str(part) for part in parts[:-1]))
        return SettingsError(
            f"unknown key {json_path!r}", where=where, hint=nearest_name(str(parts[-1]), known)
        )
    wanted = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    if item["type"] == "missing":
        return SettingsError(f"{json_path} is missing", where=where)
    if item["type"] == "model_type":
        wanted = "an object"
    return SettingsError(
        f"{json_path}: found {_shown(item['input'])}; expected {wanted}", where=where
    )


def out_of_range(path: Path, content: HyperparameterFile) -> Iterator[str]:
    """Say which values lie outside the range that a study searches."""
    space = content.tuning_config.search_space
    sets = {"defaults": content.defaults} | {
        f"configs.{name}.hyperparameters": entry.hyperparameters
        for name, entry in content.configs.items()
        if entry.hyperparameters is not None
    }
    for json_path, values in sets.items():
        for name, value in values.given().items():
            searched = getattr(space, name, None)
            if isinstance(searched, Range) and not searched.contains(value):
                yield (
                    f"{path} {json_path}.{name}: {value} lies outside the range "
                    f"{searched.as_text()} that studies search"
                )


def nearest_name(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that `word` abbreviates (`lr`) or misspells."""
    names = list(known)
    for name in names:
        if "".join(part[:1] for part in name.split("_")) == word.lower():
            return name
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.4)
    return close[0] if close else None


def _outside_type(path: Path, tree: dict[str, Any]) -> Iterator[SettingsError]:
    try:
        space = SearchSpace.model_validate(_dict_at(tree, "tuning_config", "search_space"))
    except ValidationError:  # reported already; what can be said then is said against ours
        space = SearchSpace()
    sets = {"defaults": _dict_at(tree, "defaults")} | {
        f"configs.{name}.hyperparameters": _dict_at(tree, "configs", name, "hyperparameters")
        for name in _dict_at(tree, "configs")
    }
    for json_path, values in sets.items():
        for name, value in values.items():
            searched = getattr(space, name, None)
            if not isinstance(searched, Range) or not _is_whole_positive(value):
                continue
            expected = searched.refuses(value)
            if expected is not None:
                yield SettingsError(
                    f"{json_path}.{name}: found {_shown(value)}; expected {expected}",
                    where=f"{path} {json_path}.{name}",
                )


def _overconfident(path: Path, tree: dict[str, Any]) -> Iterator[SettingsError]:
    try:
        rule = StudyEvaluation.model_validate(_dict_at(tree, "tuning_config", "evaluation"))
    except ValidationError:
        rule = StudyEvaluation()
    for name in _dict_at(tree, "configs"):
        entry = _dict_at(tree, "configs", name)
        claimed, trials = entry.get("confidence", "none"), entry.get("tuning_trials", 0)
        known = isinstance(trials, int) and not isinstance(trials, bool) and claimed in CONFIDENCES
        # An untuned configuration with a confidence has been told so already.
        if not known or entry.get("optimized") is not True:
            continue
        earned = rule.confidence(trials)
        if CONFIDENCES.index(claimed) > CONFIDENCES.index(earned):
            yield SettingsError(
                f"configs.{name}.confidence: found {claimed!r} after {trials} trials; expected at "
                f"most {earned!r} (medium from {rule.medium_confidence_trials}, high from "
                f"{rule.high_confidence_trials})",
                where=f"{path} configs.{name}.confidence",
            )


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    made = _Object(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        made.twice = tuple(name for name in made if names.count(name) > 1)
    return made


def _twice(node: Any, parts: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(node, _Object):
        for name in node.twice:
            yield parts, name
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _twice(value, (*parts, name))


def _siblings(parts: tuple[str, ...]) -> list[str]:
    """Return the keys that are legal in the object at a JSON path."""
    models: dict[int, type[BaseModel]]
    if parts[:1] == ("configs",):
        models = {2: ConfigurationEntry, 3: Hyperparameters}
    elif parts[:2] == ("tuning_config", "search_space"):
        models = {2: SearchSpace, 3: Range}
    elif parts[:1] == ("tuning_config",):
        models = {1: TuningConfig, 2: StudyEvaluation}
    else:
        models = {0: HyperparameterFile, 1: Hyperparameters}
    model = models.get(len(parts))
    return list(model.model_fields) if model is not None else []


def _dict_at(tree: Any, *parts: str) -> dict[str, Any]:
    for part in parts:
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree if isinstance(tree, dict) else {}


def _is_whole_positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _joined(parts: Iterable[Any]) -> str:
    return ".".join(str(part) for part in parts)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
