"""Control: what is done follows from facts, nothing is done twice, stopping loses nothing."""

import json

import pytest

from ringrift.core.errors import BusyError, RingriftError, UsageError
from ringrift.core.files import lock
from ringrift.core.paths import Paths
from ringrift.loop.control import run_loop
from ringrift.loop.facts import Facts, next_stage
from ringrift.loop.measure import Matches
from ringrift.loop.plan import spec_of
from ringrift.models.decisions import append, read_chain
from ringrift.models.registry import model_path
from ringrift.records.store import GameStore

from .stand_ins import FreeGuard, PaperLearner, RandomWorkers, Silence, tiny_plan


@pytest.fixture
def paths(tmp_path):
    paths = Paths(tmp_path / "root")
    paths.create()
    return paths


def go(
    paths, *, plan=None, mode="auto", workers=None, learner=None, stop=lambda: False, guard=None
):
    screen = Silence()
    report = run_loop(
        plan or tiny_plan(),
        paths,
        settings={"settings": {}, "origins": {}},
        mode=mode,
        screen=screen,
        stop=stop,
        make_workers=lambda: workers or RandomWorkers(),
        learner=learner or PaperLearner(),
        guard=guard or FreeGuard(),
    )
    return report, screen


def stored(paths):
    with GameStore.open(paths.game_store) as store:
        return [record for _, record, _ in store.records("square8_2p")]


def check_whole(paths, plan):
    """Every self-play game once, every match game once, one decision per generation."""
    games = stored(paths)
    keys = [(game.meta.run, game.meta.index) for game in games]
    assert len(keys) == len(set(keys))
    selfplay = [game for game in games if game.meta.purpose == "selfplay"]
    assert len(selfplay) == plan.generations * plan.selfplay.games
    chain = read_chain(paths.decisions, plan.config)
    numbers = [d.generation for d in chain.decisions if d.generation is not None]
    assert numbers == list(range(1, plan.generations + 1))


def test_a_run_goes_from_nothing_to_an_exam(paths):
    plan = tiny_plan()
    workers, learner = RandomWorkers(), PaperLearner()
    report, screen = go(paths, plan=plan, workers=workers, learner=learner)
    assert report.complete
    assert workers.closed
    assert learner.trained == 2
    check_whole(paths, plan)
    assert any("no model yet - starting from random weights" in line for line in screen.lines)
    assert len(report.generations) == 2
    assert report.exam["games"] == 6
    assert report.exam["wilson_ci95"] is not None
    folder = report.folder
    assert json.loads((folder / "report.json").read_text())["champion"] == report.champion
    assert json.loads((folder / "settings.json").read_text())["plan"]["seed"] == 0
    kinds = [
        json.loads(line)["kind"] for line in (folder / "events.jsonl").read_text().splitlines()
    ]
    order = [
        "model_initialised",
        "games_ingested",
        "training_started",
        "training_finished",
        "match_finished",
    ]
    places = [kinds.index(kind) for kind in order]
    assert places == sorted(places)
    table = report.generations[0]
    assert table["selfplay"]["games"] == 5
    assert table["decision"] in ("promoted", "rejected", "inconclusive")
    decisions = read_chain(paths.decisions, plan.config).decisions
    assert decisions[0].reason == "no model yet: random weights"
    assert decisions[1].inputs["candidate_random"]["games"] == 4


class PausingWorkers(RandomWorkers):
    """The guard bites at each third game, and lets go when the workers were closed."""

    def __init__(self, guard):
        super().__init__(self.bite)
        self.guard = guard
        self.closings = 0

    def bite(self):
        if self.played and self.played % 3 == 0 and not self.guard.held:
            self.played += 1
            self.guard.held = self.guard.ending = True

    def close(self):
        self.closings += 1
        self.guard.held = self.guard.ending = False


def test_what_the_guard_ends_is_done_later_and_nothing_twice(paths):
    plan, guard = tiny_plan(), FreeGuard()
    workers = PausingWorkers(guard)
    report, screen = go(paths, plan=plan, workers=workers, guard=guard)
    assert report.complete
    assert workers.closings > 5
    check_whole(paths, plan)
    pauses = [line for line in screen.lines if line == "paused: memory 81 % of 80 %"]
    assert len(pauses) == workers.closings - 1  # the last closing is the run's end
    assert len([line for line in screen.lines if line == "going on"]) == len(pauses)
    events = (report.folder / "events.jsonl").read_text()
    assert events.count('"guard_level"') == 2 * len(pauses)


def test_a_held_loop_that_is_asked_to_stop_stops(paths):
    guard = FreeGuard()
    guard.held = True
    asked = []
    report, _ = go(paths, guard=guard, stop=lambda: asked.append(1) or len(asked) > 2)
    assert not report.complete
    assert stored(paths) == []


def test_the_same_run_again_is_a_new_one_and_goes_on_from_the_champion(paths):
    first, _ = go(paths)
    second, screen = go(paths)
    assert second.run != first.run
    assert not any("no model yet" in line for line in screen.lines)
    with pytest.raises(UsageError, match="no unfinished run"):
        go(paths, mode="resume")


def test_fresh_leaves_an_unfinished_run_alone(paths):
    stopped, _ = go(paths, stop=lambda: True)
    assert not stopped.complete
    fresh, _ = go(paths, mode="fresh")
    assert fresh.run != stopped.run
    resumed, _ = go(paths, plan=tiny_plan(), mode="fresh")
    assert resumed.run.endswith("-3")


@pytest.mark.parametrize("every", [1, 3, 7])
def test_stopping_anywhere_and_starting_again_does_everything_once(paths, every):
    plan = tiny_plan()
    learner = PaperLearner()
    games = []
    for _ in range(60):
        workers = RandomWorkers()
        report, _ = go(
            paths,
            plan=plan,
            workers=workers,
            learner=learner,
            stop=lambda limit=4 * every, workers=workers: workers.played >= limit,
        )
        games.append(workers.played)
        if report.complete:
            break
    sessions = len(games)
    assert sessions > 1
    check_whole(paths, plan)
    assert sum(games) == len(stored(paths))
    assert learner.trained == 2


class Killed(BaseException):
    """Stands for a death at a game: nothing may catch it."""


@pytest.mark.parametrize("after", [2, 9, 14, 20, 33])
def test_a_death_anywhere_loses_only_what_was_in_the_air(paths, after):
    plan = tiny_plan()
    played = 0

    def die():
        nonlocal played
        played += 1
        if played == after:
            raise Killed

    with pytest.raises(Killed):
        go(paths, plan=plan, workers=RandomWorkers(before_game=die))
    report, _ = go(paths, plan=plan)
    assert report.complete
    check_whole(paths, plan)


def test_a_champion_that_somebody_else_makes_meanwhile_is_tested_against(paths):
    other = "d" * 64
    plan = tiny_plan(generations=1)

    def promote_by_hand():
        chain = read_chain(paths.decisions, plan.config)
        if workers.played != plan.selfplay.games + 10 or chain.champion == other:
            return
        path = model_path(paths.model_objects, other)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        append(paths.decisions, chain, kind="manual", candidate=other, reason="test")

    workers = RandomWorkers(promote_by_hand)
    report, _ = go(paths, plan=plan, workers=workers)
    assert report.complete
    kinds = [d.kind for d in read_chain(paths.decisions, plan.config).decisions]
    assert kinds[:2] == ["promoted", "manual"]
    last = read_chain(paths.decisions, plan.config).decisions[-1]
    assert (len(kinds), last.generation, last.champion_before) == (3, 1, other)
    gate = Matches(plan, spec_of(plan.config)).gate(last.candidate, other)
    assert last.inputs["against_champion"]["plan"] == gate.plan.hash


def test_a_second_loop_on_the_root_is_refused(paths):
    held = lock(paths.coordination / "loop.lock", what="the loop of this data root")
    with held, pytest.raises(BusyError, match=r"the loop of this data root held by process \d+"):
        go(paths)


def test_a_lost_champion_stops_the_loop(paths):
    report, _ = go(paths)
    model_path(paths.model_objects, report.champion).unlink()
    with pytest.raises(RingriftError, match="no model file"):
        go(paths)


def test_results_of_an_unchanged_participant_are_reused(paths):
    plan = tiny_plan()
    workers = RandomWorkers()
    go(paths, plan=plan, workers=workers)
    runs = {game.meta.run for game in stored(paths) if game.meta.purpose == "match"}
    # Two gates, three or four floors per baseline (the first champion, two candidates), one exam.
    assert len(runs) == 2 + 3 * 2 + 1
    assert workers.played == len(stored(paths))


def test_the_parent_is_the_newest_candidate_until_three_rejections(paths):
    go(paths)
    chain = read_chain(paths.decisions, "square8_2p")
    champion = chain.champion
    chain = append(paths.decisions, chain, kind="manual", candidate=champion, reason="test")
    for _ in range(3):
        chain = append(
            paths.decisions,
            chain,
            kind="rejected",
            candidate="f" * 64,
            reason="weaker",
            run="other",
        )
    model_path(paths.model_objects, "f" * 64).parent.mkdir(exist_ok=True)
    model_path(paths.model_objects, "f" * 64).touch()
    seen = []

    class Watching(PaperLearner):
        def candidate(self, order, **more):
            seen.append(order.parent)
            return super().candidate(order, **more)

    go(paths, plan=tiny_plan(generations=2, seed=5), learner=Watching())
    assert seen[0] == champion
    assert seen[1] not in (champion, "f" * 64)


def facts(**changes):
    return Facts(**{"generations": 2, "decided": 0, "champion": "c", **changes})


@pytest.mark.parametrize(
    ("found", "stage"),
    [
        (facts(champion=None), "unborn"),
        (facts(missing_games=(3, 4)), "selfplay"),
        (facts(), "train"),
        (facts(candidate="d"), "measure"),
        (facts(candidate="d", missing_games=(1,)), "measure"),
        (facts(candidate="d", measured=True), "decide"),
        (facts(decided=1, missing_games=(0,)), "selfplay"),
        (facts(decided=2), "exam"),
        (facts(decided=3), "exam"),
        (facts(decided=2, examined=True), "report"),
        (facts(decided=2, examined=True, reported=True), "done"),
    ],
)
def test_the_next_stage_follows_from_the_facts(found, stage):
    assert next_stage(found)[0] == stage
