"""Say whether a candidate is good enough against a baseline (`evaluation.md` 7).

A gate is one match on reserved openings with a test fixed beforehand: looks at a Wilson interval
(`wilson`) or the sequential test from 0 Elo to that of the threshold (`sprt`). It moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ringrift.core.errors import UsageError
from ringrift.evaluation.elo import elo_from_score, elo_text, rate_for_players, score_from_elo
from ringrift.evaluation.group_sequential import WilsonStanding, WilsonTest, wilson_chances
from ringrift.evaluation.plans import MatchPlan, OpeningChoice
from ringrift.evaluation.power import sprt_chances
from ringrift.evaluation.sprt import SequentialTest

if TYPE_CHECKING:
    from ringrift.evaluation.chances import Chances
    from ringrift.evaluation.group_sequential import Decision
    from ringrift.evaluation.results import MatchResult
    from ringrift.records.record import AgentRef
    from ringrift.rules import BoardSpec

Method = Literal["wilson", "sprt"]
GateTest = WilsonTest | SequentialTest

AROUND = 0.05
_DECISIONS: dict[str, Decision] = {
    "accept": "promote",
    "reject": "reject",
    "inconclusive": "inconclusive",
}


def gate_test(
    method: Method = "wilson",
    *,
    threshold: float = 0.55,
    confidence: float = 0.95,
    min_games: int = 30,
    max_games: int = 200,
) -> GateTest:
    """Return the test of a gate; `threshold` is a two-player rate.

    `sprt` tests 0 Elo against the Elo of the threshold with both errors 1 - confidence. Raises
    `UsageError` for numbers that make no test.
    """
    if method == "sprt" and not 0.5 < threshold < 1.0:
        raise UsageError(
            f"found {threshold:g}; expected a rate between 0.5 and 1 for a sequential test",
            where="threshold",
        )
    try:
        if method == "wilson":
            return WilsonTest(
                threshold=threshold,
                confidence=confidence,
                min_games=min_games,
                max_games=max_games,
            )
        error = round(1.0 - confidence, 12)
        return SequentialTest(
            elo1=elo_from_score(threshold),
            alpha=error,
            beta=error,
            min_games=min_games,
            max_games=max_games,
        )
    except ValueError as problem:
        raise UsageError(str(problem)) from None


def threshold_of(test: GateTest) -> float:
    """Return the two-player rate that a gate asks for."""
    return test.threshold if isinstance(test, WilsonTest) else score_from_elo(test.elo1)


def gate_plan(
    spec: BoardSpec,
    candidate: AgentRef,
    baseline: AgentRef,
    test: GateTest,
    *,
    seed: int = 42,
    openings: OpeningChoice | None = None,
) -> MatchPlan:
    """Return the match of a gate; `openings` default to the reserved ones of the shipped book.

    Raises `UsageError` for a candidate that plays exactly as the baseline does.
    """
    if candidate.agent_hash == baseline.agent_hash:
        raise UsageError(
            "candidate and baseline are the same agent",
            where=candidate.spec,
            hint="--baseline REF",
        )
    return MatchPlan.of_games(
        test.max_games,
        purpose="gate",
        spec=spec,
        agents=(candidate, baseline),
        seed=seed,
        openings=OpeningChoice.of_book(spec, "reserved") if openings is None else openings,
        test=test,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What a gate decided; `decision` is `None` while its match goes on."""

    match: MatchResult
    test: GateTest
    players: int

    @property
    def decision(self) -> Decision | None:
        """`promote`, `reject` or `inconclusive`."""
        return None if self.match.verdict is None else _DECISIONS[self.match.verdict]

    @property
    def promotes(self) -> bool:
        """Whether the candidate passed, in a match that says something."""
        return self.decision == "promote" and self.match.invalid is None

    @property
    def threshold_used(self) -> float:
        """The win share that the candidate must reach."""
        return rate_for_players(threshold_of(self.test), self.players)

    @property
    def elo_words(self) -> str:
        """The Elo difference with its interval, `> +e` at a clean sweep."""
        score = self.match.score
        elo = None if score is None else elo_from_score(score, self.players)
        return elo_text(elo, self.match.elo_ci95)

    @property
    def reason(self) -> str:
        """One sentence of why it ended, and what that means."""
        standing = self.match.standing
        if standing is None or not self.match.games:
            return "no game"
        if self.decision != "inconclusive":
            return standing.reason
        return (
            f"{standing.reason}; a gain this small mostly ends so: see --estimate-games for the "
            "chances"
        )

    def as_tree(self) -> dict[str, Any]:
        """Return the result as it is published: that of the match, and what the gate adds."""
        standing = self.match.standing
        wilson = standing if isinstance(standing, WilsonStanding) else None
        return {
            **self.match.as_tree(),
            "decision": self.decision,
            "threshold_used": self.threshold_used,
            "z": None if wilson is None else wilson.z,
            "looks": None if wilson is None else [look.as_tree() for look in wilson.looks],
            "elo_diff": self.match.elo,
            "elo_text": self.elo_words,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a gate does to a candidate with a true two-player `rate`, the win share `share`."""

    rate: float
    share: float
    chances: Chances

    def as_tree(self) -> dict[str, Any]:
        """Return the row as it is published."""
        chances = self.chances
        return {
            "rate": self.rate,
            "share": self.share,
            "promote": chances.accept,
            "reject": chances.reject,
            "inconclusive": chances.inconclusive,
            "mean_games": chances.mean_games,
            "games_90": chances.games_90,
        }


def estimate(test: GateTest, players: int = 2, target: float = 0.60) -> tuple[Estimate, ...]:
    """Return what a gate does to candidates at the target rate and around it; nothing is played.

    Exact for the Wilson gate with independent games; for `sprt` as `power` says.
    """
    if not 0.0 < target < 1.0:
        raise UsageError(f"a rate of {target:g}; expected one between 0 and 1", where="target rate")
    around = (target + k * AROUND for k in (-2, -1, 0, 1, 2))
    rates = sorted(
        {round(rate, 6) for rate in (0.5, threshold_of(test), *around) if 0.0 < rate < 1.0}
    )
    return tuple(
        Estimate(
            rate=rate, share=rate_for_players(rate, players), chances=_chances(test, rate, players)
        )
        for rate in rates
    )


def _chances(test: GateTest, rate: float, players: int) -> Chances:
    if isinstance(test, WilsonTest):
        return wilson_chances(test, rate_for_players(rate, players), players)
    return sprt_chances(test, elo_from_score(rate), players)
