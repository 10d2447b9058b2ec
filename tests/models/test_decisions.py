"""The decision chain: one champion, whatever races, crashes or is altered."""

import json
import subprocess
import sys
import time

import pytest

from ringrift.core.errors import BusyError, RefusedError, UsageError
from ringrift.models.decisions import append, read_chain

CONFIG = "square8_2p"
A, B, C = "a" * 64, "b" * 64, "c" * 64


def start(folder):
    return append(
        folder, read_chain(folder, CONFIG), kind="promoted", candidate=A, reason="first model"
    )


def test_an_empty_chain_has_no_champion(tmp_path):
    chain = read_chain(tmp_path, CONFIG)
    assert (chain.champion, chain.head, chain.decisions) == (None, None, ())


def test_the_champion_is_the_outcome_of_the_last_decision(tmp_path):
    chain = start(tmp_path)
    chain = append(tmp_path, chain, kind="rejected", candidate=B, reason="weaker", run="r")
    assert chain.champion == A
    chain = append(
        tmp_path, chain, kind="promoted", candidate=C, reason="H1", inputs={"llr": 3.1}, run="r"
    )
    again = read_chain(tmp_path, CONFIG)
    assert again == chain
    assert again.champion == C
    assert again.champions() == [A, C]
    assert [decision.kind for decision in again.of_run("r")] == ["rejected", "promoted"]
    assert again.decisions[2].previous == again.decisions[1].hash
    assert again.decisions[2].inputs == {"llr": 3.1}
    names = sorted(path.name for path in (tmp_path / CONFIG).glob("*.json"))
    assert names == [decision.name for decision in again.decisions]


def test_a_rollback_names_a_former_champion(tmp_path):
    chain = start(tmp_path)
    chain = append(tmp_path, chain, kind="promoted", candidate=B, reason="H1")
    chain = append(
        tmp_path, chain, kind="rolled_back", candidate=B, champion=A, reason="regression"
    )
    assert chain.champion == A


def test_a_stale_writer_is_refused(tmp_path):
    stale = start(tmp_path)
    append(tmp_path, stale, kind="promoted", candidate=B, reason="H1")
    with pytest.raises(BusyError, match="somebody else"):
        append(tmp_path, stale, kind="promoted", candidate=C, reason="H1")
    assert read_chain(tmp_path, CONFIG).champion == B


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"kind": "crowned"}, UsageError),
        ({"reason": ""}, UsageError),
        ({"kind": "rejected", "champion": B}, UsageError),
        ({"term": -1}, RefusedError),
    ],
)
def test_impossible_decisions_are_refused(tmp_path, change, error):
    chain = start(tmp_path)
    wanted = {"kind": "promoted", "candidate": B, "reason": "because", **change}
    with pytest.raises(error):
        append(tmp_path, chain, **wanted)
    assert read_chain(tmp_path, CONFIG) == chain


def test_a_decision_by_hand_follows_those_of_a_loop(tmp_path):
    chain = append(tmp_path, start(tmp_path), kind="promoted", candidate="led", reason="r", term=7)
    by_hand = append(tmp_path, chain, kind="manual", candidate="handed", reason="r", by="hand")
    assert by_hand.decisions[-1].term == 7
    with pytest.raises(RefusedError, match="term 6 is below 7"):
        append(tmp_path, by_hand, kind="promoted", candidate="late", reason="r", term=6)


def test_a_rejection_cannot_come_first(tmp_path):
    with pytest.raises(UsageError, match="first decision"):
        append(tmp_path, read_chain(tmp_path, CONFIG), kind="rejected", candidate=A, reason="no")


@pytest.mark.parametrize("damage", ["truncate", "edit", "foreign"])
def test_a_damaged_last_decision_leaves_the_one_before(tmp_path, damage):
    chain = start(tmp_path)
    chain = append(tmp_path, chain, kind="promoted", candidate=B, reason="H1")
    path = tmp_path / CONFIG / chain.decisions[-1].name
    if damage == "truncate":
        path.write_bytes(path.read_bytes()[:40])
    else:
        fields = json.loads(path.read_text(encoding="utf-8"))
        fields["champion" if damage == "edit" else "config"] = C if damage == "edit" else "hex8_2p"
        path.write_text(json.dumps(fields), encoding="utf-8")
    assert read_chain(tmp_path, CONFIG).champion == A
    # The chain goes on beside the damaged file.
    chain = append(
        tmp_path, read_chain(tmp_path, CONFIG), kind="promoted", candidate=C, reason="H1"
    )
    assert read_chain(tmp_path, CONFIG).champion == C


def test_a_lost_predecessor_takes_its_successors_with_it(tmp_path):
    chain = start(tmp_path)
    chain = append(tmp_path, chain, kind="promoted", candidate=B, reason="H1")
    chain = append(tmp_path, chain, kind="promoted", candidate=C, reason="H1")
    (tmp_path / CONFIG / chain.decisions[1].name).unlink()
    assert read_chain(tmp_path, CONFIG).champion == A


RACE = """
import sys, time
from pathlib import Path
from ringrift.core.errors import BusyError
from ringrift.models.decisions import append, read_chain
folder, candidate = Path(sys.argv[1]), sys.argv[2]
chain = read_chain(folder, "square8_2p")
(folder / candidate).touch()
while not (folder / "go").exists():
    time.sleep(0.0005)
try:
    append(folder, chain, kind="promoted", candidate=candidate, reason="race")
    print("won")
except BusyError:
    print("refused")
"""

FOR_EVER = """
import sys
from pathlib import Path
from ringrift.models.decisions import append, read_chain
chain = read_chain(Path(sys.argv[1]), "square8_2p")
number = 0
while True:
    number += 1
    candidate = f"{number:064x}"
    chain = append(Path(sys.argv[1]), chain, kind="promoted", candidate=candidate, reason="more")
"""


def spawn(script, *arguments):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_promoters_make_one_champion(tmp_path):
    chain = start(tmp_path)
    racers = [spawn(RACE, tmp_path, who) for who in (B, C)]
    while not all((tmp_path / who).exists() for who in (B, C)):
        assert all(racer.poll() is None for racer in racers)
        time.sleep(0.01)
    (tmp_path / "go").touch()
    outcomes = sorted(racer.communicate(timeout=60)[0].strip() for racer in racers)
    assert outcomes == ["refused", "won"]
    assert len(read_chain(tmp_path, CONFIG).decisions) == len(chain.decisions) + 1


@pytest.mark.slow
def test_kill_9_leaves_whole_decisions(tmp_path):
    start(tmp_path)
    before = 1
    for round_number in range(6):
        promoter = spawn(FOR_EVER, tmp_path)
        deadline = time.monotonic() + 30
        while len(list((tmp_path / CONFIG).glob("*.json"))) <= before:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(0.003 * round_number)
        promoter.kill()
        promoter.communicate()
        chain = read_chain(tmp_path, CONFIG)
        assert len(chain.decisions) == len(list((tmp_path / CONFIG).glob("*.json"))) > before
        before = len(chain.decisions)
    append(tmp_path, read_chain(tmp_path, CONFIG), kind="promoted", candidate=A, reason="last")
    assert not list((tmp_path / CONFIG).glob(".*.partial"))
