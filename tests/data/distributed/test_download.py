"""Files from mirrors that are away, wrong, slow or refuse."""

import hashlib
import os
import shutil
from dataclasses import replace

import pytest

from ringrift.core.errors import DataError, NotRunningError, RefusedError, UsageError
from ringrift.data.distributed import ranged, serving
from ringrift.data.distributed.authorization import Authorization
from ringrift.data.distributed.download import Mirrors, download, file_url
from ringrift.data.distributed.inventory import Inventory
from ringrift.data.distributed.metalink import PIECE_BYTES, write_metalink
from ringrift.data.distributed.ranged import BadMirror

TOKEN = "a-token-of-more-than-sixteen"
ARIA2 = shutil.which("aria2c")

HOW = [
    pytest.param(None, "http", id="http"),
    pytest.param(
        ARIA2,
        "aria2",
        id="aria2",
        marks=pytest.mark.skipif(ARIA2 is None, reason="aria2c is not installed"),
    ),
]


def left_behind(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


@pytest.mark.parametrize(("aria2", "how"), HOW)
def test_a_file_arrives_whole(serve, content, sha256, tmp_path, aria2, how):
    server = serve({"part.npz": content})
    seen = []
    done = download(
        sha256,
        Mirrors(servers=(server.url,)),
        tmp_path / "got",
        aria2=aria2,
        on_bytes=seen.append,
    )
    assert (done.how, done.bad, sum(seen)) == (how, (), len(content))
    assert (tmp_path / "got").read_bytes() == content
    assert left_behind(tmp_path) == ["got"]


@pytest.mark.parametrize(("aria2", "how"), HOW)
def test_a_mirror_with_one_flipped_bit_is_named_and_the_file_completes(
    serve, rot, content, sha256, tmp_path, aria2, how
):
    bad, good = serve({"x": content}), serve({"x": content})
    rot(bad.folder / "x", 2 * PIECE_BYTES + 77)
    mirrors = Mirrors(servers=(bad.url, good.url))
    done = download(sha256, mirrors, tmp_path / "got", aria2=aria2)
    assert (tmp_path / "got").read_bytes() == content
    assert done.how == how
    expected = BadMirror(f"{bad.url}/files/{sha256}", 2, "wrong bytes", wrong=True)
    # aria2c asks all mirrors at once: the bad one may not have been asked for the bad piece.
    assert done.bad == (expected,) if aria2 is None else set(done.bad) <= {expected}


@pytest.mark.skipif(ARIA2 is None, reason="aria2c is not installed")
def test_where_aria2_finds_wrong_bytes_alone_the_mirror_is_named(
    serve, rot, content, sha256, tmp_path
):
    bad = serve({"x": content})
    rot(bad.folder / "x", 2 * PIECE_BYTES + 77)
    with pytest.raises(DataError, match="piece 2: wrong bytes") as caught:
        download(sha256, Mirrors(servers=(bad.url,)), tmp_path / "got", aria2=ARIA2)
    assert bad.url in caught.value.message
    assert "got" not in left_behind(tmp_path)


@pytest.mark.skipif(ARIA2 is None, reason="aria2c is not installed")
def test_aria2_sends_the_token_and_shows_it_to_nobody(serve, content, sha256, tmp_path):
    server = serve({"x": content}, authorization=Authorization(token=TOKEN))
    mirrors = Mirrors(servers=(server.url,), authorization=Authorization(token=TOKEN))
    words = tmp_path / "words"
    program = tmp_path / "aria2c"
    program.write_text(f'#!/bin/sh\necho "$0 $@" > {words}\nexec {ARIA2} "$@"\n')
    program.chmod(0o700)
    done = download(sha256, mirrors, tmp_path / "got", aria2=str(program))
    assert done.how == "aria2"
    assert "--conf-path" in words.read_text()
    assert TOKEN not in words.read_text()


def test_aria2_that_fails_is_replaced_by_ranges(serve, content, sha256, tmp_path):
    server = serve({"x": content})
    done = download(
        sha256, Mirrors(servers=(server.url,)), tmp_path / "got", aria2=shutil.which("false")
    )
    assert (done.how, (tmp_path / "got").read_bytes()) == ("http", content)


def test_mirrors_that_only_the_metalink_names_are_asked(serve, rot, content, sha256, tmp_path):
    good = serve({"x": content})
    bad = serve({"x": content}, mirrors=(good.url,))
    rot(bad.folder / "x", 0)
    done = download(sha256, Mirrors(servers=(bad.url,)), tmp_path / "got")
    assert [mirror.piece for mirror in done.bad] == [0]
    assert (tmp_path / "got").read_bytes() == content


def test_a_token_goes_to_named_servers_alone(serve, rot, content, sha256, tmp_path):
    asked = []

    class Listening(Authorization):
        def allows(self, authorization, host):
            asked.append(authorization)
            return super().allows(authorization, host)

    stranger = serve({"x": content}, authorization=Listening())
    token = Authorization(token=TOKEN)
    bad = serve({"x": content}, mirrors=(stranger.url,), authorization=token)
    rot(bad.folder / "x", 0)
    with pytest.raises(DataError, match="no mirror has the right bytes"):
        download(sha256, Mirrors(servers=(bad.url,), authorization=token), tmp_path / "got")
    assert asked == []


def test_a_mirror_that_is_away_is_passed_over(serve, nobody, content, sha256, tmp_path):
    server = serve({"x": content})
    done = download(sha256, Mirrors(servers=(nobody, server.url)), tmp_path / "got")
    assert done.bad[0].url == nobody
    assert (tmp_path / "got").read_bytes() == content


def test_a_silent_mirror_is_passed_over(serve, silent, content, sha256, tmp_path, monkeypatch):
    monkeypatch.setattr(ranged.Connection.__init__, "__kwdefaults__", {"timeout_s": 0.3})
    server = serve({"x": content})
    done = download(sha256, Mirrors(servers=(silent, server.url)), tmp_path / "got")
    assert "silent for too long" in done.bad[0].reason


def test_an_interrupted_download_goes_on_where_it_was(
    serve, content, sha256, tmp_path, monkeypatch
):
    server = serve({"x": content})
    partial = tmp_path / f".got.{sha256[:12]}.partial"
    kept = content[: 2 * PIECE_BYTES] + b"\0" * PIECE_BYTES
    partial.write_bytes(kept)
    asked, read = [], ranged.Mirror.read

    def noted(self, begin, end):
        asked.append(begin // PIECE_BYTES)
        return read(self, begin, end)

    monkeypatch.setattr(ranged.Mirror, "read", noted)
    download(sha256, Mirrors(servers=(server.url,)), tmp_path / "got")
    assert asked == [2, 3, 4]
    assert (tmp_path / "got").read_bytes() == content


def test_an_empty_file_arrives(serve, tmp_path):
    server = serve({"x": b""})
    download(hashlib.sha256(b"").hexdigest(), Mirrors(servers=(server.url,)), tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b""


def test_a_metalink_that_lies_about_the_pieces_is_found_out(
    serve, content, sha256, tmp_path, monkeypatch
):
    server = serve({"x": content})
    other = serve({"x": content[:-1] + b"?"})
    (told,) = Inventory(other.folder).scan()
    lie = write_metalink(
        replace(told.link, sha256=sha256, urls=(f"{other.url}/files/{told.link.sha256}",))
    )
    monkeypatch.setattr(serving, "write_metalink", lambda link: lie)
    with pytest.raises(DataError, match="a metalink that does not fit"):
        download(sha256, Mirrors(servers=(server.url,)), tmp_path / "got")
    assert left_behind(tmp_path) == []


def test_nobody_there_is_not_running(nobody, sha256, tmp_path):
    with pytest.raises(NotRunningError, match="cannot be reached"):
        download(sha256, Mirrors(servers=(nobody,)), tmp_path / "got")
    assert left_behind(tmp_path) == []


def test_a_wrong_token_is_refused_and_not_shown(serve, content, sha256, tmp_path):
    server = serve({"x": content}, authorization=Authorization(token=TOKEN))
    wrong = Authorization(token="another-token-of-that-length")
    with pytest.raises(RefusedError) as caught:
        download(sha256, Mirrors(servers=(server.url,), authorization=wrong), tmp_path / "got")
    assert "another-token" not in str(caught.value)


def test_an_unknown_file_is_bad_data(serve, sha256, tmp_path):
    with pytest.raises(DataError, match="answered 404"):
        download(sha256, Mirrors(servers=(serve({}).url,)), tmp_path / "got")


def test_no_mirror_is_a_mistake(sha256, tmp_path):
    with pytest.raises(UsageError):
        download(sha256, Mirrors(servers=()), tmp_path / "got")


@pytest.mark.parametrize("suffix", ["", ".meta4"])
def test_an_address_of_a_file_is_split(sha256, suffix):
    assert file_url(f"http://a:1/files/{sha256}{suffix}") == ("http://a:1", sha256)


@pytest.mark.parametrize("url", ["http://a/x", "ftp://a/files/" + "0" * 64, "http://u@a"])
def test_other_addresses_are_mistakes(url):
    with pytest.raises(UsageError):
        file_url(url)


def test_files_are_durable_under_their_name(serve, content, sha256, tmp_path):
    server = serve({"x": content})
    (tmp_path / "got").write_bytes(b"older")
    download(sha256, Mirrors(servers=(server.url,)), tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == content
    assert not os.access(tmp_path / f".got.{sha256[:12]}.partial", os.F_OK)
