"""Which headers and query parameters carry credentials, by their names alone. Imports nothing of ours.

The one table for what may never be in a recording: the format's own writer and the recorder's scrubbing share it.
"""

from __future__ import annotations

import re

_HEADER = re.compile(
    r"(?:.*[-_])?(?:authorization|authentication|auth|cookie2?|password|passwd|pwd|pass|passphrase|credentials?|secret"
    r"|signature|token|api-?key|key|jwt|bearer|pat|csrf|xsrf|session(?:[-_]?id)?|email|user)"
)
"""Plural `tokens` is left alone: those headers count tokens."""
_NO_SECRET = re.compile(r".*(?:rate-?limit|-count).*|(?:.*-)?(?:idempotency|cache|surrogate)-key|sec-websocket-key")
_ACCOUNT = frozenset({"openai-organization", "openai-project", "anthropic-organization-id", "x-goog-user-project"})
"""No credentials, but they tell whose account it was."""

_KEPT = re.compile(
    r"accept|accept-language|content-type|user-agent|anthropic-(?:version|beta|dangerous-direct-browser-access)"
    r"|openai-beta|x-stainless-.+|x-goog-api-client|x-goog-api-version|amz-sdk-request|retry-after|prefer"
)
"""Request headers that say something of the question. All others may carry a credential, whatever their names say."""

_PARAMETER = re.compile(
    r"(?:.*[-_])?(?:key|api[-_]?key|apikey|access[-_]?token|auth|authorization|token|secret|password|passwd|sig|signature"
    r"|credential|key[-_]pair[-_]id|passphrase|jwt|bearer)|awsaccesskeyid|googleaccessid|policy|code|pwd|pass"
)


def is_secret_header(name: str) -> bool:
    """Whether the header carries a credential or a cookie, or names the account. `name` in any case."""
    name = name.lower()
    if name in _ACCOUNT:
        return True
    return _HEADER.fullmatch(name) is not None and _NO_SECRET.fullmatch(name) is None


def is_kept_request_header(name: str) -> bool:
    """Whether a recorder keeps a client's header: it keeps those that it knows. `name` in any case."""
    return _KEPT.fullmatch(name.lower()) is not None


def is_secret_parameter(name: str) -> bool:
    """Whether the query parameter carries a credential, or the signature of a signed URL. `name` decoded."""
    return _PARAMETER.fullmatch(name.lower()) is not None
