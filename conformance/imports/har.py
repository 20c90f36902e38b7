"""HTTP archives (HAR 1.2), as browsers, mitmproxy, Charles and others write them. No network I/O.

    log.entries[]: request {method, url, headers [{name, value}], postData {mimeType, text | params}}
                   response {status, headers, content {mimeType, text, encoding: base64}}

`content` is the body after its content coding was undone. When its reads came, a HAR does not say.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

from conformance.capture.captured import Captured, Headers, header
from conformance.imports.entry import (
    MARKS,
    UNREADABLE,
    Entry,
    ImportFault,
    base64_bytes,
    decoded_body,
    fault_of,
    field,
    read_file,
    request_of,
    text_bytes,
)
from providers.replay.recording import JSON


def read(path: Path) -> list[Entry]:
    """The entries of an archive. Raises `ImportFault` if it is none."""
    try:
        archive: JSON = json.loads(read_file(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, ImportFault):
            raise
        raise ImportFault(f"not JSON: {error}") from error
    entries: list[Entry] = []
    for number, item in enumerate(field(archive, "log.entries", list)):
        place = f"entry {number}"
        try:
            entry = _entry(item)
        except ImportFault as fault:
            entries.append(Entry(place=place, fault=str(fault)))
            continue
        except UNREADABLE as error:
            entries.append(Entry(place=place, fault=fault_of(error)))
            continue
        entry.place = place
        if entry.captured is not None:
            entry.captured.source = {"format": "har", "path": path.name, "entry": number, "bytes": "as recorded"}
        entries.append(entry)
    return entries


def _entry(item: JSON) -> Entry:
    request = field(item, "request", dict)
    response = field(item, "response", dict)
    headers = _headers(response, "response")
    content = response.get("content")
    content = content if isinstance(content, dict) else {}
    if not header(headers, "content-type") and isinstance(content.get("mimeType"), str):
        headers.append(("content-type", content["mimeType"]))
    request_headers = _headers(request, "request")
    captured = Captured(
        request=request_of(
            field(item, "request.method", str),
            field(item, "request.url", str),
            request_headers,
            _post_data(request),
            "request.url",
        ),
        status=field(item, "response.status", int),
        headers=headers,
    )
    if not 100 <= captured.status <= 599:
        return Entry(captured=captured, fault="`response.status`: no HTTP status, so there was no answer")
    text = content.get("text")
    if text is None:
        if content.get("size", 0) in (0, -1) and captured.status in (204, 304):
            return Entry(captured=captured)
        return Entry(captured=captured, fault="`response.content.text`: missing, the tool did not keep the body")
    text = field(item, "response.content.text", str)
    body = _bytes(text, content.get("encoding"), "response.content")
    # Decoded it is, says the format. Some tools keep gzip all the same, and it can be told by its first bytes.
    marked = header(headers, "content-encoding").strip().lower() in MARKS
    captured.body = decoded_body(body, headers, "response.content.text") if marked else body
    return Entry(captured=captured)


def _bytes(text: str, encoding: JSON, where: str) -> bytes:
    if encoding in (None, ""):
        return text_bytes(text)
    if encoding != "base64":
        raise ImportFault(f"`{where}.encoding`: expected base64")
    return base64_bytes(text, f"{where}.text")


def _post_data(request: dict[str, JSON]) -> bytes:
    data = request.get("postData")
    if not isinstance(data, dict):
        return b""
    if isinstance(data.get("text"), str):
        return _bytes(data["text"], data.get("encoding"), "request.postData")
    parameters = data.get("params") or []
    if not isinstance(parameters, list):
        raise ImportFault(f"`request.postData.params`: expected a list, got {type(parameters).__name__}")
    pairs = [
        (str(parameter.get("name", "")), str(parameter.get("value", "")))
        for parameter in parameters
        if isinstance(parameter, dict)
    ]
    return urlencode(pairs).encode()


def _headers(side: dict[str, JSON], name: str) -> Headers:
    found: Headers = []
    told = side.get("headers") or []
    if not isinstance(told, list):
        raise ImportFault(f"`{name}.headers`: expected a list, got {type(told).__name__}")
    for number, pair in enumerate(told):
        if not isinstance(pair, dict) or not all(isinstance(pair.get(key), str) for key in ("name", "value")):
            raise ImportFault(f"`{name}.headers[{number}]`: expected `name` and `value`")
        if not pair["name"].startswith(":"):
            found.append((pair["name"].lower(), pair["value"]))
    return found
