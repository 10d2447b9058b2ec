"""Models on paper: real files with real ids whose cards say what a test needs; nobody can play them."""

import json

import numpy as np

from ringrift.data.dataset.manifest import NAME, Manifest
from ringrift.models.decisions import append, read_chain
from ringrift.nets.container import write_model

CONFIG = "square8_2p"


def paper(models, number, *, config=CONFIG, at=None, label=None, parents=(), **fields):
    """Write a model; return its id. `at` is when it was made, by default second `number`."""
    board, _, seats = config.rpartition("_")
    card = {
        "schema": 1,
        "kind": "cnn",
        "config": config,
        "board": board,
        "players": int(seats[0]),
        "board_spec_hash": "b",
        "rules_version": "1",
        "encoder": {"id": "e", "hash": "h"},
        "policy_layout_hash": "p",
        "codec_hash": "c",
        "architecture": {"parameters": 4, "shapes": {"w": [4]}},
        "value_utility": "rank",
        "quantisation": None,
        "calibration": None,
        "training": {"number": number},
        "parents": [{"id": parent, "role": role} for parent, role in parents],
        "probe": {"positions": "x", "outputs": []},
        **fields,
    }
    tensors = {"w": np.full(4, number, np.float32)}
    path = write_model(models / "objects", tensors, card, label=label)
    beside = path.with_suffix(".json")
    told = json.loads(beside.read_text())
    told |= {"created_at": at or f"2026-01-01T00:00:{number:02d}.000Z", "host": "here"}
    beside.write_text(json.dumps(told))
    return path.stem


def decide(models, kind, candidate, *, config=CONFIG, champion=None, reason="because", **inputs):
    """Write the next decision of a configuration."""
    folder = models / "decisions"
    return append(
        folder,
        read_chain(folder, config),
        kind=kind,
        candidate=candidate,
        champion=champion,
        reason=reason,
        inputs=inputs,
    )


def dataset(npz, identity, games, *, config=CONFIG):
    """Write the manifest of a dataset of some games; its parts are not there."""
    names = ("spec", "versions", "options", "samples_by", "policy", "q")
    nothing = {name: {} for name in names}
    manifest = Manifest(
        id=identity,
        request="r",
        config=config,
        package="1",
        layout="l",
        games=len(games),
        samples=len(games),
        val_games=0,
        val_samples=0,
        considered=len(games),
        excluded={},
        duplicates=0,
        held_out=0,
        games_upto={},
        symmetries=1,
        state_bytes=1,
        phases=(),
        victory_types=(),
        size_bytes=0,
        parts=(),
        game_ids=tuple(sorted(games)),
        game_facts=(),
        **nothing,
    )
    folder = npz / config / identity[:12]
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(manifest.to_bytes())
