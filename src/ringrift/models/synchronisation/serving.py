"""Serve the models of this node over HTTP, to other nodes that collect or send (`models.md` 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.bounded_server import LOOPBACK
from ringrift.data.distributed.serving import ExportServer
from ringrift.models.synchronisation.listing import inventory
from ringrift.models.synchronisation.receiving import Receiving

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.data.distributed.authorization import Authorization

PORT = 8781


def serve_models(
    models: Path,
    *,
    port: int = PORT,
    host: str = LOOPBACK,
    authorization: Authorization | None = None,
) -> ExportServer:
    """Serve models, descriptions and decisions until closed, and take those that nodes send.

    `port` 0 takes a free one. Raises `BusyError` for a taken port, `UsageError` for a host that
    others reach without a token.
    """
    return ExportServer(
        inventory(models),
        port=port,
        host=host,
        authorization=authorization,
        service=Receiving(models),
    )
