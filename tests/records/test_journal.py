"""The journal: what was appended is there again, whatever killed the writer."""

import contextlib
import os
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringrift.core.errors import BusyError, DataError
from ringrift.records import Journal
from ringrift.records.journal import MAGIC, frame_of, frames

from .conftest import make_analysis, make_game

GAMES = [
    (game, make_analysis(game, entries=5) if seed % 2 else None)
    for seed, game in enumerate(make_game(seed=seed, limit=40) for seed in range(6))
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "spool.journal"
    with Journal(path) as journal:
        for game, analysis in GAMES:
            journal.append(game, analysis)
    return path


def ends(path):
    """Byte offsets after the magic and after each frame."""
    found = [len(MAGIC)]
    for offset, payload in frames(path):
        found.append(offset + len(frame_of(payload)))
    return found


def test_games_come_back_in_order(path):
    assert list(Journal.read(path)) == GAMES
    assert [game for game, _ in Journal.read_bytes(path)]
    with Journal(path) as journal:
        journal.append(*GAMES[0])
        assert list(Journal.read(path)) == [*GAMES, GAMES[0]]  # readers need no lock


def test_a_torn_tail_is_left_out_and_cut(path, tmp_path):
    data, bounds = path.read_bytes(), ends(path)
    torn = tmp_path / "torn.journal"
    for length in [*range(len(MAGIC) + 1), *range(bounds[-3], len(data), 7)]:
        torn.write_bytes(data[:length])
        whole = sum(bound <= length for bound in bounds[1:])
        assert list(Journal.read(torn)) == GAMES[:whole]
        assert torn.read_bytes() == data[:length]  # reading changes nothing
        with Journal(torn) as journal:
            journal.append(*GAMES[5])
        assert list(Journal.read(torn)) == [*GAMES[:whole], GAMES[5]]


def test_a_tail_of_zeros_is_torn_too(path):
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(500))
    assert list(Journal.read(path)) == GAMES
    with Journal(path):
        pass
    assert path.read_bytes() == whole


@given(st.data())
@settings(max_examples=300)
def test_a_flipped_byte_never_changes_a_game(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    path = folder / "a.journal"
    with Journal(path) as journal:
        for game, analysis in GAMES[:3]:
            journal.append(game, analysis)
    content = bytearray(path.read_bytes())
    bounds = ends(path)
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    if at < bounds[-2]:
        with pytest.raises(DataError) as caught:
            list(Journal.read(path))
        assert str(path) in str(caught.value.where)
        with pytest.raises(DataError):
            Journal(path)
        assert path.read_bytes() == bytes(content)
    else:  # in the last game: no difference to one that was cut
        assert list(Journal.read(path)) == GAMES[:2]


@given(st.binary(max_size=300))
def test_foreign_bytes_are_a_data_error_or_nothing(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("foreign") / "a.journal"
    for prefix in (b"", MAGIC):
        path.write_bytes(prefix + data)
        with contextlib.suppress(DataError):
            assert list(Journal.read(path)) == []


def test_a_frame_of_something_else_is_named(tmp_path):
    path = tmp_path / "a.journal"
    path.write_bytes(MAGIC + frame_of(b"\x92\xc4\x01x\xc0"))
    with pytest.raises(DataError, match="byte 8"):
        list(Journal.read(path))


def test_a_missing_journal_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.journal"):
        list(Journal.read(tmp_path / "none.journal"))


def test_a_second_writer_is_refused_with_the_pid(tmp_path, spawn_writer):
    path = tmp_path / "a.journal"
    writer = spawn_writer("hold_journal", path, path)
    with pytest.raises(BusyError, match=str(writer.process.pid)):
        Journal(path)
    writer.kill()
    Journal(path).close()


def test_a_failed_write_leaves_no_half_frame(tmp_path, monkeypatch):
    path = tmp_path / "a.journal"
    real = os.write
    with Journal(path) as journal:
        journal.append(*GAMES[0])

        def full(handle, data):
            real(handle, bytes(data[:100]))
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            journal.append(*GAMES[1])
        monkeypatch.undo()
        journal.append(*GAMES[2])
    assert list(Journal.read(path)) == [GAMES[0], GAMES[2]]


@pytest.mark.slow
def test_kill_9_at_random_instants_loses_nothing(tmp_path, spawn_writer):
    source, path = tmp_path / "all.journal", tmp_path / "spool.journal"
    games = [(make_game(seed=seed), None) for seed in range(300)]
    games = [(game, make_analysis(game, entries=3)) for game, _ in games]
    with Journal(source) as journal:
        for game, analysis in games:
            journal.append(game, analysis)
    rng, kills = random.Random(7), 0
    for _ in range(10):
        writer = spawn_writer("write_journal", path, source)
        time.sleep(rng.uniform(0, 0.06))
        printed = writer.kill()
        kills += writer.process.returncode == -9
        found = list(Journal.read(path))
        assert found == games[: len(found)]
        assert len(found) >= max(printed, default=0)
        if rng.random() < 0.5:  # as if the kernel had died as well: a part of the last frame
            with path.open("r+b") as file:
                file.truncate(max(len(MAGIC), path.stat().st_size - rng.randrange(1, 40)))
    assert kills >= 5
    spawn_writer("write_journal", path, source).rest()
    assert list(Journal.read(path)) == games
