"""Write profiles of weights, and map those of other programs (`agents.md` 4).

A foreign profile has 49 `WEIGHT_*` keys over other features. What has a counterpart here is mapped;
the caller shows the keys that have none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ringrift.agents.evaluation import FEATURES
from ringrift.agents.weights import (
    FOREIGN_PREFIX,
    Profile,
    is_number,
    normalised,
    profile_id,
    read_json,
    read_profiles,
    refuse_format,
    scales,
    start_weights,
)
from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic

# feature: products of foreign keys whose sum is its weight, where they are not of its own name
_MAPPED: dict[str, tuple[tuple[str, ...], ...]] = {
    "ring_goal": (("VICTORY_PROXIMITY", "RINGS_PROXIMITY_FACTOR"),),
    "territory_goal": (("VICTORY_PROXIMITY", "TERRITORY_PROXIMITY_FACTOR"),),
    "mobility": (("MOBILITY",), ("STACK_MOBILITY",)),
    "recovery": (("RECOVERY_POTENTIAL",), ("RECOVERY_ELIGIBILITY",)),
    "line_half": (("LINE_POTENTIAL", "TWO_IN_ROW"), ("LINE_CONNECTIVITY", "CONNECTED_NEIGHBOR")),
    "line_near": (("LINE_POTENTIAL", "THREE_IN_ROW"), ("LINE_CONNECTIVITY", "CONNECTED_NEIGHBOR")),
    "line_full": (("LINE_POTENTIAL", "FOUR_IN_ROW"), ("LINE_CONNECTIVITY", "CONNECTED_NEIGHBOR")),
}
_OURS_ALONE = ("lps", "region")
"""Features that a foreign profile does not know."""

FOREIGN: dict[str, tuple[tuple[str, ...], ...]] = {
    name: _MAPPED.get(name, ((name.upper(),),)) for name in FEATURES if name not in _OURS_ALONE
}

WITHOUT_EFFECT = (
    "ADJACENCY", "SAFE_MOVE_BONUS", "NO_SAFE_MOVES_PENALTY", "VICTORY_THRESHOLD_BONUS",
    "STACK_DIVERSITY_BONUS", "GAP_POTENTIAL", "OPPONENT_VICTORY_THREAT", "MULTI_LEADER_THREAT",
    "LPS_ACTION_ADVANTAGE", "RECOVERY_THREAT",
)  # fmt: skip
SWAP_PREFIX = "SWAP_"

_USED = tuple(
    dict.fromkeys(key for sums in FOREIGN.values() for product in sums for key in product)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A foreign profile in our features.

    `without_effect`: its keys that count nothing here; `kept`: features it says nothing of, which
    keep their start weight.
    """

    profile: Profile
    without_effect: tuple[str, ...]
    kept: tuple[str, ...]


def import_weights(path: Path, config: str) -> Imported:
    """Map a file of 49 `WEIGHT_*` keys, at the top or under `weights`, to a profile of `config`.

    Raises `DataError` naming file and key: one that is unknown, one that is missing and has an
    effect, a value that is no number, or a fast profile of 8 keys, whose parameters are others.
    """
    tree = read_json(path)
    found = tree.get("weights", tree)
    if not isinstance(found, dict) or not any(name.startswith(FOREIGN_PREFIX) for name in found):
        refuse_format(tree, str(path))
    keys = {
        name.removeprefix(FOREIGN_PREFIX): value
        for name, value in found.items()
        if name.startswith(FOREIGN_PREFIX)
    }
    idle = _check(keys, str(path))
    start, sigma = start_weights(config), scales(config).sigma
    weights = {name: _sum(FOREIGN[name], keys) for name in FOREIGN}
    kept = tuple(name for name in FEATURES if name not in weights)
    weights.update({name: start[name] for name in kept})
    profile = normalised(
        config,
        {name: weights[name] * sigma[name] for name in FEATURES},
        gain=None,
        origin=f"import of {path.name}",
    )
    return Imported(
        profile=profile,
        without_effect=tuple(FOREIGN_PREFIX + name for name in idle),
        kept=kept,
    )


def _sum(products: Iterable[tuple[str, ...]], keys: Mapping[str, float]) -> float:
    total = 0.0
    for product in products:
        term = 1.0
        for key in product:
            term *= keys[key]
        total += term
    return total


def _check(keys: Mapping[str, Any], where: str) -> list[str]:
    """Refuse what cannot be mapped; return the keys without effect."""
    known = (*_USED, *WITHOUT_EFFECT)
    idle = []
    for name, value in keys.items():
        if not is_number(value):
            raise DataError(f"{value!r} is no number", where=f"{where} {FOREIGN_PREFIX}{name}")
        if name in WITHOUT_EFFECT or name.startswith(SWAP_PREFIX):
            idle.append(name)
        elif name not in _USED:
            near = get_close_matches(name, known, n=1)
            raise DataError(
                f"unknown key {FOREIGN_PREFIX}{name}",
                where=where,
                hint=FOREIGN_PREFIX + near[0] if near else None,
            )
    if missing := [name for name in _USED if name not in keys]:
        raise DataError(f"the key {FOREIGN_PREFIX}{missing[0]} is missing", where=where)
    return idle


def save_profile(path: Path, profile: Profile) -> None:
    """Write a file of one profile, whole or not at all."""
    write_atomic(path, _text(profile.as_tree()))


def save_profiles(
    path: Path, profiles: Iterable[Profile], metadata: Mapping[str, Any] | None = None
) -> None:
    """Put profiles into a file of several, by profile id; those of other configurations stay.

    `metadata` becomes the file's `training_metadata` where given. The file that was there before
    stays beside it with the suffix `.bak`. Raises `DataError` if it is no file of profiles.
    """
    tree: dict[str, Any] = {"profiles": {}}
    if path.exists():
        tree = read_json(path)
        read_profiles(path)
        if "profiles" not in tree:
            raise DataError("a file of one profile; expected `profiles`", where=str(path))
        write_atomic(path.with_name(path.name + ".bak"), path.read_bytes())
    for profile in profiles:
        tree["profiles"][profile_id(profile.config)] = profile.as_tree()
    if metadata is not None:
        tree["training_metadata"] = dict(metadata)
    write_atomic(path, _text(tree))


def _text(tree: Mapping[str, Any]) -> bytes:
    return (json.dumps(tree, indent=1) + "\n").encode()
