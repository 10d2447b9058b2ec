"""Stores of match games with planned results, written straight into the tables.

The games have no moves: what reads columns alone does not notice.
"""

import hashlib
import json

import numpy as np

from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec
from ringrift.rules.codec import layout_hash
from ringrift.rules.spec import parse_config

GAME_COLUMNS = (
    "id", "play_hash", "gate_version", "config", "board", "players", "rules_hash", "spec_hash",
    "seed", "plies", "winner", "end", "reason", "ranks", "final_hash", "purpose", "run", "index",
    "agents", "played_at", "ingested_at", "status", "split", "record",
)  # fmt: skip


def agent_hash(name):
    return hashlib.sha256(name.encode()).hexdigest()


def game_id(config, run, index):
    return hashlib.sha256(f"{config} {run} {index}".encode()).hexdigest()


class Pool:
    """Games to be written; agents are named by spec, models by `name@` specs."""

    def __init__(self, config="square8_2p"):
        self.config = config
        self.board, self.players = parse_config(config)
        self.spec = BoardSpec.create(self.board, self.players)
        self.games = []

    def add(self, seats, ranks, *, run="r", index=None, end="game_over", at=1.7e9):
        """Add a game of the agents in `seats`; `ranks` None for one that was capped."""
        index = len(self.games) if index is None else index
        if ranks is None:
            end, ranks = ("max_plies" if end == "game_over" else end), ()
        self.games.append((tuple(seats), tuple(ranks), run, index, end, at))

    def write(self, path, games=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        rows, seats = [], []
        for agents, ranks, run, index, end, at in self.games if games is None else games:
            identity = game_id(self.config, run, index)
            winner = list(ranks).index(1) + 1 if ranks else 0
            rows.append(
                (
                    identity,
                    identity,
                    1,
                    self.config,
                    self.board,
                    self.players,
                    layout_hash,
                    self.spec.hash,
                    index,
                    10,
                    winner,
                    end,
                    "last_player_standing",
                    json.dumps(list(ranks)),
                    "0" * 16,
                    "match",
                    run,
                    index,
                    json.dumps(list(agents)),
                    at,
                    at,
                    "verified",
                    "never",
                    b"",
                )
            )
            for seat, name in enumerate(agents, 1):
                model = agent_hash(name) if "@" in name else None
                seats.append((identity, seat, agent_hash(name), model, name))
        with GameStore.open(path, writer=True) as store:
            connection = store._connection
            names = ", ".join(f'"{name}"' for name in GAME_COLUMNS)
            marks = ", ".join("?" * len(GAME_COLUMNS))
            connection.execute("BEGIN")
            connection.executemany(f"INSERT OR IGNORE INTO games ({names}) VALUES ({marks})", rows)
            connection.executemany(
                "INSERT OR IGNORE INTO game_agents VALUES (?, ?, ?, ?, ?)", seats
            )
            connection.execute("COMMIT")
        return path


def planted(rng, *, agents, players, blocks_each, spread=1.0, opening_sd=0.0):
    """Draw blocks of a pool: (theta, seats [G, N], ranks [G, N], blocks [G])."""
    theta = rng.normal(scale=spread, size=agents)
    theta[0] = 0.0
    count = -(-blocks_each * agents // players)
    gamma = rng.normal(scale=0.2, size=players)
    gamma -= gamma.mean()
    seats, ranks, blocks = [], [], []
    chosen = np.concatenate(
        [rng.permutation(agents) for _ in range(-(-count * players // agents) + 1)]
    )
    for block in range(count):
        group = chosen[block * players : (block + 1) * players]
        if len(set(group.tolist())) < players:
            group = rng.choice(agents, players, replace=False)
        bias = rng.normal(scale=opening_sd, size=players)
        for turn in range(players):
            row = np.roll(group, turn)
            eta = theta[row] + gamma + bias
            order = np.argsort(-(eta + rng.gumbel(size=players)))
            rank = np.empty(players, dtype=np.int64)
            rank[order] = np.arange(1, players + 1)
            seats.append(row)
            ranks.append(rank)
            blocks.append(block)
    return theta, np.array(seats), np.array(ranks), np.array(blocks)
