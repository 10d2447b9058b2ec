"""Games and analyses as JSON objects, one to a line (selfplay.md 6)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ringrift.core.errors import DataError
from ringrift.records.analysis import Analysis, check_analysis
from ringrift.records.analysis_bytes import ANALYSIS_FORMAT, analysis_body
from ringrift.records.envelope import T, complaint, digest
from ringrift.records.game_bytes import GAME_FORMAT, check_identity, game_body, make_spec
from ringrift.records.ply_analysis import PlyAnalysis
from ringrift.records.record import (
    CHECK_EVERY,
    MOST_PLIES,
    AgentRef,
    GameMeta,
    GameRecord,
    GameResult,
    VerificationError,
    check_record,
    refuse,
)
from ringrift.records.replayer import Replayer
from ringrift.records.verify import check_claimed_id
from ringrift.rules import RULES_VERSION, BoardSpec, Position
from ringrift.rules.codec import codec, layout_hash


class _Object(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of wire forms: an object with exactly these fields."""


class _Rules(_Object):
    version: str
    hash: str


class _Spec(_Object):
    board: str
    players: int
    rings_per_player: int
    base_line_length: int
    line_length: int
    ring_threshold: int
    territory_minimum: int
    swap_rule: bool
    lps_rounds: int
    hash: str


class _Agent(_Object):
    seat: int
    spec: str
    agent_hash: str
    model_id: str | None
    kind: str


class _Result(_Object):
    end: str
    winner: int
    reason: str
    ranks: tuple[int, ...]
    values: tuple[float, ...] | None
    plies: int
    final_hash: str
    elim: tuple[int, ...]
    terr: tuple[int, ...]
    hand: tuple[int, ...]


class _Check(_Object):
    every: int
    hashes: tuple[str, ...]
    digest: str


class _Meta(_Object):
    purpose: str
    run: str | None
    index: int | None
    host: str | None
    version: str | None
    device: str | None
    started: float | None
    ms: int | None
    tags: tuple[str, ...]


class _Game(_Object, tag_field="type", tag="game"):
    format: str
    id: str
    rules: _Rules
    spec: _Spec
    max_plies: int
    start: str | None
    seed: int
    agents: tuple[_Agent, ...]
    moves: str
    marks: dict[str, str]
    result: _Result
    check: _Check
    meta: _Meta


class _Ply(_Object):
    ply: int
    kind: str
    sims: int
    value: tuple[float, ...]
    root_value: tuple[float, ...]
    policy: dict[str, int]
    visits: dict[str, int] | None
    prior_kl: float | None
    nodes: int | None
    depth: int | None
    ms: int | None


class _Analysis(_Object, tag_field="type", tag="analysis"):
    format: str
    id: str
    game: str
    agent: str
    budget: dict[str, int | float | str | None]
    plies: tuple[_Ply, ...]
    digest: str


_encode = msgspec.json.Encoder().encode


# --- games


def to_json(record: GameRecord) -> str:
    """Write a record as one line of JSON, without the line's end."""
    spec, result, meta = record.spec, record.result, record.meta
    texts = Replayer(spec, record.start, record.moves).texts()
    wire = _Game(
        format=GAME_FORMAT,
        id=record.id,
        rules=_Rules(version=RULES_VERSION, hash=layout_hash),
        spec=_Spec(
            **{name: getattr(spec, name) for name in _Spec.__struct_fields__ if name != "hash"},
            hash=spec.hash,
        ),
        max_plies=record.max_plies,
        start=record.start,
        seed=record.seed,
        agents=tuple(
            _Agent(
                seat=seat,
                spec=agent.spec,
                agent_hash=agent.agent_hash,
                model_id=agent.model_id,
                kind=agent.kind,
            )
            for seat, agent in enumerate(record.agents, 1)
        ),
        moves=";".join(texts),
        marks={str(ply): mark for ply, mark in sorted(record.marks.items())},
        result=_Result(**{name: getattr(result, name) for name in GameResult.__slots__}),
        check=_Check(
            every=CHECK_EVERY,
            hashes=tuple(f"{value:016x}" for value in record.check),
            digest=digest(game_body(record)).hex(),
        ),
        meta=_Meta(**{name: getattr(meta, name) for name in GameMeta.__slots__}),
    )
    return _encode(wire).decode()


def from_json(text: str | bytes, *, where: str = "game") -> GameRecord:
    """Read one line that `to_json` wrote; raises `VerificationError` naming `where` and the field.

    The moves are played as far as their texts need it; the rest is for `verify`.
    """
    try:
        wire = _parse(text, _Game)
        _same("format", wire.format, GAME_FORMAT)
        _same("rules.version", wire.rules.version, RULES_VERSION, "rules_version")
        _same("rules.hash", wire.rules.hash, layout_hash, "rules_version")
        _same("check.every", wire.check.every, CHECK_EVERY)
        record = _read_game(wire)
        check_record(record)
        check_claimed_id(wire.id, record)
        _same("check.digest", wire.check.digest, digest(game_body(record)).hex())
    except VerificationError as error:
        raise error.at(where) from None
    return record


def _read_game(wire: _Game) -> GameRecord:
    spec = _read_spec(wire.spec)
    if not 1 <= wire.max_plies <= MOST_PLIES:
        raise refuse("max_plies", wire.max_plies, f"a whole number from 1 to {MOST_PLIES}")
    plies = wire.moves.count(";") + 1 if wire.moves else 0
    if plies > wire.max_plies:
        raise refuse("moves", f"{plies} moves", f"at most max_plies = {wire.max_plies}")
    texts = wire.moves.split(";") if wire.moves else []
    return GameRecord(
        spec=spec,
        start=wire.start,
        seed=wire.seed,
        agents=tuple(_read_agent(i, agent) for i, agent in enumerate(wire.agents)),
        moves=pack_moves(spec, wire.start, texts),
        marks={_whole(f"marks.{ply}", ply): mark for ply, mark in wire.marks.items()},
        result=GameResult(**{name: getattr(wire.result, name) for name in GameResult.__slots__}),
        check=tuple(
            _hash(f"check.hashes[{i}]", value) for i, value in enumerate(wire.check.hashes)
        ),
        meta=GameMeta(**{name: getattr(wire.meta, name) for name in GameMeta.__slots__}),
        max_plies=wire.max_plies,
    )


def _read_spec(wire: _Spec) -> BoardSpec:
    spec = make_spec(
        wire.board,
        wire.players,
        rings_per_player=wire.rings_per_player,
        lps_rounds=wire.lps_rounds,
        swap_rule=wire.swap_rule,
        base_line_length=wire.base_line_length,
        spec_hash=wire.hash,
    )
    for name in ("line_length", "ring_threshold", "territory_minimum"):
        _same(f"spec.{name}", getattr(wire, name), getattr(spec, name), "spec")
    return spec


def _read_agent(index: int, wire: _Agent) -> AgentRef:
    agent = AgentRef(spec=wire.spec, agent_hash=wire.agent_hash, model_id=wire.model_id)
    _same(f"agents[{index}].seat", wire.seat, index + 1)
    _same(f"agents[{index}].kind", wire.kind, agent.kind)
    return agent


def pack_moves(spec: BoardSpec, start: str | None, texts: list[str]) -> tuple[int, ...]:
    """Pack move texts; regions are looked up in their positions, which takes legal moves so far.

    Raises `VerificationError` with the ply of a text that is malformed or a region not there.
    """
    moves = [0] * len(texts)
    regions = [ply for ply, text in enumerate(texts) if text.startswith("T ")]
    pack = codec(spec).pack
    for ply, text in enumerate(texts):
        if not text.startswith("T "):
            try:
                moves[ply] = pack(text, (), lambda move: ())
            except DataError as error:
                raise _bad_text(ply, error) from None
    if not regions:
        return tuple(moves)
    replayer = Replayer(spec, start, moves)
    for ply in regions:
        replayer.advance(ply)
        try:
            moves[ply] = replayer.position.pack(texts[ply])
        except DataError as error:
            raise _bad_text(ply, error) from None
        replayer.moves[ply] = moves[ply]
    return tuple(moves)


def _bad_text(ply: int, error: DataError) -> VerificationError:
    return VerificationError("illegal_move", error.message, ply=ply, where="field moves")


# --- analyses


def analysis_to_json(analysis: Analysis, record: GameRecord) -> str:
    """Write an analysis of a record as one line of JSON, without the line's end."""
    replayer = Replayer(record.spec, record.start, record.moves)
    plies = []
    for p in analysis.plies:
        replayer.advance(p.ply)
        position = replayer.position
        plies.append(
            _Ply(
                ply=p.ply,
                kind=p.kind,
                sims=p.sims,
                value=p.value,
                root_value=p.root_value,
                policy=_by_text(p.policy, position, p.ply),
                visits=None if p.visits is None else _by_text(p.visits, position, p.ply),
                prior_kl=p.prior_kl,
                nodes=p.nodes,
                depth=p.depth,
                ms=p.ms,
            )
        )
    wire = _Analysis(
        format=ANALYSIS_FORMAT,
        id=analysis.id,
        game=analysis.game,
        agent=analysis.agent,
        budget=dict(sorted(analysis.budget.items())),
        plies=tuple(plies),
        digest=digest(analysis_body(analysis)).hex(),
    )
    return _encode(wire).decode()


def analysis_from_json(
    text: str | bytes, record: GameRecord, *, where: str = "analysis"
) -> Analysis:
    """Read the analysis of a record; a key that is not legal at its ply is an error."""
    try:
        wire = _parse(text, _Analysis)
        _same("format", wire.format, ANALYSIS_FORMAT)
        _same("game", wire.game, record.id)
        analysis = _read_analysis(wire, record)
        check_analysis(analysis, record)
        check_identity(wire.id, analysis.id)
        _same("digest", wire.digest, digest(analysis_body(analysis)).hex())
    except VerificationError as error:
        raise error.at(where) from None
    return analysis


def _read_analysis(wire: _Analysis, record: GameRecord) -> Analysis:
    replayer = Replayer(record.spec, record.start, record.moves)
    plies: list[PlyAnalysis] = []
    for i, p in enumerate(wire.plies):
        if not replayer.ply <= p.ply < len(record.moves):
            expected = f"ascending plies below {len(record.moves)}"
            raise refuse(f"plies[{i}].ply", p.ply, expected, reason="bad_policy")
        replayer.advance(p.ply)
        position = replayer.position
        plies.append(
            PlyAnalysis(
                ply=p.ply,
                kind=p.kind,
                sims=p.sims,
                value=p.value,
                root_value=p.root_value,
                policy=_by_move(p.policy, position, f"plies[{i}].policy", p.ply),
                visits=None
                if p.visits is None
                else _by_move(p.visits, position, f"plies[{i}].visits", p.ply),
                prior_kl=p.prior_kl,
                nodes=p.nodes,
                depth=p.depth,
                ms=p.ms,
            )
        )
    return Analysis(game=wire.game, agent=wire.agent, budget=wire.budget, plies=tuple(plies))


def _by_text(counts: Mapping[int, int], position: Position, ply: int) -> dict[str, int]:
    legal = set(position.legal_packed().tolist())
    for move in counts:
        if move not in legal:
            raise VerificationError("bad_policy", f"move {move} is not legal", ply=ply)
    return {position.move_text(move): counts[move] for move in sorted(counts)}


def _by_move(counts: Mapping[str, int], position: Position, name: str, ply: int) -> dict[int, int]:
    legal = {move.text: move.packed for move in position.legal_moves()}
    for text in counts:
        if text not in legal:
            found = f"found {text!r:.80}, which is not legal in {position.phase}"
            raise VerificationError("bad_policy", found, ply=ply, where=f"field {name}")
    return {legal[text]: count for text, count in counts.items()}


# --- what both share


def line_type(text: bytes) -> str:
    """Return the `type` of a line; raises `VerificationError` if it is no such object."""
    try:
        head = msgspec.json.decode(text, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise complaint(error) from None
    return head.type


class _Head(msgspec.Struct):
    type: str


def _parse(text: str | bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise complaint(error) from None


def _same(name: str, found: object, expected: object, reason: str = "malformed") -> None:
    if found != expected:
        raise refuse(name, found, repr(expected), reason=reason)


def _whole(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9 or str(int(text)) != text:
        raise refuse(name, text, "a ply")
    return int(text)


def _hash(name: str, text: str) -> int:
    try:
        value = int(text, 16)
    except ValueError:
        value = -1
    if f"{value:016x}" != text:
        raise refuse(name, text, "16 hex digits")
    return value
