"""A newer model during a run: games begun from then on play with it, a bad one changes nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from ringrift.cli.model_references import ModelReferences
from ringrift.core.errors import RingriftError
from ringrift.nets.nnue.file import init_nnue
from ringrift.records import GameRecord, GameStore
from ringrift.rules import BoardSpec
from ringrift.selfplay.generator import play_here
from ringrift.selfplay.reload import ModelWatch, with_model
from ringrift.selfplay.run import play_run
from ringrift.selfplay.run_plan import RunPlan
from ringrift.selfplay.summary import Session

from .runs import NAME, SQUARE8, Free, order, plan

GAMES = 40
AGENT = "gumbel@{}:m=2,sims=2"


def model(folder: Path, seed: int, spec: BoardSpec = SQUARE8) -> tuple[str, Path]:
    """Return id and file of a NNUE of random weights."""
    path = init_nnue(spec, folder=folder, seed=seed, hidden=32, policy=True)
    return ModelReferences(None).model_id(str(path), spec), path


class Alias:
    """A name that is made to mean one file after another."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def point_at(self, file: Path) -> None:
        aside = self.path.with_suffix(".new")
        aside.symlink_to(file)
        aside.replace(self.path)

    def current(self) -> tuple[str, Path]:
        found = ModelReferences(None)
        return found.model_id(str(self.path), SQUARE8), self.path.resolve()


def games_of(made: RunPlan, indices: list[int]) -> dict[int | None, str]:
    return {r.meta.index: r.id for r, _ in play_here(made.job(NAME), made.games(indices))}


@pytest.mark.slow
def test_an_alias_switched_in_mid_run(tmp_path: Path) -> None:
    """To one of another board first, which is one alert, then to one that fits."""
    (old, file), (new, newer) = (model(tmp_path, seed) for seed in (1, 2))
    _, foreign = model(tmp_path, 3, BoardSpec.create("hex8"))
    alias = Alias(tmp_path / "champion.safetensors")
    alias.point_at(file)
    watch = ModelWatch(model=old, every=4, current=alias.current, alerts=[])
    made = plan(AGENT.format(old), models={old: str(file)})
    turns = [newer, foreign]

    def switch(session: Session) -> None:
        if turns and session.games >= 6 and len(watch.alerts) == 2 - len(turns):
            alias.point_at(turns.pop())
        while watch._probe is not None and not watch._probe.done:
            time.sleep(0.02)  # or the games would be over before the probe is

    asked = order(
        tmp_path, made, games=GAMES, workers=2, games_per_worker=4, watch=watch, jsonl=False
    )
    outcome = play_run(asked, guard=Free(), on_progress=switch)
    assert outcome.complete
    (alert,) = outcome.summary["alerts"]
    assert f"{old[:12]} stays" in alert
    assert "hex8" in alert
    with GameStore.open(tmp_path / "games.db") as store:
        records = [record for _, record, _ in store.records()]
    played: dict[str | None, list[GameRecord]] = {old: [], new: []}
    for record in records:
        assert len({agent.model_id for agent in record.agents}) == 1
        played[record.agents[0].model_id].append(record)
    assert len(records) == GAMES
    assert len(played[old]) >= 6
    assert len(played[new]) >= 4
    switched = with_model(made, old, new, newer)
    for own, name in ((made, old), (switched, new)):
        ids = {record.meta.index: record.id for record in played[name]}
        assert ids == games_of(own, [index for index in ids if index is not None])
        assert all(own.seats_those_of(record) for record in played[name])
    assert not any(made.seats_those_of(record) for record in played[new])


def test_a_newer_model_takes_the_old_ones_seats() -> None:
    old, new = "a" * 64, "b" * 64
    made = plan(f"gumbel@{old}:sims=4", "random", models={old: "old.safetensors"})
    changed = with_model(made, old, new, Path("new.safetensors"))
    assert changed.seating.agents == (f"gumbel@{new}:sims=4", "random")
    assert changed.models == {new: "new.safetensors"}
    assert changed.game(3).seed == made.game(3).seed


def test_an_alias_that_cannot_be_read_is_one_alert_and_is_looked_at_in_turn() -> None:
    looks = 0

    def broken() -> tuple[str, Path]:
        nonlocal looks
        looks += 1
        raise RingriftError("no model 'champion'")

    made: Any = plan("random")
    watch = ModelWatch(model="a" * 64, every=10, current=broken, alerts=[])
    for games in range(35):
        assert watch.newer(made, games) is made
    assert (looks, len(watch.alerts)) == (3, 1)
    same = ModelWatch(model="a" * 64, every=10, current=lambda: ("a" * 64, Path()), alerts=[])
    assert same.newer(made, 10) is made
    assert same.alerts == []
