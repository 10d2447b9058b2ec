"""Look at a run from its files alone: the games of an exam, the settings, the curve."""

import json
import os
from collections import Counter
from dataclasses import dataclass

from ringrift.core.intervals import wilson
from ringrift.core.paths import Paths
from ringrift.evaluation.openings import load_book
from ringrift.evaluation.plans import plan_of_text
from ringrift.records.store import GameStore

EXAM_GAMES = 400
EXAM_SIMULATIONS = "sims=32"


@dataclass(frozen=True)
class Exam:
    """Score of the champion over the games of its exam, draws and capped games a half."""

    champion: str
    games: int
    score: float
    low: float
    high: float


def exam_of(root, config, opponent):
    """Read the exam against a fixed opponent from its records; check what it was played with."""
    with GameStore.open(Paths(root).game_store) as store:
        plans = [plan_of_text(row.text) for row in store.plans.all(config, purpose="milestone")]
        exams = [
            plan
            for plan in plans
            if plan.test is None
            and plan.games == EXAM_GAMES
            and plan.participants[1].spec == opponent
        ]
        games = {plan.hash: [] for plan in exams}
        for _, record, _ in store.records(config):
            if record.meta.run in games:
                games[record.meta.run].append(record)
    # A champion that was replaced in its exam has played a part of one.
    (plan,) = [plan for plan in exams if len(games[plan.hash]) == EXAM_GAMES]
    records = games[plan.hash]
    champion = plan.participants[0]
    assert champion.model_id is not None
    assert "gumbel" in champion.spec
    assert EXAM_SIMULATIONS in champion.spec
    assert sorted(record.meta.index for record in records) == list(range(EXAM_GAMES))
    assert len({record.id for record in records}) == EXAM_GAMES
    reserved = {opening.moves for opening in load_book(config).order("reserved", 0)}
    lengths = {len(moves) for moves in reserved}
    begun = Counter()
    points = 0.0
    for record in records:
        seats = [agent.agent_hash for agent in record.agents]
        assert sorted(seats) == sorted(agent.agent_hash for agent in plan.participants)
        opening = next(record.moves[:n] for n in lengths if record.moves[:n] in reserved)
        begun[opening, seats.index(champion.agent_hash)] += 1
        winner = record.result.winner
        at_end = [agent.agent_hash for agent in record.agents_at_end]
        points += 0.5 if not winner else at_end[winner - 1] == champion.agent_hash
    assert all(begun[moves, 0] == begun[moves, 1] for moves, _ in begun)  # each from both seats
    share = points / len(records)
    interval = wilson(share, len(records))
    return Exam(champion.model_id, len(records), share, interval.low, interval.high)


def published(root, config, seed, result, exam, seconds):
    """What is kept of a run: settings that are not the defaults, curve, conclusion."""
    paths = Paths(root)
    record = json.loads((paths.loop / "run.json").read_text())
    points = json.loads((paths.loop / "report" / f"{config}.json").read_text())
    chosen = {key: origin for key, origin in record["origins"].items() if origin != "default"}
    return {
        "schema": 1,
        "config": config,
        "seed": seed,
        "cores": os.cpu_count(),
        "versions": record.get("versions"),
        "settings": {key: value_of(record["settings"], key) for key in sorted(chosen)},
        "origins": chosen,
        "curve": {
            "elo": points["elo"],
            "decisions": points["decisions"],
            "games": points["games"],
            "losses": points["losses"],
        },
        "conclusion": {
            "ended": result["ended"],
            "cycles": result["cycles"],
            "seconds": round(seconds, 1),
            "minutes": result["milestones"][config],
            "exam": None
            if exam is None
            else {
                "champion": exam.champion,
                "games": exam.games,
                "score": round(exam.score, 4),
                "wilson95": [round(exam.low, 4), round(exam.high, 4)],
            },
        },
    }


def value_of(settings, key):
    for name in key.split("."):
        settings = settings[name]
    return settings
