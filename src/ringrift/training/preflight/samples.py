"""The checks `dataset` and `split`: what a training would read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ringrift.core.errors import DataError, RefusedError
from ringrift.core.ids import short
from ringrift.data.dataset.check import check_dataset
from ringrift.data.dataset.features import encoder_of
from ringrift.data.dataset.manifest import Manifest
from ringrift.data.dataset.reader import Dataset
from ringrift.data.reading import reading
from ringrift.nets.container import ModelError, read_card
from ringrift.rules.policy import policy_layout
from ringrift.training.preflight.model import Check, Context, Part, of_parts

READ_SAMPLES = 200_000
"""Samples up to which every position of a dataset is decoded; of larger ones only the hashes count."""
SKEW_SAMPLES = 1_000
MOST_SKEW = 0.10
_EXPORT = "ringrift data export --force-export"


def check_dataset_files(context: Context) -> Check:
    """Open each dataset: hashes, planes and layout of encoder and net, shares of seats, coverage."""
    parts: list[Part] = []
    for dataset in context.datasets:
        try:
            parts += _dataset(context, dataset.folder, dataset.config)
        except (DataError, RefusedError) as error:
            where = f" ({error.where})" if error.where else ""
            parts.append(Part("FAIL", f"{error.message}{where}", error.hint or _EXPORT))
    if not context.datasets:
        parts.append(Part("warn", "no dataset yet", "ringrift data export"))
    return of_parts(
        "dataset",
        parts,
        limit=f"seats within {100 * MOST_SKEW:.0f} points, coverage {context.coverage_min:g}",
    )


def _dataset(context: Context, folder: Path, config: str) -> Iterator[Part]:
    found = Dataset.open(folder)
    manifest = found.manifest
    name = f"{config} {short(manifest.id)}"
    if manifest.samples <= READ_SAMPLES:
        yield from (Part("FAIL", f"{name}: {told}", _EXPORT) for told in check_dataset(folder))
    yield from _layouts(context, found, name)
    yield from _seats(manifest, name)
    coverage = manifest.policy.get("coverage")
    if coverage is not None and coverage < context.coverage_min:
        told = f"{name}: {100 * coverage:.0f} % of the samples have a searched distribution"
        yield Part("warn", told, "ringrift selfplay reanalyze")
    yield Part("ok", f"{name}: {manifest.samples:,} samples of {manifest.games:,} games")


def _layouts(context: Context, dataset: Dataset, name: str) -> Iterator[Part]:
    manifest = dataset.manifest
    layout = policy_layout(manifest.board_spec.board).hash
    if manifest.layout != layout:
        told = f"{name}: policy layout {manifest.layout[:12]}; expected {layout[:12]}"
        yield Part("FAIL", told, _EXPORT)
    encoder = manifest.versions.get("encoder")
    if encoder is not None:
        ours = encoder_of(manifest.export_options.encoder)
        if dict(encoder) != dict(ours.identity):
            told = f"{name}: encoder {encoder.get('id')} {str(encoder.get('hash'))[:12]}"
            yield Part("FAIL", f"{told}; expected {ours.identity['hash'][:12]}", _EXPORT)
        yield from _planes(dataset, name, ours.planes)
    champion = context.champions.get(manifest.config)
    if champion is None:
        return
    try:
        _, card = read_card(champion)
    except ModelError:
        return  # what the check of checkpoints is about
    if card["policy_layout_hash"] != manifest.layout:
        told = f"{name}: policy layout {manifest.layout[:12]}"
        yield Part("FAIL", f"{told}; the champion has {card['policy_layout_hash'][:12]}", _EXPORT)


def _planes(dataset: Dataset, name: str, expected: int) -> Iterator[Part]:
    for arrays in dataset.parts():
        planes = arrays["features"].shape[1] if "features" in arrays else 0
        if planes != expected:
            yield Part("FAIL", f"{name}: {planes} planes; expected {expected}", _EXPORT)
            return


def _seats(manifest: Manifest, name: str) -> Iterator[Part]:
    seats = manifest.samples_by.get("seat", {})
    total, players = sum(seats.values()), manifest.board_spec.players
    if total < SKEW_SAMPLES:
        return
    for seat in range(1, players + 1):
        share = seats.get(str(seat), 0) / total
        if abs(share - 1 / players) > MOST_SKEW:
            told = f"{name}: seat {seat} has {100 * share:.1f} % of the samples"
            yield Part("FAIL", f"{told}; expected {100 / players:.1f} %", "more games")


def check_split(context: Context) -> Check:
    """Look for play that training and hold-out both have, in the stores and in the datasets."""
    held: dict[bytes, Path] = {}
    for path in context.sound:
        with reading(path) as connection:
            sql = "SELECT DISTINCT play_hash FROM games WHERE status = 'verified' AND split = 'holdout'"
            held.update((bytes.fromhex(row[0]), path) for row in connection.execute(sql))
    parts = [part for path in context.sound for part in _leaks_of_store(path, held)]
    parts += [p for d in context.datasets for p in _leaks_of_dataset(d.folder, held)]
    parts.append(Part("ok", f"{len(held):,} plays kept out, none of them in training"))
    return of_parts("split", parts, limit="0 plays on both sides")


def _leaks_of_store(path: Path, held: dict[bytes, Path]) -> Iterator[Part]:
    leaked, first = 0, ""
    with reading(path) as connection:
        sql = "SELECT play_hash, id FROM games WHERE status = 'verified' AND split IN ('train', 'val')"
        for play, identity in connection.execute(sql):
            if bytes.fromhex(play) in held:
                leaked, first = leaked + 1, first or identity
    if leaked:
        yield Part(
            "FAIL",
            f"{path}: {leaked:,} games for training are hold-out games too, such as {short(first)}",
            "ringrift data holdout --reserve with one --percent for all stores",
        )


def _leaks_of_dataset(folder: Path, held: dict[bytes, Path]) -> Iterator[Part]:
    try:
        manifest = Manifest.read(folder)
    except (DataError, RefusedError):
        return  # what the check of datasets is about
    plays = [str(facts.get("play", "")) for facts in manifest.game_facts]
    leaked = [play for play in plays if len(play) == 64 and bytes.fromhex(play) in held]
    if leaked:
        told = f"dataset {short(manifest.id)}: {len(leaked):,} of its games are hold-out games"
        yield Part("FAIL", told, _EXPORT)
