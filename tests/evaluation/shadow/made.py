"""A service over a real store in which games are played with random moves at once."""

from contextlib import contextmanager
from dataclasses import replace

from tests.evaluation.test_matches import Player

from ringrift.core.errors import DataError
from ringrift.evaluation.contenders import ModelRow
from ringrift.evaluation.matches import run_match
from ringrift.evaluation.plans import OpeningChoice
from ringrift.evaluation.shadow.rounds import Entrants, Round, RoundSettings, ShadowResult
from ringrift.evaluation.shadow.schedule import WATCHED
from ringrift.evaluation.shadow.service import ShadowService, World
from ringrift.records.store import GameStore
from ringrift.rules import Position

CONFIG = "square8_2p"
START_S = 1_800_000_000.0
SMALL = RoundSettings(
    shadow_games=2, full_games=2, quick_games=2, baselines=("random",), openings=OpeningChoice()
)


def model(number, path, *, config=CONFIG, label=None):
    return ModelRow(id=f"{number:064x}", kind="nnue", config=config, path=path, label=label)


class Clock:
    """Seconds that pass when told to."""

    def __init__(self, now_s=START_S):
        self.now_s = now_s

    def __call__(self):
        return self.now_s


class Losing(Player):
    """Plays random games in which the models of `losers` lose to other models."""

    def __init__(self, store, losers):
        super().__init__(store)
        self.losers = losers

    def moves(self, plan, game):
        against_model = all(agent.model_id for agent in plan.participants)
        lost = {seat for seat, a in enumerate(game.agents) if a.model_id in self.losers}
        for attempt in range(100):
            moves = super().moves(plan, replace(game, seed=game.seed + attempt))
            if not (against_model and lost) or winner_of(plan.spec, moves) not in lost:
                return moves
        raise AssertionError("the models win every game")


def winner_of(spec, moves):
    """The seat, from 0, that wins a game without a swap."""
    position = Position.of(spec)
    for move in moves:
        position.play(move)
    return position.winner - 1


class Place:
    """A root with a store, and models that are added by hand."""

    def __init__(self, folder, *, clock=None):
        self.file = folder / "games.db"
        self.folder = folder
        self.clock = clock or Clock()
        self.models = []
        self.champions = ()
        self.alerts, self.resolved, self.played = [], [], []
        self.looping = False
        self.losers = set()

    def add(self, number, *, champion=False, **values):
        made = model(number, self.folder / f"{number}.safetensors", **values)
        self.models.insert(0, made)
        if champion:
            self.champions = (made.id, *self.champions)
        return made

    def entrants(self, config):
        return Entrants(
            models=tuple(m for m in self.models if m.config == config),
            champions=self.champions,
        )

    @contextmanager
    def open(self, writing):
        if not writing and not self.file.is_file():
            yield None
            return
        with GameStore.open(self.file, writer=writing) as store:
            yield store

    def play(self, plans, store, models, stop):
        self.played += plans
        for plan in plans:
            for agent in plan.participants:
                assert agent.model_id is None or agent.model_id in models
            run_match(plan, store, Losing(store, self.losers), stop=stop)

    def take_in(self, path):
        if path.stat().st_size < 10:
            raise DataError("truncated", where=str(path))
        return self.add(int(path.stem), label=WATCHED)

    def service(self, *, settings=SMALL, configs=(CONFIG,), **values):
        world = World(
            entrants=self.entrants,
            play=self.play,
            open_store=self.open,
            take_in=self.take_in,
            loop_runs=lambda: self.looping,
            alert=lambda *told: self.alerts.append(told),
            resolve=lambda *told: self.resolved.append(told),
            clock=self.clock,
        )
        return ShadowService(configs=configs, world=world, settings=settings, **values)


def result(
    elo, *, half_width=20.0, opponent="f" * 64, at=START_S, games=16, rate=0.5, who="a" * 64
):
    """A successful result; `elo` None for no win at all, with the upper end at -`half_width`."""
    ends = (None, -half_width) if elo is None else (elo - half_width, elo + half_width)
    return ShadowResult(
        config=CONFIG, model_id=who, opponent=opponent, games_played=games,
        wins=0, losses=0, draws=0, win_rate=rate, win_rate_ci95=(0.0, 1.0),
        elo_estimate=elo, elo_ci95=ends, duration=1.0, tournament_type="shadow",
        success=True, error=None, run="e" * 64, at=at,
    )  # fmt: skip


def a_round(*results, kind="shadow", started_s=START_S, who="a" * 64):
    return Round(config=CONFIG, kind=kind, started_s=int(started_s), model_id=who, results=results)
