"""Names that models can have: those set automatically and those left to users (`models.md` 2)."""

from __future__ import annotations

import re

from ringrift.core.errors import UsageError
from ringrift.core.settings.configurations import CONFIGURATIONS

SUFFIX = ".safetensors"
OLD_SUFFIXES = (".pth", ".pt", SUFFIX)
"""Endings of model files that stand in old command lines."""
CHAMPION, BEST, CANDIDATE = "champion", "best", "candidate"
WORDS = frozenset({CHAMPION, BEST, CANDIDATE, "nnue", "none"})
"""Words that references and agent specs understand, which no alias can be."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LIKE_AN_ID = re.compile(r"[0-9a-f]{6,64}")


def best_alias(config: str) -> str:
    """Return the alias of a configuration's champion, such as `ringrift_best_sq8_2p`."""
    from ringrift.agents.ladder import best_alias as name_of

    return name_of(config)


def automatic_names() -> frozenset[str]:
    """Return the names that trainings and decisions alone set."""
    names = {best_alias(config) for config in CONFIGURATIONS}
    kinds = ("", "nnue_", "nnue_policy_")
    return frozenset(names | {f"{kind}{config}" for kind in kinds for config in CONFIGURATIONS})


def check_name(name: str) -> None:
    """Raise `UsageError` unless a user may give this name to a model."""
    if name in automatic_names():
        raise UsageError(
            f"alias {name!r} is set by trainings and decisions alone", hint="another name"
        )
    if name in WORDS:
        raise UsageError(f"{name!r} is a word of references, no alias", hint="another name")
    if _LIKE_AN_ID.fullmatch(name):
        raise UsageError(f"alias {name!r} would be taken for the beginning of an id")
    if not _NAME.fullmatch(name) or name.endswith((*OLD_SUFFIXES, ".json")):
        raise UsageError(
            f"alias {name!r}; expected letters, digits, dot, dash and underscore, no file ending"
        )
