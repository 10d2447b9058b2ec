"""Which jobs the matches of a configuration still need (`loop.md` 3, 5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import TYPE_CHECKING

from ringrift.cluster.jobs import NORMAL, URGENT
from ringrift.loop.seen import core_seconds

if TYPE_CHECKING:
    from ringrift.cluster.jobs import Job, JobResult
    from ringrift.loop.facts import ConfigFacts, MatchFacts
    from ringrift.loop.jobs_of import Filing
    from ringrift.loop.seen import ConfigJobs, Jobs

MOST_ATTEMPTS = 3
"""Times that the games of a job are filed when they were aborted or got lost."""
LOST_AFTER_S = 600.0
"""How long after a job's end its games may take into the store."""
LOOKING_SHARE = 0.10
LOOKING_WINDOW_S = 1800.0
BY_CLOCK = ("shadow", "full")
AFTER_CYCLES = "tournament"
NEVER_CAPPED = ("random", "heuristic")


@dataclass(frozen=True, slots=True)
class Stuck:
    """A part of a match that failed as often as it may."""

    match: MatchFacts
    words: str


@dataclass(frozen=True, slots=True)
class MatchJobs:
    """Finds the jobs of one configuration's matches.

    `awaited` are the jobs met so far that are done and whose games are on their way into the store.
    """

    facts: ConfigFacts
    own: ConfigJobs
    jobs: Jobs
    filing: Filing
    awaited: set[str] = field(default_factory=set)

    def required(self) -> Iterator[Job | Stuck]:
        """Yield the jobs not filed yet that the candidate's decision takes, in order."""
        for match in self.facts.matches:
            yield from self._jobs(match, prio=URGENT, capped=False)

    def looking(self, *, capped: bool) -> Iterator[Job | Stuck]:
        """Yield the jobs not filed yet of matches beside, in order.

        `capped` says whether those that look on have only their tenth of the time.
        """
        fits = self._room() if capped else repeat(True)
        timed = self.filing.conditions.timed
        for match in self.facts.side_matches:
            if match.key in BY_CLOCK and not timed:
                continue
            counted = is_capped(match)
            for job in self._jobs(match, prio=NORMAL, capped=counted):
                if counted and not isinstance(job, Stuck) and not next(fits):
                    break
                yield job

    def tournament_left(self) -> int:
        """Return the games left of a tournament after cycles, 0 where none of them will be played."""
        if "evaluate" not in self.filing.conditions.stages:
            return 0
        return sum(
            match.games - match.played
            for match in self.facts.side_matches
            if match.key == AFTER_CYCLES and replace(self, awaited=set()).goes_on(match)
        )

    def goes_on(self, match: MatchFacts) -> bool:
        """Tell whether games of a match beside are open, on their way, or to be filed."""
        if any(job.spec["plan"] == match.plan_text for job in self.own.open.get("match", ())):
            return True
        found = list(self._jobs(match, prio=NORMAL, capped=is_capped(match)))
        return bool(self.awaited) or any(not isinstance(job, Stuck) for job in found)

    def unneeded(self) -> Iterator[str]:
        """Yield the ids of open jobs whose match is over or not asked for any more."""
        wanted = {match.plan_text for match in self.facts.matches if not match.complete}
        for job in self.own.open.get("match", ()):
            if job.prio == URGENT and job.spec["plan"] not in wanted:
                yield job.id

    def _room(self) -> Iterator[bool]:
        """Say, for one more capped job at a time, whether it fits into its tenth of the time."""
        since = self.filing.conditions.now - LOOKING_WINDOW_S
        results = [found for found in self.own.results.get("match", ()) if found.status == "done"]
        capped = [found for found in results if found.numbers.get("capped")]
        of_late = sum(core_seconds(found) for found in capped if found.ended_at > since)
        most = LOOKING_SHARE * self.own.core_s(since=since)
        cost = _mean(capped) if capped else _mean(results)
        open_jobs = sum(1 for job in self.own.open.get("match", ()) if job.spec.get("capped"))
        while True:
            open_jobs += 1
            yield of_late + open_jobs * cost <= most

    def _jobs(self, match: MatchFacts, *, prio: int, capped: bool) -> Iterator[Job | Stuck]:
        if match.complete:
            return
        for games in self.filing.chunks(match):
            found = self._next(match, games, prio=prio, capped=capped)
            if found is not None:
                yield found

    def _next(
        self, match: MatchFacts, games: tuple[int, ...], *, prio: int, capped: bool
    ) -> Job | Stuck | None:
        """Return the job of some games, None while one is open or its games are on their way."""
        now, resumed = self.filing.conditions.now, self.own.resumed
        attempt, since_resumed, words = 1, 0, ""
        while True:
            job = self.filing.match(
                self.facts, match, games, attempt=attempt, prio=prio, capped=capped
            )
            if self.jobs.is_open(job):
                return None
            result = self.jobs.result(job)
            if result is None:
                break
            if result.status != "done":
                return None
            aborted = result.numbers.get("aborted") or ()
            if not aborted and now - result.ended_at < LOST_AFTER_S:
                self.awaited.add(job.id)
                return None
            words = f"aborted, {aborted[0]}" if aborted else "its games never came into the store"
            attempt += 1
            since_resumed += result.ended_at > resumed
        if since_resumed >= MOST_ATTEMPTS:
            return Stuck(match, f"{match.title}: game {games[0]} on: {words}, {attempt - 1} times")
        return job


def is_capped(match: MatchFacts) -> bool:
    """Tell whether a match counts to the tenth of the time that looking on may take.

    A tournament after a number of cycles does not: the next cycle waits for it.
    """
    if match.key == "milestone":
        return match.opponent not in NEVER_CAPPED
    return match.key != AFTER_CYCLES


def _mean(results: list[JobResult]) -> float:
    return sum(map(core_seconds, results)) / len(results) if results else 0.0
