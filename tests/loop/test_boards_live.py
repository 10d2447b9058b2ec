"""The loop on boards and numbers of players other than the quick profile's."""

import json

import pytest

from . import live

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(3600)]


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    yield folder
    live.end_hub(folder)


@pytest.mark.parametrize("config", ["hex8_2p", "square8_3p"])
def test_a_first_cycle(root, config):
    process = live.start(root, "--configs", config, "--max-cycles", "1", "--json")
    code, out, err = live.finish(process, root, 3000)
    assert code == 0, err[-3000:]
    result = json.loads(out)
    assert result["ended"] == "cycles"
    assert result["champions"][config] is not None
    records = live.check_whole(root, config)
    assert {record.spec.config for record in records} == {config}
    (decision,) = live.decisions(root, config)[:1]
    assert decision.candidate in {
        e["data"]["model"] for e in live.events(root, "training_finished")
    }


def test_two_configurations_share_the_machine(root):
    """Both reach a decision, and what belongs to one is nobody else's."""
    both = ("square8_2p", "square8_3p")
    process = live.start(root, "--configs", ",".join(both))
    live.await_(process, root, lambda: all(live.decisions(root, config) for config in both), 3000)
    process.terminate()
    code, _, err = live.finish(process, root, 120)
    assert code == 0, err[-3000:]
    for config in both:
        live.check_whole(root, config)
