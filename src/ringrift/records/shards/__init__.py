"""Shards: immutable files of games and their analyses, named by their content (selfplay.md 6)."""

from __future__ import annotations

from ringrift.records.shards.layout import MAGIC, MOST_BYTES, MOST_GAMES, SUFFIX
from ringrift.records.shards.reader import Shard, read_shard, scan_shard
from ringrift.records.shards.writer import Group, ShardFile, write_shards

__all__ = [
    "MAGIC",
    "MOST_BYTES",
    "MOST_GAMES",
    "SUFFIX",
    "Group",
    "Shard",
    "ShardFile",
    "read_shard",
    "scan_shard",
    "write_shards",
]
