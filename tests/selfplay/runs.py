"""Small runs of self-play for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ringrift.core.errors import BusyError
from ringrift.records import GameStore, read_jsonl
from ringrift.rules import BoardSpec
from ringrift.selfplay.modes import seating_of_specs
from ringrift.selfplay.openings import Openings
from ringrift.selfplay.recording import Places
from ringrift.selfplay.run import RunOrder
from ringrift.selfplay.run_folder import RunFolder
from ringrift.selfplay.run_plan import RunPlan, key_of

SQUARE8 = BoardSpec.create("square8")
NAME = "run-of-a-test"


class Free:
    """A machine with room for everything."""

    error: BusyError | None = None
    holds = False
    ends = False

    def look(self, games: int) -> None:
        """See nothing."""


def plan(*agents: str, spec: BoardSpec = SQUARE8, **fields: Any) -> RunPlan:
    seats = seating_of_specs(agents or ("random",), spec.players)
    openings = Openings(choices=(0, 2))
    given: dict[str, Any] = {"spec": spec, "seed": 7, "seating": seats, "max_plies": 500}
    return RunPlan(**(given | {"openings": openings} | fields))


def order(
    folder: Path, made: RunPlan | None = None, *, jsonl: bool = True, **fields: Any
) -> RunOrder:
    """Return an order in `folder`, whose header is written unless it is there."""
    made = plan() if made is None else made
    place = RunFolder(folder / "run")
    tree = made.as_tree()
    if not place.started:
        place.begin(
            {
                "run": NAME,
                "key": key_of(tree),
                "preset": "run",
                "mode": "agents",
                "plan": tree,
                "unavailable": list(made.unavailable),
                "folder": str(place.path),
                "store": None,
                "jsonl": None,
            }
        )
    places = Places(
        journal=folder / f"{NAME}.journal",
        store=folder / "games.db",
        jsonl=folder / "games.jsonl" if jsonl else None,
    )
    asked: dict[str, Any] = {"plan": made, "run": NAME, "games": 20, "folder": place}
    return RunOrder(**(asked | {"places": places} | fields))


def stored(folder: Path) -> list[str]:
    """Return the ids in the store, sorted."""
    with GameStore.open(folder / "games.db") as store:
        return sorted(store.game_ids())


def written(folder: Path) -> list[str]:
    """Return the ids in the JSON lines, sorted, each as often as it stands there."""
    return sorted(record.id for record, _ in read_jsonl(folder / "games.jsonl"))
