"""`train preflight`: all of a root, the codes, what is printed."""

import json
import sys
from pathlib import Path

import pytest

from ringrift.cli.reference.schemas import schema_of
from ringrift.core.paths import Paths
from ringrift.models.decisions import append, read_chain
from ringrift.nets.model_file import init_model
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "training"))
from games import games
from json_schema import problems

sys.path.pop(0)
sys.path.pop(0)

SPEC = BoardSpec.create("square8", 2)


@pytest.fixture
def root(tmp_path):
    """A data root with 20 games and a champion, on a machine whose limits do not count."""
    root = tmp_path / "root"
    Paths(root).create()
    with GameStore.open(root / "data" / "games" / "games.db", writer=True) as store:
        store.ingest(games(SPEC, 20))
    champion = init_model(SPEC, size="micro", seed=1, folder=root / "models" / "objects")
    decisions = root / "models" / "decisions"
    chain = read_chain(decisions, SPEC.config)
    append(decisions, chain, kind="manual", candidate=champion.stem, reason="the first")
    return root


@pytest.fixture
def preflight(ringrift, root, monkeypatch):
    def call(*arguments):
        for name in ("DISK", "MEMORY"):
            monkeypatch.setenv(f"RINGRIFT_LIMITS__{name}_CRITICAL", "100")
            monkeypatch.setenv(f"RINGRIFT_LIMITS__{name}_WARNING", "99")
        return ringrift("--root", root, "train", "preflight", *arguments)

    return call


@pytest.mark.slow
def test_a_root_that_is_ready_and_what_is_not(preflight, root):
    code, out, err = preflight("--min-games", "10", "--json")
    assert code == 0, (out, err)
    found = json.loads(out)
    assert problems(schema_of("train preflight"), found) == []
    assert found["configs"] == ["square8_2p"]
    assert len(found["checks"]) == 11
    assert found["counts"]["FAIL"] == 0
    assert "square8_2p: champion" in out
    code, out, _ = preflight()
    assert code == 1
    first = next(line for line in out.splitlines() if "FAIL" in line)
    assert first.split()[:2] == ["volume", "FAIL"]
    assert "ringrift selfplay run --config-key square8_2p" in " ".join(out.split())
    found = json.loads(preflight("--db", root / "none.db", "--json")[1])
    failed = [check["name"] for check in found["checks"] if check["state"] == "FAIL"]
    assert failed == ["store"]


def test_names_that_do_not_exist(preflight):
    code, _, err = preflight("--config-key", "square9_2p")
    assert (code, "square9" in err) == (2, True)
    code, _, err = preflight("--data-path", "nothing")
    assert (code, "no dataset nothing" in err) == (2, True)
