"""Facts, jobs and results for the tests of the loop's rules: short names, plain values."""

from dataclasses import replace

from ringrift.cluster.election import Term
from ringrift.cluster.jobs import JobResult
from ringrift.core.settings import Settings
from ringrift.loop.facts import (
    ConfigFacts,
    DecisionFacts,
    GateFacts,
    MatchFacts,
    ModelFacts,
    RatedModel,
    TournamentFacts,
)
from ringrift.loop.plan import Conditions, JobsSeen
from ringrift.loop.reconciler import reconcile

CONFIG = "square8_2p"
NOW = 1_800_000_000.0
TERM = Term(5, 7)


def mid(letter):
    """The id of a model."""
    return letter * 64


FIRST, SECOND, THIRD = mid("a"), mid("b"), mid("c")
GOOD = GateFacts(
    quality=0.9,
    failure_rate=0.0,
    policy_share=1.0,
    seat_wins=(255, 245),
    seat_games=500,
)


def settings(**sections):
    """Settings without least times, with a trigger of 200 games."""
    base = {
        "training": {"trigger_threshold_games": 200, "min_interval_seconds": 0},
        "promotion": {"cooldown_seconds": 0, "max_promotions_per_day": None},
        "selfplay": {"games_per_job": 32, "mcts_simulations": 32, "cheap_simulations": 8},
    }
    for name, values in sections.items():
        base[name] = {**base.get(name, {}), **values}
    return Settings.model_validate(base)


def conditions(**changes):
    base = Conditions(now=NOW, rules_hash="r" * 64, slots=2, term=TERM)
    return replace(base, **changes)


def model(identity, *, ago=1000.0, random=False, kind="nnue-policy", **more):
    return ModelFacts(id=identity, kind=kind, made_at=NOW - ago, random=random, **more)


def decision(kind, candidate, *, before=FIRST, champion=None, ago=0.0, seq=0, **more):
    moved = kind in ("promoted", "manual")
    return DecisionFacts(
        sequence=seq,
        kind=kind,
        candidate=candidate,
        champion_before=before,
        champion=champion or (candidate if moved else before),
        at=NOW - ago,
        by="loop",
        reason="",
        **more,
    )


def begun(identity=FIRST, ago=5000.0):
    """The decision that made the first champion."""
    return decision("promoted", identity, before=None, ago=ago, seq=1)


def facts(**changes):
    """A configuration with a first champion of random weights and good games."""
    values = {
        "config": CONFIG,
        "champion": FIRST,
        "decisions": (begun(),),
        "models": (model(FIRST, ago=5000.0, random=True),),
        "gates": GOOD,
        "games": 500,
        "max_seq": 500,
    }
    return ConfigFacts(**{**values, **changes})


def unborn(**changes):
    return facts(
        champion=None, decisions=(), models=(), gates=GateFacts(), games=0, max_seq=0, **changes
    )


def with_candidate(identity=SECOND, *, ago=100.0, **changes):
    values = {
        "models": (
            model(FIRST, ago=5000.0, random=True),
            model(identity, ago=ago, trained_from=FIRST, dataset="d" * 64, seconds=10.0),
        ),
        "undecided": ((identity, True),),
    }
    return facts(**{**values, **changes})


def match(key="against_champion", *, games=40, missing=(), complete=False, title=None, **more):
    values = {
        "key": key,
        "title": title or key.replace("_", " "),
        "plan": f"{key}-plan",
        "plan_text": f'{{"plan":"{title or key}"}}',
        "purpose": "gate",
        "subject": SECOND,
        "opponent": FIRST,
        "games": games,
        "played": games - len(missing),
        "block": 2,
        "missing": tuple(missing),
        "complete": complete,
    }
    return MatchFacts(**{**values, **more})


def result(job, *, status="done", ended=10.0, took=1.0, attempts=1, error=None, **numbers):
    """The result of a job that ended `ended` seconds ago."""
    return JobResult(
        job_id=job.id,
        kind=job.kind,
        config=job.config,
        node="here",
        status=status,
        started_at=NOW - ended - took,
        ended_at=NOW - ended,
        attempts=attempts,
        numbers=numbers,
        error=error,
    )


def named_result(name, kind, *, config=CONFIG, ended=10.0, took=1.0, status="done", **numbers):
    """A result of a job that the test does not hold."""
    attempts = 3 if status == "failed" else 1
    error = {"type": "RingriftError", "message": "it broke", "tail": ""}
    return JobResult(
        job_id=name,
        kind=kind,
        config=config,
        node="here",
        status=status,
        started_at=NOW - ended - took,
        ended_at=NOW - ended,
        attempts=attempts,
        numbers=numbers,
        error=error if status == "failed" else None,
    )


def samples(*, ended=10.0, preflight=(), parent=FIRST, dataset="d1" * 32):
    """The result of an export."""
    return named_result(
        f"dataset {dataset[:6]} {ended}",
        "dataset",
        ended=ended,
        dataset=dataset,
        parent=parent,
        samples=10_000,
        games=400,
        games_upto=500,
        preflight=list(preflight),
    )


def seen(*results, waiting=()):
    return JobsSeen(open=tuple(waiting), results={found.job_id: found for found in results})


def rated(identity, elo, games=200):
    return RatedModel(
        model=identity, elo=elo, ci95=None if elo is None else (elo, elo), games=games
    )


def tournament(champion, before, *, ago, champion_elo, before_elo, games=50, ci95=None):
    low = champion_elo - before_elo
    return TournamentFacts(
        at=NOW - ago,
        champion=rated(champion, champion_elo),
        predecessor=None if before is None else rated(before, before_elo),
        difference_ci95=ci95 if ci95 is not None else (low - 20, low + 20),
        games=games,
    )


def run(one, known=None, chosen=None, when=None):
    """One pass over one configuration (or several)."""
    all_facts = one if isinstance(one, (list, tuple)) else [one]
    return reconcile(all_facts, known or JobsSeen(), chosen or settings(), when or conditions())


def kinds(plan):
    return [job.kind for job in plan.jobs]
