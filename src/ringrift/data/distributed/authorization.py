"""Who may ask an export server: anybody on this host, others with the token (`data.md` 6)."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ringrift.core.errors import UsageError

HEADER = "Authorization"
LEAST_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """Hold the token of a server or a client; it is never shown. None on loopback without one."""

    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.token is not None and not (
            len(self.token) >= LEAST_LENGTH and self.token.isascii() and self.token.isprintable()
        ):
            raise UsageError(
                f"the token has fewer than {LEAST_LENGTH} characters or some that no header takes",
                where="--token",
                hint="openssl rand -hex 32",
            )

    @property
    def headers(self) -> dict[str, str]:
        """What a client sends."""
        return {} if self.token is None else {HEADER: f"Bearer {self.token}"}

    def allows(self, authorization: str | None, host: str | None) -> bool:
        """Tell whether a request may be answered, in a time that does not depend on the token.

        Without a token only requests that name this host by a loopback name are: a web page
        opened here under a name of its own is not.
        """
        if self.token is None:
            return is_loopback(urlsplit(f"//{host or ''}").hostname or "")
        sent = (authorization or "").encode("utf-8", "replace")
        return hmac.compare_digest(sent, f"Bearer {self.token}".encode())


def is_loopback(host: str) -> bool:
    """Tell whether a name or address is this host's own, reached by nobody else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_token(authorization: Authorization, host: str) -> None:
    """Raise `UsageError` for a server that others reach and that has no token."""
    if authorization.token is None and not is_loopback(host):
        raise UsageError(
            f"{host} is reached from other machines and there is no token",
            where="--host",
            hint="--token env:NAME or file:PATH, or --host 127.0.0.1",
        )
