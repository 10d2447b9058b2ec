"""Sections of several machines working together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ringrift.core.settings.base import (
    CheckedSection,
    Conflict,
    Count,
    CountOrZero,
    NotNegative,
    Peer,
    Percent,
    Positive,
    Section,
    Text,
    Url,
)
from ringrift.core.settings.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator


class Cluster(CheckedSection):
    """Set the work and the traffic of all machines together."""

    target_selfplay_games_per_hour: Count = 1000
    """games per hour of all machines aimed at"""
    health_check_interval_seconds: Positive = 60
    """seconds between two checks of the other machines"""
    sync_interval_seconds: Positive = 300
    """seconds between two synchronisations"""
    model_sync_enabled: bool = True
    """send promoted models to the other machines"""
    elo_calibration_games: Count = 50
    """games of a calibration against the fixed opponents"""
    elo_calibration_hours: Positive = 6
    """hours between two calibrations"""
    elo_match_window: Positive = 200
    """largest Elo difference of paired agents"""
    elo_underserved_threshold: Count = 100
    """games below which an agent is paired first"""
    underutilized_cpu_threshold: Percent = 60
    """percent of CPU below which a machine gets more work"""
    scale_up_games_per_host: Count = 50
    """games that a machine gets at once when it has too little work"""
    adaptive_games_min: Count = 30
    """least games of a job whose size follows the machine"""
    adaptive_games_max: Count = 150
    """most games of such a job"""
    subject_prefix: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9_-]+$", title="letters, digits, - and _")
    ] = "rr"
    """first word of every message subject: clusters with different ones share a hub"""
    games_max_gb: Positive = 20
    """largest stream of games in the hub"""
    spool_max_gb: Positive = 5
    """largest spool of one machine"""
    min_replicas: Count = 2
    """collectors that must have a game before its machine may forget it"""
    lease_ttl_seconds: Positive = 6
    """seconds after which an unrenewed lease is free"""
    ping_seconds: Positive = 5
    """seconds between two pings of a connection"""
    hub_binary: Text | None = None
    """the hub's server program; null = the installed one"""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the rules over several keys that do not hold."""
        yield from self.at_most("adaptive_games_min", "adaptive_games_max")


class P2P(Section):
    """Set how the loop uses the other machines."""

    enabled: bool = True
    """use them"""
    p2p_base_url: Url = "http://localhost:8770"
    """address of this machine's node service"""
    auth_token: Secret = Secret()
    """reference to the join or API token; empty = none"""
    model_sync_on_promotion: bool = True
    """send a promoted model at once"""
    auto_scale_selfplay: bool = True
    """let the leader set each machine's number of workers"""
    use_distributed_tournament: bool = True
    """spread tournaments over the machines"""
    tournament_nodes_per_eval: Count = 3
    """machines that share one evaluation"""
    health_check_interval: Positive = 30
    """seconds between two checks of a peer"""
    unhealthy_threshold: Count = 3
    """failed checks in a row after which a peer counts as down"""


class P2PDaemon(Section):
    """Set a node that works by itself."""

    discovery_method: Literal["peers", "mdns"] = "peers"
    """find the others by known_peers, or by asking the local network"""
    known_peers: tuple[Peer, ...] = ()
    """addresses of other nodes"""
    max_parallel_selfplay: Count = 48
    """most self-play jobs at the same time, capped by the thread budget"""
    max_parallel_training: Count = 1
    """most trainings at the same time"""
    prefer_gpu_for_training: bool = True
    """leave trainings to nodes with a GPU where there are some"""
    selfplay_per_config: Count = 5
    """self-play jobs of each configuration in the queue"""
    ensure_all_configs: bool = True
    """keep jobs of every configuration in the queue"""
    cpu_high_threshold: Percent = 80
    """percent of CPU from which no job is taken; at most limits.cpu_critical"""
    memory_high_threshold: Percent = 80
    """percent of memory from which no job is taken; at most limits.memory_critical"""
    disk_high_threshold: Percent = 70
    """percent of the disk from which no job is taken; at most limits.disk_critical"""
    auto_restart_failed_jobs: bool = True
    """start a failed job again"""
    max_job_restarts: CountOrZero = 3
    """restarts of one job"""
    restart_backoff_seconds: NotNegative = 60
    """wait before a restart"""


class ExternalDriveSync(CheckedSection):
    """Set the one-way copy of finished shards to another drive; nothing is deleted there."""

    enabled: bool = False
    """copy at all"""
    target_dir: Text | None = None
    """folder of the copy"""
    sync_interval_seconds: Positive = 300
    """seconds between two copies"""
    sync_models: bool = True
    """copy models too"""
    run_analysis: bool = True
    """write statistics beside the copy"""
    quarantine_bad_data: bool = True
    """leave what fails its hash in a folder of its own"""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the rules over several keys that do not hold."""
        if self.enabled and self.target_dir is None:
            yield Conflict(
                ("enabled", "target_dir"),
                "found enabled true without target_dir; expected a folder in target_dir",
            )
