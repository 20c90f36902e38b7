"""The gateway's own credentials, taken out of what a provider quotes of them. Imports the SDK."""

from __future__ import annotations

from collections.abc import Iterable

from providers.extension import is_secret

_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie"})
"""Headers that hold credentials although their names do not say so."""
_SHORTEST = 8
"""Bytes. A shorter value would blot out ordinary words, and is a key of nobody's."""
MASK = b"***"


def mask_credentials(body: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """`body`, an error that came for a request with these headers, without the credentials that they hold.

    A scheme in front of one (`Bearer`) stays. What a provider quotes in part, as most do, is not found.
    """
    secrets = [value for name, value in headers if _holds_credentials(name.decode("latin-1"))]
    for secret in secrets:
        for word in secret.split():
            if len(word) >= _SHORTEST:
                body = body.replace(word, MASK)
    return body


def _holds_credentials(name: str) -> bool:
    return name in _CREDENTIALS or is_secret((name,))
