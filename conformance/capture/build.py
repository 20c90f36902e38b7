"""`build`: a captured exchange becomes a recording: recognised, scrubbed, named. No I/O."""

from __future__ import annotations

import re

import msgspec

from conformance.capture.captured import FRAMING, Captured, Headers, end_to_end
from conformance.capture.recognise import APIS, may_be_conversation, recognise_api, recognise_vendor
from conformance.capture.scrubber import Clean, Scrubber
from providers.replay.events import AMAZON_EVENT_STREAM, EVENT_STREAM
from providers.replay.recording import JSON, Kind, RecordedRequest, RecordedResponse, Recording

STREAMS = frozenset(
    {EVENT_STREAM, AMAZON_EVENT_STREAM, "application/x-ndjson", "application/jsonl", "application/stream+json"}
)

_PASSING = frozenset({"date", "alt-svc", "via", "nel", "report-to", "strict-transport-security", "age"})
"""Of the moment or of the way, not of the answer."""

_WORDS = 5
_MAX_NAME = 80


class Unrecognised(ValueError):  # noqa: N818 - a decision, not a fault
    """An exchange is not one that can be recorded; the message says why, without secrets."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What the user decided; None: found out from the exchange."""

    api: str | None = None
    vendor: str | None = None
    name: str | None = None


def build(captured: Captured, scrubber: Scrubber, choice: Choice) -> Recording:
    """The recording of an exchange, every secret taken out. Raises `Unrecognised`.

    Takes time in proportion to the bodies (about a second for a megabyte of events).
    """
    if choice.api is not None and may_be_conversation(captured):
        api: str | None = choice.api
    else:
        api = recognise_api(captured)
    if api is None:
        raise Unrecognised(f"{_described(captured, scrubber)}: none of {', '.join(APIS)}")
    clean = scrubber.scrub(captured)
    request = _request(clean)
    source = dict(captured.source)
    if request is not None and clean.request is not None and request.body is None and clean.request.body:
        source["request_body"] = f"left out: {len(clean.request.body)} bytes that are no text"
    host = captured.request.host if captured.request is not None else ""
    return Recording(
        name=choice.name or _name(api, request),
        api=api,
        vendor=choice.vendor or recognise_vendor(host, api),
        kind=_kind(captured),
        request=request,
        response=RecordedResponse(
            status=captured.status, headers=_merged(clean.headers, FRAMING | _PASSING), body=clean.body
        ),
        timing=captured.timing,
        source=source,
        scrubbed=clean.scrubbed,
        incomplete=captured.incomplete,
    )


def slug(text: str) -> str:
    """`text` as a part of a name: letters, digits, dots and hyphens."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[:_MAX_NAME].rstrip("-.")


def _kind(captured: Captured) -> Kind:
    if captured.status >= 400:
        return "error"
    return "stream" if captured.media_type in STREAMS else "json"


def _described(captured: Captured, scrubber: Scrubber) -> str:
    request = captured.request
    if request is None:
        return "an answer without its request"
    scrubber.learn(captured)
    return scrubber.text(f"{request.method} {request.path[:200]}")


def _request(clean: Clean) -> RecordedRequest | None:
    request = clean.request
    if request is None:
        return None
    return RecordedRequest(
        method=request.method,
        path=request.path,
        query=request.query,
        headers=_merged(request.headers, FRAMING),
        body=json_or_text(request.body),
    )


def json_or_text(body: bytes) -> JSON:
    """What the format can hold of a request's body: its JSON, else its text, else nothing."""
    if not body:
        return None
    try:
        value: JSON = msgspec.json.decode(body)
        msgspec.json.encode(value)
        return value
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        pass
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _merged(headers: Headers, dropped: frozenset[str]) -> dict[str, str]:
    """As one value for each name (RFC 9110, 5.3), without those that belong to a connection."""
    merged: dict[str, str] = {}
    for name, value in end_to_end(headers):
        if name not in dropped and not name.startswith(":"):
            merged[name] = f"{merged[name]}, {value}" if name in merged else value
    return merged


def _name(api: str, request: RecordedRequest | None) -> str:
    """From the request, scrubbed by now: the model, and the first words that were last said to it."""
    if request is None:
        return api
    body = request.body if isinstance(request.body, dict) else {}
    model = body.get("model") or body.get("modelId")
    if not isinstance(model, str):
        match = re.search(r"/models?/([^/:]+)", request.path)
        model = match[1] if match else api
    words = re.findall(r"[A-Za-z0-9]+", _last_text(body))[:_WORDS]
    return slug("-".join([model.rpartition("/")[2], *(word.lower()[:20] for word in words)])) or api


def _last_text(body: JSON) -> str:
    """The last text that a request says, whatever its API calls it."""
    for key in ("messages", "contents", "input"):
        value = body.get(key)
        if value:
            return _text_in(value[-1] if isinstance(value, list) else value)
    return ""


def _text_in(value: JSON, depth: int = 6) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        value = [value[key] for key in ("content", "parts", "text") if key in value]
    if not isinstance(value, list) or not depth:
        return ""
    return next(filter(None, (_text_in(item, depth - 1) for item in value)), "")
