"""Keep secrets out of what is written: logs, errors, defect reports, records, databases.

`hide_environment` learns the secrets of the environment, `hide_secret` one that was read elsewhere;
`without_secrets` then cuts them out of any text or plain data.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HIDDEN = "***"
LEAST_LENGTH = 6

# Variables whose whole value is a secret (`core.md` 3), whatever their names end in.
SECRET_VARIABLES = frozenset(
    {
        "RINGRIFT_CLUSTER_AUTH_TOKEN",
        "RINGRIFT_WEBHOOK_URL",
        "RINGRIFT_SLACK_WEBHOOK_URL",
        "RINGRIFT_SOCKS_PROXY",
        "VAST_API_KEY",
        "LAMBDA_API_KEY",
    }
)

_SECRET_NAME = re.compile(
    r"(token|password|passwd|passphrase|secret|api_?key|authorization|webhook_url)$", re.IGNORECASE
)
# `user:password@` of any URL, also of one that nobody announced.
_USER_INFO = re.compile(r"(?<=://)[^\s/?#]+@")
_LEAST_TOKEN, _SURE_TOKEN = 8, 16

_known: set[str] = set()
# Longest first: a part of a URL must not break up the URL before that is found.
_ordered: tuple[str, ...] = ()


def hide_secret(value: str) -> None:
    """Replace `value` by `***` from now on; of a URL also its password, tokens and query values.

    Raises `ValueError` for a value too short to be told from ordinary words.
    """
    if len(value) < LEAST_LENGTH:
        raise ValueError(f"a secret of fewer than {LEAST_LENGTH} characters cannot be hidden")
    _add(value, *_url_parts(value))


def hide_environment(environ: Mapping[str, str] | None = None) -> None:
    """Hide every secret of the environment: known variables, telling names, passwords in URLs."""
    for name, text in (os.environ if environ is None else environ).items():
        value = text.strip()
        if name in SECRET_VARIABLES or _SECRET_NAME.search(name):
            _add(value, *_url_parts(value))
        elif "://" in value and "@" in value:
            _add(*_passwords(value))


def is_secret_name(name: str) -> bool:
    """Return whether a key or variable of this name holds a secret."""
    return name in SECRET_VARIABLES or _SECRET_NAME.search(name) is not None


def without_secrets(value: Any, key: str = "") -> Any:
    """Return `value` with secrets replaced, inside dicts and lists too.

    Anything but plain data becomes its text, because that is how it would be written.
    """
    if key and value and _SECRET_NAME.search(key):
        return HIDDEN
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {_name(name): without_secrets(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return _clean(value if isinstance(value, str) else str(value))


def _name(name: Any) -> Any:
    return _clean(name) if isinstance(name, str) else name


def _clean(text: str) -> str:
    for secret in _ordered:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    if "://" in text and "@" in text:
        text = _USER_INFO.sub(f"{HIDDEN}@", text)
    return text


def _add(*values: str) -> None:
    global _ordered  # noqa: PLW0603 - the secrets of a process are the process's
    found = {value for value in values if len(value) >= LEAST_LENGTH} - _known
    if found:
        _known.update(found)
        _ordered = tuple(sorted(_known, key=len, reverse=True))


def _passwords(value: str) -> Iterator[str]:
    try:
        user_info = urlsplit(value).netloc.rpartition("@")[0]
    except ValueError:  # no URL after all
        return
    password = user_info.partition(":")[2]
    yield from (user_info, unquote(user_info), password, unquote(password))


def _url_parts(value: str) -> Iterator[str]:
    """Yield what alone would give a URL's secret away: error messages quote such parts."""
    if "://" not in value:
        return
    yield from _passwords(value)
    try:
        parts = urlsplit(value)
    except ValueError:
        return
    yield from (parts.query, unquote(parts.query), parts.fragment)
    yield from (text for _, text in parse_qsl(parts.query))
    tokens = [segment for segment in parts.path.split("/") if _looks_random(segment)]
    if tokens:  # the path of a URL without them is made of words that logs need
        yield from (parts.path, *tokens, *(unquote(token) for token in tokens))


def _looks_random(segment: str) -> bool:
    if len(segment) >= _SURE_TOKEN:
        return True
    return len(segment) >= _LEAST_TOKEN and any(letter.isdigit() for letter in segment)
