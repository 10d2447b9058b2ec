"""`data export-distributed`: its modes, by words and by options, alone and with others."""

import json
import os
import re
import signal
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from ringrift.cli.reference.schemas import schema_of
from ringrift.core.errors import BusyError
from ringrift.data.dataset import ExportOptions, plan_export
from ringrift.data.distributed.folder_queue import queues_below
from ringrift.data.distributed.worker import work
from ringrift.data.export.run import Exporter
from ringrift.records import GameStore, write_jsonl

from ...data.distributed.games import make_store
from .hashing import hashes

sys.path.insert(0, str(Path(__file__).parents[1]))
from json_schema import problems

sys.path.pop(0)

COMMAND = ("data", "export-distributed")
TOKEN = "a-token-of-more-than-sixteen"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store") / "games.db", 24)


@pytest.fixture(scope="module")
def single(store, tmp_path_factory):
    """The id that one process gives for the default of this command, 10 plies or more."""
    plan = plan_export([store], "square8_2p", ExportOptions(min_moves=10))
    return Exporter(output=tmp_path_factory.mktemp("one")).export(plan).manifest.id


@pytest.fixture
def call(ringrift, root):
    """Run the command with --json; returns (code, result)."""

    def run(*arguments):
        code, out, err = ringrift(*COMMAND, *arguments, "--json", "--no-progress")
        result = json.loads(out)
        schema = "data export-distributed" if code == 0 else "error"
        assert problems(schema_of(schema), result) == [], err
        return code, result

    return run


@pytest.mark.slow
def test_the_documented_line_exits_0_on_a_root_with_a_few_games(start, root, single):
    process = start(*COMMAND, "--coordinator", "--chunks", "10", "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    (dataset,) = json.loads(out)["datasets"]
    assert (dataset["id"], dataset["existing"]) == (single, False)
    assert list((root.spool / "export").iterdir()) == []


def test_with_others_at_work_it_only_merges(call, root, single):
    def helper():
        while not (queues := queues_below(root.spool / "export")):
            time.sleep(0.01)
        work(queues[0])

    other = threading.Thread(target=helper)
    other.start()
    code, result = call("coordinate", "--chunks", "3")
    other.join()
    assert (code, result["datasets"][0]["id"]) == (0, single)
    code, again = call("--coordinator")
    assert (code, again["datasets"][0]["existing"]) == (0, True)


def test_by_hand_split_worker_and_merge_give_the_same(call, root, single):
    code, split = call("split", "--output-dir", "chunks", "--chunks", "3")
    assert (code, len(split["chunks"])) == (0, 3)
    ids = [json.loads(Path(chunk["path"]).read_text())["ids"] for chunk in split["chunks"]]
    assert [len(part) for part in ids] == [chunk["games"] for chunk in split["chunks"]]
    first, *others = [chunk["path"] for chunk in split["chunks"]]
    assert call("worker", first, "--output-dir", "done")[1]["worked"]["chunks"] == 1
    assert call("--worker", *others, "--output-dir", "done")[1]["worked"]["chunks"] == 2
    code, merged = call("--merge", "done", "--output", "merged")
    assert (code, merged["datasets"][0]["id"]) == (0, single)
    for path in Path("done").glob("*00001*"):
        path.unlink()
    code, error = call("merge", "done", "--output", "other")
    assert (code, error["error"]["message"]) == (6, "chunk 1 of 3 is missing")
    assert not Path("other").exists()


@pytest.mark.acceptance
def test_chunks_are_merged_from_servers_and_the_bad_one_is_named(
    call, ringrift, root, start, single, tmp_path
):
    call("split", "--output-dir", "a", "--chunks", "1")
    (chunk,) = Path("a").glob("*.json")
    call("worker", str(chunk))
    call("worker", str(chunk), "--output-dir", "b")
    servers = [start(*COMMAND, "--serve", "--output", name, "--port", "0") for name in "ab"]
    urls = [re.search(r"http://\S+", server.stdout.readline()).group() for server in servers]
    names = json.loads(urllib.request.urlopen(f"{urls[0]}/inventory.json", timeout=10).read())
    assert len(names["files"]) == 2
    (pack,) = Path("a").glob("*.pack")
    data, state = pack.read_bytes(), pack.stat()
    with pack.open("r+b") as file:
        file.seek(len(data) // 2)
        file.write(bytes([data[len(data) // 2] ^ 1]))
    os.utime(pack, ns=(state.st_atime_ns, state.st_mtime_ns))
    code, out, err = ringrift(*COMMAND, "merge", *urls, "--output", "merged", "--json")
    assert (code, json.loads(out)["datasets"][0]["id"]) == (0, single)
    told = [line for line in err.splitlines() if line.startswith("a mirror failed")]
    assert len(told) == 1
    assert urls[0] in told[0]
    assert "wrong bytes" in told[0]
    for server in servers:
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=20) == 0


@pytest.mark.acceptance
def test_a_worker_elsewhere_takes_chunks_with_the_token(call, start, root, single, tmp_path):
    env = {"EXPORT_TOKEN": TOKEN}
    serving = ("--coordinator", "--chunks", "2", "--serve", "--port", "0", "--host", "0.0.0.0")
    coordinator = start(*COMMAND, *serving, "--token", "env:EXPORT_TOKEN", "--json", env=env)
    for line in coordinator.stderr:
        if found := re.search(r"workers may come to http://0.0.0.0:(\d+)", line):
            break
    url = f"http://127.0.0.1:{found.group(1)}"
    code, error = call("--worker", "--coordinator-url", url)
    assert (code, "token" in error["error"]["message"]) == (4, True)
    worker = start(
        *COMMAND, "worker", "--coordinator-url", url, "--token", "env:EXPORT_TOKEN", env=env
    )
    _, said = worker.communicate(timeout=120)
    out, err = coordinator.communicate(timeout=120)
    assert (worker.returncode, coordinator.returncode) == (0, 0), (said, err)
    assert json.loads(out)["datasets"][0]["id"] == single
    assert TOKEN not in out + err + said


def test_json_lines_are_shared_out_too(call, root, single):
    with GameStore.open(root.games / "games.db") as games:
        write_jsonl(Path("games.jsonl"), [(game, [found]) for _, game, found in games.records()])

    def helper():
        while not (queues := queues_below(root.spool / "export")):
            time.sleep(0.01)
        work(queues[0])

    other = threading.Thread(target=helper)
    other.start()
    code, result = call("--coordinator", "--input", "games.jsonl")
    other.join()
    assert (code, result["datasets"][0]["id"]) == (0, single)


@pytest.mark.parametrize(
    "mode", [("--coordinator",), ("split", "--output-dir", "chunks"), ("--worker",), ("--serve",)]
)
def test_a_dry_run_changes_no_byte(call, root, mode):
    before = hashes(root.root)
    code, result = call(*mode, "--dry-run")
    assert (code, result["dry_run"]) == (0, True)
    assert hashes(root.root) == before


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), 2, "found none; expected one of coordinate, worker, merge, split, serve"),
        (("--coordinator", "--split"), 2, "found coordinate and split"),
        (("coordinate", "x"), 2, "takes no chunks"),
        (("split",), 2, "no folder for the chunks"),
        (("merge",), 2, "no chunk is named"),
        (("merge", "nowhere"), 2, "no file nowhere"),
        (("merge", "data"), 6, "a folder without a chunk"),
        (("merge", "http://127.0.0.1:9"), 3, "the server cannot be reached"),
        (("worker", "data/games/games.db"), 6, "no JSON"),
        (("worker",), 3, "no coordinator works in this data root"),
        (("worker", "--coordinator-url", "nonsense"), 2, "expected http://HOST:PORT"),
        (("--serve", "--host", "0.0.0.0"), 2, "there is no token"),
        (("--serve", "--token", "secret-in-the-open"), 78, "env:NAME or file:PATH"),
        (("--serve", "--token", "env:NOT_THERE"), 2, "no token is there"),
        (("--coordinator", "--board", "hex8"), 1, "zero samples"),
        (("--coordinator", "--min-moves", "99999"), 1, "zero samples"),
        (("--coordinator", "--gpu-selfplay"), 2, "no JSON lines are given"),
    ],
)
def test_mistakes_are_named_with_their_code(call, words, code, told):
    found, result = call(*words)
    assert (found, told in result["error"]["message"] + str(result["error"]["hint"])) == (
        code,
        True,
    ), result
    assert "secret-in-the-open" not in json.dumps(result)


def test_a_chunk_that_fails_ends_with_its_reason(call, root):
    def spoil():
        while not (queues := queues_below(root.spool / "export")):
            time.sleep(0.01)
        for _ in range(3):
            lease = queues[0].take()
            lease.give_up(BusyError("no memory"))

    other = threading.Thread(target=spoil)
    other.start()
    code, result = call("--coordinator", "--chunks", "1")
    other.join()
    assert (code, "failed 3 times: no memory" in result["error"]["message"]) == (75, True)
    assert list(root.npz.rglob("*.npz")) == []
