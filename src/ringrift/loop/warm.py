"""Compile everything the workers use, once, before they start: otherwise each would do it.

The compiler's cache is keyed by the sources (`rules.jitconf`); a stamp in its folder says that the
steps below have run for them, so a second start costs a look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ringrift.loop.child import Report, run_child

if TYPE_CHECKING:
    from collections.abc import Callable

STAMP = "loop-is-warm"


class OnStep(Protocol):
    """Takes the name of what is being compiled, and how many of the steps are done."""

    def __call__(self, name: str, done: int, steps: int) -> None:
        """Show it."""
        ...


def warm(on_step: OnStep, stop: Callable[[], bool]) -> None:
    """Compile what is not compiled yet; `on_step` is not called where nothing is."""

    def show(report: dict[str, Any]) -> None:
        on_step(report["name"], report["done"], len(STEPS))

    run_child(warm_here, {}, what="compiling", on_report=show, stop=stop)


def warm_here(report: Report) -> None:
    """Run every step; in a child."""
    from ringrift.rules.jitconf import COMPILED, cache_folder

    stamp = cache_folder("evaluation") / STAMP
    if stamp.exists() or not COMPILED:
        return
    for done, (name, step) in enumerate(STEPS):
        report({"done": done, "name": name})
        step()
    report({"done": len(STEPS), "name": "rules"})
    stamp.touch()


def warm_rules() -> None:
    """Play a few moves through the public face."""
    from ringrift.rules import Position

    position = Position.start("square8")
    for _ in range(6):
        position.play(position.legal_moves()[0])
    _ = position.hash64, str(position), position.result


def warm_search() -> None:
    """Search one position and play the baselines."""
    from ringrift.agents.factory import make_agent
    from ringrift.agents.protocol import Batch, Budget, Rngs
    from ringrift.rules import BoardSpec, Position

    spec = BoardSpec.create("square8", 2)
    batch = Batch(spec, Position.of(spec)._states, [1])  # noqa: SLF001 - the batch of one position
    for text in ("random", "heuristic", "gumbel:eval=heuristic,sims=8,m=4"):
        make_agent(text, spec).choose(batch, Budget(), Rngs())


def warm_records() -> None:
    """Build and verify a short game."""
    from ringrift.records.record import AgentRef
    from ringrift.records.verify import build_record, verified_play
    from ringrift.rules import BoardSpec, Position

    spec = BoardSpec.create("square8", 2)
    position = Position.of(spec)
    moves = []
    for _ in range(20):
        moves.append(int(position.legal_packed()[0]))
        position.play(moves[-1])
    agents = [AgentRef(spec="random", agent_hash="0" * 64)] * 2
    verified_play(build_record(spec, 1, agents, moves, max_plies=20))


def warm_play() -> None:
    """Play some plies of a self-play game and of a match with a small net of random weights."""
    import tempfile
    from pathlib import Path

    from ringrift.nets.nnue.file import init_nnue
    from ringrift.rules import BoardSpec
    from ringrift.selfplay.lockstep import Table
    from ringrift.selfplay.plans import PlayJob
    from ringrift.selfplay.shelf import AgentShelf
    from ringrift.selfplay.warming import warm, warm_mark

    spec = BoardSpec.create("square8", 2)
    with tempfile.TemporaryDirectory() as folder:
        net = init_nnue(spec, folder=Path(folder), seed=1, hidden=32, policy=True)
        agent = f"gumbel@{net.stem}:sims=8"
        for purpose in ("selfplay", "match"):
            playing = purpose == "selfplay"
            job = PlayJob(
                spec=spec,
                agents=(agent,) if playing else (agent, "random", "heuristic"),
                max_plies=1_000,
                models={net.stem: str(net)},
                explore=playing,
                analyse=playing,
            )
            warm(Table(job, AgentShelf().agents(job), 2))
            warm_mark(job).parent.mkdir(parents=True, exist_ok=True)
            warm_mark(job).touch()


STEPS = (
    ("rules", warm_rules),
    ("search", warm_search),
    ("records", warm_records),
    ("play", warm_play),
)
