"""Foreign profiles: the 49 keys by hand, what has no effect, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ringrift.agents.evaluation import FEATURES
from ringrift.agents.weight_files import WITHOUT_EFFECT, import_weights
from ringrift.agents.weights import profile_for, scales, start_weights
from ringrift.core.errors import DataError
from ringrift.rules import BoardSpec

PLAIN = {
    "STACKS": 9.0, "HEIGHT": 5.0, "CAP": 6.0, "TERRITORY": 8.0, "HAND": 3.0, "CENTER": 4.0,
    "ADJACENT": 6.5, "MOBILITY": 4.0, "STACK_MOBILITY": 1.5, "ELIM": 12.0, "LINE_POTENTIAL": 7.0,
    "VICTORY_PROXIMITY": 20.0, "MARKERS": 0.5, "EXPOSED": 8.1, "ATTACKS": 5.9, "FENCE": 11.0,
    "LINE_CONNECTIVITY": 6.0, "INTRUDERS": 2.8, "FE_RISK": 4.1, "NO_STACK": 51.0,
    "ONE_STACK": 10.0, "BLOCKED": 5.0, "RECOVERY_POTENTIAL": 6.0, "RECOVERY_ELIGIBILITY": 8.0,
    "BURIED": 3.0, "TWO_IN_ROW": 1.0, "THREE_IN_ROW": 2.0, "FOUR_IN_ROW": 5.0,
    "CONNECTED_NEIGHBOR": 0.5, "RINGS_PROXIMITY_FACTOR": 50.0, "TERRITORY_PROXIMITY_FACTOR": 40.0,
}  # fmt: skip
SWAPS = [f"SWAP_{i}" for i in range(8)]
KEYS = {
    f"WEIGHT_{name}": value
    for name, value in (PLAIN | dict.fromkeys((*WITHOUT_EFFECT, *SWAPS), 1.0)).items()
}


def written(folder: Path, tree: Any) -> Path:
    path = folder / "foreign.json"
    path.write_text(json.dumps(tree))
    return path


@pytest.mark.parametrize("nested", [False, True])
def test_the_keys_are_mapped_as_the_document_says(tmp_path: Path, nested: bool) -> None:
    assert len(KEYS) == 49
    path = written(tmp_path, {"weights": KEYS, "generation": 3} if nested else KEYS)
    found = import_weights(path, "hex8_3p")
    start, sigma = start_weights("hex8_3p"), scales("hex8_3p").sigma
    raw = {name: found.profile.weights[name] / sigma[name] for name in FEATURES}
    scale = 9.0 / raw["stacks"]
    assert {name: scale * w for name, w in raw.items()} == pytest.approx(
        {
            "stacks": 9, "height": 5, "cap": 6, "hand": 3, "elim": 12, "territory": 8,
            "ring_goal": 20 * 50, "territory_goal": 20 * 40, "markers": 0.5, "center": 4,
            "mobility": 4 + 1.5, "blocked": 5, "no_stack": 51, "one_stack": 10, "fe_risk": 4.1,
            "adjacent": 6.5, "buried": 3, "recovery": 6 + 8, "lps": start["lps"], "attacks": 5.9,
            "exposed": 8.1, "line_half": 7 * 1 + 6 * 0.5, "line_near": 7 * 2 + 6 * 0.5,
            "line_full": 7 * 5 + 6 * 0.5, "fence": 11, "intruders": 2.8, "region": start["region"],
        }
    )  # fmt: skip
    assert set(found.without_effect) == {f"WEIGHT_{k}" for k in (*WITHOUT_EFFECT, *SWAPS)}
    assert found.kept == ("lps", "region")
    assert found.profile.config == "hex8_3p"
    assert found.profile.gain == scales("hex8_3p").gain


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"WEIGHT_MOBILTY": 1.0}, "unknown key WEIGHT_MOBILTY.*try WEIGHT_MOBILITY"),
        ({"WEIGHT_MOBILITY": "1"}, "'1' is no number.*WEIGHT_MOBILITY"),
        ({"WEIGHT_MOBILITY": None}, "no number"),
    ],
)
def test_a_key_that_cannot_be_mapped_is_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        import_weights(written(tmp_path, KEYS | change), "square8_2p")
    assert caught.value.exit_code == 6


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    keys = {name: x for name, x in KEYS.items() if name != "WEIGHT_TWO_IN_ROW"}
    with pytest.raises(DataError, match="WEIGHT_TWO_IN_ROW is missing"):
        import_weights(written(tmp_path, keys), "square8_2p")


@pytest.mark.parametrize("nested", [False, True])
def test_a_fast_profile_is_refused_with_the_reason(tmp_path: Path, nested: bool) -> None:
    fast = {f"{name}_weight": 1.0 for name in "abcdefgh"}
    path = written(tmp_path, {"weights": fast} if nested else fast)
    for read in (
        lambda: import_weights(path, "square8_2p"),
        lambda: profile_for(BoardSpec.create("square8"), weights=str(path)),
    ):
        with pytest.raises(DataError, match="8 keys cannot be used: its parameters") as caught:
            read()
        assert caught.value.exit_code == 6


def test_foreign_weights_are_not_played_with_unmapped(tmp_path: Path) -> None:
    path = written(tmp_path, KEYS)
    with pytest.raises(DataError, match=r"names other features.*inject-profiles"):
        profile_for(BoardSpec.create("square8"), weights=str(path))
