"""Shards: what was written comes back, and every changed byte is found with its place."""

import dataclasses
import random
import re
import struct
import time

import pytest
import zstandard

from ringrift.core.errors import DataError, RefusedError, UsageError
from ringrift.records import GameMeta, PlyAnalysis, VerificationError, quantize, to_bytes
from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import analysis_to_bytes
from ringrift.records.refused import Refused
from ringrift.records.shards import Shard, read_shard, scan_shard, write_shards
from ringrift.records.shards.layout import FRAME_BYTES, MIB
from ringrift.rules import Position

from .conftest import make_analysis, make_game
from .heavy_files import bomb
from .shard_parts import assemble, disassemble, resealed

GAMES = [make_game(seed=seed, limit=40) for seed in range(6)]
GROUPS = [
    (game, [make_analysis(game, sims=16 + n, entries=5) for n in range(seed % 3)])
    for seed, game in enumerate(GAMES)
]


@pytest.fixture
def shard(tmp_path):
    (made,) = write_shards(tmp_path / "shards", GROUPS)
    return made


def test_games_and_all_their_analyses_come_back_in_order(shard):
    assert list(read_shard(shard.path)) == GROUPS
    assert (shard.games, shard.analyses) == (6, 6)
    assert shard.path.name == f"games-square8_2p-{shard.sha256[:32]}.rrshard"
    assert shard.path.stat().st_size == shard.size_bytes
    with Shard(shard.path) as opened:
        assert opened.sha256 == shard.sha256
        assert opened.ids() == [game.id for game in GAMES]
        for game, analyses in reversed(GROUPS):
            assert opened.get(game.id) == (game, analyses)
        assert opened.get("0" * 64) is None
        assert (opened.header.games, opened.header.run) == (6, "test")


def test_the_same_games_make_the_same_file(shard, tmp_path):
    as_bytes = [(to_bytes(game), [analysis_to_bytes(a) for a in found]) for game, found in GROUPS]
    (again,) = write_shards(tmp_path / "again", as_bytes)
    assert again.path.read_bytes() == shard.path.read_bytes()
    assert write_shards(tmp_path / "shards", GROUPS)[0].path == shard.path
    assert [path.name for path in (tmp_path / "shards").iterdir()] == [shard.path.name]


def test_the_layout_is_the_documented_one(shard):
    data = shard.path.read_bytes()
    parts = disassemble(data)
    assert data[:8] == b"RRSHARD1"
    assert parts.header["format"] == "ringrift.shard/1"
    assert parts.header["spec_hash"] == GAMES[0].spec.hash
    assert zstandard.get_frame_parameters(parts.frames[0]).has_checksum
    raw = b"".join(zstandard.decompress(frame) for frame in parts.frames)
    assert raw == b"".join(
        to_bytes(game) + b"".join(map(analysis_to_bytes, analyses)) for game, analyses in GROUPS
    )
    frames, games, analyses = parts.index
    assert [len(frame) for frame in parts.frames] == [size for size, _ in frames]
    assert [identity.hex() for identity, _, _ in games] == [game.id for game in GAMES]
    assert [identity.hex() for identity, _, _ in analyses] == [
        a.id for _, found in GROUPS for a in found
    ]
    assert assemble(parts) == data


# --- where a shard ends


def test_each_specification_has_shards_of_its_own(tmp_path):
    others = [make_game("hex8", 3, seed=1, limit=30), make_game(seed=9, limit=20, lps_rounds=4)]
    mixed = [(game, []) for game in (GAMES[0], others[0], GAMES[1], others[1])]
    made = write_shards(tmp_path, mixed)
    assert sorted((s.config, s.games) for s in made) == [
        ("hex8_3p", 1),
        ("square8_2p", 1),
        ("square8_2p", 2),
    ]
    found = {game.id for s in made for game, _ in read_shard(s.path)}
    assert found == {game.id for game, _ in mixed}


def test_many_specifications_do_not_need_many_open_files(tmp_path):
    games = [make_game(seed=1, limit=5, lps_rounds=n) for n in range(3, 23)]
    made = write_shards(tmp_path, [(game, []) for game in games * 2])
    assert {game.id for s in made for game, _ in read_shard(s.path)} == {g.id for g in games}


def test_a_shard_ends_at_its_number_of_games_and_at_its_age(tmp_path):
    made = write_shards(tmp_path / "games", [(game, []) for game in GAMES], most_games=4)
    assert [s.games for s in made] == [4, 2]

    def slowly():
        for game in GAMES[:4]:
            time.sleep(0.03)
            yield game, []

    made = write_shards(tmp_path / "age", slowly(), most_age_s=0.05)
    assert 1 < len(made) <= 3
    assert sum(s.games for s in made) == 4


def heavy(game, size, seed=0):
    """An analysis of about so many bytes, of which half remain when compressed."""
    rng = random.Random(f"{game.id} {seed}")
    budget = {str(n): rng.randbytes(200).hex() for n in range(size // 404)}
    return Analysis(game=game.id, agent="a", budget=budget, plies=())


def test_a_shard_ends_before_its_size(tmp_path):
    games = [make_game(seed=seed, limit=5) for seed in range(24)]
    groups = [(game, [heavy(game, 25_000, n) for n in range(4)]) for game in games]
    made = write_shards(tmp_path, groups, most_bytes=MIB)
    assert len(made) == 2
    assert 0.8 * MIB < made[0].size_bytes <= MIB
    assert [group for s in made for group in read_shard(s.path)] == groups


def test_a_record_longer_than_a_frame_goes_on_in_the_next(tmp_path):
    wide = heavy(GAMES[1], 5 * FRAME_BYTES // 2)
    groups = [(GAMES[0], []), (GAMES[1], [wide]), (GAMES[2], [])]
    (made,) = write_shards(tmp_path, groups)
    assert [raw for _, raw in disassemble(made.path.read_bytes()).index[0]][1:3] == [MIB, MIB]
    assert list(read_shard(made.path)) == groups
    with Shard(made.path) as opened:
        assert opened.get(GAMES[1].id) == groups[1]


def test_a_record_beyond_the_limit_is_not_written():
    with pytest.raises(VerificationError, match="at most 8388608"):
        analysis_to_bytes(heavy(GAMES[1], 9 * MIB))


# --- what a writer is given


def test_a_game_that_comes_again_is_there_once_with_all_its_analyses(tmp_path):
    game, first, second = GAMES[0], *(make_analysis(GAMES[0], sims=n) for n in (8, 9))
    repeated = [(game, [first]), (game, []), (GAMES[1], []), (game, [second])]
    made = write_shards(tmp_path, repeated)
    found = [group for s in made for group in read_shard(s.path)]
    assert found == [(game, [first]), (GAMES[1], []), (game, [second])]


def test_the_same_id_with_other_bytes_is_refused_and_nothing_is_left(tmp_path):
    other = dataclasses.replace(GAMES[0], meta=GameMeta(host="elsewhere"))
    with pytest.raises(RefusedError, match=GAMES[0].id):
        write_shards(tmp_path / "s", [(GAMES[0], []), (other, [])])
    assert list((tmp_path / "s").iterdir()) == []


def test_bytes_that_are_no_record_are_refused(tmp_path):
    with pytest.raises(VerificationError):
        write_shards(tmp_path, [(b"x" * 100, [])])
    with pytest.raises(VerificationError):
        write_shards(tmp_path, [(GAMES[0], [to_bytes(GAMES[0])])])
    with pytest.raises(UsageError, match="expected 1048576"):
        write_shards(tmp_path, [], most_bytes=10)
    assert write_shards(tmp_path, []) == []


# --- damage


def check_refused(path, data):
    path.write_bytes(data)
    with pytest.raises(VerificationError) as caught:
        Shard(path)
    assert caught.value.reason in ("malformed", "truncated")
    assert re.fullmatch(rf"{re.escape(str(path))} byte \d+.*", caught.value.where), caught.value
    (refused,) = scan_shard(path)
    assert isinstance(refused, Refused)
    assert str(refused.error) == str(caught.value)
    return int(re.search(r"byte (\d+)", caught.value.where)[1])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    game = make_game(seed=3, limit=10)
    groups = [(game, [make_analysis(game, every=5, entries=2)])]
    (made,) = write_shards(tmp_path_factory.mktemp("small"), groups)
    return made.path.read_bytes()


def test_a_changed_byte_is_found_with_its_place(small, tmp_path):
    rng, path = random.Random(1), tmp_path / "changed.rrshard"
    frames_at = 12 + struct.unpack("<I", small[8:12])[0]
    index_at = struct.unpack("<Q", small[-40:-32])[0]
    for at in sorted(rng.sample(range(len(small)), 150)):
        changed = bytearray(small)
        changed[at] ^= rng.randrange(1, 256)
        byte = check_refused(path, bytes(changed))
        if frames_at <= at < index_at:
            assert byte == frames_at
        elif index_at <= at < len(small) - 40:
            assert byte == index_at


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
def test_every_change_of_every_byte_is_found(small, tmp_path):
    path = tmp_path / "changed.rrshard"
    for at in range(len(small)):
        for flip in range(1, 256):
            changed = bytearray(small)
            changed[at] ^= flip
            check_refused(path, bytes(changed))
    print(f"{len(small)} bytes, each changed 255 ways: all found")


def test_a_shard_that_was_cut_or_has_grown_is_refused(small, tmp_path):
    path = tmp_path / "cut.rrshard"
    for length in [*range(60), *range(60, len(small), 13)]:
        check_refused(path, small[:length])
    check_refused(path, small + b"\0")
    check_refused(path, small + small)
    check_refused(path, b"")


def test_a_missing_shard_and_a_foreign_file_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.rrshard"):
        Shard(tmp_path / "none.rrshard")
    with pytest.raises(DataError, match="cannot be read"):
        Shard(tmp_path)
    check_refused(tmp_path / "text.rrshard", b"this is no shard" * 20)


# --- a hash that is right proves nothing about the author


def forgeries(parts):
    """Name and forged parts, one lie each."""
    for name, value in [
        ("format", "ringrift.shard/2"),
        ("rules_version", "0"),
        ("rules_hash", "0" * 64),
        ("config", "../../etc"),
        ("games", 0),
        ("games", 10**9),
        ("analyses", 5),
        ("run", 5),
        ("extra", 1),
    ]:
        yield name, dataclasses.replace(parts, header={**parts.header, name: value})
    without = {name: v for name, v in parts.header.items() if name != "spec_hash"}
    yield "no spec_hash", dataclasses.replace(parts, header=without)
    frames, games, analyses = parts.index
    raw = frames[0][1]
    for index in [
        [],
        [frames, games],
        [frames, games, analyses, []],
        [[], games, analyses],
        [[[frames[0][0], raw + 1]], games, analyses],
        [[[frames[0][0], 1 << 40]], games, analyses],
        [[[frames[0][0] + 1, raw]], games, analyses],
        [frames, [], analyses],
        [frames, [[games[0][0], 0, 1]], analyses],
        [frames, [[games[0][0], 1, 0]], analyses],
        [frames, [[games[0][0], -1, 0]], analyses],
        [frames, [[b"short", 0, 0]], analyses],
        [frames, [[bytes(32), 0, 0]], analyses],
        [frames, games, [[games[0][0], *analyses[0][1:]]]],
        [frames, games, [[analyses[0][0], 0, raw]]],
        [frames, games, [[analyses[0][0], 0, 0]]],
        [frames, games, [[analyses[0][0], 0, analyses[0][2] - 1]]],
        [frames * 9000, games, analyses],
    ]:
        yield f"index {index!r:.60}", dataclasses.replace(parts, index=index)
    for frame in [bomb(256 * MIB), b"", parts.frames[0][:-1], parts.frames[0] + b"x", bytes(50)]:
        forged = [[[len(frame), raw]], games, analyses]
        yield f"frame {frame!r:.40}", dataclasses.replace(parts, frames=[frame], index=forged)


def test_forged_shards_are_refused(small, tmp_path):
    parts = disassemble(small)
    names = []
    for name, forged in forgeries(parts):
        path = tmp_path / "forged.rrshard"
        path.write_bytes(assemble(forged))
        with pytest.raises(VerificationError) as caught:
            list(read_shard(path))
        assert f"{path} byte " in caught.value.where, (name, caught.value)
        (refused,) = scan_shard(path)
        assert refused.error.reason in ("malformed", "truncated", "rules_version", "id_mismatch")
        names.append(name)
    assert len(names) == 33
    for length in (1 << 31, 0xFFFFFFFF):
        path.write_bytes(resealed(small[:8] + struct.pack("<I", length) + small[12:]))
        with pytest.raises(VerificationError, match="byte 8"):
            Shard(path)


# --- sizes


def full_game(seed, searched):
    """A game with `searched` plies of 40 entries each, drawn from moves that were legal in it."""
    game, rng = make_game(seed=seed), random.Random(seed)
    position, seen = Position.of(game.spec), set()
    for move in game.moves[:60]:
        seen.update(position.legal_packed().tolist())
        position.play(move)
    plies = []
    for ply in sorted(rng.sample(range(len(game.moves)), min(searched, len(game.moves)))):
        moves = rng.sample(sorted(seen), 40)
        values = [rng.uniform(-1, 1) for _ in range(2)]
        plies.append(
            PlyAnalysis(
                ply=ply,
                kind="full",
                sims=200,
                value=(values[0], -values[0]),
                root_value=(values[1], -values[1]),
                policy=quantize({m: rng.expovariate(1) ** 3 + 0.001 for m in moves}),
                visits={m: int(rng.expovariate(1) ** 2 * 5) for m in moves},
                prior_kl=rng.random(),
                nodes=200,
                depth=9,
                ms=rng.randrange(50, 400),
            )
        )
    return game, [Analysis(game=game.id, agent="a" * 64, plies=tuple(plies))] if plies else []


def test_games_are_small(tmp_path):
    (bare,) = write_shards(tmp_path, [full_game(seed, 0) for seed in range(20)])
    (alone,) = write_shards(tmp_path, [full_game(0, 0)])
    searched = [full_game(seed, 100) for seed in range(20)]
    assert min(len(found[0].plies) for _, found in searched) >= 90
    (full,) = write_shards(tmp_path, searched)
    for name, size in [
        ("one bare game", alone.size_bytes),
        ("bare", bare.size_bytes / 20),
        ("searched", full.size_bytes / 20),
    ]:
        print(f"{name}: {size:.0f} bytes a game")
    assert bare.size_bytes / 20 <= 2000
    assert alone.size_bytes <= 2000
    assert full.size_bytes / 20 <= 24_000
