"""Measure what normalises the heuristic: the spread of each feature, and the slope of its value.

Half of the positions come from random games, half from games of the light heuristic with its start
weights and five percent random moves. Remade with `ringrift agents scales` whenever a feature
changes; the result is the package file `heuristic_scales.json`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.evaluation import FEATURES, FEATURES_VERSION, features_of
from ringrift.agents.full import FIRST_FULL
from ringrift.agents.heuristic import HeuristicAgent
from ringrift.agents.listing import scratch
from ringrift.agents.protocol import Agent, Batch, Budget, Rngs
from ringrift.agents.random_agent import RandomAgent
from ringrift.agents.spec import parse_spec, resolve
from ringrift.agents.values import final_values
from ringrift.agents.weights import SCALES_FORMAT, start_weights
from ringrift.core.errors import NegativeResult
from ringrift.records.record import default_max_plies
from ringrift.rules import BoardSpec, engine, parse_config
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
from ringrift.rules.jitconf import rule

POSITIONS = 20_000
GAMES = {"square8": 400, "hex8": 400, "square19": 200, "hexagonal": 200}
"""Games of each kind; every game gives equally many positions."""
EPS = 0.05
START_GAIN = 0.02


@rule
def results(states, n, boards, out):
    """Write the final values of `n` finished positions to `out`: float64[n, players]."""
    for i in range(n):
        final_values(states[i], boards[0], out[i])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Features of positions and how their games ended.

    `features`: float64[k, 5, 27]; `values`: float64[k, players], NaN rows where a game was capped.
    """

    features: NDArray[np.float64]
    values: NDArray[np.float64]


def play_sample(
    spec: BoardSpec, agent: Agent, *, games: int, positions: int, seed: int, max_plies: int
) -> Sample:
    """Play `games` side by side and keep positions drawn evenly from each."""
    boards = board_tables(spec)
    states = lay.zeros(games, lay.STATE)
    for i in range(games):
        engine.start(lay.view(states), i, boards)
    seeds = [seed * 1_000_003 + i for i in range(games)]
    # Reservoirs: a uniform choice from each game without knowing its length.
    per_game = -(-positions // games)
    rng = np.random.default_rng(seed)
    kept = lay.zeros(games * per_game, lay.STATE)
    seen = np.zeros(games, np.int64)
    for _ in range(max_plies):
        live = np.flatnonzero(states["misc"][:, lay.PHASE] != lay.OVER)
        if not live.size:
            break
        for i in live.tolist():
            at = int(seen[i]) if seen[i] < per_game else int(rng.integers(seen[i] + 1))
            if at < per_game:
                kept[i * per_game + at] = states[i]
            seen[i] += 1
        batch = Batch(spec, states[live], [seeds[i] for i in live.tolist()])
        for i, decision in zip(live.tolist(), agent.choose(batch, Budget(), Rngs()), strict=True):
            engine.play(lay.view(states), i, boards, scratch(), decision.move)
    values = np.full((games, spec.players), np.nan)
    over = np.flatnonzero(states["misc"][:, lay.PHASE] == lay.OVER)
    if over.size:
        ended = states[over]
        out = np.zeros((over.size, spec.players))
        results(ended, over.size, boards, out)
        values[over] = out
    rows = np.concatenate(
        [np.arange(i * per_game, i * per_game + min(per_game, int(seen[i]))) for i in range(games)]
    )
    features = np.zeros((len(rows), 5, len(FEATURES)))
    features_of(kept[rows], len(rows), boards, scratch(), features)
    return Sample(features=features, values=values[rows // per_game])


def pair_differences(features: NDArray[np.float64], players: int) -> NDArray[np.float64]:
    """Return `f(p) - f(o)` of all ordered seat pairs, `float64[k, pairs, features]`."""
    seats = range(1, players + 1)
    pairs = [(p, o) for p in seats for o in seats if p != o]
    return np.stack([features[:, p] - features[:, o] for p, o in pairs], axis=1)


def fit_gain(
    scores: NDArray[np.float64], values: NDArray[np.float64], *, rounds: int = 100
) -> float:
    """Fit the slope of P(p finishes before o) = 1 / (1 + exp(-gain * (score[p] - score[o]))).

    `scores`, `values`: float64[k, players]; rows with NaN values are left out, equal results count
    half. Newton's method on the log-likelihood, which is concave in the gain.
    """
    known = ~np.isnan(values).any(axis=1)
    players = scores.shape[1]
    pairs = [(p, o) for p in range(players) for o in range(players) if p < o]
    x = np.concatenate([scores[known, p] - scores[known, o] for p, o in pairs])
    y = np.concatenate([(np.sign(values[known, p] - values[known, o]) + 1) / 2 for p, o in pairs])
    spread = float(x.std())
    gain = 0.0
    for _ in range(rounds):
        guess = 1 / (1 + np.exp(-np.clip(gain * x / spread, -40, 40)))
        slope = float(((y - guess) * x / spread).sum())
        bend = float((guess * (1 - guess) * (x / spread) ** 2).sum())
        step = slope / max(bend, 1e-9)
        gain += max(-1.0, min(1.0, step))
        if abs(step) < 1e-10:
            break
    return gain / spread


def measure_scales(
    config: str,
    *,
    positions: int = POSITIONS,
    games: int | None = None,
    seed: int = 42,
    on_progress: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Measure one configuration; return its row of the file.

    Raises `NegativeResult` naming a feature that should vary there and did not.
    """
    spec = BoardSpec.create(*parse_config(config))
    count = GAMES[spec.board] if games is None else games
    start = np.array(list(start_weights(config).values()))
    players: list[tuple[str, Agent]] = [
        ("random", RandomAgent(resolve(parse_spec("random")))),
        (
            "heuristic",
            HeuristicAgent(
                resolve(parse_spec("heuristic")), start[:FIRST_FULL], START_GAIN, eps=EPS
            ),
        ),
    ]
    samples = []
    for number, (name, agent) in enumerate(players):
        on_progress(f"{config}: {count} {name} games")
        samples.append(
            play_sample(
                spec,
                agent,
                games=count,
                positions=positions // 2,
                seed=seed + number,
                max_plies=default_max_plies(spec),
            )
        )
    features = np.concatenate([sample.features for sample in samples])
    values = np.concatenate([sample.values for sample in samples])
    sigma = pair_differences(features, spec.players).reshape(-1, len(FEATURES)).std(axis=0)
    still = [name for name, spread in zip(FEATURES, sigma, strict=True) if spread == 0]
    if still:
        raise NegativeResult(
            f"{config}: {', '.join(still)} never varied in {len(features):,} positions",
            hint="more positions",
        )
    weights = start * sigma
    norm = float(np.linalg.norm(weights))
    scores = features[:, 1 : spec.players + 1] @ (start / norm)
    return {
        "positions": len(features),
        "sigma": {name: float(f"{x:.9g}") for name, x in zip(FEATURES, sigma, strict=True)},
        "gain": float(f"{fit_gain(scores, values):.9g}"),
    }


def scales_file(rows: dict[str, dict[str, Any]], *, seed: int) -> dict[str, Any]:
    """Return the content of the package file."""
    return {
        "format": SCALES_FORMAT,
        "features_version": FEATURES_VERSION,
        "seed": seed,
        "configs": rows,
    }
