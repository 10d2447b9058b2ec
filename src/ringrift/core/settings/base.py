"""What every section is made of: its base class and the types of its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

if TYPE_CHECKING:
    from collections.abc import Iterator

Percent = Annotated[float, Field(ge=1, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(min_length=1, title="text that is not empty")]
Port = Annotated[int, Field(ge=0, le=65535)]
Url = Annotated[
    str,
    Field(
        pattern=r"^https?://[^\s/@]+(:[0-9]{1,5})?(/\S*)?$",
        title="http://HOST:PORT or https://HOST:PORT without user and password",
    ),
]
Peer = Annotated[
    str,
    Field(pattern=r"^[^\s:/]+:[0-9]{1,5}$|^\[[0-9a-fA-F:.]+\]:[0-9]{1,5}$", title="HOST:PORT"),
]
AgentSpec = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9_-]*([:@]\S+)?$", title="an agent such as heuristic or mcts_100"),
]

# The context of a validation that leaves `conflicts` to its caller, who wants all of them.
WITHOUT_CONFLICTS = "without conflicts"


class Conflict(NamedTuple):
    """Name keys of one section that contradict each other, and what is expected of them."""

    keys: tuple[str, ...]
    message: str


class Section(BaseModel):
    """Hold the keys of one section; frozen, unknown keys forbidden, no infinite numbers."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        # Validators are built at first use, and no default is an instance of a section: both
        # keep imports quick. Meanings are read from the source only where they are shown.
        defer_build=True,
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the rules over several keys that do not hold."""
        yield from ()


class CheckedSection(Section):
    """Hold a section with rules over several keys."""

    @model_validator(mode="after")
    def _agree(self, info: ValidationInfo) -> Self:
        if info.context != WITHOUT_CONFLICTS:
            for conflict in self.conflicts():
                raise ValueError(conflict.message)
        return self

    def at_most(self, lower: str, upper: str) -> Iterator[Conflict]:
        """Yield a conflict where the key `lower` is above the key `upper`."""
        low, high = getattr(self, lower), getattr(self, upper)
        if low > high:
            yield Conflict(
                (lower, upper),
                f"found {lower} {low:g} above {upper} {high:g}; expected at most {high:g}",
            )
