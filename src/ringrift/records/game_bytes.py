"""Game records as bytes; one encoding per record (selfplay.md 6)."""

from __future__ import annotations

from typing import Any

from ringrift.records.envelope import Fields, decode, encode, seal, unseal
from ringrift.records.record import (
    MOST_PLIES,
    AgentRef,
    GameMeta,
    GameRecord,
    GameResult,
    VerificationError,
    check_record,
    refuse,
    shared_spec,
)
from ringrift.records.varints import MOVE_BYTES, pack_numbers, unpack_numbers
from ringrift.records.verify import check_claimed_id
from ringrift.rules import RULES_VERSION, BoardSpec, InvalidOption
from ringrift.rules.codec import layout_hash

GAME_FORMAT = "ringrift.game/1"
_LAYOUT = bytes.fromhex(layout_hash)[:8]


class _Spec(Fields):
    board: str
    players: int
    rings_per_player: int
    lps_rounds: int
    swap_rule: bool
    base_line_length: int
    hash: bytes


class _Agent(Fields):
    spec: str
    agent_hash: bytes
    model_id: bytes | None


class _Result(Fields):
    end: str
    winner: int
    reason: str
    ranks: tuple[int, ...]
    values: tuple[float, ...] | None
    final_hash: bytes
    elim: tuple[int, ...]
    terr: tuple[int, ...]
    hand: tuple[int, ...]


class _Meta(Fields):
    purpose: str
    run: str | None
    index: int | None
    host: str | None
    version: str | None
    device: str | None
    started: float | None
    ms: int | None
    tags: tuple[str, ...]


class _Game(Fields):
    rules_version: str
    layout: bytes
    spec: _Spec
    max_plies: int
    start: str | None
    seed: int
    agents: tuple[_Agent, ...]
    moves: bytes
    marks: tuple[tuple[int, str], ...]
    result: _Result
    check: bytes
    meta: _Meta


def to_bytes(record: GameRecord) -> bytes:
    """Encode a record; equal records have equal bytes."""
    return seal(GAME_FORMAT, record.id, game_body(record))


def from_bytes(data: bytes) -> GameRecord:
    """Decode a record; raises `VerificationError` for anything that `to_bytes` did not write.

    Its shape is checked, its moves are not: that is `verify`.
    """
    identity, body = unseal(data, GAME_FORMAT)
    record = _read(decode(body, _Game))
    check_record(record)
    check_claimed_id(identity, record)
    if game_body(record) != body:
        raise VerificationError("malformed", "not the one encoding of its content")
    return record


def meta_from_bytes(data: bytes) -> GameMeta:
    """Read where a game comes from, and leave its moves undecoded.

    For bytes that were verified; raises `VerificationError` for bytes that were altered since.
    """
    _, body = unseal(data, GAME_FORMAT)
    meta = decode(body, _Game).meta
    return GameMeta(**{name: getattr(meta, name) for name in GameMeta.__slots__})


def check_identity(claimed: str, computed: str) -> None:
    """Raise `VerificationError` if an id is not the hash of its content."""
    if claimed != computed:
        raise refuse("id", claimed, f"{computed}, the hash of the content", reason="id_mismatch")


def game_body(record: GameRecord) -> bytes:
    """Encode all that a record holds, which its digest guards."""
    spec, result, meta = record.spec, record.result, record.meta
    return encode(
        _Game(
            rules_version=RULES_VERSION,
            layout=_LAYOUT,
            spec=_Spec(
                spec.board,
                spec.players,
                spec.rings_per_player,
                spec.lps_rounds,
                spec.swap_rule,
                spec.base_line_length,
                bytes.fromhex(spec.hash),
            ),
            max_plies=record.max_plies,
            start=record.start,
            seed=record.seed,
            agents=tuple(
                _Agent(agent.spec, bytes.fromhex(agent.agent_hash), _raw(agent.model_id))
                for agent in record.agents
            ),
            moves=pack_numbers(record.moves),
            marks=tuple(sorted(record.marks.items())),
            result=_Result(
                result.end,
                result.winner,
                result.reason,
                result.ranks,
                result.values,
                bytes.fromhex(result.final_hash),
                result.elim,
                result.terr,
                result.hand,
            ),
            check=b"".join(value.to_bytes(8, "big") for value in record.check),
            meta=_Meta(*(getattr(meta, name) for name in GameMeta.__slots__)),
        )
    )


def _raw(hex_digits: str | None) -> bytes | None:
    return None if hex_digits is None else bytes.fromhex(hex_digits)


def _read(wire: _Game) -> GameRecord:
    if wire.rules_version != RULES_VERSION:
        raise refuse("rules_version", wire.rules_version, RULES_VERSION, reason="rules_version")
    if wire.layout != _LAYOUT:
        raise refuse("layout", wire.layout.hex(), _LAYOUT.hex(), reason="rules_version")
    if len(wire.check) % 8:
        raise refuse("check", f"{len(wire.check)} bytes", "8 for each hash")
    if len(wire.moves) > MOVE_BYTES * MOST_PLIES:
        raise refuse("moves", f"{len(wire.moves)} bytes", f"those of at most {MOST_PLIES} moves")
    moves = tuple(unpack_numbers(wire.moves, "field moves"))
    result, meta = wire.result, wire.meta
    return GameRecord(
        spec=make_spec(
            wire.spec.board,
            wire.spec.players,
            rings_per_player=wire.spec.rings_per_player,
            lps_rounds=wire.spec.lps_rounds,
            swap_rule=wire.spec.swap_rule,
            base_line_length=wire.spec.base_line_length,
            spec_hash=wire.spec.hash.hex(),
        ),
        start=wire.start,
        seed=wire.seed,
        agents=tuple(
            AgentRef(
                spec=agent.spec,
                agent_hash=agent.agent_hash.hex(),
                model_id=None if agent.model_id is None else agent.model_id.hex(),
            )
            for agent in wire.agents
        ),
        moves=moves,
        marks=dict(wire.marks),
        result=GameResult(
            end=result.end,
            winner=result.winner,
            reason=result.reason,
            ranks=result.ranks,
            values=result.values,
            plies=len(moves),
            final_hash=result.final_hash.hex(),
            elim=result.elim,
            terr=result.terr,
            hand=result.hand,
        ),
        check=tuple(
            int.from_bytes(wire.check[i : i + 8], "big") for i in range(0, len(wire.check), 8)
        ),
        meta=GameMeta(**{name: getattr(meta, name) for name in GameMeta.__slots__}),
        max_plies=wire.max_plies,
    )


def make_spec(board: str, players: int, *, spec_hash: str, **options: Any) -> BoardSpec:
    """Make the specification that a record names; its hash must be the one recorded."""
    if not 2 <= players <= 4:
        raise refuse("spec.players", players, "2, 3 or 4", reason="bad_players")
    try:
        spec = shared_spec(board, players, **options)
    except InvalidOption as error:
        reason = "unknown_board" if error.message.startswith("unknown board") else "spec"
        raise VerificationError(reason, error.message, where="field spec") from None
    if spec.board != board:
        raise refuse("spec.board", board, spec.board, reason="unknown_board")
    if spec.hash != spec_hash:
        raise refuse("spec.hash", spec_hash, spec.hash, reason="spec")
    return spec
