"""Write a dataset from the blocks of its games: the same bytes however they were made (data.md 4)."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ringrift.core.errors import NegativeResult, UsageError
from ringrift.core.files import PARTIAL_SUFFIX, sync_folder, write_atomic
from ringrift.core.versions import installed
from ringrift.data.dataset.block import BlockHeader, read_block, read_header
from ringrift.data.dataset.blocks import SYMMETRIES, arrived
from ringrift.data.dataset.identity import dataset_identity, plies_digest, versions_of
from ringrift.data.dataset.manifest import NAME, Manifest, Part
from ringrift.data.dataset.npz import write_npz
from ringrift.data.dataset.pack import PackedBlocks
from ringrift.data.dataset.parts import part_arrays, sizes_of
from ringrift.data.dataset.plan import Plan
from ringrift.data.dataset.seats import skewed_seat
from ringrift.data.dataset.values import VICTORY_TYPES, victory_type
from ringrift.data.dataset.weights import GameWeights, Weights, weigh
from ringrift.data.dataset.window import cut_to_window
from ringrift.rules.layout import OVER, PHASE_NAMES
from ringrift.rules.policy import policy_layout

PART_BYTES = 60_000_000
"""What a part holds at most; with its headers it stays below 64 MB."""
FILE_BYTES = 2_000_000_000
"""What a dataset in one file may hold at most."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A dataset before its arrays are put together; get it from `draft`.

    `headers` are those of the games with samples, in order; `weights` give theirs.
    """

    plan: Plan
    id: str
    request: str
    headers: tuple[BlockHeader, ...]
    weights: Weights
    counts: Mapping[str, Counter[str]]
    searched: int
    with_q: int
    policy_samples: int

    @property
    def samples(self) -> int:
        """Number of samples."""
        return sum(header.samples for header in self.headers)


def dataset_id(plan: Plan, blocks: Mapping[str, bytes]) -> str:
    """Return the id that the dataset of these blocks has."""
    return draft(plan, blocks).id


def draft(plan: Plan, blocks: Mapping[str, bytes]) -> Draft:
    """Read the blocks of the window once: id, weights, counts.

    Raises `NegativeResult` for zero samples, a recorded distribution that did not arrive, a seat
    whose share of the samples is off by more than 10 points.
    """
    kept = cut_to_window(plan, _samples(plan, blocks))
    collected = _Collected(kept)
    for identity in kept.ids:
        collected.take(identity, blocks[identity])
    return collected.draft(request=plan.request)


def _samples(plan: Plan, blocks: Mapping[str, bytes]) -> Mapping[str, int]:
    """Return the samples of each game; files of blocks tell them without being read."""
    if isinstance(blocks, PackedBlocks):
        return blocks.samples()
    return {identity: read_header(blocks[identity]).samples for identity in plan.ids}


class _Collected:
    """What one pass over the blocks gathers."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.headers: dict[str, BlockHeader] = {}
        self.weights: dict[str, GameWeights] = {}
        self.plies: dict[str, str] = {}
        self.facts: dict[str, tuple[Counter[str], Counter[str], Counter[str], int, int, int]] = {}

    def take(self, identity: str, data: bytes) -> None:
        header, arrays = read_block(data, where=f"block of game {identity}")
        if self.plan.options.policy_target == "auto" and header.recorded != arrived(
            arrays["policy_source"]
        ):
            raise NegativeResult(
                f"lost policy: {header.recorded} distributions are recorded and "
                f"{arrived(arrays['policy_source'])} arrived",
                where=f"game {identity}",
            )
        self.headers[identity] = header
        self.weights[identity] = GameWeights(
            game=self.plan.by_id[identity],
            base=arrays["base_weight"].copy(),
            prior_kl=arrays["prior_kl"].copy(),
        )
        self.plies[identity] = plies_digest(arrays["ply"])
        counts = arrays["policy_weight"] > 0
        self.facts[identity] = (
            Counter(arrays["mover"].tolist()),
            Counter(arrays["phase"].tolist()),
            Counter(arrays["sims"].tolist()),
            arrived(arrays["policy_source"][counts]),
            int(arrays["q_mask"].sum()),
            int(counts.sum()),
        )

    def draft(self, *, request: str) -> Draft:
        kept = self.plan
        ids = [identity for identity in kept.ids if self.headers[identity].samples]
        if not ids:
            raise NegativeResult(
                f"zero samples: no decision in {len(kept.ids):,} games of {kept.config}",
                where=", ".join(map(str, kept.stores)),
            )
        kept = _without_empty(kept, len(kept.ids) - len(ids))
        counts = {
            name: Counter[str]() for name in ("seat", "phase", "victory_type", "agent", "sims")
        }
        totals = [0, 0, 0]
        for identity in ids:
            header = self.headers[identity]
            seats, phases, sims, *numbers = self.facts[identity]
            for seat, n in seats.items():
                counts["seat"][str(seat)] += n
                counts["agent"][header.agents[int(seat) - 1]] += n
            for phase, n in phases.items():
                counts["phase"][PHASE_NAMES[int(phase)]] += n
            for budget, n in sims.items():
                counts["sims"][str(budget)] += n
            counts["victory_type"][VICTORY_TYPES[victory_type(header.reason)]] += header.samples
            totals = [a + b for a, b in zip(totals, numbers, strict=True)]
        skewed = skewed_seat(
            {int(seat): n for seat, n in counts["seat"].items()}, kept.spec.players
        )
        if skewed is not None:
            raise NegativeResult(skewed, where=kept.config)
        return Draft(
            plan=kept,
            id=self._identity(kept, ids),
            request=request,
            headers=tuple(self.headers[identity] for identity in ids),
            weights=weigh([self.weights[identity] for identity in ids], kept.options),
            counts=counts,
            searched=totals[0],
            with_q=totals[1],
            policy_samples=totals[2],
        )

    def _identity(self, kept: Plan, ids: Sequence[str]) -> str:
        games = [(each, self.plies[each], self.headers[each].searches) for each in ids]
        versions = versions_of(kept.spec, kept.options)
        return dataset_identity(versions, kept.options.as_dict(), games)


def _without_empty(plan: Plan, games: int) -> Plan:
    if not games:
        return plan
    excluded = dict(sorted({**plan.excluded, "no_decision": games}.items()))
    return replace(plan, excluded=excluded)


def write_dataset(
    plan: Plan,
    blocks: Mapping[str, bytes],
    folder: Path,
    *,
    on_games: Callable[[int], None] = lambda games: None,
) -> Manifest:
    """Write the dataset of a plan to `folder`, which then is whole or as it was before.

    `blocks` are those of all games of the plan. `on_games` hears how many games are written.
    Raises `NegativeResult` as `draft` does.
    """
    return write_draft(draft(plan, blocks), blocks, folder, on_games=on_games)


def write_draft(
    made: Draft,
    blocks: Mapping[str, bytes],
    folder: Path,
    *,
    on_games: Callable[[int], None] = lambda games: None,
) -> Manifest:
    """Write a dataset whose blocks have been read once; see `write_dataset`."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".{folder.name}.*{PARTIAL_SUFFIX}"):
        shutil.rmtree(left, ignore_errors=True)  # of a writer that was killed
    staging = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}{PARTIAL_SUFFIX}")
    staging.mkdir()
    try:
        parts: list[Part] = []
        for begin, headers in _cut(made):
            name = f"part-{len(parts):05d}.npz"
            arrays = _arrays(made, blocks, begin, headers)
            write_atomic(staging / name, lambda file, arrays=arrays: write_npz(file, arrays))  # type: ignore[misc]
            parts.append(
                Part(
                    name=name,
                    sha256=file_digest(staging / name),
                    size_bytes=(staging / name).stat().st_size,
                    samples=sum(header.samples for header in headers),
                    begin=begin,
                    games=len(headers),
                )
            )
            on_games(begin + len(headers))
        write_atomic(staging / NAME, _manifest(made, parts).to_bytes())
        _replace(staging, folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return Manifest.read(folder)


def write_single(made: Draft, blocks: Mapping[str, bytes], path: Path) -> Manifest:
    """Write a dataset to one `.npz` file, its manifest as the array `manifest` of its bytes.

    Raises `UsageError` beyond 2 GB.
    """
    size = sum(sizes_of(header, made.plan.spec, made.plan.options) for header in made.headers)
    if size > FILE_BYTES:
        raise UsageError(
            f"{size:,} bytes in one file; at most {FILE_BYTES:,}",
            where="--output",
            hint=f"--output {path.parent}/",
        )
    arrays = _arrays(made, blocks, 0, made.headers)
    arrays["manifest"] = np.frombuffer(_manifest(made, []).to_bytes(), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda file: write_npz(file, arrays))
    return Manifest.read(path)


def _cut(made: Draft) -> Iterator[tuple[int, list[BlockHeader]]]:
    """Yield (place of the first game, headers) of each part."""
    headers: list[BlockHeader] = []
    begin = size = 0
    for place, header in enumerate(made.headers):
        adds = sizes_of(header, made.plan.spec, made.plan.options)
        if headers and size + adds > PART_BYTES:
            yield begin, headers
            headers, begin, size = [], place, 0
        headers.append(header)
        size += adds
    yield begin, headers


def _arrays(
    made: Draft, blocks: Mapping[str, bytes], begin: int, headers: Sequence[BlockHeader]
) -> dict[str, Any]:
    games = []
    for place, header in enumerate(headers, begin):
        _, arrays = read_block(blocks[header.game], where=f"block of game {header.game}")
        weights = made.weights.of(
            GameWeights(
                game=made.plan.by_id[header.game],
                base=arrays["base_weight"],
                prior_kl=arrays["prior_kl"],
            )
        )
        games.append((place, header, arrays, weights))
    return part_arrays(games, made.plan.spec, made.plan.options)


def _manifest(made: Draft, parts: Sequence[Part]) -> Manifest:
    plan = made.plan
    spec = plan.spec
    val = [header for header in made.headers if header.split == "val"]
    return Manifest(
        id=made.id,
        request=made.request,
        config=plan.config,
        spec={**asdict(spec), "hash": spec.hash},
        versions=versions_of(spec, plan.options),
        package=installed("ringrift") or "source",
        layout=policy_layout(spec.board).hash,
        options=plan.options.as_dict(),
        games=len(made.headers),
        samples=made.samples,
        val_games=len(val),
        val_samples=sum(header.samples for header in val),
        samples_by={name: dict(sorted(counts.items())) for name, counts in made.counts.items()},
        policy={
            "samples": made.policy_samples,
            "searched": made.searched,
            "coverage": made.searched / made.policy_samples if made.policy_samples else None,
        },
        q={"samples": made.with_q, "coverage": made.with_q / made.samples},
        considered=plan.considered,
        excluded=dict(plan.excluded),
        duplicates=plan.duplicates,
        held_out=plan.held_out,
        games_upto=dict(plan.games_upto),
        symmetries=SYMMETRIES[spec.board],
        state_bytes=made.headers[0].state_bytes,
        phases=PHASE_NAMES[:OVER],
        victory_types=VICTORY_TYPES,
        size_bytes=sum(part.size_bytes for part in parts),
        parts=tuple(parts),
        game_ids=tuple(header.game for header in made.headers),
        game_facts=tuple(_facts(header) for header in made.headers),
    )


def _facts(header: BlockHeader) -> dict[str, Any]:
    names = ("play", "searches", "agents", "end", "reason", "ranks", "recorded", "decisions")
    return {name: getattr(header, name) for name in names}


def _replace(staging: Path, folder: Path) -> None:
    """Put a finished folder in the place of another, whose content goes."""
    sync_folder(staging)
    old = None
    if folder.exists():
        old = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}{PARTIAL_SUFFIX}")
        folder.replace(old)
    staging.replace(folder)
    sync_folder(folder.parent)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
