"""Go back to a former champion, by hand or when ratings say so (`models.md` 5).

A check counts when the champion is 50 Elo or more below its predecessor with the intervals of both
apart, or scores below 0.40 against it, over at least 20 games each; three such checks in a row
demote it. A missing number is unknown and never counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ringrift.core.errors import NegativeResult, UsageError
from ringrift.core.files import write_atomic
from ringrift.core.ids import short
from ringrift.models.decisions import read_chain
from ringrift.models.promotion import move_back

if TYPE_CHECKING:
    from ringrift.models.decisions import Chain
    from ringrift.models.listing import Rating
    from ringrift.models.promotion import Decided

ELO_DROP = 50.0
MIN_GAMES = 20
LEAST_SCORE = 0.40
CHECKS = 3
COOLDOWN_S = 3600.0
MOST_A_DAY = 3
DAY_S = 86_400.0
AUTOMATIC = "rollback check"

Answer = Literal["regressed", "holds", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A champion's share of the games against its predecessor, in [0, 1]."""

    score: float
    games: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What counts as a regression: Elo below the predecessor, least games of each side."""

    elo_drop: float = ELO_DROP
    min_games: int = MIN_GAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one look at the ratings says, and why; `in_row` counts it and those before it."""

    config: str
    champion: str | None
    predecessor: str | None
    answer: Answer
    reason: str
    in_row: int

    @property
    def due(self) -> bool:
        """Whether the champion has to go."""
        return self.answer == "regressed" and self.in_row >= CHECKS


def roll_back(
    models: Path,
    config: str,
    reason: str,
    *,
    to: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    term: int | None = None,
    by: str,
) -> Decided:
    """Move the champion to the one before it, or to the former champion `to` (an id).

    Raises `NegativeResult` without a predecessor, `UsageError` for a model that never was champion
    and for a missing reason, `BusyError` where somebody else decides at the same time.
    """
    if not reason.strip():
        raise UsageError("a rollback needs a reason", where="--reason", hint="--reason TEXT")
    chain = read_chain(models / "decisions", config)
    target = former_champion(chain, to)
    return move_back(models, chain, target, reason, inputs=inputs or {}, term=term, by=by)


def former_champion(chain: Chain, wanted: str | None = None) -> str:
    """Return the champion before the present one, or the former champion `wanted` (an id).

    Raises `NegativeResult` where there is none, `UsageError` for a model that never was champion.
    """
    if wanted is not None:
        return _former(chain, wanted)
    line = chain.in_line()
    if len(line) < 2:
        found = "no champion" if not line else f"only {short(line[0])}"
        raise NegativeResult(f"{chain.config} has {found}: no former champion to go back to")
    return line[-2]


def judge(
    champion: Rating | None, predecessor: Rating | None, score: Score | None, limits: Limits
) -> tuple[Answer, str]:
    """Return whether a champion fell below its predecessor, and the sentence that says why."""
    least = limits.min_games
    rated = champion is not None and predecessor is not None
    if champion is not None and predecessor is not None:
        enough = min(champion.games, predecessor.games) >= least
        drop = predecessor.elo - champion.elo
        if enough and drop >= limits.elo_drop and champion.high < predecessor.low:
            return "regressed", f"{drop:.0f} Elo below its predecessor, intervals apart"
        rated = enough
    played = score is not None and score.games >= least
    if score is not None and played and score.score < LEAST_SCORE:
        return "regressed", f"scores {score.score:.2f} against its predecessor, {score.games} games"
    if rated or played:
        return "holds", "no worse than its predecessor as far as the games tell"
    return "unknown", f"fewer than {least} games of champion or predecessor"


def check(
    models: Path,
    config: str,
    ratings: Mapping[str, Rating],
    score: Score | None,
    *,
    limits: Limits | None = None,
    state: Path,
    keep: bool = True,
) -> Check:
    """Look once at the ratings (by model id); `state` remembers how often in a row it was bad.

    With `keep` false nothing is written. Another champion, and any check that is not bad, begins
    anew.
    """
    chain = read_chain(models / "decisions", config)
    line = chain.in_line()
    champion = line[-1] if line else None
    predecessor = line[-2] if len(line) > 1 else None
    if champion is None or predecessor is None:
        answer: Answer = "unknown"
        reason = "no predecessor" if champion else "no champion"
    else:
        answer, reason = judge(
            ratings.get(champion), ratings.get(predecessor), score, limits or Limits()
        )
    former = _remembered(state).get(config, {})
    count = former.get("in_row", 0) if former.get("champion") == champion else 0
    found = Check(
        config=config,
        champion=champion,
        predecessor=predecessor,
        answer=answer,
        reason=reason,
        in_row=count + 1 if answer == "regressed" else 0,
    )
    if keep:
        _remember(state, found)
    return found


def act(models: Path, found: Check, *, now: datetime | None = None, by: str) -> Decided | None:
    """Roll back where a check is due and cooldown and the day's limit allow; None where not."""
    if not found.due or waiting_s(read_chain(models / "decisions", found.config), now) > 0:
        return None
    return roll_back(
        models,
        found.config,
        f"{found.in_row} checks in a row: {found.reason}",
        inputs={"automatic": True, **asdict(found)},
        by=by,
    )


def waiting_s(chain: Chain, now: datetime | None = None) -> float:
    """Return how long an automatic rollback has to wait: 3600 s after one, at most 3 a day."""
    now = now or datetime.now(UTC)
    ages = [
        (now - datetime.fromisoformat(d.at)).total_seconds()
        for d in chain.decisions
        if d.kind == "rolled_back" and d.inputs.get("automatic")
    ]
    rest = COOLDOWN_S - ages[-1] if ages else 0.0
    if len(ages) >= MOST_A_DAY:
        rest = max(rest, DAY_S - ages[-MOST_A_DAY])
    return max(0.0, rest)


def _former(chain: Chain, wanted: str) -> str:
    champions = chain.champions()
    if wanted == chain.champion:
        raise NegativeResult(f"{short(wanted)} is the champion of {chain.config} already")
    if wanted not in champions:
        known = ", ".join(
            dict.fromkeys(short(c) for c in reversed(champions) if c != chain.champion)
        )
        raise UsageError(
            f"{short(wanted)} never was champion of {chain.config}",
            where="--to",
            hint=known or None,
        )
    return wanted


def _remembered(state: Path) -> dict[str, Any]:
    """Return what former checks found; a damaged file counts as none, which only delays."""
    try:
        found = json.loads(state.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(state: Path, found: Check) -> None:
    known = _remembered(state)
    known[found.config] = {
        "champion": found.champion,
        "in_row": found.in_row,
        "answer": found.answer,
        "reason": found.reason,
        "at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    state.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(state, json.dumps(known, indent=1, sort_keys=True).encode() + b"\n")
