"""List options: repetition, commas, patterns, several words."""

import json

import pytest

from ringrift.cli.lists import expand_paths, repeat_option
from ringrift.core.errors import UsageError


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jsonl", "b.jsonl", "c.txt", "odd,name.jsonl", "odd[1].jsonl"):
        (tmp_path / name).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--jsonl", "a.jsonl", "b.jsonl"], ["a.jsonl", "b.jsonl"]),
        (["--jsonl", "a.jsonl", "--jsonl", "b.jsonl"], ["a.jsonl", "b.jsonl"]),
        (["--jsonl=a.jsonl", "b.jsonl"], ["a.jsonl", "b.jsonl"]),
        (["-j", "b.jsonl,a.jsonl"], ["b.jsonl", "a.jsonl"]),
        (["--jsonl", "?.jsonl", "c.txt"], ["a.jsonl", "b.jsonl", "c.txt"]),
        (["--jsonl", "a.jsonl", "--flag", "--jsonl", "a.jsonl"], ["a.jsonl"]),
        (["--jsonl", "odd,name.jsonl"], ["odd,name.jsonl"]),
        (["--jsonl", "odd[1].jsonl"], ["odd[1].jsonl"]),
        (["--jsonl", "not-there.jsonl"], ["not-there.jsonl"]),
        (["--jsonl", "-", "a.jsonl"], ["-", "a.jsonl"]),
    ],
)
def test_all_ways_to_give_a_list(ringrift, files, words, wanted):
    code, out, err = ringrift("probe", "files", *words, "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["files"] == wanted
    assert answer["flag"] is ("--flag" in words)


def test_a_pattern_without_a_match_is_a_usage_error_naming_it(ringrift, files):
    code, _, err = ringrift("probe", "files", "--jsonl", "*.npz")
    assert code == 2
    assert "'*.npz'" in err
    assert "--jsonl" in err


def test_other_options_and_words_after_two_dashes_are_left_alone():
    names = frozenset({"--o"})
    assert repeat_option(["-x", "a", "b"], names) == ["-x", "a", "b"]
    assert repeat_option(["--o", "a", "--", "b", "c"], names) == ["--o", "a", "--", "b", "c"]
    assert repeat_option(["--o=a", "b", "-y"], names) == ["--o=a", "--o", "b", "-y"]


def test_expansion_keeps_the_order_and_drops_doubles(files):
    found = expand_paths(["b.jsonl", "[ab].jsonl"], what="FILE")
    assert [path.name for path in found] == ["b.jsonl", "a.jsonl"]
    with pytest.raises(UsageError):
        expand_paths(["**/*.none"], what="FILE")
