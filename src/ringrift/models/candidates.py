"""What is known of the models that wait for a decision, and what each still lacks (`models.md` 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError
from ringrift.models.evidence import MATCHES
from ringrift.models.judging import HoldOut, Measured, Rules, decide
from ringrift.models.listing import list_models

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ringrift.evaluation.results import MatchResult
    from ringrift.models.decisions import Chain

REGRESSION_OPPONENTS = 3

_WORDS = {
    "candidate_random": "candidate against random",
    "candidate_heuristic": "candidate against heuristic",
    "champion_random": "champion against random",
    "champion_heuristic": "champion against heuristic",
    "against_champion": "candidate against champion",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the stored games and evaluations say of a candidate; matches may be unfinished.

    `matches` has the fields of `Measured` that hold one match, `regression` one for each former
    champion.
    """

    matches: Mapping[str, MatchResult] = field(default_factory=dict)
    regression: tuple[MatchResult, ...] = ()
    candidate_holdout: HoldOut | None = None
    champion_holdout: HoldOut | None = None
    book_hash: str | None = None

    @property
    def measured(self) -> Measured:
        """The measurements as a verdict takes them; raises `DataError` where a match is missing."""
        missing = [name for name in MATCHES if name not in self.matches]
        if missing:
            raise DataError(f"not measured: {', '.join(missing)}")
        return Measured(
            against_champion=self.matches["against_champion"],
            candidate_random=self.matches["candidate_random"],
            candidate_heuristic=self.matches["candidate_heuristic"],
            champion_random=self.matches["champion_random"],
            champion_heuristic=self.matches["champion_heuristic"],
            regression=self.regression,
            candidate_holdout=self.candidate_holdout,
            champion_holdout=self.champion_holdout,
            book_hash=self.book_hash,
        )

    def missing(self, rules: Rules) -> list[str]:
        """Return what a verdict still needs, in the order in which it is looked at."""
        found = []
        for name in _WORDS:
            found += _unfinished(name, self.matches.get(name))
        if rules.regression:
            for match in self.regression:
                found += _unfinished(match.title, match)
        if rules.holdout:
            sides = (("candidate", self.candidate_holdout), ("champion", self.champion_holdout))
            found += [f"hold-out of the {name}" for name, value in sides if value is None]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One row of the table: a model without a decision, and what is known of it."""

    id: str
    config: str
    champion: str | None
    known: Known
    rules: Rules

    @property
    def missing(self) -> list[str]:
        """What is still needed."""
        return (
            ["a champion to test against"]
            if self.champion is None
            else self.known.missing(self.rules)
        )

    @property
    def verdict(self) -> str | None:
        """What a decision would be now; None while something is missing.

        A floor or test that is lost already needs nothing more.
        """
        try:
            return decide(self.known.measured, self.rules).outcome
        except DataError:
            return None

    @property
    def ready(self) -> bool:
        """Whether it would be promoted now."""
        return self.verdict == "promoted"

    def as_json(self) -> dict[str, Any]:
        """Return the row as it is published."""
        test = self.known.matches.get("against_champion")
        standing = None if test is None else test.standing
        return {
            "candidate": self.id,
            "config": self.config,
            "champion": self.champion,
            "games": 0 if test is None else test.games,
            "score": None if test is None else test.score,
            "llr": None if standing is None or not standing.games else standing.llr,
            "floor_random": self._score("candidate_random"),
            "floor_heuristic": self._score("candidate_heuristic"),
            "missing": [] if self.verdict else self.missing,
            "verdict": self.verdict,
            "ready": self.ready,
        }

    def _score(self, name: str) -> float | None:
        match = self.known.matches.get(name)
        return None if match is None else match.score


def undecided(models: Path, config: str) -> list[str]:
    """Return the models of a configuration that no decision is about, the newest first."""
    return [
        model.id
        for model in list_models(models).models
        if model.config == config
        and model.file == "here"
        and model.standing.decision is None
        and model.standing.status != "champion"
    ]


def candidates(
    models: Path,
    chains: list[Chain],
    look: Callable[[str, Chain], Known],
    rules: Callable[[str], Rules],
) -> list[Candidate]:
    """Return every undecided model of some configurations with what `look` knows of it."""
    return [
        Candidate(
            id=model_id,
            config=chain.config,
            champion=chain.champion,
            known=Known() if chain.champion is None else look(model_id, chain),
            rules=rules(chain.config),
        )
        for chain in chains
        for model_id in undecided(models, chain.config)
    ]


def regression_opponents(
    chain: Chain, candidate: str, *, most: int = REGRESSION_OPPONENTS, tested: bool = True
) -> list[str]:
    """Return the last `most` champions to play a regression against, the newest first.

    Where a test against the present one decides (`tested`), it is not among them.
    """
    line = chain.in_line()[:-1] if tested else chain.in_line()
    found = dict.fromkeys(model for model in reversed(line) if model != candidate)
    return [model for model in found if not tested or model != chain.champion][:most]


def _unfinished(name: str, match: MatchResult | None) -> list[str]:
    told = _WORDS.get(name, name)
    if match is None:
        return [told]
    return [] if match.complete else [f"{told} ({match.games} games so far)"]
