"""`Scrubber`: takes the secrets out of an exchange, and keeps a list of what and where, never of the values. No I/O.

It is kept for a whole session or file: a key that one exchange showed in a header is looked for in all later ones.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
from collections.abc import Iterator
from urllib.parse import quote, unquote, unquote_plus

import msgspec

from conformance.capture.captured import FRAMING, HOP_BY_HOP, Captured, CapturedRequest, Headers, media_type
from conformance.capture.scrub_body import MIN_SECRET, ScrubbedBody, scrub_body
from conformance.capture.shapes import Hit, is_opaque, literals_in, shapes_in
from providers.replay.recording import Scrubbed
from providers.replay.secrets import is_kept_request_header, is_secret_header, is_secret_parameter

MAX_KNOWN = 256
"""Secrets that are remembered; the oldest are forgotten first."""
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"


class Clean(msgspec.Struct, kw_only=True):
    """An exchange that may be written. `request` is None if there was none."""

    request: CapturedRequest | None
    headers: Headers
    body: bytes
    """As long as it was."""
    scrubbed: list[Scrubbed]


class Scrubber:
    """Remembers the secrets it has seen."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        """Each spelling of each secret, the newest last, and what it is."""

    def learn(self, captured: Captured) -> None:
        """Take note of the secrets in headers, query and URL of both sides, to find them wherever they are."""
        for what, secret in _shown_secrets(captured):
            self._remember(what, secret)

    def scrub(self, captured: Captured) -> Clean:
        """The exchange without its secrets. `captured` stays as it is."""
        self.learn(captured)
        return _Scrubbing(dict(self._known)).exchange(captured)

    def text(self, text: str) -> str:
        """`text` for a message or a name: without anything that is known or looks secret."""
        return _Scrubbing(self._known).text(text, "")

    def _remember(self, what: str, secret: str) -> None:
        if len(secret) < MIN_SECRET:
            return
        for spelling in _spellings(secret):
            self._known.pop(spelling, None)
            self._known[spelling] = what
        while len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]


def _spellings(secret: str) -> set[str]:
    """How a text may be written in a URL, in JSON, in HTML, or as bytes read one by one."""
    spellings = {
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        secret.replace("/", "\\/"),
        html.escape(secret),
        base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode(),
    }
    return spellings | {spelling.encode("utf-8", "surrogatepass").decode("latin-1") for spelling in spellings}


def _shown_secrets(captured: Captured) -> Iterator[tuple[str, str]]:
    """What headers, query and URL say is secret: what it is, and the secret."""
    request = captured.request
    if request is not None:
        yield from (("password in the URL", secret) for secret in request.secrets)
        for part in request.query.split("&"):
            name, _, value = part.partition("=")
            if is_secret_parameter(unquote_plus(name)):
                yield f"`{unquote_plus(name)}` of the query", value
                yield f"`{unquote_plus(name)}` of the query", unquote_plus(value)
        yield from _in_headers(request.headers)
        yield from (
            (f"{name} header", value.strip())
            for name, value in request.headers
            if not _is_recorded(name) and is_opaque(value.strip())
        )
    yield from _in_headers(captured.headers)


def _is_recorded(name: str) -> bool:
    """Whether a header of a request is kept, or dropped without a word because it belongs to the connection."""
    return is_kept_request_header(name) or name in HOP_BY_HOP | FRAMING or name.startswith(":")


def _in_headers(headers: Headers) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        if is_secret_header(name):
            yield from ((f"{name} header", secret) for secret in dict.fromkeys(_secrets_of(name, value)))


def _secrets_of(name: str, value: str) -> Iterator[str]:
    """The secret parts of a header: the token without its scheme, a cookie's value, the password of Basic."""
    value = value.strip()
    if name == "set-cookie":
        yield value.partition(";")[0].partition("=")[2].strip('"')
        return
    if name.startswith("cookie"):
        yield from (pair.partition("=")[2].strip().strip('"') for pair in value.split(";"))
        return
    yield value
    scheme, _, rest = value.partition(" ")
    if not rest:
        return
    rest = rest.strip()
    yield rest
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(rest, validate=True).decode("utf-8", "replace")
        except binascii.Error:
            return
        yield pair
        yield pair.partition(":")[2]
    elif "=" in rest:
        # Several parameters (AWS's Credential=ID/DATE/..., Signature=...): each, and what stands before a slash.
        for parameter in rest.split(","):
            secret = parameter.partition("=")[2].strip().strip('"')
            yield secret
            yield secret.partition("/")[0]


class _Scrubbing:
    """One exchange being scrubbed."""

    def __init__(self, literals: dict[str, str]) -> None:
        self._literals = literals
        self._found: dict[tuple[str, str], int] = {}

    def exchange(self, captured: Captured) -> Clean:
        request = captured.request
        response_body = _Body(captured.body, captured.media_type)
        request_body = _Body(request.body, media_type(request.headers) or _JSON) if request is not None else None
        bodies = [body for body in (request_body, response_body) if body is not None]
        # What a body holds under a telling key may stand anywhere else: so all is searched before anything is kept.
        fresh = {secret: what for body in bodies for secret, what in body.search(self._literals).items()}
        for secret, what in fresh.items():
            self._literals |= dict.fromkeys(_spellings(secret), what)
        if fresh:
            for body in bodies:
                body.search(self._literals)
        clean = None
        for _ in request.secrets if request is not None else ():
            self._note("password in the URL", "request.url")
        if request is not None and request_body is not None:
            is_form = request_body.media_type == _FORM
            clean = msgspec.structs.replace(
                request,
                path=self._path(request.path),
                query=self._query(request.query, "request.query"),
                headers=self._headers(request.headers, "request.headers"),
                body=self._form(request.body) if is_form else self._body(request_body, "request.body"),
                secrets=[],
            )
        return Clean(
            request=clean,
            headers=self._headers(captured.headers, "response.headers"),
            body=self._body(response_body, "response.body"),
            scrubbed=[Scrubbed(what=what, where=where, times=times) for (what, where), times in self._found.items()],
        )

    def text(self, text: str, where: str) -> str:
        """`text` with its secrets overwritten, also where they are percent-encoded."""
        chars = list(text)
        for hit in self._hits(text):
            chars[hit.start : hit.end] = "x" * (hit.end - hit.start)
            self._note(hit.what, where)
        result = "".join(chars)
        decoded = unquote(result)
        hidden = next(self._hits(decoded), None) if decoded != result else None
        if hidden is None:
            return result
        self._note(hidden.what, where)
        return "x" * len(result)

    def _hits(self, text: str) -> Iterator[Hit]:
        hits = sorted((*literals_in(text, self._literals), *shapes_in(text)), key=lambda hit: (hit.start, -hit.end))
        until = 0
        for hit in hits:
            if text[hit.start : hit.end].strip("x") and hit.end > until:
                yield Hit(max(hit.start, until), hit.end, hit.what)
                until = hit.end

    def _note(self, what: str, where: str) -> None:
        self._found[what, where] = self._found.get((what, where), 0) + 1

    def _path(self, path: str) -> str:
        return "/".join(self.text(segment, "request.path") for segment in self.text(path, "request.path").split("/"))

    def _query(self, query: str, where: str) -> str:
        kept: list[str] = []
        for part in query.split("&"):
            name, equals, value = part.partition("=")
            plain = unquote_plus(name)
            if is_secret_parameter(plain):
                self._note(f"`{plain}` of the query", where)
            else:
                kept.append(self.text(name, where) + equals + self.text(value, where))
        return "&".join(kept)

    def _form(self, body: bytes) -> bytes:
        return self._query(body.decode("latin-1"), "request.body").encode("latin-1")

    def _headers(self, headers: Headers, where: str) -> Headers:
        kept: Headers = []
        for name, value in headers:
            is_left_out = is_secret_header(name) or (where == "request.headers" and not _is_recorded(name))
            if is_left_out:
                self._note(f"{name} header", f"{where}.{name}")
            else:
                kept.append((name, self.text(value, f"{where}.{name}")))
        return kept

    def _body(self, body: _Body, where: str) -> bytes:
        for finding in body.result.findings:
            path = finding.path if not any(True for _ in self._hits(finding.path)) else ".*"
            self._note(finding.what, where + path)
        return body.result.body


class _Body:
    """A body and what was found in it last."""

    def __init__(self, body: bytes, media: str) -> None:
        self._body = body
        self.media_type = media
        self.result = ScrubbedBody(body, [], {})

    def search(self, literals: dict[str, str]) -> dict[str, str]:
        """Search it again. Returns the secrets that stand under a telling key."""
        self.result = scrub_body(self._body, self.media_type, literals)
        return self.result.secrets
