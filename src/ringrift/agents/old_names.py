"""Names that agents had before: a closed table, each standing for the beginning of a spec."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class OldName:
    """What an old name means: a kind, the model it implies, and arguments as they are written."""

    kind: str
    model: str | None = None
    args: Mapping[str, str] = field(default_factory=dict)


NAMES: dict[str, OldName] = {
    "minimax": OldName(kind="alphabeta"),
    "gpu_minimax": OldName(kind="alphabeta"),
    "nn_minimax": OldName(kind="alphabeta", model="nnue"),
    "nn_descent": OldName(kind="descent", model="champion"),
    "neural_demo": OldName(kind="policy"),
    "policy_only": OldName(kind="policy"),
    "nnue-guided": OldName(kind="mcts", model="nnue"),
    "gumbel-mcts": OldName(kind="gumbel"),
    "gumbel_mcts": OldName(kind="gumbel"),
}
NUMBERED: dict[str, tuple[str, str]] = {
    "mcts": ("mcts", "sims"),
    "gumbel": ("gumbel", "sims"),
    "policy": ("policy", "tau"),
    "difficulty": ("ladder", "level"),
    "level": ("ladder", "level"),
}
"""Names of the form `<name>_<number>`, with the kind and the key that the number belongs to."""

_NUMBER = re.compile(r"([a-z]+)_([0-9]+(?:\.[0-9]+)?)")


def old_name(word: str) -> OldName | None:
    """Return what an old name stands for, None for a word that is none."""
    if word in NAMES:
        return NAMES[word]
    found = _NUMBER.fullmatch(word)
    if found is None or found[1] not in NUMBERED:
        return None
    kind, key = NUMBERED[found[1]]
    return OldName(kind=kind, args={key: found[2]})


def known_names() -> list[str]:
    """List the old names as they are shown to people."""
    return [*NAMES, *(f"{name}_<n>" for name in NUMBERED)]
