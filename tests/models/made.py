"""Small real models, and results of matches that nobody played."""

import json
import os
import time
from dataclasses import replace

from ringrift.core.intervals import wilson
from ringrift.evaluation.results import MatchResult
from ringrift.evaluation.sprt import Standing
from ringrift.models.decisions import append, read_chain
from ringrift.models.judging import HoldOut, Measured, Rules
from ringrift.nets.nnue.file import init_nnue, save_nnue
from ringrift.nets.nnue.network import Shape, random_weights
from ringrift.rules import BoardSpec

CONFIG = "square8_2p"

PLAIN = Rules(regression=False, holdout=False)


def match(score, games=40, verdict=None, *, tested=False):
    standing = None
    if tested:
        standing = Standing(
            blocks=games // 2, games=games, llr=3.0, bounds=(-2.94, 2.94), verdict=verdict
        )
    wins = 0 if score is None else round(score * games)
    return MatchResult(
        title="a match",
        plan="p",
        games=games,
        blocks=games // 2,
        wins=wins,
        losses=games - wins,
        capped=0,
        duplicates=0,
        repeats=0,
        timeouts=0,
        score=score,
        interval=wilson(score, games),
        counts=(),
        nelo=None,
        los=None,
        by_seat=(score, score),
        by_third=(score, score, score),
        by_node={},
        plies=100.0,
        ms_per_ply=None,
        reasons={},
        reverse=None,
        agents=(),
        standing=standing,
        complete=True,
    )


def measured(
    verdict="accept", *, candidate=(0.95, 0.60), champion=(0.93, 0.55), games=40, gate_games=60
):
    return Measured(
        against_champion=match(0.7, gate_games, verdict, tested=True),
        candidate_random=match(candidate[0], games),
        candidate_heuristic=match(candidate[1], games),
        champion_random=match(champion[0], games),
        champion_heuristic=match(champion[1], games),
    )


def hold_out(value_error, gap=0.02):
    return HoldOut(value_error=value_error, gap=gap, positions=1000, set_hash="a" * 64)


def in_full(*, regression=(), candidate=0.5, champion=0.5, gap=0.02):
    return replace(
        measured(),
        regression=regression,
        candidate_holdout=None if candidate is None else hold_out(candidate, gap),
        champion_holdout=None if champion is None else hold_out(champion),
    )


def make_model(models, seed, *, config=CONFIG, parents=(), training=None, age_days=0.0):
    """Write a small NNUE; return its id."""
    board, _, seats = config.rpartition("_")
    spec = BoardSpec.create(board, int(seats[0]))
    if not parents and training is None:
        path = init_nnue(spec, folder=models / "objects", seed=seed, hidden=32)
    else:
        shape = Shape(board=spec.board, players=spec.players, hidden=32)
        path = save_nnue(
            random_weights(shape, seed=seed),
            shape,
            spec,
            models / "objects",
            training=training,
            parents=tuple({"id": parent, "role": role} for parent, role in parents),
        )
    if age_days:
        then = time.time() - age_days * 86_400
        os.utime(path, (then, then))
    return path.stem


def crown(models, *ids, config=CONFIG, kind="promoted"):
    """Let models be champions one after the other, by decisions alone."""
    chain = read_chain(models / "decisions", config)
    for model_id in ids:
        chain = append(models / "decisions", chain, kind=kind, candidate=model_id, reason="a test")
    return chain


def named(models, config=CONFIG):
    """Which model the alias, its link and promoted_models.json of a configuration mean."""
    aliases = json.loads((models / "aliases.json").read_bytes())
    promoted = json.loads((models / "promoted_models.json").read_bytes())
    link = (models / f"{config}.safetensors").resolve()
    return aliases[config]["id"], link.stem, promoted["models"][config]["model_id"]
