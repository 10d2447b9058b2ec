"""What can be wrong with a sample of a dataset, as compiled code and as errors say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.errors import RefusedError

if TYPE_CHECKING:
    from ringrift.training.samples.table import SampleTable

NO_FAULT, BAD_POSITION, BAD_LEGAL_SET, BAD_TARGET, BAD_SYMMETRIES = range(5)

_FAULTS = {
    BAD_POSITION: "a packed position that cannot be read",
    BAD_LEGAL_SET: "another number of legal moves than today's rules give",
    BAD_TARGET: "a policy target that names a move that is not legal",
    BAD_SYMMETRIES: "symmetries that its legal moves do not allow",
}


def refused(table: SampleTable, at: int, fault: int) -> RefusedError:
    """Make the complaint about sample `at` of a table."""
    game = table.games[int(table.game[at])]
    return RefusedError(
        _FAULTS[fault],
        where=f"dataset {table.dataset[:12]}, game {game}, ply {int(table.ply[at])}",
        hint="export the dataset again",
    )
