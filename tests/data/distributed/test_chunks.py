"""Plans cut into chunks and put together again; the files of both."""

import json
import shutil
from dataclasses import replace

import pytest

from ringrift.core.errors import DataError
from ringrift.data.dataset.blocks import blocks
from ringrift.data.dataset.pack import PackedBlocks
from ringrift.data.distributed.chunks import cut, join, read_chunk, write_chunk
from ringrift.data.distributed.publishing import check_blocks, merge
from ringrift.data.distributed.worker import make_blocks


@pytest.mark.parametrize(("wanted", "most", "count"), [(4, 500, 4), (1, 10, 4), (500, 500, None)])
def test_chunks_are_nearly_equal_and_not_too_long(plan, wanted, most, count):
    chunks = cut(plan, wanted, most_games=most)
    sizes = [len(chunk.plan.games) for chunk in chunks]
    assert len(chunks) == (count or len(plan.games))
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= most
    assert [identity for chunk in chunks for identity in chunk.plan.ids] == list(plan.ids)
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))


def test_a_plan_without_games_has_no_chunk(plan):
    assert cut(replace(plan, games=()), 4) == []


def test_chunks_in_any_order_give_the_plan_back(plan):
    chunks = cut(plan, 4)
    assert join([chunks[i] for i in (2, 0, 3, 1)]) == plan


@pytest.mark.parametrize(
    ("places", "told"),
    [
        ((0, 1, 3), "chunk 2 of 4 is missing"),
        ((0, 1, 2), "chunk 3 of 4 is missing"),
        ((1, 2, 3), "chunk 0 of 4 is missing"),
        ((0, 1, 1, 2, 3), "chunk 1 is there twice"),
        ((0, 1, 2, 3, 3), "chunk 3 is there twice"),
    ],
)
def test_a_chunk_that_is_missing_or_twice_there_is_named(plan, places, told):
    chunks = cut(plan, 4)
    with pytest.raises(DataError) as caught:
        join([chunks[place] for place in places])
    assert caught.value.message == told


def test_chunks_of_different_cuts_do_not_mix(plan):
    with pytest.raises(DataError, match="different exports"):
        join([cut(plan, 2)[0], cut(plan, 3)[1]])


def test_games_that_were_not_planned_are_found_out(plan):
    first, second = cut(plan, 2)
    short = replace(second, plan=replace(second.plan, games=second.plan.games[1:]))
    with pytest.raises(DataError, match="not those that were planned"):
        join([first, short])


def test_a_chunk_survives_its_file(plan, tmp_path):
    chunk = cut(plan, 4)[1]
    path = write_chunk(tmp_path, chunk)
    assert path.name == f"square8_2p-{plan.request[:12]}-00001.chunk.json"
    assert read_chunk(path) == chunk
    assert json.loads(path.read_text())["ids"] == list(chunk.plan.ids)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": "x"}, "format: found 'x'"),
        ({"number": 9}, "number: found 9 of 4"),
        ({"number": "1"}, "number: found '1'"),
        ({"ids": []}, "ids: not those"),
        ({"plan": {}}, "no plan"),
        ({"plan": []}, "no plan"),
        ({"request": None, "count": None}, "count: found None"),
    ],
)
def test_a_damaged_chunk_is_named_with_its_field(plan, tmp_path, change, told):
    path = write_chunk(tmp_path, cut(plan, 4)[1])
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=told) as caught:
        read_chunk(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000])
def test_what_is_no_chunk_at_all_is_bad_data(tmp_path, text):
    (tmp_path / "x").write_text(text)
    with pytest.raises(DataError):
        read_chunk(tmp_path / "x")


@pytest.fixture(scope="module")
def worked(plan, tmp_path_factory):
    """A folder of three chunks with their blocks; returns the files of the chunks."""
    folder = tmp_path_factory.mktemp("blocks")
    files = []
    for chunk in cut(plan, 3):
        files.append(write_chunk(folder, chunk))
        make_blocks(chunk, chunk.plan, folder / f"{chunk.name}.pack")
    return files


def packs_of(files):
    return [path.with_name(path.name.replace(".chunk.json", ".pack")) for path in files]


@pytest.mark.parametrize("named_by", ["folder", "chunks", "blocks", "both"])
def test_chunks_with_their_blocks_give_the_plan_and_every_block(plan, worked, named_by):
    packs = packs_of(worked)
    given = {
        "folder": [worked[0].parent],
        "chunks": worked[::-1],
        "blocks": packs[::-1],
        "both": [*worked, *packs],
    }[named_by]
    (merged,) = merge(given)
    assert merged.plan == plan
    assert dict(PackedBlocks(plan, merged.packs)) == dict(blocks(plan, plan.ids))


def test_two_exports_are_merged_apart(plan, worked, tmp_path):
    (chunk,) = cut(replace(plan, games=plan.games[:5]), 1)
    write_chunk(tmp_path, chunk)
    make_blocks(chunk, chunk.plan, tmp_path / f"{chunk.name}.pack")
    found = merge([*worked, tmp_path])
    assert sorted(len(merged.plan.games) for merged in found) == [5, len(plan.games)]


def test_every_damage_to_blocks_is_found(plan, worked, tmp_path):
    chunk, pack = cut(plan, 3)[0], packs_of(worked)[0]
    data = pack.read_bytes()
    path = tmp_path / "damaged"
    step = len(data) // 60
    for place in [0, 7, 8, *range(9, len(data), step), len(data) - 1]:
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(DataError):
            check_blocks(path, chunk)
    for length in [0, 7, 19, 100, *range(200, len(data), step), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(DataError):
            check_blocks(path, chunk)


def test_blocks_of_other_games_are_named(plan, worked):
    with pytest.raises(DataError, match=r"blocks of .* games of .* are missing"):
        check_blocks(packs_of(worked)[1], cut(plan, 3)[0])


def test_a_chunk_without_its_blocks_is_named(worked, tmp_path):
    shutil.copy(worked[0], tmp_path)
    with pytest.raises(DataError, match="cannot be read") as caught:
        merge([tmp_path])
    assert caught.value.where.endswith(".pack")


@pytest.mark.parametrize(
    ("name", "told"), [("", "a folder without a chunk"), ("x.npz", "expected NAME.chunk.json")]
)
def test_other_files_are_refused(tmp_path, name, told):
    with pytest.raises(DataError, match=told):
        merge([tmp_path / name])
