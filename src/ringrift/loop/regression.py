"""A champion that got weaker: what shows it, and the way back (`loop.md` 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.core.ids import short
from ringrift.loop.actions import RollBack

if TYPE_CHECKING:
    from ringrift.core.settings import Settings
    from ringrift.loop.facts import ConfigFacts, TournamentFacts

IN_ROW = 2
LAST_CHAMPIONS = 5
COOLDOWN_S = 3600.0
MOST_A_DAY = 3
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Regression:
    """The Elo by which the champion lies below its predecessor in its newest tournament."""

    drop: float
    at: float
    words: str


def regression(facts: ConfigFacts, settings: Settings) -> Regression | None:
    """Return the regression that the last two full tournaments of the champion show, if they do.

    Both must have `rollback_min_games` games, and in both the champion must lie at least
    `rollback_elo_drop` below its predecessor with an interval that excludes 0.
    """
    if facts.champion is None:
        return None
    reigns_since = max((d.at for d in facts.decisions if d.champion == facts.champion
                        and d.champion_before != facts.champion), default=0.0)  # fmt: skip
    own = sorted(
        (t for t in facts.tournaments if t.at >= reigns_since), key=lambda found: found.at
    )[-IN_ROW:]
    drops = [_drop(found, facts.champion, settings) for found in own]
    if len(drops) < IN_ROW or any(drop is None for drop in drops):
        return None
    shown = [drop for drop in drops if drop is not None]
    return Regression(
        drop=shown[-1],
        at=own[-1].at,
        words="the champion lies "
        + " and ".join(f"{drop:.0f}" for drop in shown)
        + " Elo below its predecessor in two full tournaments",
    )


def rollback(
    facts: ConfigFacts, found: Regression | None, settings: Settings, *, now: float, term: int
) -> tuple[RollBack | None, str]:
    """Return the way back after a regression, None with the reason where there is none now.

    The best of the last five champions returns, the predecessor where none of them is rated.
    """
    if found is None:
        return None, ""
    if not settings.regression.auto_rollback:
        return None, f"{found.words}; going back by itself is off"
    times = [d.at for d in facts.decisions if d.kind == "rolled_back"]
    if times and now - times[-1] < COOLDOWN_S:
        return None, f"{found.words}; the last way back was {now - times[-1]:.0f} s ago"
    if sum(1 for at in times if now - at < DAY_S) >= MOST_A_DAY:
        return None, f"{found.words}; there were {MOST_A_DAY} ways back in a day already"
    target = _best(facts)
    if target is None:
        return None, f"{found.words}; there is no former champion"
    return RollBack(
        config=facts.config,
        target=target,
        reason=f"{found.words}; {short(target)} is the best of the last champions",
        inputs={"drop": found.drop, "tournament_at": found.at},
        term=term,
    ), ""  # fmt: skip


def _drop(found: TournamentFacts, champion: str, settings: Settings) -> float | None:
    """Return the Elo lost in one tournament; None where it shows no regression."""
    limit, before = settings.regression, found.predecessor
    if found.champion.model != champion or before is None or found.difference_ci95 is None:
        return None
    if found.champion.elo is None or before.elo is None:
        return None
    low, high = found.difference_ci95
    drop = before.elo - found.champion.elo
    if found.games < limit.rollback_min_games or drop < limit.rollback_elo_drop:
        return None
    return drop if low > 0 or high < 0 else None


def _best(facts: ConfigFacts) -> str | None:
    former: list[str] = []
    for decision in reversed(facts.decisions):
        if decision.champion != facts.champion and decision.champion not in former:
            former.append(decision.champion)
    former = former[:LAST_CHAMPIONS]
    elos = {rated.model: rated.elo for rated in facts.ratings if rated.elo is not None}
    rated = [model for model in former if model in elos]
    if rated:
        return max(rated, key=lambda model: elos[model])
    return former[0] if former else None
