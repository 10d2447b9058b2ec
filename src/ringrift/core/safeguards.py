"""Keep one failure from becoming many (`core.md` 7): the names of the parts, in one place.

| part | does |
|---|---|
| `breakers` | stops calling a dependency that keeps failing |
| `retries` | calls again what may be called twice |
| `spawning` | bounds how many programs start, how deep, how long, and ends them whole |
| `backpressure` | slows down before a bound is reached |
| `emergency` | halts a data root by a file |
| `roles` | gives each role to one process at a time |
"""

from __future__ import annotations

from ringrift.core.backpressure import Backpressure, Pressure
from ringrift.core.breakers import Breaker, BreakerOpen, Breakers, BreakerStatus, read_breakers
from ringrift.core.emergency import (
    Halt,
    OomWatch,
    halt,
    halted,
    halts,
    refuse_halted,
    resume,
)
from ringrift.core.retries import Retries
from ringrift.core.roles import ROLES, Holder, Role, RoleState, hold_role, role_state, role_states
from ringrift.core.spawn_limits import SpawnLimits, current_depth, spawn_status
from ringrift.core.spawning import Spawned, SpawnLimiter, end_leftovers

__all__ = [
    "ROLES",
    "Backpressure",
    "Breaker",
    "BreakerOpen",
    "BreakerStatus",
    "Breakers",
    "Halt",
    "Holder",
    "OomWatch",
    "Pressure",
    "Retries",
    "Role",
    "RoleState",
    "SpawnLimiter",
    "SpawnLimits",
    "Spawned",
    "current_depth",
    "end_leftovers",
    "halt",
    "halted",
    "halts",
    "hold_role",
    "read_breakers",
    "refuse_halted",
    "resume",
    "role_state",
    "role_states",
    "spawn_status",
]
