"""`RINGRIFT_PARITY_VALIDATION` is the default of the sampled checks of self-play."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from ringrift.cli.option_sets import command_of
from ringrift.cli.selfplay import command_lines
from ringrift.cli.selfplay.options import Options
from ringrift.core.errors import SettingsError


def parsed(names: tuple[str, ...], *words: str) -> tuple[Any, ...]:
    """Return what the checks of a command line come to."""
    found: list[Options] = []

    def play(given: Options) -> None:
        """Play."""
        found.append(given)

    app = typer.Typer()
    app.command("play", cls=command_lines.PoolCommand)(
        command_of(play, Options, names, defaults={}, shown={})
    )
    app(list(words), standalone_mode=False)
    (given,) = found
    return given.parity_mode, given.shadow_sample_rate, given.shadow_threshold


@pytest.mark.parametrize(
    ("word", "hybrid", "gpu"),
    [
        ("", "warn", (0.05, 0.001)),
        ("off", "off", (0.0, 0.001)),
        ("warn", "warn", (0.05, 1.0)),
        ("STRICT", "strict", (0.05, 0.0)),
    ],
)
def test_the_environment_sets_defaults_and_options_win(
    monkeypatch: pytest.MonkeyPatch, word: str, hybrid: str, gpu: tuple[float, float]
) -> None:
    monkeypatch.setenv("RINGRIFT_PARITY_VALIDATION", word)
    assert parsed(command_lines.HYBRID)[0] == hybrid
    assert parsed(command_lines.HYBRID, "--parity-mode", "off")[0] == "off"
    assert parsed(command_lines.GPU)[1:] == gpu
    words = ("--shadow-sample-rate", "0.5", "--shadow-threshold", "0.25")
    assert parsed(command_lines.GPU, *words)[1:] == (0.5, 0.25)


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGRIFT_PARITY_VALIDATION", "loud")
    with pytest.raises(SettingsError, match="'loud'"):
        parsed(command_lines.GPU)


def test_the_program_names_the_variable(spawn: Any) -> None:
    env = {"RINGRIFT_PARITY_VALIDATION": "loud"}
    process = spawn("selfplay", "hybrid", "--dry-run", env=env)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 78
    assert "environment RINGRIFT_PARITY_VALIDATION" in err
    assert "Traceback" not in err
