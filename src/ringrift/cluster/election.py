"""Who leads: a pure state machine over one lease, with the clock handed in (`cluster.md` 4).

The lease is one key of the hub with a time to live. Whoever creates it leads; the stream revision
of that write is the tenure's term. Authority ends three quarters of the time to live after the
moment *before* the last renewal that succeeded was asked for, so it is over before the key can be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ringrift.core.errors import DataError

AUTHORITY_SHARE = 0.75
RENEWAL_SHARE = 0.25
LOOK_EVERY_S = 0.5
MOST_JUMP_S = 3.0
"""A wall clock that ran this much further than the monotonic one: the machine has slept."""

State = Literal["follower", "candidate", "leader"]
LOOK: Literal["look"] = "look"


class Term(NamedTuple):
    """Name a tenure: the hub's storage, then the revision of the lease's creation in it."""

    incarnation: int
    revision: int

    def __str__(self) -> str:
        return f"{self.incarnation}.{self.revision}"

    @property
    def number(self) -> int:
        """One whole number of at most 63 bits, in the order of terms."""
        return self.incarnation << 32 | self.revision

    @classmethod
    def parse(cls, text: str) -> Term:
        """Read a term; raises `DataError`."""
        parts = text.split(".")
        if len(parts) != 2 or not all(part.isdigit() for part in parts):
            raise DataError(f"found {text!r}; expected a term such as 1763830000.42", where="term")
        return cls(int(parts[0]), int(parts[1]))


@dataclass(frozen=True, slots=True)
class Put:
    """Write the lease if its last revision is `last` (0: there is none)."""

    last: int


Action = Put | Literal["look"]


@dataclass(slots=True, kw_only=True)
class Election:
    """One node's part; call `tick` often, and what the hub answered as it comes.

    Every method takes the monotonic time in seconds; `tick` also the wall clock's. What they return
    is what to ask the hub next, None for nothing; at most one question is open at a time.
    """

    ttl_s: float
    incarnation: int
    state: State = "follower"
    term: Term | None = None
    _revision: int = 0
    _deadline_s: float = 0.0
    _renew_at_s: float = 0.0
    _look_at_s: float = 0.0
    _asked: bool = False
    _clocks: tuple[float, float] | None = field(default=None)

    def acting(self, now_s: float, wall_s: float | None = None) -> bool:
        """Tell whether this node may act as the leader; ask right before every outer write.

        With the wall clock's time, a machine that has slept since the last tick does not act.
        """
        if wall_s is not None and self._jump_s(now_s, wall_s) > MOST_JUMP_S:
            return False
        return self.state == "leader" and now_s < self._deadline_s

    @property
    def held(self) -> int | None:
        """The revision of this node's last write as the leader, None for a follower."""
        return self._revision if self.state == "leader" else None

    def tick(self, now_s: float, wall_s: float) -> Action | None:
        """Say what to do at this moment."""
        if self._slept(now_s, wall_s):
            self._follow(now_s)
        if self.state == "leader" and now_s >= self._deadline_s + self.ttl_s:
            self._follow(now_s)  # whoever has the lease now, it is not known to be this node
        if self._asked:
            return None
        if self.state == "leader":
            if now_s >= self._renew_at_s:
                return self._ask(Put(self._revision))
        elif now_s >= self._look_at_s:
            return self._ask(LOOK)
        return None

    def seen(self, now_s: float, *, revision: int, free: bool) -> Action | None:
        """Take what the lease looks like; a free one (0: never written) is tried for at once."""
        self._asked = False
        self._look_at_s = now_s + LOOK_EVERY_S
        if not free or self.state == "leader":
            return None
        self.state = "candidate"
        return self._ask(Put(revision))

    def renewed(self, now_s: float, *, revision: int, asked_s: float) -> None:
        """Take the revision of a write that succeeded, asked for at `asked_s`."""
        self._asked = False
        if self.state == "follower":
            return  # it was asked for before this node fell asleep: not relied upon
        if self.state == "candidate":
            self.term = Term(self.incarnation, revision)
        self.state = "leader"
        self._revision = revision
        self._deadline_s = asked_s + AUTHORITY_SHARE * self.ttl_s
        self._renew_at_s = now_s + RENEWAL_SHARE * self.ttl_s

    def refused(self, now_s: float) -> None:
        """Take that somebody else has written the lease."""
        self._follow(now_s)

    def timed_out(self, now_s: float) -> None:
        """Take that nothing is known of the last question; authority runs on to its deadline."""
        self._asked = False
        if self.state == "candidate":
            self._follow(now_s)
        self._renew_at_s = now_s

    def resign(self, now_s: float) -> None:
        """Stop leading by this node's own will."""
        self._follow(now_s)

    def _ask(self, action: Action) -> Action:
        self._asked = True
        return action

    def _follow(self, now_s: float) -> None:
        self.state = "follower"
        self.term = None
        self._revision = 0
        self._deadline_s = 0.0
        self._asked = False
        self._look_at_s = now_s + LOOK_EVERY_S

    def _slept(self, now_s: float, wall_s: float) -> bool:
        jump_s = self._jump_s(now_s, wall_s)
        self._clocks = (now_s, wall_s)
        return jump_s > MOST_JUMP_S

    def _jump_s(self, now_s: float, wall_s: float) -> float:
        """Return how much further the wall clock ran since the last tick."""
        if self._clocks is None:
            return 0.0
        return (wall_s - self._clocks[1]) - (now_s - self._clocks[0])
