"""`ringrift node status`: every part on one page, and what is wrong decides the exit code."""

import json
from contextlib import closing

from ringrift.core.alerts import DATABASE, AlertBook
from ringrift.core.emergency import halt, resume
from ringrift.core.paths import Paths

QUIET = {"RINGRIFT_LIMITS__MEMORY_CRITICAL": "99", "RINGRIFT_LIMITS__DISK_CRITICAL": "99"}


def look(ringrift, *words):
    code, out, err = ringrift("--root", ".", "node", "status", "--json", *words)
    assert out, err
    return code, json.loads(out)


def test_a_quiet_root_is_well_and_troubles_are_named(ringrift, tmp_path, monkeypatch):
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    paths = Paths(tmp_path)
    paths.create()
    code, page = look(ringrift)
    assert (code, page["troubles"], page["halts"]) == (0, [], [])
    halt(tmp_path, reason="maintenance", by="ann")
    with closing(AlertBook(paths.coordination / DATABASE)) as book:
        book.alert("spool_age", "here", "warning", "an old item", {})
    code, page = look(ringrift)
    assert code == 1
    assert not page["ok"]
    assert "maintenance" in page["halts"][0]
    assert page["alerts"] == ["spool_age here: an old item"]
    assert [words.partition(":")[0] for words in page["troubles"]] == ["halts", "alerts"]
    resume(tmp_path)
    code, page = look(ringrift)
    assert [words.partition(":")[0] for words in page["troubles"]] == ["alerts"]


def test_a_critical_resource_is_a_trouble_and_nothing_is_written(ringrift, tmp_path, monkeypatch):
    monkeypatch.setenv("RINGRIFT_LIMITS__MEMORY_CRITICAL", "1")
    code, page = look(ringrift)
    assert code == 1
    assert "memory" in page["critical"][0]
    assert list(tmp_path.iterdir()) == []
