# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Random numbers by counter: a draw is a function of (game seed, ply, seat, purpose, index).

There is no generator to advance, so neither the size of a batch nor its order can change a draw.
"""

from __future__ import annotations

from ringrift.rules.jitconf import rule

AGENT, OPENING, EXPLORE, SCHEDULE, MATCH = range(5)
"""Purposes: an agent's own draws, random openings, epsilon moves, playout caps, match plans."""

MAX_SEED = (1 << 63) - 1

_LANE = 0xFFFFFFFF
_STEP = 0x9E3779B9


@rule
def scramble(x):
    """Mix 32 bits (Wellons' lowbias32); products wrap, their low 32 bits are what is kept."""
    x = int(x) & _LANE
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _LANE
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _LANE
    return x ^ (x >> 16)


@rule
def stream(seed, ply, seat, purpose):
    """Return the two 32-bit lanes that name the stream of one decision."""
    seed = int(seed)
    who = int(seat) | (int(purpose) << 8)
    a = scramble(scramble(scramble(seed ^ _STEP) ^ (seed >> 32)) ^ int(ply))
    a = scramble(a ^ who)
    b = scramble(scramble(scramble((seed >> 32) ^ 0x85EBCA6B) ^ seed) + int(ply))
    b = scramble(b + who * _STEP)
    return a, b


@rule
def word(a, b, i):
    """Return draw `i` of stream (a, b) as 32 random bits."""
    return scramble(scramble(a + int(i) * _STEP) ^ b)


@rule
def uniform(a, b, i):
    """Return draw `i` of stream (a, b) as a float strictly between 0 and 1."""
    high = word(a, b, 2 * i) >> 5
    low = word(a, b, 2 * i + 1) >> 6
    return (high * 67108864.0 + low + 0.5) / 9007199254740992.0


@rule
def below(a, b, i, n):
    """Return draw `i` of stream (a, b) as a whole number from 0 to n - 1."""
    return min(int(uniform(a, b, i) * n), n - 1)
