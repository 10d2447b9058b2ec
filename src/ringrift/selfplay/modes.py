"""Engine modes: which agents sit at which seats of which game (selfplay.md 4).

A mode gives each seat a *lot*, agent specs with weights; who sits where in game i is drawn from the
run's seed, i and the seat. A mode with one agent is a lot of one. A mode that needs a model which is
not there is a `UsageError`; a mixture leaves that part out and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from ringrift.core.errors import UsageError
from ringrift.selfplay import draws

if TYPE_CHECKING:
    from ringrift.rules.spec import BoardSpec

DEFAULT_SIMS = 100
POOL_SIZE = 5
AGAINST_POOL = "best-vs-pool"
DIVERSE_MODE = "diverse"
WITH_POLICY = ("cnn", "nnue-policy")
"""Kinds of nets that have a policy."""
LARGE_BOARDS = ("square19", "hexagonal")

SYNONYMS = {"random": "random-only", "mcts": "mcts-only", "gumbel-mcts": "gumbel-mcts-only"}
BANDS = {"canonical": (1, 2, 4, 5, 6, 7, 8, 9, 10), "light": (1, 2, 4, 5)}
LARGE_BAND = (1, 2)
LEVEL_BUDGETS = {4: 3, 5: 100, 6: 100, 7: 200, 8: 400, 9: 400, 10: 800}
"""Depth of level 4, simulations or expansions of the others: never a time (selfplay.md 4)."""
LEVEL_2_RANDOM = 0.3

DIVERSE = {
    "gumbel_mcts": "gumbel-mcts-only", "policy_only": "policy-only", "nnue_guided": "nnue-guided",
    "mcts": "mcts-only", "descent": "descent-only", "heuristic": "heuristic-only",
    "minimax": "minimax-only", "random": "random-only",
}  # fmt: skip
"""Names in the setting `selfplay.ai_type_weights` and the modes they stand for."""

DIVERSE_CPU = {
    "heuristic-only": 0.35, "nn-minimax": 0.20, "mcts-only": 0.15, "descent-only": 0.10,
    "maxn-only": 0.05, "brs-only": 0.05, "policy-only": 0.05, "random-only": 0.05,
}  # fmt: skip

Lot = tuple[tuple[str, float], ...]
"""Agent specs with their weights, which sum to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSet:
    """The models at hand by content id; None is not there.

    `best` is the champion or the model that was asked for, `nnue` one that alpha-beta can use,
    `pool` the last champions, newest first. `without` says that searches shall do without a model.
    `policy` says whether `best` has a policy. `known` are shown to whoever lacks one.
    """

    best: str | None = None
    nnue: str | None = None
    pool: tuple[str, ...] = ()
    policy: bool = True
    without: bool = False
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeOptions:
    """What the modes take from the command line.

    `heuristic` are further arguments of the heuristic, such as `mode=light`; `mix_ratio` is the
    share of heuristic choices in hybrid's `mixed`, which `ladder` replaces by levels of the ladder.
    """

    sims: int = DEFAULT_SIMS
    band: str = "canonical"
    ladder: bool = True
    mix_ratio: float = 0.8
    nnue_blend: float = 0.5
    heuristic: tuple[str, ...] = ()
    pool_size: int = 0
    weights: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seating:
    """Who sits where: a lot for each seat, or for each place that rotates with the game.

    `shared` draws once for the whole game. `unavailable` are the parts that were left out, each
    with the reason.
    """

    lots: tuple[Lot, ...]
    shared: bool = False
    rotate: bool = False
    unavailable: tuple[str, ...] = ()

    @property
    def agents(self) -> tuple[str, ...]:
        """All specs that may play, each once: what `PlayJob.agents` takes."""
        return tuple(dict.fromkeys(spec for lot in self.lots for spec, _ in lot))

    def seats(self, run_seed: int, index: int) -> tuple[int, ...]:
        """Return for each seat of game `index` the place of its agent in `agents`."""
        agents, found = self.agents, []
        for seat in range(len(self.lots)):
            place = (seat + index) % len(self.lots) if self.rotate else seat
            lot = self.lots[place]
            who = 0
            if len(lot) > 1:
                word = "game" if self.shared else seat + 1
                who = draws.weighted([w for _, w in lot], run_seed, "seat", index, word)
            found.append(agents.index(lot[who][0]))
        return tuple(found)


def seating(
    mode: str,
    board: BoardSpec,
    models: ModelSet,
    options: ModeOptions,
    *,
    others: Sequence[str | None] = (),
    fixed: bool = True,
) -> Seating:
    """Return the seating of a mode; `others` are modes of the seats after the first.

    Seats with different modes rotate with the game index unless `fixed`. Raises `UsageError` for an
    unknown mode, and for one whose model is not there.
    """
    maker = _Maker(board, models, options)
    if not any(others):
        return maker.seating(mode)
    if len(others) >= board.players:
        raise UsageError(f"modes for {len(others) + 1} seats; the game has {board.players}")
    seats = [mode, *others, *[None] * (board.players - 1 - len(others))]
    found = [maker.seating(one or mode) for one in seats]
    if any(one.rotate for one in found):
        raise UsageError("best-vs-pool seats all players; other modes go without it")
    return Seating(
        lots=tuple(one.lots[0] for one in found),
        rotate=not fixed,
        unavailable=tuple(dict.fromkeys(part for one in found for part in one.unavailable)),
    )


def seating_of_specs(specs: Sequence[str], players: int) -> Seating:
    """Return the seating of named specs: one for all seats, or one for each."""
    if len(specs) not in (1, players):
        raise UsageError(f"{len(specs)} agents for {players} seats", hint=f"1 or {players}")
    seats = list(specs) * (players if len(specs) == 1 else 1)
    return Seating(lots=tuple(((spec, 1.0),) for spec in seats))


def mode_name(text: str, *, where: str = "--engine-mode") -> str:
    """Return the one name of a mode; raises `UsageError` for an unknown one."""
    name = text.strip().lower().replace("_", "-")
    name = SYNONYMS.get(name, name)
    if name not in (*KINDS, *MIXTURES, AGAINST_POOL):
        known = ", ".join(sorted(known_modes()))
        raise UsageError(f"unknown engine mode {text!r}", where=where, hint=known)
    return name


class _Missing(Exception):
    """A model that is not there; the argument says which."""


class _Maker:
    """Writes the specs of one configuration."""

    def __init__(self, board: BoardSpec, models: ModelSet, options: ModeOptions) -> None:
        self._board = board
        self._models = models
        self._options = options

    def seating(self, mode: str) -> Seating:
        name = mode_name(mode)
        if name == "mixed" and self._options.ladder:
            return self._levels()
        if name == AGAINST_POOL:
            return self._against_pool()
        if name in MIXTURES:
            return self._mixture(name, MIXTURES[name](self._options), shared=name == "nn-only")
        try:
            spec = KINDS[name](self)
        except _Missing as missing:
            self._refuse(name, str(missing))
        return self._everywhere(((spec, 1.0),))

    def _everywhere(self, lot: Lot, **fields: object) -> Seating:
        made = Seating(lots=(lot,) * self._board.players)
        return replace(made, **fields)  # type: ignore[arg-type] # fields of Seating

    def _mixture(self, mode: str, parts: Mapping[str, float], *, shared: bool = False) -> Seating:
        specs: list[tuple[str, float]] = []
        lacking: list[str] = []
        for name, weight in parts.items():
            if weight <= 0:
                continue
            try:
                specs.append((KINDS[name](self), weight))
            except _Missing as missing:
                lacking.append(f"{name}: {missing}")
        return self._lot(mode, specs, lacking, shared=shared)

    def _lot(
        self,
        mode: str,
        specs: Sequence[tuple[str, float]],
        lacking: Sequence[str],
        *,
        shared: bool = False,
    ) -> Seating:
        if not specs:
            self._refuse(mode, "; ".join(lacking) or "all weights are 0")
        total = sum(weight for _, weight in specs)
        merged: dict[str, float] = {}
        for spec, weight in specs:
            merged[spec] = merged.get(spec, 0.0) + weight / total
        return self._everywhere(tuple(merged.items()), shared=shared, unavailable=tuple(lacking))

    def _levels(self) -> Seating:
        large = self._board.board in LARGE_BOARDS
        levels = LARGE_BAND if large else BANDS[self._options.band]
        specs, lacking = [], []
        for level in levels:
            try:
                specs.append((self._level(level), 1.0))
            except _Missing as missing:
                lacking.append(f"level {level}: {missing}")
        return self._lot("mixed", specs, lacking)

    def _level(self, level: int) -> str:
        """Return the agent of a ladder level with a fixed budget (agents.md 9)."""
        if level == 1:
            return "random"
        if level == 2:
            return self.heuristic(f"eps={LEVEL_2_RANDOM}")
        budget = LEVEL_BUDGETS[level]
        if level == 4:
            return f"alphabeta@{self.nnue()}:depth={budget}"
        if level == 5:
            return f"mcts:eval=rollout,sims={budget}"
        return f"{'mcts' if level < 9 else 'descent'}@{self.best()}:sims={budget}"

    def _against_pool(self) -> Seating:
        try:
            champion = self.search("gumbel")
        except _Missing as missing:
            self._refuse(AGAINST_POOL, str(missing))
        size = self._options.pool_size or POOL_SIZE
        pool = [name for name in self._models.pool if name != self._models.best][:size]
        if self._models.without or not pool:
            self._refuse(AGAINST_POOL, "no earlier model to play against")
        sims = self._options.sims
        others: Lot = tuple((f"gumbel@{name}:sims={sims}", 1 / len(pool)) for name in pool)
        lots = (((champion, 1.0),), *[others] * (self._board.players - 1))
        return Seating(lots=lots, rotate=True)

    def _refuse(self, mode: str, why: str) -> NoReturn:
        known = ", ".join(self._models.known) or "none"
        raise UsageError(
            f"engine mode {mode} of {self._board.config}: {why}; models present: {known}",
            where="--engine-mode",
            hint="`ringrift train nn`, `ringrift models init`, eval=heuristic in --agent, or "
            "--nn-model-id none",
        )

    # --- specs

    def best(self) -> str:
        """Return the best model's id."""
        if self._models.without:
            raise _Missing("--nn-model-id is none")
        if self._models.best is None:
            raise _Missing("no champion")
        return self._models.best

    def nnue(self) -> str:
        """Return the id of a model that alpha-beta can use."""
        if self._models.without:
            raise _Missing("--nn-model-id is none")
        if self._models.nnue is None:
            raise _Missing("no NNUE")
        return self._models.nnue

    def heuristic(self, *args: str) -> str:
        """Return a heuristic with the run's own arguments."""
        listed = ",".join((*self._options.heuristic, *args))
        return f"heuristic:{listed}" if listed else "heuristic"

    def search(self, kind: str) -> str:
        """Return a search that needs a model, or plays by the heuristic where told to."""
        sims = f"sims={self._options.sims}"
        if self._models.without:
            return f"{kind}:eval=heuristic,{sims}"
        return f"{kind}@{self.best()}:{sims}"

    def free_search(self, kind: str) -> str:
        """Return a search that takes the best model if there is one."""
        if self._models.without or self._models.best is None:
            return f"{kind}:eval=heuristic,sims={self._options.sims}"
        return self.search(kind)

    def deep(self, kind: str, *, model: bool = False) -> str:
        """Return a search by depth."""
        if model and not self._models.without:
            return f"{kind}@{self.nnue()}"
        return kind

    def policy(self, *args: str) -> str:
        """Return the bare policy."""
        best = self.best()
        if not self._models.policy:
            raise _Missing(f"model {best[:12]} has no policy")
        listed = ",".join(args)
        return f"policy@{best}:{listed}" if listed else f"policy@{best}"

    def blended(self) -> str:
        """Return one-ply play by NNUE and heuristic."""
        return f"blend@{self.nnue()}:share={self._options.nnue_blend:g}"

    def mixed(self) -> str:
        """Return heuristic play with random choices in between."""
        return self.heuristic(f"eps={1 - self._options.mix_ratio:.6g}")


KINDS: dict[str, Callable[[_Maker], str]] = {
    "random-only": lambda make: "random",
    "heuristic-only": lambda make: make.heuristic(),
    "mixed": lambda make: make.mixed(),
    "minimax-only": lambda make: make.deep("alphabeta"),
    "gpu-minimax-only": lambda make: make.deep("alphabeta"),
    "maxn-only": lambda make: make.deep("maxn"),
    "brs-only": lambda make: make.deep("brs"),
    "nn-minimax": lambda make: make.deep("alphabeta", model=True),
    "mcts-only": lambda make: make.free_search("mcts"),
    "descent-only": lambda make: make.free_search("descent"),
    "nn-mcts": lambda make: make.search("mcts"),
    "nn-descent": lambda make: make.search("descent"),
    "gumbel-mcts-only": lambda make: make.search("gumbel"),
    "policy-only": lambda make: make.policy(),
    "neural-demo-only": lambda make: make.policy("tau=1"),
    "nnue-guided": lambda make: make.blended(),
}

MIXTURES: dict[str, Callable[[ModeOptions], Mapping[str, float]]] = {
    "nn-only": lambda options: {"nn-descent": 1.0, "nn-mcts": 1.0, "nn-minimax": 1.0},
    DIVERSE_MODE: lambda options: {
        DIVERSE[name]: weight for name, weight in (options.weights or {}).items()
    },
    "diverse-cpu": lambda options: DIVERSE_CPU,
}


def known_modes() -> tuple[str, ...]:
    """Return the names of all modes, with their synonyms."""
    own = [name for name in KINDS if name != "nn-mcts"]
    return tuple(dict.fromkeys([*own, *SYNONYMS, *MIXTURES, AGAINST_POOL]))
