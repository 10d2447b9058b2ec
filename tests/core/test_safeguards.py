"""The documented module: its names, its numbers from the settings, its weight."""

import subprocess
import sys

import pytest

from ringrift.core import safeguards
from ringrift.core.settings import Settings


def test_every_public_name_is_there():
    assert [name for name in safeguards.__all__ if not hasattr(safeguards, name)] == []


def test_the_defaults_of_the_code_are_those_of_the_settings():
    section = Settings().safeguards
    assert safeguards.SpawnLimits.from_settings(section) == safeguards.SpawnLimits()
    assert safeguards.SpawnLimits.from_settings(section, threads=2).selfplay == 2
    assert safeguards.Retries.from_ssh(Settings().ssh) == safeguards.Retries(
        attempts=4, base_delay_s=2, max_delay_s=30
    )
    assert safeguards.Retries.from_ingestion(Settings().data_ingestion) == safeguards.Retries(
        attempts=3, base_delay_s=5, max_delay_s=600
    )


def test_breakers_take_their_numbers_from_the_settings():
    section = Settings().safeguards.model_copy(update={"breaker_failures": 2, "breaker_probes": 1})
    now_s = 0.0
    breaker = safeguards.Breakers.from_settings(section, clock=lambda: now_s).get("host")
    for _ in range(2):
        with pytest.raises(ValueError, match="no number"):
            breaker.call(int, "no number")
    assert breaker.state == "open"
    now_s = 300.0
    breaker.call(int, "1")
    assert breaker.state == "closed"


def test_the_watch_for_memory_takes_its_numbers_from_the_settings(tmp_path, monkeypatch):
    section = Settings().safeguards.model_copy(update={"oom_kills": 3})
    kills = 0
    monkeypatch.setattr("ringrift.core.emergency.oom_kills", lambda: kills)
    watch = safeguards.OomWatch.from_settings(section, tmp_path)
    assert watch.poll() is None
    kills = 2
    assert watch.poll() is None
    kills = 3
    assert watch.poll() is not None


def test_importing_it_loads_nothing_heavy():
    heavy = "psutil pybreaker stamina pydantic structlog torch numba numpy"
    script = (
        "import sys, ringrift.core.safeguards; "
        f"print([name for name in '{heavy}'.split() if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
