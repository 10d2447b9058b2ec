"""Read who sits where: people and agent specs in one comma list."""

from __future__ import annotations

from ringrift.agents.spec import parse_spec, parse_specs
from ringrift.core.errors import UsageError

HUMAN = "human"


def split_seats(text: str) -> list[str]:
    """Return the seats that a comma list names: `human`, or an agent spec in its one form.

    A word that is a kind begins the next spec (`agents.md` 3), and so does `human`. Raises
    `UsageError` for a bad spec.
    """
    seats: list[str] = []
    specs: list[str] = []
    for part in [*text.split(","), HUMAN]:  # the last one closes the list of specs before it
        if part.strip().lower() != HUMAN:
            specs.append(part)
            continue
        if specs:
            seats += [str(spec) for spec in parse_specs(",".join(specs))]
            specs = []
        seats.append(HUMAN)
    return seats[:-1]


def read_seats(text: str, players: int) -> tuple[str, ...]:
    """Return one word per seat: `human`, or the canonical text of an agent spec.

    Raises `UsageError` for a bad spec and for another number of seats than players.
    """
    given = split_seats(text)
    if len(given) != players:
        raise UsageError(
            f"{len(given)} seats in {text!r} for {players} players", where="seats", hint="human,..."
        )
    return tuple(given)


def seat_text(text: str) -> str:
    """Return the one form of `human` or of an agent spec; raises `UsageError` for any other."""
    if text.strip().lower() == HUMAN:
        return HUMAN
    return str(parse_spec(text))
