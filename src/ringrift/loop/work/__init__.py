"""What the child processes of a node do: one module for each kind of job, each with `run`.

| module | holds |
|---|---|
| `selfplay`, `matches` | games, played in lock step by `playing` |
| `dataset` | the samples of one training |
| `training`, `training_request` | a model: of random weights, or trained; what its spec asks for |
| `verify` | hold-out numbers: of a candidate and the champion over the same games, of one model |
| `tune` | a study of hyper-parameters |

What is heavy is imported where it is used, so that a child that plays loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringrift.cluster.jobs import JobKind

WORK: Mapping[JobKind, str] = {
    "selfplay": f"{__name__}.selfplay:run",
    "match": f"{__name__}.matches:run",
    "dataset": f"{__name__}.dataset:run",
    "train": f"{__name__}.training:run",
    "companion": f"{__name__}.training:run",
    "verify": f"{__name__}.verify:run",
    "tune": f"{__name__}.tune:run",
}
"""The function of each kind of job, as `module:name`."""
