"""The section `cloud`: rented machines (`cloud.md` 10). Money is in US dollars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ringrift.core.settings.base import (
    CheckedSection,
    Conflict,
    Count,
    CountOrZero,
    NotNegative,
    Positive,
    Section,
    Share,
    Text,
)
from ringrift.core.settings.configurations import Board
from ringrift.core.settings.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

ProviderName = Literal["vast", "lambda"]


class CloudGroup(CheckedSection):
    """Describe machines that are scaled together."""

    name: Text
    """name of the group"""
    provider: ProviderName
    """who rents them out"""
    gpus: Annotated[tuple[Text, ...], Field(min_length=1)]
    """GPU names that are taken"""
    target: CountOrZero = 5
    """machines wanted"""
    max_price: Positive | None = None
    """most dollars per hour of one machine; null = cloud.price_caps"""
    min: CountOrZero = 0
    """machines that always stay"""
    max: Count = 20
    """most machines"""
    role: Text = "worker"
    """work that they do"""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the rules over several keys that do not hold."""
        yield from self.at_most("min", "target")
        yield from self.at_most("target", "max")


class CloudAccount(Section):
    """Hold the access to one provider."""

    api_key: Secret = Secret()
    """reference to the key; empty = not configured"""


class Cloud(CheckedSection):
    """Set what may be rented, and for how much."""

    enabled: bool = False
    """rent by itself"""
    providers: tuple[ProviderName, ...] = ("vast", "lambda")
    """providers that are asked"""
    image: Text = "nvidia/cuda:12.8.1-runtime-ubuntu24.04"
    """container image of a rented machine"""
    disk_gb: Count = 40
    """disk of a rented machine"""
    max_hourly: NotNegative = 10.0
    """most dollars per hour of all machines together"""
    daily_usd: NotNegative = 200
    """most dollars of one day"""
    monthly_usd: NotNegative | None = None
    """most dollars of one month; null = no such cap"""
    max_instances: CountOrZero = 20
    """most machines"""
    min_instances: CountOrZero = 5
    """machines that stay while a group's target is at least as high"""
    groups: tuple[CloudGroup, ...] = ()
    """machines that are scaled together"""
    price_caps: dict[Text, Positive] = Field(default_factory=dict)
    """most dollars per hour by GPU name, over the built-in table"""
    default_price_cap: Positive = 0.50
    """most dollars per hour of any other GPU"""
    min_reliability: Share = 0.95
    """least reliability of an offer"""
    boot_minutes: Positive = 15
    """minutes after which a machine without a heartbeat is rebooted, and as many until it goes"""
    idle_hours: Positive = 2
    """hours without a job after which a machine may go"""
    max_age_hours: Positive = 48
    """hours after which a machine is replaced"""
    min_games_per_hour: NotNegative = 5
    """accepted games per hour below which a machine is restarted, then given back"""
    drain_minutes: Positive = 10
    """minutes that running jobs get before a machine goes"""
    grace_minutes: Positive = 30
    """minutes that fetching its last games may take before somebody is told"""
    cycle_seconds: Positive = 60
    """seconds between two decisions"""
    gpu_boards: dict[Text, Board] = Field(default_factory=dict)
    """board that a GPU is used for first, over the built-in table"""
    gpu_power: dict[Text, Positive] = Field(default_factory=dict)
    """relative speed of a GPU before it is measured, over the built-in table"""
    vast: CloudAccount = Field(default_factory=CloudAccount)
    """access to Vast.ai"""
    lambda_: CloudAccount = Field(default_factory=CloudAccount, alias="lambda")
    """access to Lambda Labs"""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the rules over several keys that do not hold."""
        yield from self.at_most("min_instances", "max_instances")
        names = [group.name for group in self.groups]
        for name in sorted({name for name in names if names.count(name) > 1}):
            count = names.count(name)
            yield Conflict(("groups",), f"found {count} groups named {name!r}; expected one")
