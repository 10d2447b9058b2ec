"""The agents of a process that plays, kept from job to job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from ringrift.agents.protocol import Agent
    from ringrift.selfplay.plans import PlayJob

AGENTS_KEPT = 16


class AgentShelf:
    """Keeps the last agents made, so that a job with a known model loads nothing."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str, str, str, bool, float], Agent] = {}

    def agents(self, job: PlayJob) -> list[Agent]:
        """Return the agents of a job, with its search control in their specs.

        Raises what is wrong with a spec or a model.
        """
        from ringrift.agents.foreign import is_foreign
        from ringrift.selfplay.agents_of import played_spec

        return [
            self._foreign(job, text)
            if is_foreign(text)
            else self._agent(job, str(played_spec(text, job.control)))
            for text in job.agents
        ]

    def _foreign(self, job: PlayJob, text: str) -> Agent:
        from ringrift.agents.foreign import ANSWER_S, ForeignAgent

        if job.purpose != "match":
            raise UsageError(f"{text!r:.80} plays in matches alone", hint="ringrift eval match")
        key = (job.spec.hash, text, "", "", False, job.game_s or 0.0)
        if key not in self._made:
            self._keep(key, ForeignAgent(text, job.spec, answer_s=job.game_s or ANSWER_S))
        return self._made[key]

    def _agent(self, job: PlayJob, text: str) -> Agent:
        from ringrift.agents.factory import make_agent
        from ringrift.selfplay.agents_of import move_scale

        file = "\n".join(f"{name}={path}" for name, path in sorted(job.models.items()))
        scale = move_scale(job)
        key = (job.spec.hash, text, file, job.device, job.explore, scale)
        if key not in self._made:
            agent = make_agent(
                text,
                job.spec,
                lambda name: _load(job, name),
                explore=job.explore,
                move_scale=scale,
            )
            self._keep(key, agent)
        return self._made[key]

    def _keep(self, key: tuple[str, str, str, str, bool, float], agent: Agent) -> None:
        self._made[key] = agent
        while len(self._made) > AGENTS_KEPT:
            del self._made[next(iter(self._made))]


def _load(job: PlayJob, name: str) -> Any:
    from ringrift.nets.loading import open_model

    if name not in job.models:
        known = ", ".join(job.models) or "none"
        raise UsageError(f"no file is given for the model {name!r}; known: {known}")
    return open_model(Path(job.models[name]), job.spec, device=job.device)
