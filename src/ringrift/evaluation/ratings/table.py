"""The rows of a fit as they stand in its file: plain values, the same bytes for the same games."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.core.ids import canonical_json, content_id
from ringrift.evaluation.ratings.fit import (
    ANCHOR,
    ANCHOR_ELO,
    ELO,
    Z95,
    Fit,
    FitRules,
    frozen_specs,
)
from ringrift.evaluation.ratings.games import RatedGames
from ringrift.evaluation.ratings.pairings import Pairing, pairings, transitivity

FORMAT = "ringrift.ratings/1"

Row = dict[str, Any]


def digest_of(ids_hash: str, rules: FitRules, parents: dict[str, str]) -> str:
    """Return 64 hex digits of a set of games and what it is fitted with."""
    content = [FORMAT, ids_hash, settings_tree(rules), sorted(parents.items())]
    return content_id("ratings", canonical_json(content))


def settings_tree(rules: FitRules) -> dict[str, Any]:
    """Return what a fit is made with, as it stands in its file."""
    return {
        "places": rules.places,
        "prior_draws": rules.prior_draws,
        "min_games": rules.min_games,
        "anchor": {"spec": ANCHOR, "elo": ANCHOR_ELO},
    }


def tree_of(fit: Fit, digest: str) -> dict[str, Any]:
    """Return a fit with its report; ratings, errors and intervals are rounded to 0.1 Elo.

    `ratings` come in order of Elo, unrated agents last. `pairings` are lists of the places in
    `ratings` of both agents, their games, the share of orders in which the first stood above, what
    the fit expects, and the distance in standard deviations.
    """
    met = pairings(fit)
    rows = _rows(fit, met)
    return {
        "format": FORMAT,
        "config": fit.games.config,
        "digest": digest,
        "games": len(fit.games.ids),
        "settings": settings_tree(fit.rules),
        "ratings": rows,
        "seats": _seats(fit),
        "pairings": _pairings(fit.games, rows, met),
        "report": _report(fit, met),
    }


def _pairings(games: RatedGames, rows: list[Row], met: tuple[Pairing, ...]) -> list[list[Any]]:
    place = {row["agent_hash"]: number for number, row in enumerate(rows)}
    hashes = [who.agent_hash for who in games.participants]
    found = []
    for pairing in met:
        numbers = _pairing(games, pairing)
        first, second = place[hashes[pairing.first]], place[hashes[pairing.second]]
        found.append([first, second, *(numbers[n] for n in ("games", "observed", "fitted", "z"))])
    return found


def _rows(fit: Fit, met: tuple[Pairing, ...]) -> list[Row]:
    counts, against = _Counts(fit.games), _against_frozen(fit.games, met)
    frozen = frozen_specs(fit.games.config)
    rows = []
    for agent, who in enumerate(fit.games.participants):
        elo, se = fit.elo(agent), fit.se(agent)
        rows.append(
            {
                "agent_hash": who.agent_hash,
                "spec": who.spec,
                "model_id": who.model_id,
                "frozen": frozen.get(who.spec),
                "elo": _rounded(elo),
                "se": _rounded(se),
                "elo_ci95": None
                if elo is None or se is None
                else [_rounded(elo - Z95 * se), _rounded(elo + Z95 * se)],
                "se_method": _method(fit, agent),
                "unconnected": elo is None,
                "provisional": counts.games_of(agent) < fit.rules.min_games,
                **counts.of(agent),
                "against": against[agent],
            }
        )
    return sorted(
        rows, key=lambda row: (row["elo"] is None, -(row["elo"] or 0.0), row["agent_hash"])
    )


def _method(fit: Fit, agent: int) -> str | None:
    place = fit.place(agent)
    if place is None or fit.strengths is None:
        return None
    return "blocks" if fit.strengths.by_blocks(place) else "hessian"


class _Counts:
    """What the games say of each participant without any model."""

    def __init__(self, games: RatedGames) -> None:
        self._games = games
        count, players = len(games.participants), games.players
        seats, ranks = games.seats, games.ranks
        first = np.ones_like(seats, dtype=bool)  # of an agent in several seats the first counts
        for seat in range(1, players):
            first[:, seat] = (seats[:, :seat] != seats[:, [seat]]).all(axis=1)
        met = (seats != seats[:, [0]]).any(axis=1) & games.finished
        winners = seats[np.arange(len(seats)), np.where(ranks == 1, 0, 1).argmin(axis=1)]
        self._played = _per_agent(seats, first, count)
        self._met = _per_agent(seats, first & met[:, None], count)
        self._won = np.bincount(winners[met], minlength=count)
        self._capped = _per_agent(seats, first & games.capped[:, None], count)
        self._sat = np.stack(
            [np.bincount(seats[met, seat], minlength=count) for seat in range(players)]
        )
        self._won_from = np.stack(
            [
                np.bincount(seats[met & (ranks[:, seat] == 1), seat], minlength=count)
                for seat in range(players)
            ]
        )
        self._last = np.full(count, -math.inf)
        known = np.isfinite(games.started)
        for seat in range(players):
            np.maximum.at(self._last, seats[known, seat], games.started[known])

    def games_of(self, agent: int) -> int:
        """Return the finished games of a participant against others."""
        return int(self._met[agent])

    def of(self, agent: int) -> Row:
        """Return games, wins, losses, capped games, win share by seat and the last game's start."""
        last = float(self._last[agent])
        return {
            "games": int(self._met[agent]),
            "wins": int(self._won[agent]),
            "losses": int(self._met[agent] - self._won[agent]),
            "capped": int(self._capped[agent]),
            "by_seat": [
                None if not sat else round(float(won) / float(sat), 4)
                for sat, won in zip(self._sat[:, agent], self._won_from[:, agent], strict=True)
            ],
            "last_game": None if math.isinf(last) else utc(last),
        }


def _per_agent(
    seats: NDArray[np.int64], chosen: NDArray[np.bool_], count: int
) -> NDArray[np.int64]:
    return np.bincount(seats[chosen], minlength=count)


def _against_frozen(games: RatedGames, met: tuple[Pairing, ...]) -> dict[int, list[Row]]:
    """Return the share of orders above each frozen agent, by participant."""
    names = frozen_specs(games.config)
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for pairing in met:
        for agent, other, share in (
            (pairing.first, pairing.second, pairing.observed),
            (pairing.second, pairing.first, 1.0 - pairing.observed),
        ):
            name = names.get(games.participants[other].spec)
            if name is not None:
                found[agent].append(
                    {
                        "name": name,
                        "agent_hash": games.participants[other].agent_hash,
                        "games": pairing.games,
                        "score": round(share, 4),
                    }
                )
    return found


def _seats(fit: Fit) -> list[Row]:
    """Return the effect of each seat in Elo with its 95 % interval."""
    if fit.strengths is None:
        return []
    rows = []
    for seat, gamma in enumerate(fit.strengths.gamma):
        elo = ELO * float(gamma)
        se = ELO * math.sqrt(max(0.0, fit.strengths.variance_of_seat(seat)))
        ends = [_rounded(elo - Z95 * se), _rounded(elo + Z95 * se)]
        rows.append({"seat": seat + 1, "elo": _rounded(elo), "elo_ci95": ends})
    return rows


def _pairing(games: RatedGames, pairing: Pairing) -> Row:
    return {
        "first": games.participants[pairing.first].agent_hash,
        "second": games.participants[pairing.second].agent_hash,
        "games": pairing.games,
        "observed": round(pairing.observed, 4),
        "fitted": None if pairing.fitted is None else round(pairing.fitted, 4),
        "z": None if pairing.z is None else round(pairing.z, 2),
    }


def _report(fit: Fit, met: tuple[Pairing, ...]) -> Row:
    games, judged = fit.games, transitivity(met)
    total = len(games.ids)
    return {
        "participants": len(games.participants),
        "rated": len(fit.fitted),
        "blocks": 0 if fit.strengths is None else fit.strengths.all_blocks,
        "capped": int(games.capped.sum()),
        "capped_share": round(float(games.capped.mean()), 4) if total else None,
        "pairs": judged.pairs,
        "chi_square": round(judged.chi_square, 2),
        "degrees": judged.degrees,
        "p": None if judged.p is None else float(f"{judged.p:.3g}"),
        "non_transitive": [_pairing(games, pairing) for pairing in judged.outliers],
    }


def _rounded(value: float | None) -> float | None:
    """Return a number of Elo to 0.1; there is one zero."""
    return None if value is None else round(value, 1) + 0.0


def utc(seconds: float) -> str:
    """Return Unix seconds as UTC ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
