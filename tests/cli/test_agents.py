"""`ringrift agents` as a user runs it."""

import json

import pytest

from ringrift.agents.kinds import KINDS
from ringrift.agents.spec import resolve


def answer(ringrift, *arguments):
    code, out, _ = ringrift(*arguments, "--json")
    return code, json.loads(out)


def test_parse_prints_the_one_form_and_the_hash(ringrift):
    code, found = answer(ringrift, "agents", "parse", "heuristic:TAU=0.50,random")
    assert code == 0
    assert [row["spec"] for row in found["agents"]] == ["heuristic:tau=0.5", "random"]
    assert [row["agent_hash"] for row in found["agents"]] == [None, None]
    code, found = answer(
        ringrift, "agents", "parse", "gumbel-mcts:eval=heuristic,8", "--config-key", "sq8_2p"
    )
    (row,) = found["agents"]
    assert found["configuration"] == "square8_2p"
    assert row["resolved"] == "gumbel:eval=heuristic,scale=0,sims=8"
    assert len(row["agent_hash"]) == 64


def test_parse_of_a_bad_spec_is_exit_2_with_place_and_nearest(ringrift):
    code, out, err = ringrift("agents", "parse", "heuristic:epz=0.1")
    assert (code, out) == (2, "")
    assert "position 11" in err
    assert "try eps" in err


def test_parse_names_a_model_by_its_id(ringrift, tmp_path):
    digits = "ab" * 32
    folder = tmp_path / "models" / "objects" / "ab"
    folder.mkdir(parents=True)
    (tmp_path / ".ringrift-root").touch()
    (folder / f"{digits}.safetensors").touch()
    words = ("agents", "parse", "gumbel@ababab:8", "--config-key", "hex8_2p", "--root", tmp_path)
    code, found = answer(ringrift, *words)
    assert code == 0, found
    assert found["agents"][0]["resolved"] == f"gumbel@{digits}:scale=0,sims=8"
    (tmp_path / "models" / "ringrift_best_hex8_2p.safetensors").symlink_to(
        folder / f"{digits}.safetensors"
    )
    code, again = answer(ringrift, *words[:2], "gumbel@champion:8", *words[3:])
    assert again["agents"][0]["agent_hash"] == found["agents"][0]["agent_hash"]


def test_a_champion_that_is_not_there_is_exit_2_with_the_way_out(ringrift):
    code, _, err = ringrift("agents", "parse", "gumbel@champion", "--config-key", "hex8_2p")
    assert code == 2
    assert "eval=heuristic or --nn-model-id none" in err


def test_list_shows_every_kind_and_argument(ringrift):
    code, found = answer(ringrift, "agents", "list")
    assert code == 0
    assert [kind["name"] for kind in found["kinds"]] == list(KINDS)
    for kind in found["kinds"]:
        assert [a["name"] for a in kind["arguments"]] == sorted(KINDS[kind["name"]].keys)
    text = ringrift("agents", "list")[1]
    assert all(name in text for name in KINDS)


def test_the_ladder_has_ten_rows_with_availability(ringrift, tmp_path):
    code, found = answer(ringrift, "agents", "ladder", "--config-key", "hex8_3p")
    assert code == 0
    assert [row["level"] for row in found["levels"]] == list(range(1, 11))
    assert found["levels"][0]["available"]
    assert not found["levels"][9]["available"]
    assert found["levels"][9]["reason"]
    settings = tmp_path / "s.yaml"
    settings.write_text('ladder:\n  "2":\n    hex8_3p:\n      think_ms: 9\n')
    words = ("agents", "ladder", "--config-key", "hex8_3p", "--config", settings)
    code, found = answer(ringrift, *words)
    assert found["levels"][1]["think_ms"] == 9
    assert found["levels"][1]["overridden"]
    assert not found["levels"][2]["overridden"]


def test_contributions_add_up_to_the_score(ringrift, tmp_path):
    file = tmp_path / "p.json"
    file.write_text('{"config": "square8_2p", "moves": "P 3,3 2"}')
    code, found = answer(ringrift, "agents", "explain", "--position", file, "--seat", "1")
    assert code == 0
    assert sum(found["breakdown"].values()) == pytest.approx(found["score"], abs=1e-9)
    assert len(found["breakdown"]) == 27
    assert ringrift("agents", "explain", "--position", "nothing")[0] == 6
    assert ringrift("agents", "explain", "--position", file, "--seat", "3")[0] == 2


def test_scales_are_measured_and_written_whole(ringrift, tmp_path):
    output = tmp_path / "scales.json"
    words = ("agents", "scales", "--config-key", "square8_2p", "--output", output)
    code, found = answer(ringrift, *words, "--dry-run")
    assert (code, found["scales"], output.exists()) == (0, {}, False)
    code, found = answer(ringrift, *words, "--positions", "100", "--games", "2")
    assert code == 1  # too few positions for every feature to vary
    assert "never varied" in found["error"]["message"]
    assert not output.exists()


@pytest.mark.slow
def test_the_same_seed_measures_the_same_scales(ringrift, tmp_path):
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file in files:
        words = ("--config-key", "square8_2p", "--positions", "4000", "--games", "60")
        assert ringrift("agents", "scales", *words, "--output", file)[0] == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert list(json.loads(files[0].read_text())["configs"]) == ["square8_2p"]


def test_a_file_that_is_no_profile_cannot_be_imported(ringrift, tmp_path):
    file = tmp_path / "w.json"
    file.write_text('{"a": 1}')
    assert ringrift("agents", "import-weights", file)[0] == 6


def test_hashes_of_the_command_are_those_of_records(ringrift):
    _, found = answer(ringrift, "agents", "parse", "random", "--config-key", "hex8_2p")
    from ringrift.agents.spec import parse_spec

    assert found["agents"][0]["agent_hash"] == resolve(parse_spec("random")).agent_hash
