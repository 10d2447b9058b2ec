"""What the event log tells already, so that a restart tells nothing twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ringrift.cluster.jobs import JobResult
from ringrift.loop.events import EventKind, read_events, seconds_of
from ringrift.loop.facts import ConfigFacts

DECIDED: dict[str, EventKind] = {
    "promoted": "promoted",
    "rejected": "rejected",
    "inconclusive": "inconclusive",
    "rolled_back": "rolled_back",
    "superseded": "superseded",
}


@dataclass(slots=True)
class Logged:
    """What the log tells already: models, jobs, matches by plan, milestones; of decisions the newest.

    `first_started_at` is when the loop was started first, as far as the log goes back.
    """

    models: set[str] = field(default_factory=set)
    trained: set[str] = field(default_factory=set)
    calibrated: set[str] = field(default_factory=set)
    decisions: dict[str, int] = field(default_factory=dict)
    trainings: set[str] = field(default_factory=set)
    results: set[str] = field(default_factory=set)
    matches: set[str] = field(default_factory=set)
    milestones: set[tuple[str, str]] = field(default_factory=set)
    first_started_at: float | None = None
    empty: bool = True

    def take_as_known(self, facts: Iterable[ConfigFacts], results: Mapping[str, JobResult]) -> None:
        """Begin with an empty log: what is there is no news."""
        self.empty = False
        self.results |= results.keys()
        for each in facts:
            self.models |= {model.id for model in each.models}
            self.trained |= {model.id for model in each.models}
            self.calibrated |= {model.id for model in each.models if model.ece is not None}
            self.matches |= {m.plan for m in (*each.matches, *each.side_matches) if m.complete}
            self.milestones |= {(each.config, name) for name in each.milestones}
            if each.decisions:
                self.decisions[each.config] = each.decisions[-1].sequence


def read_logged(folder: Path) -> Logged:
    """Return what the log in a folder tells."""
    found = Logged()
    for event in read_events(folder):
        found.empty = False
        config, data, kind = event["config"], event["data"], event["kind"]
        if kind == "loop_started" and found.first_started_at is None:
            found.first_started_at = seconds_of(event["at"])
        elif kind == "model_initialised":
            found.models.add(data["model"])
        elif kind == "calibration":
            found.calibrated.add(data["model"])
        elif kind in DECIDED:
            newest = max(found.decisions.get(config, 0), data["sequence"])
            found.decisions[config] = newest
        elif kind in ("training_finished", "tuning_finished", "job_failed"):
            found.results.add(event["job"])
            found.trainings.add(event["job"])
            found.trained.add(data.get("model"))
        elif kind == "training_started":
            found.trainings.add(event["job"])
        elif kind in ("match_finished", "shadow_finished"):
            found.matches.add(data["plan"])
        elif kind == "milestone":
            found.milestones.add((config, data["name"]))
    return found
