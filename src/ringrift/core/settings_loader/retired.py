"""Keys of older settings files: each loads with one line that names what replaced it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

_FITTED = "ratings are fitted from all games (section rating)"
_LEASE = "the lease of the cluster (cluster.lease_ttl_seconds, cluster.ping_seconds)"
_ONE_PROGRAM = "the commands of ringrift: there is one code base"
_STORE = "the game store under data/games"
_EMA = "training.use_ema and training.ema_decay"
_SCHEDULE = "training.batch_size, which stays the same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """Name a key that is no more, `*` for any letters, and what replaced it."""

    pattern: str
    replacement: str


RETIRED: tuple[Retired, ...] = tuple(
    Retired(pattern=pattern, replacement=replacement)
    for pattern, replacement in (
        ("elo_k_factor", _FITTED),
        ("k_factor", _FITTED),
        ("initial_elo", _FITTED),
        ("elo_db", "data/ratings, written by the fit"),
        ("data_manifest_db", _STORE),
        ("wal_*", _STORE),
        ("*_script", _ONE_PROGRAM),
        ("gossip_*", "the job bus of the cluster (section cluster)"),
        ("leader_election_timeout", _LEASE),
        ("heartbeat_interval", _LEASE),
        ("orchestrator_host", _LEASE),
        ("hot_data_path", _STORE),
        ("lightweight_mode", "promotion.* alone: the gate is never lighter"),
        ("full_validation_background", "promotion.* alone: the gate is never lighter"),
        ("sync_interval", "cluster.sync_interval_seconds"),
        ("model_sync_interval", "cluster.model_sync_enabled: models go at their promotion"),
        ("auto_scale_interval", "resource_targets.pid.update_seconds"),
        ("elo_calibration_interval", "cluster.elo_calibration_hours"),
        ("underutilized_python_jobs", "cluster.underutilized_cpu_threshold"),
        ("plateau_count_for_nas", "nothing: there is no search for architectures"),
        ("replay_buffer", "training.window_games and training.max_reuse"),
        ("use_swa", _EMA),
        ("swa_*", _EMA),
        ("focal_gamma", "training.sampling_weights"),
        ("label_smoothing_warmup", "training.policy_label_smoothing"),
        ("use_progressive_batch", _SCHEDULE),
        ("min_batch_size", _SCHEDULE),
        ("max_batch_size", _SCHEDULE),
    )
)

# Whole sections: switched off they load, switched on they would promise what is not there.
RETIRED_SECTIONS: dict[str, str] = {
    "pbt": "nothing: there is no population-based training",
    "nas": "nothing: there is no search for architectures",
}


def retired_key(name: str) -> Retired | None:
    """Return the row of a key by its own name, in whichever section it stands."""
    return next((row for row in RETIRED if fnmatchcase(name, row.pattern)), None)
