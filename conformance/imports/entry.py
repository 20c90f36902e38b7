"""What every import shares: entries, faults that say where, fields with checked types, bodies, URLs. No network I/O."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from conformance.capture.captured import Captured, CapturedRequest, Headers, header
from conformance.capture.coding import CodingError, is_plain, undo_coding
from providers.replay.recording import JSON

MAX_FILE_BYTES = 512 * 1024 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024

T = TypeVar("T")

MARKS = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
"""The first bytes of what is encoded, for the codings that have such."""
_NAMES: dict[type, str] = {dict: "an object", list: "a list", str: "a string", int: "a number"}


class ImportFault(ValueError):  # noqa: N818 - the file's fault
    """A file, or an entry of it, is not what it should be. The message names the field; the importer adds the rest."""


UNREADABLE = (TypeError, AttributeError, KeyError, IndexError, ValueError, RecursionError)
"""What an entry of a shape that nobody thought of may raise."""


def fault_of(error: Exception) -> str:
    """What is told of such an entry. Without the error's words, which may hold a secret."""
    return f"not what the format says ({type(error).__name__})"


class Entry(msgspec.Struct, kw_only=True):
    """One exchange of a file, or why there is none."""

    place: str = ""
    """Within the file: `entry 3`. Empty if the file is one entry."""
    captured: Captured | None = None
    fault: str = ""
    """What is wrong with it, if anything is. With `captured`, only the response is wanting."""
    api: str | None = None
    """If the file tells it."""
    name: str | None = None
    """If the file gives it one."""


def read_file(path: Path) -> bytes:
    """The file's bytes. Raises `ImportFault`."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ImportFault(f"larger than {MAX_FILE_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ImportFault(error.strerror or "cannot be read") from error


def field(of: JSON, path: str, kind: type[T]) -> T:
    """The value at a dotted path below `of`, which must be of that type. Raises `ImportFault` that names the path."""
    value = of
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ImportFault(f"`{path}`: expected {_NAMES[kind]}, got {_shown(value)}")
    return value


def _shown(value: JSON) -> str:
    """The type alone: a value may be a secret."""
    return "nothing" if value is None else type(value).__name__


def request_of(method: str, url: str, headers: Headers, body: bytes, where: str) -> CapturedRequest:
    """A request to an absolute URL. Raises `ImportFault` that names the field `where`."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise ImportFault(f"`{where}`: not a URL") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ImportFault(f"`{where}`: expected an http or https URL")
    return CapturedRequest(
        method=method.upper(),
        host=host,
        path=parts.path or "/",
        query=parts.query,
        headers=headers,
        body=decoded_body(body, headers, "request body"),
        secrets=[parts.password] if parts.password else [],
    )


def decoded_body(body: bytes, headers: Headers, what: str) -> bytes:
    """The body without its content coding. Raises `ImportFault`.

    Many tools undo the coding and leave the header; so only what looks encoded is decoded.
    """
    encoding = header(headers, "content-encoding").strip().lower()
    if is_plain(encoding) or not body:
        return body
    mark = MARKS.get(encoding.rpartition(",")[2].strip())
    if mark is not None and not body.startswith(mark):
        return body
    try:
        return undo_coding(body, encoding, max_bytes=MAX_BODY_BYTES)
    except CodingError as error:
        if mark is None and _is_text(body):
            return body  # Brotli and deflate have no mark of their own.
        raise ImportFault(f"`{what}`: {error}") from error


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def text_bytes(text: str) -> bytes:
    """The bytes that a text was made from."""
    return text.encode("utf-8", "surrogatepass")


def base64_bytes(text: str, where: str) -> bytes:
    """The bytes of base64 text. Raises `ImportFault` that names the field `where`."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImportFault(f"`{where}`: not base64") from error


def headers_of_mapping(headers: JSON, where: str) -> Headers:
    """Headers from an object of names with a value or a list of values. Raises `ImportFault`."""
    if headers is None:
        return []
    if not isinstance(headers, Mapping):
        raise ImportFault(f"`{where}`: expected an object, got {_shown(headers)}")
    found: Headers = []
    for name, values in headers.items():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, bytes):
                value = value.decode("latin-1")
            if not isinstance(name, str) or not isinstance(value, str | int | float):
                raise ImportFault(f"`{where}`: expected a string for each header, got {_shown(value)}")
            found.append((name.lower(), str(value)))
    return found
