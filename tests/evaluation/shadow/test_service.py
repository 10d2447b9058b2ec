"""The service: rounds at their times, watched models, alerts, and what is left after a stop."""

import pytest
from tests.evaluation.shadow.made import CONFIG, SMALL, START_S, Place

from ringrift.core.errors import BusyError, UsageError
from ringrift.evaluation.shadow.rounds import (
    RoundSettings,
    of_seed,
    round_plans,
    round_seed,
)
from ringrift.evaluation.shadow.schedule import Schedule
from ringrift.evaluation.shadow.watching import FolderWatch
from ringrift.records.store import GameStore

PLAIN = Schedule(adaptive=False)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_seed_says_when_a_round_began_and_of_which_type_it_is():
    for kind in ("shadow", "full", "quick"):
        assert of_seed(round_seed(kind, START_S + 0.9)) == (kind, int(START_S))
    assert of_seed(42) is None
    assert of_seed(2**62) is None  # the seed of another match


def test_a_round_meets_the_champion_and_heuristic_and_a_tournament_all(place):
    former, champion, new = place.add(1, champion=True), place.add(2, champion=True), place.add(3)
    settings = RoundSettings()
    entrants = place.entrants(CONFIG)

    def opponents(kind, model):
        plans = round_plans(kind, model, entrants, settings, START_S)
        return [p.participants[1].model_id or p.participants[1].spec for p in plans], plans

    found, (against, heuristic) = opponents("shadow", new)
    assert found == [champion.id, "heuristic"]
    assert (against.test.min_games, against.games, heuristic.games) == (16, 20, 16)
    assert {plan.openings.part for plan in (against, heuristic)} == {"open"}
    assert {plan.purpose for plan in (against, heuristic)} == {"shadow"}
    assert opponents("shadow", champion)[0] == [former.id, "heuristic"]
    assert opponents("shadow", former)[0] == [champion.id, "heuristic"]
    found, plans = opponents("full", new)
    assert found[:2] == ["random", "heuristic"]
    assert len(found) == 6
    assert found[4:] == [champion.id, former.id]
    assert {(plan.games, plan.purpose) for plan in plans} == {(50, "full")}
    assert {plan.games for plan in opponents("quick", new)[1]} == {10}


def test_with_a_fake_clock_rounds_come_every_900_and_3600_s(place):
    place.add(1, champion=True)  # alone: it meets heuristic only
    service = place.service(schedule=PLAIN)
    seen = []
    for _ in range(9):
        results = service.tick()
        seen.append((place.clock.now_s - START_S, sorted({r.tournament_type for r in results})))
        assert all(r.success for r in results)
        wait_s = service.wait_s()
        assert 0 < wait_s <= 60
        place.clock.now_s += 450
    assert seen == [
        (0, ["shadow"]), (450, []), (900, ["shadow"]), (1350, []), (1800, ["shadow"]), (2250, []),
        (2700, ["shadow"]), (3150, []), (3600, ["full", "shadow"]),
    ]  # fmt: skip
    again = place.service(schedule=PLAIN)  # a restart knows all of it from the store
    assert again.tick() == []
    assert [r.kind for r in again.rounds(CONFIG)] == [r.kind for r in service.rounds(CONFIG)]
    assert again.results(limit=100) == service.results(limit=100)


def test_a_checkpoint_in_the_watched_folder_is_measured_within_an_interval(place, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    place.add(1, champion=True)
    watch_clock = type(place.clock)(0.0)
    service = place.service(schedule=Schedule(), watch=FolderWatch(folder, clock=watch_clock))
    service.tick()
    (folder / "7.safetensors").write_bytes(b"a whole model file")
    (folder / "8.safetensors").write_bytes(b"cut")
    service.tick()
    watch_clock.now_s = 2.5
    (failed,) = service.tick()
    assert (failed.success, failed.win_rate, failed.elo_estimate) == (False, None, None)
    assert failed.error == "8.safetensors: truncated"
    assert failed in service.results()
    place.clock.now_s += 360
    found = service.tick()
    assert {r.model_id for r in found} == {f"{7:064x}"}
    assert all(r.success for r in found)
    assert all(r.model_id is None for r in service.results() if r.error)


def test_a_round_that_is_cut_is_no_success_and_its_games_stay(place):
    place.add(1)
    calls = []

    def stop():
        calls.append(1)
        return len(calls) > 2

    service = place.service(
        settings=RoundSettings(quick_games=8, openings=SMALL.openings), stop=stop
    )
    calls.clear()
    (cut,) = service.play([(CONFIG, "quick")])
    assert not cut.success
    assert cut.error.startswith("incomplete: ")
    assert (cut.win_rate, cut.win_rate_ci95, cut.elo_estimate) == (None, None, None)
    with GameStore.open(place.file) as store:
        assert 0 < store.count() < 8


def test_without_a_model_nothing_is_due_and_a_round_that_is_asked_for_says_so(place):
    service = place.service()
    assert service.tick() == []
    assert service.wait_s() == 60
    service.trigger(CONFIG, "quick")
    (found,) = service.tick()
    assert (found.success, found.error) == (False, "no model")
    for config, kind in (("hex8_2p", "quick"), (CONFIG, "long")):
        with pytest.raises(UsageError):
            service.trigger(config, kind)


def test_a_round_that_is_asked_for_is_played_before_it_is_due(place):
    place.add(1)
    service = place.service(schedule=PLAIN)
    service.tick()
    service.trigger(CONFIG, "quick")
    place.clock.now_s += 5
    assert {r.tournament_type for r in service.tick()} == {"quick"}


def test_while_a_loop_holds_the_root_nothing_is_played(place):
    place.add(1)
    service = place.service()
    place.looping = True
    assert service.tick() == []
    assert service.status()["state"] == "loop"
    place.looping = False
    assert len(service.tick()) == 1


def test_four_configurations_at_most_are_played_at_once(place):
    configs = ("square8_2p", "hex8_2p", "square19_2p", "square8_3p", "square8_4p")
    for number, config in enumerate(configs, 1):
        place.add(number, config=config)
    batches = []

    def noted(plans, *rest):
        batches.append({plan.spec.config for plan in plans})

    place.play = noted
    place.service(configs=configs).tick()
    assert [len(batch) for batch in batches] == [4, 1]


def test_another_writer_is_waited_for(place):
    place.add(1)
    service = place.service()
    with GameStore.open(place.file, writer=True):
        (found,) = service.tick()
        assert not found.success
        assert service.tick() == []  # held back for a while
        with pytest.raises(BusyError):
            service.play([(CONFIG, "quick")])
    place.clock.now_s += 31
    assert service.tick()[0].success


def test_two_rounds_far_below_the_champion_alert_once_until_it_is_over(place):
    champion, weak = place.add(1, champion=True), place.add(2)
    service = place.service(settings=RoundSettings(quick_games=8, openings=SMALL.openings))
    place.losers = {weak.id}
    service.play([(CONFIG, "quick")])
    assert place.alerts == []
    for _ in range(2):
        place.clock.now_s += 900
        service.play([(CONFIG, "quick")])
    fired, repeated = place.alerts
    assert fired[:3] == repeated[:3] == ("elo_drop", CONFIG, "critical")
    assert "two rounds" in fired[3]
    assert (fired[4]["model_id"], fired[4]["previous_id"]) == (weak.id, champion.id)
    assert fired[4]["games"] == 8
    assert fired[4]["run"] != repeated[4]["run"]
    place.resolved.clear()
    place.losers = {champion.id}
    place.clock.now_s += 900
    service.play([(CONFIG, "quick")])
    assert len(place.alerts) == 2
    assert place.resolved == [("elo_drop", CONFIG)]
