"""The 27 features: against a recount from the definitions, by hand-made changes, in plain Python."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ringrift
from ringrift.agents import evaluation
from ringrift.agents.evaluation import FEATURES
from ringrift.agents.explain import breakdown, features, values
from ringrift.agents.full import FIRST_FULL
from ringrift.agents.listing import scratch
from ringrift.agents.protocol import finished
from ringrift.agents.weights import shipped_profile
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables, geometry
from ringrift.rules.jitconf import COMPILED

from .games import CONFIGURATIONS, random_game
from .plain_heuristic import evaluated
from .recount import recount
from .sampled import sampled_states

CONFIGS = [f"{board}_{players}p" for board, players in CONFIGURATIONS]


def spec_of(config: str) -> BoardSpec:
    board, _, seats = config.rpartition("_")
    return BoardSpec.create(board, int(seats[0]))


def check_recount(config: str, count: int, seed: int) -> None:
    spec = spec_of(config)
    for state in sampled_states(spec, count, seed):
        position = Position(spec, state.reshape(1).copy())
        found = features(position)
        for seat, wanted in enumerate(recount(position), start=1):
            named = dict(zip(FEATURES, found[seat - 1].tolist(), strict=True))
            if position.is_over:  # its text does not say that the last mover had recovered
                wanted["region"] = named["region"]
            assert named == pytest.approx(wanted, abs=1e-9), f"seat {seat} of {position}"


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS)
def test_features_are_those_of_the_definitions(config: str) -> None:
    check_recount(config, 120 if spec_of(config).cells < 100 else 24, seed=1)


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("config", CONFIGS)
def test_features_of_many_positions_are_those_of_the_definitions(config: str) -> None:
    check_recount(config, 10_000 if spec_of(config).cells < 100 else 2_000, seed=2)


# --- plain Python and compiled


def check_plain(config: str, count: int, folder: Path) -> None:
    states = sampled_states(spec_of(config), count, seed=3)
    np.save(folder / "states.npy", states)
    package = str(Path(ringrift.__file__).resolve().parents[1])
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": package}
    script = str(Path(__file__).with_name("plain_heuristic.py"))
    command = [sys.executable, script, config, "states.npy", "out.npz"]
    subprocess.run(command, env=environment, cwd=folder, check=True)
    here, there = evaluated(config, states), np.load(folder / "out.npz")
    for name, found in here.items():
        assert np.abs(found - there[name]).max() < 1e-6, name


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="this run is the plain mode itself")
@pytest.mark.parametrize("config", CONFIGS)
def test_plain_python_evaluates_alike(config: str, tmp_path: Path) -> None:
    check_plain(config, 200 if spec_of(config).cells < 100 else 320, tmp_path)


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not COMPILED, reason="this run is the plain mode itself")
@pytest.mark.parametrize("config", CONFIGS)
def test_plain_python_evaluates_ten_thousand_alike(config: str, tmp_path: Path) -> None:
    check_plain(config, 10_000, tmp_path)


# --- seats


def rotated(state: np.ndarray, players: int) -> np.ndarray:
    """The same position with every seat renamed to the next."""
    other = state.copy()
    to = np.array([0] + [p % players + 1 for p in range(1, players + 1)])
    seats = np.arange(1, players + 1)
    code = np.arange(lay.CODES)
    for base in (lay.MARKER, lay.STACK, lay.COLLAPSED):
        code[base + seats] = base + to[seats]
    other["cell"] = code[state["cell"]]
    other["owner"] = to[state["owner"]]
    other["count"][code] = state["count"][: lay.CODES]
    for name in ("hand", "elim", "terr", "rings", "out_turn"):
        other[name][to[seats]] = state[name][seats]
    for i in (lay.CUR, lay.LPS_STREAK_SEAT, lay.WINNER):
        other["misc"][i] = to[state["misc"][i]]
    return other


@pytest.mark.parametrize("config", CONFIGS)
def test_rotating_seats_rotates_scores(config: str) -> None:
    spec = spec_of(config)
    states = sampled_states(spec, 100, seed=4)
    turned = np.concatenate([rotated(s.reshape(1)[0], spec.players).reshape(1) for s in states])
    here, there = (evaluated(config, part) for part in (states, turned))
    open_ones = ~finished(states)
    scored = here["features"][open_ones, 1 : spec.players + 1]
    again = there["features"][open_ones, 1 : spec.players + 1]
    assert np.roll(scored, 1, axis=1) == pytest.approx(again, abs=1e-9)
    for name in ("values", "light"):
        assert np.roll(here[name][open_ones], 1, axis=1) == pytest.approx(there[name][open_ones])


# --- each feature by hand


class Scene:
    """A position made by hand on any board: cells are (x, y) from a cell near the middle.

    Seat 1 has the ring stack at (-2, 0) and seat 2 that at (0, 2); nothing else is on the board.
    """

    def __init__(self, config: str) -> None:
        self.spec = spec_of(config)
        g = geometry(self.spec.board)
        self.hex, self.middle = g.hex, 0 if g.hex else g.size // 2 - 1
        self.stacks = {(-2, 0): "1", (0, 2): "2"}
        self.markers: dict[tuple[int, int], int] = {}
        self.collapsed: dict[tuple[int, int], int] = {}
        self.counts = {name: [0] * self.spec.players for name in ("hand", "elim", "terr")}
        self.streak = 0

    def around(self, x: int, y: int) -> list[tuple[int, int]]:
        return [(x + dx, y + dy) for dx, dy in geometry(self.spec.board).directions]

    def corner(self) -> tuple[int, int]:
        x = geometry(self.spec.board).coordinates[-1][:2]
        return (x[0] - self.middle, x[1] - self.middle)

    def position(self) -> Position:
        index = geometry(self.spec.board).index

        def written(cells: dict[tuple[int, int], Any]) -> str:
            keys = {}
            for (x, y), what in cells.items():
                a, b = x + self.middle, y + self.middle
                keys[f"{a},{b},{-a - b}" if self.hex else f"{a},{b}"] = what
            return " ".join(f"{key}:{keys[key]}" for key in sorted(keys, key=index.__getitem__))

        head = "ph=movement;cur=1;only=-;pend=-;act=0;rec=0;st=active;win=0"
        counts = ";".join(f"{k}={','.join(map(str, v))}" for k, v in self.counts.items())
        board = f"S={written(self.stacks)};M={written(self.markers)};C={written(self.collapsed)}"
        position = Position.parse(f"{head};{counts};{board}", spec=self.spec)
        if self.streak:
            position._states[0]["misc"][lay.LPS_STREAK] = self.streak
            position._states[0]["misc"][lay.LPS_STREAK_SEAT] = 1
        return position


def add_stack(scene: Scene) -> None:
    scene.stacks[1, -1] = "1"


def raise_stack(scene: Scene) -> None:
    scene.stacks[-2, 0] = "11"


def count_up(name: str) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        scene.counts[name][0] += 1

    return change


def own_territory(scene: Scene) -> None:
    scene.counts["terr"][0] = 1
    scene.collapsed[2, 0] = 1


def one_marker(scene: Scene) -> None:
    scene.markers[2, 0] = 1


def central_stack(scene: Scene) -> None:
    scene.stacks[0, 0] = "1"


def wall_in(gaps: int) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        for cell in scene.around(-2, 0)[gaps:]:
            scene.collapsed[cell] = 2

    return change


def no_stack(scene: Scene) -> None:
    del scene.stacks[-2, 0]


def meet(scene: Scene) -> None:
    scene.stacks[-2, 1] = "22"


def bury(scene: Scene) -> None:
    scene.stacks[-2, 0] = "21"


def bury_all(scene: Scene) -> None:
    del scene.stacks[-2, 0]
    scene.stacks[0, 2] = "12"
    scene.markers[2, 0] = 1


def streak(scene: Scene) -> None:
    scene.streak = 1


def on_a_ray(scene: Scene) -> None:
    scene.stacks[-2, 0] = "11"  # and not the other way round
    scene.stacks[0, 0] = "2"


def row(missing: int) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        least = scene.spec.line_length
        if missing == 0:
            least = max(least, scene.spec.base_line_length)
        for i in range(least - missing):
            scene.markers[-2 + i, -1] = 1

    return change


def post(scene: Scene) -> None:
    scene.markers[0, 1] = 1


def pocket(scene: Scene) -> None:
    """Lock seat 2 into a corner: seat 1 can take that, seat 2 all the rest."""
    del scene.stacks[0, 2]
    scene.stacks[scene.corner()] = "2"
    index = set(geometry(scene.spec.board).coordinates)
    for x, y in scene.around(*scene.corner()):
        a, b = x + scene.middle, y + scene.middle
        if ((a, b, -a - b) if scene.hex else (a, b)) in index:
            scene.markers[x, y] = 1


CHANGES: dict[str, Callable[[Scene], None]] = {
    "stacks": add_stack, "height": raise_stack, "cap": raise_stack, "hand": count_up("hand"),
    "elim": count_up("elim"), "territory": own_territory, "ring_goal": count_up("elim"),
    "territory_goal": own_territory, "markers": one_marker, "center": central_stack,
    "mobility": wall_in(3), "blocked": wall_in(0), "no_stack": no_stack, "one_stack": add_stack,
    "fe_risk": wall_in(1), "adjacent": meet, "buried": bury, "recovery": bury_all, "lps": streak,
    "attacks": on_a_ray, "exposed": on_a_ray, "line_half": row(2), "line_near": row(1),
    "line_full": row(0), "fence": row(0), "intruders": post, "region": pocket,
}  # fmt: skip


def valued(position: Position, weights: np.ndarray) -> list[float]:
    out = np.zeros((1, position.spec.players))
    evaluation.evaluate_all(
        position._states, 1, board_tables(position.spec), scratch(), weights, 1.0, out
    )
    return out[0].tolist()


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("config", CONFIGS)
def test_a_change_of_one_feature_changes_the_value(config: str, name: str) -> None:
    """By the feature's weight alone, lightly and in full where it is light, and by the profile's."""
    before, after = Scene(config), Scene(config)
    CHANGES[name](after)
    one, other = before.position(), after.position()
    k = FEATURES.index(name)
    for size in {len(FEATURES), FIRST_FULL} if k < FIRST_FULL else {len(FEATURES)}:
        weights = np.zeros(size)
        weights[k] = 0.1
        assert valued(one, weights) != valued(other, weights)
    assert values(one) != values(other)
    assert features(other) == pytest.approx(np.array([list(s.values()) for s in recount(other)]))


# --- finished games


@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_a_finished_game_has_the_value_of_its_ranking(board: str, players: int) -> None:
    small = {"rings_per_player": 4} if board in ("square19", "hexagonal") else {}
    end = random_game(BoardSpec.create(board, players, **small), 5)[-1]
    ranking = end.result.ranking
    wanted = [sum((o > r) - (o < r) for o in ranking) / (players - 1) for r in ranking]
    assert values(end) == pytest.approx(wanted)


@pytest.mark.parametrize("config", CONFIGS)
def test_values_sum_to_nothing_and_follow_from_the_scores(config: str) -> None:
    """`v[p] = mean over o of tanh(gain * (score[p] - score[o]) / 2)`, written out again."""
    spec = spec_of(config)
    profile = shipped_profile(config)
    for state in sampled_states(spec, 40, seed=6):
        position = Position(spec, state.reshape(1).copy())
        found = values(position, profile)
        assert abs(sum(found)) < 1e-6
        if position.is_over:
            continue
        scores = [sum(breakdown(position, p, profile).values()) for p in range(1, spec.players + 1)]
        wanted = [
            sum(np.tanh(profile.gain * (a - b) / 2) for b in scores) / (spec.players - 1)
            for a in scores
        ]
        assert found == pytest.approx(wanted, abs=1e-9)
