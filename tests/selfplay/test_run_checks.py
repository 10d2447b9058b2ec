"""What a run does about breaches, scarce machines, plain rules and pools."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringrift.core.errors import BusyError, SettingsError
from ringrift.core.limits import State
from ringrift.records import Journal, build_record
from ringrift.rules import Position
from ringrift.selfplay.anomalies import breach_of
from ringrift.selfplay.guarding import RunGuard
from ringrift.selfplay.plain_rules import PlainRules, first_difference, trail
from ringrift.selfplay.run import play_run
from ringrift.selfplay.run_folder import indices_of, ranges_of
from ringrift.selfplay.state_pools import PoolOrder, StatePool
from ringrift.selfplay.tally import Tally
from ringrift.selfplay.workers import WorkerPool

from .runs import SQUARE8, Free, order, plan, stored


def moves_of(count: int) -> list[int]:
    position, moves = Position.of(SQUARE8), []
    for ply in range(count):
        legal = position.legal_packed().tolist()
        moves.append(legal[(7 * ply) % len(legal)])
        position.play(moves[-1])
    return moves


def game(made: Any, index: int, reason: str | None = None) -> Any:
    """Return a game of the plan, cut after 40 plies for `reason`."""
    from ringrift.records import AgentRef, GameMeta

    agents = [AgentRef(spec=a.text, agent_hash=a.agent_hash) for a in made.resolved()] * 2
    return build_record(
        SQUARE8, made.game(index).seed, agents, moves_of(40),
        end="aborted", reason=reason, max_plies=500,
        meta=GameMeta(run="run-of-a-test", index=index),
    )  # fmt: skip


@pytest.mark.slow
def test_a_breach_fails_the_run_and_leaves_a_reproducer(tmp_path: Path) -> None:
    made = plan("random")
    asked = order(tmp_path, made, games=2, resume=True, fail_on_anomaly=True, workers=1)
    with Journal(asked.places.journal) as journal:
        journal.append(game(made, 0, "INV-HASH"))
    outcome = play_run(asked, guard=Free())
    assert outcome.complete
    assert outcome.failed == "anomalies: INV-HASH 1"
    assert outcome.summary["ends"] == {"aborted": 1, "game_over": 1}
    (file,) = (tmp_path / "run" / "anomalies").iterdir()
    found = json.loads(file.read_text())
    assert found["anomaly"] == "INV-HASH"
    assert found["seed"] == made.game(0).seed
    assert len(found["moves"].split(";")) == 40
    position = Position.of(SQUARE8)
    for text in found["moves"].split(";"):
        position.play(text)
    assert position.ply == 40
    from ringrift.records.replayable import read_replayable

    replayed = read_replayable(file, None)
    assert (len(replayed.moves), replayed.fault) == (40, None)


def test_a_player_without_a_move_ends_a_strict_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan("random")
    monkeypatch.setenv("RINGRIFT_STRICT_NO_MOVE_INVARIANT", "1")
    for number, reason in enumerate(["INV-ACTIVE-NO-MOVES", "INV-HASH"]):
        asked = order(tmp_path / str(number), made, games=1, resume=True)
        with Journal(asked.places.journal) as journal:
            journal.append(game(made, 0, reason))
        outcome = play_run(asked, guard=Free())
        if number == 0:
            assert outcome.failed is not None
            assert "INV-ACTIVE-NO-MOVES" in outcome.failed
        else:
            assert outcome.failed is None
    monkeypatch.setenv("RINGRIFT_STRICT_NO_MOVE_INVARIANT", "0")
    assert not order(tmp_path / "0", made).strict_no_moves
    monkeypatch.setenv("RINGRIFT_STRICT_NO_MOVE_INVARIANT", "perhaps")
    with pytest.raises(SettingsError, match="perhaps"):
        order(tmp_path / "0", made)


def test_only_invariants_are_breaches() -> None:
    made = plan("random")
    assert breach_of(game(made, 0, "ValueError: x")) is None
    found = breach_of(game(made, 0, "INV-S-MONOTONIC"))
    assert found is not None
    assert (found.kind, found.ply) == ("INV-S-MONOTONIC", 39)


@pytest.mark.slow
def test_plain_rules_agree_at_every_ply_and_a_difference_is_found() -> None:
    record = game(plan("random"), 0, "x")
    with PlainRules() as plain:
        assert plain.difference(record) is None
    ours = trail(SQUARE8, None, record.moves)
    assert len(ours[0]) == 41
    for field in range(3):
        wrong = list(ours[0])
        wrong[20] = tuple(0 if i == field else v for i, v in enumerate(wrong[20]))  # type: ignore[assignment]
        found = first_difference(ours, (wrong, None))
        assert found is not None
        assert found.ply == 19
    stopped = trail(SQUARE8, None, [*record.moves[:10], record.moves[0]])
    assert stopped[1] is not None
    found = first_difference((ours[0][:11], None), stopped)
    assert found is not None
    assert found.ply == 10


def test_indices_are_written_as_ranges() -> None:
    indices = {0, 1, 2, 5, 9, 10}
    assert ranges_of(indices) == [[0, 2], [5, 5], [9, 10]]
    assert indices_of(ranges_of(indices)) == indices
    assert ranges_of([]) == []


def test_a_tally_survives_its_checkpoint() -> None:
    made, tally = plan("random"), Tally(players=2)
    tally.add((game(made, 0, "x"), ()))
    tally.add((game(made, 1, "x"), ()))
    tally.anomalies["INV-HASH"] += 1
    again = Tally.from_tree(json.loads(json.dumps(tally.as_tree())))
    assert again == tally
    assert again.quantiles() == dict.fromkeys(["0", "0.1", "0.25", "0.5", "0.75", "0.9", "1"], 40)
    again.add((game(made, 2, "x"), ()))
    assert again.agents["random"]["aborted"] == 6


def test_a_pool_takes_every_kth_position_up_to_its_size(tmp_path: Path) -> None:
    path = tmp_path / "pools" / "p.jsonl"
    record = game(plan("random"), 0, "x")
    pool = StatePool(PoolOrder(board="square8", path=path, most=5, every=4))
    pool.add(record)
    pool.add(record)
    pool.write()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [len(line["moves"].split(";")) for line in lines] == [4, 8, 12, 16, 20]
    assert len({line["id"] for line in lines}) == 5
    more = StatePool(PoolOrder(board="square8", path=path, most=7, every=4))
    more.add(record)
    assert len(more) == 7
    other = StatePool(PoolOrder(board="hexagonal", path=tmp_path / "no", most=7, every=4))
    other.add(record)
    assert len(other) == 0


class Machine:
    """Readings that a test sets."""

    def __init__(self) -> None:
        self.state = State.OK
        self.ending = False

    def due(self, games: int) -> bool:
        return games % 50 == 0

    def verdicts(self) -> list[Any]:
        from ringrift.core.limits import judge
        from ringrift.core.readings import read
        from ringrift.core.settings.limits import Limits

        verdict = judge(read(Path("/")), Limits())[0]
        return [replace(verdict, state=self.state)]

    def must_stop(self) -> list[Any]:
        return self.verdicts() if self.ending else []


def test_the_guard_pauses_at_a_warning_and_ends_when_that_lasts(tmp_path: Path) -> None:
    machine, now = Machine(), [0.0]
    told: list[tuple[str, ...]] = []
    guard = RunGuard(
        watch=machine, root=tmp_path, config="square8_2p", patience_s=300,
        on_change=told.append, clock=lambda: now[0],
    )  # fmt: skip
    guard.look(0)
    assert not guard.holds
    machine.state = State.WARNING
    guard.look(49)
    assert not guard.holds  # looked at every 50 games
    guard.look(50)
    assert (guard.holds, guard.ends, len(told)) == (True, False, 1)
    machine.state = State.OK
    guard.look(51)  # at every turn while it holds
    assert (guard.holds, told[-1]) == (False, ())
    machine.state = State.WARNING
    guard.look(100)
    now[0] = 301.0
    guard.look(101)
    assert guard.ends
    assert isinstance(guard.error, BusyError)


def test_the_guard_ends_a_run_at_a_critical_resource_and_at_a_halt(tmp_path: Path) -> None:
    machine = Machine()
    guard = RunGuard(watch=machine, root=tmp_path, config="square8_2p", patience_s=300)
    machine.ending = True
    guard.look(50)
    assert guard.ends
    assert guard.holds
    halted = RunGuard(watch=Machine(), root=tmp_path, config="square8_2p", patience_s=300)
    folder = tmp_path / "data" / "coordination"
    folder.mkdir(parents=True)
    (folder / "HALT.square8_2p").touch()
    halted.look(1)
    assert halted.error is not None
    assert "halted" in halted.error.message


@pytest.mark.acceptance
def test_a_worker_above_its_share_is_replaced(tmp_path: Path) -> None:
    from ringrift.selfplay.player import Hygiene

    made = plan("random")
    outcome = play_run(
        order(tmp_path, made, games=1500, hygiene=Hygiene(memory_mb=64), games_per_worker=8),
        guard=Free(),
    )
    assert outcome.summary["workers_replaced"] > 0
    assert len(stored(tmp_path)) == 1500


@pytest.mark.acceptance
def test_five_thousand_games_leave_memory_flat() -> None:
    """At most 1 MiB per 1,000 random square8 games after the first thousand (selfplay.md 5)."""
    from ringrift.selfplay.workers import _resident_bytes

    made = plan("random")
    sizes: list[int] = []
    with WorkerPool(1, 64) as pool:
        for number, _ in enumerate(pool.play(made.job("memory"), made.games(range(6000))), 1):
            if number % 500 == 0 and pool.pids:
                sizes.append(_resident_bytes(pool.pids[0]))
    growth = (sizes[-1] - sizes[1]) / (1 << 20) / 5
    print(f"growth {growth:.3f} MiB per 1,000 games")
    assert growth <= 1.0
