"""Errors of the rules room."""

from __future__ import annotations

from ringrift.core.errors import DataError, UsageError


class InvalidOption(UsageError):
    """An unknown board, or a number of players or option out of range."""


class InvalidPosition(DataError):
    """A canonical text that is malformed or describes no position of the board."""


class InvalidMove(DataError):
    """A move text that is malformed or names no cell of the board."""


class IllegalMove(DataError):
    """A move that is not in the legal set of its position."""
