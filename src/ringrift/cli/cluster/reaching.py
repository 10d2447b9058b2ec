"""The hub and the jobs of this data root, for commands."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.invocation import current
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringrift.cluster.attempts import Attempts, DeadLetter
    from ringrift.cluster.bus import Bus
    from ringrift.cluster.hub import HubState
    from ringrift.cluster.job_table import JobRow, JobTable
    from ringrift.cluster.jobs import JobQueue
    from ringrift.cluster.streams import Subjects
    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings

LOOK_S = 60.0

JobId = Annotated[str, typer.Argument(metavar="ID", help="Id of a job, or its first digits.")]


def complete_kinds(incomplete: str) -> list[str]:
    """Return the kinds of jobs that begin so."""
    from ringrift.cluster.jobs import JOB_KINDS

    return [kind for kind in JOB_KINDS if kind.startswith(incomplete)]


def complete_standings(incomplete: str) -> list[str]:
    """Return the words for how a job stands that begin so."""
    from ringrift.cluster.job_table import STANDINGS

    return [name for name in STANDINGS if name.startswith(incomplete)]


Kind = Annotated[
    str | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help="Only jobs of this kind.",
        autocompletion=complete_kinds,
        rich_help_panel="Which",
    ),
]
Standing = Annotated[
    str | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="Only waiting, taken, done, failed or cancelled ones.",
        autocompletion=complete_standings,
        rich_help_panel="Which",
    ),
]
OfNode = Annotated[
    str | None,
    typer.Option(
        "--node",
        metavar="NODE",
        help="Only those that this node has or did.",
        rich_help_panel="Which",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A hub that answers."""

    state: HubState
    bus: Bus
    paths: Paths
    settings: Settings
    subjects: Subjects

    @property
    def queue(self) -> JobQueue:
        """The queue of jobs."""
        from ringrift.cluster.jobs import JobQueue

        return JobQueue(self.bus.js, self.subjects)

    @property
    def attempts(self) -> Attempts:
        """What is known of failed attempts."""
        from ringrift.cluster.attempts import Attempts

        return Attempts(self.bus.js, self.subjects)

    def rows(self) -> list[JobRow]:
        """Return the open jobs and those of the last day."""
        return self.bus.run(self._table.rows(held=self._held()), timeout_s=LOOK_S)

    def one(self, name: str) -> tuple[JobRow, DeadLetter | None]:
        """Return the job that a name means; raises `UsageError` for none or several."""
        return self.bus.run(self._table.one(name, held=self._held()), timeout_s=LOOK_S)

    @property
    def _table(self) -> JobTable:
        from ringrift.cluster.job_table import JobTable

        return JobTable(self.bus.js, self.subjects)

    def _held(self) -> dict[int, str]:
        from ringrift.cluster.claims import held_places

        held = held_places(self.paths.cluster / "claims", time.time())
        return dict.fromkeys(held, self.bus.node)


@contextmanager
def reached() -> Iterator[Reached]:
    """Connect to the hub of this data root; raises `NotRunningError` (exit 3) where none runs."""
    from ringrift.cluster.local_hub import connected
    from ringrift.cluster.streams import Subjects
    from ringrift.core.alert_messages import node_name

    run = current()
    paths = run.paths(create=False)
    settings = run.settings().values
    with connected(paths, node=node_name()) as (state, bus):
        yield Reached(
            state=state,
            bus=bus,
            paths=paths,
            settings=settings,
            subjects=Subjects(prefix=settings.cluster.subject_prefix),
        )


def known(kind: str | None, config: str | None, standing: str | None = None) -> None:
    """Refuse names that no job can have."""
    from ringrift.cluster.job_table import STANDINGS
    from ringrift.cluster.jobs import JOB_KINDS
    from ringrift.core.settings import CONFIGURATIONS

    for given, where, names in (
        (kind, "--kind", JOB_KINDS),
        (config, "--config-key", CONFIGURATIONS),
        (standing, "--status", STANDINGS),
    ):
        if given is not None and given not in names:
            words = f"found {given!r}; expected one of {', '.join(names)}"
            raise UsageError(words, where=where)
