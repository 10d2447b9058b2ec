"""Our engine against the slow oracle of ../shared/oracle, an independent reading of rules.md."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .differential import ORACLE, compare_game, run
from .playouts import KINDS, Game, random_text
from .positions import CONFIGURATIONS, RINGS

pytestmark = pytest.mark.skipif(not ORACLE.is_dir(), reason=f"the oracle is not at {ORACLE}")


@pytest.mark.slow
@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_games_from_the_start(board: str, players: int) -> None:
    """Few rings, so that games reach their end; a stretch of a game with all rings as well."""
    few = {"rings_per_player": 4, "lps_rounds": 2}
    small = board.endswith("8")
    for seed in range(3 if small else 1):
        assert (
            compare_game(
                Game(board=board, players=players, options=few), seed, 350 if small else 180
            )
            > 50
        )
    assert (
        compare_game(Game(board=board, players=players, options={}), 1, 120 if small else 40) > 30
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_games_from_constructed_positions(board: str, players: int, kind: str) -> None:
    """Crowded boards, lines, pockets, recovery, walls, nearly bare boards, any phase of a turn."""
    import random

    rng = random.Random(f"{board}{players}{kind}")
    small = board.endswith("8")
    played = 0
    for seed in range(5 if small else 1):
        options: dict[str, int] = {"rings_per_player": RINGS[board]}
        if board == "hex8":
            options["base_line_length"] = 3 + seed % 2
        text = random_text(board, players, kind, rng)
        game = Game(board=board, players=players, options=options, text=text)
        played += compare_game(game, seed, 60 if small else 25)
    assert played > 0


@pytest.mark.slow
def test_every_kind_of_move_is_compared() -> None:
    """The generator of the long run reaches all kinds within a few thousand plies."""
    kinds = run(seed=5, total=4_000)
    wanted = {
        "P",
        "SP",
        "NP",
        "SW",
        "M",
        "C",
        "K",
        "SC",
        "NM",
        "R",
        "SR",
        "L",
        "O",
        "NL",
        "T",
        "ST",
        "NT",
        "E",
        "F",
    }
    assert set(kinds) == wanted


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_plies(capfd: pytest.CaptureFixture[str]) -> None:
    """Two processes of 50,000 plies each; their progress lines are passed on."""
    script = Path(__file__).with_name("differential.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with capfd.disabled():
        workers = [
            subprocess.Popen(
                [sys.executable, str(script), "--seed", str(seed), "--plies", "50000"],
                env=environment,
            )
            for seed in (21, 22)
        ]
        codes = [worker.wait() for worker in workers]
    assert codes == [0, 0]
