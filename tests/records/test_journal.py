"""The journal: what was appended is there again, whatever killed the writer."""

import contextlib
import os
import random
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringrift.core.errors import BusyError, DataError
from ringrift.records import Journal, analysis_to_bytes, to_bytes
from ringrift.records.analysis_bytes import seal_pair
from ringrift.records.journal import MAGIC, OLD_MAGIC, crc32c, frame_of, frames, old_crc32
from ringrift.records.sources import kind_of

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


def two_searches(seed):
    """A game in which two agents searched."""
    game = make_game(seed=seed, limit=12)
    first = make_analysis(game, entries=2)
    return game, [first, replace(first, agent="f" * 64)]


def test_a_game_cut_at_any_byte_has_all_its_analyses_or_is_not_there(path, tmp_path):
    whole, (game, analyses) = path.read_bytes(), two_searches(9)
    with Journal(path) as journal:
        journal.append(game, *analyses)
    data, torn = path.read_bytes(), tmp_path / "torn.journal"
    groups = list(Journal.read_groups(path))
    assert groups[-1] == (game, analyses)
    assert list(Journal.read(path))[-2:] == [(game, analyses[0]), (game, analyses[1])]
    raw = [analysis_to_bytes(analysis) for analysis in analyses]
    assert list(Journal.read_bytes(path))[-1] == (to_bytes(game), raw)
    assert list(Journal.scan(path))[-2:] == [(to_bytes(game), data) for data in raw]
    for length in range(len(whole), len(data)):
        torn.write_bytes(data[:length])
        assert [payload for _, payload in frames(torn)] == [p for _, p in frames(path)][:-1]
    assert list(Journal.read_groups(torn)) == groups[:-1]
    with Journal(torn) as journal:
        journal.append(game, *analyses)
    assert torn.read_bytes() == data


def test_the_checksum_is_crc_32c():
    """Of length and payload, against the polynomial of RFC 3720 B.4 taken bit by bit."""
    payload = bytes(range(32))
    bits = 0xFFFFFFFF
    for byte in len(payload).to_bytes(4, "little") + payload:
        bits ^= byte
        for _ in range(8):
            bits = (bits >> 1) ^ (0x82F63B78 if bits & 1 else 0)
    assert crc32c(payload) == bits ^ 0xFFFFFFFF
    assert int.from_bytes(frame_of(payload)[8:12], "little") == crc32c(payload)


def test_a_journal_of_the_first_version_is_read_and_goes_on(tmp_path):
    path, (game, analyses) = tmp_path / "old.journal", two_searches(9)
    pairs = [(g, None if a is None else analysis_to_bytes(a)) for g, a in GAMES]
    pairs += [(game, analysis_to_bytes(analysis)) for analysis in analyses]
    path.write_bytes(
        OLD_MAGIC + b"".join(frame_of(seal_pair(to_bytes(g), a), old_crc32) for g, a in pairs)
    )
    before = path.read_bytes()
    assert kind_of(path) == "journal"
    assert list(Journal.read_groups(path))[-1] == (game, analyses)
    assert list(Journal.read(path))[: len(GAMES)] == GAMES
    path.write_bytes(before + b"RRG1 torn")
    more = two_searches(10)
    with Journal(path) as journal:
        assert journal.games == len(pairs)
        journal.append(more[0], *more[1])
    assert path.read_bytes().startswith(before)
    assert list(Journal.read_groups(path))[-2:] == [(game, analyses), more]


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
