"""Compile once what the workers of a job need: the first plays a little, a file says that it did."""

from __future__ import annotations

import hashlib
from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.errors import RingriftError
from ringrift.selfplay.plans import GamePlan, PlayJob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringrift.agents.spec import AgentSpec
    from ringrift.selfplay.lockstep import Table

WARM_PLIES = 16
WARM_MS = 5
WAYS = ("mode", "multi")
"""Arguments of a spec that choose between compiled functions."""


def compiled_parts(job: PlayJob) -> tuple[str, ...]:
    """Name, sorted, what a job has compiled that another might not: searches, evaluators, options."""
    from ringrift.agents.spec import parse_spec

    options = {
        "analyses": job.analyse,
        "best moves": job.control.opening_top_k > 0,
        "swap": job.spec.swap_rule,
    }
    found = {f"{job.spec.players} players", *(name for name, used in options.items() if used)}
    for text in warm_job(job).agents:
        found.update(_parts(parse_spec(text), job))
    return tuple(sorted(found))


def _parts(parsed: AgentSpec, job: PlayJob) -> Iterator[str]:
    from ringrift.agents.spec import KINDS, MIX

    if parsed.kind == MIX:
        for part, _ in parsed.parts:
            yield from _parts(part, job)
        return
    evaluator = parsed.evaluator
    if evaluator is None and parsed.model is not None:
        evaluator = _model_kind(job, parsed.model)
    ways = [parsed.get(key) for key in WAYS if key in KINDS[parsed.kind].keys]
    yield " ".join(str(word) for word in (parsed.kind, evaluator, *ways) if word is not None)


def _model_kind(job: PlayJob, name: str) -> str | None:
    """Return the kind of a model; None for one that cannot be read, which the worker refuses."""
    from ringrift.nets.container import read_card

    with suppress(RingriftError):
        if name in job.models:
            return str(read_card(Path(job.models[name]))[1]["kind"])
    return None


def warm_mark(job: PlayJob) -> Path:
    """Name the file that says this job's code is compiled: one per set of `compiled_parts`."""
    from ringrift.rules import jitconf

    name = hashlib.sha256("\n".join(compiled_parts(job)).encode()).hexdigest()[:16]
    return jitconf.cache_folder("selfplay") / f"players-{name}.warm"


def warm_job(job: PlayJob) -> PlayJob:
    """Return what is played to compile a job: no program of others, and no search for long."""
    from ringrift.agents.foreign import is_foreign
    from ringrift.agents.spec import parse_spec

    own = [text for text in job.agents if not is_foreign(text)] or ["random"]
    if job.late_ms is not None:
        own = [str(_hurried(parse_spec(text))) for text in own]
    return replace(job, agents=tuple(own), late_ms=None, game_s=None)


def _hurried(parsed: AgentSpec) -> AgentSpec:
    from ringrift.agents.spec import KINDS, MIX

    if parsed.kind == MIX:
        parts = tuple((_hurried(part), weight) for part, weight in parsed.parts)
        return replace(parsed, parts=parts)
    timed = "ms" in KINDS[parsed.kind].keys
    return parsed.with_value("ms", WARM_MS) if timed else parsed


def warm(table: Table) -> None:
    """Play a few plies with every agent to records, so that all code is compiled or loaded."""
    job = table.job
    players, agents = job.spec.players, len(job.agents)
    short = table.emptied(max_plies=WARM_PLIES)
    waiting = deque(
        GamePlan(
            index=index,
            seed=index,
            seats=tuple((index * players + seat) % agents for seat in range(players)),
            random_choices=1,
            top_k_choices=int(job.control.opening_top_k > 0),
        )
        for index in range(max(2, -(-agents // players)))
    )
    while waiting or short.busy:
        while waiting and short.free:
            short.start(waiting.popleft())
        short.step()
