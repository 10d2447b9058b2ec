"""Data roots with real games, models on paper and chains, for the tests of what is gathered."""

import hashlib

from ringrift.core.paths import Paths
from ringrift.records import (
    AgentRef,
    Analysis,
    GameMeta,
    GameStore,
    PlyAnalysis,
    build_record,
    quantize,
)
from ringrift.rules import BoardSpec, Position

from ...models.papers import paper
from ...records.conftest import random_moves

CONFIG = "square8_2p"
PLIES = 24
SEARCHER = "gumbel@abcd:sims=32"


def new_root(folder):
    paths = Paths(folder)
    paths.create()
    return paths


def run_of(config=CONFIG, name="aaaaaaaaaaaa-11111111"):
    return f"loop/{config}/{name}"


def played(number, *, config=CONFIG, purpose="selfplay", run=None, seed=None, spec=SEARCHER):
    """Game `number` of a run: the first plies of a random game, cut by the limit or resigned.

    Two of three choices were searched in full, the others in short.
    """
    board, _, seats = config.rpartition("_")
    rules, players = BoardSpec.create(board, int(seats[0])), int(seats[0])
    seed = number if seed is None else seed
    agent = AgentRef(spec=spec, agent_hash=hashlib.sha256(spec.encode()).hexdigest())
    end = {} if players > 2 or seed % 4 == 0 else {"end": "resigned", "resigned": 1 + seed % 4 // 2}
    game = build_record(
        rules,
        seed,
        (agent,) * players,
        random_moves(rules, seed, PLIES),
        meta=GameMeta(
            purpose=purpose, run=run or run_of(config), index=number, host="here", started=1.7e9
        ),
        max_plies=PLIES,
        **end,
    )
    return game, searched(game)


def searched(game):
    position, plies = Position.of(game.spec), []
    for ply, move in enumerate(game.moves):
        legal = position.legal_packed().tolist()
        if len(legal) > 1:
            kind = "full" if ply % 3 else "cheap"
            plies.append(
                PlyAnalysis(
                    ply=ply,
                    kind=kind,
                    sims=32,
                    value=(0.0,) * game.spec.players,
                    root_value=(0.0,) * game.spec.players,
                    policy=quantize({legal[0]: 1.0}),
                )
            )
        position.play(move)
    return Analysis(game=game.id, agent=game.agents[0].agent_hash, plies=tuple(plies))


def store_games(paths, items):
    with GameStore.open(paths.game_store, writer=True) as store:
        return store.ingest(items)


def trained(paths, number, parent, *, config=CONFIG, upto=0, **fields):
    """A model on paper that was trained from `parent` on games up to `upto`."""
    training = {
        "run": f"job{number}",
        "datasets": [f"{number:064x}"],
        "games_upto": upto,
        "games": 10 * number,
        "samples": 100 * number,
        "losses": {"training": {"policy": 2.0, "value": 0.5}, "validation": {"loss": 2.75}},
        **fields,
    }
    parents = () if parent is None else ((parent, "warm_start"),)
    return paper(paths.models, number, config=config, parents=parents, training=training)


def random_model(paths, number=0, *, config=CONFIG):
    return paper(paths.models, number, config=config, training=None)
