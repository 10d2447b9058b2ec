# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Scores of the search: whole numbers, so that a window can be empty and equals are equal.

    0 ... ESTIMATE       estimates, and results between a win and a loss (ties, middle ranks)
    PROVEN ... UNIT      a proven win: UNIT - STEP for each choice from the root to the end
                         (losses are the same, negative)

so a proven score is known by its size, quicker wins are worth more and slower losses cost less.
"""

from __future__ import annotations

import math

from ringrift.rules.jitconf import rule

UNIT = 100_000_000
STEP = 10_000
"""What a choice costs a win: 1e-4."""

MAX_CHOICES = 128
"""No path from the root is longer; it separates proven scores from estimates."""

PROVEN = UNIT - MAX_CHOICES * STEP
ESTIMATE = PROVEN - 1
INFINITY = 2 * UNIT


@rule
def estimate(v):
    """Return the score of an evaluation in [-1, 1]; one that is out of range counts as its end."""
    return math.floor(max(-1.0, min(1.0, v)) * ESTIMATE + 0.5)


@rule
def terminal(v, choices):
    """Return the score of a finished game worth `v`, `choices` choices below the root."""
    if v >= 1.0:
        return UNIT - STEP * choices
    if v <= -1.0:
        return STEP * choices - UNIT
    return estimate(v)


@rule
def seen_from(score, choices):
    """Turn a score counted from a node into one counted from `choices` choices above it."""
    if score >= PROVEN:
        return score - STEP * choices
    if score <= -PROVEN:
        return score + STEP * choices
    return score


def is_proven(score: int) -> bool:
    """Tell whether a score is a win or a loss by force and no estimate."""
    return abs(score) >= PROVEN


def distance(score: int) -> int:
    """Return how many choices a proven score lies from the end of the game."""
    return (UNIT - abs(score)) // STEP


def as_value(score: int) -> float:
    """Return the value in [-1, 1] that a score stands for."""
    return score / UNIT if is_proven(score) else score / ESTIMATE
