"""Weights: the start table, the gauge, personas, profiles as files, and what overrides what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringrift.agents.evaluation import FEATURES
from ringrift.agents.explain import breakdown
from ringrift.agents.factory import make_agent
from ringrift.agents.weight_files import save_profile, save_profiles
from ringrift.agents.weights import (
    PERSONAS,
    PROFILE_IDS,
    PROFILES_VARIABLE,
    START,
    Profile,
    default_profile,
    normalised,
    profile_for,
    profile_id,
    read_profiles,
    scales,
    shipped_profile,
    start_weights,
    trained_profiles,
)
from ringrift.core.errors import DataError, UsageError
from ringrift.rules import BoardSpec

from .games import CONFIGURATIONS, choices, random_game
from .recount import recount

CONFIGS = [f"{board}_{players}p" for board, players in CONFIGURATIONS]


@pytest.fixture(autouse=True)
def no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROFILES_VARIABLE, raising=False)


def other(config: str = "square8_2p", **changed: float) -> Profile:
    weights = {**shipped_profile(config).weights, **changed}
    return normalised(config, weights, gain=0.5, origin="a test")


@pytest.mark.parametrize("config", CONFIGS)
def test_the_default_weighs_features_as_the_table_says(config: str) -> None:
    """After dividing by sigma nothing but the common scale is left."""
    profile = shipped_profile(config)
    assert sum(w * w for w in profile.weights.values()) == pytest.approx(1)
    start = np.array(list(start_weights(config).values()))
    ratio = profile.effective() / start
    assert ratio == pytest.approx(np.full(27, ratio[0]))
    assert profile.effective(full=False).tolist() == profile.effective()[:19].tolist()


def test_columns_of_the_table_go_by_players_and_size() -> None:
    wanted = {
        "square8_2p": 5.17, "hex8_2p": 5.17, "square19_2p": 1.53, "hexagonal_2p": 1.53,
        "square8_3p": 1.63, "hexagonal_3p": 1.63, "hex8_4p": 0.25, "square19_4p": 0.25,
    }  # fmt: skip
    assert {config: start_weights(config)["hand"] for config in wanted} == wanted
    assert tuple(START) == FEATURES


def test_personas_are_factors_on_the_start_weights() -> None:
    plain = start_weights("hex8_3p")
    for name, factors in PERSONAS.items():
        found = start_weights("hex8_3p", name)
        assert {k: found[k] / plain[k] for k in FEATURES} == pytest.approx(
            {k: factors.get(k, 1.0) for k in FEATURES}
        )
    assert PERSONAS["aggressive"] == {
        "elim": 1.25, "attacks": 1.25, "ring_goal": 1.15, "territory_goal": 1.15,
        "line_half": 1.1, "line_near": 1.1, "line_full": 1.1,
        "exposed": 0.85, "intruders": 0.85, "fe_risk": 0.85,
    }  # fmt: skip
    assert PERSONAS["defensive"]["mobility"] == 1.15
    assert PERSONAS["territorial"]["intruders"] == 1.2
    hashes = {shipped_profile("hex8_3p", name).hash for name in PERSONAS}
    assert len(hashes) == 4
    with pytest.raises(UsageError, match="unknown persona 'bold'; known: balanced, aggressive"):
        start_weights("hex8_3p", "bold")


def test_a_profile_is_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    profile = other(elim=0.9)
    save_profile(path, profile)
    assert read_profiles(path) == {"square8_2p": profile}
    assert read_profiles(path)["square8_2p"].hash == profile.hash


def test_the_hash_names_what_changes_a_decision() -> None:
    profile = other()
    assert (
        profile.hash == normalised("square8_2p", profile.weights, gain=0.5, origin="elsewhere").hash
    )
    assert profile.hash != other(elim=0.9).hash
    assert profile.hash != normalised("square8_2p", profile.weights, gain=0.6, origin="").hash


def test_scaling_weights_scales_the_gain() -> None:
    weights = {name: 10 * w for name, w in shipped_profile("square8_2p").weights.items()}
    profile = normalised("square8_2p", weights, gain=0.1, origin="")
    assert profile.weights == pytest.approx(dict(shipped_profile("square8_2p").weights))
    assert profile.gain == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "other"}, "expected 'ringrift.weights/1'"),
        ({"config": "square8_5p"}, "no configuration 'square8_5p'.* config"),
        ({"config": None}, "no configuration None"),
        ({"features_version": 1}, "features_version"),
        ({"weights": [1, 2]}, "weights"),
        ({"gain": 0}, "gain"),
        ({"gain": True}, "gain"),
        ({"gain": "1"}, "gain"),
        ({"hash": "0" * 64}, "hash"),
    ],
)
def test_a_bad_profile_is_refused_with_its_field(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(other().as_tree() | change))
    with pytest.raises(DataError, match=words) as caught:
        read_profiles(path)
    assert "bad.json" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bogus": 1.0}, "unknown weight 'bogus'"),
        ({"elim": None}, "elim is None"),
        ({"elim": "3"}, "elim is '3'"),
        ({"elim": float("nan")}, "elim is nan"),
        ({"elim": True}, "elim is True"),
    ],
)
def test_a_bad_weight_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "bad.json"
    tree = other().as_tree()
    tree["weights"].update(change)
    path.write_text(json.dumps(tree))
    with pytest.raises(DataError, match=words):
        read_profiles(path)


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    tree = other().as_tree()
    del tree["weights"]["fence"]
    path.write_text(json.dumps(tree))
    with pytest.raises(DataError, match="'fence' is missing"):
        read_profiles(path)
    with pytest.raises(DataError, match="norm 0"):
        normalised("square8_2p", dict.fromkeys(FEATURES, 0.0), gain=None, origin="nothing")


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "not JSON"), ("[]", "found a list"), ('{"profiles": []}', "by profile id")],
)
def test_what_is_no_file_of_profiles_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_profiles(path)
    with pytest.raises(DataError, match="cannot read"):
        read_profiles(tmp_path / "none.json")


def test_profiles_of_several_configurations_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "config" / "heuristic_weights.json"
    path.parent.mkdir()
    one, two, three = other(), other("hexagonal_3p"), other(elim=0.7)
    save_profiles(path, [one, two], {"run": "first"})
    before = path.read_bytes()
    save_profiles(path, [three])
    assert read_profiles(path) == {"square8_2p": three, "hexagonal_3p": two}
    assert path.with_name("heuristic_weights.json.bak").read_bytes() == before
    tree = json.loads(path.read_text())
    assert sorted(tree["profiles"]) == ["heuristic_v1_hex_3p", "heuristic_v1_sq8_2p"]
    assert tree["training_metadata"] == {"run": "first"}
    tree["profiles"]["heuristic_v1_sq8_3p"] = tree["profiles"].pop("heuristic_v1_sq8_2p")
    path.write_text(json.dumps(tree))
    with pytest.raises(DataError, match="'heuristic_v1_sq8_3p' holds weights of square8_2p"):
        read_profiles(path)
    with pytest.raises(DataError):
        save_profiles(path, [one])
    assert json.loads(path.read_text()) == tree


def test_a_file_of_one_profile_is_not_made_one_of_several(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    save_profile(path, other())
    with pytest.raises(DataError, match="file of one profile"):
        save_profiles(path, [other("hex8_2p")])


def test_trained_profiles_override_shipped_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "trained.json"
    monkeypatch.setenv(PROFILES_VARIABLE, str(path))
    save_profiles(path, [other(elim=0.9)])
    assert default_profile("square8_2p") == other(elim=0.9) == trained_profiles()["square8_2p"]
    assert default_profile("square8_3p") == shipped_profile("square8_3p")
    assert default_profile("square8_2p", "defensive") == shipped_profile("square8_2p", "defensive")
    save_profiles(path, [other(elim=0.8)])  # registered while we run
    assert default_profile("square8_2p") == other(elim=0.8)
    path.write_text("{}")
    with pytest.raises(DataError, match=r"trained\.json"):
        default_profile("square8_2p")
    monkeypatch.delenv(PROFILES_VARIABLE)
    assert trained_profiles() == {}


def test_weights_are_named_by_file_or_id(tmp_path: Path) -> None:
    spec = BoardSpec.create("square8")
    assert profile_for(spec, weights="heuristic_v1_sq8_2p") == shipped_profile("square8_2p")
    with pytest.raises(UsageError, match=r"heuristic_v1_hex8_2p are of hex8_2p; .*square8_2p"):
        profile_for(spec, weights="heuristic_v1_hex8_2p")
    path = tmp_path / "mine.json"
    save_profile(path, other("hex8_2p"))
    with pytest.raises(UsageError, match="no weights of square8_2p"):
        profile_for(spec, weights=str(path))
    assert [profile_id(config) for config in PROFILE_IDS.values()] == list(PROFILE_IDS)
    assert {"heuristic_v1_sq19_4p", "heuristic_v1_hex_2p"} < set(PROFILE_IDS)


def test_other_weights_are_another_agent(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    save_profile(path, other(elim=0.9))
    spec = BoardSpec.create("square8")
    named = [make_agent(text, spec).spec for text in ("heuristic", f"heuristic:weights={path}")]
    assert named[0].agent_hash != named[1].agent_hash


def test_a_feature_that_cannot_vary_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sigma = dict(scales("square8_2p").sigma) | {"lps": 0.0}
    monkeypatch.setattr(
        "ringrift.agents.weights.scales",
        lambda config: type("Scales", (), {"sigma": sigma, "gain": 1.0}),
    )
    assert other().effective()[FEATURES.index("lps")] == 0


def test_scales_are_packaged_for_every_configuration() -> None:
    for config in CONFIGS:
        found = scales(config)
        assert tuple(found.sigma) == FEATURES
        assert min(found.sigma.values()) > 0
        assert found.gain > 0
    with pytest.raises(DataError, match="no scales of square9_2p"):
        scales("square9_2p")


@pytest.mark.parametrize("config", CONFIGS)
def test_a_breakdown_adds_up_to_the_score(config: str) -> None:
    board, _, seats = config.rpartition("_")
    profile = shipped_profile(config)
    for position in choices(BoardSpec.create(board, int(seats[0])), 3, seed=3):
        for seat in range(1, position.spec.players + 1):
            for full in (True, False):
                parts = breakdown(position, seat, profile, full=full)
                assert tuple(parts) == FEATURES[: len(parts)]
                weights = profile.effective(full=full)
                score = sum(
                    f * w
                    for f, w in zip(recount(position)[seat - 1].values(), weights, strict=False)
                )
                assert sum(parts.values()) == pytest.approx(score, abs=1e-9)
    with pytest.raises(UsageError, match="the game is over"):
        breakdown(random_game(BoardSpec.create("hex8", 3), 1)[-1], 1)
    with pytest.raises(UsageError, match="expected 1 to"):
        breakdown(position, position.spec.players + 1)
    with pytest.raises(UsageError, match="for a position of"):
        breakdown(position, 1, shipped_profile("hex8_4p" if config != "hex8_4p" else "hex8_2p"))
