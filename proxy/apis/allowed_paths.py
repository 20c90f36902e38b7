"""Which paths of a provider's own API a model's configuration lets through. Does no I/O.

A rule is `[METHOD ]PATH`: any method if none is given. In a path `*` stands for one segment, `**` at its end for one or
more. Rules are held against the path as the provider will read it: percent-decoded, once. What two readers could take
for two different paths is never let through: dots, encoded slashes, empty segments, a percent sign that is encoded.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from providers.errors import RequestError

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

RULE = rf"^((?:{'|'.join(METHODS)}) )?(/[^/?#%\s]+)+$"
"""What a rule looks like. A pattern of JSON Schema too."""

_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")
"""RFC 3986, 3.3: what a path's segment may be made of."""

CREDENTIAL_PARAMETERS = frozenset({"key", "api_key", "api-key", "apikey", "access_token", "token", "sig"})
"""Query parameters that carry somebody's credentials."""


class Rule(msgspec.Struct, frozen=True):
    method: str
    """Empty: any."""
    segments: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Rule:
        method, _, path = text.rpartition(" ")
        return cls(method, tuple(path.split("/")[1:]))

    def lets(self, method: str, segments: list[str]) -> bool:
        """Whether a request with this method and these decoded segments may pass."""
        if self.method and self.method != method and not (self.method == "GET" and method == "HEAD"):
            return False
        wanted = self.segments
        if wanted[-1] == "**":
            wanted = wanted[:-1]
            if len(segments) <= len(wanted):
                return False
            segments = segments[: len(wanted)]
        return len(wanted) == len(segments) and all(
            pattern in ("*", segment) for pattern, segment in zip(wanted, segments, strict=True)
        )


def allowed_target(raw_path: str, query: str, method: str, rules: tuple[Rule, ...]) -> str:
    """The target for the provider, path and query, if one of `rules` lets it pass.

    `raw_path` is as the client wrote it, percent-encoded, and begins with a slash. Raises `RequestError`: 400 for a
    path that could be read in two ways, 403 for one that no rule lets through.
    """
    segments = [_decoded(segment) for segment in raw_path[1:].split("/")]
    if not any(rule.lets(method, segments) for rule in rules):
        raise RequestError(f"this model does not let {method} {raw_path[:200]} through", status=403)
    kept = "&".join(pair for pair in query.split("&") if pair and not _is_credential(pair))
    return f"{raw_path}?{kept}" if kept else raw_path


def _decoded(segment: str) -> str:
    if not segment:
        raise _ambiguous("an empty segment")
    if not _SEGMENT.fullmatch(segment):
        raise _ambiguous("characters that a path does not have")
    try:
        text = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError as error:
        raise _ambiguous("characters that are not UTF-8") from error
    if text in (".", "..") or text.startswith(("..;", ".;")):
        raise _ambiguous("'.' or '..'")
    if any(char in "/\\%" or not char.isprintable() for char in text):
        raise _ambiguous("an encoded slash, backslash, percent sign or control character")
    return text


def _ambiguous(what: str) -> RequestError:
    return RequestError(f"the path to be passed through has {what}", param="path", code="invalid_path")


def _is_credential(pair: str) -> bool:
    named = parse_qsl(pair, keep_blank_values=True)
    return bool(named) and named[0][0].lower() in CREDENTIAL_PARAMETERS
