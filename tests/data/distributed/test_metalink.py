"""Metalinks as others read them, and what is refused."""

import hashlib
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from ringrift.core.errors import DataError
from ringrift.data.distributed.metalink import (
    PIECE_BYTES,
    Metalink,
    describe_file,
    read_metalink,
    write_metalink,
)

URLS = ("http://a:1/files/x?y=1&z=2", "https://b/files/x")


@pytest.fixture
def link(tmp_path):
    path = tmp_path / "part-00000.npz"
    path.write_bytes(bytes(range(256)) * (PIECE_BYTES // 128) + b"tail")
    return replace(describe_file(path), urls=URLS)


def test_pieces_cover_the_file(link, tmp_path):
    data = (tmp_path / link.name).read_bytes()
    assert (link.size_bytes, len(link.pieces)) == (len(data), 3)
    assert link.sha256 == hashlib.sha256(data).hexdigest()
    spans = [data[slice(*link.span(piece))] for piece in range(3)]
    assert b"".join(spans) == data
    assert [hashlib.sha256(span).hexdigest() for span in spans] == list(link.pieces)


def test_what_was_written_is_read(link):
    assert read_metalink(write_metalink(link), where="x") == link


def test_elements_are_those_of_rfc_5854(link):
    root = ET.fromstring(write_metalink(link))
    space = {"m": "urn:ietf:params:xml:ns:metalink"}
    file = root.find("m:file", space)
    assert file.get("name") == link.name
    assert file.find("m:pieces", space).attrib == {"length": str(PIECE_BYTES), "type": "sha-256"}
    urls = file.findall("m:url", space)
    assert [(url.get("priority"), url.text) for url in urls] == [("1", URLS[0]), ("2", URLS[1])]


def test_an_empty_file_has_no_piece(tmp_path):
    (tmp_path / "empty").touch()
    link = describe_file(tmp_path / "empty")
    assert (link.size_bytes, link.pieces) == (0, ())
    assert read_metalink(write_metalink(link), where="x").sha256 == link.sha256


def test_without_pieces_the_whole_file_is_one(link):
    root = ET.fromstring(write_metalink(link))
    space = {"m": "urn:ietf:params:xml:ns:metalink"}
    file = root.find("m:file", space)
    file.remove(file.find("m:pieces", space))
    found = read_metalink(ET.tostring(root), where="x")
    assert (found.pieces, found.piece_bytes) == ((link.sha256,), link.size_bytes)


def changed(link, old, new):
    data = write_metalink(link).decode()
    assert old in data
    return data.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name="part-00000.npz"', 'name="../part"', "file name: found '../part'"),
        ('name="part-00000.npz"', 'name=".."', "file name"),
        ("<size>", "<size>-", "size: found '-"),
        ('length="1048576"', 'length="0"', "length of a piece"),
        ('type="sha-256"', 'type="md5"', "found 0 hashes of type sha-256"),
        ("</pieces>", "<hash>zz</hash></pieces>", "hash: found 'zz'"),
        ("</size>", "0</size>", "pieces: found 3"),
        ("urn:ietf:params:xml:ns:metalink", "urn:other", "root element"),
        ("<metalink", "<metalink bad", "no metalink"),
        ("<metalink", '<!DOCTYPE x [<!ENTITY a "b">]><metalink', "document type"),
    ],
)
def test_anything_else_is_refused_by_name(link, old, new, told):
    with pytest.raises(DataError) as caught:
        read_metalink(changed(link, old, new), where="http://a/x.meta4")
    assert told in caught.value.message
    assert caught.value.where == "http://a/x.meta4"


def test_addresses_of_other_kinds_are_left_out(link):
    data = changed(link, URLS[1], "ftp://c/x")
    assert read_metalink(data, where="x").urls == URLS[:1]


def test_pieces_must_fit_the_size():
    with pytest.raises(DataError, match="expected 2"):
        Metalink(name="x", size_bytes=11, sha256="0" * 64, piece_bytes=10, pieces=("0" * 64,))
