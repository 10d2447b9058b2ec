"""Curricula: stages of a game, weights of configurations, generations (training.md 9).

`stages` trains one net on growing parts of the game, `weights` says which configuration needs work,
`generations` runs whole generations of one configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringrift.training.curriculum.generation_config import CurriculumConfig
    from ringrift.training.curriculum.generations import CurriculumTrainer, GenerationResult

__all__ = ["CurriculumConfig", "CurriculumTrainer", "GenerationResult"]


def __getattr__(name: str) -> Any:
    """Load generations only where they are asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = "generation_config" if name == "CurriculumConfig" else "generations"
    return getattr(import_module(f"{__name__}.{module}"), name)
