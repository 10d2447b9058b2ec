"""Lineage: parents, datasets and games, from cards and manifests alone."""

import json

import pytest

from ringrift.cli.models.lineage import _lines
from ringrift.models.lineage import ancestry, champions, games_seen, lineage
from ringrift.models.lineage_graph import draw
from ringrift.models.listing import Rating

from .papers import CONFIG, dataset, decide, paper


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def npz(tmp_path):
    return tmp_path / "data" / "npz"


def games(first, stop):
    return [f"{number:064x}" for number in range(first, stop)]


def trained(number, *datasets, **facts):
    validation = {"validation": {"loss": 2.0 - number / 10}, "training": {"loss": 1.0}}
    return {"datasets": list(datasets), "epochs": number, "losses": validation, **facts}


@pytest.fixture
def chain(models, npz):
    """Five models, each from the one before, with windows that overlap; the first is random."""
    ids = [paper(models, 0, label="gen0", training=None)]
    for number in range(1, 5):
        name = f"{number:x}" * 64
        dataset(npz, name, games(50 * number, 50 * number + 120))
        parents = [(ids[-1], "warm_start")]
        ids.append(
            paper(
                models,
                number,
                label=f"gen{number}",
                parents=parents,
                training=trained(number, name, games=120),
            )
        )
    decide(models, "promoted", ids[0])
    decide(models, "promoted", ids[1], elo_diff=80.0, elo_ci95=[40.0, 120.0], games=60)
    decide(models, "rejected", ids[2], elo_diff=-10.0, elo_ci95=[-40.0, 20.0], games=100)
    decide(models, "promoted", ids[3], elo_diff=35.5, elo_ci95=[5.0, None], games=200)
    return ids


EXACTLY = """\
{4}  gen4  square8_2p  registered
  warm_start {3}
  dataset 444444444444: 120 games
  50 new games, 4 epochs, loss 1.6000
  hold-out value error unknown, gap unknown
  Elo unknown, unknown games
  {3}  gen3  square8_2p  champion
    warm_start {2}
    dataset 333333333333: 120 games
    50 new games, 3 epochs, loss 1.7000
    hold-out value error 0.4250, gap 0.0310
    Elo 812 (790 to 834), 1,200 games
    promoted {at}
    {2}  gen2  square8_2p  rejected
      warm_start {1}
      dataset 222222222222: 120 games
      50 new games, 2 epochs, loss 1.8000
      hold-out value error unknown, gap unknown
      Elo unknown, unknown games
      rejected {at}
      {1}  gen1  square8_2p  former  file pruned
        warm_start {0}
        dataset 111111111111: 120 games
        120 new games, 1 epochs, loss 1.9000
        hold-out value error unknown, gap unknown
        Elo unknown, unknown games
        promoted {at}
        {0}  gen0  square8_2p  former
          Elo unknown, unknown games
          promoted {at}"""


def test_a_chain_of_five_prints_exactly(models, npz, chain):
    (models / "objects" / chain[1][:2] / f"{chain[1]}.safetensors").unlink()
    folder = models / "objects" / chain[3][:2] / chain[3] / "evaluations"
    folder.mkdir(parents=True)
    result = {"holdout": {"positions": 900, "value_error": 0.425}, "gap": {"value": 0.031}}
    (folder / "holdout-aa.json").write_text(json.dumps(result))
    ratings = {chain[3]: Rating(elo=812.3, low=790.0, high=834.0, games=1200)}
    found = lineage(models, npz, chain[4], ratings=ratings)
    at = {model.listed.standing.decided_at for model in found.models if model.listed} - {None}
    text = "\n".join(_lines(found))
    for moment in at:
        text = text.replace(moment, "AT")
    assert text == EXACTLY.format(*(identity[:12] for identity in chain), at="AT")


def test_the_number_of_games_is_that_of_the_manifests(models, npz, chain):
    found = lineage(models, npz, chain[4])
    assert [model.games for model in found.models] == [120, 120, 120, 120, 0]
    assert [model.new_games for model in found.models] == [50, 50, 50, 120, 0]
    seen = games_seen(models, npz, chain[4])
    assert seen.games == frozenset(games(50, 320))
    assert sum(model.new_games for model in found.models) == len(seen.games)
    assert seen.datasets == tuple(f"{n}" * 64 for n in (4, 3, 2, 1))
    assert (seen.unknown, seen.missing) == ((), ())


def test_a_lost_manifest_leaves_unknown_and_the_card_says_the_games(models, npz, chain):
    (npz / CONFIG / "222222222222" / "manifest.json").unlink()
    found = {model.id: model for model in lineage(models, npz, chain[4]).models}
    assert (found[chain[2]].games, found[chain[2]].new_games) == (120, None)
    assert found[chain[4]].new_games is None  # some of them may have been in the lost one
    assert (found[chain[1]].games, found[chain[1]].new_games) == (120, 120)
    assert games_seen(models, npz, chain[4]).unknown == ("2" * 64,)
    assert games_seen(models, None, chain[4]).games == frozenset()


def test_depth_counts_generations(models, npz, chain):
    found = lineage(models, npz, chain[4], depth=1)
    assert [model.id for model in found.models] == [chain[4], chain[3]]
    assert found.models[1].new_games == 50  # what lies deeper still counts


def test_several_parents_stand_once_at_their_nearest(models, npz, chain):
    mean = paper(models, 9, parents=[(chain[4], "averaged"), (chain[2], "averaged")], training={})
    found = lineage(models, npz, mean)
    assert [(model.id, model.depth) for model in found.models] == [
        (mean, 0),
        (chain[4], 1),
        (chain[2], 1),
        (chain[3], 2),
        (chain[1], 2),
        (chain[0], 3),
    ]
    assert games_seen(models, npz, mean).games == frozenset(games(50, 320))


def test_a_missing_card_and_a_cycle_are_faults(models, npz):
    lost = "d" * 64
    child = paper(models, 1, parents=[(lost, "teacher")])
    found = lineage(models, npz, child)
    assert [model.known is None for model in found.models] == [False, True]
    assert found.faults == (f"{lost[:12]}: missing: model {lost[:12]} has neither file nor card",)
    assert games_seen(models, npz, child).missing == (lost,)
    assert _lines(found)[-2:] == [f"  {lost[:12]}: no card here", f"fault: {found.faults[0]}"]
    ring = ["e" * 64, "f" * 64]  # no id can do this; a forged card can
    for identity, parent in zip(ring, reversed(ring), strict=True):
        path = models / "objects" / identity[:2] / f"{identity}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        forged = {"id": identity, "config": CONFIG, "parents": [{"id": parent, "role": "teacher"}]}
        path.write_text(json.dumps(forged))
    cards, faults = ancestry(models / "objects", ring[0])
    assert list(cards) == ring
    assert faults == [f"{identity[:12]}: descends from itself" for identity in ring]


def test_the_chain_of_champions_with_what_each_won(models, chain):
    decide(models, "rolled_back", chain[3], champion=chain[1])
    turns = champions(models, CONFIG)
    assert [(turn.model, turn.kind, turn.step.elo, turn.step.games) for turn in turns] == [
        (chain[0], "promoted", None, None),
        (chain[1], "promoted", 80.0, 60),
        (chain[3], "promoted", 35.5, 200),
        (chain[1], "rolled_back", None, None),
    ]
    assert (turns[2].step.low, turns[2].step.high) == (5.0, None)
    assert champions(models, "hex8_2p") == []


def test_the_graph_shows_every_model_and_is_the_same_again(models, npz, chain):
    found = lineage(models, npz, chain[4])
    svg = draw(found)
    assert svg.startswith(b"<?xml")
    for identity in chain:
        assert identity[:12].encode() in svg
    assert b"warm_start" in svg
    assert b"50 new games" in svg
    assert draw(found) == svg
