"""Weights of the heuristic: start table, normalisation, personas, profiles (`agents.md` 4).

A profile's weights belong to normalised features, `f / sigma`; their Euclidean norm is 1 and `gain`
carries the scale. What the compiled evaluator takes is `Profile.effective`, one number per feature
as it is counted.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.evaluation import FEATURES, FEATURES_VERSION
from ringrift.agents.full import FIRST_FULL
from ringrift.core.errors import DataError, UsageError
from ringrift.core.ids import canonical_json, content_id
from ringrift.rules import BoardSpec

FORMAT = "ringrift.weights/1"
FOREIGN_PREFIX = "WEIGHT_"
FAST_KEYS = 8
SCALES_FORMAT = "ringrift.scales/1"
SCALES_FILE = Path(__file__).with_name("heuristic_scales.json")
PROFILES_VARIABLE = "RINGRIFT_TRAINED_HEURISTIC_PROFILES"
LARGE = ("square19", "hexagonal")
SHORT_BOARDS = {"square8": "sq8", "square19": "sq19", "hexagonal": "hex", "hex8": "hex8"}
PROFILE_IDS = {
    f"heuristic_v1_{short}_{seats}p": f"{board}_{seats}p"
    for board, short in SHORT_BOARDS.items()
    for seats in (2, 3, 4)
}
"""Published name of each configuration's profile, and the configuration."""

# feature: 2p small, 2p large, 3p, 4p. A sign lives in the feature, never in its weight.
START: dict[str, tuple[float, float, float, float]] = {
    "stacks": (9.39, 10.57, 9.84, 10.21),
    "height": (6.81, 4.52, 5.8, 6.85),
    "cap": (4.82, 5.19, 5.58, 5.64),
    "hand": (5.17, 1.53, 1.63, 0.25),
    "elim": (13.12, 11.91, 10.89, 11.67),
    "territory": (8.66, 7.24, 8.4, 6.55),
    "ring_goal": (1063, 1032, 1027, 1015),
    "territory_goal": (1120, 1016, 1048, 996),
    "markers": (3.76, 1.0, 0.17, 0.4),
    "center": (2.28, 4.45, 4.13, 5.35),
    "mobility": (6.42, 7.27, 8.58, 5.8),
    "blocked": (4.57, 5.8, 5.7, 5.13),
    "no_stack": (51.0, 50.9, 49.5, 50.7),
    "one_stack": (10.53, 9.2, 10.6, 9.5),
    "fe_risk": (2.89, 3.87, 3.05, 4.99),
    "adjacent": (6.11, 6.05, 5.29, 4.28),
    "buried": (3, 4, 3.5, 4),
    "recovery": (14, 18, 16, 18),
    "lps": (100, 100, 100, 100),
    "attacks": (5.96, 8.34, 7.53, 7.27),
    "exposed": (9.32, 7.68, 7.28, 7.69),
    "line_half": (43.3, 6.9, 7.2, 4.7),
    "line_near": (15.4, 16.8, 8.1, 11.0),
    "line_full": (31.6, 48.5, 37.9, 40.4),
    "fence": (11.56, 5.67, 8.61, 6.13),
    "intruders": (2.83, 4.41, 5.06, 4.5),
    "region": (5, 5, 5, 5),
}

_GOALS = ("ring_goal", "territory_goal")
_LINES = ("line_half", "line_near", "line_full")
PERSONAS: dict[str, dict[str, float]] = {
    "balanced": {},
    "aggressive": {
        **dict.fromkeys(("elim", "attacks"), 1.25),
        **dict.fromkeys(_GOALS, 1.15),
        **dict.fromkeys(_LINES, 1.1),
        **dict.fromkeys(("exposed", "intruders", "fe_risk"), 0.85),
    },
    "territorial": {
        **dict.fromkeys(("territory", "fence", "region"), 1.25),
        "intruders": 1.2,
        **dict.fromkeys(_LINES, 1.15),
        "markers": 1.1,
        "elim": 0.9,
    },
    "defensive": {
        **dict.fromkeys(("stacks", "intruders", "mobility"), 1.15),
        "exposed": 1.25,
        "fe_risk": 1.3,
        "lps": 1.2,
        **dict.fromkeys(("attacks", "elim"), 0.9),
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """What normalises one configuration: `sigma` per feature and the default profile's `gain`.

    `sigma` is the standard deviation of `f(p) - f(o)` over positions of random and heuristic play;
    0 for a feature that cannot vary there.
    """

    sigma: Mapping[str, float]
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Weights of one configuration over normalised features, of Euclidean norm 1."""

    config: str
    weights: Mapping[str, float]
    gain: float
    origin: str

    @property
    def hash(self) -> str:
        """Content id over everything that changes a decision."""
        named = [self.config, FEATURES_VERSION, dict(self.weights), self.gain]
        return content_id("weights", canonical_json(named))

    def effective(self, *, full: bool = True) -> NDArray[np.float64]:
        """Return the weights of unnormalised features, `float64[27]`, or the 19 light ones."""
        sigma = scales(self.config).sigma
        names = FEATURES if full else FEATURES[:FIRST_FULL]
        found = np.array([self.weights[n] / sigma[n] if sigma[n] > 0 else 0.0 for n in names])
        found.flags.writeable = False
        return found

    def as_tree(self) -> dict[str, Any]:
        """Return the profile as it stands in a file."""
        return {
            "format": FORMAT,
            "config": self.config,
            "features_version": FEATURES_VERSION,
            "weights": dict(self.weights),
            "gain": self.gain,
            "origin": self.origin,
            "hash": self.hash,
        }


def column(config: str) -> int:
    """Return the column of the start table that a configuration uses."""
    board, _, seats = config.rpartition("_")
    players = int(seats[:-1])
    if players == 2:
        return 1 if board in LARGE else 0
    return players - 1


def start_weights(config: str, persona: str = "balanced") -> dict[str, float]:
    """Return the weights of unnormalised features that a default profile begins with."""
    if persona not in PERSONAS:
        raise UsageError(f"unknown persona {persona!r}; known: {', '.join(PERSONAS)}")
    at, factors = column(config), PERSONAS[persona]
    return {name: row[at] * factors.get(name, 1.0) for name, row in START.items()}


@cache
def _all_scales() -> dict[str, Scales]:
    tree = json.loads(SCALES_FILE.read_text(encoding="utf-8"))
    if tree["format"] != SCALES_FORMAT or tree["features_version"] != FEATURES_VERSION:
        raise DataError(
            f"scales of features version {tree.get('features_version')}; this code has "
            f"{FEATURES_VERSION}",
            where=str(SCALES_FILE),
            hint="ringrift agents scales",
        )
    return {
        config: Scales(sigma=row["sigma"], gain=row["gain"])
        for config, row in tree["configs"].items()
    }


def scales(config: str) -> Scales:
    """Return the packaged scales of a configuration."""
    found = _all_scales().get(config)
    if found is None:
        raise DataError(f"no scales of {config}", where=str(SCALES_FILE))
    return found


def is_number(value: Any) -> TypeGuard[int | float]:
    """Tell whether a value read from JSON is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def normalised(
    config: str, weights: Mapping[str, float], *, gain: float | None, origin: str
) -> Profile:
    """Make a profile of normalised weights: their norm becomes 1 and scales the gain.

    `gain` None takes the fitted one of the default profile. Raises `DataError` naming a weight that
    is unknown, missing or no finite number, and where all are zero.
    """
    if unknown := sorted(set(weights) - set(FEATURES)):
        raise DataError(
            f"unknown weight {unknown[0]!r}; known: {', '.join(FEATURES)}", where=origin
        )
    if missing := [name for name in FEATURES if name not in weights]:
        raise DataError(f"the weight {missing[0]!r} is missing", where=origin)
    for name in FEATURES:
        if not is_number(weights[name]):
            raise DataError(f"{name} is {weights[name]!r}; expected a number", where=origin)
    norm = math.sqrt(sum(float(weights[name]) ** 2 for name in FEATURES))
    if not math.isfinite(norm) or norm == 0:
        raise DataError(f"the weights have norm {norm}; expected a positive number", where=origin)
    if abs(norm - 1.0) < 1e-9:
        norm = 1.0  # what was normalised before keeps its bits, and so its hash
    return Profile(
        config=config,
        weights={name: float(weights[name]) / norm for name in FEATURES},
        gain=scales(config).gain if gain is None else gain * norm,
        origin=origin,
    )


@lru_cache(maxsize=256)
def shipped_profile(config: str, persona: str = "balanced") -> Profile:
    """Return the profile of a configuration before any tuning: the start table, normalised."""
    sigma = scales(config).sigma
    start = start_weights(config, persona)
    return normalised(
        config,
        {name: start[name] * sigma[name] for name in FEATURES},
        gain=None,
        origin=f"default {persona}",
    )


def trained_profiles() -> dict[str, Profile]:
    """Return the profiles that override shipped ones, by configuration.

    They are those of the file that RINGRIFT_TRAINED_HEURISTIC_PROFILES names; it is read anew each
    time, so that games started after a registration play with it. A run's header names them.
    """
    trained = os.environ.get(PROFILES_VARIABLE)
    return read_profiles(Path(trained)) if trained else {}


def default_profile(config: str, persona: str = "balanced") -> Profile:
    """Return the profile a configuration plays with when none is named.

    A trained one overrides the shipped one; the other personas are always factors on the start
    table.
    """
    if persona == "balanced" and (found := trained_profiles().get(config)) is not None:
        return found
    return shipped_profile(config, persona)


def profile_for(spec: BoardSpec, persona: str = "balanced", weights: str | None = None) -> Profile:
    """Return the profile an agent plays with: of a file, of a profile id, or the default.

    Raises `UsageError` where the named weights are of another configuration.
    """
    if weights is None:
        return default_profile(spec.config, persona)
    config = PROFILE_IDS.get(weights)
    if config is not None and not Path(weights).exists():
        if config != spec.config:
            raise UsageError(f"weights {weights} are of {config}; the game is {spec.config}")
        return default_profile(config)
    found = read_profiles(Path(weights)).get(spec.config)
    if found is None:
        raise UsageError(f"no weights of {spec.config}", where=weights)
    return found


def profile_id(config: str) -> str:
    """Return the published name of a configuration's profile, such as `heuristic_v1_sq8_2p`."""
    board, _, seats = config.rpartition("_")
    return f"heuristic_v1_{SHORT_BOARDS[board]}_{seats}"


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of weights as a JSON object; raises `DataError` naming it."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read the weights: {error.strerror}", where=str(path)) from error
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=str(path)) from error
    if not isinstance(tree, dict):
        raise DataError(f"found a {type(tree).__name__}; expected an object", where=str(path))
    return tree


def read_profiles(path: Path) -> dict[str, Profile]:
    """Read a file of one profile, or of several by profile id under `profiles`.

    Returns them by configuration. Raises `DataError` naming file and field; a stored hash must be
    that of the content, a profile id that of its configuration.
    """
    tree = read_json(path)
    if "profiles" not in tree:
        profile = _read_profile(tree, str(path))
        return {profile.config: profile}
    entries = tree["profiles"]
    if not isinstance(entries, dict):
        raise DataError("expected an object by profile id", where=f"{path} profiles")
    found = {}
    for name, entry in entries.items():
        profile = _read_profile(entry, f"{path} profiles.{name}")
        if name != profile_id(profile.config):
            raise DataError(
                f"{name!r} holds weights of {profile.config}; expected "
                f"{profile_id(profile.config)!r}",
                where=f"{path} profiles",
            )
        found[profile.config] = profile
    return found


def refuse_format(tree: Mapping[str, Any], where: str) -> NoReturn:
    """Say why an object is no profile of ours."""
    numbers = tree.get("weights", tree)
    if isinstance(numbers, dict) and numbers:
        if any(str(name).startswith(FOREIGN_PREFIX) for name in numbers):
            raise DataError(
                f"a profile of {FOREIGN_PREFIX}* keys names other features",
                where=where,
                hint="tune cmaes --inject-profiles, which maps them and prints those without effect",
            )
        if len(numbers) == FAST_KEYS and all(map(is_number, numbers.values())):
            raise DataError(
                f"a fast profile of {FAST_KEYS} keys cannot be used: its parameters are others "
                f"than the {len(FEATURES)} features, and none follows from them",
                where=where,
            )
    raise DataError(f"format {tree.get('format')!r}; expected {FORMAT!r}", where=where)


def _read_profile(tree: Any, where: str) -> Profile:
    if not isinstance(tree, dict):
        raise DataError(f"found a {type(tree).__name__}; expected an object", where=where)
    if tree.get("format") != FORMAT:
        refuse_format(tree, where)
    if tree.get("features_version") != FEATURES_VERSION:
        version = tree.get("features_version")
        raise DataError(
            f"{version!r}; expected {FEATURES_VERSION}", where=f"{where} features_version"
        )
    weights, gain, config = tree.get("weights"), tree.get("gain"), tree.get("config")
    if not isinstance(config, str) or config not in PROFILE_IDS.values():
        raise DataError(f"no configuration {config!r}", where=f"{where} config")
    if not isinstance(weights, dict):
        raise DataError("expected an object of numbers", where=f"{where} weights")
    if not is_number(gain) or gain <= 0:
        raise DataError(f"{gain!r}; expected a positive number", where=f"{where} gain")
    try:
        profile = normalised(config, weights, gain=float(gain), origin=str(tree.get("origin", "")))
    except DataError as error:
        raise DataError(error.message, where=f"{where} weights", hint=error.hint) from error
    if tree.get("hash") not in (None, profile.hash):
        raise DataError("not the hash of config, weights and gain", where=f"{where} hash")
    return profile
