"""What the commands that measure models share: which models, how they search, who plays."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ringrift.cli.eval.distributed import cluster_table
from ringrift.cli.models.parts import models_folder, references
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ringrift.cli.invocation import Invocation
    from ringrift.core.interrupt import Stop
    from ringrift.evaluation.contenders import Contender, ModelRow, Search
    from ringrift.evaluation.matches import Store
    from ringrift.evaluation.players import Players
    from ringrift.evaluation.results import MatchResult
    from ringrift.evaluation.tally import Tally
    from ringrift.evaluation.tournaments import Meeting
    from ringrift.evaluation.two_stage import Titled
    from ringrift.records.store import GameStore

DEFAULT_CONFIG = "square8_2p"
NET, NNUE = ("cnn",), ("nnue", "nnue-policy")


def store_of(run: Invocation) -> Path:
    """Return the file of the store that keeps match games."""
    return run.paths(create=False).game_store


def search_of(run: Invocation, sims: int | None) -> Search:
    """Return how models search; `sims` None means the settings' number."""
    from ringrift.evaluation.contenders import Search

    settings = run.settings().values
    return Search(
        sims=sims or settings.evaluation.simulations,
        considered=settings.selfplay.considered_moves,
        c_scale=settings.selfplay.c_scale,
    )


def registered(
    run: Invocation, config: str | None = None, kinds: Iterable[str] = ()
) -> list[ModelRow]:
    """Return the models of a configuration whose files are here, the newest first.

    `config` None means all; `kinds` empty means all.
    """
    from ringrift.models.listing import list_models
    from ringrift.models.registry import model_path

    folder = models_folder(run)
    wanted = frozenset(kinds)
    return [
        replace(
            _row(
                run,
                model.id,
                str(model.kind),
                str(model.config),
                model_path(folder / "objects", model.id),
            ),
            label=model.label,
            created_at=model.created_at,
        )
        for model in list_models(folder).models
        if model.file == "here"
        and config in (None, model.config)
        and (not wanted or model.kind in wanted)
    ]


def named(
    run: Invocation, names: Sequence[str], config: str | None, *, register: bool
) -> list[ModelRow]:
    """Return the models that references mean; with `register` files from elsewhere are taken in.

    Raises `UsageError` for none, or for one of another configuration than asked for.
    """
    from ringrift.models.registry import model_path
    from ringrift.models.registry import register as take_in
    from ringrift.nets.container import read_card

    known = references(run)
    found: dict[str, ModelRow] = {}
    for name in names:
        path = known.file(name, config)
        model_id, card = read_card(path)
        if config not in (None, card["config"]):
            raise UsageError(
                f"a model of {card['config']}; asked for {config}",
                where=name,
                hint=f"--config-key {card['config']}",
            )
        objects = models_folder(run) / "objects"
        stands = model_path(objects, model_id)
        if register and not stands.is_file():
            take_in(objects, path)
        place = stands if stands.is_file() else path
        found[model_id] = _row(run, model_id, str(card["kind"]), str(card["config"]), place)
    return list(found.values())


def contenders(run: Invocation, models: Iterable[ModelRow], sims: int | None) -> list[Contender]:
    """Return models as they play matches of their own configurations."""
    from ringrift.evaluation.contenders import Contender
    from ringrift.rules import BoardSpec, parse_config

    search = search_of(run, sims)
    return [
        Contender.of_model(model, BoardSpec.create(*parse_config(model.config)), search)
        for model in models
    ]


@dataclass(slots=True)
class Table:
    """Where matches are played: results of plans, from the store and from new games."""

    store: GameStore
    stop: Stop
    _players: Any
    _show: Any

    def play(self, wanted: Sequence[Titled]) -> list[MatchResult]:
        """Play what is missing of some matches; once somebody asked to stop only look."""
        from ringrift.evaluation.players import play_matches

        if self.stop.requested:
            return self.look(wanted)
        return play_matches(
            [each.plan for each in wanted],
            self.store,
            self._players,
            titles=[each.title for each in wanted],
            on_progress=self._show,
            stop=lambda: self.stop.requested,
        )

    def look(self, wanted: Sequence[Titled]) -> list[MatchResult]:
        """Return what is stored of some matches."""
        return looked_up(self.store, wanted)


@contextmanager
def table(run: Invocation, models: Iterable[ModelRow], workers: int | None) -> Iterator[Table]:
    """Open the store to play and show the progress of every match together."""
    from ringrift.core.interrupt import cooperative_stop

    path = run.paths().game_store
    with cooperative_stop() as stop, playing(run, path, models, workers) as (store, players, show):
        yield Table(store, stop, players, show)


@contextmanager
def playing(
    run: Invocation,
    path: Path,
    models: Iterable[ModelRow],
    workers: int | None,
    *,
    distributed: bool = False,
) -> Iterator[tuple[GameStore, Players, Callable[[Tally], None]]]:
    """Open a store to play in it: the store, the processes, and what shows all progress in one bar.

    A match that ended early counts with the games that it took. `distributed` plays on the nodes of
    the cluster, into the installation's store.
    """
    from ringrift.evaluation.contenders import files_of

    files = files_of(models)
    place = cluster_table(run, files) if distributed else _here(path, files, workers)
    with run.out.progress() as progress, place as (store, players):
        task = progress.task("games", unit="games")
        counted: dict[str, tuple[int, int]] = {}

        def show(tally: Tally) -> None:
            whole = tally.counted if tally.complete else tally.plan.games
            counted[tally.plan.hash] = (tally.counted, whole)
            task.update(
                sum(done for done, _ in counted.values()),
                total=sum(whole for _, whole in counted.values()),
            )

        yield store, players, show
        task.finish()


@contextmanager
def _here(
    path: Path, files: Mapping[str, Path], workers: int | None
) -> Iterator[tuple[GameStore, Players]]:
    from ringrift.core.limits import thread_budget
    from ringrift.evaluation.players import MatchPlayers
    from ringrift.records.store import GameStore

    path.parent.mkdir(parents=True, exist_ok=True)
    most = thread_budget()
    with (
        GameStore.open(path, writer=True) as store,
        MatchPlayers(files, workers=min(workers or most, most)) as players,
    ):
        yield store, players


@contextmanager
def looking(path: Path) -> Iterator[GameStore | None]:
    """Open a store to read; None where there is none yet."""
    from ringrift.records.store import GameStore

    if not path.is_file():
        yield None
        return
    with GameStore.open(path) as store:
        yield store


def looked_up(store: Store | None, wanted: Iterable[Titled | Meeting]) -> list[MatchResult]:
    """Return what is stored of some matches; without a store nothing is."""
    from ringrift.evaluation.matches import stored
    from ringrift.evaluation.tally import Tally

    return [
        (Tally(each.plan) if store is None else stored(each.plan, store)).result(each.title)
        for each in wanted
    ]


def _row(run: Invocation, model_id: str, kind: str, config: str, path: Path) -> ModelRow:
    from ringrift.evaluation.contenders import ModelRow

    root = run.known_root()
    inside = root is not None and path.is_relative_to(root)
    place = path.relative_to(root).as_posix() if inside and root is not None else str(path)
    return ModelRow(id=model_id, kind=kind, config=config, path=path, place=place)
