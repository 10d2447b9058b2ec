"""The table of environment variables (`core.md` 3); `RINGRIFT_<SECTION>__<KEY>` reaches any key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VariableKind = Literal["boolean", "choice", "number", "whole number", "port", "proxy", "text"]
Reference = Literal["env", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """Describe one environment variable.

    `key` is the settings key that it sets, `inverted` when the two booleans mean the opposite.
    With `reference` the key gets a reference to the variable or to the file that it names, so that
    the secret itself is in no settings. Without `key` the variable is read where it is needed.
    """

    name: str
    meaning: str
    key: str | None = None
    inverted: bool = False
    reference: Reference | None = None
    kind: VariableKind = "text"
    default: str | None = None
    choices: tuple[str, ...] = ()

    @property
    def secret(self) -> bool:
        """Whether the whole value is a secret."""
        return self.reference == "env"


def _key(name: str, key: str, *, inverted: bool = False) -> Variable:
    return Variable(name=name, key=key, inverted=inverted, meaning=f"sets {key}")


def _secret(name: str, key: str, meaning: str, *, reference: Reference = "env") -> Variable:
    return Variable(name=name, key=key, meaning=meaning, reference=reference)


def _flag(name: str, meaning: str, *, default: str = "false") -> Variable:
    return Variable(name=name, meaning=meaning, kind="boolean", default=default)


# In this order: of two rows with one key the later wins.
VARIABLES: tuple[Variable, ...] = (
    _key("RINGRIFT_DISABLE_LOCAL_TASKS", "loop.local_tasks", inverted=True),
    _flag("RINGRIFT_TRACE_DEBUG", "debug log and a trace of phases, legal moves and hashes"),
    _key("RINGRIFT_SKIP_SHADOW_CONTRACTS", "selfplay.skip_shadow_contracts"),
    _key("RINGRIFT_ENABLE_POLICY_TRAINING", "training.policy.enabled"),
    _key("RINGRIFT_POLICY_AUTO_KL_LOSS", "training.policy.auto_kl_loss"),
    _key("RINGRIFT_POLICY_KL_MIN_COVERAGE", "training.policy.kl_min_coverage"),
    _key("RINGRIFT_POLICY_KL_MIN_SAMPLES", "training.policy.kl_min_samples"),
    _key("RINGRIFT_ENABLE_AUTO_HP_TUNING", "tuning.auto"),
    Variable(
        name="RINGRIFT_SOCKS_PROXY",
        meaning="socks5:// or socks5h://[user:password@]host:port for all cluster traffic",
        kind="proxy",
    ),
    _flag("RINGRIFT_P2P_VERBOSE", "debug events of ringrift.cluster"),
    Variable(name="RINGRIFT_ROOT", meaning="data root; default: found by its marker"),
    Variable(name="RINGRIFT_PATH", meaning="data root, if RINGRIFT_ROOT is not set"),
    Variable(name="RINGRIFT_DIR", meaning="data root, if neither of the above is set"),
    Variable(
        name="RINGRIFT_NODE_ID",
        meaning="name of this machine in logs and records; default: its host name",
    ),
    Variable(
        name="RINGRIFT_P2P_HOST", meaning="address that a node listens on", default="127.0.0.1"
    ),
    Variable(
        name="RINGRIFT_P2P_PORT",
        meaning="port that a node listens on",
        kind="port",
        default="8770",
    ),
    Variable(name="RINGRIFT_P2P_PEERS", meaning="first peers of a node, HOST:PORT with commas"),
    Variable(name="RINGRIFT_ADVERTISE_HOST", meaning="address that a node tells the others"),
    Variable(
        name="RINGRIFT_ADVERTISE_PORT", meaning="port that a node tells the others", kind="port"
    ),
    Variable(name="RINGRIFT_COORDINATOR_URL", meaning="address of a first peer"),
    _secret(
        "RINGRIFT_CLUSTER_AUTH_TOKEN_FILE",
        "p2p.auth_token",
        "file with the join or API token, mode 0600",
        reference="file",
    ),
    _secret("RINGRIFT_CLUSTER_AUTH_TOKEN", "p2p.auth_token", "join or API token"),
    Variable(
        name="RINGRIFT_BUILD_VERSION",
        meaning="version shown; default: the package's",
    ),
    _secret("RINGRIFT_WEBHOOK_URL", "alerting.webhook_url", "address that gets alerts as JSON"),
    _secret(
        "RINGRIFT_SLACK_WEBHOOK_URL",
        "alerting.slack_webhook_url",
        "Slack address that gets alerts as text",
    ),
    _key("RINGRIFT_MAX_DISK_PERCENT", "limits.disk_critical"),
    _key("RINGRIFT_AUTO_ROLLBACK", "regression.auto_rollback"),
    _key("RINGRIFT_REGRESSION_HARD_BLOCK", "regression.hard_block"),
    _key("RINGRIFT_ROLLBACK_ELO_DROP", "regression.rollback_elo_drop"),
    _key("RINGRIFT_ROLLBACK_MIN_GAMES", "regression.rollback_min_games"),
    _key("RINGRIFT_TRAINED_HEURISTIC_PROFILES", "cmaes.weights_config_path"),
    Variable(
        name="RINGRIFT_LOG_LEVEL",
        meaning="least level of log lines",
        kind="choice",
        default="info",
        choices=("debug", "info", "warning", "error"),
    ),
    Variable(
        name="RINGRIFT_LOG_FORMAT",
        meaning="form of log lines; auto = text on a terminal, JSON otherwise",
        kind="choice",
        default="auto",
        choices=("auto", "text", "json"),
    ),
    _secret("VAST_API_KEY", "cloud.vast.api_key", "key of Vast.ai"),
    Variable(name="VAST_URL", meaning="address of Vast.ai; default: its own program's"),
    _secret("LAMBDA_API_KEY", "cloud.lambda.api_key", "key of Lambda Labs"),
    Variable(
        name="LAMBDA_API_URL",
        meaning="address of Lambda Labs",
        default="https://cloud.lambda.ai/api/v1",
    ),
    Variable(
        name="RINGRIFT_PARITY_VALIDATION",
        meaning="comparison of recorded with replayed games",
        kind="choice",
        choices=("off", "warn", "strict"),
    ),
    Variable(name="RINGRIFT_PARITY_DUMP_DIR", meaning="folder for games that differ when replayed"),
    _flag("RINGRIFT_STRICT_NO_MOVE_INVARIANT", "stop where a player to move has no legal move"),
    Variable(
        name="RINGRIFT_AI_TIMEOUT",
        meaning="seconds of one request to the move service",
        kind="number",
        default="30",
    ),
    Variable(
        name="RINGRIFT_AI_INSTANCE_CACHE",
        meaning="keep search trees between the moves of a game; default: the move service's",
        kind="boolean",
    ),
    Variable(
        name="RINGRIFT_AI_INSTANCE_CACHE_TTL_SEC",
        meaning="seconds that an unused search tree is kept; default: the move service's",
        kind="number",
    ),
    Variable(
        name="RINGRIFT_AI_INSTANCE_CACHE_MAX",
        meaning="most search trees kept; default: the move service's",
        kind="whole number",
    ),
    Variable(name="CORS_ORIGINS", meaning="origins that may call the web service, with commas"),
    Variable(name="QUEUE_BACKEND", meaning="job queue of a tuning worker", default="nats"),
    Variable(name="STORAGE_BACKEND", meaning="storage of a tuning worker", default="local"),
    Variable(
        name="PRELOAD_POOLS",
        meaning="pools that a tuning worker loads first, board:players:pool with commas",
    ),
    Variable(
        name="RINGRIFT_SPAWN_DEPTH",
        meaning="generations of processes above this one; set by ringrift itself",
        kind="whole number",
        default="0",
    ),
)

BY_NAME: dict[str, Variable] = {variable.name: variable for variable in VARIABLES}

# Short names of settings keys; `!` inverts a boolean.
SHORT_NAMES: dict[str, str] = {
    variable.name: f"{'!' if variable.inverted else ''}{variable.key}"
    for variable in VARIABLES
    if variable.key is not None
}

# Variables that are read elsewhere and are no settings keys.
OTHER_NAMES: dict[str, str] = {
    variable.name: variable.meaning for variable in VARIABLES if variable.key is None
}
