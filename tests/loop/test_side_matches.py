"""What is due beside a candidate's matches, by a clock of our own; milestones and ratings."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from ringrift.core.paths import Paths
from ringrift.evaluation.plans import plan_of_text
from ringrift.loop.budget import budget
from ringrift.loop.decision_facts import decision_facts
from ringrift.loop.facts import DecisionFacts, ModelFacts
from ringrift.loop.match_facts import ConfigMatches
from ringrift.loop.milestone_names import MILESTONES, NAMES, reached_by
from ringrift.loop.milestones import Milestones
from ringrift.models.decisions import Chain
from ringrift.records.store import GameStore

from .made_matches import CONFIG, Simulated, settings, store_games
from .test_measuring import IDS, chain

BORN = 1_759_968_000.0
"""When the decisions of `chain` were made."""
PLAIN = {"adaptive_interval_enabled": False, "shadow_interval_seconds": 900.0}
SMALL = PLAIN | {
    "shadow_games_per_config": 2,
    "full_tournament_games": 4,
    "baseline_models": ("random", "heuristic"),
}


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path)


@pytest.fixture
def store(paths):
    with GameStore.open(paths.game_store, writer=True) as opened:
        yield opened


def models(*names):
    return [ModelFacts(id=IDS[name], kind="nnue", made_at=BORN + n) for n, name in enumerate(names)]


class Clock:
    """Looks at a time and plays what is due at once, with rates by opponent."""

    def __init__(self, store, paths, line, *names, rates=None, **evaluation):
        self.store, self.line = store, line
        self.models = models(*names)
        self.rates = rates or {}
        found = settings(evaluation=SMALL | evaluation)
        self.matches = ConfigMatches(CONFIG, store, found, paths, seed=3)

    def look(self, at, candidate=None):
        return self.matches.look(
            self.line, decision_facts(self.line), self.models, candidate, BORN + at
        )

    def due(self, at, *keys):
        found = [m for m in self.look(at).side_matches if not keys or m.key in keys]
        return [(match.key, match.subject, match.opponent) for match in found]

    def play(self, at, *keys):
        played = []
        for match in self.look(at).side_matches:
            if not keys or match.key in keys:
                plan = plan_of_text(match.plan_text)
                rate = self.rates.get(match.opponent, 0.6)
                store_games(self.store, plan, rate, games=match.missing[:60], started=BORN + at)
                played.append((match.key, match.opponent))
        return played


def test_shadow_and_full_rounds_come_by_the_clock(store, paths):
    clock = Clock(store, paths, chain("first"), "first")
    times = {"shadow": [], "full": []}
    for minute in range(125):
        at = 60.0 * minute
        for kind, found in times.items():
            if clock.due(at, kind):
                found.append(at)
                assert clock.play(at, kind)
                assert not clock.due(at, kind)
    assert times == {"shadow": [900.0 * n for n in range(1, 9)], "full": [3600.0, 7200.0]}
    looked = clock.look(7500.0)
    assert (looked.last_shadow_at, looked.last_full_at) == (BORN + 7200, BORN + 7200)


def test_shadow_rounds_look_at_a_running_training_and_not_at_companions(store, paths):
    clock = Clock(store, paths, chain("first"), "first", "second", "third")
    _, snapshot, companion = clock.models
    clock.models[1:] = [replace(snapshot, unfinished=True), replace(companion, kind="cnn")]
    rounds = {subject for _, subject, _ in clock.due(900, "shadow")}
    assert rounds == {snapshot.id}
    measured = set()
    for _ in range(20):
        measured |= {who for _, *both in clock.due(0, "calibration") for who in both}
        clock.play(0, "calibration")
    assert companion.id in measured
    assert snapshot.id not in measured


def test_a_round_is_the_same_until_the_next_is_due_and_is_not_made_up_for(store, paths):
    clock = Clock(store, paths, chain("first"), "first")

    def plans(at):
        return [match.plan for match in clock.look(at).side_matches if match.key == "shadow"]

    assert plans(899) == []
    assert plans(900) == plans(1799) != plans(1800)
    clock.play(50_000, "shadow")
    assert plans(50_000) == plans(50_399) == []
    assert len(plans(50_400)) == 1


def test_a_round_that_was_begun_goes_on_as_it_was(store, paths):
    clock = Clock(store, paths, chain("first", "second"), "first", "second", "candidate")
    (against, fixed) = [m for m in clock.look(900).side_matches if m.key == "shadow"]
    assert (against.subject, against.opponent) == (IDS["candidate"], IDS["second"])
    assert fixed.opponent == "heuristic"
    store_games(store, plan_of_text(fixed.plan_text), 0.5, started=BORN + 900)
    promoted = chain("first", "second", "candidate").decisions[2]
    promoted = msgspec.structs.replace(promoted, at="2025-10-09T00:16:00Z")
    clock.line = Chain(CONFIG, (*clock.line.decisions, promoted))
    clock.models = models("first", "second", "candidate", "third")
    (left,) = [m for m in clock.look(1000).side_matches if m.key == "shadow"]
    assert left.plan == against.plan


def with_rejections(line, *ats):
    """A line with a rejection at each of some times."""
    made = list(line.decisions)
    for at in ats:
        made.append(
            msgspec.structs.replace(
                made[-1],
                sequence=made[-1].sequence + 1,
                previous=made[-1].hash,
                kind="rejected",
                candidate=IDS["candidate"],
                champion_before=made[-1].champion,
                champion=made[-1].champion,
                at=datetime.fromtimestamp(BORN + at, tz=UTC).isoformat(),
            )
        )
    return Chain(CONFIG, tuple(made))


def test_a_tournament_comes_after_every_number_of_cycles(store, paths):
    line = chain("first", "second")  # the second is one cycle, the first is none
    clock = Clock(store, paths, line, "first", "second", full_tournament_every_cycles=3)
    due = {}
    for at in (100.4, 200.4, 300.4, 400.4, 500.4):
        line = clock.line = with_rejections(line, at)
        due[at] = clock.play(at + 1, "tournament")
    others = [("tournament", name) for name in ("random", "heuristic", IDS["first"])]
    assert due == {100.4: [], 200.4: others, 300.4: [], 400.4: [], 500.4: others}
    assert clock.due(600, "tournament") == []
    said = clock.look(600)
    assert [t.champion.model for t in said.tournaments] == [IDS["second"]] * 2
    again = Clock(store, paths, line, "first", "second", full_tournament_every_cycles=3)
    assert again.due(600, "tournament") == []  # what is stored says so, not what was seen


def test_a_tournament_is_asked_for_once_and_goes_on_as_it_was_begun(store, paths):
    line = with_rejections(chain("first"), 100.4)
    clock = Clock(store, paths, line, "first", full_tournament_every_cycles=1)
    wanted = clock.due(101, "tournament")
    assert [(who, other) for _, who, other in wanted] == [
        (IDS["first"], "random"),
        (IDS["first"], "heuristic"),
    ]
    (first, _) = clock.look(101).side_matches
    store_games(store, plan_of_text(first.plan_text), 0.5, games=range(2), started=BORN + 101)
    later = clock.look(2000).side_matches
    plans = [match.plan for match in later]
    assert len(plans) == len(set(plans))
    assert [m.missing for m in later if m.plan == first.plan] == [(2, 3)]
    assert {m.key for m in later if m.opponent == "heuristic"} == {"tournament", "shadow"}


def test_full_rounds_have_baselines_and_former_champions(store, paths):
    line = chain("first", "second", "third", "champion")
    clock = Clock(store, paths, line, "first", "second", "third", "champion")
    due = {(who, other) for _, who, other in clock.due(3600, "full")}
    others = ("random", "heuristic", IDS["third"], IDS["second"], IDS["first"])
    assert due == {(IDS["champion"], other) for other in others}


def test_finished_tournaments_tell_of_champion_and_predecessor(store, paths):
    clock = Clock(
        store,
        paths,
        chain("first", "second"),
        "first",
        "second",
        rates={IDS["first"]: 0.05, "random": 0.9},
        full_tournament_games=40,
    )
    assert clock.look(3600).tournaments == ()
    assert clock.look(3600).ratings[0].elo is None
    clock.play(3600, "full")
    (said,) = clock.look(10_000).tournaments
    assert (said.champion.model, said.predecessor.model) == (IDS["second"], IDS["first"])
    assert said.champion.elo + 50 < said.predecessor.elo
    assert said.difference_ci95[1] < 0
    assert said.games == 120
    assert said.at == BORN + 3600 + 60 * 39 + 1
    clock.matches = ConfigMatches(CONFIG, store, settings(evaluation=SMALL), paths, seed=3)
    first, second = clock.look(10_000).ratings
    assert (first.games, second.games) == (40, 120)
    assert first.elo > second.elo
    assert first.ci95[0] < first.elo < first.ci95[1]


def test_a_model_without_a_rating_is_calibrated_once(store, paths):
    clock = Clock(store, paths, Chain(CONFIG, ()), "candidate")
    games, plans = 0, set()
    for _ in range(20):
        found = [m for m in clock.look(10).side_matches if m.key == "calibration"]
        assert len(found) <= 1
        if not found:
            break
        plan = plan_of_text(found[0].plan_text)
        store_games(store, plan, 0.5, games=found[0].missing, started=BORN)
        if found[0].subject == IDS["candidate"]:
            games += len(found[0].missing)
            plans.add(found[0].plan)
    assert (games, len(plans)) == (50, 5)
    assert clock.due(10) == []
    clock.matches = ConfigMatches(CONFIG, store, settings(), paths, seed=3)
    assert clock.due(10) == []


def test_decided_models_and_the_candidate_are_not_calibrated(store, paths):
    clock = Clock(store, paths, chain("first"), "first", "candidate")
    assert [key for key, *_ in clock.due(10)] == ["calibration"]
    assert clock.look(10, IDS["candidate"]).side_matches == ()


# --- milestones


def test_the_names_that_a_run_can_wait_for():
    assert NAMES[:4] == ("first_model", "first_cycle", "beats_random", "beats_heuristic")
    assert reached_by("beats_heuristic") == ("beats_heuristic", "exam:beats_heuristic")
    assert reached_by("beats_mcts_100") == ("beats_mcts_100",)


def test_each_champion_plays_the_next_milestone(store, paths):
    rates = {"random": 1.0, "heuristic": 0.3}
    clock = Clock(store, paths, chain("first"), "first", "second", rates=rates)
    assert clock.due(10, "milestone") == []
    clock.line = chain("first", "second")

    def names():
        return [m.name for m in clock.look(10).side_matches if m.key == "milestone"]

    assert names() == ["beats_random"]
    (match,) = clock.look(10).side_matches
    plan = plan_of_text(match.plan_text)
    assert (plan.purpose, plan.openings.part, plan.games) == ("milestone", "reserved", 400)
    assert (plan.test.elo0, plan.test.elo1) == (0.0, 35.0)
    assert "sims=32" in plan.participants[0].spec
    store_games(store, plan, 1.0, games=range(80), started=BORN)
    reached = clock.look(10).milestones
    assert set(reached) == {"first_model", "beats_random"} | {"first_cycle"}
    assert reached["first_model"] == BORN
    assert BORN + 60 * 60 < reached["beats_random"] < BORN + 60 * 66
    assert names() == ["exam:beats_random", "beats_heuristic"]
    exam = clock.look(10).side_matches[0]
    assert (exam.games, exam.verdict) == (100, None)
    while clock.play(100, "milestone"):
        pass
    assert "exam:beats_random" in clock.look(10).milestones
    assert "beats_heuristic" not in clock.look(10).milestones
    assert names() == []
    clock.line = chain("first", "second", "third")
    assert names() == ["beats_heuristic"]
    again = ConfigMatches(CONFIG, store, settings(evaluation=SMALL), paths, seed=3)
    found = again.look(clock.line, decision_facts(clock.line), clock.models, None, BORN + 10)
    assert found.milestones == clock.look(10).milestones


def test_the_exam_against_heuristic_needs_its_interval_above_one_half(store):
    rates = {(IDS["first"], "heuristic"): 0.50, (IDS["second"], "heuristic"): 0.62}
    tallies = Simulated(store, rates)
    found = Milestones(tallies, CONFIG, settings(), seed=3)
    heuristic = next(each for each in MILESTONES if each.name == "beats_heuristic")
    for name, passed in (("first", False), ("second", True)):
        plan = found.exam(IDS[name], heuristic).plan
        assert (plan.games, plan.test) == (400, None)
        store.plans.add(plan.text, config=CONFIG, purpose=plan.purpose)
        tallies.top += 1
        assert ("exam:beats_heuristic" in found.reached([])) is passed


# --- the budget


def decided(kind, at, number=2):
    return DecisionFacts(
        sequence=number,
        kind=kind,
        candidate="c",
        champion_before="a",
        champion="a",
        at=at,
        by="loop",
        reason="",
    )


@pytest.mark.parametrize(
    ("kinds", "since", "factor"),
    [
        ("rrr", None, 1.0),
        ("rr", 0.0, 1.0),
        ("rri", 0.0, 1.5),
        ("rrprr", 0.0, 1.0),
        ("rrsr", 0.0, 1.5),
        ("rrrrr", 0.0, 1.5),
        ("rrrrrr", 0.0, 2.25),
        ("rrrprrr", 0.0, 2.25),
        ("r" * 30, 0.0, 4.0),
        ("rrr", 1.5, 1.0),
    ],
)
def test_simulations_rise_where_nobody_is_promoted(kinds, since, factor):
    words = {"r": "rejected", "i": "inconclusive", "p": "promoted", "s": "superseded"}
    decisions = [decided(words[kind], float(n)) for n, kind in enumerate(kinds)]
    reached = {} if since is None else {"beats_random": since}
    found = settings(
        selfplay={"mcts_simulations": 32, "cheap_simulations": 8},
        evaluation={"simulations": 16, "exam_simulations": 32},
    )
    got = budget(decisions, reached, found)
    assert got.factor == factor
    assert (got.full, got.cheap, got.matches) == (
        round(32 * factor),
        round(8 * factor),
        min(round(16 * factor), 32),
    )


def test_matches_with_more_simulations_than_the_exam_keep_theirs():
    decisions = [decided("rejected", at=float(n), number=n) for n in range(3)]
    found = settings(evaluation={"simulations": 64, "exam_simulations": 32})
    assert budget(decisions, {"beats_random": 0.0}, found).matches == 64
