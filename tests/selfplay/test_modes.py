"""Engine modes: the agents of each, who sits where, and what is missing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ringrift.core.errors import UsageError
from ringrift.core.settings.selfplay import AgentWeights
from ringrift.rules import BoardSpec
from ringrift.selfplay.modes import (
    DIVERSE,
    ModelSet,
    ModeOptions,
    Seating,
    known_modes,
    seating,
    seating_of_specs,
)

SQUARE8 = BoardSpec.create("square8")
THREE = BoardSpec.create("hex8", 3)
LARGE = BoardSpec.create("square19", 2)
BEST, NNUE = "b" * 64, "a" * 64
ALL = ModelSet(best=BEST, nnue=NNUE, pool=(BEST, "c" * 64, "d" * 64), known=("ringrift_best",))
NONE = ModelSet()
WEIGHTS = AgentWeights().model_dump()


def make(mode: str, models: ModelSet = ALL, board: BoardSpec = SQUARE8, **options: Any) -> Seating:
    return seating(mode, board, models, ModeOptions(weights=WEIGHTS, **options))


@pytest.mark.parametrize(
    ("mode", "spec"),
    [
        ("random-only", "random"),
        ("random", "random"),
        ("heuristic-only", "heuristic"),
        ("minimax-only", "alphabeta"),
        ("gpu-minimax-only", "alphabeta"),
        ("maxn-only", "maxn"),
        ("brs-only", "brs"),
        ("mcts", f"mcts@{BEST}:sims=100"),
        ("mcts_only", f"mcts@{BEST}:sims=100"),
        ("descent-only", f"descent@{BEST}:sims=100"),
        ("policy-only", f"policy@{BEST}"),
        ("neural-demo-only", f"policy@{BEST}:tau=1"),
        ("gumbel-mcts", f"gumbel@{BEST}:sims=100"),
        ("nn-minimax", f"alphabeta@{NNUE}"),
        ("nn-descent", f"descent@{BEST}:sims=100"),
    ],
)
def test_a_kind_sits_at_all_seats(mode: str, spec: str) -> None:
    found = make(mode)
    assert found.agents == (spec,)
    assert found.seats(1, 5) == (0, 0)


def test_the_ladder_has_the_levels_of_its_band() -> None:
    canonical, light = make("mixed"), make("mixed", band="light")
    assert len(canonical.lots[0]) == 9
    assert f"alphabeta@{NNUE}:depth=3" in light.agents
    assert len(light.agents) == 4
    assert make("mixed", board=LARGE).agents == ("random", "heuristic:eps=0.3")
    sims = sorted(spec.partition("sims=")[2] for spec in canonical.agents if "@" in spec)
    assert {"100", "200", "400", "800"} <= set(sims)
    assert not [spec for spec in canonical.agents if ":ms=" in spec or ",ms=" in spec]


def test_mixed_of_hybrid_is_heuristic_and_random_choices() -> None:
    assert make("mixed", ladder=False, mix_ratio=0.8).agents == ("heuristic:eps=0.2",)
    light = make("mixed", ladder=False, mix_ratio=0.5, heuristic=("mode=light",))
    assert light.agents == ("heuristic:mode=light,eps=0.5",)


def test_draws_follow_the_weights_and_nothing_but_seed_index_and_seat() -> None:
    found = make("diverse")
    assert found.unavailable == ()
    drawn = Counter(seat for index in range(4000) for seat in found.seats(3, index))
    for (spec, weight), count in zip(
        found.lots[0], (drawn[i] for i in range(len(found.agents))), strict=True
    ):
        assert abs(count / 8000 - weight) < 0.02, spec
    assert [found.seats(3, i) for i in range(50)] == [found.seats(3, i) for i in range(50)]
    assert [found.seats(3, i) for i in range(50)] != [found.seats(4, i) for i in range(50)]
    assert any(len(set(found.seats(3, i))) == 2 for i in range(50))


def test_nn_only_draws_once_for_the_whole_game() -> None:
    found = make("nn-only", board=THREE)
    assert len(found.agents) == 3
    seats = [found.seats(1, index) for index in range(60)]
    assert all(len(set(game)) == 1 for game in seats)
    assert len(set(seats)) == 3


def test_the_champion_rotates_through_the_seats_against_its_pool() -> None:
    found = make("best-vs-pool", board=THREE)
    champion = found.agents.index(f"gumbel@{BEST}:sims=100")
    for index in range(9):
        seats = found.seats(1, index)
        assert seats.count(champion) == 1
        assert seats[-index % 3] == champion
    assert {spec[7:8] for spec in found.agents} == {"b", "c", "d"}
    assert len(make("best-vs-pool", pool_size=1).agents) == 2


def test_modes_for_each_seat_rotate_unless_fixed() -> None:
    options = ModeOptions(weights=WEIGHTS)
    fixed = seating("heuristic-only", SQUARE8, NONE, options, others=("random-only",))
    assert [fixed.seats(1, i) for i in range(2)] == [(0, 1), (0, 1)]
    turning = seating(
        "heuristic-only", SQUARE8, NONE, options, others=("random-only",), fixed=False
    )
    assert [turning.seats(1, i) for i in range(3)] == [(0, 1), (1, 0), (0, 1)]
    three = seating("heuristic-only", THREE, NONE, options, others=("random-only", None))
    assert three.seats(1, 0) == (0, 1, 0)


@pytest.mark.parametrize(
    "mode",
    ["gumbel-mcts", "policy-only", "nn-minimax", "nn-descent", "nn-only", "nnue-guided",
     "best-vs-pool", "neural-demo-only"],
)  # fmt: skip
def test_a_mode_without_its_model_says_what_would_help(mode: str) -> None:
    with pytest.raises(UsageError) as caught:
        make(mode, ModelSet(known=("ringrift_best_sq8_3p",)))
    text = str(caught.value)
    for word in ("train", "models init", "eval=heuristic", "--nn-model-id none", "best_sq8_3p"):
        assert word in text


def test_a_mixture_leaves_out_what_is_missing_and_says_so() -> None:
    found = make("diverse", NONE)
    assert [part.partition(":")[0] for part in found.unavailable] == [
        "gumbel-mcts-only", "policy-only", "nnue-guided",
    ]  # fmt: skip
    assert sum(weight for _, weight in found.lots[0]) == pytest.approx(1)
    weights = dict(found.lots[0])
    assert weights["mcts:eval=heuristic,sims=100"] == pytest.approx(0.08 / 0.20)
    assert make("mixed", NONE, band="light").unavailable == ("level 4: no NNUE",)


def test_without_a_model_searches_play_by_the_heuristic() -> None:
    bare = ModelSet(without=True)
    assert make("gumbel-mcts", bare).agents == ("gumbel:eval=heuristic,sims=100",)
    assert make("mcts", bare, sims=8).agents == ("mcts:eval=heuristic,sims=8",)
    with pytest.raises(UsageError, match="--nn-model-id is none"):
        make("policy-only", bare)


def test_unknown_modes_and_wrong_numbers_of_agents_are_named() -> None:
    with pytest.raises(UsageError, match="unknown engine mode 'bogus'"):
        make("bogus")
    with pytest.raises(UsageError, match="2 agents for 3 seats"):
        seating_of_specs(["random", "heuristic"], 3)
    assert seating_of_specs(["random"], 3).seats(1, 1) == (0, 0, 0)
    assert set(DIVERSE) == set(WEIGHTS)
    assert {"mixed", "diverse", "diverse-cpu", "best-vs-pool"} <= set(known_modes())
