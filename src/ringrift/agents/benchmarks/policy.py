"""How well a policy foretells the moves of recorded games (`agents.md` 11).

Positions are the choices of a game: plies with more than one legal move that somebody chose. Where
logits are level, the rank of the played move is that of a random order among them, so accuracies
are expectations and a uniform policy scores `min(k, legal) / legal` exactly.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents import streams
from ringrift.agents.benchmarks.results import Check, Figure
from ringrift.agents.listing import legal_lists
from ringrift.agents.protocol import Evaluator
from ringrift.core.errors import DataError
from ringrift.core.ids import content_id
from ringrift.records.record import GameRecord
from ringrift.records.replayer import Replayer
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec
from ringrift.rules import moves as mv
from ringrift.rules.geometry import board_tables

BATCH = 256
TOPS = (1, 3, 5)
THIRDS = ("opening", "middle", "end")
KIND_NAMES = {
    mv.PLACE: "placement",
    mv.SKIP_PLACE: "placement",
    mv.MOVE: "move",
    mv.CAPTURES: "capture",
    mv.CONTINUE: "capture",
    mv.SKIP_CAPTURE: "capture",
    mv.RECOVER: "recovery",
    mv.SKIP_RECOVER: "recovery",
    mv.LINE: "line",
    mv.OPTION: "line",
    mv.REGION: "territory",
    mv.SKIP_REGION: "territory",
    mv.PAY: "payment",
    mv.FORCE: "forced elimination",
    mv.SWAP: "swap",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The positions of a measurement: `states`: `STATE[n]`, the `played` move (int64[n]) of each.

    `third` (0, 1, 2) tells when in its game, `game` (int64[n]) which one; legal moves as in
    `protocol.Evaluator`.
    """

    spec: BoardSpec
    states: NDArray[Any]
    played: NDArray[np.int64]
    third: NDArray[np.int64]
    game: NDArray[np.int64]
    moves: NDArray[np.int64]
    offsets: NDArray[np.int32]
    games: int
    choices: int

    def __len__(self) -> int:
        return len(self.played)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of one policy, an entry per position: `hits`: float64[n, 3] and `loss`: float64[n]."""

    hits: NDArray[np.float64]
    loss: NDArray[np.float64]


def find_games(
    stores: Iterable[Path],
    spec: BoardSpec,
    *,
    most: int,
    seed: int,
    wanted: Callable[[GameRecord], bool] = lambda _: True,
) -> list[GameRecord]:
    """Return up to `most` verified games of a configuration, drawn alike from all stores.

    Which ones depends on the seed and the games alone, not on the order of stores or games. Raises
    `DataError` where there is none, naming the stores.
    """
    paths = list(stores)
    with ExitStack() as stack:
        opened = [stack.enter_context(GameStore.open(path)) for path in paths]
        places = {
            identity: store for store in opened for identity in store.game_ids(config=spec.config)
        }
        found: list[GameRecord] = []
        for identity in sorted(places, key=lambda identity: _order(seed, identity)):
            if len(found) == most:
                break
            game = places[identity].get(identity)
            # Games of other rule options are other games.
            if game is not None and game[0].spec == spec and wanted(game[0]):
                found.append(game[0])
    if not found:
        raise DataError(f"no game of {spec.config}", where=", ".join(str(path) for path in paths))
    return found


def _order(seed: int, identity: str) -> str:
    return content_id("bench", f"{seed} {identity}".encode())


def draw_positions(games: Sequence[GameRecord], *, most: int, seed: int) -> Sample:
    """Return up to `most` choices of the games, drawn alike from all of them.

    Raises `DataError` where nobody chose anything.
    """
    kept: list[tuple[float, int, int, Any, int, int]] = []
    choices = 0
    for number, record in enumerate(games):
        replayer, plies = Replayer(record.spec, record.start, record.moves), len(record.moves)
        name = int(record.id[:15], 16)
        for ply, position in replayer.walk(range(plies)):
            if ply in record.marks or len(position.legal_packed()) < 2:
                continue
            choices += 1
            a, b = streams.stream(seed ^ name, ply, 0, streams.SCHEDULE)
            draw = float(streams.uniform(a, b, 0))
            if len(kept) < most or -draw > kept[0][0]:
                third = 3 * ply // plies
                entry = (-draw, number, ply, position.record(), record.moves[ply], third)
                (heapq.heappush if len(kept) < most else heapq.heapreplace)(kept, entry)
    if not kept:
        raise DataError(f"no choice in {len(games)} games")
    kept.sort(key=lambda entry: entry[1:3])
    spec = games[0].spec
    states = np.array([entry[3] for entry in kept])
    moves, offsets = legal_lists(spec, states)
    return Sample(
        spec=spec,
        states=states,
        played=np.array([entry[4] for entry in kept], np.int64),
        third=np.array([entry[5] for entry in kept], np.int64),
        game=np.array([entry[1] for entry in kept], np.int64),
        moves=moves,
        offsets=offsets,
        games=len(games),
        choices=choices,
    )


def score(
    sample: Sample, evaluator: Evaluator, on_positions: Callable[[int], None] = lambda _: None
) -> Scores:
    """Score a policy on every position; raises `DataError` for a logit that is not finite."""
    boards = board_tables(sample.spec)
    hits, loss = np.zeros((len(sample), len(TOPS))), np.zeros(len(sample))
    for first in range(0, len(sample), BATCH):
        last = min(first + BATCH, len(sample))
        low, high = sample.offsets[first], sample.offsets[last]
        offsets = (sample.offsets[first : last + 1] - low).astype(np.int32)
        moves = sample.moves[low:high]
        logits, _ = evaluator.evaluate(sample.states[first:last], boards, moves, offsets)
        exact = np.asarray(logits, np.float64)
        if not np.isfinite(exact).all():
            raise DataError("the policy returned a logit that is not finite")
        for i in range(first, last):
            part = slice(offsets[i - first], offsets[i - first + 1])
            at = int(np.flatnonzero(moves[part] == sample.played[i])[0])
            hits[i], loss[i] = _of_position(exact[part], at)
        on_positions(last - first)
    return Scores(hits=hits, loss=loss)


def _of_position(logits: NDArray[np.float64], at: int) -> tuple[list[float], float]:
    """Return the chance of each top k to hold entry `at`, and its surprise in nats."""
    own = logits[at]
    above, level = int((logits > own).sum()), int((logits == own).sum())
    top = float(logits.max())
    total = top + math.log(float(np.exp(logits - top).sum()))
    return [min(max((k - above) / level, 0.0), 1.0) for k in TOPS], float(total - own)


# --- tables


def table(sample: Sample, scores: Scores) -> dict[str, Any]:
    """Return scores over all positions, by third of the game and by type of the played move."""
    everything = np.ones(len(sample), bool)
    kinds: Mapping[str, list[int]] = _by_kind(sample.played)
    return {
        "all": _line(sample, scores, everything),
        "thirds": {name: _line(sample, scores, sample.third == k) for k, name in enumerate(THIRDS)},
        "move_types": {
            name: _line(sample, scores, np.isin(np.arange(len(sample)), places))
            for name, places in sorted(kinds.items())
        },
    }


def figures(name: str, sample: Sample, scores: Scores) -> list[Figure]:
    """Return the scores as figures; a sample is the mean of one game, so that games are redrawn."""
    games = [np.flatnonzero(sample.game == g) for g in np.unique(sample.game)]
    columns = [
        *((f"top_{k}", scores.hits[:, column]) for column, k in enumerate(TOPS)),
        ("cross_entropy", scores.loss),
    ]
    return [
        Figure(
            case=f"{sample.spec.config} {name}",
            name=column,
            unit="nats" if column == "cross_entropy" else "share",
            samples=tuple(float(values[places].mean()) for places in games),
            better="lower" if column == "cross_entropy" else "higher",
            statistic="mean",
        )
        for column, values in columns
    ]


def spread(lines: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return median, least and greatest of each score over the repeats."""
    return {
        name: {
            "median": median(line[name] for line in lines),
            "min": min(line[name] for line in lines),
            "max": max(line[name] for line in lines),
        }
        for name in (*(f"top_{k}" for k in TOPS), "cross_entropy")
    }


def demands(case: str, model: Mapping[str, float], *, uniform: Mapping[str, float]) -> list[Check]:
    """Return what a gate demands of a model: scores no worse than those of the uniform policy."""
    return [
        Check(case=case, name="top-1", unit="", found=model["top_1"], wanted=uniform["top_1"]),
        Check(
            case=case,
            name="cross-entropy",
            unit="nats",
            found=model["cross_entropy"],
            wanted=uniform["cross_entropy"],
            most=True,
        ),
    ]


def _by_kind(played: NDArray[np.int64]) -> Mapping[str, list[int]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for i, move in enumerate(played.tolist()):
        kind = mv.kind_of(move)
        found[KIND_NAMES.get(int(kind), "bookkeeping")].append(i)
    return found


def _line(sample: Sample, scores: Scores, mask: NDArray[np.bool_]) -> dict[str, Any]:
    count = int(mask.sum())
    legal = np.diff(sample.offsets)[mask]
    if not count:
        nothing = dict.fromkeys((*(f"top_{k}" for k in TOPS), "cross_entropy", "mean_legal"))
        return {"positions": 0, **nothing}
    hits = scores.hits[mask].mean(axis=0)
    return {
        "positions": count,
        **{f"top_{k}": float(hits[column]) for column, k in enumerate(TOPS)},
        "cross_entropy": float(scores.loss[mask].mean()),
        "mean_legal": float(legal.mean()),
    }
