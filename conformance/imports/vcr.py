"""VCR cassettes, version 1 as vcrpy writes them (pytest-recording and pytest-vcr do too), YAML or JSON.

    version: 1
    interactions:
    - request: {method, uri, headers: {NAME: [VALUE]}, body: null | text | {string} | {base64_string}}
      response: {status: {code, message}, headers, body: {string: text or !!binary} | {base64_string}}

Some projects' serializers put `parsed_body`, the JSON as YAML, in the place of `body`. pyyaml reads it all: vcrpy's own
reader wants a patched HTTP library around it and knows nothing of these variants.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml

from conformance.capture.captured import Captured, Headers
from conformance.imports.entry import (
    UNREADABLE,
    Entry,
    ImportFault,
    base64_bytes,
    decoded_body,
    fault_of,
    field,
    headers_of_mapping,
    read_file,
    request_of,
    text_bytes,
)
from providers.replay.recording import JSON

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_AS_RECORDED = "as recorded"
_AGAIN = "JSON re-serialised by the recorder"


def read(path: Path) -> list[Entry]:
    """The interactions of a cassette. Raises `ImportFault` if it is none."""
    interactions = _interactions(read_file(path))
    entries: list[Entry] = []
    for number, interaction in enumerate(interactions):
        place = f"interaction {number}"
        try:
            captured = _captured(interaction)
        except ImportFault as fault:
            entries.append(Entry(place=place, fault=str(fault)))
            continue
        except UNREADABLE as error:
            entries.append(Entry(place=place, fault=fault_of(error)))
            continue
        captured.source = {"format": "vcr", "path": path.name, "interaction": number, **captured.source}
        entries.append(Entry(place=place, captured=captured))
    return entries


def _interactions(data: bytes) -> list[JSON]:
    try:
        cassette = yaml.load(data, _LOADER)  # noqa: S506 - a safe loader, in C where there is one
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ImportFault(f"{line}not the YAML of a cassette: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ImportFault("not YAML") from error
    if isinstance(cassette, dict) and "http_interactions" in cassette:
        raise ImportFault("`http_interactions`: a cassette of Ruby's VCR; only vcrpy's layout is read")
    if isinstance(cassette, dict) and cassette.get("version", 1) != 1:
        raise ImportFault("`version`: expected 1")
    interactions: list[JSON] = field(cassette, "interactions", list)
    return interactions


def _captured(interaction: JSON) -> Captured:
    request_headers = headers_of_mapping(field(interaction, "request", dict).get("headers"), "request.headers")
    response = field(interaction, "response", dict)
    headers = headers_of_mapping(response.get("headers"), "response.headers")
    status = response.get("status")
    code = status if isinstance(status, int) else field(interaction, "response.status.code", int)
    if not 100 <= code <= 599:
        raise ImportFault("`response.status.code`: expected an HTTP status")
    body, origin = _body(response, "response")
    request_body, _ = _body(field(interaction, "request", dict), "request")
    return Captured(
        request=request_of(
            field(interaction, "request.method", str),
            field(interaction, "request.uri", str),
            request_headers,
            request_body,
            "request.uri",
        ),
        status=code,
        headers=headers,
        body=_decoded(body, headers, origin),
        source={"bytes": origin},
    )


def _decoded(body: bytes, headers: Headers, origin: str) -> bytes:
    return body if origin is _AGAIN else decoded_body(body, headers, "response.body")


def _body(side: dict[str, JSON], name: str) -> tuple[bytes, str]:
    """The bytes of a request's or response's body, and what was done to them. Raises `ImportFault`."""
    if side.get("parsed_body") is not None:
        try:
            return msgspec.json.encode(side["parsed_body"]), _AGAIN
        except (TypeError, ValueError, RecursionError) as error:
            raise ImportFault(f"`{name}.parsed_body`: not JSON") from error
    body = side.get("body")
    if isinstance(body, dict):
        for key in ("base64_string", "string"):
            if key in body:
                return _bytes_of(body[key], f"{name}.body.{key}", is_base64=key == "base64_string"), _AS_RECORDED
        if body:
            raise ImportFault(f"`{name}.body`: expected `string` or `base64_string` in it")
        return b"", _AS_RECORDED
    return _bytes_of(body, f"{name}.body", is_base64=False), _AS_RECORDED


def _bytes_of(value: JSON, where: str, *, is_base64: bool) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ImportFault(f"`{where}`: expected text, got {type(value).__name__}")
    return base64_bytes(value, where) if is_base64 else text_bytes(value)
