"""The read-only server: inventory, files by hash, ranges, who may ask."""

import hashlib
import http.client
import json
import socket

import pytest

from ringrift.core.errors import BusyError, UsageError
from ringrift.data.distributed.authorization import Authorization, is_loopback
from ringrift.data.distributed.inventory import Inventory
from ringrift.data.distributed.metalink import read_metalink
from ringrift.data.distributed.serving import ExportServer

TOKEN = "a-token-of-more-than-sixteen"


def ask(server, path, *, method="GET", headers=(), body=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.fixture
def server(serve, content):
    files = {
        "b/part.npz": content,
        "a.txt": b"hello",
        ".hidden": b"no",
        "c.partial": b"no",
        ".work/part.npz": b"no",
    }
    return serve(files, status=lambda: {"chunks": 3})


def test_status_is_what_the_caller_tells(server):
    assert json.loads(ask(server, "/status")[2]) == {"ok": True, "chunks": 3}


def test_the_inventory_names_finished_files_alone(server, content, sha256):
    files = json.loads(ask(server, "/inventory.json")[2])["files"]
    assert files == [
        {"name": "a.txt", "bytes": 5, "sha256": hashlib.sha256(b"hello").hexdigest()},
        {"name": "b/part.npz", "bytes": len(content), "sha256": sha256},
    ]


def test_a_new_file_is_found_and_a_changed_one_no_longer(server):
    new = hashlib.sha256(b"new").hexdigest()
    assert ask(server, f"/files/{new}")[0] == 404
    (server.folder / "new").write_bytes(b"new")
    assert ask(server, f"/files/{new}")[2] == b"new"
    (server.folder / "new").write_bytes(b"newer")
    assert ask(server, f"/files/{new}")[0] == 404


def test_links_to_other_places_are_not_served(server, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    (server.folder / "link").symlink_to(tmp_path / "secret")
    (server.folder / "folder").symlink_to(tmp_path)
    names = [f["name"] for f in json.loads(ask(server, "/inventory.json")[2])["files"]]
    assert names == ["a.txt", "b/part.npz"]


@pytest.mark.parametrize(
    ("header", "status", "span"),
    [
        (None, 200, slice(None)),
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=5-", 206, slice(5, None)),
        ("bytes=-7", 206, slice(-7, None)),
        ("bytes=0-999999999", 206, slice(None)),
        ("bytes=-999999999", 206, slice(None)),
        ("bytes=1-2,4-5", 200, slice(None)),
        ("bytes=9-3", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
    ],
)
def test_ranges_are_those_of_rfc_9110(server, content, sha256, header, status, span):
    headers = {} if header is None else {"Range": header}
    code, answer, body = ask(server, f"/files/{sha256}", headers=headers)
    assert (code, body) == (status, content[span])
    if status == 206:
        begin = span.indices(len(content))[0]
        assert answer["Content-Range"] == f"bytes {begin}-{begin + len(body) - 1}/{len(content)}"


@pytest.mark.parametrize("header", ["bytes=99999999-", "bytes=-0"])
def test_a_range_outside_is_416_with_the_size(server, content, sha256, header):
    code, answer, _ = ask(server, f"/files/{sha256}", headers={"Range": header})
    assert (code, answer["Content-Range"]) == (416, f"bytes */{len(content)}")


def test_head_has_the_size_and_no_body(server, content, sha256):
    code, answer, body = ask(server, f"/files/{sha256}", method="HEAD")
    assert (code, answer["Content-Length"], body) == (200, str(len(content)), b"")


def test_the_metalink_names_this_server_and_the_other_mirrors(serve, content, sha256):
    server = serve({"x": content}, mirrors=("http://other:1/", "http://more:2"))
    code, _, data = ask(server, f"/files/{sha256}.meta4")
    link = read_metalink(data, where="x")
    assert (code, link.sha256, link.size_bytes) == (200, sha256, len(content))
    assert link.urls == tuple(
        f"{place}/files/{sha256}" for place in (server.url, "http://other:1", "http://more:2")
    )


@pytest.mark.parametrize(
    "path", ["/", "/files/", "/files/../secret", "/files/%2e%2e", f"/files/{'0' * 64}", "/x" * 500]
)
def test_other_paths_are_404(server, path):
    assert ask(server, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_nothing_can_be_changed(server, method):
    assert ask(server, "/files/x", method=method, body=b"x")[0] == 405


def test_a_server_that_others_reach_needs_a_token(tmp_path):
    with pytest.raises(UsageError, match="no token") as caught:
        ExportServer(Inventory(tmp_path), port=0, host="0.0.0.0")
    assert caught.value.where == "--host"


def test_with_a_token_nothing_is_told_without_it(serve, capfd):
    server = serve({"x": b"x"}, authorization=Authorization(token=TOKEN), host="0.0.0.0")
    wrong = [{}, {"Authorization": TOKEN}, {"Authorization": f"Bearer {TOKEN[:-1]}"}]
    wrong.append({"Authorization": f"Bearer {TOKEN}é"})
    for headers in wrong:
        for path in ("/status", "/inventory.json", f"/files/{'0' * 64}"):
            sent = {key: value.encode() for key, value in headers.items()}
            code, _, body = ask(server, path, headers=sent)
            assert (code, body) == (401, b'{"error": "not authorized"}\n')
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert ask(server, "/status", headers=headers)[0] == 200
    assert TOKEN not in "".join(capfd.readouterr())
    assert TOKEN not in repr(Authorization(token=TOKEN))


def test_without_a_token_a_page_of_another_name_gets_nothing(server):
    assert ask(server, "/inventory.json", headers={"Host": "evil.example"})[0] == 401
    assert ask(server, "/inventory.json", headers={"Host": "localhost:1"})[0] == 200


@pytest.mark.parametrize("token", ["short", "", "with a\nnew line in it", "é" * 20])
def test_a_token_must_be_long_and_fit_a_header(token):
    with pytest.raises(UsageError) as caught:
        Authorization(token=token)
    assert token not in str(caught.value) or not token


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_loopback_is_told_from_the_rest(host, own):
    assert is_loopback(host) == own


def test_a_taken_port_is_named_with_who_has_it(serve):
    server = serve({})
    with pytest.raises(BusyError, match=f"port {server.port} is taken by process"):
        ExportServer(Inventory(server.folder), port=server.port)


def test_an_address_that_is_not_ours_is_a_mistake(tmp_path):
    with pytest.raises(UsageError, match="no address of this machine"):
        ExportServer(
            Inventory(tmp_path), port=0, host="192.0.2.1", authorization=Authorization(token=TOKEN)
        )


def test_silent_clients_are_cut_off_and_others_served(serve):
    server = serve({"x": b"x"}, silence_s=0.3)
    with socket.create_connection(("127.0.0.1", server.port)) as quiet:
        assert ask(server, "/status")[0] == 200
        quiet.settimeout(10)
        assert quiet.recv(10) == b""
