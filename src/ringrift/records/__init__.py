"""Game records: formats, replay, verification, journal, store."""

from __future__ import annotations

from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import analysis_from_bytes, analysis_to_bytes
from ringrift.records.game_bytes import from_bytes, to_bytes
from ringrift.records.game_json import analysis_from_json, analysis_to_json, from_json, to_json
from ringrift.records.journal import Journal
from ringrift.records.jsonl import read_jsonl, write_jsonl
from ringrift.records.ply_analysis import PlyAnalysis, quantize
from ringrift.records.record import (
    AgentRef,
    GameMeta,
    GameRecord,
    GameResult,
    VerificationError,
    default_max_plies,
    seat_values,
)
from ringrift.records.replayer import Replayer
from ringrift.records.store import GameStore, IngestReport, VerifyReport
from ringrift.records.verify import build_record, play_hash, verify

__all__ = [
    "AgentRef",
    "Analysis",
    "GameMeta",
    "GameRecord",
    "GameResult",
    "GameStore",
    "IngestReport",
    "Journal",
    "PlyAnalysis",
    "Replayer",
    "VerificationError",
    "VerifyReport",
    "analysis_from_bytes",
    "analysis_from_json",
    "analysis_to_bytes",
    "analysis_to_json",
    "build_record",
    "default_max_plies",
    "from_bytes",
    "from_json",
    "play_hash",
    "quantize",
    "read_jsonl",
    "seat_values",
    "to_bytes",
    "to_json",
    "verify",
    "write_jsonl",
]
