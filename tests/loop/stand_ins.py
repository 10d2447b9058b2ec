"""Stand-ins for workers and learner: random moves and empty model files, in this process."""

import json
import random

from ringrift.core.ids import content_id
from ringrift.evaluation.sprt import SequentialTest
from ringrift.loop.learn import REPORT
from ringrift.loop.plan import LoopPlan, MeasuringPlan, SelfplayPlan, TrainingPlan
from ringrift.models.registry import model_path
from ringrift.records.record import AgentRef, GameMeta
from ringrift.records.verify import build_record
from ringrift.rules import Position
from ringrift.selfplay.plans import game_seed


def tiny_plan(**changes):
    values = {
        "config": "square8_2p",
        "seed": 0,
        "generations": 2,
        "selfplay": SelfplayPlan(
            games=5,
            sims=4,
            cheap_sims=2,
            full_fraction=1.0,
            considered=4,
            c_scale=1.0,
            opening_choices=2,
        ),
        "training": TrainingPlan(
            size="micro",
            encoder="planes1-basic",
            window_games=100,
            epochs=1,
            batch_size=32,
            learning_rate=1e-3,
            weight_decay=1e-4,
            policy_weight=1.0,
            value_weight=1.0,
            sampling_weights="uniform",
            ema_decay=0.9,
        ),
        "measuring": MeasuringPlan(
            sims=4,
            exam_sims=4,
            test=SequentialTest(elo1=50, min_games=4, max_games=8),
            floor_games=4,
            exam_games=6,
        ),
    }
    return LoopPlan(**{**values, **changes})


def play_randomly(spec, seed, agents, opening=(), *, meta, max_plies=500):
    rng = random.Random(seed)
    position = Position.of(spec)
    moves = list(opening)
    for move in moves:
        position.play(move)
    while not position.is_over and len(moves) < max_plies:
        moves.append(int(rng.choice(position.legal_packed().tolist())))
        position.play(moves[-1])
    return build_record(spec, seed, agents, moves, meta=meta, max_plies=max_plies)


class RandomWorkers:
    """Plays every order with random moves; `before_game` may raise or ask to stop."""

    def __init__(self, before_game=lambda: None):
        self.before_game = before_game
        self.played = 0
        self.closed = False

    def selfplay(self, order, stop):
        agent = AgentRef(spec="random", agent_hash=content_id("agent", b"x"), model_id=order.model)
        for index in order.indices:
            self.before_game()
            if stop():
                return
            self.played += 1
            meta = GameMeta(purpose="selfplay", run=order.run, index=index)
            seed = game_seed(order.seed, order.spec.config, index)
            yield play_randomly(order.spec, seed, [agent] * order.spec.players, meta=meta), None

    def match(self, plan, games, stop):
        for game in games:
            self.before_game()
            if stop():
                return
            self.played += 1
            meta = GameMeta(purpose="match", run=plan.hash, index=game.index)
            yield play_randomly(
                plan.spec, game.seed, game.agents, game.opening, meta=meta, max_plies=plan.max_plies
            )

    def close(self):
        self.closed = True


class PaperLearner:
    """Writes model files without content; `trained` counts trainings."""

    def __init__(self):
        self.trained = 0

    def random_model(self, *, config, size, encoder, seed, objects, stop):
        del stop, encoder
        return self._model(objects, f"{config} {size} {seed}")

    def candidate(self, order, *, on_report, stop):
        del stop
        self.trained += 1
        on_report({"step": 1, "steps": 1, "loss": 1.0})
        model = self._model(order.objects, f"{order.parent} {order.seed}")
        scores = {"samples": 10, "policy_loss": 1.0, "policy_kl": 0.5, "value_loss": 0.7}
        report = {
            "model_id": model,
            "parent_id": order.parent,
            "samples": 10,
            "games": 5,
            "steps": 1,
            "train": scores,
            "validation": None,
        }
        order.folder.mkdir(parents=True, exist_ok=True)
        (order.folder / REPORT).write_text(json.dumps(report), encoding="utf-8")
        return report

    def _model(self, objects, text):
        identity = content_id("model", text.encode())
        path = model_path(objects, identity)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        return identity


class Silence:
    """A screen that remembers the lines."""

    def __init__(self):
        self.lines = []

    def task(self, name, *, total=None, unit=""):
        del name, total, unit
        return self

    def update(self, done, *, name=None, total=None):
        pass

    def finish(self):
        pass

    def note(self, text):
        self.lines.append(text)


class FreeGuard:
    """Never holds anything; `held` and `ending` may be set to make it."""

    def __init__(self):
        self.held = self.ending = False
        self.on_change = lambda reasons: None
        self._told = False

    def listen(self, on_change):
        self.on_change = on_change

    def hold(self):
        if self.held != self._told:
            self._told = self.held
            self.on_change(("memory 81 % of 80 %",) if self.held else ())
        return self.held

    def must_end(self):
        return self.hold() and self.ending

    def workers_end(self):
        pass
