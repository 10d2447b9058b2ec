"""Games in lock step: what is played depends on the plan alone, and the record says what was."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ringrift.agents.factory import make_agent
from ringrift.agents.protocol import Batch, Decision
from ringrift.core.errors import UsageError
from ringrift.records.record import VerificationError
from ringrift.records.verify import verify
from ringrift.rules import BoardSpec, Position
from ringrift.selfplay.control import Resignation, SearchControl
from ringrift.selfplay.generator import play_here, selfplay_plans
from ringrift.selfplay.lockstep import Table
from ringrift.selfplay.openings import Openings
from ringrift.selfplay.plans import GamePlan, PlayJob, game_seed

from .jobs import SEARCH, SQUARE8, job


@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 3), ("square8", 4)])
def test_games_do_not_depend_on_their_company(board: str, players: int) -> None:
    spec = BoardSpec.create(board, players)
    j = job(spec=spec, max_plies=1200, control=SearchControl(full_fraction=0.5, cheap_sims=4))
    plans = selfplay_plans(spec, range(12), 42)
    many = {
        r.meta.index: (r.id, *[a.id for a in found]) for r, found in play_here(j, plans, games=64)
    }
    few = {
        r.meta.index: (r.id, *[a.id for a in found])
        for r, found in play_here(j, plans[::-1], games=3)
    }
    assert many == few
    assert len(set(many.values())) == 12
    other = {r.id for r, _ in play_here(j, selfplay_plans(spec, range(12), 43))}
    assert not other & {game for game, _ in many.values()}


def test_records_verify_and_say_what_was_random() -> None:
    plans = selfplay_plans(SQUARE8, range(40), 1, openings=Openings(choices=(0, 8)))
    assert {p.random_choices for p in plans} == set(range(9))
    by_index = {p.index: p for p in plans}
    for record, (analysis,) in play_here(job(), plans):
        verify(record, analysis)
        assert (
            Counter(record.marks.values())["random"] == by_index[record.meta.index].random_choices
        )
        assert not {p.ply for p in analysis.plies} & set(record.marks)
        assert record.meta.purpose == "selfplay"
        assert record.seed == game_seed(1, "square8_2p", record.meta.index)
        position = Position.of(SQUARE8)
        searched = {p.ply for p in analysis.plies}
        for ply, move in enumerate(record.moves):
            assert (ply in searched) == (
                len(position.legal_packed()) > 1 and ply not in record.marks
            )
            position.play(move)


def test_openings_are_played_and_marked() -> None:
    position = Position.of(SQUARE8)
    opening = []
    while len(opening) < 9:
        opening.append(int(position.legal_packed()[len(opening) % len(position.legal_packed())]))
        position.play(opening[-1])
    plans = [GamePlan(index=i, seed=i, seats=(0, 0), opening=tuple(opening)) for i in range(3)]
    for record, _ in play_here(job("random"), plans):
        assert record.moves[:9] == tuple(opening)
        assert record.marks == dict.fromkeys(range(9), "book")
    with pytest.raises(UsageError, match="game 5: illegal move in the opening"):
        list(play_here(job("random"), [GamePlan(index=5, seed=1, seats=(0, 0), opening=(12345,))]))


def test_seats_are_those_of_the_plan() -> None:
    spec = BoardSpec.create("square8", 3)
    j = job("random", "heuristic", spec=spec, max_plies=800)
    plans = selfplay_plans(spec, range(4), 5, agents=2)
    for record, analyses in play_here(j, plans):
        wanted = tuple(("random", "heuristic")[a] for a in plans[record.meta.index].seats)
        assert tuple(a.spec for a in record.agents) == wanted
        assert analyses == ()


def test_the_ply_limit_cuts() -> None:
    for record, _ in play_here(job("random", max_plies=31), selfplay_plans(SQUARE8, range(5), 1)):
        assert (record.result.end, record.result.plies, record.result.values) == (
            "max_plies",
            31,
            None,
        )


def test_searches_have_their_budgets() -> None:
    j = job(control=SearchControl(full_fraction=0.25, cheap_sims=2))
    for _, (analysis,) in play_here(j, selfplay_plans(SQUARE8, range(12), 3)):
        for ply in analysis.plies:
            budget = 8 if ply.kind == "full" else 2
            proven = max(ply.root_value) == 1  # the search ends once the root is solved
            assert ply.sims == budget or (proven and ply.sims < budget)


class Faulty:
    """Plays at random until one game's ply, then does something it must not."""

    def __init__(self, seed: int, how: str) -> None:
        self.inner = make_agent("random", SQUARE8)
        self.spec = self.inner.spec
        self.seed, self.how = seed, how

    def choose(self, positions: Batch, *rest: Any) -> list[Decision]:
        found = self.inner.choose(positions, *rest)
        for i, seed in enumerate(positions.seeds):
            if seed == self.seed and positions.states[i]["misc"][12] > 20:
                if self.how == "raise":
                    raise ArithmeticError("a number that is none")
                found[i] = Decision(move=4)
        return found


@pytest.mark.parametrize(
    ("how", "reason"),
    [("raise", "ArithmeticError: a number that is none"), ("illegal", "illegal move")],
)
def test_a_failing_agent_aborts_its_own_game_alone(how: str, reason: str) -> None:
    plans = selfplay_plans(SQUARE8, range(8), 1)
    table = Table(job("random"), [Faulty(plans[3].seed, how)], 8)
    for plan in plans:
        table.start(plan)
    games = {}
    while table.busy:
        for record, _ in table.step():
            games[record.meta.index] = record
    whole = {r.meta.index: r for r, _ in play_here(job("random"), plans)}
    aborted = games.pop(3)
    assert (aborted.result.end, aborted.result.reason) == ("aborted", f"abort:{reason}")
    assert aborted.moves == whole[3].moves[: len(aborted.moves)]
    with pytest.raises(VerificationError, match="error_status"):  # never to be learned from
        verify(aborted)
    assert {i: g.moves for i, g in games.items()} == {
        i: g.moves for i, g in whole.items() if i != 3
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"agents": ()}, "without agents"),
        ({"max_plies": 0}, "max_plies"),
        (
            {
                "spec": BoardSpec.create("square8", 3),
                "control": SearchControl(resign=Resignation(mode="hard")),
            },
            "resign is 'hard' in a game of 3 players",
        ),
    ],
)
def test_jobs_that_cannot_be(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        PlayJob(**{"spec": SQUARE8, "agents": (SEARCH,), "max_plies": 9, **fields})


def test_seats_that_cannot_be() -> None:
    for seats in [(0,), (0, 1), (0, 0, 0), (-1, 0)]:
        with pytest.raises(UsageError, match="seats"):
            list(play_here(job("random"), [GamePlan(index=0, seed=0, seats=seats)]))


def test_seeds_are_pinned() -> None:
    assert [game_seed(42, "square8_2p", i) for i in (0, 1)] == [
        1394992421669455305,
        8724025985775288499,
    ]
    assert len({game_seed(s, c, i) for s in (1, 2) for c in ("a", "b") for i in range(50)}) == 200
