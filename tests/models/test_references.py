"""What names of models mean, in the one order of the grammar; what means nothing says what is near."""

import json

import pytest

from ringrift.core.errors import DataError, UsageError
from ringrift.models.aliases import align, move, set_alias
from ringrift.models.references import References

from .papers import CONFIG, decide, paper


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    (folder / "objects").mkdir(parents=True)
    return folder


@pytest.fixture
def made(models):
    """Three champions in turn, one rejected model, one without a decision."""
    ids = [paper(models, number) for number in range(5)]
    for champion in ids[:3]:
        decide(models, "promoted", champion)
    decide(models, "rejected", ids[3])
    return ids


def test_each_form_means_its_model(models, made, tmp_path):
    align(models)
    set_alias(models, "strong", made[1], by="me")
    names = References(models)
    expected = {
        made[0]: 0,
        made[0][:6]: 0,
        made[4][:12]: 4,
        str(models / "objects" / made[3][:2] / f"{made[3]}.safetensors"): 3,
        "strong": 1,
        "old/place/strong.pth": 1,
        "strong.safetensors": 1,
        "champion": 2,
        "best": 2,
        "models/best.pth": 2,
        "models/square8_2p.pt": 2,
        "square8_2p": 2,
        "sq8_2p": 2,
        "ringrift_best_sq8_2p": 2,
        "champion~0": 2,
        "champion~1": 1,
        "champion~2": 0,
        "square8_2p~1": 1,
        "candidate": 4,
        "models/candidate.pth": 4,
    }
    for name, index in expected.items():
        assert names.id(name) == made[index], name
        assert names.file(name).resolve().stem == made[index], name


def test_the_documented_path_is_the_champion_without_being_a_file(models, made, monkeypatch):
    monkeypatch.chdir(models.parent)
    assert not (models / "square8_2p.pt").exists()
    assert References(models).id("models/square8_2p.pt") == made[2]


def test_a_file_comes_before_everything_else(models, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "champion").write_bytes(
        (models / "objects" / made[0][:2] / f"{made[0]}.safetensors").read_bytes()
    )
    assert References(models).id("champion") == made[0]
    assert References(None).id("champion") == made[0]


def test_digits_come_before_an_alias_and_an_alias_before_words(models, made):
    digits = made[0][:8]
    target = f"objects/{made[1][:2]}/{made[1]}.safetensors"
    (models / f"{digits}.safetensors").symlink_to(target)
    assert References(models).id(digits) == made[0]
    decide(models, "promoted", made[4])
    move(models, {CONFIG: made[1]}, by="test")
    assert References(models).id(CONFIG) == made[1]


def test_digits_that_no_id_has_may_be_an_alias(models, made):
    move(models, {"facade": made[1]}, by="test")
    assert References(models).id("facade") == made[1]


def test_an_ambiguous_beginning_names_the_candidates(models):
    objects = models / "objects" / "ab"
    objects.mkdir()
    for end in "12":
        (objects / f"{'ab' * 31}c{end}.safetensors").touch()
    with pytest.raises(UsageError, match=r"begins 2 model ids \(abababababab, abababababab\)"):
        References(models).id("ababab")


def test_an_unknown_name_names_the_nearest_three(models, made):
    set_alias(models, "strong", made[0], by="me")
    set_alias(models, "strongest", made[0], by="me")
    with pytest.raises(UsageError, match="no model 'strnog'") as caught:
        References(models).id("strnog")
    near = caught.value.hint.split(", ")
    assert len(near) == 3
    assert set(near[:2]) == {"strong", "strongest"}


def test_a_short_or_unknown_beginning_is_an_unknown_name(models, made):
    for name in (made[0][:5], "0" * 12, "champion~9", "hex8_2p", "champion~x"):
        with pytest.raises(UsageError):
            References(models).id(name)


def test_with_several_champions_the_configuration_must_be_said(models, made):
    other = paper(models, 9, config="hex8_3p")
    decide(models, "promoted", other, config="hex8_3p")
    names = References(models)
    with pytest.raises(UsageError, match="hex8_3p, square8_2p"):
        names.id("champion")
    assert names.id("champion", "hex8_3p") == other
    assert names.id("hex8_3p", CONFIG) == other


def test_the_candidate_is_the_newest_without_a_decision(models, made):
    newest = paper(models, 7)
    assert References(models).id("candidate") == newest
    decide(models, "inconclusive", newest)
    assert References(models).id("candidate") == made[4]
    other = paper(models, 8, config="hex8_2p")
    assert References(models).id("candidate", "hex8_2p") == other
    with pytest.raises(UsageError, match="hex8_2p, square8_2p"):
        References(models).id("candidate")


def test_a_pruned_model_keeps_its_id_and_has_no_file(models, made):
    path = models / "objects" / made[2][:2] / f"{made[2]}.safetensors"
    path.unlink()
    names = References(models)
    assert names.id("champion") == made[2]
    assert names.id(made[2][:8]) == made[2]
    with pytest.raises(DataError, match="has no file"):
        names.file("champion")


def test_without_decisions_the_link_of_a_champion_counts(models):
    """A folder of copies, such as another machine has."""
    only = paper(models, 1)
    target = models / "objects" / only[:2] / f"{only}.safetensors"
    (models / "ringrift_best_sq8_2p.safetensors").write_bytes(target.read_bytes())
    assert References(models).id("champion", CONFIG) == only


def test_damaged_aliases_are_named(models):
    (models / "aliases.json").write_text(json.dumps({"a": 3}))
    with pytest.raises(DataError, match=r"aliases\.json"):
        References(models).id("strong")
