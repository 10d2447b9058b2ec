"""The shipped books: there for every configuration, sound, halved, and quick to load."""

import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ringrift.agents.factory import make_agent
from ringrift.agents.protocol import Batch, Budget, Rngs
from ringrift.core.settings import CONFIGURATIONS
from ringrift.evaluation.openings import load_book
from ringrift.evaluation.openings.books import read_book, shipped
from ringrift.evaluation.openings.building import BuildSettings, make
from ringrift.evaluation.openings.checking import check
from ringrift.rules import BoardSpec, Position, parse_config

SAMPLE = 40


@pytest.mark.parametrize("config", CONFIGURATIONS)
def test_each_configuration_has_2000_openings_in_two_halves(config):
    book = load_book(config)
    assert book.spec_hash == BoardSpec.create(*parse_config(config)).hash
    assert len({opening.id for opening in book.openings}) == len(book.openings) == 2000
    halves = [{opening.id for opening in book.part(part)} for part in ("open", "reserved")]
    assert [len(half) for half in halves] == [1000, 1000]
    assert not halves[0] & halves[1]
    sample = replace(book, openings=book.openings[:: 2000 // SAMPLE])
    found = check(sample, shipped(config))
    players = book.spec.players
    assert found.choices[0] >= 2 * players
    assert found.choices[1] <= 5 * players


@pytest.mark.timed
def test_a_book_loads_within_a_tenth_of_a_second():
    spec, path = BoardSpec.create("square8", 2), shipped("square8_2p")
    read_book(path.read_bytes(), spec, where=str(path), replay=False)  # which loads compiled code
    began_s = time.perf_counter()
    read_book(path.read_bytes(), spec, where=str(path), replay=False)
    assert time.perf_counter() - began_s < 0.1


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("config", CONFIGURATIONS)
def test_every_opening_replays_and_the_first_are_built_again(config):
    book, path = load_book(config), shipped(config)
    check(book, path)
    made = [each for each in make(BuildSettings(config=config), 0, 24) if each and "moves" in each]
    assert [each["id"] for each in made] == [o.id for o in book.openings[: len(made)]]
    assert [tuple(each["shares"]) for each in made] == [
        o.shares for o in book.openings[: len(made)]
    ]


@pytest.mark.acceptance
def test_400_pairs_of_deterministic_agents_have_no_duplicate_block():
    book = load_book("square8_2p")
    agents = [make_agent(text, book.spec) for text in ("heuristic", "heuristic:mode=light")]
    games = []
    for opening in book.order("reserved", 42)[:400]:
        position = Position.of(book.spec)
        for move in opening.moves:
            position.play(move)
        games += [(position.copy(), seats, list(opening.moves)) for seats in ((0, 1), (1, 0))]
    left = games
    while left := [game for game in left if not game[0].is_over]:
        for agent in (0, 1):
            to_move = [
                g for g in left if not g[0].is_over and g[1][g[0].current_player - 1] == agent
            ]
            if not to_move:
                continue
            records = [position.record().reshape(1) for position, _, _ in to_move]
            batch = Batch(book.spec, np.concatenate(records), [7] * len(records))
            decisions = agents[agent].choose(batch, Budget(), Rngs())
            for (position, _, moves), decision in zip(to_move, decisions, strict=True):
                position.play(decision.move)
                moves.append(decision.move)
    blocks = Counter(
        (tuple(a[2]), tuple(b[2])) for a, b in zip(games[::2], games[1::2], strict=True)
    )
    assert len(blocks) == 400
