"""What names a dataset beside its games: the versions and layouts it is written in (data.md 4)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from ringrift.core.ids import canonical_json, content_id
from ringrift.data.dataset.versions import EXPORTER_VERSION
from ringrift.rules import RULES_VERSION
from ringrift.rules.codec import layout_hash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ringrift.data.dataset.options import ExportOptions
    from ringrift.rules import BoardSpec


def versions_of(spec: BoardSpec, options: ExportOptions) -> dict[str, Any]:
    """Return exporter, rules, codec, board specification and, with features, the encoder."""
    return {
        "exporter": EXPORTER_VERSION,
        "rules": RULES_VERSION,
        "codec": layout_hash,
        "spec": spec.hash,
        "encoder": encoder_identity(options) if options.dense else None,
    }


def encoder_identity(options: ExportOptions) -> dict[str, str]:
    """Return id and hash of the encoder of the features."""
    from ringrift.data.dataset.features import encoder_of

    return dict(encoder_of(options.encoder).identity)


def block_options(options: ExportOptions) -> dict[str, Any]:
    """Return what changes the content of a game's block; equal ones share a cache."""
    return {
        "exporter": EXPORTER_VERSION,
        "rules": RULES_VERSION,
        "codec": layout_hash,
        "sample_every": options.sample_every,
        "seed": options.seed if options.sample_every > 1 else None,
        "max_move_index": options.max_move_index,
        "analysis": options.analysis,
        "policy_target": options.policy_target,
    }


def plies_digest(plies: NDArray[np.int32]) -> str:
    """Name the plies of a game that give samples: 32 hex digits."""
    return hashlib.sha256(plies.astype("<i4").tobytes()).hexdigest()[:32]


def dataset_identity(
    versions: Mapping[str, Any],
    options: Mapping[str, Any],
    games: Sequence[tuple[str, str, Sequence[str]]],
) -> str:
    """Return the id of a dataset: 64 hex digits over versions, options and games.

    `games` are (id, digest of the selected plies, ids of the searches), ascending by id.
    """
    content = [dict(versions), dict(options), [[g, plies, list(s)] for g, plies, s in games]]
    return content_id("dataset", canonical_json(content))
