"""A plan, facts and conditions of two configurations, for what shows them."""

from dataclasses import dataclass, field
from typing import Any

from ringrift.cluster.jobs import JobResult
from ringrift.loop.facts import (
    ConfigFacts,
    DecisionFacts,
    GateFacts,
    MatchFacts,
    ModelFacts,
    RatedModel,
)
from ringrift.loop.plan import Conditions, ConfigPlan, Plan, Plateau, Signal

NOW = 1_800_000_000.0
FIRST, SECOND, THIRD = "a" * 64, "b" * 64, "c" * 64
CONFIG = "square8_2p"


@dataclass(frozen=True)
class Running:
    id: str = "1" * 64
    kind: str = "train"
    config: str = CONFIG
    started_at: float = NOW - 40
    progress: dict[str, Any] = field(
        default_factory=lambda: {
            "done": 30,
            "total": 100,
            "epoch": 3,
            "loss": 1.7,
            "samples_per_s": 9800.0,
            "eta_s": 31.0,
        }
    )


def model(identity, *, made_at, **more):
    return ModelFacts(id=identity, kind="nnue-policy", made_at=made_at, **more)


def decision(sequence, kind, candidate, before, **more):
    champion = candidate if kind == "promoted" else before
    return DecisionFacts(
        sequence=sequence,
        kind=kind,
        candidate=candidate,
        champion_before=before,
        champion=champion,
        at=NOW - 1000 + sequence * 100,
        by="loop",
        reason=f"because {kind}",
        **more,
    )


FIRST_DECISION = decision(1, "promoted", FIRST, None)
PROMOTED = decision(
    2, "promoted", SECOND, FIRST, elo=64.0, elo_ci95=(41.0, 88.0), games=118, score=0.59
)
REJECTED = decision(3, "rejected", THIRD, SECOND, elo=-3.0, elo_ci95=(-40.0, 33.0), games=90)


def match(**more):
    fields = {
        "key": "against_champion",
        "title": "test against the champion",
        "plan": "f" * 64,
        "plan_text": "{}",
        "purpose": "match",
        "subject": THIRD,
        "opponent": SECOND,
        "games": 120,
        "played": 21,
        "block": 2,
        "missing": (21, 22),
        "complete": False,
        "llr": 0.81,
        "bounds": (-2.94, 2.94),
        "wins_losses_capped": (12, 8, 1),
        "score": 0.57,
    }
    return MatchFacts(**{**fields, **more})


def config_facts(**more):
    fields = {
        "config": CONFIG,
        "champion": SECOND,
        "decisions": (FIRST_DECISION, PROMOTED),
        "models": (
            model(FIRST, made_at=NOW - 990, random=True),
            model(
                SECOND,
                made_at=NOW - 850,
                games=1240,
                losses=(1.82, 1.71),
                validation_loss=1.75,
                ece=0.031,
                temperature=1.08,
            ),
        ),
        "games": 9120,
        "new_games": 134,
        "gates": GateFacts(quality=0.9),
        "ratings": (RatedModel(model=SECOND, elo=512.3, ci95=(480.1, 544.5), games=158),),
        "milestones": {"beats_random": NOW - 600},
    }
    return ConfigFacts(**{**fields, **more})


def config_plan(**more):
    fields = {
        "config": CONFIG,
        "state": "collecting",
        "reason": "134/200 games",
        "trigger": 200,
        "new_games": 134,
        "share": 1.0,
        "simulations": 32,
        "signals": (Signal(kind="INCREASE_DATA", config=CONFIG, value=0.1, reason="overfit"),),
        "plateau": Plateau(count=1, since=NOW - 50),
        "match": match(),
    }
    return ConfigPlan(**{**fields, **more})


def bare_facts(config="hex8_2p"):
    return ConfigFacts(config=config, champion=None)


def bare_plan(config="hex8_2p"):
    return ConfigPlan(config=config, state="unborn", reason="no model yet")


def plan(*configs, **more):
    return Plan(configs=configs or (config_plan(), bare_plan()), **more)


def conditions(**more):
    return Conditions(
        **{"now": NOW, "rules_hash": "r", "slots": 2, "started_at": NOW - 900, **more}
    )


def result(kind="train", job_id="2" * 64, status="done", **more):
    fields = {
        "config": CONFIG,
        "node": "here",
        "started_at": NOW - 60,
        "ended_at": NOW - 20,
        "attempts": 1,
    }
    return JobResult(job_id=job_id, kind=kind, status=status, **{**fields, **more})
