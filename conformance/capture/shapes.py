"""What a secret looks like: known shapes of keys and tokens, names of JSON keys that hold them, signed URLs. No I/O.

Everything here errs towards finding too much. What is found is listed, so a wrong find is seen; a missed one is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from providers.replay.secrets import is_secret_parameter


class Hit(msgspec.Struct, frozen=True):
    """A stretch of a text that is secret."""

    start: int
    end: int
    what: str


class _Shape(msgspec.Struct, frozen=True):
    what: str
    starts: tuple[str, ...]
    """Texts that it can begin with, or that stand right before it: found fast, then `pattern` looks closer."""
    pattern: re.Pattern[str]
    """Matched at one of `starts`. Its group `secret`, or all of it, is the secret."""


_EDGE = r"(?:(?<![A-Za-z0-9_-])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrtbf]))"
"""Nothing that a word goes on from: "sk-" within "task-" is none. An escaped line end is not part of a word."""


def _shape(what: str, starts: str, pattern: str) -> _Shape:
    return _Shape(what, tuple(starts.split("|")), re.compile(pattern, re.ASCII))


_SHAPES = (
    _shape("API key", "sk-|pk-|rk-|csk-|sk_|rk_", _EDGE + r"(?:sk|pk|rk|csk)[-_](?:[\w-]{16,}|[\w-]*\*{3,}[\w*-]*)"),
    _shape("Google API key", "AIza", _EDGE + r"AIza[\w-]{30,}"),
    _shape("Google OAuth token", "ya29.", _EDGE + r"ya29\.[\w.-]{16,}"),
    _shape("AWS access key", "AKIA|ASIA", _EDGE + r"A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9+/=])"),
    _shape("Amazon Bedrock key", "ABSK|bedrock-api-key-", _EDGE + r"(?:ABSK|bedrock-api-key-)[A-Za-z0-9+/]{30,}={0,2}"),
    _shape(
        "API key",
        "gsk_|hf_|r8_|pplx-|xai-|nvapi-|tgp_v1_|fw_|jina_|sbp_|lsv2_|glpat-|ghp_|gho_|ghs_|ghu_|github_pat_|xoxb-|xoxp-|npm_",
        _EDGE + r"[a-z]+[0-9]?[-_](?:v1_|pat_)?[A-Za-z0-9_-]{20,}",
    ),
    _shape("JSON web token", "eyJ", _EDGE + r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{8,}"),
    _shape(
        "bearer token",
        "Bearer |bearer |BEARER |Bearer%20|bearer+|Bearer+",
        r"(?i:bearer)(?: +|%20|\+)(?P<secret>(?=[^\s]*[0-9])[\w.~+/=-]{16,}|[\w.~+/=-]{20,})",
    ),
    _shape(
        "basic credentials", "Basic |basic ", r"(?i:basic) +(?P<secret>(?=[A-Za-z]*[0-9+/=])[A-Za-z0-9+/]{12,}={0,2})"
    ),
    _shape("private key", "-----BEGIN ", r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?P<secret>[A-Za-z0-9+/=\s\\]+)"),
)

_MASKED_SIZE = 100
_MASKED = re.compile(r"(?P<head>[\w.+/=-]{0,100})\*{3,}(?P<tail>[\w.+/=-]{0,100})", re.ASCII)
_WORD = re.compile(r"[\w.+/=-]", re.ASCII)

_URL_TAIL = re.compile(r"""[^\s"'<>\\^`{|}]+""")
_USER = re.compile(r"[^/?#@:\s]*:(?P<password>[^/?#@\s]+)@")
_PARAMETER = re.compile(r"(?<=[?&;#])(?P<name>[\w.%-]{1,60})=(?P<value>[^&;#\s]+)")

_SECRET_KEYS = re.compile(
    r".*(?:apikey|accesskey|secretkey|privatekey|subscriptionkey|accesstoken|refreshtoken|idtoken|authtoken|bearertoken"
    r"|sessiontoken|securitytoken|authorizationtoken|clientsecret|secretaccesskey|password|passwd|passphrase"
    r"|connectionstring)s?|(?:proxy)?authorization|(?:set)?cookies?|credentials?|pwd|pass|auth"
)
_HOLDERS = frozenset({"credential", "credentials", "secrets"})
"""Keys of objects in which everything is secret, whatever it is called."""
_OPAQUE_KEYS = frozenset({"token", "secret", "key", "credential", "jwt", "bearer", "pat"})
"""Keys that mostly hold something else: a model's token with its logprob, a key of a map."""
_OPAQUE = re.compile(r"(?=[^\s]*[0-9])(?=[^\s]*[A-Za-z])[\w.~+/=:-]{16,}")
"""Letters and digits in one run: no word, and no token of a model."""


def is_opaque(text: str) -> bool:
    """Whether it is one run of letters and digits, as keys are and words are not."""
    return _OPAQUE.fullmatch(text) is not None


def is_secret_key(name: str, value: str, within: Iterable[str] = ()) -> bool:
    """Whether a JSON object's key, or that of an object around it (`within`), says that its value is a secret.

    `value`: a string, or a number as it is written.
    """
    if any(holder.lower() in _HOLDERS for holder in within):
        return True
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if _SECRET_KEYS.fullmatch(plain):
        return True
    return plain in _OPAQUE_KEYS and _OPAQUE.fullmatch(value) is not None


def shapes_in(text: str) -> Iterator[Hit]:
    """Everything in `text` that looks like a credential, signed URLs' parameters included. May overlap."""
    for shape in _SHAPES:
        for start in shape.starts:
            for at in _places(text, start):
                match = shape.pattern.match(text, at)
                if match is not None:
                    group = "secret" if "secret" in shape.pattern.groupindex else 0
                    yield Hit(*match.span(group), shape.what)
    for at in _places(text, "://"):
        yield from _in_url(text, at + 3)


def literals_in(text: str, literals: Mapping[str, str]) -> Iterator[Hit]:
    """Where the texts that are known to be secret stand, masked ones too; `literals` says what each is."""
    for literal, what in literals.items():
        for at in _places(text, literal):
            yield Hit(at, at + len(literal), what)
    at = text.find("***") if literals else -1
    while at >= 0:
        masked = _MASKED.match(text, _word_start(text, at))
        end = at + 3
        if masked is not None:
            end = max(end, masked.end())
            if (what_of := _masked_literal(masked, literals)) is not None:
                yield Hit(*masked.span(), what_of)
        at = text.find("***", end)


def _word_start(text: str, at: int) -> int:
    start = at
    while start > 0 and at - start < _MASKED_SIZE and _WORD.match(text, start - 1):
        start -= 1
    return start


def _masked_literal(masked: re.Match[str], literals: Mapping[str, str]) -> str | None:
    """What a masked text (`sk-abc***xyz`) was, if it shows the beginning or the end of something known."""
    head, tail = masked["head"], masked["tail"].rstrip(".")
    for literal, what in literals.items():
        shown = (head if literal.startswith(head) else "") + (tail if literal.endswith(tail) else "")
        if len(shown) >= 3:
            return what
    return None


def _places(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


def _in_url(text: str, start: int) -> Iterator[Hit]:
    tail = _URL_TAIL.match(text, start)
    if tail is None:
        return
    user = _USER.match(text, start, tail.end())
    if user is not None:
        yield Hit(*user.span("password"), "password in a URL")
    for parameter in _PARAMETER.finditer(text, start, tail.end()):
        if is_secret_parameter(parameter["name"].removeprefix("amp;")):
            yield Hit(*parameter.span("value"), f"`{parameter['name'].lower()}` of a URL")
