"""The whole tree of settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from ringrift.core.settings.base import Port, Section, Text
from ringrift.core.settings.cloud import Cloud
from ringrift.core.settings.cluster import P2P, Cluster, ExternalDriveSync, P2PDaemon
from ringrift.core.settings.configurations import CONFIGURATIONS, Configuration
from ringrift.core.settings.control import (
    AdaptiveControl,
    Alerting,
    Loop,
    Pipeline,
    PlateauDetection,
    Safety,
    Validation,
)
from ringrift.core.settings.learning import Cmaes, Curriculum, Training, Tuning
from ringrift.core.settings.limits import Limits
from ringrift.core.settings.machines import ResourceTargets, Safeguards, Ssh
from ringrift.core.settings.measuring import (
    Evaluation,
    LadderLevel,
    ModelPruning,
    Promotion,
    Rating,
    Regression,
    Tournament,
)
from ringrift.core.settings.selfplay import DataIngestion, DataPool, Selfplay
from ringrift.core.settings.web import Web

LevelName = Literal["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]


class Settings(Section):
    """Hold every setting of one run; build it with `settings_loader.load_settings`."""

    version: Annotated[
        str,
        BeforeValidator(str),
        Field(pattern=r"^(1\.\d+|2)$", title='"2", or "1.x" of old files'),
    ] = "2"
    """version of the settings file"""
    log_dir: Text = "logs/unified_loop"
    """folder of the loop's logs, relative to the data root"""
    verbose: bool = False
    """debug log"""
    hosts_config_path: Text = "config/distributed_hosts.yaml"
    """file of the other machines, relative to the data root"""
    metrics_enabled: bool = True
    """serve the loop's metrics"""
    metrics_port: Port = 9090
    """port of the loop's metrics; 0 = any free one"""
    configurations: Annotated[tuple[Configuration, ...], Field(min_length=1)] = CONFIGURATIONS
    """board and player number pairs that the loop works on"""
    selfplay: Selfplay = Field(default_factory=Selfplay)
    """how games for learning are played"""
    data_ingestion: DataIngestion = Field(default_factory=DataIngestion)
    """how games come into the store"""
    data: DataPool = Field(default_factory=DataPool)
    """how large the stock of games is meant to be"""
    training: Training = Field(default_factory=Training)
    """when and how a candidate is trained"""
    curriculum: Curriculum = Field(default_factory=Curriculum)
    """how much of the self-play each configuration gets"""
    tuning: Tuning = Field(default_factory=Tuning)
    """whether studies start by themselves"""
    cmaes: Cmaes = Field(default_factory=Cmaes)
    """the evolution of the heuristic's weights"""
    evaluation: Evaluation = Field(default_factory=Evaluation)
    """how strength is measured"""
    tournament: Tournament = Field(default_factory=Tournament)
    """tournaments"""
    rating: Rating = Field(default_factory=Rating)
    """how ratings are fitted"""
    ladder: dict[LevelName, dict[Configuration, LadderLevel]] = Field(
        default_factory=dict,
        title="a mapping of level 1 to 10 to a mapping of configuration to agent, randomness, "
        "think_ms, model",
    )
    """overrides of the difficulty ladder by level and configuration"""
    promotion: Promotion = Field(default_factory=Promotion)
    """what a candidate must show to become champion"""
    regression: Regression = Field(default_factory=Regression)
    """what a regression stops and undoes"""
    model_pruning: ModelPruning = Field(default_factory=ModelPruning)
    """how many models are kept"""
    loop: Loop = Field(default_factory=Loop)
    """the reconciler"""
    pipeline: Pipeline = Field(default_factory=Pipeline)
    """which stages run side by side"""
    validation: Validation = Field(default_factory=Validation)
    """the checking of games before they are stored"""
    safety: Safety = Field(default_factory=Safety)
    """what stops a stage or withholds its result"""
    adaptive_control: AdaptiveControl = Field(default_factory=AdaptiveControl)
    """how test lengths follow the news"""
    plateau_detection: PlateauDetection = Field(default_factory=PlateauDetection)
    """when progress counts as over"""
    alerting: Alerting = Field(default_factory=Alerting)
    """when alerts fire and where they go"""
    limits: Limits = Field(default_factory=Limits)
    """the only table of resource limits"""
    resource_targets: ResourceTargets = Field(default_factory=ResourceTargets)
    """how busy a machine is meant to be"""
    safeguards: Safeguards = Field(default_factory=Safeguards)
    """what keeps this machine from being overrun"""
    ssh: Ssh = Field(default_factory=Ssh)
    """connections to other machines by SSH"""
    cluster: Cluster = Field(default_factory=Cluster)
    """the work and the traffic of all machines together"""
    p2p: P2P = Field(default_factory=P2P)
    """how the loop uses the other machines"""
    p2p_daemon: P2PDaemon = Field(default_factory=P2PDaemon)
    """a node that works by itself"""
    external_drive_sync: ExternalDriveSync = Field(default_factory=ExternalDriveSync)
    """the copy of finished shards to another drive"""
    web: Web = Field(default_factory=Web)
    """pages and move service"""
    cloud: Cloud = Field(default_factory=Cloud)
    """rented machines"""
