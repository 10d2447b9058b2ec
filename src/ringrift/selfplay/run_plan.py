"""A resolved run: settings + seed + game indices, and the plan of each game (selfplay.md 1, 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ringrift.core.ids import canonical_json, content_id
from ringrift.selfplay import draws
from ringrift.selfplay.control import SearchControl
from ringrift.selfplay.modes import Seating
from ringrift.selfplay.openings import Opening, Openings
from ringrift.selfplay.plans import GamePlan, PlayJob, Purpose, game_seed

if TYPE_CHECKING:
    from ringrift.agents.spec import ResolvedSpec
    from ringrift.records.record import GameRecord
    from ringrift.rules.spec import BoardSpec

TauMix = Literal["uniform", "weighted", "random"]
TAUS = (0.5, 1.0, 1.5)
TAU_WEIGHTS: dict[str, tuple[float, ...]] = {"uniform": (1, 1, 1), "weighted": (0.25, 0.5, 0.25)}
TAU_RANGE = (0.3, 1.8)

GAME_BYTES = 2_000
"""Most that a square8_2p game without statistics takes (selfplay.md 6)."""
PLY_BYTES = 220
"""What the statistics of one searched ply add."""
WORKER_BYTES = 350 << 20
"""Memory of a worker with compiled rules; a net adds its own."""
NET_BYTES = 450 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """All that decides the games of a run; travels nowhere but into its header.

    `models` maps model ids to files. `tau_mix` draws a temperature for each game. `device` is where
    nets are evaluated, as `PlayJob` has it. `check_invariants` looks at the invariants after every ply.
    """

    spec: BoardSpec
    seed: int
    seating: Seating
    max_plies: int
    control: SearchControl = field(default_factory=SearchControl)
    openings: Openings = field(default_factory=Openings)
    models: Mapping[str, str] = field(default_factory=dict)
    tau_mix: TauMix | None = None
    purpose: Purpose = "selfplay"
    device: str = "cpu"
    tags: tuple[str, ...] = ()
    analyse: bool = True
    check_invariants: bool = False

    @property
    def config(self) -> str:
        """Name of the configuration."""
        return self.spec.config

    def job(self, run: str) -> PlayJob:
        """Return what the games of this run share."""
        lacking = tuple(
            f"unavailable:{part.partition(':')[0]}" for part in self.seating.unavailable
        )
        return PlayJob(
            spec=self.spec,
            agents=self.seating.agents,
            max_plies=self.max_plies,
            models=dict(self.models),
            purpose=self.purpose,
            run=run,
            analyse=self.analyse,
            tags=(*self.tags, *lacking),
            control=self.control,
            check_invariants=self.check_invariants,
            device=self.device,
        )

    def game(self, index: int) -> GamePlan:
        """Fix game `index`: it follows from the plan, its seed and the index alone."""
        return self.openings.begin(
            GamePlan(
                index=index,
                seed=game_seed(self.seed, self.config, index),
                seats=self.seating.seats(self.seed, index),
                tau=self._tau(index),
            )
        )

    def games(self, indices: Iterable[int]) -> list[GamePlan]:
        """Fix several games."""
        return [self.game(index) for index in indices]

    def _tau(self, index: int) -> float | None:
        if self.tau_mix is None:
            return None
        if self.tau_mix == "random":
            low, high = TAU_RANGE
            return round(low + (high - low) * draws.uniform(self.seed, "tau", index), 6)
        return TAUS[draws.weighted(TAU_WEIGHTS[self.tau_mix], self.seed, "tau", index)]

    # --- identity

    def resolved(self) -> tuple[ResolvedSpec, ...]:
        """Return who the agents are in the records; raises `UsageError` for a bad spec."""
        from ringrift.selfplay.agents_of import resolved_agents

        return resolved_agents(self.job("plan"))

    def seats_those_of(self, record: GameRecord) -> bool:
        """Tell whether the agents of a game are those that this plan seats in it."""
        index = record.meta.index
        if index is None:
            return False
        agents = self.resolved()
        wanted = [agents[seat].agent_hash for seat in self.game(index).seats]
        return [agent.agent_hash for agent in record.agents] == wanted

    def as_tree(self) -> dict[str, Any]:
        """Return what decides the games, as plain data."""
        return {
            "config": self.config,
            "spec_hash": self.spec.hash,
            "seed": self.seed,
            "max_plies": self.max_plies,
            "purpose": self.purpose,
            "device": self.device,
            "agents": [
                {"spec": agent.text, "hash": agent.agent_hash, "model": agent.model_id}
                for agent in self.resolved()
            ],
            "seats": [
                [[self.seating.agents.index(spec), weight] for spec, weight in lot]
                for lot in self.seating.lots
            ],
            "shared": self.seating.shared,
            "rotate": self.seating.rotate,
            "control": asdict(self.control),
            "openings": {
                "choices": list(self.openings.choices),
                "top_k": self.openings.top_k,
                "book": _named(self.openings.book),
                "fork_fraction": self.openings.fork_fraction,
            },
            "tau_mix": self.tau_mix,
            "check_invariants": self.check_invariants,
        }

    @property
    def unavailable(self) -> tuple[str, ...]:
        """The parts of the mode that were left out, with the reasons."""
        return self.seating.unavailable

    def bytes_per_game(self) -> int:
        """Estimate the disk space of a record with its statistics."""
        large = self.spec.cells / 64
        searched = self.analyse and any(
            text.partition("@")[0].partition(":")[0] in ("mcts", "gumbel", "policy", "descent")
            for text in self.seating.agents
        )
        return round(GAME_BYTES * large + (100 * PLY_BYTES * large if searched else 0))

    def bytes_per_worker(self) -> int:
        """Estimate the memory of a worker process."""
        return WORKER_BYTES + (NET_BYTES if any("@" in text for text in self.seating.agents) else 0)


def key_of(tree: Mapping[str, Any]) -> str:
    """Name what decides the games of a run: 12 hex digits over `RunPlan.as_tree`."""
    return content_id("selfplay run", canonical_json(tree))[:12]


def _named(openings: Sequence[Opening]) -> str | None:
    """Return a hash over openings, None without any."""
    if not openings:
        return None
    listed = [[list(one.moves), one.start, one.tag] for one in openings]
    return content_id("openings", canonical_json(listed))[:12]
