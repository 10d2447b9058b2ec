"""The configuration of one hub server (`cluster.md` 3, settings and reasons in its table).

A loopback server needs no TLS; every client has a key of its own all the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

MAX_PAYLOAD_BYTES = 8 << 20
MEMORY_STORE_MB = 256
MOST_PENDING_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class HubConfig:
    """What a server is told: where it listens, where it stores, who may use it.

    `users` are public keys (nkeys). Files in JetStream may take `file_store_bytes`.
    """

    name: str
    port: int
    monitor_port: int
    store: Path
    users: tuple[str, ...]
    file_store_bytes: int
    host: str = "127.0.0.1"

    def text(self) -> str:
        """Return the file that the server reads."""
        users = ", ".join(f"{{ nkey: {json.dumps(user)} }}" for user in self.users)
        return "\n".join(
            (
                f"server_name: {json.dumps(self.name)}",
                f"listen: {json.dumps(f'{self.host}:{self.port}')}",
                f"http: {json.dumps(f'127.0.0.1:{self.monitor_port}')}",
                f"max_payload: {MAX_PAYLOAD_BYTES}",
                f"max_pending: {MOST_PENDING_BYTES}",
                'write_deadline: "30s"',
                'ping_interval: "10s"',
                "ping_max: 2",
                "jetstream {",
                f"  store_dir: {json.dumps(str(self.store))}",
                f"  max_memory_store: {MEMORY_STORE_MB << 20}",
                f"  max_file_store: {self.file_store_bytes}",
                "  sync_interval: always",
                "}",
                "accounts {",
                f"  RR {{ jetstream: enabled, users: [ {users} ] }}",
                "}",
                "",
            )
        )
