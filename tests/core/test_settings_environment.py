"""Environment variables: the table of core.md 3, its words for truth, and secrets that stay secret."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ringrift.core.errors import SettingsError
from ringrift.core.log import without_secrets
from ringrift.core.settings import Secret
from ringrift.core.settings_loader import (
    OTHER_NAMES,
    SHORT_NAMES,
    VARIABLES,
    check_file,
    flag,
    known_keys,
    load_settings,
    shown_value,
)

# Every name of the table in core.md 3, as the document spells it.
DOCUMENTED = [
    "RINGRIFT_DISABLE_LOCAL_TASKS",
    "RINGRIFT_TRACE_DEBUG",
    "RINGRIFT_SKIP_SHADOW_CONTRACTS",
    "RINGRIFT_ENABLE_POLICY_TRAINING",
    "RINGRIFT_POLICY_AUTO_KL_LOSS",
    "RINGRIFT_POLICY_KL_MIN_COVERAGE",
    "RINGRIFT_POLICY_KL_MIN_SAMPLES",
    "RINGRIFT_ENABLE_AUTO_HP_TUNING",
    "RINGRIFT_SOCKS_PROXY",
    "RINGRIFT_P2P_VERBOSE",
    "RINGRIFT_ROOT",
    "RINGRIFT_PATH",
    "RINGRIFT_DIR",
    "RINGRIFT_NODE_ID",
    "RINGRIFT_P2P_HOST",
    "RINGRIFT_P2P_PORT",
    "RINGRIFT_P2P_PEERS",
    "RINGRIFT_ADVERTISE_HOST",
    "RINGRIFT_ADVERTISE_PORT",
    "RINGRIFT_COORDINATOR_URL",
    "RINGRIFT_CLUSTER_AUTH_TOKEN",
    "RINGRIFT_CLUSTER_AUTH_TOKEN_FILE",
    "RINGRIFT_BUILD_VERSION",
    "RINGRIFT_WEBHOOK_URL",
    "RINGRIFT_SLACK_WEBHOOK_URL",
    "RINGRIFT_MAX_DISK_PERCENT",
    "RINGRIFT_AUTO_ROLLBACK",
    "RINGRIFT_REGRESSION_HARD_BLOCK",
    "RINGRIFT_ROLLBACK_ELO_DROP",
    "RINGRIFT_ROLLBACK_MIN_GAMES",
    "RINGRIFT_TRAINED_HEURISTIC_PROFILES",
    "RINGRIFT_LOG_LEVEL",
    "RINGRIFT_LOG_FORMAT",
    "VAST_API_KEY",
    "VAST_URL",
    "LAMBDA_API_KEY",
    "LAMBDA_API_URL",
    "RINGRIFT_PARITY_VALIDATION",
    "RINGRIFT_PARITY_DUMP_DIR",
    "RINGRIFT_STRICT_NO_MOVE_INVARIANT",
    "RINGRIFT_AI_TIMEOUT",
    "RINGRIFT_AI_INSTANCE_CACHE",
    "RINGRIFT_AI_INSTANCE_CACHE_TTL_SEC",
    "RINGRIFT_AI_INSTANCE_CACHE_MAX",
    "CORS_ORIGINS",
    "QUEUE_BACKEND",
    "STORAGE_BACKEND",
    "PRELOAD_POOLS",
]

PLANTED = "s3cr3t-0123456789"


def test_every_documented_variable_is_in_the_table_with_its_meaning():
    names = [variable.name for variable in VARIABLES]
    assert len(names) == len(set(names))
    assert set(DOCUMENTED) <= set(names)
    assert {*SHORT_NAMES, *OTHER_NAMES} == set(names)
    assert all(variable.meaning for variable in VARIABLES)


@pytest.mark.parametrize("text", ["maybe", "2", ""])
def test_only_the_documented_booleans_are_booleans(text):
    with pytest.raises(SettingsError, match="RINGRIFT_TRAINING__USE_EMA"):
        load_settings(environ={"RINGRIFT_TRAINING__USE_EMA": text})


@pytest.mark.parametrize(
    ("text", "value"), [("YES", True), ("on", True), ("0", False), ("No", False)]
)
def test_booleans_come_in_any_case(text, value):
    loaded = load_settings(environ={"RINGRIFT_TRAINING__USE_EMA": text})
    assert loaded.values.training.use_ema is value


def test_short_names_reach_their_keys():
    loaded = load_settings(
        environ={
            "RINGRIFT_DISABLE_LOCAL_TASKS": "yes",
            "RINGRIFT_POLICY_KL_MIN_COVERAGE": "0.4",
            "RINGRIFT_MAX_DISK_PERCENT": "90",
        }
    )
    assert loaded.values.loop.local_tasks is False
    assert loaded.values.training.policy.kl_min_coverage == 0.4
    assert loaded.values.limits.disk_critical == 90
    assert {target.lstrip("!") for target in SHORT_NAMES.values()} <= set(known_keys())


def test_a_coverage_above_one_names_the_variable():
    with pytest.raises(SettingsError, match="RINGRIFT_POLICY_KL_MIN_COVERAGE") as caught:
        load_settings(environ={"RINGRIFT_POLICY_KL_MIN_COVERAGE": "1.5"})
    assert caught.value.exit_code == 78


def test_unknown_variables_warn_and_unknown_keys_of_sections_are_errors():
    loaded = load_settings(environ={"RINGRIFT_ROOTT": "x", "OTHER": "y"})
    assert loaded.warnings == (
        "unknown environment variable RINGRIFT_ROOTT; nearest known: RINGRIFT_ROOT",
    )
    with pytest.raises(SettingsError, match="RINGRIFT_TRAINING__BATCH_SIZE"):
        load_settings(environ={"RINGRIFT_TRAINING__BATCH_SZE": "1"})


@pytest.mark.parametrize("name", sorted(SHORT_NAMES))
def test_each_short_name_sets_its_key_and_is_its_origin(name, tmp_path):
    target = SHORT_NAMES[name]
    key = known_keys()[target.lstrip("!")]
    token = tmp_path / "token"
    token.write_text(PLANTED)
    token.chmod(0o600)
    secret = str(token) if name.endswith("_FILE") else PLANTED
    changed = key.default is target.startswith("!")
    text = {"boolean": "yes" if changed else "no", "secret": secret}.get(key.kind, "1")
    loaded = load_settings(environ={name: text})
    assert loaded.origins[key.path].place == name
    found = loaded.as_tree()
    for part in key.path.split("."):
        found = found[part]
    wanted = {"boolean": not key.default, "secret": "***", "text": "1"}.get(key.kind, 1)
    assert found == wanted


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("RINGRIFT_TRACE_DEBUG", "maybe"),
        ("RINGRIFT_P2P_PORT", "70000"),
        ("RINGRIFT_PARITY_VALIDATION", "sometimes"),
        ("RINGRIFT_AI_TIMEOUT", "soon"),
        ("RINGRIFT_AI_INSTANCE_CACHE_MAX", "-1"),
        ("RINGRIFT_SOCKS_PROXY", "http://127.0.0.1:1"),
    ],
)
def test_variables_that_are_no_keys_are_checked_too(name, text):
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={name: text})
    assert caught.value.exit_code == 78
    assert f"{name}: found {text!r}; expected" in str(caught.value)


def test_variables_of_other_programs_are_left_alone():
    assert load_settings(environ={"QUEUE_BACKEND": "redis", "CORS_ORIGINS": "x"}).warnings == ()


def test_flags_read_the_documented_words_and_their_default():
    assert flag("RINGRIFT_TRACE_DEBUG", {}) is False
    assert flag("RINGRIFT_TRACE_DEBUG", {"RINGRIFT_TRACE_DEBUG": "On"}) is True
    with pytest.raises(SettingsError, match="RINGRIFT_TRACE_DEBUG"):
        flag("RINGRIFT_TRACE_DEBUG", {"RINGRIFT_TRACE_DEBUG": "2"})


def test_the_long_name_of_a_key_wins_over_the_short_one():
    environ = {"RINGRIFT_MAX_DISK_PERCENT": "90", "RINGRIFT_LIMITS__DISK_CRITICAL": "80"}
    loaded = load_settings(environ=environ)
    assert loaded.values.limits.disk_critical == 80
    assert loaded.origins["limits.disk_critical"].place == "RINGRIFT_LIMITS__DISK_CRITICAL"


def test_lists_and_mappings_come_as_commas_or_json():
    for text in ("hex8_2p, square8_3p", '["hex8_2p", "square8_3p"]'):
        loaded = load_settings(environ={"RINGRIFT_CONFIGURATIONS": text})
        assert loaded.values.configurations == ("hex8_2p", "square8_3p")
    loaded = load_settings(environ={"RINGRIFT_CLOUD__PRICE_CAPS": '{"RTX 3070": 0.08}'})
    assert loaded.values.cloud.price_caps == {"RTX 3070": 0.08}
    with pytest.raises(SettingsError, match="JSON") as caught:
        load_settings(environ={"RINGRIFT_CLOUD__PRICE_CAPS": "RTX 3070=0.08"})
    assert "RINGRIFT_CLOUD__PRICE_CAPS" in str(caught.value)


SECRET_VARIABLES = [variable.name for variable in VARIABLES if variable.secret]


@pytest.mark.parametrize("name", SECRET_VARIABLES)
def test_secrets_of_the_environment_are_nowhere_in_what_is_loaded(name):
    secret = f"{PLANTED}-{name.lower()}"
    loaded = load_settings(environ={name: secret})
    key = SHORT_NAMES[name]
    text = json.dumps(loaded.as_record()) + repr(loaded) + str(loaded.values.model_dump())
    assert secret not in text
    assert loaded.origins[key].place == name
    node = loaded.values
    for part in key.replace("lambda", "lambda_").split("."):
        node = getattr(node, part)
    assert (str(node), repr(node)) == ("***", "'***'")
    assert node.read(environ={name: secret}) == secret
    assert without_secrets(f"token {secret} was refused") == "token *** was refused"
    assert shown_value(name, {name: secret}) == "***"


def test_the_password_of_a_proxy_is_not_shown():
    environ = {"RINGRIFT_SOCKS_PROXY": f"socks5h://me:{PLANTED}x@127.0.0.1:1080"}
    assert shown_value("RINGRIFT_SOCKS_PROXY", environ) == "socks5h://***@127.0.0.1:1080"
    load_settings(environ=environ)
    assert f"{PLANTED}x" not in without_secrets(f"cannot log in with {PLANTED}x")
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={"RINGRIFT_SOCKS_PROXY": f"socks4://me:{PLANTED}@127.0.0.1:1"})
    assert PLANTED not in str(caught.value)


def test_a_password_in_an_address_is_refused_without_showing_it(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(f"p2p: {{p2p_base_url: 'http://me:{PLANTED}@host:1'}}\n")
    (problem,) = check_file(file)
    assert "without user and password" in str(problem)
    assert PLANTED not in str(problem)


def test_a_secret_in_the_file_itself_is_refused_without_showing_it(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(f"cloud:\n  vast:\n    api_key: {PLANTED}y\n")
    (problem,) = check_file(file)
    assert PLANTED not in str(problem)
    assert f"{file}:3 cloud.vast.api_key" in str(problem)
    assert "env:NAME or file:PATH" in str(problem)
    assert PLANTED not in without_secrets(f"{PLANTED}y")
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={"RINGRIFT_P2P__AUTH_TOKEN": f"{PLANTED}z"})
    assert PLANTED not in str(caught.value)


def test_what_the_settings_refer_to_is_hidden_from_logs_before_it_is_read(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("p2p: {auth_token: 'env:MY_TOKEN'}\n")
    loaded = load_settings(file=file, environ={"MY_TOKEN": f"{PLANTED}-mine"})
    assert without_secrets(f"got {PLANTED}-mine") == "got ***"
    assert loaded.values.p2p.auth_token.read(environ={"MY_TOKEN": "other-token"}) == "other-token"
    assert loaded.values.p2p.auth_token.read(environ={}) is None


def test_a_token_file_must_be_for_its_owner_alone(tmp_path):
    token = tmp_path / "token"
    token.write_text(f"{PLANTED}-file\n")
    name = "RINGRIFT_CLUSTER_AUTH_TOKEN_FILE"
    for mode in (0o644, 0o640, 0o602):
        token.chmod(mode)
        with pytest.raises(SettingsError, match="0600") as caught:
            load_settings(environ={name: str(token)})
        assert name in str(caught.value)
        assert f"{mode:04o}" in str(caught.value)
    token.chmod(0o600)
    loaded = load_settings(environ={name: str(token)})
    assert loaded.values.p2p.auth_token.read() == f"{PLANTED}-file"
    with pytest.raises(SettingsError, match=name):
        load_settings(environ={name: str(tmp_path / "none")})
    with pytest.raises(SettingsError, match=name):
        load_settings(environ={name: str(tmp_path)})


def test_the_token_itself_wins_over_the_file_with_it(tmp_path):
    token = tmp_path / "token"
    token.write_text("in-the-file")
    token.chmod(0o600)
    environ = {
        "RINGRIFT_CLUSTER_AUTH_TOKEN": "in-the-variable",
        "RINGRIFT_CLUSTER_AUTH_TOKEN_FILE": str(token),
    }
    secret = load_settings(environ=environ).values.p2p.auth_token
    assert secret.read(environ=environ) == "in-the-variable"


def test_a_secret_file_of_the_settings_is_relative_to_the_root(tmp_path):
    (tmp_path / "key").write_text("0123456789\n")
    (tmp_path / "key").chmod(0o600)
    assert Secret("file:key").read(root=tmp_path) == "0123456789"
    (tmp_path / "key").chmod(0o604)
    with pytest.raises(SettingsError, match="chmod 600"):
        Secret("file:key").read(root=tmp_path)
    assert not Secret()
    assert Secret().read() is None


def test_a_secret_too_short_to_be_hidden_is_pointed_out():
    (warning,) = load_settings(environ={"VAST_API_KEY": "abc"}).warnings
    assert warning.startswith("VAST_API_KEY")
    assert "abc" not in warning


def test_a_bad_variable_ends_the_command_with_78(tmp_path):
    environ = {
        **os.environ,
        "RINGRIFT_POLICY_KL_MIN_COVERAGE": "1.5",
        "RINGRIFT_ROOT": str(tmp_path),
    }
    answer = subprocess.run(
        [Path(sys.executable).with_name("ringrift"), "config", "show"],
        env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 78
    assert "RINGRIFT_POLICY_KL_MIN_COVERAGE" in answer.stderr
    assert "found '1.5'; expected a number from 0 to 1" in answer.stderr
