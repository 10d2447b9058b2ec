"""Compile everything the workers use, once, before they start: otherwise each would do it.

The compiler's cache is keyed by the sources (`rules.jitconf`); a stamp in its folder says that the
steps below have run for them, so a second start costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringrift.loop.child import Report, run_child

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringrift.loop.interfaces import Screen

STAMP = "loop-is-warm"


def warm(screen: Screen, stop: Callable[[], bool]) -> None:
    """Compile what is not compiled yet, with a progress bar."""
    from ringrift.rules.jitconf import COMPILED, cache_folder

    stamp = cache_folder("evaluation") / STAMP
    if stamp.exists() or not COMPILED:
        return
    bar = screen.task("compiling rules (once)", total=len(STEPS), unit="steps")
    screen.note("compiling rules (once)")

    def show(report: dict[str, Any]) -> None:
        bar.update(report["done"], name=f"compiling {report['name']} (once)")

    try:
        run_child(warm_here, {}, what="compiling", on_report=show, stop=stop)
    finally:
        bar.finish()
    stamp.touch()


def warm_here(report: Report) -> None:
    """Run every step; in a child."""
    for done, (name, step) in enumerate(STEPS):
        report({"done": done, "name": name})
        step()
    report({"done": len(STEPS), "name": "rules"})


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


def warm_nets() -> None:
    """Make a net of random weights and evaluate its probe positions, as saving a model does."""
    import tempfile
    from pathlib import Path

    from ringrift.nets.model_file import init_model
    from ringrift.rules import BoardSpec

    with tempfile.TemporaryDirectory() as folder:
        init_model(BoardSpec.create("square8", 2), size="micro", seed=1, folder=Path(folder))


STEPS = (
    ("rules", warm_rules),
    ("records", warm_records),
    ("search", warm_search),
    ("nets", warm_nets),
)
