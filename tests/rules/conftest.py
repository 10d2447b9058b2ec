"""Markers of the rules tests: `acceptance` tests run only where `-m` asks for them."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes more than a few seconds; still part of CI")
    config.addinivalue_line("markers", "acceptance: the long runs of `make acceptance`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "acceptance" in (config.getoption("-m") or ""):
        return
    skip = pytest.mark.skip(reason="long run: ask for it with -m acceptance")
    for item in items:
        if item.get_closest_marker("acceptance"):
            item.add_marker(skip)
