"""Building: the same bytes on any number of processes, and after any number of ends."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from ringrift.core.errors import BusyError, DataError, NegativeResult, UsageError
from ringrift.core.files import lock
from ringrift.evaluation.openings import building
from ringrift.evaluation.openings.books import line_of
from ringrift.evaluation.openings.building import BuildSettings, build, make
from ringrift.evaluation.openings.checking import check

SETTINGS = BuildSettings(config="square8_4p", count=8)
SCRIPT = """
import sys
from pathlib import Path
from ringrift.evaluation.openings.building import BuildSettings, build
if __name__ == "__main__":
    build(BuildSettings(config="square8_4p", count=8), Path(sys.argv[1]), workers=2)
"""


@pytest.fixture(scope="module")
def candidates():
    """The first candidates, made here."""
    return make(SETTINGS, 0, 16)


@pytest.fixture(scope="module")
def expected(candidates):
    """The bytes of the book."""
    fair = [each for each in candidates if each is not None and "moves" in each]
    assert 8 < len(fair) < 16, "both kinds are among the candidates"
    return b"".join(line_of(each["id"], each["moves"], each["shares"]) for each in fair[:8])


def trail_of(folder, settings=SETTINGS):
    return folder / building.FOLDER / f"{settings.config}-{settings.digest}.jsonl"


def write_trail(folder, candidates, tail=b""):
    path = trail_of(folder)
    path.parent.mkdir()
    lines = (json.dumps(each, separators=(",", ":")).encode() + b"\n" for each in candidates)
    path.write_bytes(b"".join(lines) + tail)
    return path


@pytest.mark.slow
def test_killed_on_two_processes_it_goes_on_and_gives_the_same_bytes(tmp_path, expected):
    script, folder = tmp_path / "run.py", tmp_path / "books"
    script.write_text(SCRIPT)
    folder.mkdir()
    process = subprocess.Popen([sys.executable, script, folder], start_new_session=True)
    trail, deadline_s = trail_of(folder), time.monotonic() + 200
    while not (trail.is_file() and trail.read_bytes().count(b"\n") >= 4):
        assert process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = trail.read_bytes()
    assert not (folder / "square8_4p.jsonl").exists()
    built = build(SETTINGS, folder, workers=1)
    assert built.path.read_bytes() == expected
    assert trail.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    assert check(built.book, built.path).choices[0] >= 8
    assert not multiprocessing.active_children()


def test_what_was_tried_is_not_tried_again(tmp_path, candidates, expected, monkeypatch):
    monkeypatch.setattr(building, "ProcessPoolExecutor", None)
    trail = write_trail(tmp_path, candidates, tail=b'{"id":"0123')
    seen = []
    built = build(SETTINGS, tmp_path, on_progress=lambda progress: seen.append(progress.kept))
    assert built.path.read_bytes() == expected
    assert seen[-1] == len(built.book.openings) == 8
    progress = built.progress
    assert progress.kept + progress.unfair + progress.known + progress.ended == progress.candidates
    assert progress.unfair > 0
    assert not trail.read_bytes().endswith(b"0123")


def test_a_position_that_came_before_is_left_out(tmp_path, candidates):
    write_trail(tmp_path, [*candidates[:5], *candidates[:5], None, *candidates[5:]])
    built = build(SETTINGS, tmp_path)
    assert len({opening.id for opening in built.book.openings}) == 8
    assert (built.progress.known, built.progress.ended) == (5, 1)


def test_a_damaged_file_of_candidates_is_named_with_its_line(tmp_path, candidates):
    trail = write_trail(tmp_path, [*candidates[:3], {"name": 1}, *candidates[3:]])
    with pytest.raises(DataError, match="null or an object with id") as caught:
        build(SETTINGS, tmp_path)
    assert caught.value.where == f"{trail}:4"


def test_too_few_openings_end_it(tmp_path):
    write_trail(tmp_path, [None] * 1000)
    with pytest.raises(NegativeResult, match="0 openings of 4 to 10 choices"):
        build(SETTINGS, tmp_path)


def test_one_book_is_built_once_at_a_time(tmp_path, candidates):
    trail = write_trail(tmp_path, candidates)
    with (
        lock(trail.with_suffix(".lock")),
        pytest.raises(BusyError, match="the build of square8_4p"),
    ):
        build(SETTINGS, tmp_path)


def test_stopped_it_leaves_no_book(tmp_path, candidates):
    write_trail(tmp_path, candidates[:4])
    assert build(SETTINGS, tmp_path, stop=lambda: True) is None
    assert not (tmp_path / "square8_4p.jsonl").exists()


def test_other_settings_have_other_candidates():
    fields = ({}, {"seed": 1}, {"min_choices": 5}, {"max_choices": 9}, {"config": "square8_3p"})
    digests = {BuildSettings(**{"config": "square8_4p", **each}).digest for each in fields}
    assert len(digests) == 5
    assert BuildSettings(config="square8_4p", count=5).digest == SETTINGS.digest


@pytest.mark.parametrize(
    "bad", [{"count": 0}, {"min_choices": 0}, {"min_choices": 9, "max_choices": 8}]
)
def test_settings_without_sense_are_refused(bad):
    with pytest.raises(UsageError):
        BuildSettings(config="square8_2p", **bad)
