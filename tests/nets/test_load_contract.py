"""What loading promises: every file is checked once, read again each time, and never replaced."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from ringrift.agents.factory import make_agent
from ringrift.agents.protocol import Batch, Budget, Rngs
from ringrift.nets import container
from ringrift.nets.container import ModelError, read_header, read_model
from ringrift.nets.loading import open_model
from ringrift.nets.model_file import init_model, load_model
from ringrift.nets.nnue.file import init_nnue
from ringrift.rules import BoardSpec, Position

SPEC = BoardSpec.create("square8", 2)


@pytest.fixture(params=["cnn", "nnue-policy"])
def model(request, tmp_path):
    folder = tmp_path / "objects"
    if request.param == "cnn":
        return init_model(SPEC, size="micro", seed=1, folder=folder)
    return init_nnue(SPEC, folder=folder, seed=1, hidden=32, policy=True)


def altered(path, place):
    """Flip one bit of a byte of the file."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def test_the_header_alone_says_id_and_card(model):
    identity, card = read_header(model)
    assert (identity, card) == read_model(model)[:2]
    altered(model, -1)  # of a tensor, which the header does not tell
    assert read_header(model) == (identity, card)
    with pytest.raises(ModelError, match="hash_mismatch"):
        read_model(model)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"\x08\x00", "truncated"),
        (b"PK\x03\x04" * 9, "unsafe_pickle"),
        (b"\x10" + b"\x00" * 7 + b"{", "truncated"),
        (b"\xff" * 40, "not_safetensors"),
        (b"\x02" + b"\x00" * 7 + b"{}", "card_missing"),
    ],
)
def test_a_header_that_says_nothing_has_a_code(tmp_path, data, code):
    path = tmp_path / "m.safetensors"
    path.write_bytes(data)
    for read in (read_header, read_model):
        with pytest.raises(ModelError) as caught:
            read(path)
        assert caught.value.code == code
    with pytest.raises(ModelError) as caught:
        read_header(tmp_path / "nothing.safetensors")
    assert caught.value.code == "missing"


def test_a_file_cut_short_is_found_by_its_header(model):
    data = model.read_bytes()
    model.chmod(0o644)
    model.write_bytes(data[:-1])
    with pytest.raises(ModelError, match="truncated"):
        read_header(model)


def test_a_byte_altered_after_a_good_load_is_found_by_the_next(model):
    open_model(model, SPEC)
    size = model.stat().st_size
    for place in (3, 40, size // 3, size // 2, size - 1):
        altered(model, place)
        with pytest.raises(ModelError):
            open_model(model, SPEC)
        altered(model, place)
        open_model(model, SPEC)


def test_the_id_of_a_verified_file_is_not_computed_again(model, monkeypatch):
    first = read_model(model)

    def never(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(container, "model_id", never)
    again = read_model(model)
    assert again[:2] == first[:2]
    assert all((again[2][name] == first[2][name]).all() for name in first[2])
    monkeypatch.setattr(container, "_verified", set())
    with pytest.raises(ModelError, match="computed again"):
        read_model(model)


def test_a_model_that_vanishes_under_a_running_agent_is_never_replaced(model):
    """The agent that has it plays on; nobody can make another."""

    def load(_):
        return open_model(model, SPEC)

    agent = make_agent("policy@m", SPEC, load)
    batch = Batch(SPEC, Position.of(SPEC)._states, [1])
    (before,) = agent.choose(batch, Budget(), Rngs())
    model.unlink()
    (after,) = agent.choose(batch, Budget(), Rngs())
    assert after.move == before.move
    with pytest.raises(ModelError) as caught:
        make_agent("policy@m", SPEC, load)
    assert caught.value.code == "missing"
    model.with_suffix(".json").unlink()
    model.parent.rmdir()
    with pytest.raises(ModelError, match="missing"):
        open_model(model, SPEC)


SAVE = """
import socket, sys
from pathlib import Path
socket.gethostname = lambda: "there"
from ringrift.nets.nnue.file import init_nnue
from ringrift.rules import BoardSpec
init_nnue(BoardSpec.create("square8"), folder=Path(sys.argv[1]), seed=1, hidden=32, policy=True)
"""


@pytest.mark.slow
def test_two_hosts_give_one_model_one_id(tmp_path):
    here = init_nnue(SPEC, folder=tmp_path / "here", seed=1, hidden=32, policy=True)
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", SAVE, str(tmp_path / "there")]
    subprocess.run(command, check=True, env=env, timeout=120)
    (there,) = (tmp_path / "there").rglob("*.safetensors")
    assert there.name == here.name
    assert there.read_bytes() == here.read_bytes()
    hosts = [json.loads(path.with_suffix(".json").read_text())["host"] for path in (here, there)]
    assert hosts == [socket.gethostname(), "there"]


@pytest.mark.timed
def test_a_known_net_of_six_blocks_loads_within_50_ms(tmp_path):
    path = init_model(SPEC, size="small", seed=1, folder=tmp_path)
    load_model(path, SPEC)
    seconds = []
    for _ in range(9):
        began = time.perf_counter()
        load_model(path, SPEC)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) <= 0.050, seconds
