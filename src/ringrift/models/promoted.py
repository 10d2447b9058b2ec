"""`models/promoted_models.json`: the champions, for readers that know nothing else (`models.md` 2)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ringrift.core.files import lock, write_atomic
from ringrift.core.log import get_logger
from ringrift.models.decisions import MOVES_CHAMPION
from ringrift.models.names import best_alias
from ringrift.models.registry import model_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ringrift.models.decisions import Chain
    from ringrift.models.listing import Rating

log = get_logger(__name__)

FILE = "promoted_models.json"
LOCK_WAIT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    """A champion: its id, when it became one, its rating as far as it is known.

    `elo` is on the scale of the leaderboard, where `random` has 400; `games` are those of the
    decision that made it champion.
    """

    model_id: str
    promoted_at: str
    games: int | None = None
    elo: float | None = None
    elo_ci95: tuple[float, float] | None = None

    @classmethod
    def of(cls, chain: Chain, rating: Rating | None = None) -> Promoted:
        """Return the champion of a chain that has one, with its fitted rating."""
        made = next(
            decision
            for decision in reversed(chain.decisions)
            if decision.kind in MOVES_CHAMPION and decision.champion == chain.champion
        )
        games = made.inputs.get("games")
        return cls(
            model_id=made.champion,
            promoted_at=made.at,
            games=games if isinstance(games, int) else None,
            elo=None if rating is None else rating.elo,
            elo_ci95=None if rating is None else (rating.low, rating.high),
        )


def write_promoted(models: Path, champions: Mapping[str, Promoted]) -> bool:
    """Write the champions of some configurations, keeping the others; return whether any is new."""
    path = models / FILE
    with lock(models / ".promoted.lock", timeout_s=LOCK_WAIT_S, what=FILE):
        known = _read(path)
        wanted = {**known, **{config: _entry(models, config, c) for config, c in champions.items()}}
        if wanted == known:
            return False
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        tree = {"updated_at": now, "models": {config: wanted[config] for config in sorted(wanted)}}
        write_atomic(path, json.dumps(tree, indent=1).encode() + b"\n")
    return True


def _entry(models: Path, config: str, champion: Promoted) -> dict[str, Any]:
    path = model_path(models / "objects", champion.model_id)
    return {
        "model_id": champion.model_id,
        "alias_id": best_alias(config),
        "path": path.relative_to(models).as_posix(),
        "elo_rating": champion.elo,
        "elo_ci95": None if champion.elo_ci95 is None else list(champion.elo_ci95),
        "games_played": champion.games,
        "promoted_at": champion.promoted_at,
    }


def _read(path: Path) -> dict[str, Any]:
    """Return the champions that stand in the file; a damaged one is written anew."""
    try:
        found = json.loads(path.read_bytes())["models"]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("promoted_models.json is written anew", file=str(path), why=repr(error))
        return {}
    return found if isinstance(found, dict) else {}
