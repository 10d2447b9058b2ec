"""Search statistics as bytes (selfplay.md 6).

The counts of all plies are one list of numbers: for each distribution how many moves, the moves
ascending as differences, the counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate, pairwise

from ringrift.records.envelope import Fields, decode, encode, from_units, seal, to_units, unseal
from ringrift.records.game_bytes import check_identity
from ringrift.records.record import Analysis, PlyAnalysis, VerificationError
from ringrift.records.varints import pack_numbers, unpack_numbers

ANALYSIS_FORMAT = "ringrift.analysis/1"


class _Ply(Fields):
    ply: int
    kind: str
    sims: int
    value: tuple[int, ...]
    root_value: tuple[int, ...]
    visits: bool
    prior_kl: int | None
    nodes: int | None
    depth: int | None
    ms: int | None


class _Analysis(Fields):
    game: bytes
    agent: str
    budget: dict[str, int | float | str | None]
    plies: tuple[_Ply, ...]
    counts: bytes


class _Pair(Fields):
    game: bytes
    analysis: bytes | None


def analysis_to_bytes(analysis: Analysis) -> bytes:
    """Encode search statistics; equal ones have equal bytes."""
    return seal(ANALYSIS_FORMAT, analysis.id, analysis_body(analysis))


def analysis_from_bytes(data: bytes) -> Analysis:
    """Decode search statistics; whether they fit their game is for `verify` to say."""
    identity, body = unseal(data, ANALYSIS_FORMAT)
    analysis = _read(decode(body, _Analysis))
    check_identity(identity, analysis.id)
    return analysis


def searched_plies(data: bytes) -> list[tuple[int, str, int]]:
    """Return ply, kind and simulations of each distribution, the distributions undecoded.

    For bytes that were verified; raises `VerificationError` for bytes that were altered since.
    """
    _, body = unseal(data, ANALYSIS_FORMAT)
    return [(p.ply, p.kind, p.sims) for p in decode(body, _Analysis).plies]


def seal_pair(game: bytes, analysis: bytes | None) -> bytes:
    """Put the bytes of a game and of its analysis into one."""
    return encode(_Pair(game, analysis))


def open_pair(data: bytes) -> tuple[bytes, bytes | None]:
    """Take the two apart again, undecoded."""
    pair = decode(data, _Pair)
    return pair.game, pair.analysis


def analysis_body(analysis: Analysis) -> bytes:
    """Encode all that an analysis holds, which its digest guards."""
    numbers: list[int] = []
    for p in analysis.plies:
        _append(numbers, p.policy)
        if p.visits is not None:
            _append(numbers, p.visits)
    try:
        counts = pack_numbers(numbers)
    except (ValueError, OverflowError) as error:
        raise VerificationError("malformed", str(error), where="field plies.policy") from None
    return encode(
        _Analysis(
            game=bytes.fromhex(analysis.game),
            agent=analysis.agent,
            budget=dict(analysis.budget),
            plies=tuple(
                _Ply(
                    ply=p.ply,
                    kind=p.kind,
                    sims=p.sims,
                    value=tuple(map(to_units, p.value)),
                    root_value=tuple(map(to_units, p.root_value)),
                    visits=p.visits is not None,
                    prior_kl=None if p.prior_kl is None else to_units(p.prior_kl),
                    nodes=p.nodes,
                    depth=p.depth,
                    ms=p.ms,
                )
                for p in analysis.plies
            ),
            counts=counts,
        )
    )


def _read(wire: _Analysis) -> Analysis:
    numbers = unpack_numbers(wire.counts, "field counts")
    at = 0

    def counts() -> dict[int, int]:
        nonlocal at
        size = numbers[at] if at < len(numbers) else 0
        first, at = at + 1, at + 1 + 2 * size
        if at > len(numbers):
            raise VerificationError("truncated", "moves without their counts", where="field counts")
        moves = accumulate(numbers[first : first + size])
        return dict(zip(moves, numbers[first + size : at], strict=True))

    plies = tuple(
        PlyAnalysis(
            ply=p.ply,
            kind=p.kind,
            sims=p.sims,
            value=tuple(map(from_units, p.value)),
            root_value=tuple(map(from_units, p.root_value)),
            policy=counts(),
            visits=counts() if p.visits else None,
            prior_kl=None if p.prior_kl is None else from_units(p.prior_kl),
            nodes=p.nodes,
            depth=p.depth,
            ms=p.ms,
        )
        for p in wire.plies
    )
    if at != len(numbers):
        raise VerificationError("malformed", "counts that belong to no ply", where="field counts")
    return Analysis(game=wire.game.hex(), agent=wire.agent, budget=wire.budget, plies=plies)


def _append(numbers: list[int], counts: Mapping[int, int]) -> None:
    """Append how many moves, the moves ascending as differences, and the counts."""
    moves = sorted(counts)
    numbers.append(len(moves))
    numbers += [after - before for before, after in pairwise((0, *moves))]
    numbers += [counts[move] for move in moves]
