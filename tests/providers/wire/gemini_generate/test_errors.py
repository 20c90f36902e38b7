"""Errors in Google's shape, both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.genai import errors

from providers.errors import ErrorKind, GatewayError, ProviderError, RequestError
from providers.model import RawBody
from providers.wire.gemini_generate import WIRE
from tests.providers.wire.gemini_generate.support import recordings, sdk


def body(code: int, status: str, *details: dict[str, Any], message: str = "told") -> bytes:
    return json.dumps(
        {"error": {"code": code, "message": message, "status": status, "details": list(details)}}
    ).encode()


@pytest.mark.parametrize("path", recordings("error"))
def test_recorded_errors_go_on_as_they_came(path: Path) -> None:
    raw = path.read_bytes()
    error = WIRE.decode_error(400, raw)
    assert (error.kind, error.type) == (ErrorKind.INVALID_REQUEST, "INVALID_ARGUMENT")
    assert WIRE.encode_error(error) == raw


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ErrorKind.INVALID_REQUEST),
        (403, ErrorKind.PERMISSION),
        (404, ErrorKind.NOT_FOUND),
        (429, ErrorKind.RATE_LIMIT),
        (500, ErrorKind.SERVER),
        (503, ErrorKind.OVERLOADED),
        (504, ErrorKind.TIMEOUT),
    ],
)
def test_the_status_decides(status: int, kind: ErrorKind) -> None:
    assert WIRE.decode_error(status, body(status, "X")).kind is kind


def test_a_wait_that_the_body_asks_for() -> None:
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
    assert WIRE.decode_error(429, body(429, "RESOURCE_EXHAUSTED", retry)).retry_after == 34.5
    assert WIRE.decode_error(429, body(429, "RESOURCE_EXHAUSTED", {"retryDelay": "soon"})).retry_after is None


def test_a_wrong_key_is_not_the_clients_fault_and_its_body_stays_here() -> None:
    reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    error = WIRE.decode_error(400, body(400, "INVALID_ARGUMENT", reason, message="API key AIzaSECRET not valid"))
    assert (error.kind, error.status, error.raw) == (ErrorKind.AUTHENTICATION, 401, None)
    assert "SECRET" not in error.message


def test_an_array_around_the_error() -> None:
    error = WIRE.decode_error(503, b"[" + body(503, "UNAVAILABLE") + b"]")
    assert (error.message, error.raw) == ("told", None)


@pytest.mark.parametrize("raw", [b"", b"<html>nope</html>", b"\xff\xfe", b"[]", b"{}", b'{"error": 7}'])
def test_anything_else_gives_a_message_made_from_the_status(raw: bytes) -> None:
    error = WIRE.decode_error(502, raw)
    assert error.message == "the provider answered with status 502 (Bad Gateway)"
    assert error.raw is None or raw == b'{"error": 7}'


def test_an_error_with_a_good_status() -> None:
    with pytest.raises(ProviderError) as caught:
        WIRE.decode_response(body(429, "RESOURCE_EXHAUSTED"))
    assert (caught.value.kind, caught.value.status) == (ErrorKind.RATE_LIMIT, 429)


def test_the_sdk_reads_the_gateways_own_errors() -> None:
    error = RequestError("'contents' is required", param="contents")
    with pytest.raises(errors.ClientError) as caught:
        sdk(400, WIRE.encode_error(error)).models.generate_content(model="m", contents="x")
    assert (caught.value.status, caught.value.message) == ("INVALID_ARGUMENT", "'contents' is required")
    [detail] = caught.value.details["error"]["details"]
    assert detail["fieldViolations"][0]["field"] == "contents"


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_has_a_status(kind: ErrorKind) -> None:
    shape = json.loads(WIRE.encode_error(GatewayError("m", kind=kind, status=500, retry_after=2.5)))["error"]
    assert shape["code"] == 500
    assert shape["status"].isupper()
    assert shape["details"][0]["retryDelay"] == "2.5s"


def test_an_error_of_another_api_is_said_again() -> None:
    raw = RawBody("openai-chat", b'{"error": {"message": "m"}}')
    error = ProviderError("m", kind=ErrorKind.RATE_LIMIT, status=429, type="rate_limit_error", raw=raw)
    assert json.loads(WIRE.encode_error(error)) == {
        "error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}
    }


def test_a_body_in_a_stream_becomes_an_event() -> None:
    error = WIRE.decode_error(400, b'{\n "error": {"code": 400, "message": "m"}\n}')
    assert WIRE.encode_stream_error(error) == b'data: {"error":{"code":400,"message":"m"}}\r\n\r\n'
