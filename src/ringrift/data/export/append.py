"""Extend a dataset by the games of more stores: as if all had been exported at once (data.md 5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ringrift.core.errors import RefusedError, UsageError
from ringrift.data.dataset.options import WINDOW_ALL
from ringrift.data.dataset.pack import block_key, write_pack
from ringrift.data.dataset.places import find_datasets
from ringrift.data.dataset.plan import Plan, PlannedGame, leaked
from ringrift.data.dataset.reader import Dataset
from ringrift.data.dataset.views import Views


def dataset_to_extend(output: Path, plan: Plan) -> Dataset | None:
    """Return the newest dataset of the same options below `output`, None for none.

    Raises `UsageError` for options under which old games may have to go.
    """
    options = plan.options
    aged = options.window != WINDOW_ALL or options.decay_half_life is not None
    if aged or options.max_games is not None:
        raise UsageError(
            "what a dataset holds would change with newer games",
            where="--append",
            hint="no --window, --max-games or --decay-half-life",
        )
    single = output.suffix == ".npz"
    paths = [output] if single else find_datasets(output, plan.config)
    for path in paths:
        if not path.exists():
            continue
        dataset = Dataset.open(path)
        if dataset.manifest.options == options.as_dict():
            _check_spec(dataset, plan)
            return dataset
    return None


def _check_spec(dataset: Dataset, plan: Plan) -> None:
    if dataset.manifest.spec["hash"] != plan.spec.hash:
        raise RefusedError(
            f"dataset of board specification {dataset.manifest.spec['hash'][:16]}; the games have "
            f"{plan.spec.hash[:16]}",
            where=str(dataset.path),
        )


def extended(plan: Plan, dataset: Dataset, folder: Path) -> tuple[Plan, Path]:
    """Return the plan with the dataset's games beside its own, and a file of their blocks.

    The file is written to `folder`. Raises `NegativeResult` where a game of the dataset is held out
    by one of the plan's stores.
    """
    manifest = dataset.manifest
    facts = dict(zip(manifest.game_ids, manifest.game_facts, strict=True))
    _refuse_leaks(plan, {play["play"]: identity for identity, play in facts.items()})
    old: dict[str, PlannedGame] = {}

    def rows() -> Iterator[tuple[str, str, bytes]]:
        for identity, split, block in dataset.blocks():
            fact = facts[identity]
            game = PlannedGame(
                id=identity,
                store=-1,
                seq=0,
                split=split,
                play=fact["play"],
                plies=0,
                analyses=tuple(fact["searches"]),
            )
            old[identity] = game
            yield identity, block_key(game), block

    folder.mkdir(parents=True, exist_ok=True)
    pack = folder / f"extended-{manifest.id[:16]}.blocks"
    write_pack(pack, rows())
    games = _union(old, plan)
    again = set(manifest.games_upto) & set(plan.games_upto)
    joined = replace(
        plan,
        games=games,
        excluded=dict(plan.excluded) if again else _added(plan.excluded, manifest.excluded),
        games_upto=dict(sorted({**manifest.games_upto, **plan.games_upto}.items())),
        considered=plan.considered if again else plan.considered + manifest.considered,
        duplicates=plan.duplicates if again else plan.duplicates + manifest.duplicates,
        held_out=plan.held_out if again else plan.held_out + manifest.held_out,
    )
    return joined, pack


def _union(old: Mapping[str, PlannedGame], plan: Plan) -> tuple[PlannedGame, ...]:
    """Keep each play once, the smallest id; of a game in both, what the stores say of it now."""
    best: dict[str, PlannedGame] = {}
    for game in (*plan.games, *old.values()):
        other = best.get(game.play)
        if other is None or game.id < other.id:
            best[game.play] = game
    return tuple(sorted(best.values(), key=lambda game: game.id))


def _added(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted((Counter(first) + Counter(second)).items()))


def _refuse_leaks(plan: Plan, plays: Mapping[str, str]) -> None:
    if "holdout" in plan.options.splits:
        return
    with ExitStack() as stack:
        for path in plan.stores:
            views = stack.enter_context(Views(path))
            for play in views.held_out(list(plays)):
                raise leaked(plays[play], play)
